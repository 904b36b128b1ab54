//! Versions that fail in ways that few counters show, and good ones whose counters are strange: a row for each.

use super::world::{BROKEN, CANARY, GOOD, PRIMARY, Traffic, at, even, tally};
use super::*;
use crate::api::policy::{ClientErrors, OnInconclusive};
use crate::metrics::counting::{PROCESS_START, Sample, Series as Counter};

type Writing = fn(&mut Vec<Counter>, i64);

/// The end of a run of a minute in an even service.
fn end(traffic: Traffic, writing: Writing) -> String {
    end_of(subject(), traffic, writing)
}

fn end_of(mut subject: Subject, traffic: Traffic, writing: Writing) -> String {
    subject.policy.deadline = Duration::from_mins(3);
    let mut judge = Judge::new(subject);
    let mut world = World { traffic, writing, history: even(), ..World::default() };
    world.until(&mut judge, 700);
    world.story.pop().unwrap()
}

fn is_of_the_canary(one: &Counter) -> bool {
    one.label("pod") == CANARY
}

fn counters(series: &mut [Counter]) -> impl Iterator<Item = &mut Counter> {
    series.iter_mut().filter(|one| one.name() != "up")
}

fn set(one: &mut Counter, label: &str, value: &str) {
    one.labels.insert(label.to_owned(), value.to_owned());
}

/// As Linkerd's proxy counts: of what it calls a success the code tells.
fn of_linkerd(series: &mut [Counter]) {
    for one in counters(series) {
        let code = one.labels.remove("code").unwrap_or_default();
        let is_failure = code.starts_with('5');
        let labels = [("__name__", "response_total"), ("direction", "inbound"), ("status_code", &code)];
        for (label, value) in labels {
            set(one, label, value);
        }
        set(one, "classification", if is_failure { "failure" } else { "success" });
    }
}

/// As OpenTelemetry's libraries count; a request that broke off has no code.
fn broken_off(series: &mut [Counter]) {
    for one in counters(series) {
        let code = one.labels.remove("code").unwrap_or_default();
        set(one, "__name__", "http_server_request_duration_seconds_count");
        let (label, value) =
            if code == "500" { ("error_type", "java.io.IOException") } else { ("http_response_status_code", code.as_str()) };
        set(one, label, value);
    }
}

/// The primary has a histogram, the canary has none any more.
fn without_its_histogram(series: &mut Vec<Counter>) {
    let fine = series.iter().filter(|one| one.label("code") == "200" && !is_of_the_canary(one)).cloned().collect::<Vec<_>>();
    for one in fine {
        for bound in ["0.1", "0.25", "+Inf"] {
            let mut bucket = one.clone();
            bucket.labels.remove("code");
            set(&mut bucket, "__name__", "http_request_duration_seconds_bucket");
            set(&mut bucket, "le", bound);
            series.push(bucket);
        }
    }
}

/// Seconds since the canary is Ready.
fn second(sample: &Sample) -> i64 {
    sample.at / 1000 - at(0).as_second()
}

/// Every good answer of the canary is this one.
fn answering(series: &mut [Counter], code: &str) {
    for one in counters(series).filter(|one| is_of_the_canary(one) && one.label("code") == "200") {
        set(one, "code", code);
    }
}

/// All pods count in one place, and each page says what that holds.
fn in_one_place(series: &mut Vec<Counter>) {
    let own: Vec<Counter> = counters(series).map(|one| one.clone()).collect();
    series.retain(|one| one.name() == "up");
    let all = |code: &str, at: i64| -> f64 {
        let said = |one: &Counter| one.samples.iter().rev().find(|sample| sample.at <= at).map(|sample| sample.value);
        own.iter().filter(|one| one.label("code") == code).filter_map(said).sum()
    };
    for up in series.clone() {
        for code in ["200", "500"] {
            let mut one = up.clone();
            set(&mut one, "__name__", "http_requests_total");
            set(&mut one, "code", code);
            one.samples.iter_mut().for_each(|sample| sample.value = all(code, sample.at));
            series.push(one);
        }
    }
}

/// When each process began, as its page says it.
fn with_starts(series: &mut Vec<Counter>, canary: fn(i64) -> f64) {
    let pages: Vec<Counter> = series.iter().filter(|one| one.name() == "up").cloned().collect();
    for mut one in pages {
        set(&mut one, "__name__", PROCESS_START);
        let is_canary = is_of_the_canary(&one);
        one.samples.iter_mut().for_each(|sample| sample.value = if is_canary { canary(second(sample)) } else { 1.7e9 });
        series.push(one);
    }
}

/// A supervisor starts the canary's process again and again.
fn ending_again_and_again(series: &mut Vec<Counter>) {
    for sample in counters(series).filter(|one| is_of_the_canary(one)).flat_map(|one| &mut one.samples) {
        sample.value = 90.0 * (second(sample) % 15) as f64;
    }
    with_starts(series, |at| 1.8e9 + (at - at % 15) as f64);
}

fn ending_once(series: &mut Vec<Counter>) {
    for sample in counters(series).filter(|one| is_of_the_canary(one)).flat_map(|one| &mut one.samples) {
        sample.value = 90.0 * if second(sample) < 25 { second(sample) } else { second(sample) - 25 } as f64;
    }
    with_starts(series, |at| if at < 25 { 1.8e9 } else { 1.8e9 + 25.0 });
}

/// Two workers answer for the canary's page, each with a registry and a start of its own.
fn in_turn(series: &mut Vec<Counter>) {
    for sample in counters(series).filter(|one| is_of_the_canary(one)).flat_map(|one| &mut one.samples) {
        sample.value *= if second(sample) % 10 == 0 { 0.4 } else { 0.6 };
    }
    with_starts(series, |at| if at % 10 == 0 { 1.8e9 } else { 1.8e9 - 5.0 });
}

#[test]
fn what_fails_quietly_is_not_let_in() {
    let not_found: Traffic = |_| (tally(90.0, 0.0, 90.0), PRIMARY);
    let some_fail: Traffic = |_| (tally(90.0, 4.0, 0.0), PRIMARY);
    let mut with_latency = subject();
    with_latency.policy.max_latency_p99 = Some(Duration::from_millis(250));
    let all = [
        ("404 to everything, by a mesh that calls it a success", end(not_found, |series, _| of_linkerd(series))),
        ("4 % break off without a code", end(some_fail, |series, _| broken_off(series))),
        ("its histogram is gone", end_of(with_latency, GOOD, |series, _| without_its_histogram(series))),
        ("sends everybody elsewhere", end(GOOD, |series, _| answering(series, "302"))),
        ("the same, of a counter of classes", end(GOOD, |series, _| answering(series, "3xx"))),
        ("ends again and again", end(GOOD, |series, _| ending_again_and_again(series))),
        ("its workers answer in turn", end(GOOD, |series, _| in_turn(series))),
        ("fails everything, and all pods count in one place", end(BROKEN, |series, _| in_one_place(series))),
    ];
    let all: Vec<String> = all.iter().map(|(what, end)| format!("{what}\n    {end}")).collect();
    insta::assert_snapshot!(all.join("\n"), @r#"
    404 to everything, by a mesh that calls it a success
        10s Reject: 100% of the canary's answers are client errors (mostly 404: 900 of 900) after 10s, of the primary's 0% (0 of 2,700); if that is meant: canary.client-errors: "off"
    4 % break off without a code
        10s Reject: error rate 4.5% (40 of 897 requests) exceeds 1% after 10s; primary 0%
    its histogram is gone
        160s Inconclusive { clean: false }: the canary has no series http_request_duration_seconds_bucket, which the primary has
    sends everybody elsewhere
        160s Inconclusive { clean: false }: 100% of the canary's answers are redirects (mostly 302: 14,400 of 14,400), of the primary's 0% (0 of 43,200); if that is meant: canary.client-errors: "off"
    the same, of a counter of classes
        160s Inconclusive { clean: false }: 100% of the canary's answers are redirects (mostly 3xx: 14,400 of 14,400), of the primary's 0% (0 of 43,200); if that is meant: canary.client-errors: "off"
    ends again and again
        160s Inconclusive { clean: false }: the canary's process ended and began anew in its container (10 times), last at 08:02:30 UTC: it must last for 60s
    its workers answer in turn
        160s Inconclusive { clean: false }: http_requests_total of app-canary-77f-ccccc falls without a restart (15 of 32 scrapes): does each worker process keep its own?
    fails everything, and all pods count in one place
        160s Inconclusive { clean: false }: http_requests_total of the canary began at 6,018,000, where the primary's are: do all pods count in one place, as in a Redis? Each needs a counter of its own
    "#);
}

/// What looks strange and is none, or none that goes on.
#[test]
fn what_is_only_strange_is_no_reason() {
    let redirecting: Traffic = |_| (tally(90.0, 0.0, 40.0), tally(270.0, 0.0, 120.0));
    let as_redirects: Writing = |series, _| {
        for one in counters(series).filter(|one| one.label("code") == "404") {
            set(one, "code", "302");
        }
    };
    let mut meant = subject();
    meant.policy.client_errors = ClientErrors::Off;
    let all = [
        ("nothing has changed", end(GOOD, |series, _| answering(series, "304"))),
        ("redirects as often as the primary", end(redirecting, as_redirects)),
        ("redirects, and that is meant", end_of(meant, GOOD, |series, _| answering(series, "301"))),
        ("its process ended once", end(GOOD, |series, _| ending_once(series))),
        ("good, and all pods count in one place", end(GOOD, |series, _| in_one_place(series))),
    ];
    let all: Vec<String> = all.iter().map(|(what, end)| format!("{what}\n    {end}")).collect();
    insta::assert_snapshot!(all.join("\n"), @r"
    nothing has changed
        60s Promote: error rate 0% (0 of 5,387 requests, at most 0.06%; limit 1%); primary 0%
    redirects as often as the primary
        60s Promote: error rate 0% (0 of 5,387 requests, at most 0.06%; limit 1%); primary 0%
    redirects, and that is meant
        60s Promote: error rate 0% (0 of 5,387 requests, at most 0.06%; limit 1%); primary 0%
    its process ended once
        80s Promote: error rate 0% (0 of 6,733 requests, at most 0.05%; limit 1%); primary 0%
    good, and all pods count in one place
        160s Inconclusive { clean: false }: http_requests_total of the canary began at 6,018,000, where the primary's are: do all pods count in one place, as in a Redis? Each needs a counter of its own
    ");
}

/// What probes ask for is no traffic; where users ask for it, it is.
#[test]
fn users_may_ask_for_what_probes_ask_for() {
    let at_ping = |traffic: Traffic| {
        let writing: Writing = |series, _| counters(series).for_each(|one| set(one, "path", "/ping"));
        let mut subject = subject();
        (subject.policy.deadline, subject.policy.on_inconclusive) = (Duration::from_mins(3), OnInconclusive::Promote);
        let mut judge = Judge::new(subject);
        let mut world = World { traffic, writing, remembers: true, ..World::default() };
        world.until(&mut judge, 700);
        world.story.pop().unwrap()
    };
    let all = [
        ("good", at_ping(GOOD)),
        ("fails everything", at_ping(BROKEN)),
        ("nothing but probes", at_ping(|_| (tally(0.5, 0.5, 0.0), tally(1.5, 0.0, 0.0)))),
    ];
    let all: Vec<String> = all.iter().map(|(what, end)| format!("{what}\n    {end}")).collect();
    insta::assert_snapshot!(all.join("\n"), @r"
    good
        60s Promote: error rate 0% (0 of 5,387 requests, at most 0.06%; limit 1%); primary 0%
    fails everything
        10s Reject: error rate 100% (900 of 900 requests) exceeds 1% after 10s; primary 0%
    nothing but probes
        160s Inconclusive { clean: true }: the canary got no requests, so nothing can be said about it
    ");
}

/// A store that shows each sample of both sides so many seconds after it was scraped only makes a verdict later by that.
#[test]
fn samples_that_come_late_make_the_verdict_late() {
    fn hide<const LATE: i64>(series: &mut Vec<Counter>, now: i64) {
        for one in series.iter_mut() {
            one.samples.retain(|sample| sample.at <= at(now - LATE).as_millisecond());
        }
        series.retain(|one| !one.samples.is_empty());
    }
    let told = [
        ("good, 20 s", end(GOOD, hide::<20>)),
        ("good, 90 s", end(GOOD, hide::<90>)),
        ("bad, 20 s", end(BROKEN, hide::<20>)),
        ("bad, 90 s", end(BROKEN, hide::<90>)),
    ];
    insta::assert_snapshot!(told.map(|(what, came)| format!("{what}: {came}")).join("\n"), @r"
    good, 20 s: 75s Promote: error rate 0% (0 of 4,938 requests, at most 0.07%; limit 1%); primary 0%
    good, 90 s: 145s Promote: error rate 0% (0 of 4,938 requests, at most 0.07%; limit 1%); primary 0%
    bad, 20 s: 30s Reject: error rate 100% (900 of 900 requests) exceeds 1% after 30s; primary 0%
    bad, 90 s: 100s Reject: error rate 100% (900 of 900 requests) exceeds 1% after 1m40s; primary 0%
    ");
}

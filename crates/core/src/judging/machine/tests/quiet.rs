//! Versions that fail in ways that few counters show, and good ones whose counters are strange: a row for each.

use super::world::{CANARY, GOOD, PRIMARY, Traffic, even, tally};
use super::*;
use crate::metrics::counting::Series as Counter;

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
    ];
    let all: Vec<String> = all.iter().map(|(what, end)| format!("{what}\n    {end}")).collect();
    insta::assert_snapshot!(all.join("\n"), @r#"
    404 to everything, by a mesh that calls it a success
        10s Reject: 100% of the canary's answers are client errors (mostly 404: 900 of 900) after 10s, of the primary's 0% (0 of 2,700); if that is meant: canary.client-errors: "off"
    4 % break off without a code
        10s Reject: error rate 4.5% (40 of 897 requests) exceeds 1% after 10s; primary 0%
    its histogram is gone
        160s Inconclusive { clean: false }: the canary has no series http_request_duration_seconds_bucket, which the primary has
    "#);
}

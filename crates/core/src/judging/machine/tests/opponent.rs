//! What an opponent would try: versions whose counters hide how they fail, and good ones whose counters say too much. A row for each.

use super::world::{BROKEN, CANARY, FINE, GOOD, NOTHING, PRIMARY, Traffic, at, even, tally};
use super::*;
use crate::api::policy::OnInconclusive;
use crate::metrics::counting::{Sample, Series as Counter, Tally};

pub(super) fn end_of(mut subject: Subject, mut world: World) -> String {
    subject.policy.deadline = Duration::from_mins(3);
    let mut judge = Judge::new(subject);
    world.until(&mut judge, 700);
    world.story.pop().unwrap()
}

pub(super) fn end(traffic: Traffic, writing: fn(&mut Vec<Counter>, i64)) -> String {
    end_of(subject(), World { traffic, writing, history: even(), ..World::default() })
}

pub(super) fn forgiving() -> Subject {
    let mut subject = subject();
    subject.policy.on_inconclusive = OnInconclusive::Promote;
    subject
}

/// Counters in the user's own words.
pub(super) fn by_hand() -> Subject {
    let mut subject = subject();
    subject.policy.metrics = Choice::parse("{requests: http_requests_total, errors: 'http_requests_total{code=~\"5..\"}'}").unwrap();
    subject
}

pub(super) fn is_of_the_canary(one: &Counter) -> bool {
    one.label("pod") == CANARY
}

pub(super) fn counters(series: &mut [Counter]) -> impl Iterator<Item = &mut Counter> {
    series.iter_mut().filter(|one| one.name() != "up")
}

pub(super) fn set(one: &mut Counter, label: &str, value: &str) {
    one.labels.insert(label.to_owned(), value.to_owned());
}

/// Seconds since the canary is Ready.
pub(super) fn second(sample: &Sample) -> i64 {
    sample.at / 1000 - at(0).as_second()
}

/// It has asked itself before it was Ready, and was scraped for the first time afterwards.
fn warmed_up(series: &mut [Counter]) {
    for one in counters(series).filter(|one| is_of_the_canary(one) && one.label("code") == "200") {
        one.samples.iter_mut().for_each(|sample| sample.value += 20_000.0);
    }
}

/// HTTP's code is always 200, and what came of it stands behind the answer.
fn in_trailers(series: &mut [Counter]) {
    for one in counters(series) {
        let code = if one.label("code") == "500" { "13" } else { "0" };
        set(one, "code", "200");
        set(one, "grpc_status", code);
    }
}

/// The code was sent before anything went wrong.
fn after_the_code(series: &mut [Counter], name: &str, label: &str, nothing: &str) {
    for one in counters(series) {
        let code = one.labels.remove("code").unwrap_or_default();
        set(one, "__name__", name);
        set(one, if label == "error_type" { "http_response_status_code" } else { "status" }, "200");
        set(one, label, if code == "500" { "InvalidOperationException" } else { nothing });
    }
}

/// Words instead of codes.
fn in_words(series: &mut [Counter]) {
    for one in counters(series) {
        let code = one.labels.remove("code").unwrap_or_default();
        set(one, "status", if code == "500" { "timeout" } else { "success" });
    }
}

/// The next version's library writes another kind of number.
fn spelled_anew(series: &mut [Counter]) {
    for one in counters(series).filter(|one| is_of_the_canary(one)) {
        let code = format!("{}.0", one.label("code"));
        set(one, "code", &code);
    }
}

fn at_path(series: &mut [Counter], path: &str) {
    counters(series).for_each(|one| set(one, "path", path));
}

/// A gauge of the application's own, which says that something else is down.
fn with_an_up_of_its_own(series: &mut Vec<Counter>) {
    let own: Vec<Counter> = series.iter().filter(|one| one.name() == "up").cloned().collect();
    for mut one in own {
        set(&mut one, "dependency", "redis");
        one.samples.iter_mut().for_each(|sample| sample.value = 0.0);
        series.push(one);
    }
}

/// The good answers have no code any more.
fn with_codes_of_failures_alone(series: &mut Vec<Counter>) {
    let good = |one: &&mut Counter| is_of_the_canary(one) && one.label("code") == "200";
    let failure = counters(series).find(|one| good(one)).map(|one| one.clone());
    counters(series).filter(good).for_each(|one| drop(one.labels.remove("code")));
    if let Some(mut one) = failure {
        set(&mut one, "code", "500");
        one.samples.iter_mut().for_each(|sample| sample.value = 1.0);
        series.push(one);
    }
}

/// All processes of the primary end at once, and begin anew.
fn restarted(series: &mut [Counter], at: i64) {
    for one in counters(series).filter(|one| !is_of_the_canary(one)) {
        let before = one.samples.iter().rev().find(|sample| second(sample) <= at).map_or(0.0, |sample| sample.value);
        one.samples.iter_mut().filter(|sample| second(sample) > at).for_each(|sample| sample.value -= before);
    }
}

/// Of its page each second scrape fails.
fn answering_half_of_its_scrapes(series: &mut [Counter]) {
    let fails = |sample: &Sample| second(sample) % 10 == 5;
    for one in series.iter_mut().filter(|one| is_of_the_canary(one)) {
        if one.name() == "up" {
            one.samples.iter_mut().filter(|sample| fails(sample)).for_each(|sample| sample.value = 0.0);
        } else {
            one.samples.retain(|sample| !fails(sample));
        }
    }
}

/// A request now and then.
fn at_times(second: i64, canary: Tally) -> (Tally, Tally) {
    if [10, 25, 50].contains(&second) { (canary, tally(3.0, 0.0, 0.0)) } else { (NOTHING, NOTHING) }
}

pub(super) fn told(all: &[(&str, String)]) -> String {
    all.iter().map(|(what, end)| format!("{what}\n    {end}")).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_hides_its_failures_is_not_let_in() {
    let few: Traffic = |_| (tally(5.0, 0.1, 0.0), tally(15.0, 0.0, 0.0));
    let some: Traffic = |_| (tally(90.0, 3.6, 0.0), PRIMARY);
    let anew = World { traffic: BROKEN, writing: |series, _| spelled_anew(series), history: even(), ..World::default() };
    let live = World { traffic: BROKEN, writing: |series, _| at_path(series, "/live"), remembers: true, ..World::default() };
    let some_alone: Traffic = |_| (tally(90.0, 4.5, 0.0), NOTHING);
    let down = World { traffic: some_alone, primary_until: -30, primary_ready: 0, ..World::default() };
    let not_found = World { traffic: |second| at_times(second, tally(1.0, 0.0, 1.0)), history: even(), ..World::default() };
    let redirects = World {
        traffic: |second| at_times(second, tally(1.0, 0.0, 1.0)),
        writing: |series, _| counters(series).filter(|one| one.label("code") == "404").for_each(|one| set(one, "code", "302")),
        history: even(),
        ..World::default()
    };
    insta::assert_snapshot!(told(&[
        ("2 % of few fail, and it warmed itself up", end(few, |series, _| warmed_up(series))),
        ("it warmed itself up, and nobody else asks it", end(|_| (NOTHING, PRIMARY), |series, _| warmed_up(series))),
        ("all fail, said behind HTTP's 200", end(BROKEN, |series, _| in_trailers(series))),
        ("all break off behind HTTP's 200", end(BROKEN, |series, _| {
            after_the_code(series, "http_server_request_duration_seconds_count", "error_type", "");
        })),
        ("the same, as Micrometer counts", end(BROKEN, |series, _| {
            after_the_code(series, "http_server_requests_seconds_count", "exception", "None");
        })),
        ("4 % time out, in words", end(some, |series, _| in_words(series))),
        ("its codes are spelled anew, and the user's own words don't fit", end_of(by_hand(), anew)),
        ("all fail at /live, where users ask", end_of(forgiving(), live)),
        ("all fail in the last two seconds", end(|second| (if second < 58 { FINE } else { tally(90.0, 90.0, 0.0) }, PRIMARY), |_, _| {})),
        ("only its failures have codes", end(GOOD, |series, _| with_codes_of_failures_alone(series))),
        ("5 % fail beside a primary whose pods are down", end_of(subject(), down)),
        ("three requests, three times 404", end_of(forgiving(), not_found)),
        ("three requests, all sent elsewhere", end_of(forgiving(), redirects)),
    ]), @r#"
    2 % of few fail, and it warmed itself up
        80s Reject: error rate 2% (8 of 383 requests) exceeds 1% after 1m20s; primary 0%
    it warmed itself up, and nobody else asks it
        160s Inconclusive { clean: false }: the canary has no series http_requests_total, which the primary has; the canary finished 0 requests, an ordinary pod of the primary 14,367: requests may hang, or clients may not have come to it
    all fail, said behind HTTP's 200
        10s Reject: error rate 100% (900 of 900 requests) exceeds 1% after 10s; primary 0%
    all break off behind HTTP's 200
        10s Reject: 100% of the canary's answers are client errors (mostly InvalidOperationExc…: 900 of 900) after 10s, of the primary's 0% (0 of 2,691); if that is meant: canary.client-errors: "off"
    the same, as Micrometer counts
        10s Reject: 100% of the canary's answers are client errors (mostly InvalidOperationExc…: 900 of 900) after 10s, of the primary's 0% (0 of 2,691); if that is meant: canary.client-errors: "off"
    4 % time out, in words
        10s Reject: error rate 4% (36 of 897 requests) exceeds 1% after 10s; primary 0%
    its codes are spelled anew, and the user's own words don't fit
        160s Inconclusive { clean: false }: http_requests_total of the canary says code "500.0", and nothing that the primary's say: is it spelled anew?
    all fail at /live, where users ask
        10s Reject: error rate 100% (900 of 900 requests) exceeds 1% after 10s; primary 0%
    all fail in the last two seconds
        65s Reject: error rate 10.8% (630 of 5,837 requests) exceeds 1% after 1m5s; primary 0%
    only its failures have codes
        10s Reject: 99.9% of the canary's answers are client errors (mostly no code: 900 of 901) after 10s, of the primary's 0% (0 of 2,691); if that is meant: canary.client-errors: "off"
    5 % fail beside a primary whose pods are down
        10s Reject: error rate 5% (45 of 900 requests) exceeds 1% after 10s; primary without requests
    three requests, three times 404
        160s Inconclusive { clean: false }: 0 of 3 canary requests failed (at most 68.8%); 338 requests are needed to show less than 1%, 335 more; at the present rate (1.1 requests/min) that takes 4h57m46s more; a longer canary.deadline or a canary.max-error-rate above 68.8% would do; 100% of the canary's answers are client errors (mostly 404: 3 of 3), of the primary's 0% (0 of 0); if that is meant: canary.client-errors: "off"
    three requests, all sent elsewhere
        160s Inconclusive { clean: false }: the canary got no requests, so nothing can be said about it; 100% of the canary's answers are redirects (mostly 302: 3 of 3), of the primary's 0% (0 of 9); if that is meant: canary.client-errors: "off"
    "#);
}

#[test]
fn what_says_too_much_is_let_in() {
    let live = World { writing: |series, _| at_path(series, "/live"), remembers: true, ..World::default() };
    let by_pages = Subject { sources: vec![Origin::Pages], ..subject() };
    let warm = World { writing: |series, _| warmed_up(series), history: even(), ..World::default() };
    insta::assert_snapshot!(told(&[
        ("it warmed itself up", end(GOOD, |series, _| warmed_up(series))),
        ("the same, by the pods' own pages", end_of(by_pages, warm)),
        ("the primary is started anew in the trial", end(GOOD, |series, _| restarted(series, 30))),
        ("every other scrape fails", end(GOOD, |series, _| answering_half_of_its_scrapes(series))),
        ("where users ask at /live", end_of(subject(), live)),
        ("beside a primary whose pods are all down", end_of(subject(), World { primary_until: -30, primary_ready: 0, ..World::default() })),
        ("the same, since half a minute", end_of(subject(), World { primary_until: 30, primary_ready: 0, ..World::default() })),
        ("beside a primary that nobody scrapes any more", end_of(subject(), World { primary_until: 30, ..World::default() })),
        ("beside a primary that fails everything", end(|_| (FINE, tally(270.0, 270.0, 0.0)), |_, _| {})),
        ("beside a primary that has no requests", end(|_| (FINE, NOTHING), |_, _| {})),
        ("a gauge of its own is called up", end(GOOD, |series, _| with_an_up_of_its_own(series))),
        ("scraped a third as often", end(GOOD, |series, _| {
            series.iter_mut().filter(|one| is_of_the_canary(one)).for_each(|one| one.samples.retain(|sample| second(sample) % 15 == 0));
        })),
    ]), @r"
    it warmed itself up
        60s Promote: error rate 0% (0 of 4,939 requests, at most 0.07%; limit 1%); primary 0%
    the same, by the pods' own pages
        60s Promote: error rate 0% (0 of 4,939 requests, at most 0.07%; limit 1%); primary 0%
    the primary is started anew in the trial
        60s Promote: error rate 0% (0 of 5,387 requests, at most 0.06%; limit 1%); primary 0%
    every other scrape fails
        60s Promote: error rate 0% (0 of 5,387 requests, at most 0.06%; limit 1%); primary 0%
    where users ask at /live
        60s Promote: error rate 0% (0 of 5,387 requests, at most 0.06%; limit 1%); primary 0%
    beside a primary whose pods are all down
        60s Promote: error rate 0% (0 of 5,400 requests, at most 0.06%; limit 1%); primary without requests
    the same, since half a minute
        60s Promote: error rate 0% (0 of 5,400 requests, at most 0.06%; limit 1%); primary 0%
    beside a primary that nobody scrapes any more
        160s Inconclusive { clean: false }: the primary's pods are not scraped any more, since 08:00:30 UTC
    beside a primary that fails everything
        60s Promote: error rate 0% (0 of 5,387 requests, at most 0.06%; limit 1%); primary 100%
    beside a primary that has no requests
        60s Promote: error rate 0% (0 of 4,490 requests, at most 0.08%; limit 1%); primary without requests
    a gauge of its own is called up
        60s Promote: error rate 0% (0 of 5,387 requests, at most 0.06%; limit 1%); primary 0%
    scraped a third as often
        60s Promote: error rate 0% (0 of 5,387 requests, at most 0.06%; limit 1%); primary 0%
    ");
}

//! Series that become others while a canary is tried, traffic that comes in bursts, and ways of writing that mean something else than they seem to.
//! A row for each.

use super::opponent::{counters, end, end_of, forgiving, is_of_the_canary, second, set, told};
use super::world::{BROKEN, FAILING, FINE, GOOD, NONE, NOTHING, PRIMARY, Traffic, World, even, subject, tally};
use super::*;
use crate::metrics::counting::{Sample, Series as Counter, Tally};

/// What was scraped after 30 seconds belongs to series with another value of this label.
fn renamed(series: &mut Vec<Counter>, whose: fn(&Counter) -> bool, label: &str, value: &str) {
    let mut later = Vec::new();
    for one in series.iter_mut().filter(|one| whose(one)) {
        let mut new = one.clone();
        set(&mut new, label, value);
        new.samples.retain(|sample| second(sample) > 30);
        one.samples.retain(|sample| second(sample) <= 30);
        later.push(new);
    }
    series.extend(later);
    series.retain(|one| !one.samples.is_empty());
}

fn all(_: &Counter) -> bool {
    true
}

fn of_the_primary(one: &Counter) -> bool {
    !is_of_the_canary(one)
}

/// Of one of the primary's pods nothing is known before 20 seconds.
fn found_late(series: &mut Vec<Counter>) {
    for one in series.iter_mut().filter(|one| one.label("pod").ends_with("aaaa1")) {
        one.samples.retain(|sample| second(sample) > 20);
    }
    series.retain(|one| !one.samples.is_empty());
}

fn in_words(series: &mut [Counter], label: &str, good: &str, bad: &str) {
    for one in counters(series) {
        let code = one.labels.remove("code").unwrap_or_default();
        set(one, label, if code == "500" { bad } else { good });
    }
}

fn ten(second: i64) -> f64 {
    (second * 10) as f64
}

fn one(second: i64) -> f64 {
    second as f64
}

fn none(_: i64) -> f64 {
    0.0
}

/// All within two seconds of each half minute.
fn in_bursts(second: i64, canary: Tally) -> (Tally, Tally) {
    if second.rem_euclid(30) < 2 { (canary, tally(2700.0, 0.0, 0.0)) } else { (NOTHING, NOTHING) }
}

/// A second counter, in which the primary's pods have had so few requests; of the canary's and of theirs so many until a second.
fn beside(series: &mut Vec<Counter>, past: f64, canary: fn(i64) -> f64, primary: fn(i64) -> f64, code: &str) {
    let ups: Vec<Counter> = series.iter().filter(|one| one.name() == "up").cloned().collect();
    for up in ups {
        let is_canary = is_of_the_canary(&up);
        let of = |at: i64| if is_canary { canary(at.max(0)) } else { past + primary(at.max(0)) };
        let mut one = up;
        set(&mut one, "__name__", "admin_http_requests_total");
        set(&mut one, "code", if is_canary { code } else { "200" });
        one.samples = one.samples.iter().map(|sample| Sample { value: of(second(sample)), ..*sample }).collect();
        if one.samples.iter().any(|sample| sample.value > 0.0) || !is_canary {
            series.push(one);
        }
    }
}

/// Both have had next to nothing so far, and the second one has it all in the trial.
fn of_a_quiet_night(series: &mut Vec<Counter>) {
    for one in counters(series).filter(|one| !is_of_the_canary(one)) {
        one.samples.iter_mut().for_each(|sample| sample.value = if one.labels["code"] == "200" { 4.0 } else { 0.0 });
    }
    beside(series, 1.0, ten, ten, "500");
}

/// A histogram of the second counter, with nothing slow in it.
fn quick(series: &mut Vec<Counter>) {
    let counted: Vec<Counter> = series.iter().filter(|one| one.name() == "admin_http_requests_total").cloned().collect();
    for one in counted {
        for le in ["0.1", "0.25", "+Inf"] {
            let mut bucket = one.clone();
            set(&mut bucket, "__name__", "admin_http_request_duration_seconds_bucket");
            set(&mut bucket, "le", le);
            series.push(bucket);
        }
    }
}

/// Which requests are slow nobody can say of the counter that has most of them.
#[rstest]
#[case::few_have_one(
    true,
    "160s Inconclusive { clean: false }: http_requests_total by code: found no latency histogram beside http_requests_total; name its buckets in canary.metrics under latency"
)]
#[case::a_good_part_has_one(false, "70s Promote: http_requests_total by code: error rate 0%")]
fn a_limit_of_latency_is_shown_by_a_counter_that_must_show(#[case] are_few: bool, #[case] expected: &str) {
    let mut subject = subject();
    subject.policy.max_latency_p99 = Some(Duration::from_millis(250));
    let writing: fn(&mut Vec<Counter>, i64) = |series, _| {
        beside(series, 50.0, ten, ten, "200");
        quick(series);
    };
    // By the past of the series the second one has had next to nothing.
    let told = end_of(subject, World { writing, remembers: are_few, history: even(), ..World::default() });
    assert!(told.contains(expected), "{told}");
}

#[test]
fn what_fails_is_not_let_in() {
    let some: Traffic = |_| (tally(90.0, 3.6, 0.0), PRIMARY);
    let later: Traffic = |second| (if second < 40 { FINE } else { FAILING }, PRIMARY);
    let bursts: Traffic = |second| in_bursts(second, tally(900.0, 900.0, 0.0));
    let night = World { traffic: NONE, writing: |series, _| of_a_quiet_night(series), history: even(), ..World::default() };
    let at_last: Traffic =
        |second| if (57..59).contains(&second) { (tally(900.0, 900.0, 0.0), tally(2700.0, 0.0, 0.0)) } else { (NOTHING, NOTHING) };
    insta::assert_snapshot!(told(&[
        ("all fail from 40 s on, and the job has another name since 30 s", end(later, |series, _| renamed(series, all, "job", "other"))),
        ("4 % fail, beside a pod that was found late", end(some, |series, _| found_late(series))),
        ("all fail, and a flag says so", end(BROKEN, |series, _| in_words(series, "status", "1", "0"))),
        ("4 % are unsuccessful", end(some, |series, _| in_words(series, "outcome", "success", "unsuccessful"))),
        ("4 % are KO", end(some, |series, _| in_words(series, "status", "OK", "KO"))),
        ("4 % by lines of status", end(some, |series, _| in_words(series, "status", "HTTP/1.1 200 OK", "HTTP/1.1 500 Internal Server Error"))),
        ("4 % of the tens of classes", end(some, |series, _| in_words(series, "status", "20x", "50x"))),
        ("4 % are a word among codes", end(some, |series, _| in_words(series, "code", "200", "error"))),
        ("a counter that was idle has traffic, and fails", end(GOOD, |series, _| beside(series, 0.0, ten, ten, "500"))),
        ("the same, with one request a second", end(GOOD, |series, _| beside(series, 3.0, one, one, "500"))),
        ("the same, on the canary alone", end(GOOD, |series, _| beside(series, 0.0, ten, none, "500"))),
        ("nobody asks where most did, and the other fails", end_of(forgiving(), night)),
        ("all fail, and an idle counter has nothing", end(BROKEN, |series, _| beside(series, 3.0, none, none, "200"))),
        ("all fail, in bursts", end(bursts, |_, _| {})),
        ("all of the one burst fail", end(at_last, |_, _| {})),
    ]), @r#"
    all fail from 40 s on, and the job has another name since 30 s
        50s Reject: error rate 20% (900 of 4,491 requests) exceeds 1% after 50s; primary 0%
    4 % fail, beside a pod that was found late
        10s Reject: error rate 4% (36 of 897 requests) exceeds 1% after 10s; primary 0%
    all fail, and a flag says so
        160s Inconclusive { clean: false }: found http_requests_total on app's pods, but none of its labels says whether a request failed; name the counters in canary.metrics, as in {requests: my_requests_total, errors: 'my_requests_total{code=~"5.."}'}
    4 % are unsuccessful
        10s Reject: error rate 4% (36 of 897 requests) exceeds 1% after 10s; primary 0%
    4 % are KO
        10s Reject: error rate 4% (36 of 897 requests) exceeds 1% after 10s; primary 0%
    4 % by lines of status
        10s Reject: error rate 4% (36 of 897 requests) exceeds 1% after 10s; primary 0%
    4 % of the tens of classes
        10s Reject: error rate 4% (36 of 897 requests) exceeds 1% after 10s; primary 0%
    4 % are a word among codes
        10s Reject: error rate 4% (36 of 897 requests) exceeds 1% after 10s; primary 0%
    a counter that was idle has traffic, and fails
        10s Reject: admin_http_requests_total by code: error rate 100% (100 of 100 requests) exceeds 1% after 10s; primary 0%
    the same, with one request a second
        15s Reject: admin_http_requests_total by code: error rate 100% (15 of 15 requests) exceeds 1% after 15s; primary 0%
    the same, on the canary alone
        15s Reject: admin_http_requests_total by code: error rate 100% (100 of 100 requests) exceeds 1% after 15s; primary without requests
    nobody asks where most did, and the other fails
        10s Reject: admin_http_requests_total by code: error rate 100% (100 of 100 requests) exceeds 1% after 10s; primary 0%
    all fail, and an idle counter has nothing
        10s Reject: error rate 100% (900 of 900 requests) exceeds 1% after 10s; primary 0%
    all fail, in bursts
        35s Reject: error rate 100% (3,600 of 3,600 requests) exceeds 1% after 35s; primary 0%
    all of the one burst fail
        160s Inconclusive { clean: false }: 1,800 of 1,800 canary requests failed; 100% is more than the tolerated 0.1%, but not by enough to be sure
    "#);
}

#[test]
fn what_is_well_is_let_in() {
    let bursts: Traffic = |second| in_bursts(second, tally(900.0, 0.0, 0.0));
    insta::assert_snapshot!(told(&[
        ("the job has another name since 30 s", end(GOOD, |series, _| renamed(series, all, "job", "zz"))),
        ("the same, one that comes first", end(GOOD, |series, _| renamed(series, all, "job", "aa"))),
        ("the primary's has", end(GOOD, |series, _| renamed(series, of_the_primary, "job", "zz"))),
        ("another monitor's labels since 30 s", end(GOOD, |series, _| renamed(series, of_the_primary, "endpoint", "zz"))),
        ("a pod of the primary is found late", end(GOOD, |series, _| found_late(series))),
        ("a counter that was idle has traffic", end(GOOD, |series, _| beside(series, 0.0, ten, ten, "200"))),
        ("the same, on the primary alone", end(GOOD, |series, _| beside(series, 0.0, none, ten, "200"))),
        ("the same, on the canary alone", end(GOOD, |series, _| beside(series, 0.0, ten, none, "200"))),
        ("the same, and one request of the canary's fails", end(GOOD, |series, _| beside(series, 0.0, |at| (at / 30).min(1) as f64, ten, "500"))),
        ("the same, and one of its requests is refused", end(GOOD, |series, _| beside(series, 0.0, |at| (at / 30).min(1) as f64, ten, "404"))),
        ("a counter that stays idle", end(GOOD, |series, _| beside(series, 3.0, none, none, "200"))),
        ("in bursts", end(bursts, |_, _| {})),
    ]), @r"
    the job has another name since 30 s
        60s Promote: error rate 0% (0 of 5,387 requests, at most 0.06%; limit 1%); primary 0%
    the same, one that comes first
        60s Promote: error rate 0% (0 of 5,387 requests, at most 0.06%; limit 1%); primary 0%
    the primary's has
        60s Promote: error rate 0% (0 of 5,387 requests, at most 0.06%; limit 1%); primary 0%
    another monitor's labels since 30 s
        60s Promote: error rate 0% (0 of 5,387 requests, at most 0.06%; limit 1%); primary 0%
    a pod of the primary is found late
        60s Promote: error rate 0% (0 of 5,387 requests, at most 0.06%; limit 1%); primary 0%
    a counter that was idle has traffic
        60s Promote: error rate 0% (0 of 5,387 requests, at most 0.06%; limit 1%); primary 0%
    the same, on the primary alone
        60s Promote: error rate 0% (0 of 5,387 requests, at most 0.06%; limit 1%); primary 0%
    the same, on the canary alone
        60s Promote: error rate 0% (0 of 5,387 requests, at most 0.06%; limit 1%); primary 0%
    the same, and one request of the canary's fails
        60s Promote: error rate 0% (0 of 5,387 requests, at most 0.06%; limit 1%); primary 0%
    the same, and one of its requests is refused
        60s Promote: error rate 0% (0 of 5,387 requests, at most 0.06%; limit 1%); primary 0%
    a counter that stays idle
        60s Promote: error rate 0% (0 of 5,387 requests, at most 0.06%; limit 1%); primary 0%
    in bursts
        60s Promote: error rate 0% (0 of 3,596 requests, at most 0.09%; limit 1%); primary 0%
    ");
}

//! Counters that nobody had shown when the canary began: of a server that its version adds, or of one that is asked for the first time. What fails in
//! them must not be promoted, and what is fine in them must be in nobody's way.

use super::opponent::{end_of, is_of_the_canary, second, set};
use super::world::{BROKEN, GOOD, NOTHING, Traffic, World, even, subject, tally};
use super::*;
use crate::api::origin::Origin;
use crate::metrics::counting::{Sample, Series as Counter};

type Counted = fn(i64) -> f64;

/// Requests a second since the canary was Ready, by a gRPC server's counter, of those pods.
fn grpc(series: &mut Vec<Counter>, whose: fn(&Counter) -> bool, code: &str, counted: Counted) {
    let pages: Vec<Counter> = series.iter().filter(|one| one.name() == "up" && whose(one)).cloned().collect();
    for mut one in pages {
        set(&mut one, "__name__", "grpc_server_handled_total");
        set(&mut one, "grpc_code", code);
        one.samples = one.samples.iter().map(|sample| Sample { value: counted(second(sample)), ..*sample }).collect();
        one.samples.retain(|sample| sample.value > 0.0);
        series.extend((!one.samples.is_empty()).then_some(one));
    }
}

fn all(_: &Counter) -> bool {
    true
}

fn at_once(second: i64) -> f64 {
    (20 * second) as f64
}

/// Nobody asks before that.
fn from_40_on(second: i64) -> f64 {
    (20 * (second - 40)) as f64
}

fn end(traffic: Traffic, writing: fn(&mut Vec<Counter>, i64)) -> String {
    end_of(subject(), World { traffic, writing, history: even(), ..World::default() })
}

/// The canary's version counts the same requests in a histogram too, as its library does.
fn with_a_histogram(series: &mut Vec<Counter>) {
    for one in series.clone().iter().filter(|one| one.name() == "http_requests_total" && is_of_the_canary(one)) {
        let mut count = one.clone();
        set(&mut count, "__name__", "http_request_duration_seconds_count");
        series.push(count);
    }
}

#[test]
fn what_came_of_them() {
    let half: Traffic = |_| (tally(50.0, 25.0, 0.0), tally(270.0, 135.0, 0.0));
    let told = [
        ("its own server fails, at once", end(GOOD, |series, _| grpc(series, is_of_the_canary, "Unavailable", at_once))),
        ("its own server fails, from 40 s on", end(GOOD, |series, _| grpc(series, is_of_the_canary, "Unavailable", from_40_on))),
        ("its own server is fine", end(GOOD, |series, _| grpc(series, is_of_the_canary, "OK", at_once))),
        ("everybody's is fine", end(GOOD, |series, _| grpc(series, all, "OK", from_40_on))),
        ("everybody's fails", end(GOOD, |series, _| grpc(series, all, "Unavailable", from_40_on))),
        ("the same requests, counted by a histogram too", end(GOOD, |series, _| with_a_histogram(series))),
        ("all fails in what is known", end(BROKEN, |series, _| grpc(series, is_of_the_canary, "OK", at_once))),
        ("an outage of all in what is known, counted twice", end(half, |series, _| with_a_histogram(series))),
        ("what it asks of others", end(GOOD, |series, _| grpc(series, |_| false, "OK", at_once))),
    ];
    insta::assert_snapshot!(told.map(|(what, came)| format!("{what}\n    {came}")).join("\n"), @r"
    its own server fails, at once
        15s Reject: grpc_server_handled_total by grpc_code: error rate 100% (200 of 200 requests) exceeds 1% after 15s; primary without requests
    its own server fails, from 40 s on
        60s Reject: grpc_server_handled_total by grpc_code: error rate 100% (400 of 400 requests) exceeds 1% after 60s; primary without requests
    its own server is fine
        60s Promote: error rate 0% (0 of 5,387 requests, at most 0.06%; limit 1%); primary 0%
    everybody's is fine
        60s Promote: error rate 0% (0 of 5,387 requests, at most 0.06%; limit 1%); primary 0%
    everybody's fails
        60s Promote: error rate 0% (0 of 5,387 requests, at most 0.06%; limit 1%); primary 0%
    the same requests, counted by a histogram too
        60s Promote: error rate 0% (0 of 5,387 requests, at most 0.06%; limit 1%); primary 0%
    all fails in what is known
        10s Reject: error rate 100% (900 of 900 requests) exceeds 1% after 10s; primary 0%
    an outage of all in what is known, counted twice
        160s Inconclusive { clean: false }: 4,000 of 7,967 canary requests failed; the primary's own rate is 50.1%, so less than 1% can't be shown: set a higher limit
    what it asks of others
        60s Promote: error rate 0% (0 of 5,387 requests, at most 0.06%; limit 1%); primary 0%
    ");
}

#[test]
fn they_are_looked_for_soon_and_before_the_end() {
    let mut world = World::default();
    let mut judge = Judge::new(subject());
    world.until(&mut judge, 100);
    let looks: Vec<&String> = world.story.iter().filter(|line| line.contains("ask present")).collect();
    insta::assert_snapshot!(format!("{looks:#?}"), @r#"
    [
        "0s ask present",
        "15s ask present",
        "60s ask present",
    ]
    "#);
    // A question more that nobody answers is asked again: what isn't seen isn't good.
    let broken = Some(("present", usize::MAX, Failure::passing("busy".to_owned())));
    let mut world = World::default();
    let mut judge = Judge::new(subject());
    world.until(&mut judge, 10);
    world.broken = broken;
    world.until(&mut judge, 700);
    insta::assert_snapshot!(world.story.pop().unwrap(), @"699s wait 1.8s, blind: busy");
}

#[test]
fn who_names_counters_is_asked_for_these_alone() {
    let mut named = subject();
    named.policy.metrics = Choice::parse("http").unwrap();
    let writing: fn(&mut Vec<Counter>, i64) = |series, _| grpc(series, is_of_the_canary, "Unavailable", at_once);
    let end = end_of(named, World { writing, history: even(), ..World::default() });
    assert!(end.contains("Promote"), "{end}");
}

/// The pods' own pages are read for what is wanted: the canary's own counter is found in a round of all.
#[test]
fn by_the_pods_own_pages_too() {
    let mut by_pages = subject();
    by_pages.sources = vec![Origin::Pages];
    let writing: fn(&mut Vec<Counter>, i64) = |series, _| grpc(series, is_of_the_canary, "Unavailable", at_once);
    let end = end_of(by_pages.clone(), World { writing, history: even(), ..World::default() });
    assert!(end.contains("Reject"), "{end}");
    let writing: fn(&mut Vec<Counter>, i64) = |series, _| grpc(series, is_of_the_canary, "Unavailable", from_40_on);
    let end = end_of(by_pages, World { writing, history: even(), ..World::default() });
    assert!(end.contains("Reject"), "{end}");
}

#[test]
fn nothing_is_counted_of_a_silent_service() {
    let end = end(|_| (NOTHING, NOTHING), |series, _| grpc(series, is_of_the_canary, "Unavailable", at_once));
    assert!(end.contains("Reject"), "{end}");
}

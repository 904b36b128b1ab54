//! Another replica takes over in the middle, where the source keeps nothing: what it didn't see itself was seen by nobody.

use super::world::{BROKEN, FAILING, FINE, GOOD, NOTHING, PRIMARY, Traffic, at, tally};
use super::*;
use crate::metrics::counting::Series as Counter;

/// For who leads from that second on, and has read nothing before.
fn end(from: i64, traffic: Traffic) -> String {
    let writing: fn(&mut Vec<Counter>, i64) = match from {
        40 => |all, _| read_from(all, 40),
        58 => |all, _| read_from(all, 58),
        _ => |_, _| {},
    };
    end_of(from, traffic, writing)
}

/// The end of a run of a minute for who leads from that second on.
fn end_of(from: i64, traffic: Traffic, writing: fn(&mut Vec<Counter>, i64)) -> String {
    let mut subject = Subject { sources: vec![Origin::Pages], ..subject() };
    subject.policy.deadline = Duration::from_mins(3);
    let mut world = World { traffic, writing, remembers: true, second: from, ..World::default() };
    let mut judge = Judge::new(subject);
    world.until(&mut judge, 700);
    world.story.pop().unwrap()
}

fn read_from(all: &mut Vec<Counter>, from: i64) {
    for one in all.iter_mut() {
        one.samples.retain(|sample| sample.at >= at(from).as_millisecond());
    }
    all.retain(|one| !one.samples.is_empty());
}

#[test]
fn nothing_is_promoted_on_less_than_it_would_otherwise_need() {
    let recovers: Traffic = |second| if second < 30 { (FAILING, PRIMARY) } else { (FINE, PRIMARY) };
    let stops: Traffic = |second| if second < 30 { (FINE, PRIMARY) } else { (NOTHING, PRIMARY) };
    let fails_later: Traffic = |second| if second < 75 { (FINE, PRIMARY) } else { (tally(90.0, 9.0, 0.0), PRIMARY) };
    let stories = [("good", GOOD), ("bad", BROKEN), ("recovers", recovers), ("stops", stops), ("fails later", fails_later)];
    let rows = stories.iter().flat_map(|(what, traffic)| [0, 40, 58].map(|from| format!("{what}, from {from}s: {}", end(from, *traffic))));
    insta::assert_snapshot!(rows.collect::<Vec<_>>().join("\n"), @r"
    good, from 0s: 60s Promote: error rate 0% (0 of 5,387 requests, at most 0.06%; limit 1%); primary 0%
    good, from 40s: 95s Promote: error rate 0% (0 of 4,938 requests, at most 0.07%; limit 1%); primary 0%
    good, from 58s: 115s Promote: error rate 0% (0 of 4,938 requests, at most 0.07%; limit 1%); primary 0%
    bad, from 0s: 10s Reject: error rate 100% (900 of 900 requests) exceeds 1% after 10s; primary 0%
    bad, from 40s: 50s Reject: error rate 100% (900 of 900 requests) exceeds 1% after 50s; primary 0%
    bad, from 58s: 70s Reject: error rate 100% (900 of 900 requests) exceeds 1% after 1m10s; primary 0%
    recovers, from 0s: 10s Reject: error rate 100% (900 of 900 requests) exceeds 1% after 10s; primary 0%
    recovers, from 40s: 95s Promote: error rate 0% (0 of 4,938 requests, at most 0.07%; limit 1%); primary 0%
    recovers, from 58s: 115s Promote: error rate 0% (0 of 4,938 requests, at most 0.07%; limit 1%); primary 0%
    stops, from 0s: 160s Inconclusive { clean: false }: the canary finished 0 requests in the last 2m10s, after 90 a second before; an ordinary pod of the primary goes on with 90 a second; requests may hang
    stops, from 40s: 160s Inconclusive { clean: false }: the canary finished 0 requests, an ordinary pod of the primary 10,775: requests may hang, or clients may not have come to it
    stops, from 58s: 160s Inconclusive { clean: false }: the canary finished 0 requests, an ordinary pod of the primary 8,979: requests may hang, or clients may not have come to it
    fails later, from 0s: 60s Promote: error rate 0% (0 of 5,387 requests, at most 0.06%; limit 1%); primary 0%
    fails later, from 40s: 85s Reject: error rate 2.2% (90 of 4,040 requests) exceeds 1% after 1m25s; primary 0%
    fails later, from 58s: 85s Reject: error rate 4% (90 of 2,244 requests) exceeds 1% after 1m25s; primary 0%
    ");
}

/// A moment in twenty seconds, and none of the last before the takeover.
#[test]
fn who_goes_on_from_the_baseline_loses_nothing() {
    let with_baseline: fn(&mut Vec<Counter>, i64) = |all, _| {
        for one in all.iter_mut() {
            one.samples.retain(|sample| {
                let second = sample.at / 1000 - at(0).as_second();
                second >= 40 || (second <= 20 && second % 20 == 0)
            });
        }
    };
    let recovers: Traffic = |second| if second < 30 { (FAILING, PRIMARY) } else { (FINE, PRIMARY) };
    let rows = [("good", GOOD), ("bad", BROKEN), ("recovers", recovers)];
    let rows = rows.map(|(what, traffic)| format!("{what}: {}", end_of(40, traffic, with_baseline)));
    insta::assert_snapshot!(rows.join("\n"), @r"
    good: 60s Promote: error rate 0% (0 of 5,387 requests, at most 0.06%; limit 1%); primary 0%
    bad: 40s Reject: error rate 100% (3,600 of 3,600 requests) exceeds 1% after 40s; primary 0%
    recovers: 40s Reject: error rate 75% (2,700 of 3,598 requests) exceeds 1% after 40s; primary 0%
    ");
}

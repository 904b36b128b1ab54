//! What resource metrics can and can't do to a canary. Ready at second 0, a duration of a minute: what begins from second 30 on counts.

use serde_json::json;

use super::*;
use crate::facts::judgement::Finding;
use crate::message::findings::words;

const BOTH: MaxRatios = MaxRatios { cpu: Some(1.5), memory: Some(2.0) };

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn pods() -> Pods {
    Pods { canary: Members::of_names(["app-canary-77f-c"]), primary: Members::of_names(["app-6d5f-a", "app-6d5f-b", "app-6d5f-gone"]) }
}

/// In milli-cores and mebibytes, over the quarter of a minute up to that second.
fn used(name: &str, second: i64, (cpu, memory): (u32, u32)) -> PodUsage {
    PodUsage::of(&json!({
        "metadata": {"name": name}, "timestamp": at(second).to_string(), "window": "15s",
        "containers": [{"name": "app", "usage": {"cpu": format!("{cpu}m"), "memory": format!("{memory}Mi")}}],
    }))
    .unwrap()
}

fn begun() -> Usage {
    Usage { from: Some(at(30)), ..Usage::default() }
}

type Used = (u32, u32);

/// Each 15 seconds up to that one.
fn read(until: i64, canary: fn(i64) -> Option<Used>, primary: fn(i64) -> Option<Used>) -> Usage {
    let mut usage = begun();
    for second in (15..=until).step_by(15) {
        let of = |name: &str, used_by: fn(i64) -> Option<Used>| used_by(second).map(|amounts| used(name, second, amounts));
        // One of another Deployment, which has as many labels.
        let mut all = vec![used("app-worker-1-x", second, (9000, 9000))];
        all.extend(of("app-canary-77f-c", canary));
        all.extend(of("app-6d5f-a", primary));
        // Twice as busy.
        all.extend(of("app-6d5f-b", primary).map(|mut usage| {
            usage.amounts.cpu *= 2.0;
            usage
        }));
        usage.took(Ok(all), &pods(), at(second));
    }
    usage
}

fn end(usage: &Usage, second: i64) -> String {
    let outcome = usage.outcome(&BOTH, Progress::Over, at(second));
    let kind = match &outcome {
        Outcome::Passed(_) => "passed",
        Outcome::Failed(_) => "failed",
        Outcome::Unknown(_) => "unknown",
        Outcome::Waiting => "waiting",
    };
    let told = words(&[Finding::Check { name: "c".to_owned(), outcome, served: Duration::ZERO }]);
    format!("{kind}: {}", told.trim_start_matches("check c").trim_start_matches(" after 0ms").trim_start_matches(": "))
}

#[test]
fn what_comes_of_the_readings() {
    let told = [
        ("as the primary", end(&read(60, |_| Some((310, 210)), |_| Some((200, 200))), 60)),
        ("busy while it starts", end(&read(60, |at| Some(if at <= 30 { (4000, 800) } else { (310, 210) }), |_| Some((200, 200))), 60)),
        ("twice the CPU", end(&read(75, |_| Some((610, 210)), |_| Some((200, 200))), 75)),
        ("memory that grows", end(&read(90, |at| Some((300, u32::try_from(at * 6).unwrap())), |_| Some((200, 200))), 90)),
        ("one odd reading", end(&read(75, |at| Some(if at == 60 { (4000, 210) } else { (310, 210) }), |_| Some((200, 200))), 75)),
        ("one of two", end(&read(60, |at| Some(if at == 60 { (4000, 210) } else { (310, 210) }), |_| Some((200, 200))), 60)),
        ("next to nothing on both sides", end(&read(60, |_| Some((40, 30)), |_| Some((2, 9))), 60)),
        ("a primary that does next to nothing", end(&read(60, |_| Some((120, 30)), |_| Some((2, 9))), 60)),
        ("and one that does nothing", end(&read(60, |_| Some((60, 30)), |_| Some((0, 0))), 60)),
        ("no reading of the canary", end(&read(60, |_| None, |_| Some((200, 200))), 60)),
        ("only of its start", end(&read(60, |at| (at <= 30).then_some((310, 210)), |_| Some((200, 200))), 60)),
        ("one reading that counts", end(&read(45, |_| Some((310, 210)), |_| Some((200, 200))), 60)),
        ("no reading of the primary", end(&read(60, |_| Some((310, 210)), |_| None), 60)),
        ("readings that ended", end(&read(60, |_| Some((310, 210)), |_| Some((200, 200))), 240)),
        ("nothing at all", end(&begun(), 60)),
    ];
    let told: Vec<String> = told.iter().map(|(what, came)| format!("{what}\n    {came}")).collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    as the primary
        passed: CPU 310m beside 300m of an average pod of the primary, memory 210Mi beside 200Mi of an average pod of the primary
    busy while it starts
        passed: CPU 310m beside 300m of an average pod of the primary, memory 210Mi beside 200Mi of an average pod of the primary
    twice the CPU
        failed: CPU 610m beside 300m of an average pod of the primary: 2.033 times as much, and 1.5 is allowed (middle of 3 readings)
    memory that grows
        unknown: readings of memory disagree: 1.8 and 2.25 times the primary's, of which 2 is allowed; another one is needed
    one odd reading
        passed: CPU 310m beside 300m of an average pod of the primary, memory 210Mi beside 200Mi of an average pod of the primary
    one of two
        unknown: readings of CPU disagree: 1.033 and 13.333 times the primary's, of which 1.5 is allowed; another one is needed
    next to nothing on both sides
        passed: CPU 40m beside 3m (taken as 50m) of an average pod of the primary, memory 30Mi beside 9Mi (taken as 32Mi) of an average pod of the primary
    a primary that does next to nothing
        failed: CPU 120m beside 3m (taken as 50m) of an average pod of the primary: 2.4 times as much, and 1.5 is allowed (middle of 2 readings)
    and one that does nothing
        passed: CPU 60m beside 0m (taken as 50m) of an average pod of the primary, memory 30Mi beside 0Mi (taken as 32Mi) of an average pod of the primary
    no reading of the canary
        unknown: the cluster has no resource metrics of the canary's pod yet
    only of its start
        unknown: the cluster's resource metrics of the canary's pod are all of its warm-up, or of the first half of the duration
    one reading that counts
        unknown: 1 reading of the cluster's resource metrics so far; at least 2 are needed
    no reading of the primary
        unknown: the cluster has no resource metrics of the primary's pods
    readings that ended
        unknown: the cluster's resource metrics of the canary's pod are not renewed any more
    nothing at all
        unknown: the cluster has no resource metrics of the canary's pod yet
    ");
}

#[test]
fn nothing_is_decided_before_the_end() {
    let bad = read(60, |_| Some((9000, 9000)), |_| Some((200, 200)));
    for progress in [Progress::Early, Progress::Late] {
        assert_eq!(bad.outcome(&BOTH, progress, at(60)), Outcome::Waiting);
    }
}

#[test]
fn a_refusal_is_told_at_once_and_a_failure_when_it_matters() {
    let pods = pods();
    let mut usage = begun();
    usage.took(Err(Trouble::Refused("no such API".to_owned())), &pods, at(1));
    assert_eq!(usage.outcome(&BOTH, Progress::Early, at(1)), Outcome::Unknown(Unknown::Refused("no such API".to_owned())));
    let mut usage = begun();
    usage.took(Err(Trouble::Passing("busy".to_owned())), &pods, at(1));
    assert_eq!(usage.outcome(&BOTH, Progress::Early, at(1)), Outcome::Waiting);
    assert_eq!(usage.outcome(&BOTH, Progress::Over, at(60)), Outcome::Unknown(Unknown::Refused("busy".to_owned())));
    // What was read before is enough.
    let mut usage = read(60, |_| Some((310, 210)), |_| Some((200, 200)));
    usage.took(Err(Trouble::Passing("busy".to_owned())), &pods, at(62));
    assert!(matches!(usage.outcome(&BOTH, Progress::Over, at(62)), Outcome::Passed(_)));
}

#[test]
fn the_same_reading_counts_once_and_one_from_the_future_never() {
    let mut usage = begun();
    for second in [50, 55, 60] {
        let all = vec![used("app-canary-77f-c", 50, (310, 210)), used("app-6d5f-a", 50, (300, 200))];
        usage.took(Ok(all), &pods(), at(second));
    }
    let ahead = vec![used("app-canary-77f-c", 600, (1, 1)), used("app-6d5f-a", 600, (300, 200))];
    usage.took(Ok(ahead), &pods(), at(65));
    assert_eq!(end(&usage, 65), "unknown: 1 reading of the cluster's resource metrics so far; at least 2 are needed");
}

#[test]
fn it_is_asked_once_at_first_and_often_when_it_counts() {
    let mut usage = Usage::default();
    assert!(usage.is_due(at(30), at(0)), "so that it is told at once that there is none");
    usage.took(Ok(Vec::new()), &pods(), at(0));
    assert!(!usage.is_due(at(30), at(29)));
    assert!(usage.is_due(at(30), at(30)));
    usage.took(Ok(Vec::new()), &pods(), at(30));
    assert!(!usage.is_due(at(30), at(34)));
    assert!(usage.is_due(at(30), at(35)));
    usage.took(Err(Trouble::Refused(String::new())), &pods(), at(35));
    assert!(!usage.is_due(at(30), at(94)));
    assert!(usage.is_due(at(30), at(95)));
    usage.took(Err(Trouble::Refused(String::new())), &pods(), at(95));
    assert!(usage.is_due(at(130), at(96)), "another run, or another pod");
}

#[test]
fn a_long_run_is_remembered_as_far_as_it_matters() {
    let usage = read(15 * 500, |_| Some((310, 210)), |_| Some((200, 200)));
    assert_eq!(usage.readings.len(), MOST);
    assert!(end(&usage, 15 * 500).starts_with("passed"));
}

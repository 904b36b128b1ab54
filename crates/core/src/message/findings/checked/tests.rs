//! Each sentence once, as a user reads it.

use serde_json::json;

use super::*;

fn told(outcomes: impl IntoIterator<Item = Outcome>) -> String {
    let words = |outcome: Outcome| words("smoke", &outcome, Duration::from_secs(12));
    outcomes.into_iter().map(words).collect::<Vec<_>>().join("\n")
}

fn page(fault: PageFault) -> Failed {
    Failed::Page { pointer: "/lag".to_owned(), fault }
}

#[test]
fn what_passed() {
    let usage = |resource, canary, primary, taken_as| Beside { resource, canary, primary, taken_as };
    let on_a_page = |pointer: &str, expected| Passed::Page { pointer: pointer.to_owned(), expected };
    let all = [
        Passed::Query(vec![Amount::Plain(0.000_123), Amount::TimesThePrimarys(1.05)]),
        Passed::Usage(vec![
            usage(Resource::Cpu, 0.31, 0.003, Some(0.05)),
            usage(Resource::Memory, 210.0 * MEBIBYTE, 200.0 * MEBIBYTE, None),
        ]),
        on_a_page("", Expected::Equals(json!(7))),
        on_a_page("/lag", Expected::Within { min: None, max: Some(10.0) }),
        Passed::Job("app-canary-smoke".to_owned()),
        Passed::OnlyAWarning(Box::new(Outcome::Failed(page(PageFault::Missing)))),
        Passed::OnlyAWarning(Box::new(Outcome::Unknown(Unknown::PrimaryWasZero))),
        Passed::OnlyAWarning(Box::new(Outcome::Waiting)),
    ];
    insta::assert_snapshot!(told(all.map(Outcome::Passed)), @r"
    check smoke: 0.000123, 1.05 times the primary's
    check smoke: CPU 310m beside 3m (taken as 50m) of an average pod of the primary, memory 210Mi beside 200Mi of an average pod of the primary
    check smoke: the whole page is 7
    check smoke: /lag is within its bounds
    check smoke: Job app-canary-smoke succeeded
    check smoke: only a warning: the page has no /lag
    check smoke: only a warning: the primary was 0 all the time: a ratio says nothing; set ignoreBelow or max
    check smoke: only a warning, and not decided yet
    ");
}

#[test]
fn what_failed() {
    let series = vec![("queue".to_owned(), "bills".to_owned())];
    let breach = Breach { amount: Amount::Plain(102.0), series, bound: Bound::Above(100.0), values: 3, in_the_last_third: true };
    let few = Breach { amount: Amount::TimesThePrimarys(0.2), series: Vec::new(), bound: Bound::Below(0.5), ..breach };
    let beside = Beside { resource: Resource::Cpu, canary: 0.61, primary: 0.3, taken_as: None };
    let job = |last_words: Option<&str>| Failed::Job {
        name: "app-canary-smoke".to_owned(),
        reason: "DeadlineExceeded: m".to_owned(),
        last_words: last_words.map(str::to_owned),
    };
    let all = [
        Failed::Query(breach.clone()),
        Failed::Query(Breach { in_the_last_third: false, ..few }),
        Failed::Usage { beside, ratio: 2.033, most: 1.5, readings: 3 },
        page(PageFault::Missing),
        page(PageFault::IsNot(json!("up"))),
        page(PageFault::NoNumber),
        page(PageFault::Beyond(Bound::Above(10.0))),
        job(None),
        job(Some("no route | exit 1")),
    ];
    insta::assert_snapshot!(told(all.map(Outcome::Failed)), @r#"
    check smoke after 12s: 102 of {queue=bills} exceeds 100 (middle of 3 values), in the last third of the run
    check smoke after 12s: 0.2 times the primary's is below 0.5 (middle of 3 values)
    check smoke after 12s: CPU 610m beside 300m of an average pod of the primary: 2.033 times as much, and 1.5 is allowed (middle of 3 readings)
    check smoke after 12s: the page has no /lag
    check smoke after 12s: /lag isn't "up"
    check smoke after 12s: /lag is no number
    check smoke after 12s: /lag exceeds 10
    check smoke after 12s: Job app-canary-smoke failed (DeadlineExceeded: m)
    check smoke after 12s: Job app-canary-smoke failed (DeadlineExceeded: m); its last words: no route | exit 1
    "#);
}

#[test]
fn what_is_unknown() {
    let side = Side::Primary;
    let job = |stage| Unknown::Job(JobLacks::End { name: "app-canary-smoke".to_owned(), stage });
    let all = [
        Unknown::NoSeries { namespace: None },
        Unknown::NoSeries { namespace: Some("shop".to_owned()) },
        Unknown::TooFewValues { side: Side::Canary, values: 1, steps: 12 },
        Unknown::TooFewValues { side, values: 1, steps: 12 },
        Unknown::Ended { side, steps: 4 },
        Unknown::SeveralSeries { canary: 2, primary: 0 },
        Unknown::Negative { canary: -1.0, primary: 1.0 },
        Unknown::PrimaryWasZero,
        Unknown::Query(": only your own namespace's series are shown".to_owned()),
        Unknown::Usage(UsageLacks::Canary),
        Unknown::Usage(UsageLacks::Late),
        Unknown::Usage(UsageLacks::Renewed),
        Unknown::Usage(UsageLacks::Primary),
        Unknown::Usage(UsageLacks::Readings { found: 1, needed: 2 }),
        Unknown::Usage(UsageLacks::Resource(Resource::Memory)),
        Unknown::Usage(UsageLacks::Agreement { resource: Resource::Cpu, low: 1.2, high: f64::INFINITY, most: 1.5 }),
        Unknown::Page(PageLacks::Address),
        Unknown::Page(PageLacks::Url("the API server isn't asked")),
        Unknown::Page(PageLacks::Answer("status 500".to_owned())),
        Unknown::Job(JobLacks::CronJob("smoke".to_owned())),
        Unknown::Job(JobLacks::Label("smoke".to_owned())),
        Unknown::Job(JobLacks::Creation("exceeded quota".to_owned())),
        Unknown::Job(JobLacks::Place("app-canary-smoke".to_owned())),
        job(JobStage::Suspended),
        job(JobStage::NoPod),
        job(JobStage::PodNotReady),
        job(JobStage::TriedAgain { failed: 2 }),
        job(JobStage::Runs),
        Unknown::Late { seconds: 10 },
        Unknown::Refused("no such API".to_owned()),
    ];
    insta::assert_snapshot!(told(all.map(Outcome::Unknown).into_iter().chain([Outcome::Waiting])), @r#"
    check smoke: the query found no series
    check smoke: the query found no series of namespace shop
    check smoke: the query gave a number in 1 of 12 steps
    check smoke: the query gave a number in 1 of 12 steps for the primary
    check smoke: the query gave no number in the last 4 steps for the primary
    check smoke: a ratio needs one series on each side, found 2 series of the canary and 0 of the primary; use sum, avg or max
    check smoke: a ratio of negative values says nothing (-1 and 1)
    check smoke: the primary was 0 all the time: a ratio says nothing; set ignoreBelow or max
    check smoke: query: only your own namespace's series are shown
    check smoke: the cluster has no resource metrics of the canary's pod yet
    check smoke: the cluster's resource metrics of the canary's pod are all of its warm-up, or of the first half of the duration
    check smoke: the cluster's resource metrics of the canary's pod are not renewed any more
    check smoke: the cluster has no resource metrics of the primary's pods
    check smoke: 1 reading of the cluster's resource metrics so far; at least 2 are needed
    check smoke: the cluster's resource metrics say nothing of memory
    check smoke: readings of CPU disagree: 1.2 and infinity times the primary's, of which 1.5 is allowed; another one is needed
    check smoke: the canary has no address
    check smoke: url: the API server isn't asked
    check smoke: the page can't be read: status 500
    check smoke: there is no CronJob smoke in this namespace
    check smoke: the CronJob smoke has no label coalmine.dev/check: "true", which lets a check run it
    check smoke: the Job can't be created: exceeded quota
    check smoke: a Job app-canary-smoke is there that is not this canary's; rename it, or the check
    check smoke: Job app-canary-smoke is suspended
    check smoke: Job app-canary-smoke has no pod yet
    check smoke: Job app-canary-smoke waits for its pod to be Ready
    check smoke: Job app-canary-smoke is tried again: its pods failed 2 times
    check smoke: Job app-canary-smoke runs
    check smoke: no answer within 10 s, waiting for its turn included
    check smoke: no such API
    check smoke is not decided yet
    "#);
}

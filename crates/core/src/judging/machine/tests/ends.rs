//! How a run ends, a row for each kind of canary.

use serde_json::json;

use super::world::{BROKEN, FAILING, FINE, NONE, NOTHING, PRIMARY, Traffic, even, tally};
use super::*;
use crate::api::policy::{ClientErrors, OnInconclusive};

/// The end of a run of a minute, with all that may forgive missing traffic.
fn end(world: World) -> String {
    let mut subject = subject();
    subject.policy.deadline = Duration::from_mins(3);
    end_of(subject, world)
}

fn end_of(subject: Subject, mut world: World) -> String {
    let mut judge = Judge::new(subject);
    world.until(&mut judge, 700);
    world.story.pop().unwrap()
}

/// Versions that were let in although nobody had seen that they were good.
#[test]
fn nothing_bad_is_let_in() {
    let stops: Traffic = |second| if second < 15 { (FINE, PRIMARY) } else { (NOTHING, PRIMARY) };
    let waited_for: Traffic = |second| if second < 15 { (FINE, PRIMARY) } else { (NOTHING, tally(60.0, 0.0, 0.0)) };
    let never: Traffic = |_| (NOTHING, PRIMARY);
    let hides: Traffic = |second| if second < 22 { (FINE, PRIMARY) } else { (FAILING, PRIMARY) };
    let lost: Traffic = |_| (tally(90.0, 0.0, 90.0), PRIMARY);
    let both_lost: Traffic = |_| (tally(90.0, 0.0, 85.0), tally(270.0, 0.0, 250.0));
    let all = [
        ("stops to answer, even service", end(World { traffic: stops, history: even(), ..World::default() })),
        ("stops to answer, nothing known of the past", end(World { traffic: stops, ..World::default() })),
        ("stops to answer, and its clients wait for it", end(World { traffic: waited_for, ..World::default() })),
        ("never answers, even service", end(World { traffic: never, history: even(), ..World::default() })),
        ("never answers", end(World { traffic: never, ..World::default() })),
        ("its page dies before it fails", end(World { traffic: hides, page_until: 16, ..World::default() })),
        ("its page never answers", end(World { traffic: hides, page_until: 0, ..World::default() })),
        ("a label is renamed", end(World { traffic: BROKEN, label: "status", ..World::default() })),
        ("404 to everything", end(World { traffic: lost, ..World::default() })),
        ("404 to nearly everything, as the primary", end(World { traffic: both_lost, ..World::default() })),
        ("the primary's pages die", end(World { primary_until: 20, ..World::default() })),
        ("no traffic on either side", end(World { traffic: NONE, ..World::default() })),
        ("good", end(World::default())),
    ];
    let all: Vec<String> = all.iter().map(|(what, end)| format!("{what}\n    {end}")).collect();
    insta::assert_snapshot!(all.join("\n"), @r#"
stops to answer, even service
    30s Reject: the canary finished 0 requests in the last 15s, after 90 a second before; an ordinary pod of the primary goes on with 90 a second (after 30s)
stops to answer, nothing known of the past
    160s Inconclusive { clean: false }: the canary finished 0 requests in the last 2m25s, after 90 a second before; an ordinary pod of the primary goes on with 90 a second; requests may hang
stops to answer, and its clients wait for it
    160s Inconclusive { clean: false }: the canary finished 0 requests in the last 2m25s, after 90 a second before; an ordinary pod of the primary goes on with 20 a second; requests may hang
never answers, even service
    160s Inconclusive { clean: false }: the canary has no series http_requests_total, which the primary has; the canary finished 0 requests, an ordinary pod of the primary 14,367: requests may hang, or clients may not have come to it
never answers
    160s Inconclusive { clean: false }: the canary has no series http_requests_total, which the primary has; the canary finished 0 requests, an ordinary pod of the primary 14,400: requests may hang, or clients may not have come to it
its page dies before it fails
    160s Inconclusive { clean: false }: the canary's metrics page has not answered since 08:00:15 UTC, 15s after it was Ready; the primary's do
its page never answers
    160s Inconclusive { clean: false }: the source has no scrape of the canary's pod
a label is renamed
    160s Inconclusive { clean: false }: http_requests_total of the canary has no label code, so nobody can tell which of its requests failed; the canary finished 0 requests, an ordinary pod of the primary 14,400: requests may hang, or clients may not have come to it
404 to everything
    10s Reject: 100% of the canary's answers are client errors (mostly 404: 900 of 900) after 10s, of the primary's 0% (0 of 2,700); if that is meant: canary.client-errors: "off"
404 to nearly everything, as the primary
    60s Promote: error rate 0% (0 of 5,400 requests, at most 0.06%; limit 1%); primary 0%
the primary's pages die
    160s Inconclusive { clean: false }: the primary's pods are not scraped any more, since 08:00:20 UTC
no traffic on either side
    160s Inconclusive { clean: true }: the canary got no requests, so nothing can be said about it
good
    60s Promote: error rate 0% (0 of 5,400 requests, at most 0.06%; limit 1%); primary 0%
"#);
}

#[test]
fn what_is_told_while_it_waits() {
    let mut world = World { page_until: 16, ..World::default() };
    let mut judge = Judge::new(subject());
    world.until(&mut judge, 66);
    insta::assert_snapshot!(world.story.last().unwrap(), @"65s wait 5s: the canary's metrics page has not answered since 08:00:15 UTC, 15s after it was Ready; the primary's do");
    let mut world = World { traffic: BROKEN, label: "status", ..World::default() };
    let mut judge = Judge::new(subject());
    world.until(&mut judge, 12);
    insta::assert_snapshot!(world.story.last().unwrap(), @"10s wait 5s: http_requests_total of the canary has no label code, so nobody can tell which of its requests failed");
}

#[test]
fn client_errors_that_are_meant() {
    let mut subject = subject();
    subject.policy.client_errors = ClientErrors::Off;
    let lost: Traffic = |_| (tally(90.0, 0.0, 90.0), PRIMARY);
    insta::assert_snapshot!(end_of(subject, World { traffic: lost, ..World::default() }), @"60s Promote: error rate 0% (0 of 5,400 requests, at most 0.06%; limit 1%); primary 0%");
}

#[test]
fn a_cold_start() {
    let cold: Traffic = |second| if second < 12 { (tally(90.0, 9.0, 0.0), PRIMARY) } else { (FINE, PRIMARY) };
    insta::assert_snapshot!(end(World { traffic: cold, ..World::default() }), @"10s Reject: error rate 10% (90 of 900 requests) exceeds 1% after 10s; primary 0%");
    let mut subject = subject();
    subject.policy.warm_up = Duration::from_secs(20);
    insta::assert_snapshot!(end_of(subject, World { traffic: cold, ..World::default() }), @"60s Promote: error rate 0% (0 of 3,150 requests, at most 0.11%; limit 1%); primary 0%");
}

#[test]
fn a_worker() {
    let mut subject = subject();
    subject.policy.metrics = Choice::Nothing;
    insta::assert_snapshot!(end_of(subject.clone(), World::default()), @"60s Promote: its pod stayed Ready for 60s; canary.metrics is none");
    subject.policy.checks = Some(List::ConfigMap("more".to_owned()));
    insta::assert_snapshot!(end_of(subject.clone(), World::default()), @"60s Promote: its pod stayed Ready for 60s; canary.metrics is none; check smoke: Job app-canary-smoke succeeded");
    let failed = Failed::Job { name: "app-canary-smoke".to_owned(), reason: "BackoffLimitExceeded".to_owned(), last_words: None };
    let check = Ok(Outcome::Failed(failed));
    insta::assert_snapshot!(end_of(subject, World { check, ..World::default() }), @"0s Reject: check smoke after 0ms: Job app-canary-smoke failed (BackoffLimitExceeded)");
}

#[test]
fn probes_are_no_traffic() {
    let mut subject = subject();
    subject.policy.on_inconclusive = OnInconclusive::Promote;
    subject.policy.max_error_rate = 0.05;
    subject.pod_spec = json!({"containers": [{
        "ports": [{"containerPort": 8080}],
        "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
        "livenessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1},
    }]});
    subject.held_pod_spec = subject.pod_spec.clone();
    let probed: Traffic = |_| (tally(2.0, 0.0, 0.0), PRIMARY);
    insta::assert_snapshot!(end_of(subject, World { traffic: probed, history: even(), ..World::default() }), @"580s Inconclusive { clean: false }: only probes reach the canary: does the Service's targetPort fit?; the canary finished 0 requests, an ordinary pod of the primary 50,921: requests may hang, or clients may not have come to it");
}

/// A registry for each worker process, read in turn.
#[test]
fn what_falls_again_and_again_is_no_counter() {
    insta::assert_snapshot!(end(World { has_workers: true, ..World::default() }), @"160s Inconclusive { clean: false }: http_requests_total of app-canary-77f-ccccc falls without a restart (3 of 32 scrapes): does each worker process keep its own?");
}

//! Whole runs: what is asked, and what comes of it.

use super::world::{BROKEN, FAILING, FINE, GOOD, NONE, NOTHING, PRIMARY, Traffic, even, tally};
use super::*;
use serde_json::json;

use crate::api::policy::{ClientErrors, OnInconclusive};
use crate::judging::verdict::event;

fn story(subject: Subject, mut world: World) -> String {
    let mut judge = Judge::new(subject);
    world.until(&mut judge, 700);
    let news: Vec<String> = judge.news().iter().filter_map(|news| Some(event(news)?.note)).collect();
    format!("{}\n{}", world.story.join("\n"), news.join("\n"))
}

fn short() -> Subject {
    let mut subject = subject();
    subject.policy.duration = Duration::from_secs(20);
    subject
}

#[test]
fn rejected() {
    insta::assert_snapshot!(story(short(), World { traffic: BROKEN, ..World::default() }), @r"
    0s ask pods
    0s ask present
    0s ask history
    0s ask samples #0
    0s wait 1s
    1s ask samples #0
    1s wait 1s
    2s ask samples #0
    2s wait 1s
    3s ask samples #0
    3s wait 1s
    4s ask samples #0
    4s wait 1s
    5s ask samples #0
    5s wait 5s
    10s ask samples #0
    10s Reject: error rate 100% (900 of 900 requests) exceeds 1% after 10s; primary 0%
    reading http_requests_total by code from Prometheus; to fix this choice: canary.metrics: http
    ");
}

#[test]
fn the_first_source_that_knows_the_pods_is_the_runs() {
    let both = || {
        let mut subject = Subject { sources: vec![Origin::Prometheus, Origin::Pages], ..short() };
        subject.policy.deadline = Duration::from_mins(1);
        subject
    };
    let first = |text: String| {
        let lines = text.lines().filter(|line| line.starts_with("0s ask present") || !line.contains(" ask "));
        lines.collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(first(story(both(), World { traffic: BROKEN, knowing: &[Origin::Pages], ..World::default() })), @r"
    0s ask present
    0s ask present on the pods' own metrics pages
    0s wait 1s
    1s wait 1s
    2s wait 1s
    3s wait 1s
    4s wait 1s
    5s wait 5s
    10s Reject: error rate 100% (900 of 900 requests) exceeds 1% after 10s; primary 0%
    reading http_requests_total by code on the pods' own metrics pages (Prometheus has no series of app's pods: is it scraping them?); to fix this choice: canary.metrics: http
    ");
    insta::assert_snapshot!(first(story(both(), World { knowing: &[], ..World::default() })), @r"
    0s ask present
    0s ask present on the pods' own metrics pages
    0s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    2s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    4s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    6s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    8s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    10s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    12s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    14s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    16s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    18s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    20s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    22s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    24s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    26s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    28s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    30s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    32s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    34s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    36s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    38s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    40s Inconclusive { clean: false }: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    ");
    let mut named = both();
    named.policy.metrics =
        Choice::parse("{source: pages, requests: http_requests_total, errors: 'http_requests_total{code=\"500\"}'}").unwrap();
    insta::assert_snapshot!(first(story(named, World { traffic: BROKEN, ..World::default() })), @r#"
    0s ask present on the pods' own metrics pages
    0s wait 1s
    1s wait 1s
    2s wait 1s
    3s wait 1s
    4s wait 1s
    5s wait 5s
    10s Reject: error rate 100% (900 of 900 requests) exceeds 1% after 10s; primary 0%
    reading http_requests_total and http_requests_total{code="500"} on the pods' own metrics pages; to fix this choice: canary.metrics: {source: pages, requests: 'http_requests_total', errors: 'http_requests_total{code="500"}'}
    "#);
    let alone = Subject { sources: vec![Origin::Pages], ..short() };
    insta::assert_snapshot!(first(story(alone, World::default())), @r"
    0s ask present on the pods' own metrics pages
    0s wait 1s
    1s wait 1s
    2s wait 1s
    3s wait 1s
    4s wait 1s
    5s wait 5s
    10s wait 5s
    15s wait 5s
    20s Promote: error rate 0% (0 of 1,800 requests, at most 0.19%; limit 1%); primary 0%
    reading http_requests_total by code on the pods' own metrics pages; to fix this choice: canary.metrics: http
    ");
}

#[test]
fn rejected_by_the_pages() {
    let subject = Subject { reads_pages: true, ..short() };
    insta::assert_snapshot!(story(subject, World { traffic: BROKEN, ..World::default() }), @r"
    0s ask pods
    0s ask present
    0s ask history
    0s ask samples #0
    0s ask places of 3
    0s ask pages of 4 at :8080/metrics
    0s wait 1s
    1s ask samples #0
    1s ask pages of 4 at :8080/metrics
    1s wait 1s
    2s ask samples #0
    2s ask pages of 4 at :8080/metrics
    2s wait 1s
    3s ask samples #0
    3s ask pages of 4 at :8080/metrics
    3s wait 1s
    4s ask samples #0
    4s ask pages of 4 at :8080/metrics
    4s wait 1s
    5s ask samples #0
    5s ask pages of 4 at :8080/metrics
    5s Reject: error rate 100% (450 of 450 requests) exceeds 1% after 5s; primary 0%; counted on the pods' own pages
    reading http_requests_total by code from Prometheus; to fix this choice: canary.metrics: http
    ");
}

#[test]
fn promoted() {
    let mut subject = short();
    subject.policy.checks = Some(List::ConfigMap("more".to_owned()));
    insta::assert_snapshot!(story(subject, World { traffic: GOOD, ..World::default() }), @r"
    0s ask pods
    0s ask present
    0s ask history
    0s ask samples #0
    0s ask configmap more
    0s ask checks smoke
    0s wait 1s
    1s ask samples #0
    1s ask configmap more
    1s ask checks smoke
    1s wait 1s
    2s ask samples #0
    2s ask configmap more
    2s ask checks smoke
    2s wait 1s
    3s ask samples #0
    3s ask configmap more
    3s ask checks smoke
    3s wait 1s
    4s ask samples #0
    4s ask configmap more
    4s ask checks smoke
    4s wait 1s
    5s ask samples #0
    5s ask configmap more
    5s ask checks smoke
    5s wait 5s
    10s ask samples #0
    10s ask configmap more
    10s ask checks smoke
    10s wait 5s
    15s ask pods
    15s ask samples #0
    15s ask configmap more
    15s ask checks smoke
    15s wait 5s
    20s ask samples #0
    20s ask configmap more
    20s ask checks smoke
    20s Promote: error rate 0% (0 of 1,800 requests, at most 0.19%; limit 1%); primary 0%; check smoke: Job app-canary-smoke succeeded
    reading http_requests_total by code from Prometheus; to fix this choice: canary.metrics: http
    ");
}

#[test]
fn inconclusive() {
    let mut subject = short();
    subject.policy.deadline = Duration::from_secs(60);
    insta::assert_snapshot!(story(subject, World { traffic: NONE, ..World::default() }), @r"
    0s ask pods
    0s ask present
    0s ask history
    0s ask samples #0
    0s wait 1s
    1s ask samples #0
    1s wait 1s
    2s ask samples #0
    2s wait 1s
    3s ask samples #0
    3s wait 1s
    4s ask samples #0
    4s wait 1s
    5s ask samples #0
    5s wait 5s
    10s ask samples #0
    10s wait 5s
    15s ask pods
    15s ask samples #0
    15s wait 5s
    20s ask samples #0
    20s wait 5s: the canary got no requests, so nothing can be said about it
    25s ask samples #0
    25s wait 5s: the canary got no requests, so nothing can be said about it
    30s ask pods
    30s ask samples #0
    30s wait 5s: the canary got no requests, so nothing can be said about it
    35s ask samples #0
    35s wait 5s: the canary got no requests, so nothing can be said about it
    40s ask samples #0
    40s Inconclusive { clean: true }: the canary got no requests, so nothing can be said about it
    reading http_requests_total by code from Prometheus; to fix this choice: canary.metrics: http
    ");
}

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
    let check = Ok(Outcome::Failed("Job app-canary-smoke failed".to_owned()));
    insta::assert_snapshot!(end_of(subject, World { check, ..World::default() }), @"0s Reject: check smoke after 0ms: Job app-canary-smoke failed");
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
    let probed: Traffic = |_| (tally(2.0, 0.0, 0.0), PRIMARY);
    insta::assert_snapshot!(end_of(subject, World { traffic: probed, history: even(), ..World::default() }), @"580s Inconclusive { clean: false }: only probes reach the canary: does the Service's targetPort fit?; the canary finished 0 requests, an ordinary pod of the primary 50,921: requests may hang, or clients may not have come to it");
}

/// A registry for each worker process, read in turn.
#[test]
fn what_falls_again_and_again_is_no_counter() {
    insta::assert_snapshot!(end(World { has_workers: true, ..World::default() }), @"160s Inconclusive { clean: false }: http_requests_total of app-canary-77f-ccccc falls without a restart (3 of 32 scrapes): does each worker process keep its own?");
}

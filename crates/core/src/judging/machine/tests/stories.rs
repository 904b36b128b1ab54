//! Whole runs: what is asked, and what comes of it.

use super::world::{BROKEN, GOOD, NONE, Traffic};
use super::*;
use serde_json::json;

use crate::api::policy::OnInconclusive;
use crate::facts::event::Event;
use crate::message::events::note;

pub(super) fn story(subject: Subject, mut world: World) -> String {
    let mut judge = Judge::new(subject);
    world.until(&mut judge, 700);
    let told = |news| if let News::Reading(reading) = news { Some(note(&Event::Reading(reading))) } else { None };
    let news: Vec<String> = judge.news().into_iter().filter_map(told).collect();
    format!("{}\n{}", world.story.join("\n"), news.join("\n"))
}

pub(super) fn short() -> Subject {
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
    5s ask present
    5s ask samples #0
    5s wait 5s
    10s ask samples #0
    10s Reject: error rate 100% (900 of 900 requests) exceeds 1% after 10s; primary 0%
    reading http_requests_total by code from Prometheus; to fix this choice: canary.metrics: http
    ");
}

#[test]
fn one_registry_at_two_ports_is_judged_once() {
    let with_ports = |containers: serde_json::Value| {
        let subject = Subject { pod_spec: json!({"containers": containers}), ..short() };
        let story = story(subject, World { traffic: BROKEN, ports: &[8080, 9090], ..World::default() });
        story
            .lines()
            .filter(|line| line.contains("recent") || !line.contains(" ask ") && !line.contains(" wait "))
            .collect::<Vec<_>>()
            .join("\n")
    };
    let one = json!([{"ports": [{"containerPort": 8080}, {"containerPort": 9090}]}]);
    insta::assert_snapshot!(with_ports(one), @r#"
    0s ask recent
    10s Reject: error rate 100% (900 of 900 requests) exceeds 1% after 10s; primary 0%
    reading http_requests_total{instance=~".+:8080"} by code from Prometheus; to fix this choice: canary.metrics: {requests: 'http_requests_total{instance=~".+:8080"}', errors: 'http_requests_total{instance=~".+:8080",code=~"5.+"}'}
    "#);
    let two = json!([{"ports": [{"containerPort": 8080}]}, {"ports": [{"containerPort": 9090}]}]);
    insta::assert_snapshot!(with_ports(two), @r#"
    0s ask recent
    10s Reject: http_requests_total{instance=~".+:8080"} by code: error rate 100% (900 of 900 requests) exceeds 1% after 10s; primary 0%; http_requests_total{instance=~".+:9090"} by code: error rate 100% (900 of 900 requests) exceeds 1% after 10s; primary 0%
    reading http_requests_total{instance=~".+:8080"} by code and http_requests_total{instance=~".+:9090"} by code from Prometheus; to fix this choice: canary.metrics: [{requests: 'http_requests_total{instance=~".+:8080"}', errors: 'http_requests_total{instance=~".+:8080",code=~"5.+"}'}, {requests: 'http_requests_total{instance=~".+:9090"}', errors: 'http_requests_total{instance=~".+:9090",code=~"5.+"}'}]
    "#);
}

/// Whoever stands between may say of a canary that it is good.
#[test]
fn pages_of_nobody_known_promote_nothing() {
    let of = |traffic: Traffic| {
        let mut subject = Subject { sources: vec![Origin::Pages], ..short() };
        (subject.policy.deadline, subject.policy.on_inconclusive) = (Duration::from_mins(1), OnInconclusive::Promote);
        let story = story(subject, World { traffic, is_unverified: true, ..World::default() });
        story.lines().filter(|line| !line.contains(" ask ") && !line.ends_with('s')).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(of(GOOD), @r"
    0s wait 1s: the pods' metrics pages come over TLS, and Coalmine has no --pages-ca-file to tell whose they are: they may reject, and promote nothing
    1s wait 1s: the pods' metrics pages come over TLS, and Coalmine has no --pages-ca-file to tell whose they are: they may reject, and promote nothing
    2s wait 1s: the pods' metrics pages come over TLS, and Coalmine has no --pages-ca-file to tell whose they are: they may reject, and promote nothing
    3s wait 1s: the pods' metrics pages come over TLS, and Coalmine has no --pages-ca-file to tell whose they are: they may reject, and promote nothing
    4s wait 1s: the pods' metrics pages come over TLS, and Coalmine has no --pages-ca-file to tell whose they are: they may reject, and promote nothing
    5s wait 5s: the pods' metrics pages come over TLS, and Coalmine has no --pages-ca-file to tell whose they are: they may reject, and promote nothing
    10s wait 5s: the pods' metrics pages come over TLS, and Coalmine has no --pages-ca-file to tell whose they are: they may reject, and promote nothing
    15s wait 5s: the pods' metrics pages come over TLS, and Coalmine has no --pages-ca-file to tell whose they are: they may reject, and promote nothing
    20s wait 5s: the pods' metrics pages come over TLS, and Coalmine has no --pages-ca-file to tell whose they are: they may reject, and promote nothing
    25s wait 5s: the pods' metrics pages come over TLS, and Coalmine has no --pages-ca-file to tell whose they are: they may reject, and promote nothing
    30s wait 5s: the pods' metrics pages come over TLS, and Coalmine has no --pages-ca-file to tell whose they are: they may reject, and promote nothing
    35s wait 5s: the pods' metrics pages come over TLS, and Coalmine has no --pages-ca-file to tell whose they are: they may reject, and promote nothing
    40s Inconclusive { clean: false }: the pods' metrics pages come over TLS, and Coalmine has no --pages-ca-file to tell whose they are: they may reject, and promote nothing
    reading http_requests_total by code on the pods' own metrics pages; to fix this choice: canary.metrics: http
    ");
    assert!(of(NONE).contains("Inconclusive { clean: false }"), "{}", of(NONE));
    insta::assert_snapshot!(of(BROKEN), @r"
    0s wait 1s: the pods' metrics pages come over TLS, and Coalmine has no --pages-ca-file to tell whose they are: they may reject, and promote nothing
    1s wait 1s: the pods' metrics pages come over TLS, and Coalmine has no --pages-ca-file to tell whose they are: they may reject, and promote nothing
    2s wait 1s: the pods' metrics pages come over TLS, and Coalmine has no --pages-ca-file to tell whose they are: they may reject, and promote nothing
    3s wait 1s: the pods' metrics pages come over TLS, and Coalmine has no --pages-ca-file to tell whose they are: they may reject, and promote nothing
    4s wait 1s: the pods' metrics pages come over TLS, and Coalmine has no --pages-ca-file to tell whose they are: they may reject, and promote nothing
    5s wait 5s: the pods' metrics pages come over TLS, and Coalmine has no --pages-ca-file to tell whose they are: they may reject, and promote nothing
    10s Reject: error rate 100% (900 of 900 requests) exceeds 1% after 10s; primary 0%
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
    5s ask present
    5s ask samples #0
    5s ask pages of 4 at :8080/metrics
    5s Reject: error rate 100% (450 of 450 requests) exceeds 1% after 5s; primary 0%; counted on the pods' own pages
    reading http_requests_total by code from Prometheus; to fix this choice: canary.metrics: http
    ");
}

/// What is remembered of the verdict are its own numbers.
#[test]
fn the_pages_numbers_are_told_with_their_verdict() {
    let mut judge = Judge::new(Subject { reads_pages: true, ..short() });
    World { traffic: BROKEN, ..World::default() }.until(&mut judge, 700);
    let looked = judge.news().into_iter().rev().find_map(|news| if let News::Looked(look) = news { Some(look) } else { None }).unwrap();
    assert_eq!((looked.canary.requests, looked.canary.failures, looked.primary.failures), (450.0, 450.0, 0.0));
    assert!(looked.against >= 100.0, "{looked:?}");
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
    5s ask present
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
    20s ask present
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
    5s ask present
    5s ask samples #0
    5s wait 5s
    10s ask samples #0
    10s wait 5s
    15s ask pods
    15s ask samples #0
    15s wait 5s
    20s ask present
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

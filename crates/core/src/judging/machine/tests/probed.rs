//! A held template whose pod is probed otherwise than the live one's: what the kubelet asks of either is nobody's traffic. A row for each.

use serde_json::{Value, json};

use super::opponent::{counters, end_of, is_of_the_canary, set};
use super::world::{Traffic, World, even, subject, tally};
use super::*;
use crate::metrics::counting::{History, Series as Counter};

/// Both of its probes ask there, so often.
fn probed(path: &str, period: u64) -> Value {
    let probe = json!({"httpGet": {"path": path, "port": 8080}, "periodSeconds": period});
    json!({"containers": [{"ports": [{"containerPort": 8080}], "livenessProbe": probe, "readinessProbe": probe}]})
}

fn tried(live: Value, held: Value) -> Subject {
    let mut subject = Subject { held_pod_spec: held, pod_spec: live, ..subject() };
    subject.policy.max_error_rate = 0.05;
    subject
}

/// An hour of so many requests a second at each pod, in scrapes of fifteen seconds.
fn past(per_second: f64) -> History {
    let minute = vec![vec![tally(per_second * 15.0, 0.0, 0.0); 3]; 20];
    History { windows: vec![minute; 12], shares: vec![vec![per_second * 60.0; 3]; 60], ..even() }
}

fn end(subject: Subject, traffic: Traffic, writing: fn(&mut Vec<Counter>, i64), past: History) -> String {
    end_of(subject, World { traffic, writing, history: past, ..World::default() })
}

/// The route of all that was asked.
fn at_their_paths(series: &mut [Counter]) {
    for one in counters(series) {
        let path = if is_of_the_canary(one) { "/checkz" } else { "/alive" };
        set(one, "path", path);
    }
}

#[test]
fn nothing_is_let_in_for_answering_its_own_probes() {
    // Nobody else asks.
    let probes: Traffic = |_| (tally(2.0, 0.0, 0.0), tally(0.6, 0.0, 0.0));
    // Users ask, and get no answer from the canary.
    let alone: Traffic = |_| (tally(2.0, 0.0, 0.0), tally(6.6, 0.0, 0.0));
    insta::assert_snapshot!(super::opponent::told(&[
        ("another path", end(tried(probed("/alive", 10), probed("/checkz", 1)), probes, |series, _| at_their_paths(series), past(0.0))),
        ("more often, without a label", end(tried(probed("/", 10), probed("/", 1)), probes, |_, _| {}, past(0.27))),
        ("more often, beside a service that is asked", end(tried(probed("/", 10), probed("/", 1)), alone, |_, _| {}, past(2.27))),
    ]), @r"
    another path
        160s Inconclusive { clean: true }: the canary got no requests, so nothing can be said about it
    more often, without a label
        160s Inconclusive { clean: true }: the canary got no requests, so nothing can be said about it
    more often, beside a service that is asked
        160s Inconclusive { clean: false }: only probes reach the canary: does the Service's targetPort fit?; the canary finished 0 requests, an ordinary pod of the primary 285: requests may hang, or clients may not have come to it
    ");
}

#[test]
fn who_is_probed_less_often_keeps_its_traffic() {
    let fewer: Traffic = |_| (tally(2.2, 0.0, 0.0), tally(12.0, 0.0, 0.0));
    insta::assert_snapshot!(super::opponent::told(&[
        ("less often", end(tried(probed("/", 1), probed("/", 10)), fewer, |_, _| {}, past(4.07))),
        ("no more", end(tried(probed("/", 1), json!({"containers": [{"ports": [{"containerPort": 8080}]}]})), fewer, |_, _| {}, past(4.07))),
    ]), @r"
    less often
        60s Promote: error rate 0% (0 of 105 requests, at most 3.2%; limit 5%); primary 0%
    no more
        60s Promote: error rate 0% (0 of 119 requests, at most 2.8%; limit 5%); primary 0%
    ");
}

//! Pods that serve a registry at each of two ports, of which the held template moves one. A row for each.

use serde_json::{Value, json};

use super::opponent::{counters, end_of, is_of_the_canary, set, told};
use super::world::{GOOD, World, even, subject};
use super::*;
use crate::metrics::counting::Series as Counter;

fn opened(admin: u16) -> Value {
    json!({"containers": [{"ports": [{"containerPort": 8080, "name": "http"}, {"containerPort": admin, "name": "admin"}]}]})
}

/// Half as many requests at the second port, of which the canary's have this code.
fn at_the_second(series: &mut Vec<Counter>, canary: &str, code: &str) {
    let mut second = series.clone();
    for one in &mut second {
        let port = if is_of_the_canary(one) { canary } else { "9090" };
        let instance = one.label("instance").replace("8080", port);
        set(one, "instance", &instance);
    }
    for one in counters(&mut second) {
        one.samples.iter_mut().for_each(|sample| sample.value *= 0.5);
        if is_of_the_canary(one) {
            set(one, "code", code);
        }
    }
    series.extend(second);
}

fn end(admin: u16, writing: fn(&mut Vec<Counter>, i64)) -> String {
    let subject = Subject { pod_spec: opened(9090), held_pod_spec: opened(admin), ..subject() };
    end_of(subject, World { traffic: GOOD, writing, history: even(), ..World::default() })
}

#[test]
fn a_registry_is_read_where_the_held_template_serves_it() {
    insta::assert_snapshot!(told(&[
        ("it moves", end(9091, |series, _| at_the_second(series, "9091", "200"))),
        ("it moves, and fails there", end(9091, |series, _| at_the_second(series, "9091", "500"))),
        ("it stays, and fails there", end(9090, |series, _| at_the_second(series, "9090", "500"))),
    ]), @r#"
    it moves
        60s Promote: http_requests_total{instance=~".+:8080"} by code: error rate 0% (0 of 5,387 requests, at most 0.06%; limit 1%); primary 0%; http_requests_total{instance=~".+:(9090|9091)"} by code: error rate 0% (0 of 2,687 requests, at most 0.13%; limit 1%); primary 0%
    it moves, and fails there
        10s Reject: http_requests_total{instance=~".+:(9090|9091)"} by code: error rate 100% (450 of 450 requests) exceeds 1% after 10s; primary 0%
    it stays, and fails there
        10s Reject: http_requests_total{instance=~".+:9090"} by code: error rate 100% (450 of 450 requests) exceeds 1% after 10s; primary 0%
    "#);
}

//! Sequences with lists in which one key stands twice: kubectl's client-side apply and patches make such, and nothing refuses them.

use rstest::rstest;
use serde_json::{Value, json};

use super::{
    files::{app, ends_as_without_coalmine, template},
    step::Step::{self, ClientSideApply, Merge, Promote, Put, SecondApply, ServerSideApply, Strategic},
};

/// The API server refuses a part that states a name twice, whatever is on trial.
#[test]
#[ignore = "needs a control plane"]
fn a_part_that_states_a_name_twice() {
    let variable = |name: &str, value: &str| json!({"name": name, "value": value});
    let app = |env: Value| template(&json!([{"name": "app", "image": "registry.example/app:a", "env": env}]));
    let second = SecondApply(json!({"spec": {"containers": [{"name": "app", "env": [{"name": "SECOND", "value": "1"}]}]}}));
    let (a, b) =
        (ServerSideApply(app(json!([variable("VA", "1")]))), ServerSideApply(app(json!([variable("VA", "1"), variable("VB", "1")]))));
    let twice = ServerSideApply(app(json!([variable("VA", "1"), variable("VA", "2")])));
    ends_as_without_coalmine(&[a, b, second.clone(), twice, second]);
}

/// Lists of one template, in which a key stands once or twice.
struct Lists {
    once: Value,
    another: Value,
    twice: Value,
    /// A patch that adds something to that list.
    adds: Step,
    /// Another applier's part of it.
    part: Step,
}

fn with(image: &str, list: &str, items: &Value, annotation: &str) -> Value {
    let mut template = app(image, &json!([]), &json!({"a": annotation}));
    match list {
        "imagePullSecrets" => template["spec"][list] = items.clone(),
        of_container => template["spec"]["containers"][0][of_container] = items.clone(),
    }
    template
}

fn lists(list: &str) -> Lists {
    let item = |name: &str, value: &str| match list {
        "env" => json!({"name": name, "value": value}),
        "ports" => json!({"containerPort": name.len() + 8000, "protocol": "TCP", "name": format!("p{}{value}", name.len())}),
        _ => json!({"name": name.to_lowercase()}),
    };
    let patch = |items: Value| match list {
        "imagePullSecrets" => json!({"spec": {list: items}}),
        _ => json!({"spec": {"containers": [{"name": "app", list: items}]}}),
    };
    Lists {
        once: json!([item("VBBBB", "1")]),
        another: json!([item("VC", "1"), item("VDD", "1")]),
        twice: json!([item("VC", "1"), item("VDD", "1"), item("VC", "2")]),
        adds: Strategic(json!({"spec": {"template": patch(json!([item("STAKATER", "1")]))}})),
        part: SecondApply(patch(json!([item("SECONDPART", "1")]))),
    }
}

/// By client-side apply, which alone can create such, then the same with other things on trial, and changed there.
#[rstest]
#[ignore = "needs a control plane"]
fn a_file_comes_again_after_changes(#[values("env", "ports", "imagePullSecrets")] list: &str) {
    let Lists { once, another, twice, adds, part } = lists(list);
    let taken = Merge(json!({"spec": {"template": {"metadata": {"annotations": null}}}}));
    for (a, b) in [(&twice, &once), (&once, &twice), (&twice, &another), (&twice, &twice)] {
        let (a, b) = (with("a", list, a, "1"), with("b", list, b, "2"));
        let (a, applied, put) = (ClientSideApply(a), ClientSideApply(b.clone()), Put(b));
        ends_as_without_coalmine(&[a.clone(), applied.clone(), adds.clone(), taken.clone(), applied.clone(), Promote]);
        ends_as_without_coalmine(&[a.clone(), applied.clone(), part.clone(), taken.clone(), applied, Promote]);
        ends_as_without_coalmine(&[a.clone(), put.clone(), adds.clone(), taken.clone(), put.clone(), Promote]);
        ends_as_without_coalmine(&[a, put, adds.clone()]);
    }
}

/// By server-side apply, which states none of them twice, beside what another client has left there.
#[rstest]
#[ignore = "needs a control plane"]
fn a_part_of_what_is_there_twice(#[values("env", "ports", "imagePullSecrets")] list: &str) {
    let Lists { once, another, twice, adds, part } = lists(list);
    let taken = Merge(json!({"spec": {"template": {"metadata": {"annotations": null}}}}));
    let first = ClientSideApply(with("a", list, &twice, "1"));
    for items in [&once, &another] {
        let (b, c) = (ServerSideApply(with("b", list, items, "2")), ServerSideApply(with("c", list, items, "2")));
        ends_as_without_coalmine(&[first.clone(), b.clone(), part.clone(), b.clone(), Promote]);
        ends_as_without_coalmine(&[first.clone(), part.clone(), b.clone(), part.clone(), c.clone(), Promote]);
        ends_as_without_coalmine(&[first.clone(), b.clone(), adds.clone(), taken.clone(), b.clone(), Promote]);
        ends_as_without_coalmine(&[first.clone(), b.clone(), part.clone(), adds.clone(), taken.clone(), c, Promote]);
    }
}

/// kubectl takes two ports of one number for one, whatever their protocols are, and a file of such makes one of them.
#[test]
#[ignore = "needs a control plane"]
fn two_ports_of_one_number() {
    let item = |protocol: &str| json!({"containerPort": 53, "protocol": protocol});
    let (a, b) = (json!([{"containerPort": 8080}]), json!([item("UDP"), item("TCP")]));
    let (a, b) = (ClientSideApply(with("a", "ports", &a, "1")), ClientSideApply(with("b", "ports", &b, "2")));
    let taken = Merge(json!({"spec": {"template": {"metadata": {"annotations": null}}}}));
    ends_as_without_coalmine(&[a.clone(), b.clone(), taken.clone(), b.clone(), Promote]);
    ends_as_without_coalmine(&[b.clone(), a, taken, b, Promote]);
}

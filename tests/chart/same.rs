//! The chart beside `deploy/`, and both as the API server makes them: asked by a dry run, so that its defaults are the real ones.

use rstest::rstest;
use serde_json::{Value, json};

use super::{NAMESPACE, name, objects, rendered, repository};
use crate::support::{
    control_plane::{ControlPlane, api_server},
    kubectl::Kubectl,
};

/// What the API server would store of each object, sorted; nothing is written but the namespace that they need.
fn stored(control_plane: &ControlPlane, objects: &[Value]) -> Vec<Value> {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    control_plane.apply(&format!("/api/v1/namespaces/{NAMESPACE}"), &namespace);
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    let kubectl = Kubectl::of(control_plane);
    let output = kubectl.run_with(&["apply", "--dry-run=server", "--output=json", "-f", "-"], &list.to_string(), &[]).succeeded();
    let answer: Value = serde_json::from_str(&output.stdout).unwrap();
    let mut stored: Vec<Value> = answer["items"].as_array().unwrap().iter().map(without_the_servers_own).collect();
    stored.sort_by_key(name);
    assert_eq!(stored.len(), objects.len());
    stored
}

fn without_the_servers_own(object: &Value) -> Value {
    let mut object = object.clone();
    let metadata = object["metadata"].as_object_mut().unwrap();
    for field in ["creationTimestamp", "generation", "managedFields", "resourceVersion", "uid"] {
        metadata.remove(field);
    }
    if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
        for own in ["kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/revision"] {
            annotations.remove(own);
        }
    }
    if metadata.get("annotations").is_some_and(|annotations| annotations == &json!({})) {
        metadata.remove("annotations");
    }
    object.as_object_mut().unwrap().remove("status");
    if object["kind"] == "Service" {
        // Given out, not defaulted.
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
            object["spec"].as_object_mut().unwrap().remove(field);
        }
    }
    object
}

fn sorted(mut objects: Vec<Value>) -> Vec<Value> {
    objects.sort_by_key(name);
    objects
}

/// The paths at which two values differ, for a message that can be read.
fn differences(path: &str, left: &Value, right: &Value, found: &mut Vec<String>) {
    match (left, right) {
        (Value::Object(one), Value::Object(other)) => {
            for key in one.keys().chain(other.keys().filter(|key| !one.contains_key(*key))) {
                differences(&format!("{path}.{key}"), &left[key], &right[key], found);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (index, (one, other)) in one.iter().zip(other).enumerate() {
                differences(&format!("{path}[{index}]"), one, other, found);
            }
        }
        _ if left == right => {}
        // kustomize breaks folded lines anew; CEL sees words.
        (Value::String(one), Value::String(other))
            if path.ends_with(".expression") && one.split_whitespace().eq(other.split_whitespace()) => {}
        _ => found.push(format!("{path}: {left} and {right}")),
    }
}

#[track_caller]
fn assert_same(left: &[Value], right: &[Value]) {
    let names = |objects: &[Value]| objects.iter().map(name).collect::<Vec<_>>();
    assert_eq!(names(left), names(right));
    let mut found = Vec::new();
    for (left, right) in left.iter().zip(right) {
        differences(&name(left), left, right, &mut found);
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// But for the namespace, which Helm makes itself (`--create-namespace`) and won't take as a part of a chart.
#[rstest]
#[case::the_default("deploy", &[])]
#[case::with_monitors("deploy/monitors", &["--set=rbac.monitors=true"])]
#[ignore = "needs a control plane"]
fn the_chart_installs_what_kustomize_installs(#[case] directory: &str, #[case] values: &[&str]) {
    let control_plane = api_server();
    let deploy = repository().join(directory).display().to_string();
    let kustomized = Kubectl::of(control_plane).run(&["kustomize", &deploy]).succeeded().stdout;
    let kustomized: Vec<Value> = objects(&kustomized).into_iter().filter(|object| object["kind"] != "Namespace").collect();
    let chart = objects(&rendered(values).unwrap());
    assert_same(&stored(control_plane, &chart), &stored(control_plane, &kustomized));
}

/// What an API server adds would be a difference to whoever compares (Argo CD, `helm diff`) for ever.
#[test]
#[ignore = "needs a control plane"]
fn every_default_is_written_out() {
    let chart = objects(&rendered(&[]).unwrap());
    assert_same(&sorted(chart.clone()), &stored(api_server(), &chart));
}

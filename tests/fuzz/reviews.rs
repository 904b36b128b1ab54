//! Whole reviews that a hostile client would bring about: every one gets an answer, and none meets a fault.

use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

use super::texts::fuzz;
use crate::reviews::Reviewer;

/// Objects as a hostile client would send them: known keys, with anything below them.
fn object() -> impl Strategy<Value = Value> {
    let keys = [
        "metadata",
        "annotations",
        "labels",
        "spec",
        "template",
        "selector",
        "matchLabels",
        "containers",
        "name",
        "namespace",
        "uid",
        "status",
        "managedFields",
        "fieldsV1",
        "f:spec",
        "f:template",
        "manager",
        "operation",
        "deletionTimestamp",
        "ownerReferences",
        "replicas",
        "strategy",
        "canary.enabled",
        "canary.checks",
        "canary.metrics",
        "canary.state/held",
        "canary.state/phase",
        "canary.state/rejected",
        "kubectl.kubernetes.io/last-applied-configuration",
        "coalmine.dev/active",
    ];
    let leaf = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
        select(vec!["true", "held", "false", "Update", "Apply", "{", "{}", "app", "Held", "Running", "[]"]).prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
    ];
    let any = leaf.prop_recursive(6, 60, 6, move |inner| {
        prop_oneof![
            1 => proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            4 => proptest::collection::vec((select(keys.to_vec()), inner), 0..6)
                .prop_map(|pairs| pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    });
    (any.clone(), any.clone(), any).prop_map(|(annotations, template, rest)| {
        let annotations = if annotations.is_object() { annotations } else { json!({"canary.enabled": "true"}) };
        json!({"metadata": {"name": "app", "annotations": annotations, "managedFields": rest}, "spec": {"template": template}, "status": rest})
    })
}

#[test]
fn reviews() {
    let reviewer = Reviewer::new();
    let operation = select(vec!["CREATE", "UPDATE", "DELETE", "CONNECT", ""]);
    fuzz((object(), object(), operation, "[a-z:]{0,20}"), |(old, new, operation, user)| {
        let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
            "uid": "1", "name": "app", "namespace": "shop", "operation": operation, "userInfo": {"username": user}, "oldObject": old, "object": new,
        }});
        let (answer, _) = reviewer.post(review.to_string().as_bytes());
        let text = String::from_utf8_lossy(&answer);
        assert!(!text.contains("fault"), "{review}: {text}");
    });
    fuzz(proptest::collection::vec(any::<u8>(), 0..300), |bytes| drop(reviewer.post(&bytes)));
}

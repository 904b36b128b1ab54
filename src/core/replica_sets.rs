//! The primary's ReplicaSets: where the Deployment controller leaves copies of our annotations, and what tells which old templates can
//! still be gone back to.

use serde_json::{Map, Value, json};

use super::{object, template};
use crate::api::annotations::STATE_PREFIX;

const TEMPLATE_HASH_LABEL: &str = "pod-template-hash";

/// The primary's own selector, as a query.
pub fn selector(primary: &Value) -> String {
    let labels = primary.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
    let pairs = labels.into_iter().flatten().filter_map(|(name, value)| Some(format!("{name}={}", value.as_str()?)));
    pairs.collect::<Vec<_>>().join(",")
}

pub fn is_owned_by(set: &Value, deployment: &Value) -> bool {
    let owners = set.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    owners.is_some_and(|owners| owners.iter().any(|owner| owner.get("uid").and_then(Value::as_str) == Some(object::uid(deployment))))
}

/// The merge patch that takes our annotations away; `None` where there are none.
pub fn without_state(set: &Value) -> Option<Value> {
    let ours: Map<String, Value> =
        object::annotations(set).keys().filter(|name| name.starts_with(STATE_PREFIX)).map(|name| (name.clone(), Value::Null)).collect();
    (!ours.is_empty()).then(|| json!({"metadata": {"annotations": ours}}))
}

/// The proven templates that still have a ReplicaSet, or are live.
pub fn still_there(proven: &str, sets: &[&Value], primary: &Value) -> String {
    let mut there: Vec<String> = sets.iter().map(|set| template::hash(&template_of(set))).collect();
    there.push(template::hash(object::template(primary)));
    proven.split(',').filter(|hash| there.iter().any(|known| known == hash)).collect::<Vec<_>>().join(",")
}

/// A ReplicaSet's template is the Deployment's, with one label more.
fn template_of(set: &Value) -> Value {
    let mut template = object::template(set).clone();
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove(TEMPLATE_HASH_LABEL);
    }
    template
}

/// What the names of a Deployment's pods begin with, one for each of its ReplicaSets that has pods.
pub fn pod_prefixes(sets: &[&Value]) -> Vec<String> {
    let has_pods = |set: &&&Value| {
        let count = |pointer: &str| set.pointer(pointer).and_then(Value::as_i64).unwrap_or_default();
        count("/spec/replicas") > 0 || count("/status/replicas") > 0
    };
    sets.iter().filter(has_pods).map(|set| format!("{}-", object::name(set))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(env: &str) -> Value {
        json!({"metadata": {"name": format!("app-{env}"), "ownerReferences": [{"uid": "u"}], "annotations": {"canary.state/held": "x", "other": "y"}},
               "spec": {"replicas": 1, "template": {"metadata": {"labels": {"app": "app", "pod-template-hash": env}}, "spec": {"env": env}}}})
    }

    fn deployment(env: &str) -> Value {
        json!({"metadata": {"uid": "u"}, "spec": {"selector": {"matchLabels": {"app": "app", "b": "c"}},
               "template": {"metadata": {"labels": {"app": "app"}}, "spec": {"env": env}}}})
    }

    #[test]
    fn a_template_without_its_replica_set_is_no_rollback() {
        let hash = |env| template::hash(object::template(&deployment(env)));
        let proven = format!("{},{},{}", hash("live"), hash("old"), hash("gone"));
        assert_eq!(still_there(&proven, &[&set("old")], &deployment("live")), format!("{},{}", hash("live"), hash("old")));
    }

    #[test]
    fn only_our_annotations_go() {
        assert_eq!(without_state(&set("x")), Some(json!({"metadata": {"annotations": {"canary.state/held": null}}})));
        assert_eq!(without_state(&json!({})), None);
    }

    #[test]
    fn owned_selected_and_named() {
        assert!(is_owned_by(&set("x"), &deployment("x")));
        assert_eq!(selector(&deployment("x")), "app=app,b=c");
        assert_eq!(pod_prefixes(&[&set("x"), &json!({"metadata": {"name": "empty"}})]), ["app-x-"]);
    }
}

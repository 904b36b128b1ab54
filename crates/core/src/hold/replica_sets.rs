//! The primary's ReplicaSets: where the Deployment controller leaves copies of our annotations, and what tells which old templates can
//! still be gone back to.

use serde_json::{Map, Value, json};

use crate::api::annotations::STATE_PREFIX;
use crate::manifest::{
    identity::Identity,
    managed_fields::{TemplateOwners, template_owners},
    object,
};
use crate::standing::Standing;

const TEMPLATE_HASH_LABEL: &str = "pod-template-hash";

/// The primary's own selector, as a query.
pub fn selector(primary: &Value) -> String {
    let selector = primary.pointer("/spec/selector").unwrap_or(&Value::Null);
    let labels = selector.get("matchLabels").and_then(Value::as_object);
    let equal = labels.into_iter().flatten().filter_map(|(name, value)| Some(format!("{name}={}", value.as_str()?)));
    let expressions = selector.get("matchExpressions").and_then(Value::as_array);
    equal.chain(expressions.into_iter().flatten().filter_map(requirement)).collect::<Vec<_>>().join(",")
}

fn requirement(expression: &Value) -> Option<String> {
    let key = expression.get("key")?.as_str()?;
    let values = || {
        let values = expression.get("values").and_then(Value::as_array).into_iter().flatten();
        values.filter_map(Value::as_str).collect::<Vec<_>>().join(",")
    };
    match expression.get("operator")?.as_str()? {
        "In" => Some(format!("{key} in ({})", values())),
        "NotIn" => Some(format!("{key} notin ({})", values())),
        "Exists" => Some(key.to_owned()),
        "DoesNotExist" => Some(format!("!{key}")),
        _ => None,
    }
}

/// The merge patch that takes our annotations away; `None` where there are none.
pub fn without_state(set: &Value) -> Option<Value> {
    let ours: Map<String, Value> =
        object::annotations(set).keys().filter(|name| name.starts_with(STATE_PREFIX)).map(|name| (name.clone(), Value::Null)).collect();
    (!ours.is_empty()).then(|| json!({"metadata": {"annotations": ours}}))
}

/// The list of proven templates without those that have no ReplicaSet any more and are not live. `None` where none is missing.
pub fn shortened_proven(sets: &[&Value], primary: &Value) -> Option<String> {
    let mut there: Vec<Identity> = sets.iter().map(|set| Identity::of(&template_of(set), &owners_of(set))).collect();
    there.push(Identity::of_object(primary));
    let proven: Vec<&str> = Standing::of(primary).proven().collect();
    let kept: Vec<&str> = proven.iter().copied().filter(|text| there.iter().any(|known| known.is(text))).collect();
    (kept != proven).then(|| kept.join(","))
}

/// A ReplicaSet's template is the Deployment's, with one label more.
fn template_of(set: &Value) -> Value {
    let mut template = object::template(set).clone();
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove(TEMPLATE_HASH_LABEL);
    }
    template
}

fn owners_of(set: &Value) -> TemplateOwners {
    template_owners(set.get("metadata").unwrap_or(&Value::Null))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{references, template};

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
        let mut live = deployment("live");
        live["metadata"]["annotations"] = json!({"canary.state/proven": proven});
        assert_eq!(shortened_proven(&[&set("old")], &live), Some(format!("{},{}", hash("live"), hash("old"))));
        assert_eq!(shortened_proven(&[&set("old"), &set("gone")], &live), None);
    }

    #[test]
    fn only_our_annotations_go() {
        assert_eq!(without_state(&set("x")), Some(json!({"metadata": {"annotations": {"canary.state/held": null}}})));
        assert_eq!(without_state(&json!({})), None);
    }

    #[test]
    fn owned_and_selected() {
        assert!(references::is_owned_by(&set("x"), &deployment("x")));
        assert_eq!(selector(&deployment("x")), "app=app,b=c");
        let by_expressions = json!({"spec": {"selector": {"matchExpressions": [
            {"key": "app", "operator": "In", "values": ["a", "b"]}, {"key": "x", "operator": "NotIn", "values": ["c"]},
            {"key": "y", "operator": "Exists"}, {"key": "z", "operator": "DoesNotExist"}]}}});
        assert_eq!(selector(&by_expressions), "app in (a,b),x notin (c),y,!z");
    }
}

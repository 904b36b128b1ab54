//! Comparing and naming pod templates, which stay `serde_json::Value` so that no field newer than this program is lost.
//! Nothing here reads what a template means.

use std::collections::BTreeMap;

use serde::{
    Serialize, Serializer,
    ser::{SerializeMap as _, SerializeSeq as _},
};
use serde_json::Value;

use crate::names;

/// Equal but for what the API server itself leaves open: a `null` (such as `creationTimestamp: null`, which older servers write and newer
/// ones do not) is the same as nothing.
pub fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Object(left), Value::Object(right)) => {
            left.iter().all(|(key, value)| value.is_null() || right.get(key).is_some_and(|other| same(value, other)))
                && right.iter().all(|(key, value)| value.is_null() || left.get(key).is_some_and(|other| !other.is_null()))
        }
        (Value::Array(left), Value::Array(right)) => left.len() == right.len() && left.iter().zip(right).all(|(l, r)| same(l, r)),
        _ => left == right,
    }
}

/// The first place where two values differ, as a path that a person can follow: list items by their `name`, where they have one.
pub fn first_difference(left: &Value, right: &Value, path: &str) -> Option<String> {
    if same(left, right) {
        return None;
    }
    match (left, right) {
        (Value::Object(l), Value::Object(r)) => l.keys().chain(r.keys()).find_map(|name| {
            let (left, right) = (l.get(name).unwrap_or(&Value::Null), r.get(name).unwrap_or(&Value::Null));
            first_difference(left, right, &format!("{path}.{name}"))
        }),
        (Value::Array(l), Value::Array(r)) => {
            let longest = l.len().max(r.len());
            (0..longest).find_map(|index| {
                let (left, right) = (l.get(index).unwrap_or(&Value::Null), r.get(index).unwrap_or(&Value::Null));
                let label =
                    [left, right].iter().find_map(|v| v.get("name").and_then(Value::as_str)).map_or(index.to_string(), str::to_owned);
                first_difference(left, right, &format!("{path}[{label}]"))
            })
        }
        _ => Some(path.to_owned()),
    }
}

/// A name for a template: 128 bits of SHA-256 over its canonical text, in hexadecimal.
pub fn hash(template: &Value) -> String {
    digest(&WithoutNulls(template))
}

/// The same of what is written out in that way.
pub(super) fn digest(written: &impl Serialize) -> String {
    names::digest(&[&text(written)], 16)
}

/// The image of each container.
pub fn images(template: &Value) -> BTreeMap<String, String> {
    let containers = ["/spec/initContainers", "/spec/containers"].into_iter().filter_map(|path| template.pointer(path)?.as_array());
    let images = containers.flatten().filter_map(|container| {
        let part = |name: &str| container.get(name)?.as_str().map(str::to_owned);
        Some((part("name")?, part("image")?))
    });
    images.collect()
}

/// What `kubectl rollout restart` writes into the template.
const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// Whether one is the other, started again.
pub fn is_restart_of(template: &Value, other: &Value) -> bool {
    same(&without_restarts(template), &without_restarts(other))
}

/// The template as it was before it was only started again.
pub fn without_restarts(template: &Value) -> Value {
    let annotations = template.pointer("/metadata/annotations").and_then(Value::as_object);
    if !annotations.is_some_and(|annotations| annotations.contains_key(RESTARTED_AT)) {
        return template.clone();
    }
    let mut template = template.clone();
    if let Some(metadata) = template.get_mut("metadata").and_then(Value::as_object_mut)
        && let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut)
    {
        annotations.remove(RESTARTED_AT);
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
    template
}

/// Names one attempt at a template, by the uid of the Deployment whose it is: another one in the same namespace may try the same template,
/// and pods are found by this name. A new value of `canary.retry` makes it another attempt.
pub fn run_id(template: &Value, uid: &str, retry: Option<&str>) -> String {
    names::digest(&[&canonical(template), b"\0", retry.unwrap_or_default().as_bytes(), b"\0", uid.as_bytes()], 5)
}

/// The text without `null`s, keys in order.
fn canonical(value: &Value) -> Vec<u8> {
    text(&WithoutNulls(value))
}

fn text(written: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(written).unwrap_or_default() // writing JSON into memory can't fail
}

/// Written out directly: a copy of the template would cost several times as much.
#[derive(Debug)]
pub struct WithoutNulls<'a>(pub &'a Value);

impl Serialize for WithoutNulls<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(fields) => {
                let mut map = serializer.serialize_map(None)?;
                for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
                    map.serialize_entry(name, &Self(value))?;
                }
                map.end()
            }
            Value::Array(items) => {
                let mut sequence = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    sequence.serialize_element(&Self(item))?;
                }
                sequence.end()
            }
            other => other.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case(json!({"a": 1}), json!({"a": 1}), true)]
    #[case(json!({"a": null}), json!({}), true)]
    #[case(json!({}), json!({"a": null}), true)]
    #[case(json!({"a": 1}), json!({"a": null}), false)]
    #[case(json!({"a": null}), json!({"a": 1}), false)]
    #[case(json!({"a": 1}), json!({"a": 1, "b": 2}), false)]
    #[case(json!([{"a": null}, 2]), json!([{}, 2]), true)]
    #[case(json!([1, 2]), json!([2, 1]), false)]
    fn sameness(#[case] left: Value, #[case] right: Value, #[case] expected: bool) {
        assert_eq!(same(&left, &right), expected);
        assert_eq!(same(&right, &left), expected);
        assert_eq!(hash(&left) == hash(&right), expected);
    }

    #[rstest]
    #[case(json!({"spec": {"a": 2, "containers": [{"name": "app", "env": []}]}}), Some("template.spec.a"))]
    #[case(json!({"spec": {"a": 1, "containers": [{"name": "app", "env": [{"name": "VX"}]}]}}), Some("template.spec.containers[app].env[VX]"))]
    #[case(json!({"spec": {"a": 1, "c": null, "containers": [{"name": "app", "env": []}]}}), None)]
    fn the_first_difference_is_a_path(#[case] other: Value, #[case] expected: Option<&str>) {
        let template = json!({"spec": {"a": 1, "containers": [{"name": "app", "env": []}]}});
        assert_eq!(first_difference(&template, &other, "template").as_deref(), expected);
    }

    #[test]
    fn a_name_is_the_same_for_ever() {
        let template = json!({"z": [1, null, {"b": null, "a": "\u{e9}\n"}], "a": {"n": null}, "m": -1.5, "t": true});
        assert_eq!(canonical(&template), r#"{"a":{},"m":-1.5,"t":true,"z":[1,null,{"a":"é\n"}]}"#.as_bytes());
        assert_eq!(hash(&template), "75a9111929aab22b284a640f67770945");
    }

    #[test]
    fn a_retry_is_another_run_and_so_is_another_deployments() {
        let template = json!({"spec": {}});
        assert_eq!(run_id(&template, "u", None), run_id(&template, "u", None));
        assert_ne!(run_id(&template, "u", None), run_id(&template, "u", Some("1")));
        assert_ne!(run_id(&template, "u", None), run_id(&template, "other", None));
        assert_eq!(run_id(&template, "u", None).len(), 10);
    }
}

//! Reading and writing the few places of a Deployment that Coalmine cares about, in its JSON form.
//! Absent and malformed read as empty: whether an object is acceptable is the API server's to say, not ours.

use serde_json::{Map, Value};

use crate::api::annotations::{self as key, Phase};

static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);

/// A part of the metadata that is a map of strings: `annotations` or `labels`.
pub fn metadata_map<'a>(object: &'a Value, part: &str) -> &'a Map<String, Value> {
    object.pointer("/metadata").and_then(|metadata| metadata.get(part)).and_then(Value::as_object).unwrap_or(&EMPTY)
}

/// What the API server takes of all annotations of an object together (keys and values).
pub const MOST_ANNOTATION_BYTES: usize = 256 << 10;

/// Of all annotations, as the API server counts it.
pub fn size(annotations: &Map<String, Value>) -> usize {
    annotations.iter().map(|(name, value)| name.len() + value.as_str().map_or(0, str::len)).sum()
}

pub fn annotations(object: &Value) -> &Map<String, Value> {
    metadata_map(object, "annotations")
}

pub fn annotation<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    text(annotations(object), name)
}

pub fn label<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    text(metadata_map(object, "labels"), name)
}

pub fn text<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    map.get(name).and_then(Value::as_str)
}

pub fn metadata_text<'a>(object: &'a Value, name: &str) -> &'a str {
    object.pointer("/metadata").and_then(|metadata| metadata.get(name)).and_then(Value::as_str).unwrap_or_default()
}

pub fn name(object: &Value) -> &str {
    metadata_text(object, "name")
}

pub fn namespace(object: &Value) -> &str {
    metadata_text(object, "namespace")
}

pub fn uid(object: &Value) -> &str {
    metadata_text(object, "uid")
}

/// The pod template; `null` where there is none.
pub fn template(object: &Value) -> &Value {
    object.pointer("/spec/template").unwrap_or(&Value::Null)
}

/// `spec.replicas`, which the API server defaults to 1.
pub fn replicas(object: &Value) -> i64 {
    object.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1)
}

pub fn is_being_deleted(object: &Value) -> bool {
    object.pointer("/metadata/deletionTimestamp").is_some_and(|time| !time.is_null())
}

/// The annotation `canary.enabled` says yes (`held` is yes, too: see `hold::admit`).
pub fn is_opted_in(annotations: &Map<String, Value>) -> bool {
    matches!(text(annotations, key::ENABLED), Some("true" | "held"))
}

/// The user wrote something into `canary.enabled` that isn't a no: it is either a yes, or a mistake to be told.
pub fn is_asked_for(annotations: &Map<String, Value>) -> bool {
    text(annotations, key::ENABLED).is_some_and(|value| value != "false")
}

/// The phase alone; all else that Coalmine wrote is read in `standing`.
pub fn phase(annotations: &Map<String, Value>) -> Option<Phase> {
    text(annotations, key::PHASE).and_then(Phase::parse)
}

/// Puts what `before` has under these names back, and takes away what came under them since.
pub fn keep(now: &mut Map<String, Value>, before: &Map<String, Value>, these: impl Fn(&str) -> bool) {
    now.retain(|name, _| !these(name));
    now.extend(before.iter().filter(|(name, _)| these(name)).map(|(name, value)| (name.clone(), value.clone())));
}

/// The map for changing; created where it is missing. The metadata itself is always there: the API server sends no object without.
pub fn metadata_map_mut<'a>(object: &'a mut Value, part: &str) -> Option<&'a mut Map<String, Value>> {
    let metadata = object.get_mut("metadata")?.as_object_mut()?;
    let map = metadata.entry(part).or_insert_with(|| Value::Object(Map::new()));
    if map.is_null() {
        *map = Value::Object(Map::new());
    }
    map.as_object_mut()
}

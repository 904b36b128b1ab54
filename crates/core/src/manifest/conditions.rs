//! Conditions, as every kind's status has them. Reads only.

use serde_json::Value;

/// All of an object's.
pub fn all(object: &Value) -> &[Value] {
    object.pointer("/status/conditions").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The one of this type.
pub fn find<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    all(object).iter().find(|condition| is_of(kind, condition))
}

pub fn is_of(kind: &str, condition: &Value) -> bool {
    text(condition, "type") == kind
}

/// A field of a condition, empty where it is absent.
pub fn text<'a>(condition: &'a Value, field: &str) -> &'a str {
    condition.get(field).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_condition_is_found_by_its_type() {
        let object = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}, {"status": "False"}, 3]}});
        assert_eq!(find(&object, "Ready").map(|condition| text(condition, "status")), Some("True"));
        assert_eq!((find(&object, "Available"), find(&json!({}), "Ready")), (None, None));
    }
}

//! Owner references: whose an object is, and how that is written. The garbage collector deletes what an owner leaves.

use serde_json::{Value, json};

use super::{object, workload};

/// All of an object's.
pub fn of(object: &Value) -> &[Value] {
    object.pointer("/metadata/ownerReferences").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A field of a reference, empty where it is absent.
pub fn text<'a>(reference: &'a Value, field: &str) -> &'a str {
    reference.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Whether this very object is an owner.
pub fn is_owned_by(object: &Value, owner: &Value) -> bool {
    of(object).iter().any(|reference| reference.get("uid").and_then(Value::as_str) == Some(object::uid(owner)))
}

/// To a primary or a canary, which may be deleted before what it owns.
pub fn to(owner: &Value) -> Value {
    json!({
        "apiVersion": workload::API_VERSION, "kind": workload::KIND, "name": object::name(owner), "uid": object::uid(owner),
        "controller": true, "blockOwnerDeletion": false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_owned() {
        let owner = json!({"metadata": {"name": "app", "uid": "u-1"}});
        let made = json!({"metadata": {"ownerReferences": [to(&owner)]}});
        assert!(is_owned_by(&made, &owner));
        assert!(!is_owned_by(&made, &json!({"metadata": {"name": "app", "uid": "u-2"}})), "another one of the same name");
        assert!(!is_owned_by(&json!({}), &owner));
    }
}

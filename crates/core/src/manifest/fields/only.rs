//! What a set of fields is of a value, and what else of it no API server sets by itself (what is in lists and maps, and images: another webhook
//! does, for nobody in particular), written out for a hash: a copy would cost several times as much.

use std::ops::Bound;

use serde::{
    Serialize, Serializer,
    ser::{SerializeMap as _, SerializeSeq as _},
};
use serde_json::{Map, Value};

use super::{Fields, MAPS};
use crate::manifest::template::WithoutNulls;

const FIELD: &str = "f:";
const SECURITY: &str = "securityContext";
const IMAGE: &str = "image";

/// See [`Fields::only`]. Without `null`s, as a template's hash has it.
#[derive(Debug, Clone, Copy)]
pub struct Only<'a> {
    fields: &'a Fields,
    value: &'a Value,
}

impl Serialize for Only<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.fields.below.is_empty() {
            return WithoutNulls(self.value).serialize(serializer);
        }
        match self.value {
            Value::Object(map) => {
                let mut written = serializer.serialize_map(None)?;
                for (name, value, fields) in self.fields.of_map(map) {
                    let Some(fields) = fields.filter(|_| !MAPS.contains(&name)) else {
                        if value.is_array() || name == IMAGE || MAPS.contains(&name) {
                            written.serialize_entry(name, &WithoutNulls(value))?;
                        }
                        continue;
                    };
                    // A struct with fields of its own that nobody has set: the API server's default, and a newer one's fields come into it.
                    if name == SECURITY && fields.below.is_empty() {
                        written.serialize_entry(name, &Map::new())?;
                    } else if !value.is_null() {
                        written.serialize_entry(name, &fields.only(value))?;
                    }
                }
                written.end()
            }
            Value::Array(list) => {
                let items = self.fields.items();
                let mut written = serializer.serialize_seq(None)?;
                for item in list {
                    match items.with(item) {
                        Some(fields) => written.serialize_element(&fields.only(item))?,
                        None => written.serialize_element(&WithoutNulls(item))?,
                    }
                }
                written.end()
            }
            other => other.serialize(serializer),
        }
    }
}

impl Fields {
    /// What these fields are of a value, and what else only a client or a webhook can have set, to be written out.
    pub fn only<'a>(&'a self, value: &'a Value) -> Only<'a> {
        Only { fields: self, value }
    }

    /// The fields of a map, with their own where they are in the set. Both are in one order.
    fn of_map<'a>(&'a self, map: &'a Map<String, Value>) -> impl Iterator<Item = (&'a str, &'a Value, Option<&'a Self>)> {
        let steps = self.below.range::<str, _>((Bound::Included(FIELD), Bound::Unbounded));
        let mut steps = steps.map_while(|(step, fields)| Some((step.strip_prefix(FIELD)?, fields))).peekable();
        map.iter().map(move |(name, value)| {
            while steps.next_if(|(step, _)| *step < name.as_str()).is_some() {}
            (name.as_str(), value, steps.next_if(|(step, _)| *step == name.as_str()).map(|(_, fields)| fields))
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn assert_written(fields: &Value, value: &Value, expected: &str) {
        assert_eq!(serde_json::to_string(&Fields::read(fields).only(value)).unwrap(), expected);
    }

    #[test]
    fn what_nobody_owns_is_left_out() {
        let owned = json!({"f:a": {}, "f:c": {"f:y": {}}, "f:missing": {}, "v:1": {}});
        assert_written(&owned, &json!({"a": {"any": [1]}, "b": 1, "c": {"x": 1, "y": 2}}), r#"{"a":{"any":[1]},"c":{"y":2}}"#);
        assert_written(&json!({"f:b": {}, "f:d": {}}), &json!({"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}), r#"{"b":2,"d":4}"#);
        assert_written(&json!({"f:a": {"f:b": {}}}), &json!({"a": 7}), r#"{"a":7}"#);
    }

    #[test]
    fn nulls_are_nothing() {
        let owned = json!({"f:a": {}, "f:b": {"f:c": {}}});
        assert_written(&owned, &json!({"a": null, "b": {"c": null}}), r#"{"b":{}}"#);
        assert_written(&owned, &json!({"a": [null], "b": null}), r#"{"a":[null]}"#);
    }

    #[test]
    fn items_are_found_by_their_keys_and_by_what_they_are() {
        let owned = json!({"k:{\"name\":\"a\"}": {".": {}, "f:name": {}}, "k:{\"x\":1,\"y\":\"t\"}": {"f:z": {}}, "v:\"set\"": {}});
        let list = json!([{"name": "a", "value": 1}, {"name": "b"}, {"x": 1, "y": "t", "z": 2}, {"x": 2, "y": "t"}, "set", "other"]);
        assert_written(&owned, &list, r#"[{"name":"a"},{"name":"b"},{"z":2},{"x":2,"y":"t"},"set","other"]"#);
    }

    #[test]
    fn what_no_server_sets_counts_whoever_owns_it() {
        let owned = json!({"f:labels": {"f:a": {}}, "f:name": {}});
        let value = json!({"labels": {"a": "1", "b": "2"}, "args": ["x"], "image": "i", "grace": 30, "name": "n", "limits": {"cpu": null}});
        assert_written(&owned, &value, r#"{"args":["x"],"image":"i","labels":{"a":"1","b":"2"},"limits":{},"name":"n"}"#);
    }

    #[test]
    fn of_a_security_context_that_nobody_filled_nothing_counts() {
        assert_written(&json!({"f:securityContext": {}}), &json!({"securityContext": {"newField": true}}), r#"{"securityContext":{}}"#);
        assert_written(
            &json!({"f:securityContext": {"f:a": {}}}),
            &json!({"securityContext": {"a": 1, "b": 2}}),
            r#"{"securityContext":{"a":1}}"#,
        );
    }
}

//! Merges what two clients made of one template, each without the other's part, as if the second had come after the first.
//! What is a list by keys and what is one value is told by the records of ownership. Guesses nothing: what can't be merged is not.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{
    fields::{Fields, ListKeys},
    template::same,
};

/// `ours` with all that `theirs` changed of `base`; where both changed one thing, theirs counts. `None` when they contradict each other:
/// theirs changes a thing that ours took away, or a list has one key twice.
pub fn merge(known: &Fields, base: &Value, ours: &Value, theirs: &Value) -> Option<Value> {
    merge_at(known, present(base), present(ours), present(theirs)).ok().map(Option::unwrap_or_default)
}

/// The two can't be merged.
struct Contradiction;

type Merged = Result<Option<Value>, Contradiction>;

fn present(value: &Value) -> Option<&Value> {
    Some(value).filter(|value| !value.is_null())
}

fn equal(left: Option<&Value>, right: Option<&Value>) -> bool {
    match (left, right) {
        (Some(left), Some(right)) => same(left, right),
        (None, None) => true,
        _ => false,
    }
}

fn merge_at(known: &Fields, base: Option<&Value>, ours: Option<&Value>, theirs: Option<&Value>) -> Merged {
    if equal(theirs, base) {
        return Ok(ours.cloned());
    }
    if equal(ours, base) || equal(ours, theirs) {
        return Ok(theirs.cloned());
    }
    // A list by keys and a map of strings that are not there are empty: what is in them is each for itself.
    let several = |value: &Value| match value {
        Value::Array(_) => known.list_keys().is_some(),
        Value::Object(map) => map.values().all(Value::is_string),
        _ => false,
    };
    if let (None, Some(value)) | (Some(value), None) = (ours, theirs)
        && base.is_some_and(several)
        && several(value)
    {
        let empty = if value.is_array() { Value::Array(Vec::new()) } else { Value::Object(Map::new()) };
        let merged = merge_at(known, base, ours.or(Some(&empty)), theirs.or(Some(&empty)))?;
        return Ok(merged.filter(|merged| *merged != empty));
    }
    match (ours, theirs) {
        (Some(Value::Object(ours)), Some(Value::Object(theirs))) => maps(known, base.and_then(Value::as_object), ours, theirs),
        (Some(Value::Array(ours)), Some(Value::Array(theirs))) => {
            let base = base.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            match known.list_keys() {
                Some(keys) => lists(known, &keys, base, ours, theirs),
                None => Ok(Some(theirs.clone().into())),
            }
        }
        (None, Some(_)) if base.is_some() => Err(Contradiction),
        // They took away what we have changed since: it is ours now.
        (Some(ours), None) => Ok(Some(ours.clone())),
        (_, theirs) => Ok(theirs.cloned()),
    }
}

fn maps(known: &Fields, base: Option<&Map<String, Value>>, ours: &Map<String, Value>, theirs: &Map<String, Value>) -> Merged {
    let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    let get = |map: &'_ Map<String, Value>, name: &str| map.get(name).and_then(present).cloned();
    let mut merged = Map::new();
    for name in names {
        let (base, ours, theirs) = (base.and_then(|base| get(base, name)), get(ours, name), get(theirs, name));
        let value = merge_at(known.below(&format!("f:{name}")), base.as_ref(), ours.as_ref(), theirs.as_ref())?;
        merged.extend(value.map(|value| (name.clone(), value)));
    }
    Ok(Some(merged.into()))
}

/// Our items in their order, then those that they added.
fn lists(known: &Fields, keys: &ListKeys, base: &[Value], ours: &[Value], theirs: &[Value]) -> Merged {
    if [base, ours, theirs].iter().any(|list| keys.has_duplicates(list)) {
        return Err(Contradiction);
    }
    let in_list = |list: &'_ [Value], wanted: &Value| list.iter().find(|item| keys.of(item) == keys.of(wanted)).cloned();
    let mut merged = Vec::new();
    for item in ours.iter().chain(theirs.iter().filter(|item| in_list(ours, item).is_none())) {
        let (base, ours, theirs) = (in_list(base, item), in_list(ours, item), in_list(theirs, item));
        merged.extend(merge_at(known.item(item), base.as_ref(), ours.as_ref(), theirs.as_ref())?);
    }
    Ok(Some(merged.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;

    fn known() -> Fields {
        Fields::read(&json!({
            "f:containers": {"k:{\"name\":\"app\"}": {".": {}, "f:image": {}, "f:env": {"k:{\"name\":\"V\"}": {".": {}, "f:value": {}}}}},
            "f:command": {}, "f:finalizers": {"v:\"a\"": {}},
        }))
    }

    fn app(image: &str, env: &[(&str, &str)]) -> Value {
        let env: Vec<Value> = env.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        json!({"name": "app", "image": image, "env": env})
    }

    #[rstest]
    #[case::different_fields(app("b", &[("V", "1")]), app("a", &[("V", "2")]), Some(app("b", &[("V", "2")])))]
    #[case::different_items(app("a", &[("V", "1"), ("X", "1")]), app("a", &[("V", "1"), ("Y", "1")]), Some(app("a", &[("V", "1"), ("X", "1"), ("Y", "1")])))]
    #[case::one_adds_and_one_drops(app("b", &[("V", "1"), ("X", "1")]), app("a", &[]), Some(app("b", &[("X", "1")])))]
    #[case::the_same_thing(app("b", &[("V", "1")]), app("c", &[("V", "1")]), Some(app("c", &[("V", "1")])))]
    #[case::theirs_is_nothing_new(app("b", &[("X", "1")]), app("a", &[("V", "1")]), Some(app("b", &[("X", "1")])))]
    #[case::in_what_is_gone(app("a", &[]), app("a", &[("V", "2")]), None)]
    #[case::a_key_twice(app("b", &[("V", "1"), ("V", "2")]), app("a", &[("V", "2")]), None)]
    fn two_changes(#[case] ours: Value, #[case] theirs: Value, #[case] merged: Option<Value>) {
        let base = app("a", &[("V", "1")]);
        let list = |item: &Value| json!({"containers": [item]});
        assert_eq!(merge(&known(), &list(&base), &list(&ours), &list(&theirs)), merged.map(|item| list(&item)));
    }

    #[rstest]
    #[case::their_variable_comes_to_ours(json!({}), json!({"env": [{"name": "V"}, {"name": "X"}]}), json!({"env": [{"name": "X"}]}))]
    #[case::ours_stays(json!({"env": [{"name": "V"}, {"name": "X"}]}), json!({}), json!({"env": [{"name": "X"}]}))]
    fn a_list_that_is_not_there_is_empty(#[case] ours: Value, #[case] theirs: Value, #[case] merged: Value) {
        let known = Fields::read(&json!({"f:env": {"k:{\"name\":\"V\"}": {".": {}, "f:name": {}}}}));
        assert_eq!(merge(&known, &json!({"env": [{"name": "V"}]}), &ours, &theirs), Some(merged));
        let map = |value: &Value| json!({"labels": value});
        let (base, other) = (json!({"a": "1"}), json!({"a": "1", "b": "2"}));
        assert_eq!(merge(&known, &map(&base), &json!({}), &map(&other)), Some(map(&json!({"b": "2"}))));
        assert_eq!(merge(&known, &map(&base), &map(&other), &json!({})), Some(map(&json!({"b": "2"}))));
    }

    #[test]
    fn a_list_without_keys_is_one_value() {
        let command = |words: &[&str]| json!({"command": words});
        let merged = merge(&known(), &command(&["a"]), &command(&["a", "b"]), &command(&["c"]));
        assert_eq!(merged, Some(command(&["c"])));
        let set = |items: &[&str]| json!({"finalizers": items});
        assert_eq!(merge(&known(), &set(&["a"]), &set(&["a", "b"]), &set(&["c"])), Some(set(&["b", "c"])));
    }

    proptest! {
        #[test]
        fn who_changes_nothing_adds_nothing(values in proptest::collection::vec("[a-c]", 3), names in proptest::collection::vec("[A-D]", 2)) {
            let (base, changed) = (app(&values[0], &[(&names[0], &values[1])]), app(&values[2], &[(&names[1], &values[1])]));
            prop_assert_eq!(merge(&known(), &base, &changed, &base), Some(changed.clone()));
            prop_assert_eq!(merge(&known(), &base, &base, &changed), Some(changed.clone()));
            prop_assert_eq!(merge(&known(), &base, &changed, &changed), Some(changed));
        }
    }
}

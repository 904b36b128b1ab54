//! What a file that comes once more by client-side apply makes of a template in which things were changed since: a strategic merge of all
//! that the file says, as kubectl's patch is one. Takes nothing away but what the file says `null` of.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{
    NO_MAP,
    order::{in_order_of_a_file, keyed},
};
use crate::manifest::{
    fields::{Fields, ListKeys, MAPS},
    items::Items,
};

/// One place of the file.
#[derive(Debug, Clone, Copy)]
pub struct Stated<'a> {
    pub file: &'a Value,
    /// What the API server made of it and the live template: complete, with defaults.
    pub sent: &'a Value,
    pub live: &'a Value,
}

impl<'a> Stated<'a> {
    fn below(self, name: &str) -> Self {
        let at = |value: &'a Value| value.get(name).unwrap_or(&Value::Null);
        Self { file: at(self.file), sent: at(self.sent), live: at(self.live) }
    }

    /// As a whole. The API server stores no empty list.
    fn complete(self) -> Value {
        let is_dropped = self.file.as_array().is_some_and(Vec::is_empty);
        if self.sent.is_null() && !is_dropped { self.file.clone() } else { self.sent.clone() }
    }
}

/// `there` once the file was stated over it. `known` are the fields that anybody owns.
pub fn state(known: &Fields, stated: Stated<'_>, there: &Value) -> Value {
    state_at(known, NO_MAP, stated, there)
}

fn state_at(known: &Fields, name: &str, stated: Stated<'_>, there: &Value) -> Value {
    match (stated.file, there, known.list_keys()) {
        (Value::Object(file), Value::Object(there), _) => state_map(known, file, stated, there.clone()),
        (Value::Object(file), _, _) if MAPS.contains(&name) => {
            if file.is_empty() {
                Value::Null
            } else {
                state_map(known, file, stated, Map::new())
            }
        }
        (Value::Array(file), _, Some(keys @ ListKeys::Fields(_))) => {
            let list = state_list(known, &keys, file, stated, there.as_array().map_or(&[][..], Vec::as_slice));
            if list.is_empty() { Value::Null } else { list.into() }
        }
        _ => stated.complete(),
    }
}

fn state_map(known: &Fields, file: &Map<String, Value>, stated: Stated<'_>, mut map: Map<String, Value>) -> Value {
    for name in file.keys() {
        let below = stated.below(name);
        let there = map.remove(name).unwrap_or_default();
        // The API server's default may come instead of what is taken away.
        let value =
            if below.file.is_null() { below.sent.clone() } else { state_at(known.below(&format!("f:{name}")), name, below, &there) };
        if !value.is_null() {
            map.insert(name.clone(), value);
        }
    }
    map.into()
}

fn state_list(known: &Fields, keys: &ListKeys, file: &[Value], stated: Stated<'_>, there: &[Value]) -> Vec<Value> {
    let fields = known.items();
    let [mut sent, mut live] = [stated.sent, stated.live].map(|list| Found::of(keys, list));
    let mut places: HashMap<String, usize> = keyed(keys, there).into_iter().enumerate().map(|(place, one)| (one.key, place)).collect();
    let (mut list, mut ordered, mut seen) = (there.to_vec(), Vec::new(), HashMap::<String, usize>::new());
    for item in file {
        // Where a key stands several times in the live list, kubectl takes away more than it means to.
        let known_item = sent.first(item).or_else(|| live.first(item)).unwrap_or(item);
        let key = keys.of(known_item);
        let count = seen.entry(key.clone()).and_modify(|count| *count += 1).or_default();
        let of_its_own = if *count == 0 { key.clone() } else { format!("{key}#{count}") };
        let below = Stated {
            file: item,
            sent: sent.by_key.get(&of_its_own).copied().unwrap_or(&Value::Null),
            live: live.by_key.get(&of_its_own).copied().unwrap_or(&Value::Null),
        };
        match places.get(&of_its_own) {
            Some(place) => list[*place] = state_at(fields.of(&list[*place]), NO_MAP, below, &list[*place]),
            // What comes to a key that is there is made to the first with that key.
            None if *count > 0 => {}
            // kubectl takes two of the file for one (ports of one number), as the API server did before: nothing more comes of it.
            None if below.sent.is_null() && below.live.is_null() => {}
            None => {
                let new =
                    if below.sent.is_null() { state_at(fields.of(below.live), NO_MAP, below, below.live) } else { below.sent.clone() };
                places.insert(of_its_own, list.len());
                list.push(new);
            }
        }
        ordered.push(key);
    }
    in_order_of_a_file(keys, there, &list, &ordered)
}

/// The items of a list, to be looked up.
struct Found<'a> {
    keys: &'a ListKeys,
    items: Items<'a>,
    by_key: HashMap<String, &'a Value>,
}

impl<'a> Found<'a> {
    fn of(keys: &'a ListKeys, list: &'a Value) -> Self {
        let all = list.as_array().map_or(&[][..], Vec::as_slice);
        Self { keys, items: Items::of(list), by_key: keyed(keys, all).into_iter().map(|one| (one.key, one.item)).collect() }
    }

    /// The first that has what this item of a file says of its keys. What it leaves out of them is a default.
    fn first(&mut self, item: &Value) -> Option<&'a Value> {
        let ListKeys::Fields(names) = self.keys else { return None };
        let said: Map<String, Value> = names.iter().filter_map(|name| Some((name.clone(), item.get(name)?.clone()))).collect();
        if said.is_empty() {
            return None;
        }
        self.items.with_keys(&Value::Object(said).to_string()).first().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn known() -> Fields {
        Fields::read(&json!({
            "f:env": {"k:{\"name\":\"V\"}": {".": {}, "f:value": {}}},
            "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}, "f:protocol": {}}},
            "f:labels": {"f:a": {}}, "f:command": {}, "f:probe": {"f:path": {}},
        }))
    }

    #[rstest]
    #[case::what_was_changed(json!({"image": "a"}), json!({"image": "a"}), json!({"image": "c", "x": 1}), json!({"image": "a", "x": 1}))]
    #[case::as_it_is_stored(json!({"cpu": 1}), json!({"cpu": "1"}), json!({"cpu": "2"}), json!({"cpu": "1"}))]
    #[case::what_was_taken_away(json!({"labels": {"a": "1"}}), json!({"labels": {"a": "1", "others": "1"}}), json!({}), json!({"labels": {"a": "1"}}))]
    #[case::with_its_defaults(json!({"probe": {"path": "/"}}), json!({"probe": {"path": "/", "period": 10}}), json!({}), json!({"probe": {"path": "/", "period": 10}}))]
    #[case::a_null(json!({"labels": null, "grace": null}), json!({"grace": 30}), json!({"labels": {"x": "1"}, "grace": 5}), json!({"grace": 30}))]
    #[case::an_empty_list(json!({"env": [], "command": []}), json!({}), json!({"env": [{"name": "X"}], "command": ["a"]}), json!({"env": [{"name": "X"}]}))]
    #[case::nothing_where_nothing_is(json!({"env": [], "labels": {}}), json!({}), json!({}), json!({}))]
    #[case::another_order(
        json!({"env": [{"name": "V"}, {"name": "W"}]}), json!({"env": [{"name": "V"}, {"name": "W"}]}),
        json!({"env": [{"name": "W"}, {"name": "X"}]}), json!({"env": [{"name": "V"}, {"name": "W"}, {"name": "X"}]})
    )]
    #[case::a_key_that_is_a_default(
        json!({"ports": [{"containerPort": 80}]}), json!({"ports": [{"containerPort": 80, "protocol": "TCP"}]}),
        json!({"ports": [{"containerPort": 80, "protocol": "TCP", "name": "x"}]}),
        json!({"ports": [{"containerPort": 80, "protocol": "TCP", "name": "x"}]})
    )]
    fn a_file_over_changes(#[case] file: Value, #[case] sent: Value, #[case] there: Value, #[case] expected: Value) {
        let stated = Stated { file: &file, sent: &sent, live: &sent };
        assert_eq!(state(&known(), stated, &there), expected);
        assert_eq!(state(&known(), stated, &expected), expected, "once more");
    }

    /// kubectl takes all with that key away where it means one of them.
    #[test]
    fn what_stood_twice_in_the_live_one() {
        let env = |list: &[(&str, &str)]| {
            let items: Vec<Value> = list.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
            json!({"env": items})
        };
        let (file, sent) = (env(&[("V", "1"), ("W", "1")]), env(&[("W", "1")]));
        let live = env(&[("V", "1"), ("W", "1"), ("V", "2")]);
        let stated = Stated { file: &file, sent: &sent, live: &live };
        assert_eq!(state(&known(), stated, &env(&[("X", "1"), ("W", "1")])), env(&[("V", "1"), ("X", "1"), ("W", "1")]));
    }
}

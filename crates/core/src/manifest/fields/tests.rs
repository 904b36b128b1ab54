//! Which fields a record names, and what is changed in it.

use super::*;
use proptest::prelude::*;
use rstest::rstest;
use serde_json::json;

#[rstest]
#[case::a_map_stays_without_what_was_in_it(json!({"f:r": {".": {}, "f:limits": {}}}), json!({"f:r": {"f:limits": {}}}), json!({"f:r": {}}))]
#[case::what_is_in_a_map_stays_without_it(json!({"f:r": {".": {}, "f:limits": {}}}), json!({"f:r": {}}), json!({"f:r": {"f:limits": {}}}))]
#[case::an_empty_map_is_not_what_is_in_another(json!({"f:r": {}}), json!({"f:r": {"f:limits": {}}}), json!({"f:r": {}}))]
#[case::all(json!({"f:r": {}, "f:x": {}}), json!({"f:r": {".": {}, "f:limits": {}}, "f:x": {}}), Value::Null)]
fn what_is_left(#[case] left: Value, #[case] right: Value, #[case] rest: Value) {
    assert_eq!(Fields::read(&left).difference(&Fields::read(&right)).write().unwrap_or_default(), rest);
}

#[rstest]
#[case(json!({"f:r": {}}), json!({"f:r": {"f:limits": {}}}), json!({"f:r": {".": {}, "f:limits": {}}}))]
#[case(json!({"f:r": {}}), json!({}), json!({".": {}, "f:r": {}}))]
fn together(#[case] left: Value, #[case] right: Value, #[case] both: Value) {
    assert_eq!(Fields::read(&left).union(&Fields::read(&right)).write().unwrap(), both);
}

#[test]
fn what_changes_is_told_as_the_api_server_does() {
    let fields = json!({
            "f:containers": {
            "k:{\"name\":\"app\"}": {".": {}, "f:image": {}, "f:name": {}, "f:command": {}, "f:env": {
                ".": {}, "k:{\"name\":\"SAME\"}": {".": {}, "f:value": {}}, "k:{\"name\":\"GOES\"}": {".": {}, "f:value": {}},
                "k:{\"name\":\"TWICE\"}": {},
            }},
        },
        "f:finalizers": {"v:\"a\"": {}, "v:\"b\"": {}},
    });
    let before = json!({"containers": [{"name": "app", "image": "a", "command": ["x"], "env": [
        {"name": "SAME", "value": "1"}, {"name": "GOES", "value": "1"}, {"name": "TWICE", "value": "1"}, {"name": "TWICE", "value": "2"}]}],
        "finalizers": ["a", "b"]});
    let after = json!({"containers": [{"name": "side"}, {"name": "app", "image": "b", "command": ["x", "y"], "env": [
        {"name": "TWICE", "value": "2"}, {"name": "TWICE", "value": "1"}, {"name": "SAME", "value": "1"}]}],
        "finalizers": ["b"]});
    let set = Fields::read(&fields);
    assert_eq!(
        set.changed(&set, &before, &after).write().unwrap(),
        json!({
            "f:containers": {
                "k:{\"name\":\"app\"}": {"f:image": {}, "f:command": {}, "f:env": {
                    "k:{\"name\":\"GOES\"}": {".": {}, "f:value": {}}, "k:{\"name\":\"TWICE\"}": {},
                }},
            },
            "f:finalizers": {"v:\"a\"": {}},
        })
    );
    assert!(set.changed(&set, &before, &before).is_empty());
}

#[test]
fn a_map_changes_when_it_comes_or_goes_and_a_leaf_with_its_value() {
    let map = Fields::read(&json!({"f:resources": {}}));
    let all = Fields::read(&json!({"f:resources": {".": {}, "f:limits": {}}}));
    let (none, some) = (json!({"resources": {}}), json!({"resources": {"limits": {"cpu": "1"}}}));
    assert!(map.changed(&all, &none, &some).is_empty());
    assert_eq!(map.changed(&all, &none, &json!({})), map);
    assert_eq!(map.changed(&map, &none, &some), map);
}

#[test]
fn what_is_stated_as_empty_is_owned_whatever_others_put_there() {
    let stated = Fields::read(&json!({"f:annotations": {}, "f:labels": {"f:app": {}}, "f:command": {}, "f:env": {}}));
    let all = stated.union(&Fields::read(&json!({"f:annotations": {"f:second": {}}, "f:env": {"k:{\"name\":\"VA\"}": {}}})));
    // The command is one value, in which nobody owns anything.
    assert_eq!(stated.stated_empty(&all).write(), Some(json!({"f:annotations": {}, "f:env": {}})));
    assert!(stated.stated_empty(&stated).is_empty());
    let there = json!({"annotations": {"second": "1"}, "command": ["x"]});
    assert_eq!(stated.filled(&all, &there).write(), Some(json!({"f:annotations": {}})));
    assert!(stated.filled(&all, &json!({})).is_empty());
}

fn any_fields() -> impl Strategy<Value = Fields> {
    let leaf = proptest::bool::ANY.prop_map(|itself| Fields { itself, below: BTreeMap::new() });
    leaf.prop_recursive(3, 16, 3, |below| {
        (proptest::bool::ANY, proptest::collection::btree_map("f:[a-c]", below, 0..3))
            .prop_map(|(itself, below)| Fields { itself, below: below.into_iter().filter(|(_, fields)| !fields.is_empty()).collect() })
    })
}

#[test]
fn what_is_in_both_is_copied_where_both_have_it() {
    let one =
        Fields::read(&json!({"f:containers": {"k:{\"name\":\"app\"}": {".": {}, "f:image": {}, "f:args": {}}}, "f:x": {}, "f:y": {}}));
    let other = Fields::read(&json!({"f:containers": {"k:{\"name\":\"app\"}": {"f:image": {}}}, "f:x": {}}));
    assert_eq!(one.common(&other), other);
    let from = json!({"containers": [{"name": "app", "image": "a", "args": ["1"]}, {"name": "side", "image": "a"}], "x": 1, "y": 1});
    let into = json!({"containers": [{"name": "side", "image": "b"}, {"name": "app", "image": "b", "args": ["2"]}], "y": 2});
    let copied = json!({"containers": [{"name": "side", "image": "b"}, {"name": "app", "image": "a", "args": ["2"]}], "y": 2});
    assert_eq!(other.copied(&from, &into), copied);
    assert_eq!(Fields::default().copied(&from, &into), into);
}

#[test]
fn thousands_of_items_are_compared() {
    let name = |number: usize| format!("VARIABLE_{number}");
    let list = |value: &str| json!({"env": (0..20_000).map(|n| json!({"name": name(n), "value": value})).collect::<Vec<_>>()});
    let owned: Map<String, Value> =
        (0..20_000).map(|n| (format!("k:{{\"name\":\"{}\"}}", name(n)), json!({".": {}, "f:name": {}, "f:value": {}}))).collect();
    let fields = Fields::read(&json!({"f:env": owned}));
    let (before, after) = (list("a"), list("b"));
    let changed = fields.changed(&fields, &before, &after);
    assert_eq!(changed.below("f:env").below.len(), 20_000);
    assert!(fields.stated_empty(&fields).is_empty());
    let items = fields.below("f:env").items();
    assert!(before["env"].as_array().unwrap().iter().all(|item| items.has(item)));
}

proptest! {
    #[test]
    fn written_and_read_again(fields in any_fields()) {
        prop_assert_eq!(fields.write().map_or_else(Fields::default, |value| Fields::read(&value)), fields);
    }

    #[test]
    fn sets_behave_as_sets(left in any_fields(), right in any_fields()) {
        prop_assert_eq!(left.union(&right), right.union(&left));
        prop_assert_eq!(left.union(&right).difference(&right), left.difference(&right));
        prop_assert_eq!(left.difference(&right).union(&right), left.union(&right));
        prop_assert!(left.difference(&left).is_empty());
    }
}

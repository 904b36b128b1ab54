//! Three-way merges: what each side did, and what both did.

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

/// All of theirs was stated.
fn owned(known: &Fields) -> Owned<'_> {
    Owned { known, stated: known, asserted: false, whole: false, emptied: Emptied::ByItem, of_others: None }
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
#[case::what_is_gone_is_changed(app("a", &[("X", "1")]), app("a", &[("V", "2")]), None)]
#[case::in_what_is_gone(app("a", &[]), app("a", &[("V", "2")]), None)]
#[case::a_key_twice(app("b", &[("V", "1"), ("V", "2")]), app("a", &[("V", "2")]), Some(app("b", &[("V", "2")])))]
#[case::a_key_twice_stays(app("b", &[("V", "1"), ("X", "1"), ("V", "2")]), app("a", &[("V", "1"), ("Y", "1")]), Some(app("b", &[("V", "1"), ("V", "2"), ("X", "1"), ("Y", "1")])))]
#[case::a_key_comes_twice(app("b", &[("V", "1"), ("X", "1")]), app("a", &[("V", "1"), ("Y", "1"), ("V", "2")]), Some(app("b", &[("V", "1"), ("X", "1"), ("V", "2"), ("Y", "1")])))]
fn two_changes(#[case] ours: Value, #[case] theirs: Value, #[case] merged: Option<Value>) {
    let base = app("a", &[("V", "1")]);
    let list = |item: &Value| json!({"containers": [item]});
    assert_eq!(merge(owned(&known()), &list(&base), &list(&ours), &list(&theirs)), merged.map(|item| list(&item)));
}

#[rstest]
#[case::their_variable_comes_to_ours(json!({}), json!({"env": [{"name": "V"}, {"name": "X"}]}), json!({"env": [{"name": "X"}]}))]
#[case::ours_stays(json!({"env": [{"name": "V"}, {"name": "X"}]}), json!({}), json!({"env": [{"name": "X"}]}))]
fn a_list_that_is_not_there_is_empty(#[case] ours: Value, #[case] theirs: Value, #[case] merged: Value) {
    let known = Fields::read(&json!({"f:env": {"k:{\"name\":\"V\"}": {".": {}, "f:name": {}}}}));
    assert_eq!(merge(owned(&known), &json!({"env": [{"name": "V"}]}), &ours, &theirs), Some(merged));
    let map = |value: &Value| json!({"labels": value});
    let (base, other) = (json!({"a": "1"}), json!({"a": "1", "b": "2"}));
    assert_eq!(merge(owned(&known), &map(&base), &json!({}), &map(&other)), Some(map(&json!({"b": "2"}))));
    assert_eq!(merge(owned(&known), &map(&base), &map(&other), &json!({})), Some(map(&json!({"b": "2"}))));
}

/// Of a list of which nothing is left, others have been put in its place.
#[rstest]
#[case::by_a_patch(Emptied::AsWhole, &["V", "W"], &["Y"], &["Y"])]
#[case::by_a_program(Emptied::Usual, &["V", "W"], &["Y"], &["Y"])]
#[case::by_name(Emptied::ByItem, &["V", "W"], &["Y"], &["Y", "X"])]
#[case::something_is_left(Emptied::AsWhole, &["V", "W"], &["W", "Y"], &["W", "X", "Y"])]
#[case::one_is_renamed(Emptied::AsWhole, &["V"], &["Y"], &["Y", "X"])]
fn what_stands_anew(#[case] emptied: Emptied, #[case] base: &[&str], #[case] theirs: &[&str], #[case] expected: &[&str]) {
    let known = Fields::read(&json!({"f:env": {"k:{\"name\":\"V\"}": {".": {}, "f:name": {}}}}));
    let list = |names: &[&str]| json!({"env": names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()});
    let map = |names: &[&str]| json!({"labels": names.iter().map(|name| ((*name).to_owned(), json!("1"))).collect::<Map<_, _>>()});
    let owned = Owned { whole: true, emptied, ..owned(&known) };
    let ours = [base, &["X"]].concat();
    assert_eq!(merge(owned, &list(base), &list(&ours), &list(theirs)), Some(list(expected)));
    assert_eq!(merge(owned, &map(base), &map(&ours), &map(theirs)), Some(map(expected)));
}

#[rstest]
#[case::each_thing(Emptied::ByItem, json!({"b": "1"}), json!({"b": "1"}))]
#[case::the_last_thing(Emptied::Usual, json!({"b": "1"}), json!({}))]
#[case::the_whole(Emptied::AsWhole, json!({}), json!({}))]
fn what_is_left_empty(#[case] emptied: Emptied, #[case] of_one: Value, #[case] of_two: Value) {
    let map = |value: &Value| json!({"labels": value});
    for (base, expected) in [(json!({"a": "1"}), of_one), (json!({"a": "1", "c": "1"}), of_two)] {
        let ours = json!({"a": "2", "b": "1"});
        let left = |theirs: Value| {
            let merged = merge(Owned { emptied, whole: true, ..owned(&known()) }, &map(&base), &map(&ours), &theirs).unwrap();
            merged.get("labels").cloned().unwrap_or(json!({}))
        };
        assert_eq!([left(map(&json!({}))), left(json!({}))], [expected.clone(), expected]);
    }
}

#[test]
fn a_list_without_keys_is_one_value() {
    let command = |words: &[&str]| json!({"command": words});
    let merged = merge(owned(&known()), &command(&["a"]), &command(&["a", "b"]), &command(&["c"]));
    assert_eq!(merged, Some(command(&["c"])));
    let set = |items: &[&str]| json!({"finalizers": items});
    assert_eq!(merge(owned(&known()), &set(&["a"]), &set(&["a", "b"]), &set(&["c"])), Some(set(&["b", "c"])));
}

/// What a part contradicts, a change decides.
#[rstest]
#[case::gone_and_changed(&[("X", "1")], &[("V", "2")], &[("V", "2"), ("X", "1")])]
#[case::changed_and_gone(&[("V", "3"), ("X", "1")], &[], &[("X", "1")])]
#[case::a_key_twice(&[("V", "1"), ("V", "2")], &[("V", "3")], &[("V", "3"), ("V", "2")])]
fn a_change_is_the_later(#[case] ours: &[(&str, &str)], #[case] theirs: &[(&str, &str)], #[case] merged: &[(&str, &str)]) {
    let list = |env: &[(&str, &str)]| json!({"containers": [app("a", env)]});
    let found = merge(Owned { whole: true, ..owned(&known()) }, &list(&[("V", "1")]), &list(ours), &list(theirs));
    assert_eq!(found, Some(list(merged)));
}

#[test]
fn thousands_of_items_are_merged() {
    let names: Vec<String> = (0..5_000).map(|number| format!("V{number}")).collect();
    let variables = |value: &'static str| names.iter().map(|name| (name.as_str(), value)).collect::<Vec<_>>();
    let owned_by: Map<String, Value> =
        names.iter().map(|name| (format!("k:{{\"name\":\"{name}\"}}"), json!({".": {}, "f:value": {}}))).collect();
    let fields = Fields::read(&json!({"f:env": owned_by}));
    let (base, ours, theirs) = (app("a", &variables("1")), app("b", &variables("2")), app("a", &variables("3")));
    assert_eq!(merge(owned(&fields), &base, &ours, &theirs), Some(app("b", &variables("3"))));
}

proptest! {
    #[test]
    fn who_changes_nothing_adds_nothing(values in proptest::collection::vec("[a-c]", 3), names in proptest::collection::vec("[A-D]", 2)) {
        let (base, changed) = (app(&values[0], &[(&names[0], &values[1])]), app(&values[2], &[(&names[1], &values[1])]));
        prop_assert_eq!(merge(owned(&known()), &base, &changed, &base), Some(changed.clone()));
        prop_assert_eq!(merge(owned(&known()), &base, &base, &changed), Some(changed.clone()));
        prop_assert_eq!(merge(owned(&known()), &base, &changed, &changed), Some(changed));
    }
}

//! A set of field paths as `fieldsV1` writes it, with the API server's own meaning: a path is in the set by itself, besides what is below
//! it. `{}` is a path with nothing below, and `"."` says of one with something below that it is in the set, too.
//! Knows no schema: what is a list by keys and what is one value shows in the paths themselves.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Value};

pub use super::items::ListKeys;
use super::items::{Items, keys, keys_of};

use super::template;

const ITSELF: &str = ".";
const MOST_ITEMS: usize = 1000;
const SECURITY: &str = "f:securityContext";

#[must_use]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    itself: bool,
    below: BTreeMap<String, Self>,
}

static NONE: Fields = Fields { itself: false, below: BTreeMap::new() };

impl Fields {
    /// What is not a set, such as `null`, is empty.
    pub fn read(value: &Value) -> Self {
        let Some(map) = value.as_object() else { return Self::default() };
        let below = map.iter().filter(|(name, _)| *name != ITSELF).map(|(name, fields)| (name.clone(), Self::read(fields)));
        Self { itself: map.is_empty() || map.contains_key(ITSELF), below: below.collect() }
    }

    /// `None` where the set is empty: that can't be written, since `{}` is the path itself.
    pub fn write(&self) -> Option<Value> {
        let mut map: Map<String, Value> = self.below.iter().filter_map(|(name, fields)| Some((name.clone(), fields.write()?))).collect();
        if map.is_empty() {
            return self.itself.then_some(Value::Object(map));
        }
        if self.itself {
            map.insert(ITSELF.to_owned(), Value::Object(Map::new()));
        }
        Some(Value::Object(map))
    }

    pub fn is_empty(&self) -> bool {
        !self.itself && self.below.values().all(Self::is_empty)
    }

    /// The set at a path below.
    pub fn below(&self, name: &str) -> &Self {
        self.below.get(name).unwrap_or(&NONE)
    }

    /// How the items of a list are told apart, where the records name any.
    pub fn list_keys(&self) -> Option<ListKeys> {
        self.below.keys().find_map(|step| match step.split_once(':')? {
            ("k", keys) => {
                let keys = serde_json::from_str::<Map<String, Value>>(keys).ok()?;
                Some(ListKeys::Fields(keys.into_iter().map(|(name, _)| name).collect()))
            }
            ("v", _) => Some(ListKeys::Values),
            _ => None,
        })
    }

    /// The sets below the items of a list, to be looked up.
    pub fn items(&self) -> ItemFields<'_> {
        let mut items = ItemFields::default();
        for (step, fields) in &self.below {
            if let Some((names, values)) = step.strip_prefix("k:").and_then(keys) {
                items.by_keys.entry(names).or_default().entry(values).or_insert(fields);
            } else if let Some(value) = step.strip_prefix("v:").and_then(|value| serde_json::from_str::<Value>(value).ok()) {
                items.values.insert(value.to_string());
            }
        }
        items
    }

    /// Those of these fields that stand in a file, which states only what it means. A key that it leaves out is a default's.
    pub fn stated_in(&self, file: &Value) -> Self {
        let below = self.below.iter().filter_map(|(step, fields)| {
            let (kind, name) = step.split_once(':')?;
            let inside = match kind {
                "f" => fields.stated_in(file.get(name)?),
                "k" => {
                    let keys = serde_json::from_str::<Map<String, Value>>(name).ok()?;
                    let fits = |item: &&Value| keys.iter().all(|(key, value)| item.get(key).is_none_or(|other| other == value));
                    // No one writes so many by hand; to look for each of them would take too long.
                    let items = file.as_array()?;
                    if items.len() > MOST_ITEMS { fields.clone() } else { fields.stated_in(items.iter().find(fits)?) }
                }
                _ => fields.clone(),
            };
            (!inside.is_empty()).then(|| (step.clone(), inside))
        });
        Self { itself: self.itself, below: below.collect() }
    }

    /// What these fields are of a value, and nothing else of it.
    pub fn only(&self, value: &Value) -> Value {
        if self.below.is_empty() {
            return value.clone();
        }
        match value {
            Value::Object(map) => {
                let of = |(name, value): (&String, &Value)| {
                    let step = format!("f:{name}");
                    let fields = self.below.get(&step)?;
                    // A struct with fields of its own that nobody has set: the API server's default, and a newer one's fields come into it.
                    let empty = step == SECURITY && fields.below.is_empty();
                    Some((name.clone(), if empty { Value::Object(Map::new()) } else { fields.only(value) }))
                };
                Value::Object(map.iter().filter_map(of).collect())
            }
            Value::Array(list) => {
                let items = self.items();
                Value::Array(list.iter().filter(|item| items.has(item)).map(|item| items.of(item).only(item)).collect())
            }
            other => other.clone(),
        }
    }

    pub fn union(&self, other: &Self) -> Self {
        let names = self.below.keys().chain(other.below.keys());
        let below = names.map(|name| (name.clone(), self.below(name).union(other.below(name)))).collect();
        Self { itself: self.itself || other.itself, below }
    }

    pub fn difference(&self, other: &Self) -> Self {
        let below = self.below.iter().map(|(name, fields)| (name.clone(), fields.difference(other.below(name))));
        Self { itself: self.itself && !other.itself, below: below.filter(|(_, rest)| !rest.is_empty()).collect() }
    }

    /// Those of these fields that are others in `after` than in `before`, by the API server's rule: what has fields of its own changes
    /// only when it comes or goes, a leaf also when its value does. `all` are the fields that anybody owns, which tells one from another.
    pub fn changed(&self, all: &Self, before: &Value, after: &Value) -> Self {
        self.changed_at(all, &Found::value(before), &Found::value(after))
    }

    /// Those of these fields that an update sets which makes `after` of `before`: what changes and is there afterwards.
    pub fn set(&self, all: &Self, before: &Value, after: &Value) -> Self {
        self.set_at(all, &Found::value(before), &Found::value(after))
    }

    fn set_at(&self, all: &Self, before: &Found<'_>, after: &Found<'_>) -> Self {
        match (before, after) {
            (_, Found::Nothing) => Self::default(),
            (Found::Several(left), Found::Several(right)) if left == right => Self::default(),
            (_, Found::Several(_)) => self.clone(),
            (Found::One(left), Found::One(right)) => {
                let itself = self.itself && all.below.is_empty() && !template::same(left, right);
                let (mut left, mut right) = (Steps::from(left), Steps::from(right));
                self.each(itself, |name, fields| fields.set_at(all.below(name), &left.at(name), &right.at(name)))
            }
            // What comes new is set by itself, besides what is in it, whoever states only what is in it.
            (_, Found::One(right)) => self.there(right, true),
        }
    }

    /// Those of these fields that are there; by themselves in any case, if `as_new`.
    fn there(&self, value: &Value, as_new: bool) -> Self {
        let mut steps = Steps::from(value);
        self.each(self.itself || as_new, |name, fields| match steps.at(name) {
            Found::Nothing => Self::default(),
            Found::One(value) => fields.there(value, as_new),
            Found::Several(_) => fields.clone(),
        })
    }

    fn each(&self, itself: bool, mut of: impl FnMut(&str, &Self) -> Self) -> Self {
        let below = self.below.iter().map(|(name, fields)| (name.clone(), of(name, fields)));
        Self { itself, below: below.filter(|(_, fields)| !fields.is_empty()).collect() }
    }

    /// Those of these fields that are stated as empty maps or lists, or as `null`, where others have something in `before`, and that are
    /// gone in `after`: nothing there contradicts the statement. `all` are the fields that anybody owns.
    pub fn stated_empty(&self, all: &Self, before: &Value, after: &Value) -> Self {
        self.stated_empty_at(all, &Found::value(before), &Found::value(after))
    }

    fn stated_empty_at(&self, all: &Self, before: &Found<'_>, after: &Found<'_>) -> Self {
        let Found::One(left) = before else { return Self::default() };
        if self.itself && self.below.is_empty() {
            let is_gone = matches!(after, Found::Nothing) && !all.below.is_empty();
            return if is_gone { self.clone() } else { Self::default() };
        }
        let Found::One(right) = after else { return Self::default() };
        let (mut left, mut right) = (Steps::from(left), Steps::from(right));
        self.each(false, |name, fields| fields.stated_empty_at(all.below(name), &left.at(name), &right.at(name)))
    }

    fn changed_at(&self, all: &Self, before: &Found<'_>, after: &Found<'_>) -> Self {
        match (before, after) {
            (Found::Nothing, Found::Nothing) => Self::default(),
            (Found::One(left), Found::One(right)) => {
                let itself = self.itself && all.below.is_empty() && !template::same(left, right);
                let (mut left, mut right) = (Steps::from(left), Steps::from(right));
                self.each(itself, |name, fields| fields.changed_at(all.below(name), &left.at(name), &right.at(name)))
            }
            // What is stated as `null` is in neither.
            (Found::Nothing, Found::One(value)) | (Found::One(value), Found::Nothing) => self.there(value, false),
            // Items with one key are one leaf together.
            (Found::Several(left), Found::Several(right)) if left == right => Self::default(),
            _ => self.clone(),
        }
    }
}

/// The sets below the items of a list, by the items' keys; and which items are in the set by what they are.
#[derive(Debug, Default)]
pub struct ItemFields<'a> {
    by_keys: BTreeMap<Vec<String>, HashMap<String, &'a Fields>>,
    values: HashSet<String>,
}

impl<'a> ItemFields<'a> {
    /// The set below an item of a list by keys.
    pub fn of(&self, item: &Value) -> &'a Fields {
        let found = self.by_keys.iter().find_map(|(names, items)| items.get(&keys_of(item, names)?));
        found.copied().unwrap_or(&NONE)
    }

    /// Whether an item of a list, by keys or by value, is in the set.
    pub fn has(&self, item: &Value) -> bool {
        !self.of(item).is_empty() || (!self.values.is_empty() && self.values.contains(&item.to_string()))
    }
}

/// What a path leads to.
enum Found<'a> {
    Nothing,
    One(&'a Value),
    Several(Vec<&'a Value>),
}

impl<'a> Found<'a> {
    fn value(value: &'a Value) -> Self {
        if value.is_null() { Self::Nothing } else { Self::One(value) }
    }

    fn items(mut found: Vec<&'a Value>) -> Self {
        match found.len() {
            0 => Self::Nothing,
            1 => Self::One(found.remove(0)),
            _ => Self::Several(found),
        }
    }
}

/// One value, from which many steps lead down.
struct Steps<'a> {
    from: &'a Value,
    items: Items<'a>,
}

impl<'a> Steps<'a> {
    fn from(from: &'a Value) -> Self {
        Self { from, items: Items::of(from) }
    }

    /// One step down: a field, an item of a list by its keys, by its value, or by its place.
    fn at(&mut self, step: &str) -> Found<'a> {
        let Some((kind, name)) = step.split_once(':') else { return Found::Nothing };
        match kind {
            "f" => self.from.get(name).map_or(Found::Nothing, Found::value),
            "i" => name.parse::<usize>().ok().and_then(|index| self.from.get(index)).map_or(Found::Nothing, Found::value),
            "k" => Found::items(self.items.with_keys(name)),
            _ => Found::items(self.items.with_value(name)),
        }
    }
}

#[cfg(test)]
mod tests {
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
    fn what_is_stated_as_empty_stands_where_the_others_part_goes() {
        let stated = Fields::read(&json!({"f:annotations": {}, "f:labels": {"f:app": {}}, "f:command": {}, "f:env": {}}));
        let all = stated.union(&Fields::read(&json!({"f:annotations": {"f:second": {}}, "f:env": {"k:{\"name\":\"VA\"}": {}}})));
        let before = json!({"annotations": {"second": "1"}, "labels": {"app": "app"}, "command": ["x"], "env": [{"name": "VA"}]});
        let after = json!({"labels": {}, "env": [{"name": "VB"}]});
        // The command is one value, which is stated; the variables are still there, others though.
        assert_eq!(stated.stated_empty(&all, &before, &after).write(), Some(json!({"f:annotations": {}})));
        assert!(stated.stated_empty(&all, &before, &before).is_empty());
    }

    fn any_fields() -> impl Strategy<Value = Fields> {
        let leaf = proptest::bool::ANY.prop_map(|itself| Fields { itself, below: BTreeMap::new() });
        leaf.prop_recursive(3, 16, 3, |below| {
            (proptest::bool::ANY, proptest::collection::btree_map("f:[a-c]", below, 0..3))
                .prop_map(|(itself, below)| Fields { itself, below: below.into_iter().filter(|(_, fields)| !fields.is_empty()).collect() })
        })
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
        assert!(fields.stated_empty(&fields, &before, &after).is_empty());
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
}

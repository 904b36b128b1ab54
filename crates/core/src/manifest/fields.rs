//! A set of field paths as `fieldsV1` writes it, with the API server's own meaning: a path is in the set by itself, besides what is below
//! it. `{}` is a path with nothing below, and `"."` says of one with something below that it is in the set, too.
//! Knows no schema: what is a list by keys and what is one value shows in the paths themselves.

mod only;
mod steps;

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap, HashSet},
};

use serde_json::{Map, Value};

use self::steps::{Found, Steps};
pub use super::items::ListKeys;
use super::{
    items::{keys, keys_of},
    template,
};

const ITSELF: &str = ".";
const MOST_ITEMS: usize = 1000;
/// The maps of a template: what is in them is nobody's but the user's. Other objects have fields that belong together.
pub(super) const MAPS: [&str; 6] = ["annotations", "labels", "limits", "matchLabels", "nodeSelector", "requests"];

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

    /// The same for several together.
    pub fn read_all<'a>(values: impl IntoIterator<Item = &'a Value>) -> Self {
        let mut values = values.into_iter();
        let first = values.next().map(Self::read).unwrap_or_default();
        values.fold(first, |all, value| all.union(&Self::read(value)))
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

    /// The path itself is in the set, and nothing below it.
    pub fn is_one_value(&self) -> bool {
        self.itself && self.below.is_empty()
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

    /// These fields, and of an item of a list of which nothing is known but that it is there (its key stood twice) those of its siblings.
    pub fn with_siblings(&self) -> Self {
        let is_item = |step: &str| step.starts_with("k:");
        let siblings = self.below.iter().filter(|(step, _)| is_item(step)).fold(Self::default(), |all, (_, fields)| all.union(fields));
        let below = self.below.iter().map(|(step, fields)| {
            let fields = if is_item(step) && fields.below.is_empty() { &siblings } else { fields };
            (step.clone(), fields.with_siblings())
        });
        Self { itself: self.itself, below: below.collect() }
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
                    // Nobody writes that many by hand; to look for each of them would take too long.
                    let items = file.as_array()?;
                    if items.len() > MOST_ITEMS { fields.clone() } else { fields.stated_in(items.iter().find(fits)?) }
                }
                _ => fields.clone(),
            };
            (!inside.is_empty()).then(|| (step.clone(), inside))
        });
        Self { itself: self.itself, below: below.collect() }
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

    /// What is in both.
    pub fn common(&self, other: &Self) -> Self {
        self.difference(&self.difference(other))
    }

    /// `into` with these fields as they are in `from`, where both have what they are in.
    pub fn copied(&self, from: &Value, into: &Value) -> Value {
        if self.below.is_empty() {
            return if self.itself { from.clone() } else { into.clone() };
        }
        let mut copied = into.clone();
        let mut steps = Steps::from(from);
        match &mut copied {
            Value::Object(map) => {
                for (step, fields) in &self.below {
                    let Some(value) = step.strip_prefix("f:").and_then(|name| map.get_mut(name)) else { continue };
                    if let Found::One(from) = steps.at(step) {
                        *value = fields.copied(from, value);
                    }
                }
            }
            Value::Array(list) => {
                let items = self.items();
                for item in list.iter_mut().filter(|item| !items.of(item).is_empty()) {
                    if let Some(Found::One(from)) = items.step(item).map(|step| steps.at(&step)) {
                        *item = items.of(item).copied(from, item);
                    }
                }
            }
            _ => {}
        }
        copied
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

    /// Those of these fields that are stated as empty maps or lists, or as `null`, where others own something: who states that last owns
    /// the map, whatever is in it. `all` are the fields that anybody owns.
    pub fn stated_empty(&self, all: &Self) -> Self {
        if self.itself && self.below.is_empty() {
            return if all.below.is_empty() { Self::default() } else { self.clone() };
        }
        self.each(false, |name, fields| fields.stated_empty(all.below(name)))
    }

    /// Those of these fields that hold others and are there: to change what is in them takes them from nobody.
    pub fn filled(&self, all: &Self, value: &Value) -> Self {
        self.filled_at(all, &Found::value(value))
    }

    fn filled_at(&self, all: &Self, found: &Found<'_>) -> Self {
        let Found::One(value) = found else { return Self::default() };
        let mut steps = Steps::from(value);
        self.each(self.itself && !all.below.is_empty(), |name, fields| fields.filled_at(all.below(name), &steps.at(name)))
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
    by_keys: BTreeMap<Vec<Cow<'a, str>>, HashMap<Cow<'a, str>, &'a Fields>>,
    values: HashSet<String>,
}

impl<'a> ItemFields<'a> {
    /// The set below an item of a list by keys.
    pub fn of(&self, item: &Value) -> &'a Fields {
        let found = self.by_keys.iter().find_map(|(names, items)| items.get(keys_of(item, names)?.as_str()));
        found.copied().unwrap_or(&NONE)
    }

    /// The step to an item of a list by keys that is in the set.
    fn step(&self, item: &Value) -> Option<String> {
        let names =
            self.by_keys.iter().find(|(names, items)| keys_of(item, names).is_some_and(|keys| items.contains_key(keys.as_str())))?.0;
        let keys: Map<String, Value> = names.iter().filter_map(|name| Some((name.to_string(), item.get(&**name)?.clone()))).collect();
        Some(format!("k:{}", Value::Object(keys)))
    }

    /// Whether an item of a list, by keys or by value, is in the set.
    pub fn has(&self, item: &Value) -> bool {
        self.with(item).is_some()
    }

    /// The set below an item that is in the set.
    fn with(&self, item: &Value) -> Option<&'a Fields> {
        let below = self.of(item);
        (!below.is_empty() || (!self.values.is_empty() && self.values.contains(&item.to_string()))).then_some(below)
    }
}

#[cfg(test)]
mod tests;

//! Merges what two clients made of one template, each without the other's part, as if the second had come after the first.
//! What is a list by keys and what is one value is told by the records of ownership. Guesses nothing: what can't be merged is not.

mod file;
mod order;
mod values;

use std::{
    borrow::Cow,
    collections::{BTreeSet, HashMap, HashSet, VecDeque, hash_map::Entry},
};

use serde_json::{Map, Value};

pub use self::file::{Stated, state};
use self::{
    order::{in_order, in_order_of_a_change, in_places, keyed},
    values::{with_put_in, with_taken_out},
};
use super::{
    fields::{Fields, ListKeys, MAPS},
    template::same,
};

/// `ours` with all that `theirs` changed of `base`; where both changed one thing, theirs counts. `None` when two parts
/// contradict each other: theirs changes a thing that ours took away.
pub fn merge(owned: Owned<'_>, base: &Value, ours: &Value, theirs: &Value) -> Option<Value> {
    merge_at(owned, NO_MAP, present(base), present(ours), present(theirs)).ok().map(Option::unwrap_or_default)
}

/// Which fields are whose.
#[derive(Debug, Clone, Copy)]
pub struct Owned<'a> {
    /// Anybody's.
    pub known: &'a Fields,
    /// What was stated by who made theirs. The rest of theirs is only what was there.
    pub stated: &'a Fields,
    /// What was stated counts also where it is what was there.
    pub asserted: bool,
    /// Theirs is what they made of the whole of base, and no part of it: what they took away goes, what they changed stays although ours had
    /// taken it away, and their lists have an order.
    pub whole: bool,
    /// What a map or a list by keys of which theirs has left nothing was meant to become.
    pub emptied: Emptied,
    /// What other appliers state, where that is known: an item of a list by keys that an applier takes away and none of them states goes, although
    /// somebody has changed a field in it since.
    pub of_others: Option<&'a Fields>,
}

/// The request shows one object where the last thing was taken away and where all was: a patch of the one names the thing, a patch of the
/// other the map or list, and what others have put there goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emptied {
    /// Each thing by itself.
    ByItem,
    /// By itself where there was one thing, all where there were several.
    Usual,
    /// All, whatever there was.
    AsWhole,
}

impl Emptied {
    fn as_whole(self, base: &Value) -> bool {
        let things = base.as_array().map(Vec::len).or_else(|| base.as_object().map(Map::len)).unwrap_or_default();
        match self {
            Self::ByItem => false,
            Self::Usual => things > 1,
            Self::AsWhole => things > 0,
        }
    }

    /// Whether one in which nothing is left of what there was has been put in its place.
    fn stands_anew(self, base: &Value) -> bool {
        self != Self::ByItem && Self::Usual.as_whole(base)
    }
}

/// Whether two maps, or two lists by keys, have a key in common.
fn has_any_of(known: &Fields, base: &Value, theirs: &Value) -> bool {
    match (base, theirs) {
        (Value::Object(base), Value::Object(theirs)) => theirs.keys().any(|name| base.contains_key(name)),
        (Value::Array(base), Value::Array(theirs)) => known.list_keys().is_none_or(|keys| {
            let base = keys.index(base);
            theirs.iter().any(|item| base.contains_key(&keys.of(item)))
        }),
        _ => true,
    }
}

impl<'a> Owned<'a> {
    /// Of a change that somebody made of the whole of base.
    pub fn change(known: &'a Fields, stated: &'a Fields, emptied: Emptied) -> Self {
        Self { known, stated, asserted: false, whole: true, emptied, of_others: None }
    }

    /// Of an applier's part, which counts as it is stated.
    pub fn asserted(known: &'a Fields, stated: &'a Fields) -> Self {
        Self { known, stated, asserted: true, whole: false, emptied: Emptied::ByItem, of_others: None }
    }

    fn below(&self, name: &str) -> Self {
        let step = format!("f:{name}");
        let of_others = self.of_others.map(|fields| fields.below(&step));
        Self { known: self.known.below(&step), stated: self.stated.below(&step), of_others, ..*self }
    }
}

const NO_MAP: &str = "";

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

fn merge_at(owned: Owned<'_>, name: &str, base: Option<&Value>, ours: Option<&Value>, theirs: Option<&Value>) -> Merged {
    if equal(theirs, base) && (equal(ours, base) || !owned.asserted || owned.stated.is_empty()) {
        return Ok(ours.cloned());
    }
    if equal(ours, base) || equal(ours, theirs) {
        return Ok(theirs.cloned());
    }
    // What is one value to those who apply counts as they state it, also where it is a map, or nothing.
    if !owned.whole && owned.stated.is_one_value() && owned.known.is_one_value() {
        return Ok(theirs.cloned());
    }
    // A list by keys and a map that are not there are empty: what is in them is each for itself.
    let has_none =
        |value: Option<&Value>| value.is_none_or(|value| *value == Value::Array(Vec::new()) || *value == Value::Object(Map::new()));
    let several = |value: &Value| match value {
        Value::Array(_) => owned.known.list_keys().is_some(),
        Value::Object(_) => MAPS.contains(&name),
        _ => false,
    };
    if has_none(theirs) && base.is_some_and(|base| several(base) && owned.emptied.as_whole(base)) {
        return Ok(theirs.cloned());
    }
    if let (Some(base), Some(theirs)) = (base, theirs)
        && several(base)
        && owned.emptied.stands_anew(base)
        && !has_any_of(owned.known, base, theirs)
    {
        return Ok(Some(theirs.clone()));
    }
    if let (None, Some(value)) | (Some(value), None) = (ours, theirs)
        && base.is_some_and(several)
        && several(value)
    {
        let empty = if value.is_array() { Value::Array(Vec::new()) } else { Value::Object(Map::new()) };
        let merged = merge_at(owned, name, base, ours.or(Some(&empty)), theirs.or(Some(&empty)))?;
        return Ok(merged.filter(|merged| *merged != empty));
    }
    match (ours, theirs) {
        (Some(Value::Object(ours)), Some(Value::Object(theirs))) => maps(owned, base.and_then(Value::as_object), ours, theirs),
        (Some(Value::Array(ours)), Some(Value::Array(theirs))) => {
            let base = base.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            match owned.known.list_keys() {
                Some(keys) => lists(owned, &keys, base, ours, theirs),
                None => Ok(Some(both_of_values(owned.whole, base, ours, theirs).unwrap_or_else(|| theirs.clone()).into())),
            }
        }
        _ => one_is_gone(owned, base, ours, theirs),
    }
}

fn one_is_gone(owned: Owned<'_>, base: Option<&Value>, ours: Option<&Value>, theirs: Option<&Value>) -> Merged {
    match (ours, theirs) {
        (None, Some(_)) if base.is_some() && !owned.asserted && !owned.whole => Err(Contradiction),
        // They took away what we have changed since: it is ours now.
        (Some(ours), None) if !owned.whole => Ok(Some(ours.clone())),
        (_, theirs) => Ok(theirs.cloned()),
    }
}

/// An item of a list, which comes and goes as a whole. Those that have one key are one thing, a list.
fn one_item(owned: Owned<'_>, base: Option<&Value>, ours: Option<&Value>, theirs: Option<&Value>) -> Merged {
    let changed = !equal(ours, base) && !equal(theirs, base);
    if changed && base.is_some() && ours.is_some() != theirs.is_some() {
        if theirs.is_none() && owned.of_others.is_some_and(Fields::is_empty) {
            return Ok(None);
        }
        return one_is_gone(owned, base, ours, theirs);
    }
    merge_at(owned, NO_MAP, base, ours, theirs)
}

/// Where both changed one thing, each otherwise: the first such place.
pub fn conflict(known: &Fields, base: &Value, ours: &Value, theirs: &Value, path: &str) -> Option<String> {
    if same(ours, theirs) || same(ours, base) || same(theirs, base) {
        return None;
    }
    let below = |value: &Value, name: &str| value.get(name).cloned().unwrap_or_default();
    match (ours, theirs, known.list_keys()) {
        (Value::Object(left), Value::Object(right), _) => {
            let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            names.into_iter().find_map(|name| {
                let known = known.below(&format!("f:{name}"));
                conflict(known, &below(base, name), &below(ours, name), &below(theirs, name), &format!("{path}.{name}"))
            })
        }
        (Value::Array(left), Value::Array(right), Some(keys)) => {
            let fields = known.items();
            let base = keys.index(base.as_array().map_or(&[][..], Vec::as_slice));
            let (ours, theirs) = (keys.index(left), keys.index(right));
            let of = |items: &std::collections::HashMap<String, &Value>, key: &str| items.get(key).copied().cloned().unwrap_or_default();
            left.iter().chain(right).find_map(|item| {
                let key = keys.of(item);
                let label = item.get("name").and_then(Value::as_str).unwrap_or("*");
                conflict(fields.of(item), &of(&base, &key), &of(&ours, &key), &of(&theirs, &key), &format!("{path}[{label}]"))
            })
        }
        (Value::Array(left), Value::Array(right), None) => {
            let base = base.as_array().map_or(&[][..], Vec::as_slice);
            both_of_values(true, base, left, right).is_none().then(|| path.to_owned())
        }
        _ => Some(path.to_owned()),
    }
}

/// A list that is one value to appliers: who changed it (`whole`) may have put things into what they saw, or taken some out.
fn both_of_values(whole: bool, base: &[Value], ours: &[Value], theirs: &[Value]) -> Option<Vec<Value>> {
    if !whole || theirs.is_empty() || base.is_empty() {
        None
    } else {
        with_put_in(base, ours, theirs).or_else(|| with_taken_out(base, ours, theirs))
    }
}

fn maps(owned: Owned<'_>, base: Option<&Map<String, Value>>, ours: &Map<String, Value>, theirs: &Map<String, Value>) -> Merged {
    let names: BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    let get = |map: &'_ Map<String, Value>, name: &str| map.get(name).and_then(present).cloned();
    let mut merged = Map::new();
    for name in names {
        let (base, ours, theirs) = (base.and_then(|base| get(base, name)), get(ours, name), get(theirs, name));
        let value = merge_at(owned.below(name), name, base.as_ref(), ours.as_ref(), theirs.as_ref())?;
        merged.extend(value.map(|value| (name.clone(), value)));
    }
    Ok(Some(merged.into()))
}

fn lists(owned: Owned<'_>, keys: &ListKeys, base: &[Value], ours: &[Value], theirs: &[Value]) -> Merged {
    if owned.whole {
        return changed_list(owned, keys, base, ours, theirs);
    }
    let (known, owned_by_who_states) = (owned.known.items(), owned.stated.items());
    let of_others = owned.of_others.map(Fields::items);
    let stated: Vec<&Value> = theirs.iter().filter(|item| owned_by_who_states.has(item)).collect();
    let ordered = in_order(keys, ours, &stated);
    let there: HashSet<String> = ordered.iter().map(|item| keys.of(item)).collect();
    let new = theirs.iter().filter(|item| !there.contains(&keys.of(item)));
    let items: Vec<&Value> = ordered.iter().copied().chain(new).collect();
    let [base, ours, theirs] = [base, ours, theirs].map(|list| keys.grouped(list));
    let mut merged: HashMap<String, VecDeque<Value>> = HashMap::new();
    for item in &items {
        let Entry::Vacant(place) = merged.entry(keys.of(item)) else { continue };
        let of_others = of_others.as_ref().map(|fields| fields.of(item));
        let below = Owned { known: known.of(item), stated: owned_by_who_states.of(item), of_others, ..owned };
        let [base, ours, theirs] = [&base, &ours, &theirs].map(|list| list.get(place.key()).map(Cow::as_ref));
        let together = match one_item(below, base, ours, theirs)? {
            Some(Value::Array(several)) => several.into(),
            found => found.into_iter().collect(),
        };
        place.insert(together);
    }
    Ok(Some(in_places(keys, &items, merged).into()))
}

fn changed_list(owned: Owned<'_>, keys: &ListKeys, base: &[Value], ours: &[Value], theirs: &[Value]) -> Merged {
    let (known, stated) = (owned.known.items(), owned.stated.items());
    let [base, ours, theirs] = [base, ours, theirs].map(|list| keyed(keys, list));
    let index = |list: &[order::Keyed<'_>]| list.iter().map(|one| (one.key.clone(), one.item.clone())).collect::<HashMap<_, _>>();
    let ordered = in_order_of_a_change(&base, &ours, &theirs);
    let [base, ours, theirs] = [&base, &ours, &theirs].map(|list| index(list));
    let mut merged = Vec::new();
    for key in ordered {
        let Some(item) = ours.get(key).or_else(|| theirs.get(key)) else { continue };
        let below = Owned { known: known.of(item), stated: stated.of(item), of_others: None, ..owned };
        merged.extend(one_item(below, base.get(key), ours.get(key), theirs.get(key))?);
    }
    Ok(Some(merged.into()))
}

#[cfg(test)]
mod tests;

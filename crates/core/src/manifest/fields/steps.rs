//! Where the paths of a set lead in a value. Knows nothing of sets.

use serde_json::Value;

use crate::manifest::items::Items;

/// What a path leads to.
pub(super) enum Found<'a> {
    Nothing,
    One(&'a Value),
    Several(Vec<&'a Value>),
}

impl<'a> Found<'a> {
    pub(super) fn value(value: &'a Value) -> Self {
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
pub(super) struct Steps<'a> {
    from: &'a Value,
    items: Items<'a>,
}

impl<'a> Steps<'a> {
    pub(super) fn from(from: &'a Value) -> Self {
        Self { from, items: Items::of(from) }
    }

    /// One step down: a field, an item of a list by its keys, by its value, or by its place.
    pub(super) fn at(&mut self, step: &str) -> Found<'a> {
        let Some((kind, name)) = step.split_once(':') else { return Found::Nothing };
        match kind {
            "f" => self.from.get(name).map_or(Found::Nothing, Found::value),
            "i" => name.parse::<usize>().ok().and_then(|index| self.from.get(index)).map_or(Found::Nothing, Found::value),
            "k" => Found::items(self.items.with_keys(name)),
            _ => Found::items(self.items.with_value(name)),
        }
    }
}

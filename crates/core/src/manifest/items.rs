//! Items of lists, found by what tells them apart without going through the whole list for each: a template may have thousands of variables.
//! Keys are parsed and written once; what is compared is their text, which is one for equal values.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use serde_json::{Map, Value};

/// How the items of a list are told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListKeys {
    /// By these fields of theirs.
    Fields(Vec<String>),
    /// By what they are: a set.
    Values,
}

impl ListKeys {
    /// What tells an item from the others, as text.
    pub fn of(&self, item: &Value) -> String {
        match self {
            Self::Fields(names) => {
                let values = names.iter().map(|name| item.get(name).map_or_else(|| "-".to_owned(), Value::to_string));
                values.collect::<Vec<_>>().join(",")
            }
            Self::Values => item.to_string(),
        }
    }

    /// The items by their keys. Those that have one key are one thing, as the API server takes them: all of them, as a list.
    pub fn grouped<'a>(&self, list: &'a [Value]) -> HashMap<String, Cow<'a, Value>> {
        let mut groups = HashMap::with_capacity(list.len());
        for item in list {
            let one = |group: &mut Cow<'a, Value>| match group.to_mut() {
                Value::Array(several) => several.push(item.clone()),
                first => *first = Value::Array(vec![first.take(), item.clone()]),
            };
            groups.entry(self.of(item)).and_modify(one).or_insert(Cow::Borrowed(item));
        }
        groups
    }

    /// The items by their keys; the first of those that have the same.
    pub fn index<'a>(&self, list: &'a [Value]) -> HashMap<String, &'a Value> {
        let mut index = HashMap::with_capacity(list.len());
        for item in list {
            index.entry(self.of(item)).or_insert(item);
        }
        index
    }
}

/// The names of the fields that tell items apart, and their values as one text.
pub(super) fn keys(text: &str) -> Option<(Vec<String>, String)> {
    let keys = serde_json::from_str::<Map<String, Value>>(text).ok()?;
    let names: Vec<String> = keys.keys().cloned().collect();
    let values: Vec<String> = keys.values().map(Value::to_string).collect();
    Some((names, values.join(",")))
}

/// The keys of an item, if it has all of these fields.
pub(super) fn keys_of(item: &Value, names: &[String]) -> Option<String> {
    let values: Option<Vec<String>> = names.iter().map(|name| item.get(name).map(Value::to_string)).collect();
    values.map(|values| values.join(","))
}

/// A list in which items are looked up by the keys that records name, whichever these are.
#[derive(Debug, Default)]
pub(super) struct Items<'a> {
    list: &'a [Value],
    /// By the names of the keys that were asked for so far.
    by_keys: BTreeMap<Vec<String>, HashMap<String, Vec<&'a Value>>>,
    by_value: Option<HashMap<String, Vec<&'a Value>>>,
}

impl<'a> Items<'a> {
    pub(super) fn of(value: &'a Value) -> Self {
        Self { list: value.as_array().map_or(&[][..], Vec::as_slice), ..Self::default() }
    }

    /// Those with these keys, as a record writes them.
    pub(super) fn with_keys(&mut self, text: &str) -> Vec<&'a Value> {
        let Some((names, wanted)) = keys(text) else { return Vec::new() };
        let list = self.list;
        let index = self.by_keys.entry(names).or_insert_with_key(|names| grouped(list, |item| keys_of(item, names)));
        index.get(&wanted).cloned().unwrap_or_default()
    }

    /// Those that are this value, as a record writes it.
    pub(super) fn with_value(&mut self, text: &str) -> Vec<&'a Value> {
        let Ok(wanted) = serde_json::from_str::<Value>(text) else { return Vec::new() };
        let list = self.list;
        let index = self.by_value.get_or_insert_with(|| grouped(list, |item| Some(item.to_string())));
        index.get(&wanted.to_string()).cloned().unwrap_or_default()
    }
}

fn grouped(list: &[Value], key: impl Fn(&Value) -> Option<String>) -> HashMap<String, Vec<&Value>> {
    let mut groups: HashMap<String, Vec<&Value>> = HashMap::with_capacity(list.len());
    for item in list {
        if let Some(key) = key(item) {
            groups.entry(key).or_default().push(item);
        }
    }
    groups
}

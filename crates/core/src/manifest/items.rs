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
pub(super) fn keys(text: &str) -> Option<(Vec<Cow<'_, str>>, Cow<'_, str>)> {
    if let Some((name, value)) = one_plain_key(text) {
        return Some((vec![Cow::Borrowed(name)], Cow::Borrowed(value)));
    }
    let keys = serde_json::from_str::<Map<String, Value>>(text).ok()?;
    let values: Vec<String> = keys.values().map(Value::to_string).collect();
    Some((keys.into_iter().map(|(name, _)| name.into()).collect(), values.join(",").into()))
}

/// The key of most lists, read without taking it apart: one text without anything to unescape, as in `{"name":"app"}`.
fn one_plain_key(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.strip_prefix("{\"")?.strip_suffix('}')?.split_once("\":")?;
    let inside = value.strip_prefix('"')?.strip_suffix('"')?;
    (!name.contains(['"', '\\']) && !inside.contains(['"', '\\'])).then_some((name, value))
}

/// The keys of an item, if it has all of these fields.
pub(super) fn keys_of(item: &Value, names: &[impl AsRef<str>]) -> Option<String> {
    let mut values = names.iter().map(|name| item.get(name.as_ref()).map(Value::to_string));
    let Some(first) = values.next() else { return Some(String::new()) };
    values.try_fold(first?, |text, value| Some(text + "," + &value?))
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
        let names = names.into_iter().map(Cow::into_owned).collect();
        let index = self.by_keys.entry(names).or_insert_with_key(|names| grouped(list, |item| keys_of(item, names)));
        index.get(&*wanted).cloned().unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case::plain(json!({"name": "app"}))]
    #[case::number(json!({"containerPort": 80}))]
    #[case::several(json!({"containerPort": 80, "protocol": "TCP"}))]
    #[case::quotes(json!({"name": "a\"b\\"}))]
    #[case::a_quote_in_the_name(json!({"na\"me": "app"}))]
    #[case::separators(json!({"name": "a\":\"b,c}"}))]
    #[case::empty(json!({"": ""}))]
    #[case::none(json!({}))]
    fn an_item_is_found_by_its_own_keys(#[case] item: Value) {
        let text = item.to_string();
        let (names, values) = keys(&text).unwrap();
        assert_eq!(keys_of(&item, &names).as_deref(), Some(&*values));
        let parsed: Vec<&String> = item.as_object().unwrap().keys().collect();
        assert_eq!(names, parsed.iter().map(|name| name.as_str()).collect::<Vec<_>>());
        assert_eq!(keys_of(&json!({"other": 1}), &names), names.is_empty().then(String::new));
    }

    #[rstest]
    #[case(r#"{"name":"a\u003cb"}"#, r#""a<b""#)]
    #[case(r#"{ "name" : "app" }"#, r#""app""#)]
    fn what_is_written_in_another_way_is_the_same(#[case] text: &str, #[case] expected: &str) {
        let (names, values) = keys(text).unwrap();
        assert_eq!((&*names[0], &*values), ("name", expected));
    }

    proptest! {
        #[test]
        fn reading_plainly_says_what_reading_all_says(name in ".{0,6}", value in ".{0,6}", cut in 0..30_usize) {
            let text = json!({name: value}).to_string();
            let whole = serde_json::from_str::<Map<String, Value>>(&text).unwrap();
            let (name, value) = whole.iter().next().unwrap();
            prop_assert_eq!(keys(&text), Some((vec![Cow::from(name.as_str())], Cow::from(value.to_string()))));
            let part: String = text.chars().take(cut).collect();
            prop_assert!(part == text || keys(&part).is_none());
        }
    }
}

//! One value of a JSON page, found without making the whole page a tree: a small text can be a large one.

use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// A larger value is compared with nothing.
const LARGEST_VALUE: usize = 64 << 10;

/// What is wrong with a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PageError {
    #[error("it isn't JSON")]
    NotJson,
    #[error("the value is too long")]
    TooLong,
}

/// The value at a JSON pointer, if there is one.
pub(super) fn find(page: &[u8], pointer: &str) -> Result<Option<Value>, PageError> {
    let mut value: &RawValue = serde_json::from_slice(page).map_err(|_| PageError::NotJson)?;
    for token in pointer.split('/').skip(1) {
        let token = token.replace("~1", "/").replace("~0", "~");
        let mut reader = serde_json::Deserializer::from_str(value.get());
        let found = match value.get().as_bytes().first() {
            Some(b'{') => reader.deserialize_map(Wanted(&token)),
            Some(b'[') => reader.deserialize_seq(Wanted(&token)),
            _ => Ok(None),
        };
        let Some(found) = found.map_err(|_| PageError::NotJson)? else { return Ok(None) };
        value = found;
    }
    if value.get().len() > LARGEST_VALUE {
        return Err(PageError::TooLong);
    }
    serde_json::from_str(value.get()).map(Some).map_err(|_| PageError::NotJson)
}

/// The member of this name, or the element of this number.
struct Wanted<'a>(&'a str);

impl<'de> Visitor<'de> for Wanted<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("an object or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<String>()? {
            if name == self.0 {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        // As `Value::pointer` has it: a number without a sign and without zeros before it.
        let wanted = self.0.parse::<usize>().ok().filter(|index| index.to_string() == self.0);
        let (mut found, mut index) = (None, 0);
        loop {
            if Some(index) == wanted {
                found = list.next_element()?;
                if found.is_none() {
                    return Ok(None);
                }
            } else if list.next_element::<IgnoredAny>()?.is_none() {
                return Ok(found);
            }
            index += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case("", Some(json!({"a": [1, {"b/c~": "up"}], "": 7})))]
    #[case("/a/1/b~1c~0", Some(json!("up")))]
    #[case("/a/0", Some(json!(1)))]
    #[case("/a/2", None)]
    #[case("/a/01", None)]
    #[case("/a/+1", None)]
    #[case("/", Some(json!(7)))]
    #[case("/a/0/x", None)]
    #[case("/b", None)]
    fn values(#[case] pointer: &str, #[case] expected: Option<Value>) {
        assert_eq!(find(br#" {"a": [1, {"b/c~": "up"}], "": 7} "#, pointer), Ok(expected));
    }

    #[rstest]
    #[case::html("<html>".to_owned(), PageError::NotJson)]
    #[case::cut(r#"{"a": "#.to_owned(), PageError::NotJson)]
    #[case::wrong_behind_the_value(r#"{"a": 1, "b": }"#.to_owned(), PageError::NotJson)]
    #[case::deep("[".repeat(200_000), PageError::NotJson)]
    #[case::long(format!(r#"{{"a": "{}"}}"#, "x".repeat(LARGEST_VALUE)), PageError::TooLong)]
    fn pages_that_tell_nothing(#[case] page: String, #[case] expected: PageError) {
        assert_eq!(find(page.as_bytes(), "/a"), Err(expected));
    }

    fn page() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![any::<i32>().prop_map(Value::from), "[a/~]{0,2}".prop_map(Value::from), Just(Value::Null)];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a/~0]{0,2}", inner, 0..4).prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_finds_what_the_library_finds(page in page(), pointer in "(/[a/~01]{0,2}){0,3}") {
            let found = find(page.to_string().as_bytes(), &pointer);
            prop_assert_eq!(found, Ok(page.pointer(&pointer).cloned()));
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..100), pointer in "\\PC{0,10}") {
            let _ = find(&bytes, &pointer);
        }
    }
}

//! How much memory a JSON text takes once it is read into a tree, told without building the tree: 8 MB of `{"a":1}` become a gigabyte.
//! Never too little, for any text; about right for objects of a cluster.

/// What one more string takes besides its bytes: the allocator's own part and rounding.
const STRING: usize = 32;
/// A value's place.
const PLACE: usize = 64;
/// A value's place in an array, which may be twice as long as what is in it, and of which more copies are made on the way to an answer.
const ITEM: usize = 96;
/// A node of the tree that holds an object's fields. The first field needs one, and each further six, as nodes split when they are full.
const NODE: usize = 656;
const FIELDS_PER_NODE: usize = 6;

/// The bytes that the tree of this text takes. Of a text that is no JSON, all that a reader could have built when it finds that out.
pub(super) fn weight(text: &[u8]) -> usize {
    let mut weight = PLACE;
    // Fields seen of each object that is open; `None` for an array. As deep as any reader goes: what is deeper is refused by it.
    let mut open: Vec<Option<usize>> = Vec::with_capacity(DEEPEST);
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'"' => {
                let length = string(rest);
                weight += STRING + length;
                rest = rest.get(length + 1..).unwrap_or_default();
            }
            b':' => {
                if let Some(Some(fields)) = open.last_mut() {
                    if *fields % FIELDS_PER_NODE == 0 {
                        weight += NODE;
                    }
                    *fields += 1;
                }
            }
            b',' if matches!(open.last(), Some(None)) => weight += ITEM,
            b'{' if open.len() < DEEPEST => open.push(Some(0)),
            b'[' if open.len() < DEEPEST => {
                // The smallest array that holds anything has four places.
                weight += 2 * ITEM;
                open.push(None);
            }
            b'{' | b'[' => return weight,
            b'}' | b']' => drop(open.pop()),
            _ => {}
        }
    }
    weight
}

/// Where the library's readers stop.
const DEEPEST: usize = 128;

/// The length of a string whose first quote was read.
fn string(text: &[u8]) -> usize {
    let mut length = 0;
    loop {
        let rest = text.get(length..).unwrap_or_default();
        let Some(next) = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')) else { return text.len() };
        if rest.get(next) == Some(&b'"') {
            return length + next;
        }
        length += next + 2;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;
    use serde_json::Value;

    use super::*;

    /// What is allocated for a value besides its own place, by the library's own sizes: at most eleven fields are in a node.
    fn allocated(value: &Value) -> usize {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
            Value::String(text) => text.len(),
            Value::Array(items) => size_of::<Value>() * items.capacity() + items.iter().map(allocated).sum::<usize>(),
            Value::Object(fields) => {
                let nodes = fields.len().div_ceil(11);
                let node = 11 * (size_of::<Value>() + size_of::<String>()) + 16;
                nodes * node + fields.iter().map(|(name, value)| name.len() + allocated(value)).sum::<usize>()
            }
        }
    }

    #[rstest]
    #[case::nothing("", 64)]
    #[case::a_number("17", 64)]
    #[case::a_string(r#""ab""#, 64 + 34)]
    #[case::quotes_in_a_string(r#""a\"b\\""#, 64 + 38)]
    #[case::an_empty_object("{}", 64)]
    #[case::a_field(r#"{"a":1}"#, 64 + 33 + 656)]
    #[case::a_list("[1,2,3]", 64 + 192 + 192)]
    #[case::an_unfinished_string(r#"{"a"#, 64 + 33)]
    #[case::an_unfinished_escape(r#""a\"#, 64 + 34)]
    fn weights(#[case] text: &str, #[case] expected: usize) {
        assert_eq!(weight(text.as_bytes()), expected);
    }

    #[test]
    fn small_objects_weigh_what_they_take() {
        let text = format!("[{}]", vec![r#"{"a":1}"#; 1_000].join(","));
        assert!(weight(text.as_bytes()) > 700_000);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u32>().prop_map(Value::from),
            ".{0,20}".prop_map(Value::from)
        ];
        leaf.prop_recursive(5, 200, 20, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..20).prop_map(Value::from),
                proptest::collection::btree_map(".{0,8}", inner, 0..20).prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn never_too_little(value in any_json()) {
            let text = value.to_string();
            let read: Value = text.parse().unwrap();
            prop_assert!(weight(text.as_bytes()) >= allocated(&read), "{text}");
        }

        #[test]
        fn any_bytes_are_weighed(text in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'"'), Just(b'{'), Just(b'['), Just(b'\\')], 0..300)) {
            prop_assert!(weight(&text) >= PLACE);
        }
    }
}

//! One annotation after the other, as text and parsed; a refusal names the key, the value and what is accepted.

use std::collections::BTreeMap;

use super::annotations as key;
use crate::words::is_hidden;

/// A refused annotation. Its text is one line that names the key, the value and what is accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAnnotation {
    #[error("{key}: {value:?} is not accepted; expected {expected}")]
    Value { key: String, value: String, expected: String },
    #[error("{key}: {problem}")]
    Problem { key: String, problem: String },
    #[error("{key}: unknown annotation; known are {}", key::USER_KEYS.join(", "))]
    UnknownKey { key: String },
}

/// Long values are cut in messages: a reader needs to recognise the value, not to read all of it again.
const LONGEST_SHOWN: usize = 60;

pub(super) struct Reader<'a> {
    pub(super) annotations: &'a BTreeMap<&'a str, &'a str>,
}

impl Reader<'_> {
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.annotations.get(key).copied()
    }

    pub(super) fn read<T>(&self, key: &str, expected: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, InvalidAnnotation> {
        let Some(text) = self.annotations.get(key) else { return Ok(None) };
        let refused = || InvalidAnnotation::Value { key: key.to_owned(), value: shown(text), expected: expected.to_owned() };
        parse(text).map(Some).ok_or_else(refused)
    }
}

/// The beginning of a value, for where it is quoted with its control characters escaped.
pub(super) fn shown(text: &str) -> String {
    let mut characters = text.chars();
    let mut shown: String = characters.by_ref().take(LONGEST_SHOWN).collect();
    if characters.next().is_some() {
        shown.push('…');
    }
    shown
}

/// The same without what hides or turns a line, for where it stands as it is.
pub(super) fn plain(text: &str) -> String {
    shown(&text.replace(is_hidden, ""))
}

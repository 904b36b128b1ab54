//! What a user writes about notifications: names of sinks, never an address, and words to be told with them. Whether a sink of that name
//! exists is the administrator's to say: see `notify::sinks`.

use serde_json::{Map, Value};

use super::{
    annotations as key,
    reader::{InvalidAnnotation, Reader},
};
use crate::words::within;

const MOST_SINKS: usize = 5;
const LONGEST_NAME: usize = 40;
const MOST_WORDS: usize = 10;
/// The longest that all of them may be together, in bytes: they are kept on the object until they are told.
const LONGEST_WORDS: usize = 500;

/// What stands where the names of sinks do, for nobody.
pub const NOBODY: &str = "none";

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Notify {
    /// Names of sinks; an empty list tells nobody. `None`: whoever is told by default.
    pub sinks: Option<Vec<String>>,
    /// Told with it, such as `git` and a commit.
    pub info: Vec<(String, String)>,
}

impl Notify {
    pub(super) fn read(reader: &Reader<'_>) -> Result<Self, InvalidAnnotation> {
        let sinks = reader.read(key::NOTIFY, "up to 5 names of sinks, such as payments, ops, or \"none\"", names)?;
        let info =
            reader.read(key::NOTIFY_INFO, "up to 10 words with a value, such as git=4f2a9c1; ticket=OPS-7, 500 bytes together", info)?;
        Ok(Self { sinks, info: info.unwrap_or_default() })
    }
}

/// What a namespace says. Nobody checks it when it is written: what is no list of names counts as nothing said.
pub fn of_namespace(annotations: &Map<String, Value>) -> Option<Vec<String>> {
    annotations.get(key::NOTIFY).and_then(Value::as_str).and_then(names)
}

/// Between commas or blanks.
pub fn names(text: &str) -> Option<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for name in text.split(|character: char| character == ',' || character.is_whitespace()).filter(|name| !name.is_empty()) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    if names == [NOBODY] {
        return Some(Vec::new());
    }
    ((1..=MOST_SINKS).contains(&names.len()) && names.iter().all(|name| is_name(name))).then_some(names)
}

/// What a sink may be called.
pub fn is_name(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let outer = |edge: Option<u8>| edge.is_some_and(|byte| byte != b'-');
    let bytes = name.as_bytes();
    bytes.len() <= LONGEST_NAME
        && name != NOBODY
        && bytes.iter().copied().all(inner)
        && outer(bytes.first().copied())
        && outer(bytes.last().copied())
}

/// `git=4f2a9c1; ticket=OPS-7`
fn info(text: &str) -> Option<Vec<(String, String)>> {
    let pairs = text.split([';', '\n']).map(str::trim).filter(|pair| !pair.is_empty());
    let pairs: Option<Vec<(String, String)>> = pairs.map(pair).collect();
    pairs.filter(|pairs| text.len() <= LONGEST_WORDS && (1..=MOST_WORDS).contains(&pairs.len()))
}

fn pair(text: &str) -> Option<(String, String)> {
    let (word, value) = text.split_once('=')?;
    let (word, value) = (word.trim(), value.trim());
    let is_word = word.len() <= LONGEST_NAME && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    (is_word && !word.is_empty() && !value.is_empty()).then(|| (word.to_owned(), within(value, LONGEST_WORDS)))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::api::policy::Policy;

    fn notify(name: &str, value: &str) -> Result<Notify, String> {
        Policy::parse(&[(name, value)].into_iter().collect()).map(|policy| policy.notify).map_err(|error| error.to_string())
    }

    #[test]
    fn names_and_words() {
        let sinks = |text| notify("canary.notify", text).unwrap().sinks.unwrap();
        assert_eq!(sinks("payments"), ["payments"]);
        assert_eq!(sinks(" payments, ops,payments\n"), ["payments", "ops"]);
        assert!(sinks("none").is_empty());
        let pair = |word: &str, value: &str| (word.to_owned(), value.to_owned());
        let info = notify("canary.notify-info", "git=4f2a9c1; ticket = OPS-7;\nlink=https://x/?a=b").unwrap().info;
        assert_eq!(info, [pair("git", "4f2a9c1"), pair("ticket", "OPS-7"), pair("link", "https://x/?a=b")]);
    }

    #[rstest]
    #[case::an_address("canary.notify", "https://hooks.example/secret")]
    #[case::capitals("canary.notify", "Payments")]
    #[case::nothing("canary.notify", ", ")]
    #[case::none_and_one("canary.notify", "none, ops")]
    #[case::six("canary.notify", "a,b,c,d,e,f")]
    #[case::no_value("canary.notify-info", "git")]
    #[case::no_word("canary.notify-info", "=4f2a9c1")]
    #[case::a_word_that_is_none("canary.notify-info", "<!channel>=x")]
    fn refused_in_one_line(#[case] name: &str, #[case] value: &str) {
        let sentence = notify(name, value).unwrap_err();
        let expected = match name {
            "canary.notify" => "up to 5 names of sinks, such as payments, ops, or \"none\"",
            _ => "up to 10 words with a value, such as git=4f2a9c1; ticket=OPS-7, 500 bytes together",
        };
        assert_eq!(sentence, format!("{name}: {value:?} is not accepted; expected {expected}"));
    }

    #[test]
    fn too_many_words_are_refused() {
        assert!(notify("canary.notify-info", &format!("git={}", "x".repeat(497))).is_err());
        assert!(notify("canary.notify-info", &"a=b;".repeat(11)).is_err());
        assert!(notify("canary.notify-info", &"x".repeat(200 << 10)).unwrap_err().len() < 250);
    }

    #[test]
    fn a_namespace_that_says_nonsense_says_nothing() {
        let of = |text: &str| of_namespace(json!({"canary.notify": text}).as_object().unwrap());
        assert_eq!(of("ops"), Some(vec!["ops".to_owned()]));
        assert_eq!(of("none"), Some(Vec::new()));
        assert_eq!((of("https://x"), of_namespace(&Map::new())), (None, None));
    }
}

//! The label that tells a canary's pods apart, as the administrator writes it. Kubernetes would refuse a malformed one with each canary, and too late.

use std::str::FromStr;

/// A label's key and value, both non-empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    pub key: String,
    pub value: String,
}

impl Label {
    pub fn new(key: &str, value: &str) -> Self {
        Self { key: key.to_owned(), value: value.to_owned() }
    }
}

impl FromStr for Label {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (key, value) = text
            .split_once('=')
            .filter(|(key, value)| is_label_key(key) && is_label_part(value))
            .ok_or_else(|| "expected KEY=VALUE, as in tier=canary, with the characters that Kubernetes allows in labels".to_owned())?;
        let is_ours = key.split_once('/').is_some_and(|(domain, _)| domain == "coalmine.dev" || domain.ends_with(".coalmine.dev"));
        if is_ours || key == "pod-template-hash" {
            return Err(format!("{key} has a meaning of its own; expected a label such as tier=canary"));
        }
        Ok(Self::new(key, value))
    }
}

fn is_label_key(key: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let domain_part = |part: &str| {
        let bytes = part.as_bytes();
        bytes.iter().all(|byte| letter(*byte) || *byte == b'-')
            && matches!((bytes.first(), bytes.last()), (Some(first), Some(last)) if letter(*first) && letter(*last))
    };
    match key.split_once('/') {
        Some((domain, name)) => domain.len() <= 253 && domain.split('.').all(domain_part) && is_label_part(name),
        None => is_label_part(key),
    }
}

/// A label's value, or the name in its key. An empty value would tell nobody apart.
fn is_label_part(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let outer = |c: char| c.is_ascii_alphanumeric();
    name.len() <= 63 && name.chars().all(inner) && name.starts_with(outer) && name.ends_with(outer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("tier=canary", Some(("tier", "canary")))]
    #[case("example.com/track=canary", Some(("example.com/track", "canary")))]
    #[case("tier", None)]
    #[case("tier=", None)]
    #[case("=canary", None)]
    #[case("tier=-canary", None)]
    #[case("tier=a b", None)]
    #[case("a/b/c=canary", None)]
    #[case("/track=canary", None)]
    #[case("Example.com/track=canary", None)]
    #[case("example..com/track=canary", None)]
    #[case("coalmine.dev/role=primary", None)]
    #[case("pod-template-hash=canary", None)]
    fn labels(#[case] text: &str, #[case] expected: Option<(&str, &str)>) {
        let expected = expected.map(|(key, value)| Label { key: key.to_owned(), value: value.to_owned() });
        assert_eq!(text.parse().ok(), expected);
    }
}

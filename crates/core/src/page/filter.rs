//! The filter of a list, as it is written behind the question mark of an address. A filter that can't be meant is refused in one line.

use std::fmt::Write as _;

use url::form_urlencoded::{byte_serialize, parse};

use crate::{api::annotations::Phase, words::cut};

/// Deployments on one page, and in one answer of the API.
const ON_A_PAGE: usize = 100;
const MOST: usize = 100;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    pub namespace: Option<String>,
    pub phase: Option<Phase>,
    /// Counted from one.
    pub page: usize,
    /// How many on each.
    pub limit: usize,
    /// The last of those that were answered before, as namespace and name.
    pub after: Option<(String, String)>,
}

impl Default for Filter {
    fn default() -> Self {
        Self { namespace: None, phase: None, page: 1, limit: ON_A_PAGE, after: None }
    }
}

impl Filter {
    /// Fields that are not known are left alone: tools add theirs.
    pub fn of(query: &str) -> Result<Self, String> {
        let mut filter = Self::default();
        for (name, value) in parse(query.as_bytes()).filter(|(_, value)| !value.is_empty()) {
            match &*name {
                "namespace" => {
                    let named = is_name(&value).then(|| value.to_string());
                    filter.namespace = Some(known(&name, &value, "the name of a namespace", named)?);
                }
                "phase" => {
                    let all = Phase::ALL.map(Phase::as_str).join(", ");
                    filter.phase = Some(known(&name, &value, &format!("one of {all}"), Phase::parse(&value))?);
                }
                "page" => filter.page = number(&name, &value, 100_000)?,
                "limit" => filter.limit = number(&name, &value, MOST)?,
                "continue" => {
                    let pair = value.split_once('/').filter(|(namespace, deployment)| is_name(namespace) && is_name(deployment));
                    let pair = pair.map(|(namespace, deployment)| (namespace.to_owned(), deployment.to_owned()));
                    filter.after = Some(known(&name, &value, "what the answer before said", pair)?);
                }
                _ => {}
            }
        }
        Ok(filter)
    }

    /// The same filter as the end of an address, at this page.
    pub(super) fn query(&self, page: usize) -> String {
        let mut query = String::new();
        let mut add = |name: &str, value: &str| {
            let encoded: String = byte_serialize(value.as_bytes()).collect();
            let _ = write!(query, "{}{name}={encoded}", if query.is_empty() { '?' } else { '&' });
        };
        if let Some(namespace) = &self.namespace {
            add("namespace", namespace);
        }
        if let Some(phase) = self.phase {
            add("phase", phase.as_str());
        }
        if page > 1 {
            add("page", &page.to_string());
        }
        if query.is_empty() { "./".to_owned() } else { query }
    }
}

fn number(name: &str, value: &str, most: usize) -> Result<usize, String> {
    known(name, value, &format!("a number from 1 to {most}"), value.parse().ok().filter(|number| (1..=most).contains(number)))
}

fn known<T>(name: &str, value: &str, expected: &str, read: Option<T>) -> Result<T, String> {
    read.ok_or_else(|| format!("{name}: \"{}\" is not {expected}", cut(value)))
}

/// What Kubernetes lets a namespace or a Deployment be called, which can be a part of an address without meaning anything else.
pub fn is_name(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let part = |part: &str| {
        let bytes = part.as_bytes();
        matches!((bytes.first(), bytes.last()), (Some(first), Some(last)) if letter(*first) && letter(*last))
            && bytes.iter().all(|byte| letter(*byte) || *byte == b'-')
    };
    text.len() <= 253 && text.split('.').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_read_and_written() {
        assert_eq!(Filter::of("").unwrap(), Filter::default());
        let filter = Filter::of("namespace=shop&phase=Rejected&page=3&utm=x&limit=").unwrap();
        assert_eq!((filter.namespace.as_deref(), filter.phase, filter.page, filter.limit), (Some("shop"), Some(Phase::Rejected), 3, 100));
        assert_eq!(filter.query(3), "?namespace=shop&phase=Rejected&page=3");
        assert_eq!((Filter::default().query(1), Filter::default().query(2)), ("./".to_owned(), "?page=2".to_owned()));
        assert_eq!(Filter::of("continue=shop%2Fapp").unwrap().after, Some(("shop".to_owned(), "app".to_owned())));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_in_one_line() {
        let refused = ["namespace=..%2F..", "phase=%3Cscript%3E", "page=0", "page=-1", "limit=101", "continue=a", "continue=../x"];
        let words: Vec<String> = refused.iter().map(|query| Filter::of(query).unwrap_err()).collect();
        insta::assert_snapshot!(words.join("\n"), @r#"
        namespace: "../.." is not the name of a namespace
        phase: "<script>" is not one of Held, Running, AwaitingApproval, Rejected, Inconclusive, Promoted, Withdrawn, Cancelled, Bypassed, RolledBack, Skipped, Superseded
        page: "0" is not a number from 1 to 100000
        page: "-1" is not a number from 1 to 100000
        limit: "101" is not a number from 1 to 100
        continue: "a" is not what the answer before said
        continue: "../x" is not what the answer before said
        "#);
    }

    #[test]
    fn names_lead_nowhere_else() {
        for name in ["app", "a", "0", "app-1", "app.v2", "a.b-c.d"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", ".", "..", "a..b", "-a", "a-", "A", "a/b", "a%2f", "../x", "a\\b", "a b", "é", &"a".repeat(254)] {
            assert!(!is_name(name), "{name}");
        }
    }
}

//! Who owns fields of an object: one entry of `metadata.managedFields`, apart from its time and its fields.
//! Where it is stored as a key of a map, it is a text; what an owner owns, and of which template, is not this file's.

use std::{cmp::Ordering, fmt, iter, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::manifest::workload::API_VERSION;

const SEPARATOR: char = '|';

/// What tells one entry from another.
///
/// Source: the API server merges entries of the same manager, operation, API version and subresource (`managedfieldsmanager.go`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Owner {
    manager: String,
    operation: String,
    api_version: String,
    subresource: String,
}

impl Owner {
    /// Of an entry of `managedFields`.
    pub(super) fn of(entry: &Value) -> Self {
        let part = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Self { manager: part("manager"), operation: part("operation"), api_version: part("apiVersion"), subresource: part("subresource") }
    }

    /// Who updates a Deployment.
    pub(super) fn updating(manager: &str) -> Self {
        let [manager, operation, api_version] = [manager, "Update", API_VERSION].map(str::to_owned);
        Self { manager, operation, api_version, subresource: String::new() }
    }

    /// Whether that is one of this manager's entries.
    pub fn is(&self, manager: &str) -> bool {
        self.manager == manager
    }

    /// Whether that is what this manager owns by server-side apply.
    pub(super) fn is_application_of(&self, manager: &str) -> bool {
        self.is(manager) && self.operation == "Apply"
    }

    /// Whether that is what this manager owns by updates.
    pub(super) fn is_update_of(&self, manager: &str) -> bool {
        self.is(manager) && self.operation == "Update"
    }

    /// An entry of `managedFields` that owns these fields of the template.
    pub(super) fn entry(&self, fields: Value) -> Value {
        let mut entry = json!({
            "manager": self.manager, "operation": self.operation, "apiVersion": self.api_version,
            "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {}},
        });
        entry["fieldsV1"]["f:spec"]["f:template"] = fields;
        if !self.subresource.is_empty() {
            entry["subresource"] = json!(self.subresource);
        }
        entry
    }

    fn bytes(&self) -> impl Iterator<Item = u8> {
        let parts = [&self.manager, &self.operation, &self.api_version, &self.subresource];
        let parts = parts.into_iter().enumerate();
        parts.flat_map(|(n, part)| iter::once(SEPARATOR as u8).filter(move |_| n > 0).chain(part.bytes()))
    }
}

/// The order of the texts: a stored record keeps its bytes.
impl Ord for Owner {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes().cmp(other.bytes())
    }
}

impl PartialOrd for Owner {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(text, "{}{SEPARATOR}{}{SEPARATOR}{}{SEPARATOR}{}", self.manager, self.operation, self.api_version, self.subresource)
    }
}

impl From<Owner> for String {
    fn from(owner: Owner) -> Self {
        owner.to_string()
    }
}

/// What is not such a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an owner of fields is written as manager{SEPARATOR}operation{SEPARATOR}version{SEPARATOR}subresource")]
pub struct NoOwner;

impl FromStr for Owner {
    type Err = NoOwner;

    /// A manager's name may have separators of its own.
    fn from_str(text: &str) -> Result<Self, NoOwner> {
        let mut parts = text.rsplitn(4, SEPARATOR).map(str::to_owned);
        let mut next = || parts.next().ok_or(NoOwner);
        let (subresource, api_version, operation, manager) = (next()?, next()?, next()?, next()?);
        Ok(Self { manager, operation, api_version, subresource })
    }
}

impl TryFrom<String> for Owner {
    type Error = NoOwner;

    fn try_from(text: String) -> Result<Self, NoOwner> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::update("kubectl-edit|Update|apps/v1|")]
    #[case::subresource("kube-controller-manager|Update|apps/v1|status")]
    #[case::separators_in_a_name("a|b|Apply|apps/v1|")]
    #[case::without_a_name("|Update|apps/v1|")]
    fn is_read_as_it_was_written(#[case] text: &str) {
        let owner: Owner = text.parse().unwrap();
        assert_eq!(owner.to_string(), text);
        assert_eq!(Owner::of(&owner.entry(json!({}))), owner);
        assert_eq!(serde_json::to_value(&owner).unwrap(), json!(text));
    }

    #[rstest]
    #[case("")]
    #[case("kubectl")]
    #[case("kubectl|Apply|apps/v1")]
    fn another_text_is_none(#[case] text: &str) {
        insta::allow_duplicates! {
            insta::assert_snapshot!(
                text.parse::<Owner>().unwrap_err(), @"an owner of fields is written as manager|operation|version|subresource"
            );
        }
    }

    #[test]
    fn stands_where_its_text_stands() {
        let mut texts =
            ["kubectl|Apply|apps/v1|", "kubectl-edit|Update|apps/v1|", "k|z|Apply|apps/v1|", "k|Apply|apps/v1|", "k}|Apply|apps/v1|"];
        let mut owners = texts.map(|text| text.parse::<Owner>().unwrap());
        texts.sort_unstable();
        owners.sort_unstable();
        assert_eq!(owners.map(|owner| owner.to_string()), texts);
    }
}

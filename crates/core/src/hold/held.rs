//! The held template with everything that its promotion must put back, and how it is kept in one annotation.
//! The same record always gives the same bytes: an apply that changes nothing must write nothing.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    api::annotations::STATE_VERSION,
    manifest::{identity::Identity, managed_fields::TemplateOwners, template},
    packed,
    run::plan::OnTrial,
    standing::Standing,
};

/// A record grows when it is unpacked; beyond this it is not one that admission wrote (an object is at most 3 MiB).
const LARGEST_UNPACKED: u64 = 16 << 20;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Held {
    /// The template that the user asked for, as the API server defaulted it.
    pub template: Value,
    /// The field manager of the request.
    pub manager: String,
    pub operation: Operation,
    /// Who sent it, for Events.
    pub user: String,
    /// The template's part of the records as the request left them.
    pub owners: TemplateOwners,
    /// last-applied as the request left it, byte for byte.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last_applied: Option<String>,
    /// What the template that was live is known by. If another one is, it came while nobody looked, and is the user's later wish.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub against: Option<String>,
    /// Where several appliers state a part each: what the live template becomes by each one alone, in the order in which they came.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub contributions: Vec<Contribution>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contribution {
    /// The field manager.
    pub manager: String,
    pub template: Value,
    /// A change of the live object, which is made to what came before it; otherwise an applier's part, or the whole.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub change: bool,
    /// An applier's part once more, after changes: what it states counts again.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub again: bool,
}

impl Contribution {
    /// The whole, or an applier's part.
    pub fn part(manager: &str, template: &Value) -> Self {
        Self { manager: manager.to_owned(), template: template.clone(), change: false, again: false }
    }

    pub fn change(manager: &str, template: &Value) -> Self {
        Self { change: true, ..Self::part(manager, template) }
    }

    pub fn again(manager: &str, template: &Value) -> Self {
        Self { again: true, ..Self::part(manager, template) }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    Apply,
    Update,
}

#[derive(Debug, thiserror::Error)]
pub enum UnreadableHeld {
    #[error("written by a newer Coalmine (state {0}, this version reads {STATE_VERSION})")]
    Newer(u32),
    #[error("failed to decode the held template")]
    Base64(#[from] base64::DecodeError),
    #[error("failed to unpack the held template")]
    Unpack(#[from] std::io::Error),
    #[error("failed to parse the held template")]
    Json(#[from] serde_json::Error),
}

/// What a Deployment says that it holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// Nothing is held.
    None,
    Valid(Held),
    /// Another template became the live one meanwhile, past Coalmine: theirs is the later wish.
    Outdated,
    /// Nobody can read it, so it can't be what anybody waits for.
    Unreadable,
    /// A newer Coalmine wrote it, in a way that this one doesn't know: it is left to that one.
    Newer(u32),
}

/// In which newer version of the state a template is held, if it is: nothing else of the record is read for that.
pub fn newer_version(deployment: &Value) -> Option<u32> {
    Standing::of(deployment).held.and_then(newer)
}

fn newer(text: &str) -> Option<u32> {
    version(text).filter(|version| *version > STATE_VERSION)
}

impl Record {
    pub fn of(deployment: &Value) -> Self {
        match Standing::of(deployment).held.map(Held::decode) {
            None => Self::None,
            Some(Err(UnreadableHeld::Newer(version))) => Self::Newer(version),
            Some(Err(_)) => Self::Unreadable,
            Some(Ok(held)) if held.is_outdated(deployment) => Self::Outdated,
            Some(Ok(held)) => Self::Valid(held),
        }
    }

    /// The same for the plan.
    pub fn on_trial(&self) -> OnTrial<'_> {
        match self {
            Self::None => OnTrial::Nothing,
            Self::Valid(held) => OnTrial::Template(&held.template),
            Self::Outdated => OnTrial::Outdated,
            Self::Unreadable => OnTrial::Unreadable,
            Self::Newer(version) => OnTrial::Newer(*version),
        }
    }

    /// Whether something is held, be it by a newer Coalmine.
    pub fn holds(&self) -> bool {
        matches!(self, Self::Valid(_) | Self::Newer(_))
    }

    pub fn valid(&self) -> Option<&Held> {
        match self {
            Self::Valid(held) => Some(held),
            _ => None,
        }
    }
}

impl Held {
    /// Whether the live template of this object is not the one that this was held against.
    pub fn is_outdated(&self, deployment: &Value) -> bool {
        self.against.is_some() && !self.is_against(&Identity::of_object(deployment))
    }

    /// Whether this was held against that template, as far as it is known.
    pub fn is_against(&self, live: &Identity) -> bool {
        self.against.as_ref().is_none_or(|against| live.is(against))
    }

    /// Whether that is the held template.
    pub fn is(&self, template: &Value, owners: &TemplateOwners) -> bool {
        template::same(&self.template, template) || Identity::of(template, owners).is(&Identity::of(&self.template, &self.owners).text())
    }

    /// The value of the annotation.
    pub fn encode(&self) -> Result<String, UnreadableHeld> {
        Ok(packed::pack(&serde_json::to_vec(self)?)?)
    }

    pub fn decode(text: &str) -> Result<Self, UnreadableHeld> {
        if let Some(version) = newer(text) {
            return Err(UnreadableHeld::Newer(version));
        }
        Ok(serde_json::from_slice(&packed::unpack::<UnreadableHeld>(text, LARGEST_UNPACKED)?)?)
    }
}

/// The number before the colon, if there is one: no letter of a record of the first version is a colon.
fn version(text: &str) -> Option<u32> {
    text.split_once(':')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::annotations as key;
    use proptest::prelude::*;
    use serde_json::json;

    fn held(text: &str) -> Held {
        Held {
            template: json!({"spec": {"containers": [{"name": text}]}}),
            manager: "kubectl".to_owned(),
            operation: Operation::Apply,
            user: "ann".to_owned(),
            owners: TemplateOwners::from([("kubectl|Apply|apps/v1|".parse().unwrap(), json!({"f:spec": {}}))]),
            last_applied: Some(text.to_owned()),
            against: None,
            contributions: Vec::new(),
        }
    }

    proptest! {
        #[test]
        fn reads_back_and_is_stable(text in ".*") {
            let record = held(&text);
            let encoded = record.encode().unwrap();
            prop_assert_eq!(&Held::decode(&encoded).unwrap(), &record);
            prop_assert_eq!(record.encode().unwrap(), encoded);
        }

        #[test]
        fn garbage_is_an_error(text in ".*") {
            prop_assert!(Held::decode(&text).is_err());
        }
    }

    #[test]
    fn compresses() {
        let record = held(&"value ".repeat(5000));
        assert!(record.encode().unwrap().len() < 1000);
    }

    #[test]
    fn what_a_deployment_says_that_it_holds() {
        let live = json!({"spec": {"containers": []}});
        let of = |record: Option<String>| {
            let annotations = record.map_or(json!({}), |text| json!({key::HELD: text}));
            Record::of(&json!({"metadata": {"annotations": annotations}, "spec": {"template": live}}))
        };
        let against = |template: &Value| Held { against: Some(template::hash(template)), ..held("b") };
        assert_eq!(of(None), Record::None);
        assert_eq!(of(Some("x".to_owned())), Record::Unreadable);
        for (text, record) in [
            ("2:whatever", Record::Newer(2)),
            ("4294967295:", Record::Newer(u32::MAX)),
            ("4294967296:", Record::Unreadable),
            ("1:whatever", Record::Unreadable),
            (":whatever", Record::Unreadable),
        ] {
            assert_eq!(of(Some(text.to_owned())), record, "{text}");
        }
        assert_eq!(of(Some(against(&json!({"spec": {}})).encode().unwrap())), Record::Outdated);
        assert_eq!(of(Some(against(&live).encode().unwrap())), Record::Valid(against(&live)));
    }

    #[test]
    fn another_live_template_makes_it_outdated() {
        let live = json!({"spec": {"containers": []}});
        let record = Held { against: Some(template::hash(&live)), ..held("b") };
        let deployment = |template: &Value| json!({"spec": {"template": template}});
        assert!(!record.is_outdated(&deployment(&live)));
        assert!(record.is_outdated(&deployment(&json!({"spec": {}}))));
        assert!(!held("b").is_outdated(&deployment(&live)), "unknown in records of before");
    }
}

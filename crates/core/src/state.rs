//! What the objects say about one Deployment and its canary, as the documented JSON: for the plugin, the page and `-o json`. The annotations are
//! decoded in `standing`. It decides nothing. What can't be read is reported as unreadable, never guessed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::{
    api::{annotations::Phase, policy::Policy},
    hold::held::Held,
    manifest::{object, template},
    run::{
        canary,
        evidence::{Evidence, Look, Reads},
        history::{self, Entry},
        plan::READY_POD_ANNOTATION,
        times::ready_since,
    },
    standing::{Standing, people::Approved},
};

/// The version of the JSON shape, documented in `docs/plugin.md`.
pub const API_VERSION: &str = "coalmine.dev/v1";

/// One opted-in Deployment. The JSON of this is what `-o json` prints.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    pub api_version: &'static str,
    pub kind: &'static str,
    pub namespace: String,
    pub name: String,
    /// `canary.enabled` says yes.
    pub enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_word")]
    pub phase: Option<Phase>,
    /// Names one attempt at one template.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// When the phase began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// The verdict, or the reason of the phase, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    pub live: Template,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<HeldState>,
    /// Hashes of the templates that may come back at once, newest first.
    pub proven: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// Who agreed to the template on trial.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved: Option<Approved>,
    /// Since when the trial stands still.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused_since: Option<Timestamp>,
    /// What the counts of the present trial are read from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reads: Option<Reads>,
    /// What was counted while the present trial went on, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Look>,
    /// The last verdicts, newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Entry>,
    /// What is wrong with the annotations, where something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invalid: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Template {
    pub hash: String,
    /// By container.
    pub images: BTreeMap<String, String>,
}

/// The template on trial, or kept out.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", tag = "record")]
pub enum HeldState {
    #[serde(rename_all = "camelCase")]
    Readable {
        #[serde(flatten)]
        template: Template,
        /// The field manager of the request.
        manager: String,
        /// Who sent it.
        user: String,
    },
    Unreadable {
        reason: String,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Canary {
    pub name: String,
    /// When its pod was first Ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_since: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready_pod: Option<String>,
    /// The run that it was made for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
}

impl State {
    /// `canary` is the Deployment with the canary's name, if there is one; a stranger is left out.
    pub fn of(primary: &Value, canary: Option<&Value>) -> Self {
        let annotations = object::annotations(primary);
        let own = canary.filter(|candidate| canary::is_canary_of(candidate, primary));
        let standing = Standing::of(primary);
        let evidence = own.map(|canary| Evidence::of_run(canary, standing.run_name())).unwrap_or_default();
        Self {
            api_version: API_VERSION,
            kind: "Canary",
            namespace: object::namespace(primary).to_owned(),
            name: object::name(primary).to_owned(),
            enabled: object::is_opted_in(annotations),
            phase: standing.phase,
            run: standing.run.map(str::to_owned),
            since: standing.since,
            message: standing.message.map(str::to_owned),
            live: Template::of(object::template(primary)),
            held: standing.held.map(HeldState::of),
            proven: standing.proven().map(str::to_owned).collect(),
            canary: own.map(Canary::of),
            approved: standing.approved(),
            paused_since: standing.paused_since,
            reads: evidence.reads,
            evidence: evidence.looks,
            history: history::of(annotations),
            invalid: if object::is_asked_for(annotations) { Policy::of(annotations).err().map(|error| error.to_string()) } else { None },
        }
    }

    pub fn holds(&self) -> bool {
        self.phase.is_some_and(Phase::holds)
    }
}

impl Template {
    fn of(template: &Value) -> Self {
        Self { hash: template::hash(template), images: template::images(template) }
    }
}

impl HeldState {
    fn of(record: &str) -> Self {
        match Held::decode(record) {
            Ok(held) => Self::Readable { template: Template::of(&held.template), manager: held.manager, user: held.user },
            Err(error) => Self::Unreadable { reason: error.to_string() },
        }
    }
}

impl Canary {
    fn of(canary: &Value) -> Self {
        Self {
            name: object::name(canary).to_owned(),
            ready_since: ready_since(canary),
            ready_pod: object::annotation(canary, READY_POD_ANNOTATION).map(str::to_owned),
            run: canary::run_of(canary).map(str::to_owned),
        }
    }
}

#[expect(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference to the field")]
fn as_word<S: serde::Serializer>(phase: &Option<Phase>, serializer: S) -> Result<S::Ok, S::Error> {
    phase.map(Phase::as_str).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::{api::label::Label, hold::held::Operation};

    fn primary() -> Value {
        let held = Held {
            template: json!({"spec": {"containers": [{"name": "app", "image": "app:b"}]}}),
            manager: "kubectl-client-side-apply".to_owned(),
            operation: Operation::Update,
            user: "ann".to_owned(),
            owners: BTreeMap::default().into_iter().collect(),
            last_applied: None,
            against: None,
            contributions: Vec::new(),
        };
        json!({
            "metadata": {"name": "app", "namespace": "shop", "uid": "u-1", "annotations": {
                "canary.enabled": "true", "canary.state/phase": "Running", "canary.state/run": "r1", "canary.state/proven": "a,b",
                "canary.state/since": "2026-11-23T12:00:00Z", "canary.state/held": held.encode().unwrap(),
                "canary.state/history": r#"[{"t":1795780860,"p":"Rejected","i":{"app":["app:0","app:a"]},"n":160,"f":40,"s":12,"u":"ann","m":"error rate 25%"}]"#,
            }},
            "spec": {"template": {"spec": {"containers": [{"name": "app", "image": "app:a"}]}}},
        })
    }

    #[test]
    fn the_shape_is_the_documented_one() {
        let primary = primary();
        let mut canary = canary::deployment(&primary, json!({}), "r1", &Label::new("tier", "canary"));
        canary["metadata"]["annotations"]["coalmine.dev/ready-since"] = json!("2026-11-23T12:00:05Z");
        canary["metadata"]["annotations"]["coalmine.dev/ready-pod"] = json!("app-canary-x");
        canary["metadata"]["annotations"]["coalmine.dev/evidence"] = json!(
            r#"{"run":"r1","reads":{"words":"reading x from Prometheus","queries":["sum(x)"]},"looks":[[1795780865,12.0,0.0,108.0,1.0,0.2,3.0,338.0]]}"#
        );
        insta::assert_snapshot!(serde_json::to_string_pretty(&State::of(&primary, Some(&canary))).unwrap());
    }

    #[test]
    fn a_record_that_nobody_can_read_is_said_and_a_stranger_is_no_canary() {
        let mut primary = primary();
        primary["metadata"]["annotations"]["canary.state/held"] = json!("?");
        let state = State::of(&primary, Some(&json!({"metadata": {"name": "app-canary"}})));
        assert_eq!(state.held, Some(HeldState::Unreadable { reason: "failed to decode the held template".to_owned() }));
        assert_eq!(state.canary, None);
    }

    #[test]
    fn an_annotation_that_got_past_admission_is_named() {
        let mut primary = primary();
        primary["metadata"]["annotations"]["canary.duration"] = json!("soon");
        assert!(State::of(&primary, None).invalid.unwrap().contains("canary.duration"));
    }
}

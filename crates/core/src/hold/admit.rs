//! The hold: what a request that writes a Deployment becomes.
//!
//! A pure function: the same request always gives the same bytes, and everything that the controller needs later is written into the
//! object by the answer itself. The API server may call it several times for one request, and calls it for dry runs too.
//! Words: A is the live template, B the held one, C a later one.

pub(in crate::hold) mod controller;
mod create;
mod gates;
mod misplaced;
mod newer;
mod overlap;
mod requester;
mod update;

use serde::Serialize;
use serde_json::{Map, Value};

use self::misplaced::with_advice;
use crate::{
    api::{
        annotations::{CHECKS, METRICS},
        checks::{Checks, Rules},
        label::Label,
        policy::Policy,
        reader::InvalidAnnotation,
    },
    manifest::{object, template},
    standing::Standing,
};

/// Everything `admit` may look at.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub username: &'a str,
    pub groups: &'a [String],
    /// The request's field manager; empty when the client named none.
    pub field_manager: &'a str,
    pub name: &'a str,
    /// The stored object; `None` on CREATE.
    pub old: Option<&'a Value>,
    /// The object as the client wants it.
    pub new: &'a Value,
    /// Nothing will be written; the answer is the same, but for the controller, which may ask what anything merges to.
    pub dry_run: bool,
    /// What the held template becomes when it is merged into the live one by the API server, where the caller asked: see [`needs_merge`].
    pub held_merged: Option<&'a Value>,
}

/// What stays the same over all requests.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The user name of the controller's service account.
    pub controller: String,
    /// The label that tells a canary's pods apart, such as `tier: canary`.
    pub canary_label: Label,
    /// What checks may do.
    pub checks: Rules,
}

/// The answer, with what the caller may have to do besides.
#[derive(Debug, Clone, PartialEq)]
pub struct Admission {
    pub outcome: Outcome,
    /// For the user, each fit for the API server.
    pub warnings: Vec<String>,
    pub effect: Effect,
    /// What is now held and was not before: the API server has yet to be asked whether it would take it.
    pub unchecked: Option<Box<Unchecked>>,
}

/// A template that a run begins with.
#[derive(Debug, Clone, PartialEq)]
pub struct Unchecked {
    pub template: Value,
    /// The run's name, as its canary will carry it.
    pub run: String,
    /// Who asked for it: the annotations of the primary that say so.
    pub requested_by: Map<String, Value>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Unchanged,
    /// The places that change, and nothing else of the object: see [`patch`].
    Changed(Value),
    /// One line for the user.
    Denied(String),
}

/// What happened, for metrics and the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing that concerns Coalmine.
    Passed,
    /// A template was held that was not held before.
    Held,
    /// The held template came again, or the request left it alone.
    Kept,
    Withdrawn,
    Cancelled,
    Bypassed,
    RolledBack,
    Skipped,
    Promoted,
    /// Somebody agreed to the template on trial.
    Approved,
    /// Somebody ends the trial.
    PromotedByHand,
    RejectedByHand,
    Denied,
}

impl Effect {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Held => "held",
            Self::Kept => "kept",
            Self::Withdrawn => "withdrawn",
            Self::Cancelled => "cancelled",
            Self::Bypassed => "bypassed",
            Self::RolledBack => "rolled_back",
            Self::Skipped => "skipped",
            Self::Promoted => "promoted",
            Self::Approved => "approved",
            Self::PromotedByHand => "promoted_by_hand",
            Self::RejectedByHand => "rejected_by_hand",
            Self::Denied => "denied",
        }
    }
}

/// What the user asks for, if it can be had in this cluster.
fn policy(rules: Rules, annotations: &Map<String, Value>, namespace: &str) -> Result<Policy, InvalidAnnotation> {
    let policy = Policy::of(annotations)?;
    if let Some(lacking) = policy.metrics.origin().and_then(|origin| rules.lacks(origin)) {
        return Err(InvalidAnnotation::Problem { key: METRICS.to_owned(), problem: format!("{lacking}, so that nobody could answer") });
    }
    // A list in a ConfigMap is read, and judged likewise, when it is asked.
    if let Some(Checks::Inline(list)) = &policy.checks {
        let refused =
            |error: crate::api::checks::ChecksError| InvalidAnnotation::Problem { key: CHECKS.to_owned(), problem: error.to_string() };
        rules.accept(list, namespace).map_err(refused)?;
    }
    Ok(policy)
}

impl Admission {
    pub fn denied(message: String) -> Self {
        Self { outcome: Outcome::Denied(message), warnings: Vec::new(), effect: Effect::Denied, unchecked: None }
    }

    fn passed() -> Self {
        Self { outcome: Outcome::Unchanged, warnings: Vec::new(), effect: Effect::Passed, unchecked: None }
    }

    /// The answer for `changed`, which was made from `sent`.
    fn changed(sent: &Value, changed: Value, warnings: Vec<String>, effect: Effect) -> Self {
        let outcome = if patch(sent, &changed).is_empty() { Outcome::Unchanged } else { Outcome::Changed(changed) };
        Self { outcome, warnings, effect, unchecked: None }
    }

    /// The same where a run begins, which always changes something.
    fn held(changed: Value, warnings: Vec<String>, unchecked: Unchecked) -> Self {
        Self { outcome: Outcome::Changed(changed), warnings, effect: Effect::Held, unchecked: Some(Box::new(unchecked)) }
    }
}

/// Decides one request on `deployments`.
pub fn admit(settings: &Settings, request: &Request<'_>) -> Admission {
    let Some(old) = request.old else { return with_advice(create::admit(settings, request), request) };
    if object::is_being_deleted(old) {
        return Admission::passed();
    }
    if let Some(admission) = newer::admit(settings, request, old) {
        return admission;
    }
    if request.username == settings.controller {
        return controller::admit(request, old);
    }
    with_advice(gates::admit(request, old, update::admit(settings, request, old)), request)
}

/// The same request once more, after others have seen the answer: where a template is held, the live one stays whatever they made of it.
pub fn again(settings: &Settings, request: &Request<'_>) -> Admission {
    // Our own question what another template would come to, which nothing is stored of.
    if request.dry_run && request.username == settings.controller {
        return Admission::passed();
    }
    let is_held = |object: &Value| Standing::of(object).held.is_some();
    let Some(old) = request.old.filter(|_| is_held(request.new)) else { return Admission::passed() };
    if template::same(object::template(old), object::template(request.new)) {
        return Admission::passed();
    }
    let mut changed = changeable(request.new);
    if let Some(spec) = changed.get_mut("spec").and_then(Value::as_object_mut) {
        spec.insert("template".to_owned(), object::template(old).clone());
    }
    Admission::changed(request.new, changed, Vec::new(), Effect::Kept)
}

/// Small, and always there to be changed; what is missing is to be taken away.
const MAPS: [&str; 2] = ["annotations", "labels"];
/// Large: they stay as they were sent unless something else is put there, `null` to take them away.
const RECORDS: &str = "/metadata/managedFields";
const TEMPLATE: &str = "/spec/template";

/// The places of `sent` that admission may change, and nothing else of it.
fn changeable(sent: &Value) -> Value {
    let mut changeable = Map::new();
    if let Some(metadata) = sent.get("metadata").and_then(Value::as_object) {
        let parts = MAPS.iter().filter_map(|part| Some(((*part).to_owned(), metadata.get(*part)?.clone())));
        changeable.insert("metadata".to_owned(), Value::Object(parts.collect()));
    }
    if sent.get("spec").is_some_and(Value::is_object) {
        changeable.insert("spec".to_owned(), Value::Object(Map::new()));
    }
    Value::Object(changeable)
}

/// The JSON patch (RFC 6902) that puts the places of `changed` into `sent`.
pub fn patch<'a>(sent: &Value, changed: &'a Value) -> Vec<PatchOperation<'a>> {
    let operation = |path: &'static str, missing_stays: bool| match (sent.pointer(path), changed.pointer(path)) {
        (_, None) if missing_stays => None,
        (None, None | Some(Value::Null)) => None,
        (Some(_), None | Some(Value::Null)) => Some(PatchOperation { op: "remove", path, value: None }),
        (before, after) if before == after => None,
        (_, value) => Some(PatchOperation { op: "add", path, value }),
    };
    let places = [(TEMPLATE, true), ("/metadata/annotations", false), ("/metadata/labels", false), (RECORDS, true)];
    places.into_iter().filter_map(|(path, missing_stays)| operation(path, missing_stays)).collect()
}

/// Borrows what it writes: a template is large, and is written once.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PatchOperation<'a> {
    pub op: &'static str,
    pub path: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<&'a Value>,
}

pub use controller::FIELD_MANAGER;
pub use update::needs_merge;

#[cfg(test)]
impl Admission {
    /// What is stored once the API server has put the answer into what was `sent`; `None` where it is refused.
    fn stored(&self, sent: &Value) -> Option<Value> {
        let mut stored = sent.clone();
        match &self.outcome {
            Outcome::Unchanged => {}
            Outcome::Changed(changed) => {
                let patch = serde_json::to_value(patch(sent, changed)).unwrap();
                json_patch::patch(&mut stored, &serde_json::from_value::<json_patch::Patch>(patch).unwrap()).unwrap();
            }
            Outcome::Denied(_) => return None,
        }
        Some(stored)
    }
}

#[cfg(test)]
mod mutations;
#[cfg(test)]
mod tests;

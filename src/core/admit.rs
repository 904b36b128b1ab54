//! The hold: what a request that writes a Deployment becomes.
//!
//! A pure function: the same request always gives the same bytes, and everything that the controller needs later is written into the
//! object by the answer itself. The API server may call it several times for one request, and calls it for dry runs too.
//! Words: A is the live template, B the held one, C a later one.

mod controller;
mod create;
mod update;

use serde_json::{Value, json};

use super::object;

/// Everything `admit` may look at.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub username: &'a str,
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
    pub canary_label: (String, String),
}

/// The answer, with what the caller may have to do besides.
#[derive(Debug, Clone, PartialEq)]
pub struct Admission {
    pub outcome: Outcome,
    /// For the user, each fit for the API server.
    pub warnings: Vec<String>,
    pub effect: Effect,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Unchanged,
    Changed(Value),
    /// One line for the user.
    Denied(String),
}

/// What happened, for metrics, and for the check of a newly held template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing that concerns Coalmine.
    Passed,
    /// A template was held that was not held before: it has yet to be checked by the API server.
    Held,
    /// The held template came again, or the request left it alone.
    Kept,
    Withdrawn,
    Cancelled,
    Bypassed,
    RolledBack,
    Skipped,
    Promoted,
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
            Self::Denied => "denied",
        }
    }
}

impl Admission {
    fn denied(message: String) -> Self {
        Self { outcome: Outcome::Denied(message), warnings: Vec::new(), effect: Effect::Denied }
    }

    fn passed() -> Self {
        Self { outcome: Outcome::Unchanged, warnings: Vec::new(), effect: Effect::Passed }
    }

    /// The answer for `changed`, which was made from `sent`.
    fn changed(sent: &Value, changed: Value, warnings: Vec<String>, effect: Effect) -> Self {
        let outcome = if *sent == changed { Outcome::Unchanged } else { Outcome::Changed(changed) };
        Self { outcome, warnings, effect }
    }
}

/// Decides one request on `deployments`.
pub fn admit(settings: &Settings, request: &Request<'_>) -> Admission {
    let Some(old) = request.old else { return create::admit(request) };
    if object::is_being_deleted(old) {
        return Admission::passed();
    }
    if request.username == settings.controller {
        return controller::admit(request, old);
    }
    update::admit(request, old)
}

/// The JSON patch (RFC 6902) that makes `changed` out of `sent`. Only these four places are ever touched.
pub fn patch(sent: &Value, changed: &Value) -> Vec<Value> {
    ["/spec/template", "/metadata/annotations", "/metadata/labels", "/metadata/managedFields"]
        .into_iter()
        .filter_map(|path| match (sent.pointer(path), changed.pointer(path)) {
            (before, Some(after)) if before != Some(after) => Some(json!({"op": "add", "path": path, "value": after})),
            (Some(_), None) => Some(json!({"op": "remove", "path": path})),
            _ => None,
        })
        .collect()
}

pub use controller::FIELD_MANAGER;
pub use update::needs_merge;

#[cfg(test)]
mod mutations;
#[cfg(test)]
mod tests;

//! One line of JSON for each decision about a template, for a log that somebody keeps: when, who, what, about which object, from which phase to
//! which, and why. Decides nothing.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::admit::{Admission, Effect, Outcome, Request};
use crate::{
    api::annotations::{self as key, Phase},
    manifest::{
        key::Key,
        object::{self, text},
    },
    standing::Standing,
    words,
};

/// In characters. What is longer is cut: one line of a log stays one.
const LONGEST: usize = 500;

#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    pub who: String,
    pub verb: &'static str,
    /// `namespace/name`
    pub object: String,
    /// The attempt at a template that it is about.
    pub run: Option<String>,
    pub from: Option<Phase>,
    pub to: Option<Phase>,
    pub reason: String,
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    who: &'a str,
    verb: &'a str,
    object: &'a str,
    run: Option<&'a str>,
    from: Option<&'static str>,
    to: Option<&'static str>,
    reason: String,
}

impl Decision {
    /// The controller's, about what it read.
    pub fn of_controller(primary: &Value, verb: &'static str, to: Phase, reason: &str) -> Self {
        let standing = Standing::of(primary);
        Self {
            who: key::FIELD_MANAGER.to_owned(),
            verb,
            object: place(primary),
            run: standing.run.map(str::to_owned),
            from: standing.phase,
            to: Some(to),
            reason: reason.to_owned(),
        }
    }

    pub fn line(&self, now: Timestamp) -> String {
        let line = Line {
            time: now.to_string(),
            who: &self.who,
            verb: self.verb,
            object: &self.object,
            run: self.run.as_deref(),
            from: self.from.map(Phase::as_str),
            to: self.to.map(Phase::as_str),
            reason: words::start(&self.reason, LONGEST),
        };
        serde_json::to_string(&line).unwrap_or_default() // writing JSON into memory can't fail
    }
}

/// What admission decided, if it decided anything. The controller's own writes it tells itself.
pub fn admitted(request: &Request<'_>, controller: &str, admission: &Admission) -> Option<Decision> {
    if request.username == controller {
        return None;
    }
    let before = object::annotations(request.old.unwrap_or(&Value::Null));
    let after = match &admission.outcome {
        Outcome::Changed(changed) => object::annotations(changed),
        Outcome::Unchanged | Outcome::Denied(_) => object::annotations(request.new),
    };
    let (was, is) = (Standing::read(before), Standing::read(after));
    let paused = |annotations| text(annotations, key::PAUSED) == Some("true");
    let verb = match admission.effect {
        Effect::Passed | Effect::Kept if paused(after) && !paused(before) => "paused",
        Effect::Passed | Effect::Kept if paused(before) && !paused(after) => "resumed",
        Effect::Passed | Effect::Kept if text(before, key::APPROVAL) != text(after, key::APPROVAL) => "approval_changed",
        Effect::Passed | Effect::Kept => return None,
        effect => effect.as_str(),
    };
    let reason = match (&admission.outcome, admission.effect) {
        (Outcome::Denied(message), _) => message.as_str(),
        (_, Effect::Approved) => text(after, key::APPROVE).unwrap_or_default(),
        (_, Effect::PromotedByHand) => text(after, key::PROMOTE).unwrap_or_default(),
        (_, Effect::RejectedByHand) => text(after, key::REJECT).unwrap_or_default(),
        (_, Effect::Passed) => text(after, key::APPROVAL).unwrap_or_default(),
        _ => is.message.unwrap_or_default(),
    };
    Some(Decision {
        who: request.username.to_owned(),
        verb,
        object: place(request.old.unwrap_or(request.new)),
        run: is.run.or(was.run).map(str::to_owned),
        from: was.phase,
        to: if matches!(admission.outcome, Outcome::Denied(_)) { was.phase } else { is.phase },
        reason: reason.to_owned(),
    })
}

fn place(object: &Value) -> String {
    Key::of(object).to_string()
}

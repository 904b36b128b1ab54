//! What a plan consists of: single steps, each of which may be the last that is carried out. They say what, never how.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    api::annotations::Phase,
    facts::{
        event::Event,
        why::{Promotion, Why},
    },
};

#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    Publish(Event),
    /// The canary, ready to be created.
    Create(Value),
    /// Only the object with this uid. `with_pods`: they go first, for one that is itself kept by a finalizer.
    Delete {
        uid: String,
        with_pods: bool,
    },
    /// Containers of the canary's that ended until then did so together with the primary's.
    Excuse(Timestamp),
    /// Counts a canary that is about to be made anew.
    CountRemade(String),
    /// Writes the history, where its newest entry had no time yet.
    Remember(String),
    /// This pod of the canary's is Ready for the first time.
    MarkReady {
        pod: String,
    },
    /// Since when its pod is Ready by its own condition, and whether it had been before.
    MarkCondition {
        condition: String,
        again: bool,
    },
    /// Writes phase, its reason in words, and time on the primary, on condition that the held template is still the same.
    Write {
        phase: Phase,
        why: Option<Why>,
    },
    /// The same by way of the status, where policies about the Deployment don't reach.
    WriteAside {
        phase: Phase,
        why: Option<Why>,
    },
    /// Writes the held template to the primary, on the same condition.
    Promote(Promotion),
    /// From now on the trial stands still.
    Pause,
    /// It goes on: what it was paused for is no time of its.
    Resume,
    /// The condition `Canary`, once no template is held any more.
    Condition {
        phase: Phase,
        message: String,
    },
    /// Takes `canary.state/*` away from the ReplicaSets, and what no longer has one from the list of proven templates.
    CleanReplicaSets,
    /// Nothing is left to do: the label goes, and with it the watch.
    Release,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub actions: Vec<Action>,
    /// When to look again if nothing happens before. `None`: only when something happens.
    pub look_again: Option<Duration>,
}

impl Plan {
    pub(super) fn then(actions: Vec<Action>, look_again: Duration) -> Self {
        Self { actions, look_again: Some(look_again) }
    }

    /// Nothing to do now.
    pub(super) fn wait(look_again: Duration) -> Self {
        Self::then(Vec::new(), look_again)
    }

    /// The last step: nothing is looked at again.
    pub(super) fn end(actions: Vec<Action>) -> Self {
        Self { actions, look_again: None }
    }
}

/// An action that the API server understood and will not have, in its words: a quota's, a policy's, or another webhook's.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    pub action: Action,
    pub words: String,
}

//! What people reserve to themselves, in the midst of a sequence: it decides whether a template comes, and never what comes.

use coalmine_core::{
    api::annotations::{self as key, Phase},
    manifest::object,
};
use serde_json::{Value, json};

use super::{Worlds, step::Gate};
use crate::support::control_plane::As;

impl Worlds {
    pub(super) fn gate(&mut self, gate: Gate) {
        let is_on_trial = self.phase().is_some_and(Phase::is_trying);
        match gate {
            Gate::AskForApproval => self.annotate("canary.approval=required"),
            Gate::Pause(paused) => self.annotate(&format!("canary.paused={paused}")),
            Gate::Freeze(frozen) => self.freeze(frozen),
            Gate::Approve if is_on_trial && self.annotation(key::APPROVAL).is_some() => self.approve(),
            Gate::PromoteByHand if is_on_trial => {
                if self.phase() == Some(Phase::Held) {
                    self.held.judge(Phase::Running, "");
                }
                self.annotate(&format!("canary.promote={}", self.annotation(key::RUN).expect("a run")));
                self.promote();
            }
            Gate::RejectByHand if is_on_trial => {
                self.annotate(&format!("canary.reject={}", self.annotation(key::RUN).expect("a run")));
                self.held.judge(Phase::Rejected, "somebody decided");
            }
            // Refused, since there is nothing that it could mean.
            Gate::Approve | Gate::PromoteByHand | Gate::RejectByHand => {}
        }
    }

    /// Whether the controller may promote. Where it may not by what is on the object, its request is refused.
    pub(super) fn is_let(&self) -> bool {
        let is_of_this_run = |name| {
            let said = self.annotation(name).and_then(|text| text.parse::<Value>().ok()).unwrap_or_default();
            Some(said["run"].as_str().unwrap_or_default()) == self.annotation(key::RUN).as_deref()
        };
        let asked = self.annotation(key::APPROVAL).is_some();
        let let_in = !asked || is_of_this_run(key::APPROVED) || is_of_this_run(key::ORDER);
        if !let_in {
            self.held.judge(Phase::AwaitingApproval, "error rate 0%; it waits for approval");
            self.held.try_to_promote().expect_err("nobody approved");
        }
        let_in && !self.frozen
    }

    /// So that all comes to its end.
    pub(super) fn open_gates(&mut self) {
        self.freeze(false);
        self.gate(Gate::Approve);
    }

    fn approve(&mut self) {
        self.annotate(&format!("canary.approve={} looks good", self.annotation(key::RUN).expect("a run")));
    }

    fn annotation(&self, name: &str) -> Option<String> {
        object::annotation(&self.held.app(), name).map(str::to_owned)
    }

    /// What is held must be the same afterwards.
    fn annotate(&mut self, annotation: &str) {
        let before = self.held.app();
        self.held.kubectl.run(&["annotate", "deployment/app", "--overwrite", annotation]).succeeded();
        let after = self.held.app();
        for name in [key::HELD, key::RUN] {
            assert_eq!(object::annotation(&after, name), object::annotation(&before, name), "{annotation}");
        }
        assert_eq!(object::template(&after), object::template(&before), "{annotation}");
    }

    fn freeze(&mut self, frozen: bool) {
        if self.frozen == frozen {
            return;
        }
        let body = json!({"metadata": {"annotations": {"canary.freeze": frozen.then_some("the fair")}}});
        let path = format!("/api/v1/namespaces/{}", self.held.name);
        self.held.control_plane.send(As::Administrator, "PATCH", &path, "application/merge-patch+json", &body).expect("a freeze");
        self.frozen = frozen;
    }
}

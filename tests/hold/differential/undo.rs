//! `kubectl rollout undo` in the midst of a sequence, where both Deployments have the same revision before.

use coalmine_core::{
    api::annotations as key,
    manifest::{object, template},
};
use serde_json::Value;

use super::{
    Pending, Worlds,
    files::{app, ends_as_without_coalmine, variable, variables},
    step::Step,
};
use crate::support::namespace::Namespace;

impl Worlds {
    /// To the revision before, which both know; from there, once more would be to what was just left, which is tried.
    pub(super) fn undo(&mut self) {
        self.await_revisions();
        let undo = |world: &Namespace| world.kubectl.run(&["rollout", "undo", "deployment/app"]);
        let before = self.held.app();
        let output = undo(&self.held);
        if output.code != 0 {
            return;
        }
        let after = self.held.app();
        let record = |app: &Value| object::annotation(app, key::HELD).map(str::to_owned);
        let same = template::same(object::template(&before), object::template(&after));
        assert!(same || record(&after).is_none(), "live and held at once");
        if record(&after).is_some() {
            if record(&after) != record(&before) {
                self.forget_pending();
                self.pending.push(Pending::held(&Step::Undo));
            }
            return;
        }
        self.forget_pending();
        undo(&self.plain).succeeded();
        self.compare("after an undo");
    }

    pub(super) fn await_revisions(&self) {
        if self.undoes {
            self.held.await_seen();
            self.plain.await_seen();
        }
    }
}

/// A program changes what somebody has gone back to while that is on trial: one revision, which are two without Coalmine.
#[test]
#[ignore = "needs a control plane"]
fn what_was_undone_is_changed_in_its_trial() {
    let file = |image: &str| app(image, &variables(&["VA"]), &Value::Null);
    let [a, b] = ["a", "b"].map(|image| Step::ClientSideApply(file(image)));
    ends_as_without_coalmine(&[a, b, Step::Promote, Step::Put(file("c")), Step::Undo, variable("STAKATER"), Step::Promote, Step::Undo]);
}

//! What is sent once more after a promotion, as at an interval: the file that was promoted, and the part that an applier had stated beside it.

use coalmine_core::manifest::{object, template};

use super::{
    Pending, Worlds,
    step::{Gate, Step, send},
};
use crate::support::namespace::{Namespace, held};

impl Worlds {
    /// What an applier of the live template would take back in part of what was on trial, it takes back when it states it once more.
    pub(super) fn state_the_rest(&mut self, pending: &[Pending]) {
        if template::same(object::template(&self.held.app()), object::template(&self.plain.app())) {
            return;
        }
        let live = pending.iter().filter(|pending| pending.is_live && pending.step.applier().is_some());
        for Pending { step, .. } in live {
            let answer = send(&self.held, step, true).expect("what passed before passes again");
            if held(&answer).is_none() {
                continue;
            }
            send(&self.held, step, false).expect("what a dry run let pass");
            self.gate(Gate::Approve);
            assert!(self.is_let(), "{step:?} is on trial");
            self.held.promote();
        }
    }

    /// The same file again is a no-op, unless it is none without Coalmine either (kubectl never settles some lists with a name twice).
    /// It is sent to both: the API server may change its records even so.
    pub(super) fn again(&self, step: &Step) {
        let settles = |world: &Namespace, dry_run: bool| {
            let before = world.app()["metadata"]["generation"].clone();
            let after = send(world, step, dry_run).expect("the same again");
            after["metadata"]["generation"] == before
        };
        if settles(&self.plain, true) {
            assert!(settles(&self.plain, false), "a dry run tells the truth");
            assert!(settles(&self.held, false), "the same file again is a no-op");
            self.compare("after the same file again");
        }
    }
}

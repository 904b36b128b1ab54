//! Records put in order by a client, in the midst of a sequence: what becomes of a template that is on trial then, and when the other
//! Deployment hears of it. Compares nothing.

use super::{
    Pending, Worlds,
    step::{Step, in_order, send},
};
use crate::support::namespace::held;

impl Worlds {
    /// Of records, whatever they describe: a later wish than what is held, so that it comes after it without Coalmine.
    pub(super) fn clean_up(&mut self, manager: &'static str) {
        // Such a request that changes nothing can't be told from the applier's own statement of the live template.
        if [&self.held, &self.plain].iter().any(|world| in_order(&world.app(), manager).is_none()) {
            return;
        }
        let step = Step::CleanUp(manager);
        if self.pending.is_empty() {
            self.request(&step);
            return;
        }
        let before = self.held.app();
        send(&self.held, &step, false).expect("a clean-up passes");
        let after = self.held.app();
        assert_eq!(held(&after).map(|held| held.template), held(&before).map(|held| held.template), "{step:?}");
        self.pending.push(Pending { step, is_live: true });
    }

    /// Nothing is held any more, of which some requests were not.
    pub(super) fn forget_pending(&mut self) {
        for Pending { step, .. } in std::mem::take(&mut self.pending) {
            self.clean_up_plainly(&step);
        }
    }

    /// `false` where it is something else.
    pub(super) fn clean_up_plainly(&self, step: &Step) -> bool {
        let Step::CleanUp(manager) = step else { return false };
        if in_order(&self.plain.app(), manager).is_some() {
            send(&self.plain, step, false).expect("a clean-up passes");
        }
        true
    }
}

//! What becomes of a request once it is known which case it is: held, kept, withdrawn, let through, kept out. It does not choose the case.

use serde_json::Value;

use super::{
    super::{Admission, Effect, controller::proven_after, overlap},
    Update,
    put_back::Who,
};
use crate::{
    api::{
        annotations::{self as key, Phase},
        policy::Policy,
    },
    hold::{
        held::{Held, Operation},
        rejected,
    },
    manifest::{
        identity::Identity,
        managed_fields,
        object::{self, metadata_map_mut},
    },
    message::{self, denied},
    run::{
        canary,
        history::{self, Verdict},
    },
};

impl Update<'_> {
    pub(super) fn withdraw(mut self) -> Admission {
        self.warnings.push(message::withdrawn());
        let told = format!("back to the live template; the held one is withdrawn by {}", self.request.username);
        self.end(Phase::Withdrawn, &told);
        Admission::changed(self.request.new, self.changed, self.warnings, Effect::Withdrawn)
    }

    /// The request says nothing of the template: what is held stays.
    pub(super) fn keep(mut self) -> Admission {
        if let Err(refused) = self.follow_owners() {
            return refused;
        }
        if self.is_retried()
            && let Err(refused) = self.run_again()
        {
            return refused;
        }
        let stored = managed_fields::records(self.old);
        if let Some(metadata) = self.changed.get_mut("metadata").and_then(Value::as_object_mut)
            && managed_fields::says_the_same(managed_fields::records(self.request.new), stored)
        {
            managed_fields::put_records(metadata, stored.to_vec());
        }
        Admission::changed(self.request.new, self.changed, self.warnings, Effect::Kept)
    }

    pub(super) fn opt_out(mut self) -> Admission {
        if self.before.contains_key(key::HELD) {
            self.warnings.push(message::cancelled());
            let told = format!("opted out by {}; the held template is dropped", self.request.username);
            self.end(Phase::Cancelled, &told);
            return Admission::changed(self.request.new, self.changed, self.warnings, Effect::Cancelled);
        }
        let active = object::label(self.old, key::ACTIVE_LABEL).is_some();
        if !active && let Some(annotations) = metadata_map_mut(&mut self.changed, "annotations") {
            annotations.retain(|name, _| !name.starts_with(key::STATE_PREFIX));
        }
        Admission::changed(self.request.new, self.changed, self.warnings, Effect::Passed)
    }

    pub(super) fn roll_back(mut self) -> Admission {
        self.warnings.push(message::rolled_back());
        let reason = format!("template let through at once for {}: it was live before", self.request.username);
        self.let_through(Phase::RolledBack, &reason, Effect::RolledBack)
    }

    pub(super) fn let_through(mut self, phase: Phase, reason: &str, effect: Effect) -> Admission {
        let live = Identity::of_object(self.old);
        let mut proven = proven_after(self.old, &live, &live);
        if phase == Phase::RolledBack {
            // What somebody goes back from is tried when it comes again.
            proven = proven.split(',').filter(|text| !live.is(text)).collect::<Vec<_>>().join(",");
            let back = Identity::of_object(self.request.new);
            if !proven.split(',').any(|text| back.is(text)) {
                proven = if proven.is_empty() { back.text() } else { format!("{},{proven}", back.text()) };
            }
        }
        self.end(phase, reason);
        let owners = self.sent_owners();
        if let Some(annotations) = metadata_map_mut(&mut self.changed, "annotations") {
            annotations.insert(key::PROVEN.to_owned(), proven.into());
            let template = object::template(self.request.new);
            rejected::forget(annotations, template, &owners);
            history::let_through(annotations, self.old, Verdict { phase, message: reason, template, user: self.request.username });
        }
        Admission::changed(self.request.new, self.changed, self.warnings, effect)
    }

    /// What is live now is what it is tried against.
    pub(super) fn run_again(&mut self) -> Result<(), Admission> {
        if let Some(mut held) = self.held.take() {
            self.start_run_of(&held.template, Who::Besides);
            let against = Some(Identity::of_object(self.old).text());
            if replace(&mut held.against, against) {
                self.keep_record(&held)?;
            }
            self.held = Some(held);
        }
        self.warn_held();
        Ok(())
    }

    pub(super) fn warn_held(&mut self) {
        let duration = Policy::of(object::annotations(&self.changed)).map_or(std::time::Duration::from_mins(1), |policy| policy.duration);
        self.warnings.insert(0, message::held(self.request.name, &canary::name(self.request.name), duration));
    }

    /// B again: held as before. The bytes are reused, so that nothing is written when nothing changed.
    pub(super) fn hold_again(self, mut record: Held) -> Admission {
        let mut changed = false;
        // Where several have a part in it, none of them states all.
        if record.contributions.is_empty() && (self.operation() == Operation::Apply || self.sends_last_applied()) {
            let (before, sent) = (&record, self.sent_owners());
            let same_applier = [before.operation, self.operation()] == [Operation::Apply; 2] && before.manager == self.manager;
            // What others stated since stays theirs.
            let owners = if same_applier { managed_fields::again(&before.owners, &sent, &self.manager) } else { sent };
            changed |= replace(&mut record.manager, self.manager.clone());
            changed |= replace(&mut record.operation, self.operation());
            // A statement of a part adds nothing to what is known about the whole.
            if self.request.held_merged.is_none() {
                changed |= replace(&mut record.owners, owners);
            }
        }
        if self.sends_last_applied() {
            changed |= replace(&mut record.last_applied, self.sent_last_applied());
        }
        self.keep_holding(record, changed)
    }

    /// The template that is held stays, whatever else the record says now.
    pub(super) fn keep_holding(mut self, record: Held, changed: bool) -> Admission {
        let reused = if changed { None } else { self.standing.held.map(str::to_owned) };
        if let Err(refused) = self.put_back(&record, reused) {
            return refused;
        }
        let again = self.is_retried() || self.is_wanted_on_another(&record);
        self.held = Some(record);
        if again {
            if let Err(refused) = self.run_again() {
                return refused;
            }
        } else if self.standing.is_kept_out() {
            self.warn_kept_out(self.standing.message.unwrap_or("it was rejected"));
        } else {
            self.warnings.push(message::held_again(&canary::name(self.request.name)));
        }
        Admission::changed(self.request.new, self.changed, self.warnings, Effect::Kept)
    }

    /// A template that was rejected, after others: it stays out without another canary. What somebody else has on trial goes on.
    pub(super) fn keep_out(mut self, verdict: String) -> Admission {
        let on_trial = self.held.take().filter(|_| self.standing.is_trying());
        if let Some(held) = on_trial.filter(|held| held.manager != self.manager) {
            return self.keep_out_of_the_trial(&held, &verdict);
        }
        let record = self.record();
        self.keep_out_with(record, Who::Alone, verdict)
    }

    /// With this record of it.
    pub(super) fn keep_out_with(mut self, record: Held, who: Who, verdict: String) -> Admission {
        self.warn_kept_out(&verdict);
        if let Err(refused) = self.put_back(&record, None) {
            return refused;
        }
        self.start_run_of(&record.template, who);
        if let Some(annotations) = metadata_map_mut(&mut self.changed, "annotations") {
            annotations.insert(key::PHASE.to_owned(), Phase::Rejected.as_str().into());
            annotations.insert(key::MESSAGE.to_owned(), verdict.into());
        }
        Admission::changed(self.request.new, self.changed, self.warnings, Effect::Kept)
    }

    pub(super) fn keep_out_of_the_trial(mut self, held: &Held, verdict: &str) -> Admission {
        self.warn_kept_out(verdict);
        let reused = self.standing.held.map(str::to_owned);
        if let Err(refused) = self.put_back(held, reused) {
            return refused;
        }
        Admission::changed(self.request.new, self.changed, self.warnings, Effect::Kept)
    }

    pub(super) fn warn_kept_out(&mut self, verdict: &str) {
        self.warnings.extend(message::kept_out(verdict, self.request.name));
    }

    pub(super) fn hold(mut self, record: Held) -> Admission {
        let policy = Policy::of(object::annotations(&self.changed)).unwrap_or_default();
        if overlap::is_refused(self.request.new, &policy) {
            return Admission::denied(denied::overlap());
        }
        if let Err(refused) = self.put_back(&record, None) {
            return refused;
        }
        let run = self.start_run_of(&record.template, Who::Alone);
        self.warn_held();
        self.warnings.extend(overlap::warning(&record.template));
        let unchecked = self.unchecked(record.template, run);
        Admission::held(self.changed, self.warnings, unchecked)
    }

    /// What this request asks for, by itself.
    pub(super) fn record(&self) -> Held {
        Held {
            template: object::template(self.request.new).clone(),
            manager: self.manager.clone(),
            operation: self.operation(),
            user: self.request.username.to_owned(),
            owners: self.sent_owners(),
            last_applied: self.sent_last_applied(),
            against: Some(Identity::of_object(self.old).text()),
            contributions: Vec::new(),
        }
    }
}

/// Says whether that changed anything.
fn replace<T: PartialEq>(place: &mut T, value: T) -> bool {
    let changes = *place != value;
    *place = value;
    changes
}

//! Changes computed from the live object while another template is on trial: `set image`, `edit`, a restart, an operator's update. Without
//! the hold they would have been made to the template on trial, and so they are: base is the live one, ours the held one, theirs the sent.

use serde_json::Value;

use super::{
    Update,
    put_back::Who,
    statement::{CLIENT_SIDE_APPLY, emptied_by},
};
use crate::{
    api::annotations::{self as key, Phase},
    hold::{
        admit::Admission,
        held::{Contribution, Held, Operation},
        rejected,
    },
    manifest::{
        fields::Fields,
        last_applied,
        managed_fields::{self, Change, template_owners},
        merge::{Emptied, Owned, conflict, merge},
        object::{self, metadata_map_mut},
        template,
    },
    message,
};

/// What comes of the held template and a change.
pub(super) struct Merged {
    record: Held,
    /// Where both set one thing.
    conflict: Option<String>,
}

impl Update<'_> {
    fn known(&self, held: &Held) -> Fields {
        let stored = template_owners(self.old.get("metadata").unwrap_or(&Value::Null));
        let owners = [&stored, &self.sent_owners(), &held.owners].map(managed_fields::all);
        owners.iter().fold(Fields::default(), |known, more| known.union(more))
    }

    /// `None` where there is nothing on trial that this could be made to, or the two can't be merged: it then stands alone.
    pub(super) fn merged(&self, held: &Held) -> Option<Merged> {
        let (live, sent) = (object::template(self.old), object::template(self.request.new));
        if !self.phase.is_some_and(Phase::is_trying) || held.is_outdated(self.old) || template::same(&held.template, sent) {
            return None;
        }
        let (known, sent_owners) = (self.known(held), self.sent_owners());
        let stated = managed_fields::updated_by(&sent_owners, &self.manager);
        let made_to = |ours: &Value| {
            let emptied = emptied_by(&self.manager);
            merge(Owned { known: &known, stated: &stated, asserted: false, whole: true, emptied }, live, ours, sent)
        };
        let merged = made_to(&held.template)?;
        let mut record = held.clone();
        if template::same(&merged, &held.template) {
            return Some(Merged { record, conflict: None });
        }
        let change = Change { from: &held.template, to: &merged };
        record.owners = managed_fields::updated(&held.owners, &self.manager, &known, change);
        self.request.username.clone_into(&mut record.user);
        if record.contributions.is_empty() {
            record.contributions.push(Contribution { manager: held.manager.clone(), template: held.template.clone(), change: false });
        }
        // One that changes again and again, such as a restart, is one change: the record must not grow with it.
        let before = record.contributions.pop_if(|last| last.change && last.manager == self.manager);
        let change = before.and_then(|before| made_to(&before.template)).unwrap_or_else(|| sent.clone());
        record.contributions.push(Contribution { manager: self.manager.clone(), template: change, change: true });
        record.template = merged;
        Some(Merged { record, conflict: conflict(&known, live, &held.template, sent, "spec.template") })
    }

    /// The canary starts over with both.
    pub(super) fn hold_merged(mut self, held: &Held, Merged { record, conflict }: Merged) -> Admission {
        if template::same(&record.template, &held.template) {
            return self.keep_holding(record, false);
        }
        if let Some(verdict) = rejected::verdict(self.before, &record.template, &record.owners).filter(|_| !self.asks_to_retry()) {
            return self.keep_out_of_the_trial(held, verdict);
        }
        if let Err(refused) = self.put_back(&record, None) {
            return refused;
        }
        let run = self.start_run_of(&record.template, Who::Besides);
        if let Some(annotations) = metadata_map_mut(&mut self.changed, "annotations") {
            let told = message::merged(&held.manager, &self.manager, self.request.username, conflict.as_deref());
            annotations.insert(key::MERGED.to_owned(), told.into());
        }
        self.warnings.push(match &conflict {
            Some(field) => message::overrides(&self.manager, &held.manager, field),
            None => message::together(&[&held.manager, &self.manager]),
        });
        self.warn_held();
        let unchecked = self.unchecked(record.template, run);
        Admission::held(self.request.new, self.changed, self.warnings, unchecked)
    }

    /// The template that changes were made to, stated once more: what it states counts again, and the rest of the changes stays.
    pub(super) fn stated_again(&self, held: &Held) -> Option<Held> {
        let (live, sent) = (object::template(self.old), object::template(self.request.new));
        let first = held.contributions.first().filter(|first| template::same(&first.template, sent))?;
        if held.is_outdated(self.old) || !held.contributions.iter().any(|part| part.change) {
            return None;
        }
        let (known, sent_owners) = (self.known(held), self.sent_owners());
        let stated = if held.operation == Operation::Apply {
            managed_fields::applied_by(&sent_owners, &self.manager)
        } else {
            let file = self.sent_last_applied().and_then(|text| last_applied::template(&text));
            managed_fields::updated_by(&sent_owners, &self.manager).stated_in(file.as_ref().unwrap_or(sent))
        };
        let asserted = merge(
            Owned { known: &known, stated: &stated, asserted: true, whole: false, emptied: Emptied::ByItem },
            live,
            &held.template,
            sent,
        )?;
        let mut record = held.clone();
        if self.sends_last_applied() {
            record.last_applied = self.sent_last_applied();
        }
        if !template::same(&asserted, &held.template) {
            let change = Change { from: &held.template, to: &asserted };
            record.owners = if held.operation == Operation::Apply {
                managed_fields::asserted(&held.owners, &sent_owners, &self.manager, &known, change)
            } else {
                managed_fields::updated(&held.owners, &self.manager, &known, change)
            };
            record.contributions =
                vec![first.clone(), Contribution { manager: self.manager.clone(), template: asserted.clone(), change: true }];
            record.template = asserted;
        }
        Some(record)
    }

    /// Whether somebody compares with the live object to see what there is to send.
    pub(super) fn is_compared(record: &Held) -> bool {
        record.manager != CLIENT_SIDE_APPLY
    }
}

//! Changes computed from the live object while another template is on trial: `set image`, `edit`, a restart, an operator's update. Without
//! the hold they would have been made to the template on trial, and so they are: base is the live one, ours the held one, theirs the sent.

use serde_json::Value;

use super::{
    Update,
    put_back::Who,
    statement::{CLIENT_SIDE_APPLY, emptied_by},
};
use crate::{
    api::annotations::{self as key},
    hold::{
        admit::Admission,
        held::{Contribution, Held},
        rejected,
    },
    manifest::{
        fields::Fields,
        managed_fields::{self, Change, Owner, TemplateOwners, template_owners},
        merge::{Owned, conflict, merge},
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
    pub(super) fn known(&self, held: &Held) -> Fields {
        let stored = template_owners(self.old.get("metadata").unwrap_or(&Value::Null));
        let owners = [&stored, &self.sent_owners(), &held.owners].map(managed_fields::all);
        owners.iter().fold(Fields::default(), |known, more| known.union(more))
    }

    /// `None` where there is nothing on trial that this could be made to, or the two can't be merged: it then stands alone.
    pub(super) fn merged(&self, held: &Held) -> Option<Merged> {
        let (live, sent) = (object::template(self.old), object::template(self.request.new));
        if !self.standing.is_trying() || template::same(&held.template, sent) || held.is_outdated(self.old) {
            return None;
        }
        let (known, sent_owners) = (self.known(held), self.sent_owners());
        // By a file that was made of what is shown it may be an applier, who states all of it.
        let applied = managed_fields::applied_by(&sent_owners, &self.manager);
        let stated = managed_fields::updated_by(&sent_owners, &self.manager).union(&applied);
        // What other webhooks made of the live template is nobody's change of what is on trial: that went through the same.
        let contested = known.set(&known, live, sent).common(&known.changed(&known, live, &held.template));
        let sent = &contested.difference(&stated).copied(live, sent);
        let emptied = emptied_by(&self.manager);
        let owned = Owned::change(&known, &stated, emptied);
        let merged = merge(owned, live, &held.template, sent)?;
        let mut record = held.clone();
        if self.sends_last_applied() {
            record.last_applied = self.last_applied_of(&merged);
        }
        if template::same(&merged, &held.template) {
            return Some(Merged { record, conflict: None });
        }
        let change = Change { from: &held.template, to: &merged };
        record.owners = if self.applies() {
            managed_fields::asserted(&held.owners, &self.owners_of_all(held, &merged), &self.manager, &known, change)
        } else {
            managed_fields::updated(&held.owners, &self.manager, &known, change)
        };
        self.request.username.clone_into(&mut record.user);
        if record.contributions.is_empty() {
            record.contributions.push(Contribution::part(&held.manager, &held.template));
        }
        record.contributions = in_few(record.contributions, Contribution::change(&self.manager, sent), &known, live);
        record.template = merged;
        Some(Merged { record, conflict: conflict(&known, live, &held.template, sent, "spec.template") })
    }

    /// Of a file that was made of what is shown its applier owns everything.
    fn owners_of_all(&self, held: &Held, merged: &Value) -> TemplateOwners {
        let all = managed_fields::all(&held.owners);
        let of_sender = |(owner, fields): (&Owner, &Value)| {
            let all = owner.is(&self.manager).then(|| Fields::read(fields).union(&all).stated_in(merged));
            (owner.clone(), all.and_then(|all| all.write()).unwrap_or_else(|| fields.clone()))
        };
        self.sent_owners().iter().map(of_sender).collect()
    }

    /// The canary starts over with both.
    pub(super) fn hold_merged(mut self, held: &Held, Merged { record, conflict }: Merged) -> Admission {
        if template::same(&record.template, &held.template) {
            let changed = record != *held;
            return self.keep_holding(record, changed);
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
        Admission::held(self.changed, self.warnings, unchecked)
    }

    /// Whether somebody compares with the live object to see what there is to send.
    pub(super) fn is_compared(record: &Held) -> bool {
        record.manager != CLIENT_SIDE_APPLY
    }
}

/// With one more. Who changes again and again, such as by restarts, makes one change: the record must not grow with it.
pub(super) fn in_few(mut parts: Vec<Contribution>, more: Contribution, known: &Fields, live: &Value) -> Vec<Contribution> {
    let run = parts.iter().rposition(|part| !part.change).map_or(0, |last| last + 1);
    let before = parts[run..].iter().position(|part| more.change && part.manager == more.manager).map(|place| run + place);
    let together = before.and_then(|before| {
        let (first, later) = parts[before..].split_first()?;
        let stated = Fields::default();
        later.iter().chain([&more]).try_fold(first.template.clone(), |ours, part| {
            let emptied = emptied_by(&part.manager);
            merge(Owned::change(known, &stated, emptied), live, &ours, &part.template)
        })
    });
    match (before, together) {
        (Some(before), Some(together)) => {
            parts.truncate(before);
            parts.push(Contribution::change(&more.manager, &together));
        }
        _ => parts.push(more),
    }
    parts
}

//! An applier re-applies what it stated before, while something else is on trial. Its statement then overrides the changes made since. This is
//! about a part that was changed, and about the live template.

use serde_json::Value;

use super::{Update, delta::in_few};
use crate::{
    hold::held::{Contribution, Held, Operation},
    manifest::{
        fields::Fields,
        last_applied,
        managed_fields::{self, Change, template_owners},
        merge::{self, Owned, merge},
        object, template,
    },
};

impl Update<'_> {
    /// A part that changes were made to, stated once more: what it states counts again, and the rest of the changes stays.
    pub(super) fn stated_again(&self, held: &Held) -> Option<Held> {
        let (live, sent) = (object::template(self.old), object::template(self.request.new));
        let applies = held.operation == Operation::Apply;
        let of_its_sender = |part: &Contribution| !applies || part.manager == self.manager;
        let is_it = |part: &Contribution| !part.change && of_its_sender(part) && template::same(&part.template, sent);
        let place = held.contributions.iter().rposition(is_it)?;
        if self.replaces_all() || held.is_outdated(self.old) || !held.contributions[place..].iter().any(|part| part.change) {
            return None;
        }
        let (known, sent_owners) = (self.known(held), self.sent_owners());
        let file = self.sent_last_applied().and_then(|text| last_applied::template(&text));
        let stated = if applies {
            managed_fields::applied_by(&sent_owners, &self.manager)
        } else {
            managed_fields::updated_by(&sent_owners, &self.manager).stated_in(sent)
        };
        let asserted = if let Some(file) = file.as_ref().filter(|_| !applies) {
            merge::state(&known, merge::Stated { file, sent, live }, &held.template)
        } else {
            let owned = Owned::asserted(&known, &stated);
            merge(owned, live, &held.template, sent)?
        };
        let mut record = held.clone();
        if self.sends_last_applied() {
            record.last_applied = self.sent_last_applied();
        }
        let change = Change { from: &held.template, to: &asserted };
        if applies {
            record.owners = managed_fields::asserted(&held.owners, &sent_owners, &self.manager, &known, change);
        }
        let is_another = !template::same(&asserted, &held.template);
        if applies && (is_another || record.owners != held.owners) {
            record.contributions = self.with_again(record.contributions, sent, &known);
        } else if is_another {
            record.owners = managed_fields::updated(&held.owners, &self.manager, &known.with_siblings(), change);
            record.contributions.truncate(1);
            record.contributions.push(Contribution::change(&self.manager, &asserted));
        }
        if is_another {
            record.template = asserted;
        }
        Some(record)
    }

    /// All of these, and this applier's part once more: it may change nothing but who owns what, and counts when another part is left.
    pub(super) fn with_again(&self, parts: Vec<Contribution>, stated: &Value, known: &Fields) -> Vec<Contribution> {
        let live = object::template(self.old);
        // The later one says all that an earlier one did.
        let others = parts.into_iter().filter(|part| !part.again || part.manager != self.manager);
        let others = others.fold(Vec::new(), |parts, part| in_few(parts, part, known, live));
        in_few(others, Contribution::again(&self.manager, stated), known, live)
    }

    /// A file put in the object's place once more, which leaves nothing of the changes but who owns what they had taken away.
    pub(super) fn put_again(&self, held: &Held) -> Option<Held> {
        let sent = object::template(self.request.new);
        let first = held.contributions.first().filter(|part| !part.change && part.manager == self.manager)?;
        let is_it = self.replaces_all() && !self.is_undo() && template::same(&first.template, sent);
        if !is_it || held.operation != Operation::Update || held.is_outdated(self.old) || !self.standing.is_trying() {
            return None;
        }
        let change = Change { from: &held.template, to: sent };
        Some(Held { owners: managed_fields::updated(&held.owners, &self.manager, &self.known(held), change), ..self.record() })
    }

    /// What is on trial, once one of the live template's appliers has stated that once more: without the hold that would take back what
    /// others have set since. `None` where that can't be told.
    pub(super) fn with_the_live_one_stated(&self, held: &Held) -> Option<Value> {
        let live = object::template(self.old);
        let (known, stated) = (self.known(held), managed_fields::applied_by(&self.sent_owners(), &self.manager));
        let owned = Owned::asserted(&known, &stated);
        merge(owned, live, &held.template, live)
    }

    /// Such a statement, which takes back a part of what is on trial, by one who had stated nothing before: nobody's interval, so that it won't
    /// come again by itself.
    pub(super) fn contradicts(&self, held: &Held) -> bool {
        let is_new =
            managed_fields::applied_by(&template_owners(self.old.get("metadata").unwrap_or(&Value::Null)), &self.manager).is_empty();
        is_new && self.with_the_live_one_stated(held).is_some_and(|rest| !template::same(&rest, &held.template))
    }

    /// Such a statement, which leaves nothing of what is on trial: it would have gone as soon as it had come.
    pub(super) fn takes_all_back(&self, held: &Held) -> bool {
        let live = object::template(self.old);
        self.by_who_has_no_part(held).is_some_and(|rest| template::same(&rest, live))
    }

    /// Where such a statement contradicts what is on trial. It counts when it comes again: that may be a controller's interval, and each time
    /// the canary would start over.
    pub(super) fn is_for_later(&self, held: &Held) -> Option<String> {
        template::first_difference(&self.by_who_has_no_part(held)?, &held.template, "spec.template")
    }

    fn by_who_has_no_part(&self, held: &Held) -> Option<Value> {
        let is_on_trial = self.standing.is_trying() && !held.is_outdated(self.old);
        let has_part = held.contributions.iter().any(|part| part.manager == self.manager && !part.change && !part.again);
        let states = is_on_trial && !has_part && self.operation() == Operation::Apply;
        states.then(|| self.with_the_live_one_stated(held)).flatten()
    }
}

//! What is stated once more while other things are on trial, and so counts over what was changed since: a part that changes were made to, and
//! the live template, by whoever applies it.

use std::collections::HashMap;

use serde_json::Value;

use super::{Update, delta::in_few};
use crate::{
    hold::held::{Contribution, Held, Operation},
    manifest::{
        last_applied,
        managed_fields::{self, Change},
        merge::{Emptied, Owned, merge},
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
            managed_fields::updated_by(&sent_owners, &self.manager).stated_in(file.as_ref().unwrap_or(sent))
        };
        let owned = Owned { known: &known, stated: &stated, asserted: true, whole: false, emptied: Emptied::ByItem };
        let mut asserted = merge(owned, live, &held.template, sent)?;
        if let Some(file) = file.as_ref().filter(|_| !applies) {
            take_what_is_null(&mut asserted, file, sent);
        }
        let mut record = held.clone();
        if self.sends_last_applied() {
            record.last_applied = self.sent_last_applied();
        }
        let change = Change { from: &held.template, to: &asserted };
        if applies {
            record.owners = managed_fields::asserted(&held.owners, &sent_owners, &self.manager, &known, change);
        }
        if !template::same(&asserted, &held.template) {
            if applies {
                // The later one says all that an earlier one did.
                let others = record.contributions.drain(..).filter(|part| !part.again || part.manager != self.manager);
                let others = others.fold(Vec::new(), |parts, part| in_few(parts, part, &known, live));
                record.contributions = in_few(others, Contribution::again(&self.manager, sent), &known, live);
            } else {
                record.owners = managed_fields::updated(&held.owners, &self.manager, &known, change);
                record.contributions.truncate(1);
                record.contributions.push(Contribution::change(&self.manager, &asserted));
            }
            record.template = asserted;
        }
        Some(record)
    }

    /// What is on trial, once one of the live template's appliers has stated that once more: without the hold that would take back what
    /// others have set since. `None` where that can't be told.
    pub(super) fn with_the_live_one_stated(&self, held: &Held) -> Option<Value> {
        let live = object::template(self.old);
        let (known, stated) = (self.known(held), managed_fields::applied_by(&self.sent_owners(), &self.manager));
        let owned = Owned { known: &known, stated: &stated, asserted: true, whole: false, emptied: Emptied::ByItem };
        merge(owned, live, &held.template, live)
    }

    /// Such a statement, which leaves nothing of what is on trial: it would have gone as soon as it had come.
    pub(super) fn takes_all_back(&self, held: &Held) -> bool {
        let is_on_trial = self.standing.is_trying() && !held.is_outdated(self.old);
        let has_part = held.contributions.iter().any(|part| part.manager == self.manager && !part.change && !part.again);
        let live = object::template(self.old);
        is_on_trial
            && !has_part
            && self.operation() == Operation::Apply
            && self.with_the_live_one_stated(held).is_some_and(|rest| template::same(&rest, live))
    }
}

/// A file of client-side apply that says `null` takes away all that is there, whoever put it there; the API server's default may come instead.
fn take_what_is_null(asserted: &mut Value, file: &Value, sent: &Value) {
    match (asserted, file) {
        (Value::Object(asserted), Value::Object(file)) => {
            for (name, stated) in file {
                let sent = sent.get(name).unwrap_or(&Value::Null);
                if !stated.is_null() {
                    if let Some(asserted) = asserted.get_mut(name) {
                        take_what_is_null(asserted, stated, sent);
                    }
                } else if sent.is_null() {
                    asserted.remove(name);
                } else {
                    asserted.insert(name.clone(), sent.clone());
                }
            }
        }
        (Value::Array(asserted), Value::Array(file)) => {
            let (file, sent) = (by_name(file), by_name(sent.as_array().map_or(&[][..], Vec::as_slice)));
            for item in asserted {
                let name = item.get("name").and_then(Value::as_str).unwrap_or_default();
                if let (Some(stated), Some(sent)) = (file.get(name), sent.get(name)) {
                    take_what_is_null(item, stated, sent);
                }
            }
        }
        _ => {}
    }
}

fn by_name(list: &[Value]) -> HashMap<&str, &Value> {
    list.iter().filter_map(|item| Some((item.get("name")?.as_str()?, item))).collect()
}

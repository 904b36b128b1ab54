//! Several server-side appliers, each of which states a part of one template. The held template is made of all their parts, and re-applying
//! the same part is a no-op. Otherwise they would replace each other's template forever, since each is computed from the live template.

use serde_json::Value;

use super::{Update, put_back::Who, statement::emptied_by};
use crate::{
    hold::{
        admit::Admission,
        held::{Contribution, Held, Operation},
        rejected,
    },
    manifest::{
        fields::Fields,
        identity::Identity,
        managed_fields::{self, Application, Change, LeftPart, TemplateOwners, template_owners},
        merge::{Emptied, Owned, merge},
        object, template,
    },
    message,
};

impl Update<'_> {
    /// The record of what is held once this request has come to it. `None` where it is no part beside others: it then stands alone.
    pub(super) fn together(&self, held: &Held) -> Option<Held> {
        let (live, sent) = (object::template(self.old), object::template(self.request.new));
        let manager = self.manager.as_str();
        if held.operation != Operation::Apply || held.is_outdated(self.old) || self.replaces_all() {
            return None;
        }
        let mut parts = held.contributions.clone();
        if parts.is_empty() {
            parts.push(Contribution::part(&held.manager, &held.template));
        }
        let mine = parts.iter().position(|part| part.manager == manager && !part.change && !part.again);
        let applies = if mine.is_some() { self.states_its_part() } else { self.operation() == Operation::Apply };
        match mine {
            _ if !applies => return None,
            Some(index) if template::same(&parts[index].template, sent) => {}
            Some(_) if parts.len() == 1 => return None,
            None if template::same(live, sent) => {
                if !self.standing.is_trying() || self.edits_records_alone() || !self.contradicts(held) {
                    return None;
                }
                parts.retain(|part| part.manager != manager || !part.again);
                parts.push(Contribution::again(manager, live));
            }
            _ => {
                parts.retain(|part| part.manager != manager || part.change);
                if !template::same(live, sent) {
                    parts.push(Contribution::part(manager, sent));
                } else if parts.iter().any(|part| part.change) {
                    parts.push(Contribution::again(manager, live));
                }
            }
        }
        let sent_owners = self.sent_owners();
        let stored = template_owners(self.old.get("metadata").unwrap_or(&Value::Null));
        let known = [&stored, &sent_owners, &held.owners]
            .into_iter()
            .fold(Fields::default(), |known, more| known.union(&managed_fields::all(more)));
        let states = self.states_after(held, &parts, &known)?;
        let template = states.last()?.clone();
        let managers: Vec<&str> = parts.iter().map(|part| part.manager.as_str()).collect();
        let is_another = mine.is_some() && !template::same(&template, &held.template);
        let owners = if is_another && parts.iter().any(|part| part.change) {
            self.owners_after(held, &parts, &states, &known)
        } else {
            let change = Change { from: &held.template, to: &template };
            let live_change = Change { from: live, to: sent };
            let application = Application { manager, parts: &managers, sent: &sent_owners, known: &known, live: live_change };
            let mut owners = application.applied(&held.owners, &stored, change);
            if mine.is_some() {
                application.give_back(&mut owners, &held.owners, LeftPart { live, before: &held.template, now: &template });
            }
            owners
        };
        let unchanged = template::same(&template, &held.template);
        Some(Held {
            manager: if mine.is_some() && unchanged { held.manager.clone() } else { parts.last()?.manager.clone() },
            operation: Operation::Apply,
            user: if unchanged { held.user.clone() } else { self.request.username.to_owned() },
            owners,
            last_applied: if self.sends_last_applied() { self.sent_last_applied() } else { held.last_applied.clone() },
            against: Some(Identity::of_object(self.old).text()),
            contributions: if parts.len() > 1 { parts } else { Vec::new() },
            template,
        })
    }

    /// What the live template becomes by each of these after the other. The first one is what it made of that itself.
    fn states_after(&self, held: &Held, parts: &[Contribution], known: &Fields) -> Option<Vec<Value>> {
        let (live, sent_owners) = (object::template(self.old), self.sent_owners());
        let (first, others) = parts.split_first()?;
        let mut changed = first.change;
        let mut states = vec![first.template.clone()];
        for part in others {
            // What is stated after a change counts over it, also where it is what was there all the time.
            let asserted = part.again || (changed && !part.change);
            changed |= part.change;
            let owners = if part.manager == self.manager { &sent_owners } else { &held.owners };
            let (stated, emptied) = if part.change {
                (managed_fields::updated_by(owners, &part.manager), emptied_by(&part.manager))
            } else {
                (managed_fields::applied_by(owners, &part.manager), Emptied::ByItem)
            };
            let appliers = parts.iter().filter(|other| !other.change && other.manager != part.manager);
            let of_others =
                appliers.fold(Fields::default(), |all, other| all.union(&managed_fields::applied_by(&held.owners, &other.manager)));
            let owned = if part.change {
                Owned::change(known, &stated, emptied)
            } else {
                Owned { asserted, of_others: Some(&of_others), ..Owned::asserted(known, &stated) }
            };
            states.push(merge(owned, live, states.last()?, &part.template)?);
        }
        Some(states)
    }

    /// Who owns what of the last of these states: as if what its applier has left had never been there.
    fn owners_after(&self, held: &Held, parts: &[Contribution], states: &[Value], known: &Fields) -> TemplateOwners {
        let sent_owners = self.sent_owners();
        let live = template_owners(self.old.get("metadata").unwrap_or(&Value::Null));
        let (mut owners, mut from) = (live.clone(), object::template(self.old));
        for (part, to) in parts.iter().zip(states) {
            let change = Change { from, to };
            let stated = if part.manager == self.manager { &sent_owners } else { &held.owners };
            owners = if part.change {
                managed_fields::updated(&owners, &part.manager, known, change)
            } else {
                managed_fields::asserted(&owners, stated, &part.manager, known, change)
            };
            from = to;
        }
        let stated = parts.iter().filter(|part| !part.change && !part.again);
        let managers: Vec<&str> = stated.map(|part| part.manager.as_str()).collect();
        managed_fields::as_stated(owners, &live, &held.owners, &self.manager, &managers)
    }

    /// Holds what came of `held` and this request. The canary starts over only if that is another template.
    pub(super) fn hold_together(mut self, held: &Held, record: Held) -> Admission {
        if template::same(&record.template, &held.template) {
            let changed = record != *held;
            return self.keep_holding(record, changed);
        }
        let who = if record.contributions.is_empty() { Who::Alone } else { Who::Besides };
        let rejected = rejected::verdict(self.before, &record.template, &record.owners).filter(|_| !self.asks_to_retry());
        if let Some(verdict) = rejected.map(str::to_owned) {
            return self.keep_out_with(record, who, verdict);
        }
        if let Err(refused) = self.put_back(&record, None) {
            return refused;
        }
        let run = self.start_run_of(&record.template, who);
        let mut managers: Vec<&str> = record.contributions.iter().map(|part| part.manager.as_str()).collect();
        if managers.is_empty() {
            managers.push(&record.manager);
        }
        self.warnings.push(message::together(&managers));
        self.warn_held();
        let unchecked = self.unchecked(record.template, run);
        Admission::held(self.changed, self.warnings, unchecked)
    }
}

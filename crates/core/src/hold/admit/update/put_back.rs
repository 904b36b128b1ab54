//! What an update makes of the object: Coalmine's own annotations and label, the live template in its place with the records that describe
//! it, and the held one aside. Decides nothing: that is `super`'s.

use serde_json::Value;

use super::Update;
use crate::{
    api::annotations::{self as key, Phase},
    hold::{
        admit::{
            Admission, Unchecked,
            controller::{end_hold, forget_what_was_said},
            requester,
        },
        held::{Held, Operation},
    },
    manifest::{
        fields::Fields,
        last_applied,
        managed_fields::{self, Change, template_owners},
        merge::{Emptied, Owned, merge},
        object::{self, metadata_map_mut, text},
        template,
    },
    message::{self, denied},
    run::history,
    words,
};

/// Left for what controllers add: the verdict in words, the revision, and on the copy of the `ReplicaSet` the numbers of the rollout.
const ROOM: usize = 8 << 10;

/// Whether those who asked before asked for a part of this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Alone,
    Besides,
}

impl Update<'_> {
    /// Puts Coalmine's own annotations and label back to what they were: they are never the client's to write.
    pub(super) fn restore_state(&mut self) {
        // `rollout undo` replaces all annotations by those of the old revision, which may be from before the opt-in or carry old state.
        let undo = self.is_undo();
        if !undo
            && let Some(forged) =
                self.sent.iter().find(|(name, value)| name.starts_with(key::STATE_PREFIX) && self.before.get(*name) != Some(value))
        {
            self.warnings.push(message::state_undone(forged.0));
        }
        let had_annotations = !self.sent.is_empty() || !self.before.is_empty();
        if had_annotations && let Some(annotations) = metadata_map_mut(&mut self.changed, "annotations") {
            object::keep(annotations, self.before, |name| name.starts_with(key::STATE_PREFIX));
            if undo {
                // What is asked of Coalmine is no part of a revision: an undo opts nobody in or out.
                object::keep(annotations, self.before, key::is_of_user);
            }
            match (text(self.before, key::ENABLED), text(annotations, key::ENABLED)) {
                (Some("held"), Some("true")) => annotations.insert(key::ENABLED.to_owned(), "held".into()),
                (Some("held"), _) => None,
                (_, Some("held")) => annotations.insert(key::ENABLED.to_owned(), "true".into()),
                _ => None,
            };
        }
        let stored = object::label(self.old, key::ACTIVE_LABEL);
        match (stored, object::label(self.request.new, key::ACTIVE_LABEL)) {
            // Lost while no Coalmine looked, and the controller would never hear of it.
            (None, None) if self.standing.is_trying() => self.activate(),
            (before, now) if before == now => {}
            (Some(_), _) => self.activate(),
            (None, _) => {
                if let Some(labels) = metadata_map_mut(&mut self.changed, "labels") {
                    labels.remove(key::ACTIVE_LABEL);
                }
            }
        }
    }

    /// A request that left the template alone may still have taken its fields over, or stated them anew.
    pub(super) fn follow_owners(&mut self) -> Result<(), Admission> {
        let before = template_owners(self.old.get("metadata").unwrap_or(&Value::Null));
        let after = self.sent_owners();
        let applies = self.operation() == Operation::Apply && !self.edits_records_alone() && self.standing.is_trying();
        // Where it contradicts what is on trial, that is for later: it then states all again.
        let agrees = |held: &Held| self.with_the_live_one_stated(held).is_some_and(|same| template::same(&same, &held.template));
        let applier = self.held.as_ref().filter(|held| applies && agrees(held)).map(|_| self.manager.clone());
        let Some(held) = self.held.clone() else { return Ok(()) };
        let change = Change { from: object::template(self.old), to: &held.template };
        let gone = self.whose_records_went();
        let mut owners = managed_fields::follow(&held.owners, &before, &after, change, gone);
        let mut contributions = held.contributions.clone();
        if let Some(manager) = applier {
            let restated = managed_fields::restated(&owners, &after, &manager);
            if restated != owners && contributions.iter().any(|part| part.change) {
                contributions = self.with_again(contributions, object::template(self.old), &self.known(&held));
            }
            owners = restated;
        }
        let last_applied = self.followed_last_applied(&held);
        if owners != held.owners || last_applied != held.last_applied {
            let held = Held { owners, last_applied, contributions, ..held };
            self.keep_record(&held)?;
            self.held = Some(held);
        }
        Ok(())
    }

    /// Where all records were taken away nobody owns anything, of what is held neither; where somebody's were, what they own of it is nobody's.
    fn whose_records_went(&self) -> impl Fn(&managed_fields::Owner) -> bool {
        let [stored, sent] = [self.old, self.request.new].map(managed_fields::records);
        let owned = managed_fields::of_template(stored).next().is_some() && managed_fields::of_template(sent).next().is_none();
        let all = owned && !managed_fields::has_one_of(sent, stored);
        let alone = self.edits_records_alone();
        let [stored, sent] = [stored, sent].map(managed_fields::owners);
        move |owner| all || (alone && stored.contains(owner) && !sent.contains(owner))
    }

    /// Who puts the records in order for server-side apply takes last-applied away; it doesn't come back with the promotion. Who writes it by
    /// hand (`kubectl apply set-last-applied`) says what is to stand there then.
    fn followed_last_applied(&mut self, held: &Held) -> Option<String> {
        if self.sends_last_applied() {
            let said = self.last_applied_of(&held.template);
            self.mark_last_applied();
            return said;
        }
        if let Some(edited) = self.edited_last_applied(held) {
            return Some(edited);
        }
        // Who takes all annotations off what was read takes that of the held template, which they can't see, too.
        let stated = self.sent.contains_key(key::LAST_APPLIED);
        let goes = |name: &str| self.before.contains_key(name) && !self.sent.contains_key(name);
        held.last_applied.clone().filter(|_| stated || !(goes(key::LAST_APPLIED) || goes(key::HELD)))
    }

    /// Who edits what stands there (`kubectl apply edit-last-applied`) sees the live template in it, and would have seen the held one.
    fn edited_last_applied(&self, held: &Held) -> Option<String> {
        let (before, sent) = (text(self.before, key::LAST_APPLIED)?, text(self.sent, key::LAST_APPLIED)?);
        if before == sent || !last_applied::is_marked(sent) {
            return None;
        }
        let [before, ours, theirs] = [before, held.last_applied.as_deref()?, sent].map(last_applied::template);
        let (known, stated) = (self.known(held), Fields::default());
        let owned = Owned::change(&known, &stated, Emptied::ByItem);
        let template = merge(owned, &before?, &ours?, &theirs?)?;
        Some(last_applied::with_template(&last_applied::without_state(sent), &template))
    }

    /// While a template is held, last-applied describes the live one, and kubectl always has something to send.
    fn mark_last_applied(&mut self) {
        let sends = self.sends_last_applied();
        let Some(annotations) = metadata_map_mut(&mut self.changed, "annotations") else { return };
        let is_sent = |text: &&str| sends || !last_applied::is_marked(text);
        let Some(sent) = text(annotations, key::LAST_APPLIED).filter(is_sent).map(last_applied::without_state) else { return };
        match text(self.before, key::LAST_APPLIED) {
            Some(before) => {
                if let Some(repaired) = last_applied::while_held(&sent, before) {
                    annotations.insert(key::LAST_APPLIED.to_owned(), repaired.into());
                }
            }
            // Comes with the promotion. Until then kubectl has always something to send, because it is missing.
            None => drop(annotations.remove(key::LAST_APPLIED)),
        }
    }

    /// The record in place of the one that the object carries.
    pub(super) fn keep_record(&mut self, record: &Held) -> Result<(), Admission> {
        let encoded = record.encode().map_err(|error| Admission::denied(format!("canary: {error}")))?;
        if let Some(annotations) = metadata_map_mut(&mut self.changed, "annotations") {
            annotations.insert(key::HELD.to_owned(), encoded.into());
        }
        Ok(())
    }

    /// Ends whatever was held; the controller cleans up and says so.
    pub(super) fn end(&mut self, phase: Phase, reason: &str) {
        if let Some(annotations) = metadata_map_mut(&mut self.changed, "annotations") {
            end_hold(annotations);
            annotations.remove(key::SINCE);
            annotations.remove(key::RUN);
            annotations.remove(key::REQUESTED_BY);
            annotations.remove(key::REQUESTED_BY_GROUPS);
            annotations.insert(key::PHASE.to_owned(), phase.as_str().into());
            annotations.insert(key::MESSAGE.to_owned(), words::one_line(reason).into());
        }
        self.activate();
    }

    /// A run that has just been started, for the API server to look at its template.
    pub(super) fn unchecked(&self, template: Value, run: String) -> Unchecked {
        let annotations = object::annotations(&self.changed).iter();
        let requested_by = annotations.filter(|(name, _)| [key::REQUESTED_BY, key::REQUESTED_BY_GROUPS].contains(&name.as_str()));
        Unchecked { template, run, requested_by: requested_by.map(|(name, value)| (name.clone(), value.clone())).collect() }
    }

    pub(super) fn activate(&mut self) {
        if let Some(labels) = metadata_map_mut(&mut self.changed, "labels") {
            labels.insert(key::ACTIVE_LABEL.to_owned(), "true".into());
        }
    }

    /// The phase of a template that the controller has yet to try.
    pub(super) fn start(&mut self, run: &str) {
        if let Some(annotations) = metadata_map_mut(&mut self.changed, "annotations") {
            annotations.remove(key::MESSAGE);
            annotations.remove(key::SINCE);
            annotations.remove(key::MERGED);
            forget_what_was_said(annotations);
            annotations.insert(key::PHASE.to_owned(), Phase::Held.as_str().into());
            annotations.insert(key::RUN.to_owned(), run.into());
        }
        self.activate();
    }

    pub(super) fn start_run_of(&mut self, template: &Value, who: Who) -> String {
        let requested_by = requester::of(self.request, (who == Who::Besides).then_some(self.before));
        if let Some(annotations) = metadata_map_mut(&mut self.changed, "annotations") {
            annotations.extend(requested_by);
        }
        let run = template::run_id(template, object::uid(self.old), text(self.sent, key::RETRY));
        self.start(&run);
        run
    }

    /// Puts A back, with the records that describe it, and keeps the record of B.
    pub(super) fn put_back(&mut self, record: &Held, reused: Option<String>) -> Result<(), Admission> {
        let encoded = match reused {
            Some(text) => text,
            None => record.encode().map_err(|error| Admission::denied(format!("canary: {error}")))?,
        };
        let size = encoded.len();
        if let Some(spec) = self.changed.get_mut("spec").and_then(Value::as_object_mut) {
            spec.insert("template".to_owned(), object::template(self.old).clone());
        }
        if let Some(metadata) = self.changed.get_mut("metadata").and_then(Value::as_object_mut) {
            let (sent, stored) = (managed_fields::records(self.request.new), managed_fields::records(self.old));
            // Who states the live template, one part of it aside, says who set what of it.
            let states_the_live_one = template::same(object::template(self.old), object::template(self.request.new));
            // The usual case, and the cheap one: nothing but the template and a time is another.
            let stays = !states_the_live_one && managed_fields::differs_in_template_only(sent, stored);
            let put_back = || managed_fields::with_template_owners(sent, template_owners(self.old.get("metadata").unwrap_or(&Value::Null)));
            let records = (!stays).then(|| if states_the_live_one { sent.to_vec() } else { put_back() });
            let records = records.filter(|records| !managed_fields::says_the_same(records, stored));
            let records = records.unwrap_or_else(|| stored.to_vec());
            managed_fields::put_records(metadata, records);
        }
        self.mark_last_applied();
        if let Some(annotations) = metadata_map_mut(&mut self.changed, "annotations") {
            // A file that was put in the object's place has none; the live template came by what stood there.
            if let Some(before) = text(self.before, key::LAST_APPLIED).filter(|_| !self.sent.contains_key(key::LAST_APPLIED))
                && let Some(kept) = last_applied::while_held(before, before)
            {
                annotations.insert(key::LAST_APPLIED.to_owned(), kept.into());
            }
            annotations.insert(key::MARKER.to_owned(), last_applied::MARKED.into());
            annotations.insert(key::HELD.to_owned(), encoded.into());
            if Self::is_compared(record) && text(annotations, key::ENABLED) == Some("true") {
                annotations.insert(key::ENABLED.to_owned(), "held".into());
            }
            history::make_room(annotations, ROOM);
            let total = object::size(annotations) + ROOM;
            if total > object::MOST_ANNOTATION_BYTES {
                return Err(Admission::denied(denied::too_large(total, object::MOST_ANNOTATION_BYTES, size)));
            }
        }
        Ok(())
    }

    pub(super) fn sent_owners(&self) -> managed_fields::TemplateOwners {
        template_owners(self.request.new.get("metadata").unwrap_or(&Value::Null))
    }

    /// The request wrote last-applied itself; one that carries nothing of ours but the marker is only what stood there.
    pub(super) fn sends_last_applied(&self) -> bool {
        text(self.sent, key::LAST_APPLIED).is_some_and(|sent| {
            let is_new = text(self.before, key::LAST_APPLIED) != Some(sent);
            is_new && (!last_applied::is_marked(sent) || last_applied::is_of_what_was_shown(sent))
        })
    }

    pub(super) fn sent_last_applied(&self) -> Option<String> {
        text(self.sent, key::LAST_APPLIED).map(last_applied::without_state)
    }

    /// The same for what is on trial: a file that was made of what is shown would have shown that.
    pub(super) fn last_applied_of(&self, template: &Value) -> Option<String> {
        let sent = self.sent_last_applied()?;
        Some(if self.is_of_what_is_shown() { last_applied::with_template(&sent, template) } else { sent })
    }
}

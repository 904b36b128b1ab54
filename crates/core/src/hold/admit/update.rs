//! UPDATE by anybody but the controller: the table of the hold. Reads top to bottom in the order in which the cases exclude each other.

mod again;
mod delta;
mod put_back;
mod statement;
mod together;

use serde_json::{Map, Value};

use self::{put_back::Who, statement::Statement};
use super::{Admission, Effect, Request, Settings, changeable, controller::proven_after, overlap, policy};
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
        object::{self, is_asked_for, is_opted_in, metadata_map_mut, text},
        template,
    },
    message::{self, denied},
    run::{
        canary,
        history::{self, Verdict},
    },
};

pub(super) fn admit(settings: &Settings, request: &Request<'_>, old: &Value) -> Admission {
    let before = object::annotations(old);
    let sent = object::annotations(request.new);
    let mut update = Update {
        settings,
        request,
        old,
        before,
        sent,
        held: text(before, key::HELD).and_then(|text| Held::decode(text).ok()),
        phase: object::phase(before),
        changed: changeable(request.new),
        warnings: Vec::new(),
        manager: statement::manager(request, old),
        sends_the_held_one: false,
    };
    let sent = object::template(request.new);
    update.sends_the_held_one = update.held.as_ref().is_some_and(|held| held.is(sent, &update.sent_owners()));
    update.restore_state();
    update.decide()
}

/// Whether the answer depends on what the held template becomes when it is merged into the live one. Helm's client-side patch
/// computes from its own last manifest, so that the held template, sent again, arrives with what it had dropped.
pub fn needs_merge(request: &Request<'_>) -> Option<Value> {
    let old = request.old?;
    let (live, sent) = (object::template(old), object::template(request.new));
    if object::annotation(old, key::ENABLED) != Some("held") || template::same(live, sent) {
        return None;
    }
    let held = object::annotation(old, key::HELD).and_then(|text| Held::decode(text).ok())?;
    let by_helm = held.operation == Operation::Update && held.manager == request.field_manager && statement::is_of_helm(request);
    (by_helm && !template::same(&held.template, sent)).then_some(held.template)
}

struct Update<'a> {
    settings: &'a Settings,
    request: &'a Request<'a>,
    old: &'a Value,
    before: &'a Map<String, Value>,
    sent: &'a Map<String, Value>,
    held: Option<Held>,
    phase: Option<Phase>,
    changed: Value,
    warnings: Vec<String>,
    /// The field manager of the request, by the records where the client named none.
    manager: String,
    /// The template in it is the held one.
    sends_the_held_one: bool,
}

impl Update<'_> {
    fn decide(mut self) -> Admission {
        let (live, sent) = (object::template(self.old), object::template(self.request.new));
        let template_changes = !template::same(live, sent);
        let annotations = object::annotations(&self.changed);
        let recreates = overlap::is_recreated(self.request.new) && !overlap::is_recreated(self.old);
        if is_asked_for(annotations) && (template_changes || self.policy_changes() || recreates) {
            if let Some(label) = overlap::own_label(self.request.new) {
                return Admission::denied(denied::own_label(label));
            }
            match policy(self.settings.checks, annotations, object::namespace(self.request.new)) {
                Err(invalid) => return Admission::denied(format!("canary: {invalid}")),
                // What is let through without a canary is looked at no more closely: see `hold`.
                Ok(policy) if !template_changes && overlap::is_refused(self.request.new, &policy) => {
                    return Admission::denied(denied::overlap());
                }
                Ok(_) => {}
            }
        }
        if !is_opted_in(annotations) {
            return self.opt_out();
        }
        let bypass = text(self.sent, key::BYPASS).filter(|reason| text(self.before, key::BYPASS) != Some(reason));
        if !template_changes {
            if bypass.is_some() && self.held.is_some() && !self.restates() {
                self.warnings.push(message::bypass_without_template());
            }
            return self.keep_or_withdraw();
        }
        if let Some(reason) = bypass {
            let reason = format!("template let through by {} without a canary: {reason}", self.request.username);
            self.warnings.push(message::bypassed());
            return self.let_through(Phase::Bypassed, &reason, Effect::Bypassed);
        }
        if self.is_undo_to_before_the_opt_in() {
            return self.roll_back();
        }
        if let Some(held) = self.held.clone()
            && self.statement() == Statement::Change
            && let Some(merged) = self.merged(&held)
        {
            return self.hold_merged(&held, merged);
        }
        if !self.comes_again(sent)
            && !self.asks_to_retry()
            && let Some(verdict) = rejected::verdict(self.before, sent, &self.sent_owners())
        {
            return self.keep_out(verdict.to_owned());
        }
        if object::replicas(self.request.new) == 0 && !self.comes_again(sent) {
            self.warnings.push(message::skipped());
            let told = format!("no replicas, so no traffic to judge with; template of {} let through", self.request.username);
            return self.let_through(Phase::Skipped, &told, Effect::Skipped);
        }
        if self.is_proven(sent) {
            return self.roll_back();
        }
        if let Some(held) = &self.held
            && (!held.contributions.is_empty() || !self.sends_the_held_one)
        {
            let held = held.clone();
            if let Some(record) = self.stated_again(&held).or_else(|| self.together(&held)) {
                return self.hold_together(&held, record);
            }
        }
        match self.held.take() {
            Some(held) if self.sends_the_held_one || self.request.held_merged.is_some_and(|m| template::same(m, sent)) => {
                self.hold_again(held)
            }
            Some(held) => {
                if let Some(field) =
                    self.request.held_merged.and_then(|merged| template::first_difference(merged, &held.template, "spec.template"))
                {
                    return Admission::denied(denied::helm_leftovers(&field));
                }
                let another = held.manager != self.manager;
                self.warnings.push(message::superseded(another, &held.manager));
                self.hold()
            }
            None => self.hold(),
        }
    }

    fn policy_changes(&self) -> bool {
        let policy = |map: &Map<String, Value>| -> Vec<(String, Value)> {
            map.iter().filter(|(name, _)| key::is_of_user(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        policy(self.before) != policy(object::annotations(&self.changed))
    }

    fn is_proven(&self, sent: &Value) -> bool {
        text(self.before, key::PROVEN).is_some_and(|proven| {
            let identity = Identity::of(sent, &self.sent_owners());
            proven.split(',').any(|proven| identity.is(proven))
        })
    }

    fn keep_or_withdraw(mut self) -> Admission {
        if self.held.is_none() {
            return Admission::changed(self.request.new, self.changed, self.warnings, Effect::Passed);
        }
        if self.edits_records_alone() {
            return self.keep();
        }
        let live = object::template(self.old);
        if let Some(held) = self.held.clone().filter(|held| !held.contributions.is_empty())
            && !self.restates_all()
            && let Some(record) = self.together(&held)
        {
            return if template::same(&record.template, live) { self.withdraw() } else { self.hold_together(&held, record) };
        }
        if self.restates() || self.held.as_ref().is_some_and(|held| self.takes_all_back(held)) {
            return self.withdraw();
        }
        if self.held.as_ref().is_some_and(|held| held.manager == self.manager) && self.phase.is_some_and(Phase::is_trying) {
            self.warnings.push(message::still_on_trial(self.request.name));
        }
        self.keep()
    }

    fn withdraw(mut self) -> Admission {
        self.warnings.push(message::withdrawn());
        let told = format!("back to the live template; the held one is withdrawn by {}", self.request.username);
        self.end(Phase::Withdrawn, &told);
        Admission::changed(self.request.new, self.changed, self.warnings, Effect::Withdrawn)
    }

    /// The request says nothing of the template: what is held stays.
    fn keep(mut self) -> Admission {
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

    fn opt_out(mut self) -> Admission {
        if self.held.is_some() {
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

    fn roll_back(mut self) -> Admission {
        self.warnings.push(message::rolled_back());
        let reason = format!("template let through at once for {}: it was live before", self.request.username);
        self.let_through(Phase::RolledBack, &reason, Effect::RolledBack)
    }

    fn let_through(mut self, phase: Phase, reason: &str, effect: Effect) -> Admission {
        let live = Identity::of_object(self.old);
        let mut proven = proven_after(self.old, &live);
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

    /// A kept-out template is to be tried again.
    fn is_retried(&self) -> bool {
        self.phase.is_some_and(Phase::is_kept_out) && self.asks_to_retry()
    }

    fn asks_to_retry(&self) -> bool {
        text(self.sent, key::RETRY).is_some_and(|retry| text(self.before, key::RETRY) != Some(retry))
    }

    /// The same, without being asked: it proved nothing since the live one was changed meanwhile, past Coalmine, and is applied again.
    fn is_wanted_on_another(&self, record: &Held) -> bool {
        self.phase == Some(Phase::Inconclusive) && record.is_outdated(self.old)
    }

    /// What is live now is what it is tried against.
    fn run_again(&mut self) -> Result<(), Admission> {
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

    fn warn_held(&mut self) {
        let duration = Policy::of(object::annotations(&self.changed)).map_or(std::time::Duration::from_mins(1), |policy| policy.duration);
        self.warnings.insert(0, message::held(self.request.name, &canary::name(self.request.name), duration));
    }

    /// B again: held as before. The bytes are reused, so that nothing is written when nothing changed.
    fn hold_again(self, mut record: Held) -> Admission {
        let mut changed = false;
        // Where several have a part in it, none of them states all.
        if record.contributions.is_empty() && (self.operation() == Operation::Apply || self.sends_last_applied()) {
            let (before, sent) = (&record, self.sent_owners());
            let same_applier = [before.operation, self.operation()] == [Operation::Apply; 2] && before.manager == self.manager;
            // What others stated since stays theirs.
            let owners = if same_applier { managed_fields::again(&before.owners, &sent, &self.manager) } else { sent };
            changed |= replace(&mut record.manager, self.manager.clone());
            changed |= replace(&mut record.operation, self.operation());
            // Who states only a part adds nothing to what the whole was said to be.
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
    fn keep_holding(mut self, record: Held, changed: bool) -> Admission {
        let reused = if changed { None } else { text(self.before, key::HELD).map(str::to_owned) };
        if let Err(refused) = self.put_back(&record, reused) {
            return refused;
        }
        let again = self.is_retried() || self.is_wanted_on_another(&record);
        self.held = Some(record);
        if again {
            if let Err(refused) = self.run_again() {
                return refused;
            }
        } else if self.phase.is_some_and(Phase::is_kept_out) {
            self.warn_kept_out(text(self.before, key::MESSAGE).unwrap_or("it was rejected"));
        } else {
            self.warnings.push(message::held_again(&canary::name(self.request.name)));
        }
        Admission::changed(self.request.new, self.changed, self.warnings, Effect::Kept)
    }

    /// The held template, or an applier's part of it, once more.
    fn comes_again(&self, sent: &Value) -> bool {
        self.held.as_ref().is_some_and(|held| {
            self.sends_the_held_one
                || self.request.held_merged.is_some_and(|merged| template::same(merged, sent))
                || held.contributions.iter().any(|part| template::same(&part.template, sent))
        })
    }

    /// A template that was rejected, after others: it stays out without another canary. What somebody else has on trial goes on.
    fn keep_out(mut self, verdict: String) -> Admission {
        let on_trial = self.held.take().filter(|_| self.phase.is_some_and(Phase::is_trying));
        if let Some(held) = on_trial.filter(|held| held.manager != self.manager) {
            return self.keep_out_of_the_trial(&held, &verdict);
        }
        self.warn_kept_out(&verdict);
        let record = self.record();
        if let Err(refused) = self.put_back(&record, None) {
            return refused;
        }
        self.start_run_of(&record.template, Who::Alone);
        if let Some(annotations) = metadata_map_mut(&mut self.changed, "annotations") {
            annotations.insert(key::PHASE.to_owned(), Phase::Rejected.as_str().into());
            annotations.insert(key::MESSAGE.to_owned(), verdict.into());
        }
        Admission::changed(self.request.new, self.changed, self.warnings, Effect::Kept)
    }

    fn keep_out_of_the_trial(mut self, held: &Held, verdict: &str) -> Admission {
        self.warn_kept_out(verdict);
        let reused = text(self.before, key::HELD).map(str::to_owned);
        if let Err(refused) = self.put_back(held, reused) {
            return refused;
        }
        Admission::changed(self.request.new, self.changed, self.warnings, Effect::Kept)
    }

    fn warn_kept_out(&mut self, verdict: &str) {
        self.warnings.extend(message::kept_out(verdict, self.request.name));
    }

    fn hold(mut self) -> Admission {
        let policy = Policy::of(object::annotations(&self.changed)).unwrap_or_default();
        if overlap::is_refused(self.request.new, &policy) {
            return Admission::denied(denied::overlap());
        }
        let record = self.record();
        if let Err(refused) = self.put_back(&record, None) {
            return refused;
        }
        let run = self.start_run_of(&record.template, Who::Alone);
        self.warn_held();
        self.warnings.extend(overlap::warning(&record.template));
        let unchecked = self.unchecked(record.template, run);
        Admission::held(self.request.new, self.changed, self.warnings, unchecked)
    }

    /// What this request asks for, by itself.
    fn record(&self) -> Held {
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

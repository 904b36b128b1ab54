//! UPDATE by anybody but the controller: the table of the hold. Reads top to bottom in the order in which the cases exclude each other.

mod again;
mod delta;
mod outcomes;
mod put_back;
mod statement;
mod together;

use serde_json::{Map, Value};

use self::statement::Statement;
use super::{Admission, Effect, Outcome, Request, Settings, changeable, overlap, policy};
use crate::{
    api::annotations::{self as key, Phase},
    hold::{
        held::{Held, Operation},
        rejected,
    },
    manifest::{
        identity::Identity,
        object::{self, is_asked_for, is_opted_in, metadata_map_mut, text},
        template,
    },
    message::{self, denied},
    standing::Standing,
};

pub(super) fn admit(settings: &Settings, request: &Request<'_>, old: &Value) -> Admission {
    let (before, standing) = (object::annotations(old), Standing::of(old));
    let sent = object::annotations(request.new);
    let mut update = Update {
        settings,
        request,
        old,
        before,
        sent,
        held: standing.held.and_then(|text| Held::decode(text).ok()),
        standing,
        changed: changeable(request.new),
        warnings: Vec::new(),
        manager: statement::manager(request, old),
        sends_the_held_one: false,
    };
    let sent = object::template(request.new);
    update.sends_the_held_one = update.held.as_ref().is_some_and(|held| held.is(sent, &update.sent_owners()));
    update.restore_state();
    let rejected = update.held.clone().filter(|_| update.standing.phase == Some(Phase::Rejected));
    let mut admission = update.decide();
    if let Some(held) = rejected {
        remember(&mut admission, old, &held);
    }
    admission
}

/// Earlier commits kept no list of what they rejected: it joins the list where something else takes its place.
fn remember(admission: &mut Admission, old: &Value, held: &Held) {
    let before = object::annotations(old);
    if let Outcome::Changed(changed) = &mut admission.outcome
        && let Some(annotations) = metadata_map_mut(changed, "annotations")
        && annotations.get(key::HELD) != before.get(key::HELD)
        && !matches!(admission.effect, Effect::Cancelled | Effect::Bypassed | Effect::Skipped)
        && rejected::verdict(before, &held.template, &held.owners).is_none()
        && !template::is_restart_of(&held.template, object::template(old))
    {
        rejected::remember(annotations, &held.template, &held.owners, Standing::read(before).message.unwrap_or("it was rejected"));
    }
}

/// Whether the answer depends on what the held template becomes when it is merged into the live one. Helm's client-side patch
/// computes from its own last manifest, so that the held template, sent again, arrives with what it had dropped.
pub fn needs_merge(request: &Request<'_>) -> Option<Value> {
    let old = request.old?;
    let (live, sent) = (object::template(old), object::template(request.new));
    if object::annotation(old, key::ENABLED) != Some("held") || !statement::is_of_helm(request) || template::same(live, sent) {
        return None;
    }
    let held = Standing::of(old).held.and_then(|text| Held::decode(text).ok())?;
    let by_helm = held.operation == Operation::Update && held.manager == request.field_manager;
    (by_helm && !template::same(&held.template, sent)).then_some(held.template)
}

struct Update<'a> {
    settings: &'a Settings,
    request: &'a Request<'a>,
    old: &'a Value,
    before: &'a Map<String, Value>,
    sent: &'a Map<String, Value>,
    standing: Standing<'a>,
    held: Option<Held>,
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
        if is_asked_for(annotations)
            && (template_changes || self.policy_changes() || recreates)
            && let Some(reason) = self.refusal(annotations, template_changes)
        {
            return Admission::denied(reason);
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
            && !self.is_rollback_by_hand()
            && let Some(merged) = self.merged(&held)
        {
            return self.hold_merged(&held, merged);
        }
        if !self.comes_again(sent)
            && !self.asks_to_retry()
            && rejected::remembers_any(self.before)
            // It runs already, past Coalmine: to start it again lets nothing in.
            && !template::is_restart_of(sent, live)
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
        self.hold_alone()
    }

    /// In the place of what is held, if that is another.
    fn hold_alone(mut self) -> Admission {
        let sent = object::template(self.request.new);
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
                let record = self.put_again(&held).unwrap_or_else(|| self.record());
                self.hold(record)
            }
            None => {
                let record = self.record();
                self.hold(record)
            }
        }
    }

    /// Why what is asked for can't be had. What is let through without a canary is looked at no more closely: see `hold`.
    fn refusal(&self, annotations: &Map<String, Value>, template_changes: bool) -> Option<String> {
        if let Some(label) = overlap::own_label(self.request.new) {
            return Some(denied::own_label(label));
        }
        match policy(self.settings.checks, annotations, object::namespace(self.request.new)) {
            Err(invalid) => Some(format!("canary: {invalid}")),
            Ok(policy) => (!template_changes && overlap::is_refused(self.request.new, &policy)).then(denied::overlap),
        }
    }

    fn policy_changes(&self) -> bool {
        let policy = |map: &Map<String, Value>| -> Vec<(String, Value)> {
            map.iter().filter(|(name, _)| key::is_of_user(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        policy(self.before) != policy(object::annotations(&self.changed))
    }

    fn is_proven(&self, sent: &Value) -> bool {
        let mut proven = self.standing.proven().peekable();
        proven.peek().is_some() && {
            let identity = Identity::of(sent, &self.sent_owners());
            let known: Vec<&str> = proven.filter(|text| identity.is(text)).collect();
            // What others make of the live template now is not what proved itself.
            let is_remade = || identity.is_remade(&Identity::of_object(self.old));
            known.iter().any(|text| identity.is_whole(text)) || (!known.is_empty() && !is_remade())
        }
    }

    fn keep_or_withdraw(mut self) -> Admission {
        if self.held.is_none() {
            return Admission::changed(self.request.new, self.changed, self.warnings, Effect::Passed);
        }
        if self.edits_records_alone() || self.is_of_what_is_shown() {
            return self.keep();
        }
        let live = object::template(self.old);
        let goes_back = |held: &Held| if held.contributions.is_empty() { self.restates() } else { self.restates_all() };
        if let Some(held) = self.held.clone().filter(|held| !goes_back(held))
            && let Some(record) = self.together(&held)
        {
            return if template::same(&record.template, live) { self.withdraw() } else { self.hold_together(&held, record) };
        }
        if self.restates() || self.held.as_ref().is_some_and(|held| self.takes_all_back(held)) {
            return self.withdraw();
        }
        if self.held.as_ref().is_some_and(|held| held.manager == self.manager) && self.standing.is_trying() {
            self.warnings.push(message::still_on_trial(self.request.name));
        } else if let Some(field) = self.held.as_ref().and_then(|held| self.is_for_later(held)) {
            self.warnings.push(message::is_for_later(&field));
        }
        self.keep()
    }

    /// A kept-out template is to be tried again.
    fn is_retried(&self) -> bool {
        self.standing.is_kept_out() && self.asks_to_retry()
    }

    fn asks_to_retry(&self) -> bool {
        text(self.sent, key::RETRY).is_some_and(|retry| text(self.before, key::RETRY) != Some(retry))
    }

    /// The same, without being asked: it proved nothing since the live one was changed meanwhile, past Coalmine, and is applied again.
    fn is_wanted_on_another(&self, record: &Held) -> bool {
        self.standing.phase == Some(Phase::Inconclusive) && record.is_outdated(self.old)
    }

    /// The held template, or an applier's part of it, once more.
    fn comes_again(&self, sent: &Value) -> bool {
        self.held.as_ref().is_some_and(|held| {
            self.sends_the_held_one
                || self.request.held_merged.is_some_and(|merged| template::same(merged, sent))
                || held.contributions.iter().any(|part| template::same(&part.template, sent))
        })
    }
}

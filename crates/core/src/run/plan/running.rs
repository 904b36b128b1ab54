//! The canary of this run is there: what its pod and its numbers say, and how long to wait for them.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::{
    AHEAD, AT_ONCE, Action, Observed, OnTrial, POD_STARTS, Plan, READY_POD_ANNOTATION, elapsed, end, inconclusive, is_past_deadline,
    live_is_broken, promotion, ready_since, steady,
};
use crate::{
    api::annotations::Phase,
    facts::{
        event::Event,
        judgement::{Decision, Judgement, Round, Waiting},
        why::{SharedTrouble, Verdict},
    },
    manifest::object,
    run::{
        live,
        pods::{Health, Trouble},
        shared::{self, Shared},
    },
};

/// What is not there yet may come at any moment.
const FOR_WHAT_MAY_COME: Duration = Duration::from_secs(2);
/// At the deadline the judge has the last word, but not for ever.
const LAST_WORD: Duration = Duration::from_secs(30);
/// Files of one directory are applied in the order of their names: a Deployment may come before its Secret.
const FOR_WHAT_IS_MISSING: Duration = Duration::from_secs(30);

pub(super) fn running(observed: &Observed<'_>, namesake: &Value, now: Timestamp) -> Plan {
    let past = is_past_deadline(observed.primary, observed.policy, now);
    let tried_for = tried_for(observed, now);
    let deadline = observed.policy.deadline;
    let was_ready = ready_since(namesake).is_some();
    match &of_its_own(observed, tried_for) {
        Health::Missing { words, .. } if tried_for < FOR_WHAT_IS_MISSING && !past => {
            let event = Event::ConfigMissing { words: words.clone(), patience: FOR_WHAT_IS_MISSING };
            Plan::then(vec![Action::Publish(event)], FOR_WHAT_MAY_COME)
        }
        Health::Missing { words, .. } => rejected(observed, words, tried_for),
        Health::Failed { reason, trouble } => in_trouble(observed, namesake, reason, *trouble, now),
        Health::Starting(words) if past => {
            inconclusive(observed, Verdict::NotReadyWithin { deadline, was_ready, words: words.clone() }, false)
        }
        Health::Starting(words) if was_ready => {
            let event = Event::NotReady { canary: object::name(namesake).to_owned(), words: words.clone() };
            Plan::then(vec![Action::Publish(event)], POD_STARTS)
        }
        Health::Starting(Some(words)) if tried_for >= FOR_WHAT_IS_MISSING => {
            let (canary, words) = (object::name(namesake).to_owned(), words.clone());
            Plan::then(vec![Action::Publish(Event::NotReadyYet { canary, after: FOR_WHAT_IS_MISSING, deadline, words })], POD_STARTS)
        }
        Health::Starting(_) => Plan::wait(POD_STARTS),
        Health::Ready { pod } => {
            let judged_so_far =
                object::annotation(namesake, READY_POD_ANNOTATION).filter(|_| was_ready && !is_ahead(observed, namesake, now));
            if judged_so_far == Some(pod) {
                let mut plan = judged(observed, namesake, now);
                plan.actions.splice(0..0, steady::news(observed, namesake));
                plan
            } else if past {
                inconclusive(observed, Verdict::ReadyTooLate { deadline }, false)
            } else {
                first_ready(observed, namesake, pod, judged_so_far.is_some())
            }
        }
    }
}

/// A container that never ran for want of what the live template's next pod would want, too, proves nothing: it is waited for.
fn of_its_own(observed: &Observed<'_>, tried_for: Duration) -> Health {
    let live = object::template(observed.primary);
    let shared = match (observed.held, &observed.health) {
        (OnTrial::Template(_), Health::Missing { words, never_ran: true }) if tried_for >= FOR_WHAT_IS_MISSING => {
            Some(words).filter(|words| live::misses(live, words))
        }
        (OnTrial::Template(held), Health::Failed { reason, trouble: Trouble::NeverRan }) => {
            Some(reason).filter(|words| live::pulls(live, held, words))
        }
        _ => None,
    };
    shared.map_or_else(|| observed.health.clone(), |words| Health::Starting(Some(words.clone())))
}

/// Its time was written by a clock that was ahead: by ours it would not have served for as long.
fn is_ahead(observed: &Observed<'_>, namesake: &Value, now: Timestamp) -> bool {
    observed.standing().paused_since.is_none() && ready_since(namesake).is_some_and(|since| elapsed(now, since) >= AHEAD)
}

fn tried_for(observed: &Observed<'_>, now: Timestamp) -> Duration {
    observed.standing().since.map(|since| elapsed(since, now)).unwrap_or_default()
}

fn rejected(observed: &Observed<'_>, words: &str, after: Duration) -> Plan {
    end(observed, Phase::Rejected, Verdict::Pod { words: words.to_owned(), after })
}

/// Its pod fails. Where the primary's pods fail at the same time, nobody knows whose fault that is.
fn in_trouble(observed: &Observed<'_>, namesake: &Value, words: &str, trouble: Trouble, now: Timestamp) -> Plan {
    let past = is_past_deadline(observed.primary, observed.policy, now);
    let serves = !shared::never_served(observed.primary);
    match observed.shared.filter(|_| serves) {
        Some(Shared { troubled, of }) => {
            let shared = SharedTrouble { words: words.to_owned(), troubled, of };
            if past {
                return inconclusive(observed, Verdict::SharedTrouble { trouble: shared, deadline: observed.policy.deadline }, false);
            }
            let mut actions = vec![Action::Publish(Event::SharedTrouble(shared))];
            match trouble {
                Trouble::Ended { at: Some(at), .. } => actions.push(Action::Excuse(at)),
                Trouble::Unready => actions.extend(steady::excuse(namesake)),
                Trouble::Ended { .. } | Trouble::Own | Trouble::NeverRan => {}
            }
            Plan::then(actions, FOR_WHAT_MAY_COME)
        }
        None if serves && !past && observed.alone_for < shared::grace(trouble, object::template(namesake)) => Plan::wait(AT_ONCE),
        None => rejected(observed, words, tried_for(observed, now)),
    }
}

/// Nothing is known of this pod yet: its time begins now, also when another was judged before it.
fn first_ready(observed: &Observed<'_>, namesake: &Value, pod: &str, is_again: bool) -> Plan {
    let (canary, duration) = (object::name(namesake).to_owned(), observed.policy.duration);
    let mut actions = vec![Action::MarkReady { pod: pod.to_owned() }];
    actions.extend(observed.ready_condition.clone().map(|condition| Action::MarkCondition { condition, again: false }));
    actions.push(Action::Publish(Event::Analyzing { canary, is_again, duration }));
    if let Some(unreached) = &observed.unreached {
        actions.push(Action::Publish(Event::Unreached(unreached.clone())));
    }
    actions.extend(live_is_broken(observed));
    Plan::then(actions, AT_ONCE)
}

fn judged(observed: &Observed<'_>, namesake: &Value, now: Timestamp) -> Plan {
    if observed.standing().paused_since.is_some() {
        return while_paused(observed);
    }
    let past = is_past_deadline(observed.primary, observed.policy, now);
    if let Some(plan) = of_a_primary_that_never_served(observed, namesake, now) {
        return plan;
    }
    if let Some(plan) = steady::instead(observed, namesake, now) {
        return plan;
    }
    let overdue = is_past_deadline(observed.primary, observed.policy, now - LAST_WORD);
    match &observed.judgement {
        Some(Round::Done(judgement)) => decided(observed, judgement),
        Some(Round::Waiting(Waiting { is_blind: true, findings, .. })) if past => {
            inconclusive(observed, Verdict::NoAnswer(findings.clone()), false)
        }
        Some(Round::Waiting(Waiting { is_blind: true, findings, .. })) => {
            Plan::then(vec![Action::Publish(Event::MetricsUnavailable(findings.clone()))], FOR_WHAT_MAY_COME)
        }
        Some(Round::Waiting(Waiting { findings, .. })) if overdue => inconclusive(observed, Verdict::Undecided(findings.clone()), false),
        None if overdue => inconclusive(observed, Verdict::NothingSaid, false),
        Some(Round::Waiting(Waiting { look_again, findings, .. })) => {
            let waiting = (!findings.is_empty()).then(|| Action::Publish(Event::Waiting(findings.clone())));
            Plan::then(waiting.into_iter().collect(), *look_again)
        }
        None => Plan::wait(AT_ONCE),
    }
}

fn decided(observed: &Observed<'_>, Judgement { decision, findings }: &Judgement) -> Plan {
    let verdict = Verdict::Judged(findings.clone());
    match decision {
        Decision::Reject => end(observed, Phase::Rejected, verdict),
        Decision::Promote => promotion(observed, verdict.into()),
        Decision::Inconclusive { clean } => inconclusive(observed, verdict, *clean),
    }
}

/// The judge has rejected it.
fn rejects<'a>(observed: &'a Observed<'_>) -> Option<&'a Judgement> {
    match &observed.judgement {
        Some(Round::Done(judgement)) if judgement.decision == Decision::Reject => Some(judgement),
        _ => None,
    }
}

/// Only what fails grossly ends a trial that stands still: the judge is told to look at nothing else.
fn while_paused(observed: &Observed<'_>) -> Plan {
    rejects(observed).map_or_else(|| Plan::wait(FOR_WHAT_MAY_COME), |judgement| decided(observed, judgement))
}

/// Nothing is there to be protected, and nothing to be compared with: a canary that stays Ready is better than what there is. Unless its own
/// numbers speak against it.
fn of_a_primary_that_never_served(observed: &Observed<'_>, namesake: &Value, now: Timestamp) -> Option<Plan> {
    if !shared::never_served(observed.primary) || rejects(observed).is_some() {
        return None;
    }
    let duration = observed.policy.duration;
    let ready_for = ready_since(namesake).map(|since| elapsed(since, now)).unwrap_or_default();
    if ready_for >= duration {
        let canary = object::name(namesake).to_owned();
        return Some(promotion(observed, Verdict::BetterThanNothing { canary, duration }.into()));
    }
    (!is_past_deadline(observed.primary, observed.policy, now)).then(|| Plan::wait(duration.saturating_sub(ready_for).min(POD_STARTS)))
}

//! What follows from an answer.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::asking::pod_label;
use super::{ASK_AGAIN, Judge, Newcomers, News, Refused, Round, Series, State, Until};
use crate::api::checks::{self, Check};
use crate::facts::checked::{Outcome, Unknown};
use crate::facts::judgement::{Decision, Finding, Reading};
use crate::judging::counters::{Counter, assign_roles};
use crate::judging::joined::{Said, join};
use crate::judging::pace::UNKNOWN_INTERVAL;
use crate::judging::question::{Answer, Failure, Kind};
use crate::judging::scope;
use crate::judging::statement::{self, Known};
use crate::judging::twins;
use crate::metrics::counting::{self, Counted, History, PodLabel, Scope};
use crate::metrics::discovery::{self, Choice, MOST_COUNTERS, NotFound};
use crate::statistics::Counts;

/// After a question that failed. A little less than two seconds: a wake-up after two may come a little early.
const AFTER_A_FAILURE: Duration = Duration::from_millis(1800);
/// After a question that was refused: only a change elsewhere (a permission, a setting of the source) could bring another answer.
const AFTER_A_REFUSAL: Duration = Duration::from_mins(1);
/// How often the history is asked for. One that can't be read may be too long for the source; one answer missing is mere chance.
const HISTORY_ATTEMPTS: u8 = 3;

impl Judge {
    /// The answer to what was asked last; one to anything else comes too late, and is left aside.
    pub fn take(&mut self, answer: Answer, now: Timestamp) {
        let Some(kind) = self.asked.take() else { return };
        match (kind, answer) {
            (Kind::Pods, Answer::Pods { canary, primary }) => {
                let before = self.scope.as_ref().map(|(_, scope)| &scope.pods);
                let pods = scope::pods(&canary, &primary, &self.subject.primary, before);
                self.primary_is_down = !scope::serves(&primary, &self.subject.primary);
                self.scope = Some((now, Arc::new(Scope { namespace: self.subject.namespace.clone(), pods })));
            }
            (Kind::Present, Answer::Present(series)) if self.is_measured() => self.take_newcomers(&series, now),
            // It has had them before: a page that doesn't answer is silent, which its counts tell.
            (Kind::Present, Answer::NoPage { .. }) if self.is_measured() => self.take_newcomers(&[], now),
            (Kind::Present, Answer::Present(series)) => self.take_present(Ok(&series), now),
            // The same question gets the same answer; another source may have one.
            (Kind::Present, Answer::Failed(Failure { words, is_refusal: true, .. })) if self.has_another_source() => {
                self.take_present(Err(NotFound::Refused { words }), now);
            }
            (Kind::Present, Answer::NoPage { tried, is_silent }) => {
                let primary = self.subject.primary.clone();
                self.take_present(Err(NotFound::NoPage { primary, tried, is_silent }), now);
            }
            (Kind::Recent, Answer::Recent(series)) => self.take_recent(&series),
            // Two that may be one are judged as two.
            (Kind::Recent, Answer::Failed(_)) => self.take_recent(&[]),
            (Kind::History, Answer::History(histories)) => self.measured(&histories, now),
            (Kind::History, Answer::Failed(failure)) => self.take_no_history(failure, now),
            (Kind::Samples, Answer::Samples(counted)) => self.take_samples(&counted, now),
            (Kind::CheckList, Answer::CheckList(text)) => self.take_check_list(text.as_deref(), now),
            (Kind::Checks, Answer::Checks(outcomes)) => self.take_checks(outcomes, now),
            (Kind::Places, Answer::Places(places)) => {
                if let Some((_, scope)) = &self.scope {
                    self.rounds.places(scope, places, now);
                }
            }
            (Kind::Pages, Answer::Pages(pages)) => self.take_pages(pages, now),
            (Kind::Places | Kind::Pages, Answer::Failed(_)) => self.rounds.miss(),
            (_, Answer::Failed(failure)) => self.stop(&failure, now),
            (kind, _) => self.asked = Some(kind),
        }
    }

    /// The first source that has the counters is the run's; where none has, each is asked again the next time.
    fn take_present(&mut self, series: Result<&[counting::Series], NotFound>, now: Timestamp) {
        let (Some((_, scope)), Series::Unknown { tried }) = (&self.scope, &mut self.series) else { return };
        let (policy, origins, mut tried) = (&self.subject.policy, self.subject.origins(), std::mem::take(tried));
        let origin = origins.get(tried.len()).copied().unwrap_or_default();
        let shown = series.as_ref().map(|series| discovery::shown(series, &scope.pods)).unwrap_or_default();
        let chosen = series.and_then(|series| discovery::choose(&policy.metrics, origin, series, &scope.pods, &self.subject.primary));
        match chosen {
            Ok(chosen) => {
                let busy = chosen.counters.iter().map(|found| Counter::new(found, &self.subject));
                let counters = busy.chain(chosen.idle.iter().map(|found| Counter::idle(found, &self.subject))).collect();
                let newcomers = Newcomers { shown, looked: None };
                let chosen = Box::new((chosen, tried));
                self.series = Series::Found { origin, counters, chosen, are_compared: false, attempts: 0, newcomers };
            }
            Err(nothing) => {
                tried.push(nothing);
                if tried.len() < origins.len() {
                    self.series = Series::Unknown { tried };
                    return;
                }
                self.series = Series::unknown();
                let metrics = statement::nothing(&self.subject, tried, now);
                self.metrics_say(metrics, PodLabel::Pod, now);
            }
        }
    }

    fn has_another_source(&self) -> bool {
        matches!(&self.series, Series::Unknown { tried } if tried.len() + 1 < self.subject.origins().len())
    }

    /// One registry that is served at two ports is judged once.
    fn take_recent(&mut self, series: &[counting::Series]) {
        let (Some((_, scope)), Series::Found { counters, chosen, are_compared, .. }) = (&self.scope, &mut self.series) else { return };
        *are_compared = true;
        for index in twins::superfluous(counters, series, &scope.pods, &self.subject.pod_spec) {
            counters.remove(index);
            let busy = chosen.0.counters.len();
            if index < busy {
                chosen.0.counters.remove(index)
            } else {
                chosen.0.idle.remove(index - busy)
            };
        }
    }

    /// `histories` belong to the readings of all counters in their order.
    fn measured(&mut self, mut histories: &[History], now: Timestamp) {
        let is_first = matches!(self.series, Series::Found { .. });
        if let Series::Found { origin, chosen, .. } = &mut self.series {
            let (chosen, instead_of) = std::mem::take(chosen.as_mut());
            self.news.push(News::Reading(Reading { chosen, origin: *origin, instead_of }));
        }
        let (Series::Found { origin, counters, newcomers, .. } | Series::Measured { origin, counters, newcomers, .. }) = &mut self.series
        else {
            return;
        };
        let (origin, newcomers, mut counters) = (*origin, std::mem::take(newcomers), std::mem::take(counters));
        for counter in &mut counters {
            let (asked, is_young) =
                (if is_first { counter.readings_of_the_past().count() } else { counter.readings().len() }, !origin.abilities().past);
            let Some((own, others)) = histories.split_at_checked(asked) else { break };
            if is_first {
                counter.remember_first(own, &self.subject, is_young);
            } else {
                counter.remember(own, is_young);
            }
            histories = others;
        }
        let are_named = matches!(self.subject.policy.metrics, Choice::Several(_));
        assign_roles(&mut counters, are_named);
        self.series = Series::Measured { origin, counters, at: now, newcomers };
    }

    fn is_measured(&self) -> bool {
        matches!(self.series, Series::Measured { .. })
    }

    /// All is counted anew with those that came, over the whole time that the pod served.
    fn take_newcomers(&mut self, series: &[counting::Series], now: Timestamp) {
        let (Some((_, scope)), Series::Measured { counters, newcomers, .. }) = (&self.scope, &mut self.series) else { return };
        newcomers.looked = Some(self.subject.served(now));
        let label = pod_label(counters);
        let mut found = discovery::newcomers(series, &newcomers.shown, label, &scope.pods);
        found.truncate(MOST_COUNTERS.saturating_sub(counters.len()));
        if !found.is_empty() {
            newcomers.shown.extend(found.iter().map(|found| found.metric().to_owned()));
            counters.extend(found.iter().map(|found| Counter::idle(found, &self.subject)));
            self.epoch += 1;
        }
    }

    /// Where there is no history to be had, errors are taken as independent; the cap on what one scrape may say still holds.
    fn take_no_history(&mut self, failure: Failure, now: Timestamp) {
        if let Series::Found { attempts, .. } = &mut self.series
            && !failure.is_refusal
            && *attempts + 1 < HISTORY_ATTEMPTS
        {
            *attempts += 1;
            return self.stop(&failure, now);
        }
        self.news.push(News::NoHistory(failure));
        self.measured(&[], now);
    }

    fn take_samples(&mut self, counted: &[Counted], now: Timestamp) {
        let Series::Measured { origin, counters, .. } = &self.series else { return };
        if let Some(first) = counted.first() {
            self.pace.saw(first, now);
        }
        let (interval, look_again) = (self.pace.interval().unwrap_or(UNKNOWN_INTERVAL), self.at_next_scrape(now));
        let primary_is_down = self.primary_is_down;
        let known = Known { subject: &self.subject, origin: *origin, counters, primary_is_down, interval, look_again, now };
        let ((metrics, look), pod_label) = (statement::state(known, counted), pod_label(counters));
        self.news.extend(look.map(News::Looked));
        self.metrics_say(metrics, pod_label, now);
    }

    /// A rejection doesn't wait for the checks: a list that can't be read must not keep a failing canary in service.
    pub(super) fn metrics_say(&mut self, metrics: Round, pod_label: PodLabel, now: Timestamp) {
        let is_rejection = matches!(&metrics, Round::Done(judgement) if judgement.decision == Decision::Reject);
        if is_rejection || self.subject.policy.checks.is_none() {
            return self.settle(metrics, now);
        }
        self.state = State::Checking { metrics, pod_label, list: None };
    }

    fn take_check_list(&mut self, text: Option<&str>, now: Timestamp) {
        let (State::Checking { list, .. }, Some(checks::Checks::ConfigMap(name))) = (&mut self.state, &self.subject.policy.checks) else {
            return;
        };
        let problem = match text.map(checks::parse_list) {
            Some(Ok(found)) => {
                *list = Some(found);
                return;
            }
            Some(Err(error)) => format!("canary.checks: configmap/{name}: {error}"),
            None => format!("canary.checks: there is no ConfigMap {name} with a key checks"),
        };
        self.stop_with(Finding::CheckList(problem), AFTER_A_FAILURE, now);
    }

    fn take_checks(&mut self, outcomes: Vec<Result<Outcome, Failure>>, now: Timestamp) {
        let State::Checking { metrics, list, .. } = &self.state else { return };
        let Some(list) = list.as_deref().or_else(|| inline(self.subject.policy.checks.as_ref())) else { return };
        let (metrics, served) = (metrics.clone(), self.subject.served(now));
        let (mut outcomes, mut said, mut refused, mut failed) = (outcomes.into_iter(), Vec::new(), Vec::new(), None);
        for check in list {
            let unknown = |words| Outcome::Unknown(Unknown::Refused(words));
            let outcome = match self.refusal(check).map(|words| Ok(unknown(words.to_owned()))).or_else(|| outcomes.next()) {
                Some(Ok(outcome)) => outcome,
                Some(Err(Failure { words, is_refusal: true, .. })) => {
                    refused.push(Refused { check: check.clone(), words: words.clone(), until: now + AFTER_A_REFUSAL });
                    unknown(words)
                }
                Some(Err(failure)) if check.warn => unknown(failure.words),
                Some(Err(failure)) => {
                    failed = failed.or(Some(failure));
                    continue;
                }
                None => break,
            };
            let outcome = if check.warn { outcome.as_a_warning() } else { outcome };
            said.push(Said { name: check.name.clone(), outcome, served });
        }
        self.refused.append(&mut refused);
        let has_failed = said.iter().any(|said| matches!(said.outcome, Outcome::Failed(_)));
        match failed {
            Some(failure) if !has_failed => self.stop(&failure, now),
            _ => self.settle(join(metrics, said, self.subject.is_past_deadline(now)), now),
        }
    }

    fn take_pages(&mut self, pages: Vec<Option<Counts>>, now: Timestamp) {
        self.rounds.pages(pages, self.subject.since);
        let Series::Measured { counters, .. } = &self.series else { return };
        let dispersion = counters.first().map(|counter| counter.past.errors).unwrap_or_default();
        if let Some((rejection, look)) = statement::by_pages(&self.subject, dispersion, &self.rounds.early, now) {
            self.news.push(News::Looked(look));
            self.state = State::Done(rejection);
        }
    }

    /// The end of a round.
    fn settle(&mut self, round: Round, now: Timestamp) {
        self.state = match round {
            Round::Done(judgement) => State::Done(judgement),
            Round::Waiting(waiting) if waiting.is_blind => {
                State::Stopped { until: self.until(AFTER_A_FAILURE, now), findings: waiting.findings }
            }
            Round::Waiting(waiting) => {
                State::Waiting { until: self.until(waiting.look_again, now), of: self.subject.version.clone(), waiting }
            }
        };
    }

    fn stop(&mut self, failure: &Failure, now: Timestamp) {
        // A busy server says when to ask again; to wait without an end would be no trial.
        let wait = failure.wait.map_or(AFTER_A_FAILURE, |wait| wait.clamp(AFTER_A_FAILURE, AFTER_A_REFUSAL));
        let wait = if failure.is_refusal { AFTER_A_REFUSAL } else { wait };
        self.stop_with(Finding::NoAnswer(failure.words.clone()), wait, now);
    }

    fn stop_with(&mut self, finding: Finding, wait: Duration, now: Timestamp) {
        self.state = State::Stopped { until: self.until(wait, now), findings: vec![finding] };
    }

    fn until(&self, wait: Duration, now: Timestamp) -> Until {
        Until { at: now + wait, was_past_deadline: self.subject.is_past_deadline(now) }
    }

    /// At the next scrape, or when the duration is over, whichever is sooner.
    fn at_next_scrape(&self, now: Timestamp) -> Duration {
        let (served, duration) = (self.subject.served(now), self.subject.policy.duration);
        let next = self.pace.next(now).unwrap_or(ASK_AGAIN).max(self.subject.rest);
        if served < duration { next.min(duration.saturating_sub(served)) } else { next }
    }
}

/// The list that stands in the annotation itself.
pub(super) fn inline(checks: Option<&checks::Checks>) -> Option<&[Check]> {
    match checks {
        Some(checks::Checks::Inline(list)) => Some(list),
        _ => None,
    }
}

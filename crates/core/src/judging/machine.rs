//! The judge of one canary, as a machine without clock and without network: it is told what is judged (`about`), asks for one thing after the
//! other (`next`), is given each answer (`take`), and ends a round by waiting or with a judgement. An edge does the asking.
//!
//! The same subjects, answers and times always give the same questions and judgements. What is remembered only saves questions: a new judge
//! that is told the same comes to the same end.

mod asking;
mod taking;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::counters::Counter;
use super::pace::Pace;
use super::question::{Kind, Question};
use super::rounds::Rounds;
use super::statement;
use super::step::{ASK_AGAIN, News, Round, Step};
use super::subject::Subject;
use crate::api::checks::Check;
use crate::api::origin::Origin;
use crate::facts::judgement::{Finding, Judgement, Waiting};
use crate::metrics::counting::{PodLabel, Scope};
use crate::metrics::discovery::{Choice, Chosen, NotFound};
use crate::run::times::elapsed;

/// How far the series are known.
#[derive(Debug, Clone)]
enum Series {
    Unknown {
        /// Who was asked in vain, and what they lack.
        tried: Vec<NotFound>,
    },
    Found {
        origin: Origin,
        counters: Vec<Counter>,
        /// What is told of them, once it is known which are judged.
        chosen: Box<(Chosen, Vec<NotFound>)>,
        /// Whether some of them may be one.
        are_compared: bool,
        attempts: u8,
        newcomers: Newcomers,
    },
    /// The primary's past has been looked at, or can't be.
    Measured {
        origin: Origin,
        counters: Vec<Counter>,
        /// When.
        at: Timestamp,
        newcomers: Newcomers,
    },
}

/// The counters that only the canary shows, and only once it serves: they are looked for while it does.
#[derive(Debug, Clone, Default)]
struct Newcomers {
    /// The names of what the primary's pods had when the series were chosen.
    shown: BTreeSet<String>,
    /// How long the canary had served when it was looked at last.
    looked: Option<Duration>,
}

/// The canary is looked at for the first time after a quarter of the duration: what fails in a counter of its own shall not serve to the end. A quarter
/// is left at the last look where nothing is known of the time before, since what is found then must still be counted.
const QUARTER: u32 = 4;
/// Between two of them beyond the duration, at least.
const NEXT_LOOK: Duration = Duration::from_mins(1);

impl Newcomers {
    /// Once soon after it began, again when the canary might be promoted, and from time to time as long as it isn't.
    fn are_due(&self, served: Duration, duration: Duration, has_past: bool) -> bool {
        let end = if has_past { duration } else { duration.saturating_sub(duration / QUARTER) };
        match self.looked {
            None => served >= duration / QUARTER,
            Some(looked) if looked < end => served >= end,
            Some(looked) => served.saturating_sub(looked) >= duration.max(NEXT_LOOK),
        }
    }
}

impl Series {
    fn unknown() -> Self {
        Self::Unknown { tried: Vec::new() }
    }
}

/// Where a round is.
#[derive(Debug, Clone)]
enum State {
    /// The counts are to be asked for.
    Counting,
    /// The metrics have said this; the checks are to be asked.
    Checking {
        metrics: Round,
        pod_label: PodLabel,
        list: Option<Vec<Check>>,
    },
    /// Nothing is asked of the source before that time; the pods' pages may be read.
    Waiting {
        until: Until,
        of: String,
        waiting: Waiting,
    },
    /// Nothing could be read, and nothing is asked before that time.
    Stopped {
        until: Until,
        findings: Vec<Finding>,
    },
    Done(Judgement),
}

/// How long something holds. Never beyond the deadline: then everything is asked once more.
#[derive(Debug, Clone, Copy)]
struct Until {
    at: Timestamp,
    was_past_deadline: bool,
}

/// A check whose question was refused. It isn't asked again before that time.
#[derive(Debug, Clone)]
struct Refused {
    check: Check,
    words: String,
    until: Timestamp,
}

/// See the file's head.
#[derive(Debug, Clone)]
pub struct Judge {
    subject: Subject,
    /// Counts what invalidates all that was counted.
    epoch: u64,
    scope: Option<(Timestamp, Arc<Scope>)>,
    /// None of the primary's pods was Ready then.
    primary_is_down: bool,
    series: Series,
    pace: Pace,
    rounds: Rounds,
    refused: Vec<Refused>,
    state: State,
    /// Which question is under way; the answer to another one comes too late.
    asked: Option<Kind>,
    news: Vec<News>,
}

impl Judge {
    pub fn new(subject: Subject) -> Self {
        Self {
            subject,
            epoch: 0,
            scope: None,
            primary_is_down: false,
            series: Series::unknown(),
            pace: Pace::default(),
            rounds: Rounds::default(),
            refused: Vec::new(),
            state: State::Counting,
            asked: None,
            news: Vec::new(),
        }
    }

    /// The subject as it is now. What has changed about it takes away what was found out before, and nothing else.
    pub fn about(&mut self, subject: Subject) {
        let old = std::mem::replace(&mut self.subject, subject);
        if old.run != self.subject.run {
            *self = Self { epoch: self.epoch + 1, ..Self::new(self.subject.clone()) };
            return;
        }
        // Another pod than before: what was counted is of the one that is lost.
        let is_another_pod = old.since != self.subject.since;
        // Other series, or one more of them: chosen and counted anew, over the whole time that the pod served.
        let are_other_series = old.wanted() != self.subject.wanted();
        if is_another_pod {
            self.scope = None;
        }
        if are_other_series {
            self.series = Series::unknown();
        }
        if old.policy.checks != self.subject.policy.checks {
            self.refused.clear();
        }
        if is_another_pod || are_other_series {
            self.epoch += 1;
            self.rounds = Rounds::default();
        }
        if is_another_pod || old.policy != self.subject.policy {
            self.state = State::Counting;
            self.asked = None;
        }
    }

    /// What happened since this was asked last.
    pub fn news(&mut self) -> Vec<News> {
        std::mem::take(&mut self.news)
    }

    /// What is to be done at this time. Asking twice changes nothing, but a judgement is told once: who asks again wants a new one.
    pub fn next(&mut self, now: Timestamp) -> Step {
        self.expire(now);
        if matches!(self.state, State::Counting) && self.subject.policy.metrics == Choice::Nothing {
            self.metrics_say(statement::worker(&self.subject, now), PodLabel::Pod, now);
        }
        let question = match &self.state {
            State::Done(_) => {
                let State::Done(judgement) = std::mem::replace(&mut self.state, State::Counting) else { unreachable!() };
                return Step::Done(judgement);
            }
            State::Stopped { until, findings } => {
                return Step::Wait(Waiting { look_again: elapsed(now, until.at), findings: findings.clone(), is_blind: true });
            }
            State::Waiting { until, waiting, .. } => {
                let (until, waiting) = (*until, waiting.clone());
                match self.about_pages(now) {
                    Some(question) => question,
                    None => return Step::Wait(Waiting { look_again: self.look_again(until.at, now), ..waiting }),
                }
            }
            State::Checking { pod_label, list, .. } => {
                self.scope(now).map_or(Question::Pods, |scope| self.about_checks(scope, *pod_label, list.as_deref(), now))
            }
            State::Counting => self.scope(now).map_or(Question::Pods, |scope| self.about_series(scope, now)),
        };
        self.asked = Some(question.kind());
        Step::Ask(question)
    }

    fn refusal(&self, check: &Check) -> Option<&str> {
        self.refused.iter().find(|refused| refused.check == *check).map(|refused| refused.words.as_str())
    }

    /// What time alone takes away, and what a change of the primary does: it may be another look at the same.
    fn expire(&mut self, now: Timestamp) {
        let is_past_deadline = self.subject.is_past_deadline(now);
        let is_over = |until: &Until| now >= until.at || (is_past_deadline && !until.was_past_deadline);
        let expires = match &self.state {
            State::Stopped { until, .. } => is_over(until),
            State::Waiting { until, of, .. } => is_over(until) || *of != self.subject.version,
            State::Counting | State::Checking { .. } | State::Done(_) => false,
        };
        if expires {
            self.state = State::Counting;
        }
        // Not while checks are under way: the answers belong to those that were asked.
        if !matches!(self.state, State::Checking { .. }) {
            self.refused.retain(|refused| now < refused.until);
        }
    }
}

#[cfg(test)]
mod tests;

//! Hands the counts to the statistics, and makes one answer of what they say. It asks nobody.

mod findings;
mod without_counts;

use std::time::Duration;

use jiff::Timestamp;

pub(super) use self::without_counts::{by_pages, nothing, worker};
use super::counters::{Counter, Seen};
use super::lasting;
use super::step::Round;
use super::strange::Strange;
use super::subject::Subject;
use crate::api::origin::Origin;
use crate::facts::judgement::{Decision, Judgement, Waiting};
use crate::metrics::counting::{Counted, Lacking};
use crate::metrics::discovery::LatencyError;
use crate::run::evidence::{self, Look};
use crate::statistics::{self, Analysis, CounterResult, Deadline, Finding as Found, Joined, Now, RunParameters, Scrapes, Verdict, join};

/// A canary that finished nothing in its last looks, while an ordinary pod of the primary finished so many, holds by that alone: where clients
/// wait for answers that don't come, the primary has less to do as well, and the test of silence waits for it to go on.
const SILENT_AT_LAST: f64 = 20.0;

/// What the statistics are told besides the counts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) subject: &'a Subject,
    pub(super) origin: Origin,
    pub(super) counters: &'a [Counter],
    /// None of the primary's pods is Ready.
    pub(super) primary_is_down: bool,
    /// From one scrape to the next, or a guess at it.
    pub(super) interval: Duration,
    /// When to look again, if there is nothing to say yet.
    pub(super) look_again: Duration,
    pub(super) now: Timestamp,
}

/// What one counter says.
struct Said<'a> {
    counter: &'a Counter,
    seen: Seen<'a>,
    result: CounterResult,
    joined: Joined,
    /// Why its latency can't be judged.
    latency: Option<LatencyError>,
    /// The canary finished nothing at last.
    is_silent_at_last: bool,
    strange: Strange,
}

/// The answer of the counts, and the numbers for people. `counted` belong to the readings of all counters in their order.
pub(super) fn state(known: Known<'_>, mut counted: &[Counted]) -> (Round, Option<Look>) {
    let mut all = Vec::new();
    for counter in known.counters {
        let Some((own, others)) = counted.split_at_checked(counter.readings().len()) else { break };
        counted = others;
        all.extend(counter.seen(known.subject, own, known.interval).map(|seen| (counter, seen)));
    }
    // One histogram is enough to judge by, where a counter has none beside it.
    let has_histogram = all.iter().any(|(counter, seen)| counter.must_show && seen.counter.parameters.latency.is_some());
    let said = all.into_iter().map(|(counter, seen)| known.said(counter, seen, has_histogram));
    // Of one that was idle nothing is said but what speaks against the canary.
    let said: Vec<Said<'_>> = said.filter(|said| !said.counter.is_idle || said.joined.verdict != Verdict::Promote).collect();
    (known.answer(&said), known.look(&said))
}

pub(super) fn run_parameters(subject: &Subject, counters: usize, idle: usize) -> RunParameters {
    let policy = &subject.policy;
    RunParameters {
        limit: policy.max_error_rate,
        duration: policy.duration,
        warm_up: policy.warm_up,
        longest: policy.deadline,
        counters,
        idle,
        has_latency: policy.max_latency_p99.is_some(),
        ..RunParameters::default()
    }
}

/// The numbers for people.
fn look(analysis: &Analysis, now: Timestamp) -> Look {
    let counted = |counts: statistics::Counts| evidence::Counted { requests: counts.requests, failures: counts.errors };
    Look {
        time: now,
        canary: counted(analysis.canary),
        primary: counted(analysis.primary),
        against: analysis.against().shown(),
        in_favour: analysis.in_favour().shown(),
        needed: analysis.requests_needed(),
    }
}

impl<'a> Known<'a> {
    fn deadline(self) -> Deadline {
        if self.subject.is_past_deadline(self.now) { Deadline::Reached } else { Deadline::Ahead }
    }

    fn served(self) -> Duration {
        self.subject.served(self.now)
    }

    fn said(self, counter: &'a Counter, seen: Seen<'a>, has_histogram: bool) -> Said<'a> {
        let deadline = self.deadline();
        let now = Now { served: self.served(), deadline, scrapes: self.scrapes(&seen) };
        let idle = self.counters.iter().filter(|counter| counter.is_idle).count();
        let parameters = run_parameters(self.subject, self.counters.len() - idle, idle);
        let result = statistics::judge(&parameters, &seen.counter, &now);
        let strange = Strange::of(counter, &seen, &result, self.subject, self.interval);
        let is_excused = |error: &LatencyError| has_histogram && matches!(error, LatencyError::NoHistogram { .. });
        let latency = seen.latency.clone().filter(|error| !is_excused(error));
        let is_silent_at_last = is_silent_at_last(&seen.counter);
        let mut joined = result.joined;
        if joined.verdict == Verdict::Reject && self.origin == Origin::Pages && !lasts(&seen.counter, &result, self.subject) {
            joined = Joined::unusable(deadline);
        }
        if counter.is_idle {
            return Said { joined, latency: None, is_silent_at_last: false, strange: Strange::default(), counter, seen, result };
        }
        if joined.verdict != Verdict::Reject
            && (latency.is_some() || !seen.lacking.is_empty() || is_silent_at_last || seen.counted.no_counter.is_some())
        {
            // A counter that appears with the first request lacks no more than that.
            let is_traffic = |lacking: &Lacking| matches!(lacking, Lacking::Metric { .. });
            let has_no_requests = seen.counted.canary.requests <= 0.0 && seen.lacking.iter().all(is_traffic);
            let clean = latency.is_none()
                && seen.counted.no_counter.is_none()
                && !is_silent_at_last
                && has_no_requests
                && result.joined.clean
                && deadline == Deadline::Reached;
            joined = Joined { clean, ..Joined::unusable(deadline) };
        }
        let is_held = seen.counted.is_unverified || strange.holds();
        if (joined.verdict != Verdict::Reject && is_held) || strange.shared.is_some() {
            joined = Joined::unusable(deadline);
        }
        Said { counter, seen, result, joined, latency, is_silent_at_last, strange }
    }

    /// Pods that aren't there any more aren't missed.
    fn scrapes(self, seen: &Seen<'_>) -> Scrapes {
        let last = seen.counter.looks.last().map(|look| look.end).filter(|_| self.primary_is_down);
        let primary_last = seen.scrapes.primary_last.map(|primary| last.map_or(primary, |last| last.max(primary)));
        Scrapes { primary_last, ..seen.scrapes }
    }

    fn answer(self, said: &[Said<'_>]) -> Round {
        let joined = join::of_counters(said.iter().map(|said| said.joined), self.deadline());
        let decision = match joined.verdict {
            Verdict::Reject => Decision::Reject,
            Verdict::Promote => Decision::Promote,
            Verdict::Inconclusive => Decision::Inconclusive { clean: joined.clean },
            Verdict::Continue => {
                let findings = self.findings(said, |said, known| known.while_waiting(said));
                return Round::Waiting(Waiting { look_again: self.look_again, findings, is_blind: false });
            }
        };
        let findings = match decision {
            Decision::Reject => self.findings(said, |said, known| known.rejecting(said)),
            Decision::Promote => self.findings(said, |said, known| known.promoting(said)),
            Decision::Inconclusive { .. } => self.findings(said, |said, known| known.in_the_way(said)),
        };
        Round::Done(Judgement { decision, findings })
    }

    /// The errors of the busiest counter.
    fn look(self, said: &[Said<'_>]) -> Option<Look> {
        let errors = said.iter().map(|said| said.result.errors);
        let analysis = errors.max_by(|one, other| one.canary.requests.total_cmp(&other.canary.requests))?;
        Some(look(&analysis, self.now))
    }
}

fn lasts(counter: &statistics::Counter, result: &CounterResult, subject: &Subject) -> bool {
    let is_by_errors = result.findings.iter().any(|found| matches!(found, Found::Errors(_)));
    lasting::has_lasted(&counter.looks, is_by_errors.then_some(subject.policy.max_error_rate))
}

fn is_silent_at_last(counter: &statistics::Counter) -> bool {
    let silent = counter.looks.iter().rev().take_while(|look| look.canary.requests <= 0.0);
    let ordinary = silent.map(|look| {
        let requests: Vec<f64> = look.primary.iter().flatten().map(|pod| pod.requests).collect();
        statistics::typical(&requests)
    });
    ordinary.sum::<f64>() >= SILENT_AT_LAST
}

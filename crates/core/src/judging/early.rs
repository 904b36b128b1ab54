//! Rejecting early: the canary's own metrics page and those of some of the primary's pods, read once a second while the canary is new.
//!
//! The source learns of a new pod late, and scrapes it seldom; a page says at once what is wrong. All are read at the same moment, so what
//! hits both sides shows on both. Here it is decided whom to read and when to stop, and whether the pages alone are enough to reject: nothing
//! else ever follows from them. What proves a canary is the source's counts.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::statistics::{Analysis, Counts, Deadline, Look, Parameters, Verdict, analyse};

/// From one reading to the next.
pub const INTERVAL: Duration = Duration::from_secs(1);
/// The maximum number of the primary's pods that are read; they stand for the others.
pub const PRIMARY_PODS: usize = 5;

/// After this number of looks the source has caught up.
const MOST_LOOKS: usize = 60;
/// A new process may stumble once: it must have been seen for so many looks with requests, be beyond the limit in the newest so many together,
/// and in each of the very last.
const FEWEST_LOOKS: usize = 5;
const STILL_FAILING: usize = 2;

/// Of quieter pods a page says no more than a scrape does. Where a library counts requests for the page too, ours are at most one in so many:
/// too few to make a canary look better used than it is.
const FEWEST_REQUESTS: f64 = 10.0;
/// When the primary's traffic is known; and the canary's, which begins some seconds after it is Ready.
const PRIMARY_KNOWN: usize = 2;
const CANARY_KNOWN: usize = 10;

/// What the pages said at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Round {
    /// How long the canary had been Ready by then.
    pub at: Duration,
    pub canary: Counts,
    /// By pod.
    pub primary: BTreeMap<String, Counts>,
}

/// All rounds of a run so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Early {
    previous: Option<Round>,
    looks: Vec<Look>,
    /// When each of them ended, since the canary was Ready.
    ends: Vec<Duration>,
}

impl Early {
    /// The first round is where counting begins; so is a pod's first.
    pub fn add(&mut self, round: Round) {
        if let Some(previous) = &self.previous {
            let mut primary = Counts::default();
            for (pod, counts) in &round.primary {
                let before = previous.primary.get(pod).copied().unwrap_or(*counts);
                primary.add(added(before, *counts));
            }
            let interval = round.at.saturating_sub(previous.at);
            self.ends.push(round.at);
            self.looks.push(Look { canary: added(previous.canary, round.canary), primary, warm_up: false, interval });
        }
        self.previous = Some(round);
    }

    pub fn looks(&self) -> usize {
        self.looks.len()
    }

    /// Whether the source must do alone from here on: it knows as much by now, or there is too little traffic to be quicker.
    pub fn is_over(&self) -> bool {
        let looks = self.looks.len();
        let primary_pods = self.previous.as_ref().map_or(0, |round| round.primary.len());
        let per_look = |of: fn(&Look) -> Counts, pods: usize| {
            let requests: f64 = self.looks.iter().map(|look| of(look).requests).sum();
            requests / (looks * pods).max(1) as f64
        };
        looks >= MOST_LOOKS
            || (looks >= PRIMARY_KNOWN && per_look(|look| look.primary, primary_pods) < FEWEST_REQUESTS)
            || (looks >= CANARY_KNOWN && per_look(|look| look.canary, 1) < FEWEST_REQUESTS)
    }

    /// The analysis, if it rejects. While the canary warms up only gross failure does.
    pub fn rejection(&self, parameters: Parameters, warm_up: Duration, served: Duration) -> Option<Analysis> {
        let fails = |counts: Counts| counts.errors > parameters.limit * counts.requests;
        // Requests may come in lumps: seconds without any say nothing.
        let with_requests = || self.looks.iter().rev().filter(|look| look.canary.requests > 0.0);
        let goes_on = with_requests().take(STILL_FAILING).all(|look| fails(look.canary));
        if !goes_on || !fails(sum(with_requests().take(FEWEST_LOOKS))) || with_requests().count() < FEWEST_LOOKS {
            return None;
        }
        let parameters = Parameters { looks: MOST_LOOKS, ..parameters };
        let is_warm = |end: &Duration| !warm_up.is_zero() && *end <= warm_up;
        let looks: Vec<Look> = self.looks.iter().zip(&self.ends).map(|(look, end)| Look { warm_up: is_warm(end), ..*look }).collect();
        let analysis = analyse(&looks, parameters, served, Deadline::Ahead);
        (analysis.verdict == Verdict::Reject).then_some(analysis)
    }
}

fn sum<'a>(looks: impl Iterator<Item = &'a Look>) -> Counts {
    let mut sum = Counts::default();
    looks.for_each(|look| sum.add(look.canary));
    sum
}

/// A counter that falls was reset, and counts from zero again.
fn added(before: Counts, now: Counts) -> Counts {
    let of = |before: f64, now: f64| if now >= before { now - before } else { now };
    Counts::new(of(before.requests, now.requests), of(before.errors, now.errors))
}

#[cfg(test)]
mod tests;

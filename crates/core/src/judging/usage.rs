//! A check of what the canary's pod uses: CPU and memory, as the cluster's resource metrics have them, beside an average pod of the primary.
//! That API keeps nothing, so what it says is collected here, reading by reading. It asks nobody.
//!
//! What a process uses while it starts says nothing: only readings that began after the warm-up, and in the second half of the duration,
//! count. One odd reading decides nothing: the middle one of them does, when the duration is over. Where too few are there, the check is undecided.

mod pod;

use std::time::Duration;

use jiff::Timestamp;

use self::pod::Amounts;
pub use self::pod::PodUsage;
use super::checks::Progress;
use crate::api::checks::MaxRatios;
use crate::facts::checked::{Beside, Failed, Outcome, Passed, Resource, Unknown, UsageLacks};
use crate::metrics::counting::{Members, Pods};
use crate::run::times::elapsed;
use crate::statistics;

/// The API is asked so often while its answers count.
const OFTEN: Duration = Duration::from_secs(5);
/// While they don't, and where it refused.
const SELDOM: Duration = Duration::from_mins(1);
/// More tell no more: the newest ones are kept.
const MOST: usize = 120;
const FEWEST: usize = 2;
/// Readings of two pods may be so far apart and be of one moment; a reading that is older says nothing of now.
const FRESH: Duration = Duration::from_mins(2);
/// Clocks differ by as much.
const AHEAD: Duration = Duration::from_secs(30);

/// Below that a pod uses next to nothing, in cores and in bytes: the canary's is not compared, and the primary's is taken to be as much.
const FLOOR: Amounts = Amounts { cpu: 0.05, memory: 32.0 * MEBIBYTE };
const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// What was read in one run.
#[derive(Debug, Clone, Default)]
pub struct Usage {
    /// What begins earlier doesn't count.
    from: Option<Timestamp>,
    readings: Vec<Reading>,
    asked: Option<Timestamp>,
    trouble: Option<Trouble>,
}

/// Why there is no answer, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// It lasts until somebody changes the cluster.
    Refused(String),
    Passing(String),
}

/// Both sides at one moment.
#[derive(Debug, Clone, Copy)]
struct Reading {
    began: Timestamp,
    ended: Timestamp,
    canary: Amounts,
    /// Of an average pod.
    primary: Option<Amounts>,
}

impl Usage {
    /// Whether the API is to be asked now. What begins before `from` doesn't count; that is another time for each pod of each run.
    pub fn is_due(&mut self, from: Timestamp, now: Timestamp) -> bool {
        if self.from != Some(from) {
            *self = Self { from: Some(from), ..Self::default() };
        }
        let rest = if now < from || matches!(self.trouble, Some(Trouble::Refused(_))) { SELDOM } else { OFTEN };
        self.asked.is_none_or(|asked| elapsed(asked, now) >= rest)
    }

    /// What it said of all pods of both sides.
    pub fn took(&mut self, answer: Result<Vec<PodUsage>, Trouble>, pods: &Pods, now: Timestamp) {
        self.asked = Some(now);
        let (all, trouble) = answer.map_or_else(|trouble| (Vec::new(), Some(trouble)), |all| (all, None));
        self.trouble = trouble;
        let of = |members: &Members| {
            let own = all.iter().filter(|usage| members.names.contains(&usage.name) && usage.ended <= now + AHEAD);
            own.cloned().collect::<Vec<PodUsage>>()
        };
        let Some(newest) = of(&pods.canary).into_iter().max_by_key(|usage| usage.ended) else { return };
        let apart = |usage: &PodUsage| elapsed(usage.ended, newest.ended).max(elapsed(newest.ended, usage.ended));
        let primary: Vec<Amounts> = of(&pods.primary).iter().filter(|usage| apart(usage) <= FRESH).map(|usage| usage.amounts).collect();
        let reading = Reading { began: newest.began, ended: newest.ended, canary: newest.amounts, primary: average(&primary) };
        match self.readings.last_mut() {
            Some(last) if last.ended > reading.ended => {}
            // The primary's may come a little later.
            Some(last) if last.ended == reading.ended => last.primary = last.primary.or(reading.primary),
            _ => self.readings.push(reading),
        }
        if self.readings.len() > MOST {
            self.readings.remove(0);
        }
    }

    /// The outcome so far.
    pub fn outcome(&self, most: &MaxRatios, progress: Progress, now: Timestamp) -> Outcome {
        match &self.trouble {
            Some(Trouble::Refused(words)) => return Outcome::Unknown(Unknown::Refused(words.clone())),
            _ if progress != Progress::Over => return Outcome::Waiting,
            _ => {}
        }
        let counted: Vec<&Reading> = self.readings.iter().filter(|reading| Some(reading.began) >= self.from).collect();
        if let Some(lacking) = self.lacking(&counted, now) {
            return Outcome::Unknown(lacking);
        }
        let resources = [Resource::Cpu, Resource::Memory].map(|resource| Some((resource, resource.of_ratios(most)?)));
        let (mut passed, mut unknown) = (Vec::new(), None);
        for (resource, most) in resources.into_iter().flatten() {
            match resource.judge(most, &counted) {
                Ok(Ok(beside)) => passed.push(beside),
                Ok(Err(failed)) => return Outcome::Failed(failed),
                Err(lacks) => unknown = unknown.or(Some(lacks)),
            }
        }
        unknown.map_or(Outcome::Passed(Passed::Usage(passed)), |lacks| Outcome::Unknown(Unknown::Usage(lacks)))
    }

    /// Why these are too few to be judged by.
    fn lacking(&self, counted: &[&Reading], now: Timestamp) -> Option<Unknown> {
        let or_trouble = |lacks| match &self.trouble {
            Some(Trouble::Refused(words) | Trouble::Passing(words)) => Unknown::Refused(words.clone()),
            None => Unknown::Usage(lacks),
        };
        let Some(newest) = counted.last() else {
            return Some(or_trouble(if self.readings.is_empty() { UsageLacks::Canary } else { UsageLacks::Late }));
        };
        if elapsed(newest.ended, now) > FRESH {
            return Some(or_trouble(UsageLacks::Renewed));
        }
        match counted.iter().filter(|reading| reading.primary.is_some()).count() {
            0 => Some(Unknown::Usage(UsageLacks::Primary)),
            found if found < FEWEST => Some(Unknown::Usage(UsageLacks::Readings { found, needed: FEWEST })),
            _ => None,
        }
    }
}

fn average(all: &[Amounts]) -> Option<Amounts> {
    let sum = |of: fn(&Amounts) -> f64| all.iter().map(of).sum::<f64>() / all.len() as f64;
    (!all.is_empty()).then(|| Amounts { cpu: sum(|amounts| amounts.cpu), memory: sum(|amounts| amounts.memory) })
}

impl Resource {
    fn of_ratios(self, ratios: &MaxRatios) -> Option<f64> {
        match self {
            Self::Cpu => ratios.cpu,
            Self::Memory => ratios.memory,
        }
    }

    fn of(self, amounts: Amounts) -> f64 {
        match self {
            Self::Cpu => amounts.cpu,
            Self::Memory => amounts.memory,
        }
    }

    /// Whether the canary's pod uses at most so many times what the primary's do; an error where the readings can't tell.
    fn judge(self, most: f64, counted: &[&Reading]) -> Result<Result<Beside, Failed>, UsageLacks> {
        let mut ratios: Vec<(f64, Amounts, Amounts)> = counted
            .iter()
            .filter_map(|reading| {
                let primary = reading.primary?;
                let (ours, theirs) = (self.of(reading.canary), self.of(primary));
                Some((statistics::ratio(ours, theirs, theirs, self.of(FLOOR))?, reading.canary, primary))
            })
            .collect();
        ratios.sort_by(|one, other| one.0.total_cmp(&other.0));
        let [low, high] = middle(&ratios).ok_or(UsageLacks::Resource(self))?;
        if low.0 <= most && high.0 > most {
            return Err(UsageLacks::Agreement { resource: self, low: low.0, high: high.0, most });
        }
        let (ratio, canary, primary) = (low.0, self.of(low.1), self.of(low.2));
        let taken_as = Some(self.of(FLOOR)).filter(|floor| primary < *floor);
        let beside = Beside { resource: self, canary, primary, taken_as };
        Ok(if ratio > most { Err(Failed::Usage { beside, ratio, most, readings: ratios.len() }) } else { Ok(beside) })
    }
}

/// The one in the middle, or the two around it.
fn middle<T: Copy>(sorted: &[T]) -> Option<[T; 2]> {
    let above = sorted.len() / 2;
    let below = (sorted.len().checked_sub(1)?) / 2;
    Some([*sorted.get(below)?, *sorted.get(above)?])
}

#[cfg(test)]
mod tests;

//! Whether the canary still finishes requests (statistics, section 3.2 to 3.4). A request that hangs is in no counter.
//!
//! Two comparisons. With what the canary itself had before, which can reject where the service is even; and with a fair share since the
//! start, which only holds: a new pod beside connections that are kept alive looks like one that hangs from its first request.

mod stretch;

use std::time::Duration;

use super::Strength;
use super::evenness::Evenness;
use super::evidence::BELOW;
use super::process::{Observation, Process, cap};
use stretch::Stretch;

/// Below this part of what it had, or of a fair share, a canary is silent.
pub const SILENT_BELOW: f64 = 0.25;
/// However uneven the service is, below this part of what it had itself a canary is silent.
const ALWAYS_SILENT_BELOW: f64 = 0.05;
/// Rejects only where every pod of the primary had at least this part of an equal share in the past hour.
const EVEN: f64 = 0.5;
/// Evidence that holds a promotion back.
pub(crate) const HOLDS: f64 = 20.0;
/// A silence rejects only when it has lasted as long, over as many looks.
const LASTING: Duration = Duration::from_secs(15);
const LASTING_LOOKS: usize = 2;
/// An ordinary pod with no more requests than this over the run is nearly no traffic.
pub const NEARLY_NO_TRAFFIC: f64 = 10.0;

/// What one scrape of the canary adds, without probes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SilenceLook {
    pub interval: Duration,
    /// Requests that the canary finished.
    pub canary: f64,
    /// The requests of an ordinary pod of the primary: see [`super::typical`].
    pub ordinary: f64,
    /// Pods of the primary that were scraped in the look.
    pub pods: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SilenceParameters {
    /// Chance that a canary whose share stays is ever rejected.
    pub alpha: f64,
    /// Looks of the longest analysis.
    pub planned: usize,
    /// Nothing while it isn't known: then nothing rejects.
    pub evenness: Option<Evenness>,
}

/// The stretch of silence in which the canary is at present.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SilentStretch {
    pub lasts: Duration,
    pub looks: usize,
    /// Requests a second of the canary before it and in it, and of an ordinary pod of the primary in it.
    pub before_per_second: f64,
    pub canary_per_second: f64,
    pub ordinary_per_second: f64,
    /// What the canary had before it; 1 is as much as an ordinary pod.
    pub load: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Silence {
    /// Nothing is promoted at present.
    pub holds: bool,
    /// The canary is silent at this look, and that rejects.
    pub rejects: bool,
    /// It rejected at this look or an earlier one.
    pub rejected: bool,
    /// Requests that the canary finished since it was Ready, and that an ordinary pod of the primary finished in the same looks.
    pub finished: f64,
    pub ordinary: f64,
    /// By the measure that rejects, and by the milder one that holds.
    pub stretch: SilentStretch,
    pub milder: SilentStretch,
    /// That the canary has less than the least part of a fair share since the start.
    pub ln_fair: f64,
    /// That it fell below a part of what it had: without cap and dispersion, which holds, and with them, which rejects.
    pub ln_plain: f64,
    pub ln_fell: f64,
    /// What rejects, beside what it needs.
    pub against: Strength,
}

impl Silence {
    /// Whether no more than traffic is missing: that is forgiven only where the primary had next to none too (section 3.4).
    pub fn is_clean(&self) -> bool {
        !self.holds && (self.ordinary <= NEARLY_NO_TRAFFIC || self.finished >= SILENT_BELOW * self.ordinary)
    }
}

impl Default for Strength {
    fn default() -> Self {
        Self { ln_evidence: 0.0, ln_needed: f64::INFINITY }
    }
}

/// Folds looks.
///
/// For each start of a stretch the product of its looks is a supermartingale while the canary's share is what it was; a start that the data
/// choose is at most `planned` times the mixture over all starts, which is an e-process. So Ville's inequality holds with `ln planned` taken off.
#[derive(Clone, Debug)]
pub struct SilenceTest {
    parameters: SilenceParameters,
    /// The part of a fair share that is held against a canary.
    least: f64,
    variation: f64,
    fair: Process,
    /// The measure that rejects, and the milder one that holds.
    rejecting: Stretch,
    holding: Stretch,
    finished: f64,
    ordinary: f64,
    rejected: bool,
}

impl SilenceTest {
    pub fn new(parameters: SilenceParameters) -> Self {
        let parameters = SilenceParameters { alpha: parameters.alpha.clamp(1e-12, 0.5), ..parameters };
        let least = parameters.evenness.map_or(SILENT_BELOW, |evenness| SILENT_BELOW.min(evenness.smallest / 2.0));
        let stretch = |own: f64| Stretch::new(own.max(ALWAYS_SILENT_BELOW), cap(parameters.alpha));
        Self {
            parameters,
            least,
            variation: parameters.evenness.map_or(0.0, |evenness| evenness.variation),
            fair: Process::begun(&BELOW, f64::INFINITY),
            rejecting: stretch(least),
            holding: stretch(2.0 * least),
            finished: 0.0,
            ordinary: 0.0,
            rejected: false,
        }
    }

    /// A look in which the primary says nothing says nothing.
    pub fn push(&mut self, look: &SilenceLook) {
        let tells = |count: f64| count.is_finite() && count >= 0.0;
        if look.pods == 0 || look.interval.is_zero() || !tells(look.canary) || !tells(look.ordinary) || look.ordinary <= 0.0 {
            return;
        }
        let dispersion = 1.0 + self.variation * look.ordinary;
        if self.least > 0.0 {
            self.fair.push(observed(look, self.least, dispersion));
        }
        self.rejecting.push(look, dispersion);
        self.holding.push(look, dispersion);
        self.finished += look.canary;
        self.ordinary += look.ordinary;
        self.rejected |= self.rejects();
    }

    pub fn silence(&self) -> Silence {
        let (ln_fair, ln_plain) = (self.fair.ln_evidence(), self.holding.ln_plain());
        Silence {
            holds: (self.holding.goes_on() && ln_plain >= HOLDS.ln()) || ln_fair >= HOLDS.ln(),
            rejects: self.rejects(),
            rejected: self.rejected,
            finished: self.finished,
            ordinary: self.ordinary,
            stretch: self.rejecting.described(),
            milder: self.holding.described(),
            ln_fair,
            ln_plain,
            ln_fell: self.rejecting.ln_fell(),
            against: self.against(),
        }
    }

    fn against(&self) -> Strength {
        let starts = self.parameters.planned.max(1) as f64;
        Strength::at_level(self.rejecting.ln_fell() - starts.ln(), self.parameters.alpha)
    }

    fn rejects(&self) -> bool {
        let is_even = self.parameters.evenness.is_some_and(|evenness| evenness.smallest >= EVEN);
        is_even && self.rejecting.goes_on() && self.rejecting.lasts(LASTING, LASTING_LOOKS) && self.against().is_enough()
    }
}

/// The canary's part of all requests, beside `part` of an ordinary pod's.
fn observed(look: &SilenceLook, part: f64, dispersion: f64) -> Observation {
    let pods = look.pods as f64;
    Observation { hits: look.canary, trials: look.canary + pods * look.ordinary, probability: part / (part + pods), dispersion }
}

/// All looks at once.
pub fn silence(looks: &[SilenceLook], parameters: SilenceParameters) -> Silence {
    let mut test = SilenceTest::new(parameters);
    for look in looks {
        test.push(look);
    }
    test.silence()
}

#[cfg(test)]
mod tests;

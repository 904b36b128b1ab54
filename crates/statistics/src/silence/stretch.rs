//! The looks at the end in which the canary is silent, beside all looks before them.
//!
//! A look is silent if two things fell: the canary's share of the service and its own rate. A primary that grows leaves the canary's own
//! rate, traffic that stops leaves its share.

use std::time::Duration;

use super::super::evidence::BELOW;
use super::super::process::{Observation, Process};
use super::{SilenceLook, SilentStretch, observed};

/// A canary must have finished as many requests before it may fall silent.
const KNOWN: f64 = 10.0;
/// The primary goes on if it has at least this part of the load it had before.
const GOES_ON: f64 = 0.5;

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    looks: usize,
    seconds: f64,
    canary: f64,
    ordinary: f64,
    /// Of all pods of the primary.
    primary: f64,
}

impl Sums {
    fn add(&mut self, other: Self) {
        self.looks += other.looks;
        self.seconds += other.seconds;
        self.canary += other.canary;
        self.ordinary += other.ordinary;
        self.primary += other.primary;
    }

    /// An ordinary pod has 1.
    fn load(self) -> f64 {
        if self.ordinary > 0.0 { self.canary / self.ordinary } else { 0.0 }
    }

    fn per_second(self, count: f64) -> f64 {
        if self.seconds > 0.0 { count / self.seconds } else { 0.0 }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Stretch {
    /// Below this part of what it had the canary is silent.
    part: f64,
    cap: f64,
    before: Sums,
    silent: Sums,
    plain: Process,
    fell: Process,
}

impl Stretch {
    pub(super) fn new(part: f64, cap: f64) -> Self {
        Self { part, cap, before: Sums::default(), silent: Sums::default(), plain: plain(), fell: fell(cap) }
    }

    pub(super) fn push(&mut self, look: &SilenceLook, dispersion: f64) {
        let sums = Sums {
            looks: 1,
            seconds: look.interval.as_secs_f64(),
            canary: look.canary,
            ordinary: look.ordinary,
            primary: look.pods as f64 * look.ordinary,
        };
        if self.is_silent(sums) {
            let observed = observed(look, self.part * self.before.load(), 1.0);
            self.plain.push(observed);
            self.fell.push(Observation { dispersion, ..observed });
            self.silent.add(sums);
        } else {
            // The canary goes on: the stretch, if there was one, is a part of what it had.
            self.before.add(std::mem::take(&mut self.silent));
            self.before.add(sums);
            self.plain = plain();
            self.fell = fell(self.cap);
        }
    }

    fn is_silent(&self, look: Sums) -> bool {
        let before = self.before;
        before.canary >= KNOWN
            && look.canary <= self.part * before.load() * look.ordinary
            && look.canary / look.seconds <= self.part * before.canary / before.seconds
    }

    /// Whether there is a stretch, and the primary goes on in it.
    pub(super) fn goes_on(&self) -> bool {
        self.silent.looks > 0 && self.silent.primary / self.silent.seconds >= GOES_ON * self.before.primary / self.before.seconds
    }

    pub(super) fn lasts(&self, least: Duration, looks: usize) -> bool {
        self.silent.looks >= looks && self.silent.seconds >= least.as_secs_f64()
    }

    pub(super) fn ln_plain(&self) -> f64 {
        if self.silent.looks > 0 { self.plain.ln_evidence() } else { 0.0 }
    }

    pub(super) fn ln_fell(&self) -> f64 {
        if self.silent.looks > 0 { self.fell.ln_evidence() } else { 0.0 }
    }

    pub(super) fn described(&self) -> SilentStretch {
        SilentStretch {
            lasts: Duration::try_from_secs_f64(self.silent.seconds).unwrap_or(Duration::MAX),
            looks: self.silent.looks,
            before_per_second: self.before.per_second(self.before.canary),
            canary_per_second: self.silent.per_second(self.silent.canary),
            ordinary_per_second: self.silent.per_second(self.silent.ordinary),
            load: self.before.load(),
        }
    }
}

fn plain() -> Process {
    Process::begun(&BELOW, f64::INFINITY)
}

fn fell(cap: f64) -> Process {
    Process::begun(&BELOW, cap)
}

//! Evidence that grows look by look: "the odds are m times those of the null since some look", for each m of a grid.
//!
//! Each entry is a likelihood ratio, so the average over the grid is an e-process: a non-negative process whose expectation is at most one
//! at every stopping time under the null. By Ville's inequality it ever reaches 1/a with probability at most a, however often it is looked at.
//! When the harm begins is unknown: a prior over the starts is averaged over too, which keeps it an e-process (the mixture method of
//! confidence sequences; Howard, Ramdas and others, Annals of Statistics 2021).

use super::evidence::{ALTERNATIVES, Grid, ln_add_exp, ln_sum_exp};

/// `hits` among `trials`, each of which is one with at most (or at least, by the grid) `probability` under the null.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Observation {
    pub(crate) hits: f64,
    pub(crate) trials: f64,
    pub(crate) probability: f64,
    /// The logarithm of the evidence is divided by it.
    pub(crate) dispersion: f64,
}

#[derive(Clone, Debug)]
pub(crate) struct Process {
    grid: &'static Grid,
    /// No look adds more than this, as a logarithm.
    cap: f64,
    ln_ratios: [f64; ALTERNATIVES],
}

impl Process {
    /// Begins at an unknown look: `push` is told how much of the prior falls on each.
    pub(crate) fn with_prior(grid: &'static Grid, cap: f64) -> Self {
        Self { grid, cap, ln_ratios: [f64::NEG_INFINITY; ALTERNATIVES] }
    }

    /// Begins at once.
    pub(crate) fn begun(grid: &'static Grid, cap: f64) -> Self {
        Self { grid, cap, ln_ratios: [0.0; ALTERNATIVES] }
    }

    pub(crate) fn push_from(&mut self, ln_start: f64, observation: Observation) {
        for ln_ratio in &mut self.ln_ratios {
            *ln_ratio = ln_add_exp(*ln_ratio, ln_start);
        }
        self.push(observation);
    }

    pub(crate) fn push(&mut self, Observation { hits, trials, probability, dispersion }: Observation) {
        for (ln_ratio, alternative) in self.ln_ratios.iter_mut().zip(self.grid.iter()) {
            *ln_ratio += (alternative.ln_likelihood_ratio(hits, trials, probability) / dispersion).min(self.cap);
        }
    }

    pub(crate) fn ln_evidence(&self) -> f64 {
        let mut terms = self.ln_ratios;
        for (term, alternative) in terms.iter_mut().zip(self.grid.iter()) {
            *term += alternative.ln_weight;
        }
        ln_sum_exp(&terms)
    }
}

/// One look alone stays just short of a rejection: scrapes of two pods differ in phase, and a blip is not a fault.
pub(crate) fn cap(alpha: f64) -> f64 {
    (0.99 / alpha).ln()
}

/// Half of the weight on "from the first look on", the rest spread over the later ones of a plan.
pub(crate) fn ln_start(look: usize, planned: usize) -> f64 {
    let later = planned.saturating_sub(1);
    match look {
        0 if later == 0 => 0.0,
        0 => 0.5_f64.ln(),
        look if look <= later => (0.5 / later as f64).ln(),
        _ => f64::NEG_INFINITY,
    }
}

//! The one primitive: evidence that a probability is above, or below, a given one.
//!
//! A weighted average of twelve likelihood ratios, each "the odds are m times those of p0" against "the probability is p0". Its
//! expectation is at most one under the whole one-sided null, so by Ville's inequality it ever reaches 1/a with probability at most a.
//! A grid, not a conjugate prior: caps, dispersion and a share that changes from look to look have no conjugate form.

use std::array;
use std::sync::LazyLock;

pub(super) const ALTERNATIVES: usize = 12;

#[derive(Debug)]
pub(super) struct Alternative {
    /// m - 1
    excess: f64,
    ln_odds: f64,
    pub(super) ln_weight: f64,
}

impl Alternative {
    fn new(odds: f64, weight: f64) -> Self {
        Self { excess: odds - 1.0, ln_odds: odds.ln(), ln_weight: weight.ln() }
    }

    /// How much likelier `hits` of `trials` are under this alternative than under `probability`.
    pub(super) fn ln_likelihood_ratio(&self, hits: f64, trials: f64, probability: f64) -> f64 {
        hits * self.ln_odds - trials * (self.excess * probability).ln_1p()
    }
}

pub(super) type Grid = [Alternative; ALTERNATIVES];

/// The steps 1.25 and 1.5 matter: powers of two alone would hide whatever is less than 2.16 times as bad.
fn odds(index: usize) -> f64 {
    match index {
        0 => 1.25,
        1 => 1.5,
        _ => (index as f64 - 1.0).exp2(),
    }
}

/// Evidence that a probability is above a given one.
pub(super) static ABOVE: LazyLock<Grid> = LazyLock::new(|| {
    array::from_fn(|index| {
        let power = index as f64 - 1.0;
        let weight = if index < 2 { 0.1 } else { 0.88 / (power * (power + 1.0)) };
        Alternative::new(odds(index), weight)
    })
});

/// Evidence that a probability is below a given one.
pub(super) static BELOW: LazyLock<Grid> =
    LazyLock::new(|| array::from_fn(|index| Alternative::new(1.0 / odds(index), 1.0 / ALTERNATIVES as f64)));

/// The logarithm of the evidence from `hits` of `trials` against `probability`, divided by a dispersion.
pub(super) fn ln_evidence(hits: f64, trials: f64, probability: f64, grid: &Grid, dispersion: f64) -> f64 {
    let terms: [f64; ALTERNATIVES] = array::from_fn(|index| {
        let alternative = &grid[index];
        alternative.ln_weight + alternative.ln_likelihood_ratio(hits, trials, probability) / dispersion
    });
    ln_sum_exp(&terms)
}

pub(super) fn ln_sum_exp(terms: &[f64]) -> f64 {
    let largest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if largest.is_infinite() {
        return largest;
    }
    largest + terms.iter().map(|term| (term - largest).exp()).sum::<f64>().ln()
}

pub(super) fn ln_add_exp(left: f64, right: f64) -> f64 {
    let (small, large) = if left < right { (left, right) } else { (right, left) };
    if small == f64::NEG_INFINITY { large } else { large + (small - large).exp().ln_1p() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_sum_to_one() {
        for grid in [&ABOVE, &BELOW] {
            let weights = grid.each_ref().map(|alternative| alternative.ln_weight);
            assert!(ln_sum_exp(&weights).abs() < 1e-12);
        }
    }

    /// The property on which every bound rests, by summing over all outcomes of forty requests.
    #[test]
    fn expectation_is_one_at_the_null_and_less_inside_it() {
        let trials = 40;
        let expectation = |grid: &Grid, truth: f64, null: f64| {
            let mut ln_choose = 0.0_f64;
            let mut sum = 0.0;
            for hits in 0..=trials {
                let (hits, rest) = (f64::from(hits), f64::from(trials - hits));
                let ln_probability = ln_choose + hits * truth.ln() + rest * (-truth).ln_1p();
                sum += (ln_probability + ln_evidence(hits, f64::from(trials), null, grid, 1.0)).exp();
                ln_choose += (rest / (hits + 1.0)).ln();
            }
            sum
        };
        assert!((expectation(&ABOVE, 0.1, 0.1) - 1.0).abs() < 1e-9);
        assert!((expectation(&BELOW, 0.1, 0.1) - 1.0).abs() < 1e-9);
        assert!(expectation(&ABOVE, 0.05, 0.1) < 0.999);
        assert!(expectation(&BELOW, 0.2, 0.1) < 0.999);
        assert!(expectation(&ABOVE, 0.2, 0.1) > 10.0);
    }

    #[test]
    fn adding_nothing_changes_nothing() {
        assert_eq!(ln_add_exp(f64::NEG_INFINITY, -3.0).to_bits(), (-3.0_f64).to_bits());
        assert!(ln_sum_exp(&[f64::NEG_INFINITY; 3]) == f64::NEG_INFINITY);
        assert!((ln_add_exp(0.0, 0.0) - 2.0_f64.ln()).abs() < 1e-15);
    }
}

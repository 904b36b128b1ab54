//! Evidence beside what it must reach.

/// The logarithm of some evidence, and of what a decision needs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Strength {
    pub ln_evidence: f64,
    pub ln_needed: f64,
}

impl Strength {
    /// What is shown to people as "100:1 needed", whatever part of the chance of a false rejection the test has.
    const SHOWN_NEEDED: f64 = 100.0;
    /// Nobody reads further.
    const MOST_SHOWN: f64 = 1e9;

    /// By Ville's inequality, evidence of 1/alpha is ever reached with probability at most alpha.
    pub(crate) fn at_level(ln_evidence: f64, alpha: f64) -> Self {
        Self { ln_evidence, ln_needed: -alpha.ln() }
    }

    pub fn is_enough(self) -> bool {
        self.ln_evidence >= self.ln_needed
    }

    /// The x of "x:1, 100:1 needed".
    pub fn shown(self) -> f64 {
        ((self.ln_evidence - self.ln_needed).exp() * Self::SHOWN_NEEDED).min(Self::MOST_SHOWN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_share_of_alpha_is_shown_beside_a_hundred_to_one() {
        for share in [1.0_f64, 0.6, 0.1] {
            let alpha = 0.01 * share;
            assert!((Strength::at_level(-alpha.ln(), alpha).shown() - 100.0).abs() < 1e-9);
            assert!((Strength::at_level(0.0, alpha).shown() - share).abs() < 1e-9);
        }
        assert!(Strength::at_level(5000.0, 0.01).shown() <= Strength::MOST_SHOWN);
    }
}

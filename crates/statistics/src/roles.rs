//! Which counters of a pod are judged, and which of them must show the limit (statistics, section 8).

use super::budget::MOST_COUNTERS;

/// A counter in which the primary had fewer requests in the past hour is not judged.
const FEWEST_REQUESTS: f64 = 20.0;
/// A counter with at least this part of all requests must be promoted by its own test.
const MUST_SHOW: f64 = 0.1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Promotes by its own test, rejects and holds.
    MustShow,
    /// Rejects and holds only.
    MayReject,
    /// Not judged: hardly any requests.
    Quiet,
    /// Not judged: there are enough busier ones.
    Surplus,
}

/// By each counter's requests of the primary in the past hour.
pub fn roles(requests: &[f64]) -> Vec<Role> {
    let mut busy: Vec<usize> = (0..requests.len()).filter(|counter| requests[*counter] >= FEWEST_REQUESTS).collect();
    // Stable: of equals the first ones.
    busy.sort_by(|left, right| requests[*right].total_cmp(&requests[*left]));
    let (judged, surplus) = busy.split_at(busy.len().min(MOST_COUNTERS));
    let rates: Vec<f64> = judged.iter().map(|counter| requests[*counter]).collect();
    let mut roles = vec![Role::Quiet; requests.len()];
    for (&counter, must_show) in judged.iter().zip(must_show(&rates)) {
        roles[counter] = if must_show { Role::MustShow } else { Role::MayReject };
    }
    for &counter in surplus {
        roles[counter] = Role::Surplus;
    }
    roles
}

/// By each judged counter's requests, or requests a second, of the primary.
pub fn must_show(requests: &[f64]) -> Vec<bool> {
    let total: f64 = requests.iter().sum();
    requests.iter().map(|requests| *requests > 0.0 && *requests >= MUST_SHOW * total).collect()
}

#[cfg(test)]
mod tests {
    use super::Role::{MayReject, MustShow, Quiet, Surplus};
    use super::*;

    #[test]
    fn the_four_busiest_are_judged() {
        assert_eq!(roles(&[500.0, 3.0, 20.0, 400.0, 300.0, 30.0]), [MustShow, Quiet, Surplus, MustShow, MustShow, MayReject]);
        assert_eq!(roles(&[]), []);
        assert_eq!(roles(&[f64::NAN, 20.0]), [Quiet, MustShow]);
    }
}

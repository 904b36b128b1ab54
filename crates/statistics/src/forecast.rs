//! What more traffic would come to: when a quiet service will have had enough requests, and which limit it could show by its deadline.
//!
//! An extrapolation for a message to a person, from the rate of requests so far and with no further errors. No verdict depends on it.

use std::time::Duration;

use super::bounds::{requests_needed, upper_bound};
use super::{Analysis, Basis, Counts};

/// At the rate of requests so far, if no more of them fail.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forecast {
    /// Requests of the canary.
    pub per_second: f64,
    /// When the limit can be shown; nothing if no amount of requests does.
    pub enough_in: Option<Duration>,
    /// The lowest limit that can be shown when the remaining time is over.
    pub limit_by_deadline: f64,
}

impl Analysis {
    /// `served` as it was given to the analysis. Nothing without requests to extrapolate from.
    pub fn forecast(&self, served: Duration, remaining: Duration) -> Option<Forecast> {
        let served = if self.basis == Basis::PrimaryHealthy { served.saturating_sub(self.outage) } else { served };
        let Counts { requests, errors } = self.canary;
        if served.is_zero() || requests <= 0.0 {
            return None;
        }
        let per_second = requests / served.as_secs_f64();
        let missing = requests_needed(self.limit, errors, self.beta, self.dispersion)
            .map(|needed| (needed.max(self.min_requests) - requests).max(0.0));
        let by_deadline = Counts::new(requests + per_second * remaining.as_secs_f64(), errors);
        Some(Forecast {
            per_second,
            enough_in: missing.and_then(|missing| Duration::try_from_secs_f64(missing / per_second).ok()),
            limit_by_deadline: upper_bound(by_deadline, self.beta, self.dispersion),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Deadline, Look, Parameters, Verdict, analyse};
    use super::*;

    fn quiet(requests: f64, errors: f64, served: Duration) -> Analysis {
        let look =
            Look { canary: Counts::new(requests, errors), primary: Counts::new(10.0 * requests, 0.0), warm_up: false, interval: served };
        analyse(&[look], Parameters::default(), served, Deadline::Ahead)
    }

    #[test]
    fn a_request_per_second_shows_one_percent_after_five_and_a_half_minutes() {
        let minute = Duration::from_mins(1);
        let forecast = quiet(60.0, 0.0, minute).forecast(minute, Duration::from_mins(9)).unwrap();
        assert_eq!(forecast.enough_in, Some(Duration::from_secs(278)));
        assert!((0.005..0.01).contains(&forecast.limit_by_deadline), "{forecast:?}");
    }

    #[test]
    fn the_limit_by_the_deadline_is_the_one_that_would_be_promoted() {
        let minute = Duration::from_mins(1);
        let (remaining, whole) = (Duration::from_mins(9), Duration::from_mins(10));
        let forecast = quiet(20.0, 1.0, minute).forecast(minute, remaining).unwrap();
        assert!(forecast.enough_in > Some(remaining));
        let look = Look { canary: Counts::new(200.0, 1.0), primary: Counts::new(2000.0, 20.0), warm_up: false, interval: whole };
        let verdict = |limit: f64| analyse(&[look], Parameters::default().with_limit(limit), whole, Deadline::Reached).verdict;
        assert_eq!(verdict(forecast.limit_by_deadline * 1.001), Verdict::Promote);
        assert_eq!(verdict(forecast.limit_by_deadline * 0.999), Verdict::Inconclusive);
    }

    #[test]
    fn nothing_to_extrapolate_from() {
        let minute = Duration::from_mins(1);
        assert_eq!(quiet(0.0, 0.0, minute).forecast(minute, minute), None);
        assert_eq!(quiet(5.0, 0.0, minute).forecast(Duration::ZERO, minute), None);
    }
}

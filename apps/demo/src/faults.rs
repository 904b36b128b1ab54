//! Which requests fail and when the service is ready, as pure functions of the time since start and a random number.

use std::fmt;
use std::time::Duration;

/// The faults of this version; none by default.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Faults {
    pub(crate) error_rate: f64,
    pub(crate) errors_after: Duration,
    /// Of the requests that don't fail.
    pub(crate) not_found_rate: f64,
    /// From then on no request is ever answered.
    pub(crate) hang_after: Option<Duration>,
    /// From then on the metrics page is never answered.
    pub(crate) metrics_hang_after: Option<Duration>,
    pub(crate) latency: Duration,
    pub(crate) latency_rate: f64,
    pub(crate) crash_after: Option<Duration>,
    pub(crate) never_ready: bool,
    pub(crate) not_ready_for: Duration,
    pub(crate) not_ready_after: Option<Duration>,
    pub(crate) not_alive_after: Option<Duration>,
    /// Bytes per second.
    pub(crate) leak: u64,
}

/// What one request gets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Treatment {
    pub(crate) answer: Answer,
    pub(crate) delay: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Greeting,
    NotFound,
    Failure,
    /// None, ever.
    Hangs,
}

impl Faults {
    /// `random` are two numbers of `0.0..1.0`, so that how it is answered and the delay are independent.
    pub(crate) fn treatment(&self, since_start: Duration, random: [f64; 2]) -> Treatment {
        let errors = if since_start >= self.errors_after { self.error_rate } else { 0.0 };
        Treatment {
            answer: match random[0] {
                _ if self.hang_after.is_some_and(|begin| since_start >= begin) => Answer::Hangs,
                random if random < errors => Answer::Failure,
                random if random < errors + (1.0 - errors) * self.not_found_rate => Answer::NotFound,
                _ => Answer::Greeting,
            },
            delay: if random[1] < self.latency_rate { self.latency } else { Duration::ZERO },
        }
    }

    pub(crate) fn shows_metrics(&self, since_start: Duration) -> bool {
        self.metrics_hang_after.is_none_or(|begin| since_start < begin)
    }

    pub(crate) fn ready(&self, since_start: Duration) -> bool {
        !self.never_ready && since_start >= self.not_ready_for && self.not_ready_after.is_none_or(|end| since_start < end)
    }

    pub(crate) fn alive(&self, since_start: Duration) -> bool {
        self.not_alive_after.is_none_or(|end| since_start < end)
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut faults = Vec::new();
        if self.error_rate > 0.0 {
            let begin = if self.errors_after.is_zero() { String::new() } else { format!(" after {:?}", self.errors_after) };
            faults.push(format!("answers {}% of requests with 500{begin}", self.error_rate * 100.0));
        }
        if self.not_found_rate > 0.0 {
            faults.push(format!("answers {}% of the others with 404", self.not_found_rate * 100.0));
        }
        if let Some(begin) = self.hang_after {
            faults.push(format!("answers no request after {begin:?}"));
        }
        if let Some(begin) = self.metrics_hang_after {
            faults.push(format!("shows no metrics after {begin:?}"));
        }
        if !self.latency.is_zero() {
            faults.push(format!("delays {}% of requests by {:?}", self.latency_rate * 100.0, self.latency));
        }
        if let Some(crash_after) = self.crash_after {
            faults.push(format!("crashes after {crash_after:?}"));
        }
        if !self.not_ready_for.is_zero() {
            faults.push(format!("is not ready for {:?}", self.not_ready_for));
        }
        if self.never_ready {
            faults.push("is never ready".to_owned());
        }
        if let Some(end) = self.not_ready_after {
            faults.push(format!("is not ready any more after {end:?}"));
        }
        if let Some(end) = self.not_alive_after {
            faults.push(format!("is not alive any more after {end:?}"));
        }
        if self.leak > 0 {
            faults.push(format!("leaks {} bytes of memory per second", self.leak));
        }
        if faults.is_empty() { formatter.write_str("no faults") } else { formatter.write_str(&faults.join("; ")) }
    }
}

/// A small generator (splitmix64), good enough to pick requests and far cheaper than a lock or a system call.
#[derive(Debug)]
pub(crate) struct Random(std::sync::atomic::AtomicU64);

impl Random {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

    pub(crate) fn from_seed(seed: u64) -> Self {
        Self(seed.into())
    }

    /// The next number of `0.0..1.0`.
    pub(crate) fn next(&self) -> f64 {
        let mut bits = self.0.fetch_add(Self::STEP, std::sync::atomic::Ordering::Relaxed).wrapping_add(Self::STEP);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn faults() -> Faults {
        Faults {
            error_rate: 0.0,
            errors_after: Duration::ZERO,
            not_found_rate: 0.0,
            hang_after: None,
            metrics_hang_after: None,
            latency: Duration::ZERO,
            latency_rate: 1.0,
            crash_after: None,
            never_ready: false,
            not_ready_for: Duration::ZERO,
            not_ready_after: None,
            not_alive_after: None,
            leak: 0,
        }
    }

    #[test]
    fn what_is_not_an_error_may_be_unknown_and_in_the_end_nothing_is_answered() {
        let faults = Faults { error_rate: 0.5, not_found_rate: 0.5, hang_after: Some(SECOND * 2), ..faults() };
        let answers = [0.4, 0.6, 0.8].map(|random| faults.treatment(SECOND, [random, 0.0]).answer);
        assert_eq!(answers, [Answer::Failure, Answer::NotFound, Answer::Greeting]);
        assert_eq!(faults.treatment(SECOND * 2, [0.8, 0.0]).answer, Answer::Hangs);
    }

    #[rstest]
    #[case::never(0.0, 0, false)]
    #[case::always(1.0, 0, true)]
    #[case::not_yet(1.0, 2, false)]
    fn errors_follow_rate_and_start(#[case] error_rate: f64, #[case] after_seconds: u32, #[case] fails: bool) {
        let faults = Faults { error_rate, errors_after: after_seconds * SECOND, ..faults() };
        assert_eq!(faults.treatment(SECOND, [0.999, 0.0]).answer == Answer::Failure, fails);
    }

    #[test]
    fn a_share_of_the_requests_is_delayed() {
        let faults = Faults { latency: SECOND, latency_rate: 0.5, ..faults() };
        assert_eq!([0.49, 0.51].map(|random| faults.treatment(SECOND, [0.0, random]).delay), [SECOND, Duration::ZERO]);
    }

    #[rstest]
    #[case::at_once(false, 0, true)]
    #[case::later(false, 2, false)]
    #[case::never(true, 0, false)]
    fn readiness(#[case] never_ready: bool, #[case] not_ready_seconds: u32, #[case] ready: bool) {
        let faults = Faults { never_ready, not_ready_for: not_ready_seconds * SECOND, ..faults() };
        assert_eq!(faults.ready(SECOND), ready);
    }

    #[rstest]
    #[case::for_good(None, true)]
    #[case::still(Some(2), true)]
    #[case::no_more(Some(1), false)]
    fn probes_that_fail_in_the_end(#[case] after_seconds: Option<u32>, #[case] expected: bool) {
        let after = after_seconds.map(|seconds| seconds * SECOND);
        let faults = Faults { not_ready_after: after, not_alive_after: after, ..faults() };
        assert_eq!((faults.ready(SECOND), faults.alive(SECOND)), (expected, expected));
    }

    proptest! {
        /// 10,000 draws at 2 %: mean 200, standard deviation 14; seven of them on either side.
        #[test]
        fn the_share_of_errors_is_the_one_asked_for(seed: u64) {
            let random = Random::from_seed(seed);
            let faults = Faults { error_rate: 0.02, ..faults() };
            let failed = (0..10_000).filter(|_| faults.treatment(SECOND, [random.next(), random.next()]).answer == Answer::Failure).count();
            prop_assert!((102..=298).contains(&failed), "{failed} of 10,000");
        }
    }
}

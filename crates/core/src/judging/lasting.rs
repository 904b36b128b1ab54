//! Metrics pages are read each second, and a new process may stumble once. A rejection by pages therefore needs a minimum time of looks, and errors
//! that go on in the last of them.

use std::time::Duration;

use crate::statistics::CounterLook;

/// A round may come a little early.
const LASTS: Duration = Duration::from_millis(3900);
const STILL_FAILING: usize = 2;

/// `limit` is that of the errors, where it is they that reject.
pub fn has_lasted(looks: &[CounterLook], limit: Option<f64>) -> bool {
    let with_requests = || looks.iter().rev().filter(|look| look.canary.requests > 0.0);
    let (last, first) = (with_requests().next(), with_requests().next_back());
    let lasts = last.zip(first).is_some_and(|(last, first)| last.end.saturating_sub(first.end) >= LASTS);
    let fails = |look: &CounterLook| limit.is_none_or(|limit| look.canary.errors > limit * look.canary.requests);
    lasts && with_requests().take(STILL_FAILING).all(fails)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::statistics::PodCounts;

    #[rstest]
    #[case::too_short(&[9.0, 9.0, 9.0, 9.0], false)]
    #[case::long_enough(&[9.0, 9.0, 9.0, 9.0, 9.0], true)]
    #[case::a_burst(&[0.0, 0.0, 0.0, 0.0, 90.0], false)]
    #[case::over(&[9.0, 9.0, 9.0, 9.0, 9.0, 0.0], false)]
    #[case::it_goes_on(&[0.0, 0.0, 0.0, 9.0, 9.0], true)]
    fn what_rejects_goes_on(#[case] errors: &[f64], #[case] expected: bool) {
        let look = |(second, errors): (u64, &f64)| CounterLook {
            end: Duration::from_secs(second),
            interval: Duration::from_secs(1),
            canary: PodCounts { requests: 90.0, errors: *errors, client_errors: 0.0 },
            primary: Vec::new(),
        };
        let looks: Vec<CounterLook> = (0..).zip(errors).map(look).collect();
        assert_eq!(has_lasted(&looks, Some(0.01)), expected);
        assert_eq!(has_lasted(&looks, None), errors.len() > 4, "silence needs no errors");
    }
}

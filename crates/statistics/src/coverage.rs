//! Whether what was observed of a canary may promote it (statistics, section 2).
//!
//! A canary that nobody looked at is not a good one. Asked is: was it looked at twice, to nearly the end of its duration, and is it still being
//! looked at? All moments are the source's clock, since any moment that all of them share.

use std::time::Duration;

/// This part of the duration at most may be unobserved at its end.
const UNOBSERVED: u32 = 4;
/// A scrape is overdue after this many intervals, and a second for whoever is slow.
const OVERDUE: f64 = 1.25;
const OVERDUE_SLACK: Duration = Duration::from_secs(1);
/// One look decides nothing.
const FEWEST_LOOKS: usize = 2;

/// When both sides were scraped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scrapes {
    /// The canary became Ready.
    pub begun: Duration,
    /// From one scrape to the next, as it was learned: nothing while it isn't known.
    pub interval: Option<Duration>,
    /// The newest successful scrape of any pod of the primary; nothing if there never was one.
    pub primary_last: Option<Duration>,
    /// The newest scrape of the canary that failed.
    pub canary_failed: Option<Duration>,
}

/// In the order in which it is asked: the first that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// Neither side was ever scraped.
    Unseen,
    /// The primary was scraped, the canary never.
    Never,
    /// The canary is not scraped any more. `last` is its last scrape, `ago` how long before the newest news.
    Stale {
        last: Duration,
        ago: Duration,
    },
    /// The primary is not scraped any more.
    PrimaryStale {
        last: Duration,
        ago: Duration,
    },
    OneLook,
    /// Observed, but not long enough.
    Short {
        observed: Duration,
        missing: Duration,
    },
    Covered,
}

impl Coverage {
    pub fn is_covered(self) -> bool {
        self == Self::Covered
    }

    /// Whether an analysis that ends like this lacks nothing but time or traffic (section 3.4).
    pub fn is_clean(self) -> bool {
        matches!(self, Self::Covered | Self::Short { .. } | Self::OneLook | Self::Unseen)
    }
}

/// As much of the end of a duration as may be unobserved.
pub fn tail(duration: Duration, interval: Duration) -> Duration {
    interval.min(duration / UNOBSERVED)
}

/// A pod whose last scrape is older than this, beside the other side's newest, isn't scraped any more.
pub fn overdue(interval: Duration) -> Duration {
    Duration::try_from_secs_f64(interval.as_secs_f64() * OVERDUE).unwrap_or(Duration::MAX).saturating_add(OVERDUE_SLACK)
}

/// `ends` are the ends of the canary's looks in order. `outage` is the time in which the primary itself was failing, if the verdict leaves it out.
pub fn coverage(scrapes: &Scrapes, ends: &[Duration], duration: Duration, outage: Duration) -> Coverage {
    let Some(&last) = ends.last() else {
        return if scrapes.primary_last.is_some() { Coverage::Never } else { Coverage::Unseen };
    };
    let stale = |newest: Duration| Coverage::Stale { last, ago: newest.saturating_sub(last) };
    if let Some(failed) = scrapes.canary_failed.filter(|failed| *failed > last) {
        return stale(failed);
    }
    if let (Some(primary), Some(interval)) = (scrapes.primary_last, scrapes.interval) {
        if primary.saturating_sub(last) > overdue(interval) {
            return stale(primary);
        }
        if last.saturating_sub(primary) > overdue(interval) {
            return Coverage::PrimaryStale { last: primary, ago: last.saturating_sub(primary) };
        }
    }
    let Some(interval) = scrapes.interval.filter(|_| ends.len() >= FEWEST_LOOKS) else { return Coverage::OneLook };
    let observed = last.saturating_sub(scrapes.begun).saturating_sub(outage);
    match duration.saturating_sub(tail(duration, interval)).saturating_sub(observed) {
        Duration::ZERO => Coverage::Covered,
        missing => Coverage::Short { observed, missing },
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[rstest]
    #[case::nobody_is_scraped(None, &[], Coverage::Unseen)]
    #[case::only_the_primary(Some(60), &[], Coverage::Never)]
    #[case::the_page_died(Some(60), &[5, 10, 15], Coverage::Stale { last: at(15), ago: at(45) })]
    #[case::the_primary_went(Some(20), &[5, 10, 60], Coverage::PrimaryStale { last: at(20), ago: at(40) })]
    #[case::too_early(Some(40), &[5, 20, 40], Coverage::Short { observed: at(40), missing: at(15) })]
    fn words(#[case] primary: Option<u64>, #[case] ends: &[u64], #[case] expected: Coverage) {
        let scrapes = Scrapes { interval: Some(at(5)), primary_last: primary.map(at), ..Scrapes::default() };
        let ends: Vec<Duration> = ends.iter().copied().map(at).collect();
        assert_eq!(coverage(&scrapes, &ends, at(60), Duration::ZERO), expected);
    }

    #[test]
    fn without_an_interval_nothing_is_covered() {
        let scrapes = Scrapes { primary_last: Some(at(70)), ..Scrapes::default() };
        assert_eq!(coverage(&scrapes, &[at(5), at(69)], at(60), Duration::ZERO), Coverage::OneLook);
    }

    #[test]
    fn absurd_times_are_no_panic() {
        let scrapes = Scrapes {
            begun: Duration::MAX,
            interval: Some(Duration::MAX),
            primary_last: Some(Duration::ZERO),
            canary_failed: Some(Duration::ZERO),
        };
        assert!(!coverage(&scrapes, &[Duration::ZERO, Duration::MAX], Duration::MAX, Duration::MAX).is_covered());
    }
}

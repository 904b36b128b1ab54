//! When the next scrape will be there to read: one question per scrape, asked as soon as the answer is in.
//! The source's clock is never compared with ours; only how far apart the two were at their closest.

use std::time::Duration;

use jiff::Timestamp;

use crate::metrics::counting::Counted;

/// The usual scrape interval, until it is learned.
pub(super) const UNKNOWN_INTERVAL: Duration = Duration::from_secs(15);
/// Between two questions, at least.
const SHORTEST: Duration = Duration::from_millis(300);
/// While it is not known when the next scrape is due, or it is late.
const SEARCHING: Duration = Duration::from_millis(500);
/// For what a source needs to make a scrape readable, beyond the best seen.
const MARGIN_MILLISECONDS: i64 = 200;

#[derive(Debug, Clone, Default)]
pub(super) struct Pace {
    interval: Option<i64>,
    last_scrape: Option<i64>,
    /// Our time minus the source's, when a scrape was read soonest after it was made.
    closest: Option<i64>,
}

impl Pace {
    pub(super) fn interval(&self) -> Option<Duration> {
        self.interval.map(|milliseconds| Duration::from_millis(milliseconds.unsigned_abs()))
    }

    pub(super) fn saw(&mut self, counted: &Counted, now: Timestamp) {
        self.interval = counted.scrape_interval.or(self.interval);
        // A scrape that failed is one, too: there is nothing to look for before the next.
        if let Some(last) = counted.last_scrape.max(counted.canary_failed) {
            if self.last_scrape != Some(last) {
                let apart = now.as_millisecond().saturating_sub(last);
                self.closest = Some(self.closest.map_or(apart, |closest| closest.min(apart)));
            }
            self.last_scrape = Some(last);
        }
    }

    /// `None` while nothing is known.
    pub(super) fn next(&self, now: Timestamp) -> Option<Duration> {
        let (interval, last, closest) = (self.interval?, self.last_scrape?, self.closest?);
        let due = last.saturating_add(interval).saturating_add(closest).saturating_add(MARGIN_MILLISECONDS);
        let wait = due.saturating_sub(now.as_millisecond());
        // One that is late is looked for; one that is very late may never come.
        if wait <= 0 && wait.unsigned_abs() <= interval.unsigned_abs() * 2 {
            return Some(SEARCHING);
        }
        let wait = if wait <= 0 { interval } else { wait };
        Some(Duration::from_millis(wait.unsigned_abs()).clamp(SHORTEST, Duration::from_millis(interval.unsigned_abs()).max(SHORTEST)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(last_scrape: i64) -> Counted {
        Counted { scrape_interval: Some(5000), last_scrape: Some(last_scrape), ..Counted::default() }
    }

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + milliseconds).unwrap()
    }

    #[test]
    fn one_question_per_scrape_once_the_rhythm_is_known() {
        let mut pace = Pace::default();
        assert_eq!(pace.next(at(0)), None);
        // The source's clock is an hour behind; what counts is the rhythm.
        let source = |milliseconds: i64| 1_800_000_000_000 - 3_600_000 + milliseconds;
        pace.saw(&counted(source(0)), at(700));
        assert_eq!(pace.next(at(700)), Some(Duration::from_millis(5000)), "never longer than an interval");
        pace.saw(&counted(source(0)), at(5100));
        assert_eq!(pace.next(at(5100)), Some(Duration::from_millis(800)));
        pace.saw(&counted(source(5000)), at(5900));
        pace.saw(&counted(source(10_000)), at(10_100));
        assert_eq!(pace.next(at(10_100)), Some(Duration::from_millis(5000)), "it learns that 100 ms are enough");
        assert_eq!(pace.next(at(15_400)), Some(SEARCHING), "a late scrape is looked for");
        assert_eq!(pace.next(at(40_000)), Some(Duration::from_millis(5000)), "but not for ever");
        pace.saw(&Counted { canary_failed: Some(source(40_000)), ..counted(source(10_000)) }, at(40_100));
        assert_eq!(pace.next(at(42_100)), Some(Duration::from_millis(3200)), "one that failed is one, too");
    }
}

//! Looks as windows of fixed length, for when a canary has several pods (statistics, section 10).

use std::time::Duration;

use super::coverage::overdue;

/// Windows of one length, one after the other since counting began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedWindows {
    /// The source's clock.
    pub begun: Duration,
    pub width: Duration,
}

impl FixedWindows {
    /// The window, from 0 on, that an increment belongs to which ends at `at`. None before counting began.
    pub fn of(&self, at: Duration) -> Option<u64> {
        let since = at.checked_sub(self.begun)?.as_nanos();
        // A moment belongs to the window that it ends.
        let before = since.checked_sub(1)?;
        u64::try_from(before.checked_div(self.width.as_nanos())?).ok()
    }

    /// Whether a window is complete: each pod of both sides was scraped at or after its end or is overdue beside the newest scrape, and one was.
    pub fn is_closed(&self, window: u64, last_scrapes: &[Duration], newest: Duration, interval: Duration) -> bool {
        let ends = u32::try_from(window.saturating_add(1)).unwrap_or(u32::MAX);
        let end = self.begun.saturating_add(self.width.saturating_mul(ends));
        last_scrapes.iter().all(|last| *last >= end || newest.saturating_sub(*last) > overdue(interval))
            && last_scrapes.iter().any(|last| *last >= end)
    }
}

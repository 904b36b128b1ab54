//! When counting began, by the source's clock: what its samples, our clock and earlier counts say of it.

use super::Window;

/// How late a store may show its samples, in milliseconds.
const LATEST_STORE: i64 = 300_000;
/// How long after counting began, in milliseconds, the primary may be scraped for the first time.
const UNSEEN: i64 = 10_000;

pub(super) fn of(window: Window, last_sample: i64, first_of_primary: Option<i64>, interval: i64) -> i64 {
    let estimate = on_our_clock(last_sample.saturating_sub(window.elapsed.max(0)), window.ready);
    seen(start(estimate, window.begun, interval), first_of_primary, interval)
}

/// A store that shows its samples late makes the estimate early by as much, and a canary would seem to be observed since before it was there. Our
/// clock says better when that was, unless the two differ by more than any store is late.
fn on_our_clock(estimate: i64, ready: Option<i64>) -> i64 {
    ready.filter(|ready| (0..=LATEST_STORE).contains(&ready.saturating_sub(estimate))).unwrap_or(estimate)
}

/// Samples are an interval or so older than the source's now, so every estimate is a little early: the latest one is the best. One that
/// is much later, or earlier, is one clock or the other that was set, and must not move what was counted already.
fn start(estimate: i64, known: Option<i64>, interval: i64) -> i64 {
    match known {
        Some(known) if !(0..=interval.saturating_mul(2).max(10_000)).contains(&estimate.saturating_sub(known)) => known,
        _ => estimate,
    }
}

/// What nobody looked at isn't observed: where the primary was first scraped long after counting should have begun, as by a source that keeps nothing
/// and was taken over, it begins only then. What the canary has counted alone by then would be held against nothing.
fn seen(start: i64, first_of_primary: Option<i64>, interval: i64) -> i64 {
    let is_late = |first: &i64| first.saturating_sub(start) > interval.saturating_mul(2).max(UNSEEN);
    first_of_primary.filter(is_late).unwrap_or(start)
}

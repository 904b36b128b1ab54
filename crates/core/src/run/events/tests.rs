//! Which Events are told, and when one is told again.

use super::*;

/// Seconds, reason, words, and whether they are told.
fn assert_told(story: &[(i64, Reason, &str, bool)]) {
    let mut told = Told::default();
    for (seconds, reason, note, expected) in story {
        let now = Timestamp::from_second(1_800_000_000 + seconds).unwrap();
        assert_eq!(told.tell(*reason, note, now), *expected, "{seconds}: {reason:?} {note}");
    }
}

#[test]
fn every_reason_is_documented_once_where_it_belongs() {
    let text = include_str!("../../../../../docs/events.md");
    let (steps, rest) = text.split_once("## States that last").unwrap();
    let (lasting, ends) = rest.split_once("## Ends").unwrap();
    for reason in Reason::ALL {
        let row = format!("| `{}` | ", reason.as_str());
        let rows = |text: &str| text.matches(&row).count();
        let expected = if reason.lasts() { (1, 0) } else { (0, 1) };
        assert_eq!((rows(lasting), rows(steps) + rows(ends)), expected, "{row}");
    }
}

#[test]
fn a_state_is_told_seldom_and_a_step_once() {
    assert_told(&[
        (0, Reason::MetricsUnavailable, "no scrape yet", true),
        (30, Reason::MetricsUnavailable, "connection refused", false),
        (60, Reason::MetricsUnavailable, "no scrape yet", false),
        (61, Reason::MetricsUnavailable, "connection refused", true),
        (122, Reason::MetricsUnavailable, "timed out", false),
        (181, Reason::MetricsUnavailable, "timed out", true),
        (182, Reason::Rejected, "error rate 100%", true),
        (9999, Reason::Rejected, "error rate 100%", false),
        (9999, Reason::MetricsUnavailable, "timed out", true),
    ]);
}

#[test]
fn silence_about_one_state_is_none_about_another() {
    assert_told(&[
        (0, Reason::Waiting, "12 requests are needed", true),
        (1, Reason::PromotionRefused, "no changes on a Friday", true),
        (2, Reason::WriteRefused, "no changes on a Friday", true),
        (3, Reason::Waiting, "11 requests are needed", false),
        (4, Reason::PromotionRefused, "no changes on a Friday", false),
    ]);
}

#[test]
fn two_states_that_alternate_are_not_told_each_time() {
    let alternating = |seconds: i64| if seconds % 2 == 0 { Reason::NotReady } else { Reason::MetricsUnavailable };
    let mut told = Told::default();
    let count = (0..600).filter(|seconds| {
        let note = format!("words of second {seconds}");
        told.tell(alternating(*seconds), &note, Timestamp::from_second(1_800_000_000 + seconds).unwrap())
    });
    assert_eq!(count.count(), 2 * 4, "after 0, 1, 3 and 7 minutes");
}

#[test]
fn an_end_that_can_t_be_finished_is_told_once() {
    let mut told = Told::default();
    let steps = [(Reason::Rejected, "error rate 100%"), (Reason::WriteRefused, "no changes on a Friday")];
    let count = (0..100).flat_map(|round| steps.map(move |step| (round * 5, step)));
    let count =
        count.filter(|(seconds, (reason, note))| told.tell(*reason, note, Timestamp::from_second(1_800_000_000 + seconds).unwrap()));
    assert_eq!(count.count(), 2);
}

#[test]
fn a_state_that_comes_again_after_a_step_is_told_again() {
    assert_told(&[
        (0, Reason::NotReady, "evicted", true),
        (5, Reason::Analyzing, "Ready again", true),
        (9, Reason::NotReady, "evicted", true),
    ]);
}

#[test]
fn a_state_that_could_not_be_told_is_told_when_it_is_seen_again() {
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let mut told = Told::default();
    for _ in 0..3 {
        assert!(told.tell(Reason::MetricsUnavailable, "connection refused", now));
        told.forget(Reason::MetricsUnavailable);
    }
    assert!(told.tell(Reason::MetricsUnavailable, "connection refused", now));
    assert!(!told.tell(Reason::MetricsUnavailable, "connection refused", now));
}

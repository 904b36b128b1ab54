//! Clocks that differ, and stores and discoveries that are late.

use super::*;

/// The source's clock is set by an hour while the canary runs, or ours is; what was counted stays.
#[rstest]
#[case::the_sources_clock_goes_forward(3600, 25)]
#[case::our_clock_goes_forward(0, 3625)]
#[case::our_clock_goes_back(0, 0)]
fn a_clock_that_is_set_moves_nothing(#[case] jump: i64, #[case] elapsed: i64) {
    let pods_at = |second: i64, n: f64| [(CANARY, second, 10.0 * n), ("app-6d5f-aaaaa", second - 3, 5000.0 + 100.0 * n)];
    let mut samples: BTreeMap<&str, Vec<(i64, f64)>> = BTreeMap::new();
    let seconds = [0, 5, 10, 15, 20 + jump, 25 + jump];
    for (second, n) in seconds.into_iter().zip([0.0, 1.0, 2.0, 3.0, 4.0, 5.0]) {
        for (pod, at, value) in pods_at(second, n) {
            samples.entry(pod).or_default().push((at, value));
        }
    }
    let series: Vec<Series> = samples.iter().map(|(pod, samples)| counter(pod, "200", samples)).collect();
    let window = Window { elapsed: elapsed * 1000, begun: Some(T0), ..Window::default() };
    let counted = count(&series, &pods(), &reading(), window);
    assert_eq!((counted.canary, counted.primary, counted.begun), (counts(50.0, 0.0), counts(500.0, 0.0), Some(T0)));
}

/// Prometheus finds the pod half a minute after it was Ready: its counter brings what it has served since then, and so must the others'.
#[test]
fn a_canary_that_is_discovered_late_is_held_against_as_long_a_time() {
    let canary: Vec<_> = (6..=12).map(|n| (n * 5, 20.0 * n as f64)).collect();
    let counted = counted(&[counter(CANARY, "200", &canary), steady("app-6d5f-aaaaa", 60)], 62);
    let first = counted.looks.first().unwrap();
    assert_eq!((first.canary.requests, first.primary.requests, first.interval), (120.0, 600.0, Duration::from_secs(30)));
}

/// A store shows samples 40 s late. What it has is compared with our clock, if that can be right at all.
#[rstest]
#[case::the_clocks_agree(Some(0), 0)]
#[case::nothing_is_known_of_ours(None, -40)]
#[case::ours_is_ahead_by_hours(Some(7200), -40)]
#[case::ours_is_behind(Some(-50), -40)]
fn a_store_that_is_late_does_not_make_a_canary_older(#[case] ready: Option<i64>, #[case] begun: i64) {
    let samples: Vec<_> = (1..=12).map(|n| (n * 5, 20.0 * n as f64)).collect();
    let window = Window { elapsed: 100_000, ready: ready.map(|second| T0 + second * 1000), ..Window::default() };
    let counted = count(&[counter(CANARY, "200", &samples)], &pods(), &reading(), window);
    assert_eq!(counted.begun, Some(T0 + begun * 1000));
}

//! Each pitfall of counting as one test, and no panic on garbage.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rstest::rstest;

use super::*;

const CANARY: &str = "app-canary-77f-ccccc";
const T0: i64 = 1_790_000_000_000;

/// A counter of `pod`, sampled at seconds after `T0`.
fn counter(pod: &str, code: &str, samples: &[(i64, f64)]) -> Series {
    with(series("http_requests_total", pod, samples), "code", code)
}

fn up(pod: &str, samples: &[(i64, f64)]) -> Series {
    series("up", pod, samples)
}

fn series(metric: &str, pod: &str, samples: &[(i64, f64)]) -> Series {
    let labels = [("__name__", metric), ("pod", pod), ("job", "pods")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let samples = samples.iter().map(|(second, value)| Sample { at: T0 + second * 1000, value: *value }).collect();
    Series { labels: Labels::from(labels), samples }
}

fn with(mut series: Series, label: &str, value: &str) -> Series {
    series.labels.insert(label.to_owned(), value.to_owned());
    series
}

fn pods() -> Pods {
    Pods { canary: Members::of_names([CANARY]), primary: Members::of_names(["app-6d5f-aaaaa", "app-6d5f-bbbbb", "app-6d5f-ddddd"]) }
}

fn reading() -> Reading {
    Reading::Labelled { requests: Selector::of("http_requests_total"), failures: vec![("code".to_owned(), Failure::HttpStatus)] }
}

/// Counting began `elapsed` seconds before the newest sample.
fn counted(series: &[Series], elapsed: i64) -> Counted {
    count(series, &pods(), &reading(), Window { elapsed: elapsed * 1000, ..Window::default() })
}

fn counts(requests: f64, errors: f64) -> Counts {
    Counts { requests, errors }
}

fn canary_looks(counted: &Counted) -> Vec<(f64, f64)> {
    counted.looks.iter().map(|look| (look.canary.requests, look.canary.errors)).collect()
}

fn primary_looks(counted: &Counted) -> Vec<(f64, f64)> {
    counted.looks.iter().map(|look| (look.primary.requests, look.primary.errors)).collect()
}

/// A primary pod that has been there for long: 100 requests every five seconds.
fn steady(pod: &str, until: i64) -> Series {
    let samples: Vec<_> = (-4..=until / 5).map(|n| (n * 5 + 2, 5000.0 + 100.0 * (n as f64))).collect();
    counter(pod, "200", &samples)
}

#[test]
fn one_look_for_each_scrape_of_the_canary() {
    let series = [
        counter(CANARY, "200", &[(5, 10.0), (10, 25.0), (15, 45.0)]),
        counter(CANARY, "500", &[(10, 5.0), (15, 9.0)]),
        steady("app-6d5f-aaaaa", 15),
        steady("app-6d5f-bbbbb", 15),
    ];
    let counted = counted(&series, 20);
    assert_eq!(canary_looks(&counted), [(10.0, 0.0), (20.0, 5.0), (24.0, 4.0)]);
    assert_eq!(primary_looks(&counted), [(200.0, 0.0); 3], "the primary's past isn't counted, and what came after the last look waits");
    assert_eq!((counted.canary, counted.primary), (counts(54.0, 9.0), counts(600.0, 0.0)));
    assert_eq!((counted.scrape_interval, counted.primary_pods), (Some(5000), 2));
    assert_eq!(counted.ends, [T0 + 5000, T0 + 10_000, T0 + 15_000]);
    assert_eq!((counted.first_scrape, counted.last_sample, counted.observed()), (Some(T0 + 5000), Some(T0 + 17_000), 15_000));
}

#[test]
fn what_the_canary_did_before_counting_began_is_its_past() {
    // Failing probes while it started, seen by two scrapes; ready after the second.
    let series =
        [counter(CANARY, "503", &[(5, 7.0), (10, 12.0), (15, 12.0)]), counter(CANARY, "200", &[(15, 40.0)]), steady("app-6d5f-aaaaa", 15)];
    assert_eq!(canary_looks(&counted(&series, 5)), [(40.0, 0.0)]);
}

#[test]
fn a_canary_that_fails_from_its_first_request_is_counted_from_it() {
    let series = [counter(CANARY, "500", &[(5, 50.0), (10, 100.0)]), steady("app-6d5f-aaaaa", 10)];
    assert_eq!(canary_looks(&counted(&series, 15)), [(50.0, 50.0), (50.0, 50.0)]);
}

#[test]
fn a_counter_that_falls_was_reset() {
    let series = [counter(CANARY, "200", &[(5, 100.0), (10, 130.0), (15, 20.0), (20, 60.0)]), steady("app-6d5f-aaaaa", 20)];
    assert_eq!(canary_looks(&counted(&series, 25)), [(100.0, 0.0), (30.0, 0.0), (20.0, 0.0), (40.0, 0.0)]);
}

#[test]
fn an_error_series_of_an_old_pod_is_born_with_its_first_error() {
    let series = [
        counter(CANARY, "200", &[(5, 10.0), (10, 20.0)]),
        steady("app-6d5f-aaaaa", 10),
        counter("app-6d5f-aaaaa", "500", &[(7, 3.0), (12, 3.0)]),
    ];
    assert_eq!(primary_looks(&counted(&series, 10)), [(100.0, 0.0), (103.0, 3.0)]);
}

#[test]
fn a_pod_born_during_the_run_counts_from_zero_and_one_that_leaves_keeps_its_counts() {
    let series = [
        counter(CANARY, "200", &[(5, 10.0), (10, 20.0), (15, 30.0)]),
        steady("app-6d5f-aaaaa", 5),
        counter("app-6d5f-bbbbb", "200", &[(8, 40.0), (13, 70.0)]),
    ];
    assert_eq!(primary_looks(&counted(&series, 11)), [(100.0, 0.0), (140.0, 0.0), (30.0, 0.0)]);
}

#[test]
fn without_knowledge_of_its_birth_a_pod_of_the_primary_has_a_past() {
    // A Prometheus that lost its disk: everybody appears at once, with counts of years.
    let series = [
        counter(CANARY, "200", &[(5, 10.0), (10, 20.0)]),
        counter("app-6d5f-aaaaa", "200", &[(4, 1e6), (9, 1e6 + 80.0)]),
        counter("app-6d5f-aaaaa", "500", &[(4, 9e5), (9, 9e5)]),
    ];
    assert_eq!(primary_looks(&counted(&series, 300)), [(0.0, 0.0), (80.0, 0.0)]);
}

#[test]
fn scrapes_without_a_request_are_looks_too() {
    let series = [
        up(CANARY, &[(5, 1.0), (10, 1.0), (15, 0.0), (20, 1.0)]),
        counter(CANARY, "500", &[(20, 40.0)]),
        steady("app-6d5f-aaaaa", 20),
        up("app-6d5f-aaaaa", &[(2, 1.0), (7, 1.0), (12, 1.0), (17, 1.0)]),
    ];
    let counted = counted(&series, 20);
    assert_eq!(canary_looks(&counted), [(0.0, 0.0), (0.0, 0.0), (40.0, 40.0)], "a failed scrape is none");
    assert_eq!(primary_looks(&counted), [(100.0, 0.0), (100.0, 0.0), (200.0, 0.0)]);
}

#[test]
fn errors_are_never_more_than_requests() {
    let reading = Reading::Separate { requests: Selector::of("requests"), errors: Selector::of("errors") };
    let series = [series("requests", CANARY, &[(5, 10.0), (10, 20.0)]), series("errors", CANARY, &[(5, 12.0), (10, 13.0)])];
    let counted = count(&series, &pods(), &reading, Window { elapsed: 20_000, warm_up: 5_000, ..Window::default() });
    assert_eq!(canary_looks(&counted), [(10.0, 10.0), (10.0, 1.0)]);
    assert_eq!(counted.looks.iter().map(|look| look.warm_up).collect::<Vec<_>>(), [true, true]);
}

#[test]
fn a_histogram_counts_what_is_slower_than_the_bound() {
    let bucket = |le: &str, samples: &[(i64, f64)]| with(series("latency_bucket", CANARY, samples), "le", le);
    let series = [bucket("0.1", &[(5, 3.0), (10, 5.0)]), bucket("0.25", &[(5, 8.0), (10, 30.0)]), bucket("+Inf", &[(5, 10.0), (10, 40.0)])];
    let reading = Reading::Slower { buckets: Selector::of("latency_bucket"), bounds: vec!["0.3".to_owned(), "0.25".to_owned()] };
    let counted = count(&series, &pods(), &reading, Window { elapsed: 20_000, ..Window::default() });
    assert_eq!((canary_looks(&counted), &counted.bound), (vec![(10.0, 2.0), (30.0, 8.0)], &Bound::Known("0.25".to_owned())));
    let others = Reading::Slower { buckets: Selector::of("latency_bucket"), bounds: vec!["0.2".to_owned()] };
    let counted = count(&series, &pods(), &others, Window { elapsed: 20_000, ..Window::default() });
    assert_eq!(counted, Counted { bound: Bound::Unknown, ..Counted::default() }, "other buckets are not slow requests");
}

/// A library writes a whole bound as `1`, its next version as `1.0`.
#[test]
fn a_bound_is_the_same_however_it_is_written() {
    let bucket = |pod: &str, le: &str, values: &[(i64, f64)]| with(series("latency_bucket", pod, values), "le", le);
    let series = [
        bucket("app-6d5f-aaaaa", "+Inf", &[(-5, 1000.0), (0, 1010.0), (5, 1020.0), (10, 1030.0)]),
        bucket("app-6d5f-aaaaa", "1", &[(-5, 900.0), (0, 910.0), (5, 920.0), (10, 930.0)]),
        bucket(CANARY, "+Inf", &[(5, 10.0), (10, 20.0)]),
        bucket(CANARY, "1.0", &[(5, 8.0), (10, 17.0)]),
    ];
    let reading = Reading::Slower { buckets: Selector::of("latency_bucket"), bounds: vec!["1".to_owned()] };
    let counted = count(&series, &pods(), &reading, Window { elapsed: 10_000, ..Window::default() });
    assert_eq!((canary_looks(&counted), &counted.bound), (vec![(10.0, 2.0), (10.0, 1.0)], &Bound::Known("1".to_owned())));
    assert_eq!(reading.bounds(), ["1", "1.0", "+Inf"]);
}

/// Too many buckets were joined in pairs between the second scrape and the third.
#[test]
fn a_native_histogram_that_becomes_coarser_loses_and_invents_nothing() {
    use super::native::{Bucket, Native, bounds, classic};
    let native = |second: i64, buckets: &[(f64, f64, f64)]| Native {
        at: T0 + second * 1000,
        count: buckets.iter().map(|(_, _, count)| count).sum(),
        buckets: buckets.iter().map(|(left, right, count)| Bucket { left: *left, right: *right, count: *count }).collect(),
    };
    let root = 2.0_f64.sqrt();
    let samples = [
        native(5, &[(0.125, 0.25, 4.0), (0.25, 0.25 * root, 3.0), (0.5, 0.5 * root, 1.0)]),
        native(10, &[(0.125, 0.25, 10.0), (0.25, 0.25 * root, 6.0), (0.5, 0.5 * root, 2.0)]),
        native(15, &[(0.125, 0.25, 14.0), (0.25, 0.5, 9.0), (0.5, 1.0, 4.0)]),
    ];
    let limit = bounds(0.4).iter().map(f64::to_string).collect::<Vec<_>>();
    let reading = Reading::Slower { buckets: Selector::of("latency_bucket"), bounds: limit.clone() };
    let labels = series("latency", CANARY, &[]).labels;
    let counted = |samples| count(&classic(&labels, samples, &limit), &pods(), &reading, Window { elapsed: 20_000, ..Window::default() });
    let before = counted(&samples[..2]);
    assert_eq!((canary_looks(&before), before.bound), (vec![(8.0, 1.0), (10.0, 1.0)], Bound::Known("0.4".to_owned())));
    let after = counted(&samples);
    assert_eq!((canary_looks(&after), after.bound), (vec![(8.0, 4.0), (10.0, 4.0), (9.0, 5.0)], Bound::Known("0.25".to_owned())));
}

#[test]
fn nothing_known_is_nothing_counted() {
    assert_eq!(counted(&[], 60), Counted::default());
    let primary_only = counted(&[steady("app-6d5f-aaaaa", 15)], 20);
    assert_eq!((primary_only.looks.len(), primary_only.first_scrape, primary_only.scrape_interval), (0, None, Some(5000)));
}

#[rstest]
#[case(1)]
#[case(5)]
#[case(60)]
fn the_scrape_interval_is_learned(#[case] seconds: i64) {
    let samples: Vec<_> = (1..6).map(|n| (n * seconds, (n * 100) as f64)).collect();
    let counted = counted(&[counter(CANARY, "200", &samples)], 1000);
    assert_eq!((counted.scrape_interval, counted.looks.len()), (Some(seconds * 1000), 5));
}

fn any_series() -> impl Strategy<Value = Series> {
    let pod = prop_oneof![Just(CANARY), Just("app-6d5f-aaaaa"), Just("app-6d5f-bbbbb"), Just("stranger")];
    let metric = prop_oneof![Just("http_requests_total"), Just("up"), Just("other")];
    let code = prop_oneof![Just("200"), Just("500"), Just("")];
    let value = prop_oneof![0.0..1e4_f64, any::<f64>()];
    let at = prop_oneof![-100_i64..100, any::<i64>().prop_map(|at| at / 1000)];
    (metric, pod, code, prop::collection::vec((at, value), 0..12)).prop_map(|(metric, pod, code, samples)| {
        let mut made = with(series(metric, pod, &[]), "code", code);
        made.samples = samples.into_iter().map(|(at, value)| Sample { at: at.saturating_mul(1000), value }).collect();
        made
    })
}

proptest! {
    #[test]
    fn garbage_never_panics_and_counts_stay_counts(series in prop::collection::vec(any_series(), 0..12), elapsed in any::<i64>(), warm_up in any::<i64>()) {
        let counted = count(&series, &pods(), &reading(), Window { elapsed, warm_up, ..Window::default() });
        for look in &counted.looks {
            for side in [look.canary, look.primary] {
                prop_assert!(side.requests >= 0.0 && side.requests.is_finite());
                prop_assert!((0.0..=side.requests).contains(&side.errors));
            }
        }
        prop_assert!(counted.ends.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert_eq!(counted.looks.len(), counted.ends.len());
    }

    /// Where requests fall among the codes, and how often a process restarts, changes nothing in the sums.
    #[test]
    fn every_request_since_birth_is_counted_once(steps in prop::collection::vec((0_u32..50, 0_u32..50), 1..20)) {
        let (mut good, mut bad) = (0.0, 0.0);
        let (mut good_samples, mut bad_samples) = (Vec::new(), Vec::new());
        for ((more_good, more_bad), second) in steps.iter().zip((5..).step_by(5)) {
            good += f64::from(*more_good);
            bad += f64::from(*more_bad);
            good_samples.push((second, good));
            if bad > 0.0 {
                bad_samples.push((second, bad));
            }
        }
        let counted = counted(&[counter(CANARY, "200", &good_samples), counter(CANARY, "503", &bad_samples)], 1000);
        prop_assert_eq!(counted.canary, counts(good + bad, bad));
    }
}

#[test]
fn the_past_of_the_primary_is_counted_by_pod_and_window() {
    let series = [
        counter(CANARY, "500", &[(5, 99.0)]),
        counter("app-6d5f-aaaaa", "200", &[(0, 500.0), (5, 510.0), (10, 530.0), (15, 560.0)]),
        counter("app-6d5f-bbbbb", "200", &[(1, 900.0), (6, 910.0), (11, 920.0), (16, 930.0)]),
        counter("app-6d5f-bbbbb", "500", &[(11, 4.0), (16, 4.0)]),
    ];
    let history = History::of(&series, &pods(), &reading(), 10_000);
    let windows: Vec<Vec<Vec<Counts>>> =
        history.windows.iter().map(|scrapes| scrapes.iter().map(|pods| pods.iter().map(|pod| pod.counts()).collect()).collect()).collect();
    assert_eq!(
        windows,
        [
            vec![vec![counts(10.0, 0.0), counts(10.0, 0.0)]],
            vec![vec![counts(20.0, 0.0), counts(14.0, 4.0)], vec![counts(30.0, 0.0), counts(10.0, 0.0)]],
        ]
    );
    assert!((history.requests() - 94.0).abs() < 1e-9);
    assert!(history.evenness().is_none(), "a quarter of a minute tells nothing");
}

mod clocks;
mod renamed;
mod resets;
mod twice;
mod understood;

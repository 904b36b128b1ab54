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

#[rstest]
#[case::two_jobs("job", "second")]
#[case::two_replicas("prometheus_replica", "prometheus-1")]
#[case::two_ports("instance", "10.0.0.9:9090")]
fn a_pod_that_is_scraped_twice_is_counted_once(#[case] label: &str, #[case] value: &str) {
    let full = [counter(CANARY, "200", &[(5, 10.0), (10, 20.0), (15, 30.0)]), steady("app-6d5f-aaaaa", 15)];
    let sparse = [
        with(counter(CANARY, "200", &[(6, 11.0), (14, 28.0)]), label, value),
        with(counter("app-6d5f-aaaaa", "200", &[(6, 5110.0), (14, 5270.0)]), label, value),
    ];
    let alone = counted(&full, 20);
    let both: Vec<Series> = sparse.iter().chain(&full).cloned().collect();
    assert_eq!(counted(&both, 20).looks, alone.looks);
    let reversed: Vec<Series> = both.into_iter().rev().collect();
    assert_eq!(counted(&reversed, 20).looks, alone.looks);
}

/// Prometheus makes a target of each container, of each endpoint and Service, and each replica of a pair writes its own label.
#[rstest]
#[case::containers("container", &["app", "proxy", "agent"])]
#[case::services("service", &["app", "app-headless"])]
#[case::endpoints("endpoint", &["http", "web"])]
#[case::replicas("receive_replica", &["0", "1"])]
#[case::by_any_name("whatever", &["a", "b"])]
fn one_page_is_counted_once_whatever_tells_its_targets_apart(#[case] label: &str, #[case] values: &[&str]) {
    let one = [
        up(CANARY, &[(5, 1.0), (10, 1.0), (15, 1.0)]),
        counter(CANARY, "200", &[(5, 10.0), (10, 20.0), (15, 30.0)]),
        counter(CANARY, "500", &[(5, 1.0), (10, 2.0), (15, 3.0)]),
        up("app-6d5f-aaaaa", &[(2, 1.0), (7, 1.0), (12, 1.0), (17, 1.0)]),
        steady("app-6d5f-aaaaa", 15),
    ];
    let all: Vec<Series> = values.iter().flat_map(|value| one.clone().map(|series| with(series, label, value))).collect();
    assert_eq!(counted(&all, 20).details, counted(&one, 20).details);
}

#[test]
fn of_two_jobs_the_same_is_counted_all_the_time() {
    let both = |series: Series, instance: &str| {
        let series = with(series, "instance", instance);
        let mut late = with(series.clone(), "job", "again");
        late.samples.remove(0);
        late.samples.iter_mut().for_each(|sample| *sample = Sample { at: sample.at + 1000, value: sample.value + 2.0 });
        [series, late]
    };
    let looks = |scrapes: i64| {
        let samples: Vec<_> = (1..=scrapes).map(|n| (5 * n, 10.0 * n as f64)).collect();
        // The primary has been scraped for longer, and at another port.
        let primary = both(steady("app-6d5f-aaaaa", 5 * scrapes), "10.0.0.1:8002");
        counted(&[both(counter(CANARY, "200", &samples), "10.0.0.9:8001"), primary].concat(), 5 * scrapes).looks
    };
    let last = looks(20);
    for scrapes in 3..20 {
        let looks = looks(scrapes);
        assert_eq!(looks[..looks.len() - 1], last[..looks.len() - 1], "after {scrapes} scrapes");
    }
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

#[test]
fn client_errors_are_counted_beside_the_servers_and_pod_by_pod() {
    let series = [
        counter(CANARY, "200", &[(5, 10.0), (10, 20.0)]),
        counter(CANARY, "404", &[(5, 3.0), (10, 9.0)]),
        counter(CANARY, "0", &[(10, 1.0)]),
        counter(CANARY, "503", &[(10, 2.0)]),
        steady("app-6d5f-aaaaa", 10),
        counter("app-6d5f-bbbbb", "404", &[(-10, 7.0), (-5, 8.0), (2, 9.0), (7, 9.0)]),
    ];
    let counted = counted(&series, 12);
    let tally = |requests, errors, clients| Tally { requests, errors, clients };
    let of_primary: Vec<_> = counted.details.iter().map(|detail| detail.primary.clone()).collect();
    assert_eq!(counted.details.iter().map(|detail| detail.canary).collect::<Vec<_>>(), [tally(13.0, 0.0, 3.0), tally(19.0, 2.0, 7.0)]);
    assert_eq!(of_primary, [[tally(100.0, 0.0, 0.0), tally(1.0, 0.0, 1.0)], [tally(100.0, 0.0, 0.0), tally(0.0, 0.0, 0.0)]]);
    assert_eq!(primary_looks(&counted), [(101.0, 0.0), (100.0, 0.0)]);
    assert_eq!(counted.lacking, []);
}

fn lacking(counted: &Counted) -> Vec<String> {
    counted.lacking.iter().map(ToString::to_string).collect()
}

#[rstest]
#[case::a_renamed_label(
    &[with(up(CANARY, &[(5, 1.0), (10, 1.0)]), "a", ""), with(series("http_requests_total", CANARY, &[(5, 10.0), (10, 20.0)]), "status", "500")],
    &["http_requests_total of the canary has no label code"], &[(0.0, 0.0), (0.0, 0.0)])]
#[case::a_renamed_label_without_up(
    &[with(series("http_requests_total", CANARY, &[(5, 10.0), (10, 20.0)]), "status", "500")],
    &["http_requests_total of the canary has no label code"], &[(0.0, 0.0), (0.0, 0.0)])]
#[case::a_renamed_counter(
    &[up(CANARY, &[(5, 1.0), (10, 1.0)])],
    &["the canary has no series http_requests_total, which the primary has"], &[(0.0, 0.0), (0.0, 0.0)])]
#[case::some_without_a_code_ended_otherwise(
    &[series("http_requests_total", CANARY, &[(5, 1.0), (10, 2.0)]), counter(CANARY, "200", &[(5, 10.0), (10, 20.0)])],
    &[], &[(11.0, 0.0), (11.0, 0.0)])]
#[case::never_scraped(&[up(CANARY, &[(5, 0.0), (10, 0.0)])], &[], &[])]
fn what_is_not_understood_is_no_success(#[case] canary: &[Series], #[case] expected: &[&str], #[case] looks: &[(f64, f64)]) {
    let mut all = vec![steady("app-6d5f-aaaaa", 10), up("app-6d5f-aaaaa", &[(2, 1.0), (7, 1.0), (12, 1.0)])];
    all.extend_from_slice(canary);
    let counted = counted(&all, 13);
    assert_eq!((lacking(&counted), canary_looks(&counted)), (expected.iter().map(ToString::to_string).collect(), looks.to_vec()));
}

#[test]
fn a_pod_of_the_primary_that_is_not_understood_is_left_out() {
    let series = [
        counter(CANARY, "200", &[(5, 10.0), (10, 20.0)]),
        steady("app-6d5f-aaaaa", 10),
        with(series("http_requests_total", "app-6d5f-bbbbb", &[(2, 10.0), (7, 900.0), (12, 1800.0)]), "status", "500"),
    ];
    let counted = counted(&series, 12);
    assert_eq!((primary_looks(&counted), lacking(&counted)), (vec![(100.0, 0.0), (100.0, 0.0)], vec![]));
}

/// In the user's own words: a label that only failures have is no reason to doubt a canary without failures.
#[rstest]
#[case::every_series_of_the_primary_has_it("requests{code=~\"5..\"}", "code", "200", true)]
#[case::only_failures_have_it("requests{error!=\"\"}", "other", "", false)]
fn labels_of_a_condition(#[case] errors: &str, #[case] label: &str, #[case] value: &str, #[case] expected: bool) {
    let reading = Reading::Separate { requests: Selector::of("requests"), errors: Selector::parse(errors).unwrap() };
    let requests = |pod: &str, first: f64| series("requests", pod, &[(-5, first), (0, first + 5.0), (5, first + 9.0), (10, first + 20.0)]);
    let series = [with(requests("app-6d5f-aaaaa", 1000.0), label, value), requests(CANARY, 0.0)];
    let counted = count(&series, &pods(), &reading, Window { elapsed: 10_000, ..Window::default() });
    assert_eq!(!counted.lacking.is_empty(), expected, "{:?}", counted.lacking);
    assert_eq!(canary_looks(&counted).iter().map(|(requests, _)| requests).sum::<f64>().to_string(), if expected { "0" } else { "15" });
}

#[rstest]
#[case::it_began_at_nothing(0.0, true)]
#[case::it_may_be_born_with_the_first_error(3.0, false)]
fn a_counter_of_errors_that_the_canary_lacks(#[case] first: f64, #[case] expected: bool) {
    let reading = Reading::Separate { requests: Selector::of("requests"), errors: Selector::of("errors") };
    let series = [
        series("requests", "app-6d5f-aaaaa", &[(0, 100.0), (5, 200.0)]),
        series("errors", "app-6d5f-aaaaa", &[(0, first), (5, 3.0)]),
        series("requests", CANARY, &[(0, 1.0), (5, 20.0)]),
    ];
    let counted = count(&series, &pods(), &reading, Window { elapsed: 6000, ..Window::default() });
    let words = ["the canary has no series errors, which the primary has".to_owned()];
    assert_eq!(lacking(&counted), if expected { words.to_vec() } else { vec![] });
}

#[test]
fn who_is_scraped_and_who_not_any_more_is_told() {
    let series = [
        up(CANARY, &[(5, 1.0), (10, 1.0), (15, 0.0), (20, 0.0)]),
        counter(CANARY, "200", &[(5, 10.0), (10, 25.0)]),
        steady("app-6d5f-aaaaa", 20),
        up("app-6d5f-bbbbb", &[(3, 0.0), (8, 0.0), (13, 0.0)]),
    ];
    let counted = counted(&series, 22);
    let at = |second: i64| Some(T0 + second * 1000);
    assert_eq!((counted.last_scrape, counted.canary_failed, counted.primary_scrape), (at(10), at(20), at(22)));
    assert_eq!(counted.primary_pods, 1, "a pod whose page never answered is none that was seen");
}

fn requests_by_look(counted: &Counted) -> Vec<f64> {
    counted.looks.iter().map(|look| look.canary.requests).collect()
}

/// Several scrapers behind one store, and a page that was read late, tell a little less than before: that is no restart.
#[test]
fn a_small_fall_is_no_restart() {
    let series = [counter(CANARY, "200", &[(5, 100.0), (10, 200.0), (15, 190.0), (20, 300.0)]), steady("app-6d5f-aaaaa", 20)];
    let counted = counted(&series, 25);
    assert_eq!((requests_by_look(&counted), counted.no_counter), (vec![100.0, 100.0, 0.0, 100.0], None));
}

/// The process began anew, and counted more since than its counter said before.
#[test]
fn a_restart_is_seen_by_its_start() {
    let starts = |pod: &str| series("process_start_time_seconds", pod, &[(5, 1e9), (10, 1e9 + 0.004), (15, 1e9 + 12.0), (20, 1e9 + 12.0)]);
    let series = [
        starts(CANARY),
        counter(CANARY, "200", &[(5, 10.0), (10, 20.0), (15, 50.0), (20, 60.0)]),
        counter(CANARY, "500", &[(5, 3.0), (10, 4.0), (15, 4.0), (20, 5.0)]),
        steady("app-6d5f-aaaaa", 20),
    ];
    assert_eq!(canary_looks(&counted(&series, 25)), [(13.0, 3.0), (11.0, 1.0), (54.0, 4.0), (11.0, 1.0)]);
}

/// Each worker of a web server keeps a registry of its own, and the page is that of one of them.
#[test]
fn what_falls_without_a_restart_is_no_counter() {
    let worker = |n: i64| {
        if n == 1 {
            1000.0
        } else if n % 2 == 0 {
            400.0 + n as f64
        } else {
            100.0
        }
    };
    let workers: Vec<_> = (1..20).map(|n| (n * 5, worker(n))).collect();
    let steadily: Vec<_> = (1..20).map(|n| (n * 5, 10.0 * n as f64)).collect();
    let of_canary = counted(&[counter(CANARY, "200", &workers), steady("app-6d5f-aaaaa", 95)], 100);
    insta::assert_snapshot!(of_canary.no_counter.unwrap(), @"http_requests_total of app-canary-77f-ccccc falls without a restart (2 of 19 scrapes): does each worker process keep its own?");
    let pods = |bad: &[&str]| {
        let primary = ["app-6d5f-aaaaa", "app-6d5f-bbbbb", "app-6d5f-ddddd"];
        let of_pod = |pod: &&str| if bad.contains(pod) { counter(pod, "200", &workers) } else { steady(pod, 95) };
        primary.iter().map(of_pod).chain([counter(CANARY, "200", &steadily)]).collect::<Vec<_>>()
    };
    let one = counted(&pods(&["app-6d5f-aaaaa"]), 100);
    assert_eq!((one.no_counter.clone(), primary_looks(&one)[3]), (None, (200.0, 0.0)), "its pod is left out");
    assert!(counted(&pods(&["app-6d5f-aaaaa", "app-6d5f-bbbbb"]), 100).no_counter.is_some(), "half of the pods speak for none");
}

/// A series that was away for long comes back with its past.
#[rstest]
#[case::born(12.0, 112.0)]
#[case::with_many_others(200.0, 300.0)]
#[case::came_back(201.0, 100.0)]
fn a_series_of_an_old_pod_that_appears(#[case] value: f64, #[case] expected: f64) {
    let late = counter("app-6d5f-aaaaa", "500", &[(7, value), (12, value)]);
    let series = [counter(CANARY, "200", &[(5, 10.0), (10, 20.0)]), steady("app-6d5f-aaaaa", 10), late];
    assert_eq!(primary_looks(&counted(&series, 10))[1].0.to_string(), expected.to_string());
}

/// A canary has no past: whatever appears on it, however much at once, happened.
#[test]
fn what_appears_on_the_canary_was_born() {
    let series = [
        counter(CANARY, "200", &[(5, 10.0), (10, 10.0), (15, 10.0)]),
        counter(CANARY, "500", &[(10, 5000.0), (15, 10_000.0)]),
        steady("app-6d5f-aaaaa", 15),
    ];
    assert_eq!(canary_looks(&counted(&series, 20)), [(10.0, 0.0), (5000.0, 5000.0), (5000.0, 5000.0)]);
}

/// Unknown to each bucket by itself: the process began anew between two scrapes.
#[test]
fn buckets_begin_anew_together() {
    let bucket = |le: &str, samples: &[(i64, f64)]| with(series("latency_bucket", CANARY, samples), "le", le);
    let series = [bucket("0.1", &[(5, 1.0), (10, 2.0), (15, 50.0)]), bucket("+Inf", &[(5, 100.0), (10, 110.0), (15, 60.0)])];
    let reading = Reading::Slower { buckets: Selector::of("latency_bucket"), bounds: vec!["0.1".to_owned()] };
    let counted = count(&series, &pods(), &reading, Window { elapsed: 20_000, ..Window::default() });
    assert_eq!(canary_looks(&counted), [(100.0, 99.0), (10.0, 9.0), (60.0, 10.0)]);
}

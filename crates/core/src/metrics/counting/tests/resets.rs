//! Counters that fall, begin anew, appear late, or are none.

use rstest::rstest;

use super::*;

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

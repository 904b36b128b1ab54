//! A target that goes on by other labels, and a pod that was found late.

use super::*;

const POD: &str = "app-6d5f-aaaaa";

fn of_job(job: &str, samples: &[(i64, f64)]) -> [Series; 2] {
    let up: Vec<(i64, f64)> = samples.iter().map(|(at, _)| (*at, 1.0)).collect();
    [with(counter(POD, "200", samples), "job", job), with(series("up", POD, &up), "job", job)]
}

fn canary() -> [Series; 2] {
    let times = [5, 10, 15, 20, 25, 30];
    [counter(CANARY, "200", &times.map(|at| (at, at as f64))), up(CANARY, &times.map(|at| (at, 1.0)))]
}

fn steps(from: i64, to: i64, value: f64) -> Vec<(i64, f64)> {
    (from..=to).step_by(5).map(|at| (at, value + at as f64)).collect()
}

/// The canary's looks are five seconds each; of the primary's requests in each of them is expected.
#[rstest]
#[case::goes_on(steps(-22, 13, 5e5), steps(18, 33, 5e5), &[5.0; 6])]
#[case::after_a_while(steps(-22, 3, 5e5), steps(23, 33, 5e5), &[5.0, 0.0, 0.0, 0.0, 20.0, 5.0])]
#[case::takes_over_from_one_that_went(steps(-22, -17, 0.0), steps(3, 33, 5e5), &[0.0, 5.0, 5.0, 5.0, 5.0, 5.0])]
#[case::beside_it(steps(-22, 33, 5e5), steps(18, 33, 5e5), &[5.0; 6])]
fn a_target_by_another_name(#[case] before: Vec<(i64, f64)>, #[case] after: Vec<(i64, f64)>, #[case] expected: &[f64]) {
    for names in [["pods", "zz"], ["pods", "aa"]] {
        let series = [of_job(names[0], &before).to_vec(), of_job(names[1], &after).to_vec(), canary().to_vec()].concat();
        let looks = counted(&series, 33).looks;
        assert_eq!(looks.iter().map(|look| look.primary.requests).collect::<Vec<_>>(), expected, "{names:?}");
    }
}

/// What another process had counted, or another registry, is not what was added.
#[rstest]
#[case::of_a_new_process(steps(-22, 13, 5e5), steps(18, 48, -18.0))]
#[case::another(steps(-22, 13, 0.0), steps(18, 48, 5e5))]
#[case::one_that_went_long_ago(steps(-422, -417, 0.0), steps(3, 33, 5e5))]
fn another_target(#[case] before: Vec<(i64, f64)>, #[case] after: Vec<(i64, f64)>) {
    let series = [of_job("pods", &before).to_vec(), of_job("zz", &after).to_vec(), canary().to_vec()].concat();
    let looks: Vec<f64> = counted(&series, 48).looks.iter().map(|look| look.primary.requests).collect();
    assert!(looks.iter().all(|requests| *requests <= 25.0), "{looks:?}");
}

/// One of the primary's pods is there all the time, and the other is seen since 18 seconds.
#[rstest]
#[case::is_new(12.0, None, 20.0)]
#[case::is_new_and_busy(900.0, None, 908.0)]
#[case::had_a_past(50_000.0, None, 8.0)]
#[case::says_when_it_began(50_000.0, Some(-3600.0), 8.0)]
#[case::says_that_it_is_new(50_000.0, Some(10.0), 50_008.0)]
fn a_pod_that_is_found_late(#[case] had: f64, #[case] start: Option<f64>, #[case] expected: f64) {
    let late: Vec<(i64, f64)> = (0..4).map(|n| (18 + n * 5, had + 4.0 * n as f64)).collect();
    let other = series("http_requests_total", "app-6d5f-bbbbb", &steps(-22, 33, 0.0));
    let mut series = [of_job("pods", &late).to_vec(), canary().to_vec(), vec![with(other, "code", "200")]].concat();
    series.extend(start.map(|start| {
        let began = (T0 / 1000) as f64 + start;
        super::series(PROCESS_START, POD, &[(18, began), (23, began)])
    }));
    let of_both: f64 = counted(&series, 33).looks.iter().map(|look| look.primary.requests).sum();
    assert!((of_both - 25.0 - expected).abs() < 0.5, "{of_both}, and what the other one has is 25");
}

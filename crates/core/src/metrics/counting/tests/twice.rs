//! One pod that is scraped twice is counted once.

use rstest::rstest;

use super::*;

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

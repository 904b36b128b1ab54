//! What the canary's series lack beside the primary's: not understood is not good.

use rstest::rstest;

use super::*;

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
    let tally = |requests, errors, clients| Tally { requests, errors, clients, redirects: 0.0 };
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

/// Nothing is known of words of the user's own, but that the primary's pods say some of them.
#[rstest]
#[case::the_same("requests{code=~\"5..\"}", "200", None)]
#[case::spelled_anew(
    "requests{code=~\"5..\"}",
    "200.0",
    Some("requests of the canary says code \"200.0\", and nothing that the primary's say: is it spelled anew?")
)]
#[case::all_fail("requests{code=~\"5..\"}", "500", None)]
#[case::the_place_says_nothing("requests{instance=~\".+:80\"}", "200", None)]
fn values_that_no_pod_of_the_primary_has(#[case] errors: &str, #[case] value: &str, #[case] expected: Option<&str>) {
    let reading = Reading::Separate { requests: Selector::of("requests"), errors: Selector::parse(errors).unwrap() };
    let requests = |pod: &str, first: f64, code: &str| {
        let one = series("requests", pod, &[(-5, first), (0, first + 5.0), (5, first + 9.0), (10, first + 20.0)]);
        with(with(one, "code", code), "instance", pod)
    };
    let series = [requests("app-6d5f-aaaaa", 1000.0, "200"), requests(CANARY, 0.0, value)];
    let counted = count(&series, &pods(), &reading, Window { elapsed: 10_000, ..Window::default() });
    assert_eq!(lacking(&counted), expected.into_iter().map(str::to_owned).collect::<Vec<_>>());
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

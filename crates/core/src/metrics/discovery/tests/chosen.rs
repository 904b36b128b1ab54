//! Which of several counters are judged, and what a person is told where none fits.

use rstest::rstest;

use super::*;
use crate::metrics::counting::{Bound, Reading};

fn sentence(choice: &str, series: &[Series]) -> String {
    recognise(&Choice::parse(choice).unwrap(), series, &pods(), "app").unwrap_err().to_string()
}

/// A counter with its last sample only, as discovery sees it.
fn last(metric: &str, labels: &[(&str, &str)], value: f64) -> Series {
    let all = [("__name__", metric), ("pod", "app-6d5f-aaaaa")].into_iter().chain(labels.iter().copied());
    let labels = all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Series { labels, samples: vec![Sample { at: T0, value }] }
}

#[test]
fn what_a_person_is_told_when_nothing_fits() {
    let http = |value| last("http_requests_total", &[("code", "200")], value);
    insta::assert_snapshot!(sentence("auto", &[]), @"Prometheus has no series of app's pods: is it scraping them?");
    insta::assert_snapshot!(sentence("auto", &[last("up", &[], 1.0)]), @r#"found no request counter that is known on app's pods (some appear with the first request); else name it in canary.metrics, as in {requests: my_requests_total, errors: 'my_requests_total{code=~"5.."}'}"#);
    insta::assert_snapshot!(sentence("auto", &[last("http_requests_total", &[("status", "error")], 5.0)]), @r#"found http_requests_total on app's pods, but none of its labels says whether a request failed; name the counters in canary.metrics, as in {requests: my_requests_total, errors: 'my_requests_total{code=~"5.."}'}"#);
    insta::assert_snapshot!(sentence("auto", &[last("http_requests_total", &[], 0.0)]), @"http_requests_total of app's pods has counted no request yet");
    insta::assert_snapshot!(sentence("istio", &[http(5.0)]), @"canary.metrics asks for the preset istio, but Prometheus has no such series of app's pods");
    let proxy = "nginx-ingress counts for a whole Service and can't tell the canary's pod from app's; name a counter of the pods themselves in canary.metrics, as in";
    for series in [&[][..], &[http(5.0)]] {
        assert_eq!(sentence("nginx-ingress", series), format!("{proxy} {EXAMPLE}"));
    }
    insta::assert_snapshot!(sentence("{source: datadog, requests: 'shop.hits{service:shop}', errors: shop.errors}", &[]), @"canary.metrics asks for shop.hits{service:shop}, but Datadog has no such series of app's pods");
    insta::assert_snapshot!(sentence("{requests: a_total, errors: b_total}", &[http(5.0)]), @"canary.metrics asks for a_total, but Prometheus has no such series of app's pods");
    let outbound = last("shop_client_http_requests_total", &[("code", "200")], 90_000.0);
    insta::assert_snapshot!(sentence("auto", &[outbound]), @r#"found only shop_client_http_requests_total on app's pods, which counts what they ask of others by its name; to read it: canary.metrics: {requests: 'shop_client_http_requests_total', errors: 'shop_client_http_requests_total{code=~"5.+"}'}"#);
}

fn chosen(choice: &str, series: &[Series]) -> (Vec<String>, Vec<String>) {
    let mut pods = pods();
    pods.primary = pods.primary.with_address("10.0.0.1", "app-6d5f-aaaaa");
    let Chosen { counters, not_judged, .. } = choose(&Choice::parse(choice).unwrap(), Origin::Prometheus, series, &pods, "app").unwrap();
    for found in &counters {
        let by_hand = recognise(&Choice::parse(found.spelling()).unwrap(), series, &pods, "app").unwrap();
        assert_eq!((by_hand.requests, by_hand.errors), (found.requests, found.errors), "spelled as {}", found.spelling());
    }
    (counters.iter().map(Found::description).collect(), not_judged)
}

fn http(value: f64) -> Series {
    last("http_requests_total", &[("code", "200")], value)
}

fn named(name: &str, value: f64) -> Series {
    last(name, &[("code", "200")], value)
}

/// Of `code="404",status="error"` the server is not at fault.
#[test]
fn beside_a_code_a_word_says_less() {
    let good = last("http_requests_total", &[("code", "200"), ("status", "success")], 900.0);
    let bad = last("http_requests_total", &[("code", "404"), ("status", "error")], 100.0);
    let found = recognise(&Choice::Auto, &[good, bad], &pods(), "app").unwrap();
    assert_eq!((found.description().as_str(), found.requests, found.errors), ("http_requests_total by code", 1000.0, 0.0));
}

/// It may count for all pods together, and falls as they go.
#[test]
fn what_a_rule_records_is_no_counter_of_a_pods() {
    let series = [named("shop_http_requests_total", 900.0), named("pod:shop_http_requests_total", 9000.0)];
    assert_eq!(chosen("auto", &series).0, ["shop_http_requests_total by code"]);
}

fn an_hour_ago(mut series: Series, value: f64) -> Series {
    series.labels.insert(AGO_LABEL.to_owned(), AGO.to_owned());
    series.samples[0].value = value;
    series
}

fn at(address: &str, mut series: Series) -> Series {
    series.labels.insert("instance".to_owned(), address.to_owned());
    series
}

#[rstest]
#[case::http_and_grpc(
    &[http(5000.0), last("grpc_server_handled_total", &[("grpc_code", "OK")], 90_000.0)],
    &["http_requests_total by code", "grpc_server_handled_total by grpc_code"], &[])]
#[case::the_mesh_and_the_application(
    &[http(5000.0), last("istio_requests_total", &[("reporter", "destination"), ("response_code", "200")], 5000.0)],
    &["http_requests_total by code", "istio_requests_total{reporter=\"destination\"} by response_code"], &[])]
#[case::a_quiet_one_is_none(&[http(19.0), last("gin_requests_total", &[("code", "200")], 20.0)], &["gin_requests_total by code"], &[])]
#[case::busy_once(
    &[http(50_010.0), an_hour_ago(http(0.0), 50_000.0), named("gin_requests_total", 600.0), an_hour_ago(named("gin_requests_total", 0.0), 500.0)],
    &["gin_requests_total by code"], &[])]
#[case::restarted_since(&[http(30.0), an_hour_ago(http(0.0), 50_000.0)], &["http_requests_total by code"], &[])]
#[case::all_are_quiet(&[http(3.0), named("gin_requests_total", 9.0)], &["gin_requests_total by code"], &[])]
#[case::calls_of_others(
    &[named("shop_client_http_requests_total", 9000.0), named("shop_http_requests_total", 50.0)],
    &["shop_http_requests_total by code"], &[])]
#[case::the_histogram_beside_its_counter(
    &[http(5000.0), named("http_request_duration_seconds_count", 5000.0)],
    &["http_requests_total by code"], &[])]
#[case::a_histogram_of_what_may_be_asked_of_others(
    &[named("http_requests_total", 500.0), named("github_http_request_duration_seconds_count", 9000.0)],
    &["http_requests_total by code"], &[])]
#[case::a_histogram_of_any_name(
    &[named("shop_http_request_duration_seconds_count", 900.0)],
    &["shop_http_request_duration_seconds_count by code"], &[])]
#[case::two_spellings_of_one_library(
    &[last("http_server_request_duration_seconds_count", &[("http_response_status_code", "200")], 70.0),
      last("http_server_duration_milliseconds_count", &[("http_status_code", "200")], 70.0)],
    &["http_server_request_duration_seconds_count by http_response_status_code"], &[])]
#[case::flask_without_its_counter(
    &[last("flask_http_request_duration_seconds_count", &[("status", "200")], 70.0)],
    &["flask_http_request_duration_seconds_count by status"], &[])]
#[case::two_ports(
    &[at("10.0.0.1:8080", http(500.0)), at("10.0.0.1:8081", http(400.0)), at("10.0.0.1:8082", http(4.0))],
    &["http_requests_total{instance=~\".+:8080\"} by code", "http_requests_total{instance=~\".+:8081\"} by code"], &[])]
#[case::too_many(
    &[named("a_http_requests_total", 50.0), named("b_http_requests_total", 20.0), named("c_http_requests_total", 500.0),
      named("d_http_requests_total", 90.0), named("e_http_requests_total", 60.0)],
    &["a_http_requests_total by code", "c_http_requests_total by code", "d_http_requests_total by code", "e_http_requests_total by code"],
    &["b_http_requests_total"])]
fn every_busy_counter_is_judged(#[case] series: &[Series], #[case] expected: &[&str], #[case] not_judged: &[&str]) {
    let (found, left) = chosen("auto", series);
    assert_eq!((found, left), (expected.iter().map(ToString::to_string).collect(), not_judged.iter().map(ToString::to_string).collect()));
}

#[test]
fn pods_at_different_ports_are_one_counter() {
    let mut pods = pods();
    pods.primary = pods.primary.with_address("10.0.0.1", "app-6d5f-aaaaa").with_address("10.0.0.2", "app-6d5f-bbbbb");
    let mut other = at("10.0.0.2:31002", http(40.0));
    other.labels.insert("pod".to_owned(), "app-6d5f-bbbbb".to_owned());
    let found = choose(&Choice::Auto, Origin::Prometheus, &[at("10.0.0.1:31001", http(50.0)), other], &pods, "app").unwrap();
    assert_eq!((found.counters.len(), found.counters[0].port, found.counters[0].requests.to_string()), (1, None, "90".to_owned()));
}

#[test]
fn all_of_a_list_are_read_and_must_be_there() {
    let grpc = last("grpc_server_handled_total", &[("grpc_code", "OK")], 9.0);
    let list = "http; {requests: my_total, errors: 'my_total{code=~\"5..\"}'}; grpc";
    let (found, _) = chosen(list, &[http(5.0), grpc.clone(), named("my_total", 7.0)]);
    assert_eq!(found, ["http_requests_total by code", "my_total and my_total{code=~\"5..\"}", "grpc_server_handled_total by grpc_code"]);
    insta::assert_snapshot!(sentence(list, &[http(5.0), grpc]), @"canary.metrics asks for my_total, but Prometheus has no such series of app's pods");
}

#[test]
fn the_presets_that_a_user_may_name_are_those_of_the_table() {
    let table: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
    assert_eq!(table, crate::api::choice::PRESETS);
}

/// One is scraped, another comes by way of a collector.
#[rstest]
#[case::by_the_address_of_both(&[("k8s_pod_name", "app-6d5f-aaaaa"), ("instance", "10.0.0.1:4317")], 2, PodLabel::Instance, &[])]
#[case::by_nothing_that_both_have(
    &[("k8s_pod_name", "app-6d5f-aaaaa")], 1, PodLabel::Pod,
    &["grpc_server_handled_total by grpc_code, whose pods the label k8s_pod_name names"])]
fn pods_are_named_alike(#[case] labels: &[(&str, &str)], #[case] judged: usize, #[case] label: PodLabel, #[case] others: &[&str]) {
    let mut collected = last("grpc_server_handled_total", &[("grpc_code", "OK")], 900.0);
    collected.labels.remove("pod");
    collected.labels.extend(labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let mut pods = pods();
    pods.primary = pods.primary.with_address("10.0.0.1", "app-6d5f-aaaaa");
    let series = [at("10.0.0.1:8080", http(500.0)), collected];
    let Chosen { counters, not_judged, .. } = choose(&Choice::Auto, Origin::Prometheus, &series, &pods, "app").unwrap();
    assert_eq!((counters.len(), counters[0].pod_label, not_judged), (judged, label, others.iter().map(ToString::to_string).collect()));
}

/// What discovery needs of a series need not grow with its routes.
#[test]
fn known_names_need_known_labels_only() {
    let labels = kept_labels(&wanted(&Choice::Auto, true)).unwrap();
    for label in ["code", "grpc_status", "reporter", "direction", "entrypoint", "outcome"] {
        assert!(labels.iter().any(|known| known == label), "{label}");
    }
    assert!(!labels.iter().any(|label| ["handler", "path", "route", "method"].contains(&label.as_str())));
    assert_eq!(kept_labels(&wanted(&Choice::parse("{requests: a, errors: b}").unwrap(), true)), None);
}

#[test]
fn a_counter_without_traffic_is_not_the_one() {
    let idle = last("http_requests_total", &[("code", "200")], 0.0);
    let busy = last("grpc_server_handled_total", &[("grpc_code", "OK")], 90_000.0);
    let found = recognise(&Choice::Auto, &[idle.clone(), busy.clone()], &pods(), "app").unwrap();
    assert_eq!(found.preset, Some("grpc"));
    let found = recognise(&Choice::parse("http").unwrap(), &[idle, busy], &pods(), "app").unwrap();
    assert_eq!(found.preset, Some("http"));
}

#[rstest]
#[case(&[("pod_name", "app-6d5f-aaaaa")], PodLabel::PodName)]
#[case(&[("kubernetes_pod_name", "app-6d5f-aaaaa"), ("instance", "10.0.0.1:80")], PodLabel::KubernetesPodName)]
#[case(&[("instance", "10.0.0.1:8080")], PodLabel::Instance)]
fn whatever_label_names_the_pod(#[case] labels: &[(&str, &str)], #[case] expected: PodLabel) {
    let mut series = last("http_requests_total", &[("code", "200")], 5.0);
    series.labels.remove("pod");
    series.labels.extend(labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let mut pods = pods();
    pods.primary = pods.primary.with_address("10.0.0.1", "app-6d5f-aaaaa");
    assert_eq!(recognise(&Choice::Auto, &[series], &pods, "app").unwrap().pod_label, expected);
}

/// gRPC's code of one is that of a client that went; 2 is what went wrong for a reason that nobody knows.
#[rstest]
#[case::most_are_well(&[("1", 900.0), ("0", 100.0)], None)]
#[case::most_went(&[("1", 100.0), ("0", 900.0)], Some("http_requests_total by status"))]
#[case::classes(&[("2", 900.0), ("4", 50.0), ("5", 1.0)], None)]
#[case::most_are_unknown(&[("2", 900.0), ("0", 100.0)], Some("http_requests_total by status"))]
#[case::beside_codes(&[("1", 900.0), ("200", 100.0)], Some("http_requests_total by status"))]
fn a_flag_is_no_code(#[case] counted: &[(&str, f64)], #[case] found: Option<&str>) {
    let series: Vec<Series> = counted.iter().map(|(status, value)| last("http_requests_total", &[("status", status)], *value)).collect();
    let recognised = recognise(&Choice::Auto, &series, &pods(), "app");
    assert_eq!(recognised.as_ref().ok().map(Found::description).as_deref(), found, "{recognised:?}");
}

/// They may have traffic by the time of the trial.
#[rstest]
#[case::beside_a_busy_one("auto", &[http(5000.0), named("gin_requests_total", 19.0), named("shop_http_requests_total", 0.0)], &["shop_http_requests_total by code", "gin_requests_total by code"])]
#[case::all_are("auto", &[http(3.0), named("gin_requests_total", 9.0)], &["http_requests_total by code"])]
#[case::of_others("auto", &[http(5000.0), named("shop_client_http_requests_total", 9.0)], &[])]
#[case::its_own_histogram("auto", &[http(5000.0), named("http_request_duration_seconds_count", 1.0)], &[])]
#[case::beside_what_was_asked_for("go", &[named("gin_requests_total", 9000.0), named("echo_requests_total", 3.0)], &[])]
#[case::as_many_as_are_judged("auto", &[http(5000.0), named("a_http_requests_total", 1.0), named("b_http_requests_total", 1.0), named("c_http_requests_total", 1.0), named("d_http_requests_total", 1.0)],
    &["a_http_requests_total by code", "b_http_requests_total by code", "c_http_requests_total by code"])]
fn idle_ones_are_known_too(#[case] choice: &str, #[case] series: &[Series], #[case] expected: &[&str]) {
    let chosen = choose(&Choice::parse(choice).unwrap(), Origin::Prometheus, series, &pods(), "app").unwrap();
    assert_eq!(chosen.idle.iter().map(Found::description).collect::<Vec<_>>(), expected);
    assert_eq!((chosen.counters.len(), chosen.not_judged.len()), (1, 0));
}

/// Bounds are in what the name of the histogram says; a limit of 250 ms lies at the second of each.
#[rstest]
#[case::seconds("took_bucket", ["0.1", "0.25", "1"])]
#[case::milliseconds("took_ms_bucket", ["100", "250", "1000"])]
#[case::milliseconds("took_msec_bucket", ["100", "250.0", "1000"])]
#[case::microseconds("took_microseconds_bucket", ["100000", "250000", "1e+06"])]
#[case::microseconds("took_us_bucket", ["100000", "2.5e+05", "1e+06"])]
#[case::nanoseconds("took_ns_bucket", ["1e+08", "2.5e+08", "1e+09"])]
fn bounds_are_in_the_unit_of_the_name(#[case] metric: &str, #[case] bounds: [&str; 3]) {
    let buckets = bounds.map(|le| last(metric, &[("le", le)], 1.0));
    let series = [&[http(5000.0), last(metric, &[("le", "+Inf")], 1.0)], &buckets[..]].concat();
    let choice = format!("{{requests: http_requests_total, errors: 'http_requests_total{{code=~\"5..\"}}', latency: {metric}}}");
    let found = recognise(&Choice::parse(&choice).unwrap(), &series, &pods(), "app").unwrap();
    let limit = Duration::from_millis(250);
    for reading in [found.slower_than(limit).unwrap(), found.slower_for_certain(limit).unwrap()] {
        let Reading::Slower { bounds: asked, .. } = reading else { panic!("{reading:?}") };
        assert_eq!(asked, [bounds[1]]);
        assert_eq!(found.bound(&Bound::Known(asked[0].clone()), limit).unwrap(), limit);
    }
}

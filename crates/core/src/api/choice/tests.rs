//! What may stand in `canary.metrics`, and what is said of what may not.

use rstest::rstest;

use super::*;

#[test]
fn what_is_accepted() {
    assert_eq!(Choice::parse(" auto ").unwrap(), Choice::Auto);
    assert_eq!(Choice::parse("istio").unwrap(), Choice::Preset("istio"));
    assert_eq!(Choice::parse("none").unwrap(), Choice::Nothing);
    let written = Choice::parse("requests: my_total\nerrors: my_total{code=~\"5..\"}").unwrap();
    let selector = |text| Selector::parse(text).unwrap();
    let counters = Counters { requests: selector("my_total"), errors: selector("my_total{code=~\"5..\"}"), latency: None, origin: None };
    assert_eq!(written, Choice::Counters(Box::new(counters)));
}

/// As a person would write it.
#[rstest]
#[case("http,grpc")]
#[case("http; grpc")]
#[case("[http, grpc]")]
#[case("- http\n- grpc\n")]
#[case("http,\n  grpc,")]
fn a_list_of_presets(#[case] value: &str) {
    assert_eq!(Choice::parse(value).unwrap(), Choice::Several(vec![Choice::Preset("http"), Choice::Preset("grpc")]));
}

#[rstest]
#[case("{requests: a_total, errors: 'a_total{code=~\"5..|a,b;c\"}'}; grpc")]
#[case("[{requests: a_total, errors: 'a_total{code=~\"5..|a,b;c\"}'}, grpc]")]
#[case("- requests: a_total\n  errors: a_total{code=~\"5..|a,b;c\"}\n- grpc")]
fn a_list_with_counters_in_own_words(#[case] value: &str) {
    let choice = Choice::parse(value).unwrap();
    let [Choice::Counters(counters), Choice::Preset("grpc")] = choice.parts() else { panic!("{choice:?}") };
    assert_eq!((counters.requests.text(), counters.errors.text()), ("a_total", "a_total{code=~\"5..|a,b;c\"}"));
}

#[test]
fn a_list_of_one_is_none() {
    assert_eq!(Choice::parse("[http]").unwrap(), Choice::Preset("http"));
    assert_eq!(Choice::parse("http,").unwrap().parts(), [Choice::Preset("http")]);
}

#[test]
fn counters_of_datadog() {
    let written = Choice::parse("{source: datadog, requests: 'shop.hits{service:shop,env:prod}', errors: shop.errors}").unwrap();
    let Choice::Counters(counters) = &written else { panic!("{written:?}") };
    assert_eq!((counters.requests.metric(), counters.errors.metric()), ("shop.hits{service:shop,env:prod}", "shop.errors"));
    assert_eq!((written.origin(), Choice::Auto.origin()), (Some(Origin::Datadog), None));
}

#[rstest]
#[case(
    "{source: datadog, requests: 'sum:shop.hits{*}', errors: shop.errors}",
    "requests: must be a metric of Datadog with tags, as in shop.http.errors{service:shop,env:prod}, without sum: or functions"
)]
#[case(
    "{source: datadog, requests: shop.hits, errors: shop.errors, latency: shop.duration}",
    "latency can't be read from Datadog; write a check with source: datadog instead"
)]
#[case("{source: graphite, requests: a, errors: b}", "")]
#[case(
    "",
    "unknown preset \"\"; accepted are auto, none, http, otel, micrometer, aspnet, flask, django, fastapi, rails, go, express, grpc, istio, linkerd, envoy, nginx-ingress, traefik, YAML with requests and errors, or a list of these"
)]
#[case(
    "requests: rate(a[1m])\nerrors: b",
    "requests: must be a plain selector such as http_requests_total{code=~\"5..\"}, without functions, offset or range"
)]
#[case(
    "requests: a\nerrors: b\nlatency: c_seconds",
    "latency: must name the buckets of a histogram, as in http_request_duration_seconds_bucket"
)]
#[case("http, auto", "auto can't stand in a list")]
#[case("none; http", "none can't stand in a list")]
#[case("http, http", "http stands in the list twice")]
#[case("http, otel, go, grpc, rails", "5 counters are too many; at most 4")]
#[case("http; {source: datadog, requests: a, errors: b}", "all counters of a list must come from one source")]
#[case("[http, {requests: a}]", "")]
#[case("requests: a", "")]
#[case("request: a\nerrors: b", "")]
#[case("requests: {a\nerrors: b", "")]
fn what_is_refused(#[case] value: &str, #[case] sentence: &str) {
    let message = Choice::parse(value).unwrap_err().to_string();
    assert!(!message.contains('\n'), "{message}");
    if sentence.is_empty() {
        assert!(message.contains("accepted are the keys requests, errors and latency"), "{message}");
    } else {
        assert_eq!(message, sentence);
    }
}

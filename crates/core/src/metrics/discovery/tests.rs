//! Every preset on a page as its library writes it, through discovery, counting and the verdict.

mod chosen;
mod page;

use std::time::Duration;

use rstest::rstest;

use self::page::{Traffic, scraped};
use super::*;
use crate::metrics::counting::{Members, PodLabel, Sample, Window, count};
use crate::statistics::{Deadline, Look, Parameters, Verdict, analyse};

const CANARY: &str = "app-canary-77f-ccccc";
const T0: i64 = 1_790_000_000_000;

macro_rules! page {
    ($name:literal) => {
        include_str!(concat!("tests/pages/", $name, ".prom"))
    };
}

fn pods() -> Pods {
    Pods { canary: Members::of_names([CANARY]), primary: Members::of_names(["app-6d5f-aaaaa", "app-6d5f-bbbbb", "app-6d5f-ddddd"]) }
}

/// What a pod had served at each of the scrapes `first..=last`, five seconds apart, at so many good, bad and slow requests a scrape.
fn traffic(first: u32, last: u32, per_scrape: Traffic) -> Vec<(i64, Traffic)> {
    let served = |n| Traffic { good: per_scrape.good * n, bad: per_scrape.bad * n, slow: per_scrape.slow * n };
    (first..=last).map(|n| (T0 + i64::from(n) * 5000, served(n))).collect()
}

/// Three pods of the primary for a minute, and a canary that joins after 30 seconds.
fn run(page: &str, canary: Traffic) -> Vec<Series> {
    let mut series = Vec::new();
    for pod in ["app-6d5f-aaaaa", "app-6d5f-bbbbb", "app-6d5f-ddddd"] {
        series.extend(scraped(page, pod, &traffic(1, 18, Traffic { good: 1000, bad: 0, slow: 2 })));
    }
    let since_it_began: Vec<_> = traffic(1, 12, canary).into_iter().map(|(at, served)| (at + 30_000, served)).collect();
    series.extend(scraped(page, CANARY, &since_it_began));
    series
}

fn verdict(looks: &[Look]) -> Verdict {
    let parameters = Parameters::default().with_looks(Duration::from_mins(10), Duration::from_secs(5));
    let served = Duration::from_secs(5) * u32::try_from(looks.len()).unwrap();
    analyse(looks, parameters, served, Deadline::Ahead).verdict
}

#[rstest]
#[case::promhttp(page!("promhttp"), "http", "http_requests_total by code")]
#[case::fastapi_instrumentator(page!("fastapi-instrumentator"), "http", "http_requests_total by status")]
#[case::starlette_exporter(page!("starlette-exporter"), "fastapi", "starlette_requests_total by status_code")]
#[case::express(page!("express-prom-bundle"), "express", "http_request_duration_seconds_count by status_code")]
#[case::otel(page!("otel"), "otel", "http_server_request_duration_seconds_count by http_response_status_code")]
#[case::otel_old(page!("otel-old"), "otel", "http_server_duration_milliseconds_count by http_status_code")]
#[case::otel_dots(page!("otel-utf8"), "otel", "http.server.request.duration_count by http.response.status_code")]
#[case::micrometer(page!("micrometer"), "micrometer", "http_server_requests_seconds_count by status and outcome")]
#[case::otel_dots_and_units(page!("otel-utf8-suffix"), "otel", "http.server.request.duration_seconds_count by http.response.status_code")]
#[case::otel_dots_old(page!("otel-utf8-old"), "otel", "http.server.duration_milliseconds_count by http.status_code")]
#[case::otel_without_a_code(page!("otel-without-code"), "otel", "http_server_request_duration_seconds_count by http_response_status_code")]
#[case::otel_of_a_namespace(page!("otel-namespace"), "otel", "shop_http_server_request_duration_seconds_count by http_response_status_code")]
#[case::micrometer_by_otlp(page!("micrometer-otlp"), "micrometer", "http_server_requests_milliseconds_count by status and outcome")]
#[case::ktor(page!("ktor"), "micrometer", "ktor_http_server_requests_seconds_count by status")]
#[case::vertx(page!("vertx"), "micrometer", "vertx_http_server_response_time_seconds_count by code")]
#[case::javalin(page!("javalin"), "micrometer", "jetty_server_requests_seconds_count by status and outcome")]
#[case::go_zero(page!("go-zero"), "http", "http_server_requests_code_total by code")]
#[case::go_zero_rpc(page!("go-zero-rpc"), "grpc", "rpc_server_requests_code_total by code")]
#[case::kratos(page!("kratos"), "http", "server_requests_code_total by code")]
#[case::any_prefix_of_a_histogram(page!("histogram-with-prefix"), "express", "shop_http_request_duration_seconds_count by status_code")]
#[case::aspnet(page!("prometheus-net"), "aspnet", "http_requests_received_total by code")]
#[case::flask(page!("flask-exporter"), "flask", "flask_http_request_total by status")]
#[case::django(page!("django"), "django", "django_http_responses_total_by_status_total by status")]
#[case::rails(page!("rails-prometheus-exporter"), "rails", "ruby_http_requests_total by status")]
#[case::rack(page!("rack-collector"), "rails", "http_server_requests_total by code")]
#[case::yabeda(page!("yabeda-rails"), "rails", "rails_requests_total by status")]
#[case::any_prefix(page!("actix-web-prom"), "http", "shop_http_requests_total by status")]
#[case::echo(page!("echo"), "go", "echo_requests_total by code")]
#[case::grpc(page!("grpc-go"), "grpc", "grpc_server_handled_total by grpc_code")]
#[case::grpc_otel(page!("rpc-otel"), "grpc", "rpc_server_duration_milliseconds_count by rpc_grpc_status_code")]
#[case::istio(page!("istio"), "istio", "istio_requests_total{reporter=\"destination\"} by response_code")]
#[case::linkerd(page!("linkerd"), "linkerd", "response_total{direction=\"inbound\"} by status_code and classification")]
#[case::envoy(
    page!("envoy"),
    "envoy",
    "envoy_http_downstream_rq_xx{envoy_http_conn_manager_prefix!~\"admin|stats|.*(egress|outbound|upstream).*\"} by envoy_response_code_class"
)]
#[case::nginx(page!("nginx-ingress"), "nginx-ingress", "nginx_ingress_controller_requests by status")]
#[case::traefik(page!("traefik"), "traefik", "traefik_entrypoint_requests_total{entrypoint!~\"metrics|traefik|ping\"} by code")]
fn every_preset_gives_the_same_verdicts(#[case] page: &str, #[case] preset: &str, #[case] description: &str) {
    let window = Window { elapsed: 60_000, ..Window::default() };
    let good = Traffic { good: 900, bad: 0, slow: 2 };
    let identical = run(page, good);
    let found = recognise(&Choice::Auto, &identical, &pods(), "app").unwrap();
    assert_eq!((found.preset, found.description().as_str(), found.pod_label), (Some(preset), description, PodLabel::Pod));
    assert_eq!((found.requests, found.errors), (54_000.0, 0.0), "no request of the canary, of others or to others");
    let by_hand = recognise(&Choice::parse(found.spelling()).unwrap(), &identical, &pods(), "app").unwrap();
    assert_eq!((by_hand.requests, by_hand.pod_label), (found.requests, found.pod_label));

    let counted = count(&identical, &pods(), &found.reading, window);
    assert_eq!((counted.canary.requests, counted.canary.errors, counted.looks.len()), (10_800.0, 0.0, 12));
    assert_eq!(verdict(&counted.looks), Verdict::Promote);

    let failing = run(page, Traffic { good: 0, bad: 900, slow: 0 });
    let counted = count(&failing, &pods(), &found.reading, window);
    assert_eq!((counted.canary.requests, counted.canary.errors), (10_800.0, 10_800.0));
    assert_eq!(verdict(&counted.looks[..2]), Verdict::Reject, "within two scrapes");
    let by_hand = count(&failing, &pods(), &by_hand.reading, window);
    assert_eq!((by_hand.canary.requests, by_hand.canary.errors), (10_800.0, 10_800.0), "spelled as {}", found.spelling());

    let limit = Duration::from_millis(290);
    let reading = found.slower_than(limit).unwrap();
    let counted = count(&run(page, Traffic { good: 900, bad: 0, slow: 300 }), &pods(), &reading, window);
    let bound = found.bound(&counted.bound, limit).unwrap();
    assert!([200, 250].map(Duration::from_millis).contains(&bound), "{bound:?}");
    assert_eq!((counted.canary.requests, counted.canary.errors), (10_800.0, 3600.0));
    assert_eq!((counted.primary.requests, counted.primary.errors), (36_000.0, 72.0));
    assert_eq!(verdict(&counted.looks[..2]), Verdict::Reject);
    assert!(matches!(found.slower_than(Duration::from_millis(5)), Err(LatencyError::NoBucket { .. })));
}

#[rstest]
#[case::code("code", "200", "503")]
#[case::status("status", "200", "500")]
#[case::status_code("status_code", "2xx", "5xx")]
#[case::response_code("response_code", "204", "504")]
#[case::class("status_class", "2XX", "5XX")]
#[case::camel("statusCode", "200", "500")]
#[case::float("http_status", "200.0", "502.0")]
#[case::grpc_by_number("code", "0", "14")]
#[case::grpc_by_name("status", "OK", "Unavailable")]
#[case::of_the_response("response_status", "200", "500")]
#[case::class_of_one_digit("http_status_class", "2", "5")]
#[case::a_result("result", "success", "failure")]
#[case::with_its_phrase("code", "200 OK", "500 Internal Server Error")]
#[case::of_python("status_code", "HTTPStatus.OK", "HTTPStatus.INTERNAL_SERVER_ERROR")]
#[case::of_dotnet("code", "NoContent", "ServiceUnavailable")]
#[case::words("status", "success", "error")]
#[case::a_word_that_is_grpcs_too("status", "ok", "failed")]
fn whatever_label_says_that_a_request_failed(#[case] label: &str, #[case] good: &str, #[case] bad: &str) {
    let page =
        page!("promhttp").replace("code=\"200\"", &format!("{label}=\"{good}\"")).replace("code=\"503\"", &format!("{label}=\"{bad}\""));
    let series = run(&page, Traffic { good: 450, bad: 450, slow: 0 });
    let found = recognise(&Choice::Auto, &series, &pods(), "app").unwrap();
    assert_eq!(found.description(), format!("http_requests_total by {label}"));
    let counted = count(&series, &pods(), &found.reading, Window { elapsed: 60_000, ..Window::default() });
    assert_eq!((counted.canary.requests, counted.canary.errors, counted.primary.errors), (10_800.0, 5400.0, 0.0));
    assert_eq!(verdict(&counted.looks[..2]), Verdict::Reject);
}

#[test]
fn every_metric_of_a_page_is_asked_for() {
    let wanted = wanted(&Choice::Auto, true);
    let asked = |name: &str| {
        wanted.iter().any(|pattern| {
            let plain = pattern.replace("[.]", ".").replace("(.+_)?", "");
            name == plain
                || plain.strip_prefix(".+").is_some_and(|suffix| name.ends_with(suffix))
                || (pattern.starts_with('(') && name.ends_with(&plain))
        })
    };
    for metric in [
        "up",
        "shop_http_requests_total",
        "shop_http_requests_duration_seconds_bucket",
        "istio_requests_total",
        "http.server.request.duration_count",
    ] {
        assert!(asked(metric), "{metric}");
    }
    assert!(!super::wanted(&Choice::Auto, false).iter().any(|name| name.ends_with("_bucket")));
}

#[test]
fn every_condition_of_the_table_is_a_selector() {
    for family in PRESETS.iter().flat_map(|preset| preset.families) {
        crate::metrics::counting::Selector::parse(&format!("metric{}", family.only)).unwrap();
    }
}

/// One that never came to serve must be repairable: its pods are seen, and count nothing.
#[test]
fn where_the_primary_counts_nothing_the_canary_says_what_to_read() {
    let good = Traffic { good: 100, bad: 1, slow: 0 };
    let canary = scraped(page!("promhttp"), CANARY, &traffic(1, 12, good));
    let found = recognise(&Choice::Auto, &canary, &pods(), "app").unwrap();
    assert_eq!((found.requests, found.errors), (1212.0, 12.0));
    let primary = recognise(&Choice::Auto, &run(page!("promhttp"), good), &pods(), "app").unwrap();
    assert_eq!(found.reading, primary.reading);
    assert!(primary.requests > found.requests, "the primary's count where there are any");
    let nothing = recognise(&Choice::Auto, &[], &pods(), "app").unwrap_err();
    assert_eq!(nothing, NotFound::NotScraped { origin: Origin::Prometheus, primary: "app".to_owned() });
}

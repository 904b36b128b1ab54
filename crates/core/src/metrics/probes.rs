//! Requests that no user sent: those of the kubelet's probes, of scrapers and of external health checks. Where a label names the path, their series
//! are left out; otherwise their rates are reported, and the statistics subtract them.
//!
//! A reading in the user's own words is left alone.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::api::patterns::Pattern;

use super::counting::{Reading, Selector, escaped};
use super::discovery::{Found, Histogram};

/// Labels that libraries write a path into.
const ROUTE_LABELS: [&str; 9] = ["handler", "path", "uri", "route", "endpoint", "http_route", "http.route", "url", "view"];
/// Paths that nobody serves to users.
const USUAL_PATHS: &str = "/(-/)?(health|healthz|livez|readyz|metrics|actuator/.*)|/grpc[.](health|reflection)[.].*";
/// Paths that some do.
const PERHAPS_USUAL_PATHS: &str = "/(-/)?(ping|status|up|healthy|live|liveness|ready|readiness|heartbeat|health[-_]?checks?)|\
                                   (/[a-zA-Z0-9_.-]+){1,2}/(health|healthz|healthy|live|livez|liveness|ready|readyz|readiness|metrics)|\
                                   (/[a-zA-Z0-9_.-]+)?/(health|healthz|livez|readyz)/[a-zA-Z0-9_.-]+";
/// The same for gRPC, by its own labels: of some the method, with the service before it.
const SERVICE_LABELS: [&str; 5] = ["grpc_service", "rpc_service", "grpc_method", "rpc_method", "method"];
const USUAL_SERVICES: &str = "/?grpc[.](health|reflection)[.].*";
/// Who asks for them, where a label says so.
const AGENT_LABELS: [&str; 2] = ["user_agent", "http_user_agent"];
const USUAL_AGENTS: &str = "(kube-probe|Prometheus|ELB-HealthChecker|GoogleHC|coalmine)/.*";

/// What a mesh's proxy calls the kubelet's own requests.
const NAME_LABELS: [&str; 1] = ["route_name"];
const USUAL_NAMES: &str = "probe";

/// What Kubernetes takes where nothing is written.
const PERIOD: u64 = 10;
/// A proxy counts what reaches it; the kubelet's probes don't pass through, or carry a label of their own.
const MESHES: [&str; 3] = ["istio", "linkerd", "envoy"];

/// One liveness or readiness probe that asks a port.
#[derive(Clone, Debug, PartialEq)]
struct Probe {
    container: usize,
    path: Option<String>,
    per_second: f64,
}

/// The counters without the series that are known to be no traffic. `pod_specs` are the templates'.
pub fn without(found: &Found, pod_specs: &[&Value], ignored: &[String]) -> Found {
    without_paths(found, &paths(pod_specs, ignored))
}

/// The same, with those that may be traffic too: users may ask for what probes ask for.
pub fn without_certain(found: &Found, ignored: &[String]) -> Found {
    without_paths(found, &[certain(), by_user(ignored).collect()].concat().join("|"))
}

/// Whether so many requests a second of a pod at such paths are more than probes make.
pub fn are_traffic(per_second: f64, rates: &[f64]) -> bool {
    per_second > TIMES_PROBES * rates.iter().sum::<f64>() + A_FEW
}

fn without_paths(found: &Found, paths: &str) -> Found {
    let Reading::Labelled { requests, failures } = &found.reading else { return found.clone() };
    let plain = |selector: &Selector| {
        let selector = selector.excluding(&ROUTE_LABELS, paths).excluding(&SERVICE_LABELS, USUAL_SERVICES);
        selector.excluding(&NAME_LABELS, USUAL_NAMES).excluding(&AGENT_LABELS, USUAL_AGENTS)
    };
    Found {
        reading: Reading::Labelled { requests: plain(requests), failures: failures.clone() },
        latency: found.latency.as_ref().map(|histogram| Histogram { buckets: plain(&histogram.buckets), ..histogram.clone() }),
        ..found.clone()
    }
}

/// A pattern of the paths that are no traffic.
fn paths(pod_specs: &[&Value], ignored: &[String]) -> String {
    let own: BTreeSet<String> =
        pod_specs.iter().flat_map(|pod_spec| probes(pod_spec)).filter_map(|probe| probe.path).map(|path| escaped(&path)).collect();
    let all = certain().into_iter().chain([PERHAPS_USUAL_PATHS.to_owned()]).chain(own).chain(by_user(ignored));
    all.collect::<Vec<_>>().join("|")
}

fn certain() -> Vec<String> {
    vec![USUAL_PATHS.to_owned()]
}

fn by_user(ignored: &[String]) -> impl Iterator<Item = String> {
    ignored.iter().map(|path| match path.strip_suffix('*') {
        Some(start) => format!("{}.*", escaped(start)),
        None => escaped(path),
    })
}

/// Other probers than the kubelet's ask, too: one may ask as often again, and some a second.
const TIMES_PROBES: f64 = 2.0;
const A_FEW: f64 = 1.0;

/// What tells such series by their labels, for whoever sums up series before they are read.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    by_label: Vec<(&'static [&'static str], Option<Pattern>)>,
}

impl Marks {
    pub fn new(pod_specs: &[&Value], ignored: &[String]) -> Self {
        let by_label: [(&'static [&'static str], String); 4] = [
            (&ROUTE_LABELS, paths(pod_specs, ignored)),
            (&SERVICE_LABELS, USUAL_SERVICES.to_owned()),
            (&NAME_LABELS, USUAL_NAMES.to_owned()),
            (&AGENT_LABELS, USUAL_AGENTS.to_owned()),
        ];
        Self { by_label: by_label.into_iter().map(|(labels, pattern)| (labels, Pattern::whole(&pattern))).collect() }
    }

    /// Whether a series with this label is known by it to be no traffic.
    pub fn hold(&self, label: &str, value: &str) -> bool {
        let fits = |pattern: &Option<Pattern>| pattern.as_ref().is_some_and(|pattern| pattern.fits(value));
        self.by_label.iter().any(|(labels, pattern)| labels.contains(&label) && fits(pattern))
    }
}

/// How often a pod is asked by who is no client, in requests a second: one rate for each probe of the container that has the counter, and one for
/// each scraper.
pub fn rates(found: &Found, pod_spec: &Value, scraped_every: Option<Duration>, pages_are_read: bool) -> Vec<f64> {
    let is_of_a_mesh = found.preset.is_some_and(|preset| MESHES.contains(&preset));
    if is_of_a_mesh || !matches!(found.reading, Reading::Labelled { .. }) {
        return Vec::new();
    }
    let container = found.port.and_then(|port| container_of(pod_spec, port));
    let probes = probes(pod_spec).into_iter().filter(|probe| container.is_none_or(|container| container == probe.container));
    let scraper = scraped_every.map(|every| every.as_secs_f64()).filter(|every| *every > 0.0).map(|every| 1.0 / every);
    probes.map(|probe| probe.per_second).chain(scraper).chain(pages_are_read.then_some(1.0)).collect()
}

pub(super) fn containers(pod_spec: &Value) -> impl Iterator<Item = &Value> {
    pod_spec.get("containers").and_then(Value::as_array).into_iter().flatten()
}

/// Whether the template says that one container opens both.
pub fn are_of_one_container(pod_spec: &Value, ports: [u16; 2]) -> bool {
    let [one, other] = ports.map(|port| container_of(pod_spec, port));
    one.is_some() && one == other
}

/// The container that says it opens this port.
fn container_of(pod_spec: &Value, port: u16) -> Option<usize> {
    let opens = |container: &Value| {
        let ports = container.get("ports").and_then(Value::as_array).into_iter().flatten();
        ports.filter_map(|one| one.get("containerPort")?.as_u64()).any(|one| one == u64::from(port))
    };
    containers(pod_spec).position(opens)
}

fn probes(pod_spec: &Value) -> Vec<Probe> {
    let mut probes = Vec::new();
    for (number, container) in containers(pod_spec).enumerate() {
        // A startup probe is over when the pod is Ready.
        for kind in ["livenessProbe", "readinessProbe"] {
            let Some(probe) = container.get(kind) else { continue };
            let get = probe.get("httpGet");
            if get.is_none() && probe.get("grpc").is_none() {
                continue;
            }
            let path = get.map(|get| get.get("path").and_then(Value::as_str).filter(|path| !path.is_empty()).unwrap_or("/"));
            let period = probe.get("periodSeconds").and_then(Value::as_u64).filter(|period| *period > 0).unwrap_or(PERIOD);
            // Many are asked on `/`, where users are too: their rate is taken off instead.
            let path = path.and_then(|path| path.split('?').next()).filter(|path| *path != "/").map(str::to_owned);
            probes.push(Probe { container: number, path, per_second: 1.0 / period as f64 });
        }
    }
    probes
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::metrics::counting::{Failure, Labels, PodLabel};
    use crate::metrics::discovery::Unit;

    fn found(port: Option<u16>) -> Found {
        let failures = vec![("code".to_owned(), Failure::HttpStatus)];
        Found {
            preset: Some("http"),
            reading: Reading::Labelled { requests: Selector::of("http_requests_total"), failures },
            latency: Some(Histogram { buckets: Selector::of("latency_bucket"), unit: Unit::Seconds, bounds: Vec::new() }),
            pod_label: PodLabel::Pod,
            port,
            requests: 0.0,
            recent: 0.0,
            errors: 0.0,
            spelling: "http".to_owned(),
        }
    }

    fn pod_spec() -> Value {
        json!({"containers": [
            {"ports": [{"containerPort": 8080}],
             "livenessProbe": {"httpGet": {"path": "/internal/alive?full=1", "port": "http"}, "periodSeconds": 5},
             "readinessProbe": {"httpGet": {"port": 8080}},
             "startupProbe": {"httpGet": {"path": "/started", "port": 8080}, "periodSeconds": 1}},
            {"ports": [{"containerPort": 9090}], "readinessProbe": {"grpc": {"port": 9090}, "periodSeconds": 2}, "livenessProbe": {"tcpSocket": {"port": 9090}}},
        ]})
    }

    #[rstest]
    #[case(&[("path", "/orders")], true)]
    #[case(&[], true)]
    #[case::the_usual(&[("handler", "/healthz")], false)]
    #[case::of_prometheus(&[("uri", "/-/ready")], false)]
    #[case::spring(&[("uri", "/actuator/prometheus")], false)]
    #[case::its_own(&[("route", "/internal/alive")], false)]
    #[case::over_at_ready(&[("route", "/started")], true)]
    #[case::by_the_user(&[("path", "/lb/eu")], false)]
    #[case::not_by_the_user(&[("path", "/lbs")], true)]
    #[case::a_longer_path(&[("path", "/status/orders")], true)]
    #[case::grpc(&[("grpc_service", "grpc.health.v1.Health")], false)]
    #[case::grpc_by_its_method(&[("grpc_method", "grpc.health.v1.Health/Check")], false)]
    #[case::rpc_by_its_method(&[("rpc_method", "grpc.health.v1.Health/Check")], false)]
    #[case::grpc_by_its_path(&[("http_route", "/grpc.health.v1.Health/Check")], false)]
    #[case::another_method(&[("method", "GET")], true)]
    #[case::quarkus(&[("uri", "/q/health/live")], false)]
    #[case::rails(&[("path", "/up")], false)]
    #[case::behind_a_prefix(&[("path", "/api/v1/healthz")], false)]
    #[case::of_a_mesh(&[("route_name", "probe")], false)]
    #[case::who_asks(&[("user_agent", "kube-probe/1.37")], false)]
    #[case::where_users_are_too(&[("path", "/")], true)]
    #[case::another_label(&[("topic", "/healthz")], true)]
    fn what_is_no_traffic_is_left_out(#[case] labels: &[(&str, &str)], #[case] expected: bool) {
        let found = without(&found(None), &[&pod_spec()], &["/lb/*".to_owned()]);
        let of = |name: &str, more: &str| -> Labels {
            let all = labels.iter().copied().chain([("__name__", name), ("code", "200"), ("le", more)]);
            all.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        };
        assert_eq!(!found.reading.weigh(&of("http_requests_total", "")).is_nothing(), expected);
        assert_eq!(found.latency.as_ref().unwrap().buckets.matches(&of("latency_bucket", "+Inf")), expected);
        assert_eq!(found.description(), "http_requests_total by code");
    }

    /// Gin's first example serves `/ping`, and many are probed where users ask.
    #[rstest]
    #[case::what_some_serve("/ping", true)]
    #[case::its_own("/internal/alive", true)]
    #[case::a_stream("/live", true)]
    #[case::an_insurance("/health/plans", true)]
    #[case::a_collector("/v1/metrics", true)]
    #[case::grpcs("/grpc.health.v1.Health/Check", false)]
    #[case::what_nobody_serves("/healthz", false)]
    #[case::by_the_user("/lb/eu", false)]
    fn what_may_be_traffic(#[case] path: &str, #[case] expected: bool) {
        let labels = [("__name__", "http_requests_total"), ("code", "200"), ("path", path)];
        let labels: Labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let ignored = ["/lb/*".to_owned()];
        let counts = |found: Found| !found.reading.weigh(&labels).is_nothing();
        assert!(!counts(without(&found(None), &[&pod_spec()], &ignored)));
        assert_eq!(counts(without_certain(&found(None), &ignored)), expected);
        assert_eq!([1.5, 1.7].map(|per_second| are_traffic(per_second, &[0.2, 0.1])), [false, true]);
    }

    #[rstest]
    #[case::of_its_container(Some(8080), &[0.2, 0.1])]
    #[case::of_the_other(Some(9090), &[0.5])]
    #[case::nobody_knows(None, &[0.2, 0.1, 0.5])]
    #[case::at_a_port_that_is_not_written(Some(1234), &[0.2, 0.1, 0.5])]
    fn how_often_it_is_probed(#[case] port: Option<u16>, #[case] expected: &[f64]) {
        let every = Some(Duration::from_secs(5));
        assert_eq!(rates(&found(port), &pod_spec(), None, false), expected);
        assert_eq!(rates(&found(port), &pod_spec(), every, true), [expected, &[0.2, 1.0]].concat());
    }

    #[test]
    fn a_mesh_and_words_of_the_users_own_are_let_be() {
        let of_a_mesh = Found { preset: Some("istio"), ..found(None) };
        assert!(rates(&of_a_mesh, &pod_spec(), None, true).is_empty());
        let reading = Reading::Separate { requests: Selector::of("a"), errors: Selector::of("b") };
        let by_hand = Found { preset: None, reading, ..found(None) };
        assert!(rates(&by_hand, &pod_spec(), None, true).is_empty());
        assert_eq!(without(&by_hand, &[&pod_spec()], &["/x".to_owned()]), by_hand);
    }

    #[rstest]
    #[case(json!(null))]
    #[case(json!({"containers": {"a": 1}}))]
    #[case(json!({"containers": [null, {"livenessProbe": 5}, {"readinessProbe": {"httpGet": 1, "periodSeconds": -1}}]}))]
    fn nonsense_is_survived(#[case] pod_spec: Value) {
        assert!(rates(&found(None), &pod_spec, None, false).len() <= 1);
        without(&found(None), &[&pod_spec], &[]);
    }
}

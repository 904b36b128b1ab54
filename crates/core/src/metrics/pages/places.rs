//! Where a pod may serve its metrics: what its annotations say, or else what monitors say, and its ports in the order in which they are likely,
//! each with the usual paths.

use serde_json::Value;

/// Where such pages usually are: by convention, in Spring Boot, in Quarkus, in Micronaut, and of a mesh's proxy.
const USUAL_PATHS: [&str; 5] = ["/metrics", "/actuator/prometheus", "/q/metrics", "/prometheus", "/stats/prometheus"];
/// Names that say what a port is for, the likeliest first.
const USUAL_NAMES: [&str; 5] = ["metrics", "http-metrics", "prometheus", "management", "http"];
const PROBES: [&str; 3] = ["readinessProbe", "livenessProbe", "startupProbe"];
/// A pod that declares more is tried at these only.
const MOST_PORTS: usize = 12;
/// A longer path is nobody's.
pub(super) const LONGEST_PATH: usize = 512;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    #[default]
    Http,
    Https,
}

impl std::fmt::Display for Scheme {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(if *self == Self::Https { "https" } else { "http" })
    }
}

/// Where a pod may serve a page.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub scheme: Scheme,
    pub port: u16,
    pub path: String,
}

impl std::fmt::Display for Place {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.scheme == Scheme::Https { "https " } else { "" };
        write!(formatter, "{scheme}:{}{}", self.port, self.path)
    }
}

/// What a pod says of its page, or a template of its pods'.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    scheme: Scheme,
    path: Option<String>,
}

impl Hints {
    pub fn of(pod: &Value) -> Self {
        let scheme = if annotation(pod, "scheme") == Some("https") { Scheme::Https } else { Scheme::Http };
        let path = annotation(pod, "path").filter(|path| path.len() <= LONGEST_PATH);
        Self { scheme, path: path.map(|path| format!("/{}", path.trim_start_matches('/'))) }
    }

    /// The places at one port: where it says, or else where such pages usually are.
    pub fn at(&self, port: u16) -> Vec<Place> {
        let usual = || USUAL_PATHS.map(str::to_owned).to_vec();
        let paths = self.path.clone().map_or_else(usual, |path| vec![path]);
        paths.into_iter().map(|path| Place { scheme: self.scheme, port, path }).collect()
    }
}

fn annotation<'a>(pod: &'a Value, name: &str) -> Option<&'a str> {
    pod.get("metadata")?.get("annotations")?.get(format!("prometheus.io/{name}"))?.as_str()
}

/// The places of this pod, the likeliest first; none where it says that it isn't to be scraped, or tells no port.
pub(super) fn places(pod: &Value, monitored: impl Iterator<Item = Place>) -> Vec<Place> {
    if annotation(pod, "scrape") == Some("false") {
        return Vec::new();
    }
    let port = annotation(pod, "port").and_then(|port| port.parse().ok());
    let hints = Hints::of(pod);
    let mut all: Vec<Place> = monitored.filter(|_| port.is_none()).collect();
    for place in port.map_or_else(|| ports(pod), |port| vec![port]).into_iter().flat_map(|port| hints.at(port)) {
        if !all.contains(&place) {
            all.push(place);
        }
    }
    all
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    let list = |name: &str| pod["spec"][name].as_array().into_iter().flatten();
    // A sidecar is an init container that goes on.
    let sidecars = list("initContainers").filter(|container| container.get("restartPolicy").and_then(Value::as_str) == Some("Always"));
    list("containers").chain(sidecars)
}

/// The names and numbers of its ports, in the order in which they are declared.
pub(super) fn declared(pod: &Value) -> impl Iterator<Item = (&str, u16)> {
    let declared = containers(pod).flat_map(|container| container["ports"].as_array().into_iter().flatten());
    let is_tcp = |port: &&Value| port.get("protocol").and_then(Value::as_str).is_none_or(|protocol| protocol == "TCP");
    declared.filter(is_tcp).filter_map(|port| {
        let number = port["containerPort"].as_u64().and_then(|number| u16::try_from(number).ok())?;
        Some((port["name"].as_str().unwrap_or_default(), number))
    })
}

fn ports(pod: &Value) -> Vec<u16> {
    let mut ports: Vec<(usize, u16)> = Vec::new();
    for (name, number) in declared(pod) {
        let rank = USUAL_NAMES.iter().position(|usual| *usual == name).unwrap_or(USUAL_NAMES.len());
        if ports.iter().all(|(_, known)| *known != number) {
            ports.push((rank, number));
        }
    }
    // A port need not be declared to be open; where the kubelet asks, something listens.
    let asked =
        containers(pod).flat_map(|container| PROBES.iter().filter_map(|probe| container.get(*probe)?.pointer("/httpGet/port")?.as_u64()));
    for number in asked.filter_map(|number| u16::try_from(number).ok()) {
        if ports.iter().all(|(_, known)| *known != number) {
            ports.push((USUAL_NAMES.len(), number));
        }
    }
    // Of one rank in the order in which they are declared.
    ports.sort_by_key(|(rank, _)| *rank);
    ports.into_iter().map(|(_, number)| number).take(MOST_PORTS).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn pod(annotations: Value, ports: Value) -> Value {
        json!({"metadata": {"annotations": annotations}, "spec": {
            "initContainers": [{"restartPolicy": "Always", "ports": [{"containerPort": 15090}]}, {"ports": [{"containerPort": 1}]}],
            "containers": [{"ports": ports}, {}],
        }})
    }

    fn told(pod: &Value) -> String {
        places(pod, std::iter::empty()).iter().map(Place::to_string).collect::<Vec<_>>().join(" ")
    }

    #[rstest]
    #[case::all_that_is_said(json!({"prometheus.io/port": "9102", "prometheus.io/path": "stats", "prometheus.io/scheme": "https"}), "https :9102/stats")]
    #[case::the_path(json!({"prometheus.io/path": "/m?format=prometheus"}), ":8080/m?format=prometheus :15090/m?format=prometheus")]
    #[case::the_port(json!({"prometheus.io/port": "9102"}), ":9102/metrics :9102/actuator/prometheus :9102/q/metrics :9102/prometheus :9102/stats/prometheus")]
    #[case::not_to_be_scraped(json!({"prometheus.io/scrape": "false"}), "")]
    fn what_annotations_say(#[case] annotations: Value, #[case] expected: &str) {
        assert_eq!(told(&pod(annotations, json!([{"containerPort": 8080}]))), expected);
    }

    #[test]
    fn a_template_says_it_too() {
        let template = json!({"metadata": {"annotations": {"prometheus.io/path": "stats", "prometheus.io/scheme": "https"}}});
        let told = |hints: Hints| hints.at(9102).iter().map(Place::to_string).collect::<Vec<_>>().join(" ");
        assert_eq!(told(Hints::of(&template)), "https :9102/stats");
        assert_eq!(
            told(Hints::of(&json!({}))),
            ":9102/metrics :9102/actuator/prometheus :9102/q/metrics :9102/prometheus :9102/stats/prometheus"
        );
        let long = json!({"metadata": {"annotations": {"prometheus.io/path": "x".repeat(LONGEST_PATH + 1)}}});
        assert_eq!(Hints::of(&long), Hints::default());
    }

    #[test]
    fn the_likeliest_port_is_first() {
        let ports = json!([
            {"containerPort": 50051, "name": "grpc"}, {"containerPort": 8080, "name": "http"}, {"containerPort": 53, "protocol": "UDP"},
            {"containerPort": 9090, "name": "metrics"}, {"containerPort": 8080}, {"containerPort": 70_000},
        ]);
        let mut ports: Vec<u16> = places(&pod(json!({}), ports), std::iter::empty()).iter().map(|place| place.port).collect();
        ports.dedup();
        assert_eq!(ports, [9090, 8080, 50051, 15090]);
    }

    #[test]
    fn a_port_that_is_not_declared_may_be_asked_by_the_kubelet() {
        let probe = |port: Value| json!({"httpGet": {"path": "/healthz", "port": port}});
        let containers =
            json!([{"readinessProbe": probe(json!(8080)), "livenessProbe": probe(json!(8081))}, {"readinessProbe": probe(json!("http"))}]);
        let mut ports: Vec<u16> =
            places(&json!({"spec": {"containers": containers}}), std::iter::empty()).iter().map(|place| place.port).collect();
        ports.dedup();
        assert_eq!(ports, [8080, 8081]);
    }
}

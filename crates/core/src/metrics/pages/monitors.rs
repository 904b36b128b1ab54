//! Where `PodMonitors` and `ServiceMonitors` of the Prometheus operator say that a Deployment's pods have their pages. What they say is a hint: it is
//! tried like any other place, and nothing depends on it. Lists none of them.

use serde_json::Value;

use super::places::{LONGEST_PATH, Place, Scheme, declared, places};
use crate::manifest::{object, service::sends_to};

/// Where they name more, the others are left out.
const MOST: usize = 8;

/// Where to look at each pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    scheme: Scheme,
    /// As each pod may have another number for a name.
    port: Port,
    path: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Port {
    Number(u16),
    Name(String),
}

impl Port {
    fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(name) if !name.is_empty() => Some(Self::Name(name.clone())),
            Value::Number(number) => {
                number.as_u64().and_then(|number| u16::try_from(number).ok()).filter(|port| *port > 0).map(Self::Number)
            }
            _ => None,
        }
    }
}

impl Endpoint {
    /// `None` where the pod has no such port.
    fn place(&self, pod: &Value) -> Option<Place> {
        let port = match &self.port {
            Port::Number(number) => *number,
            Port::Name(name) => declared(pod).find(|(known, _)| known == name)?.1,
        };
        Some(Place { scheme: self.scheme, port, path: self.path.clone() })
    }
}

/// The places of this pod, the likeliest first; none where it says that it isn't to be scraped, or tells no port.
pub fn monitored_places(pod: &Value, endpoints: &[Endpoint]) -> Vec<Place> {
    places(pod, endpoints.iter().filter_map(|endpoint| endpoint.place(pod)))
}

/// Of the pods of this Deployment, by the monitors and Services of its namespace.
pub fn endpoints(primary: &Value, pod_monitors: &[Value], service_monitors: &[Value], services: &[Value]) -> Vec<Endpoint> {
    let template = object::template(primary);
    let (namespace, labels) = (object::namespace(primary), object::metadata_map(template, "labels"));
    let label = |name: &str| labels.get(name).and_then(Value::as_str);
    let by_pod = pod_monitors.iter().filter(|monitor| reaches(monitor, namespace) && selects(monitor, label)).flat_map(|monitor| {
        let ports = |endpoint: &Value| ["portNumber", "port", "targetPort"].iter().find_map(|key| Port::of(&endpoint[*key]));
        list(monitor, "podMetricsEndpoints").filter_map(move |endpoint| of(endpoint, ports(endpoint)?))
    });
    let serving = || services.iter().filter(|service| sends_to(service, labels));
    let by_service = service_monitors.iter().filter(|monitor| reaches(monitor, namespace)).flat_map(|monitor| {
        let services = serving().filter(|service| selects(monitor, |name| object::label(service, name)));
        services.flat_map(|service| {
            let port = |endpoint: &Value| Port::of(&endpoint["targetPort"]).or_else(|| target(service, endpoint["port"].as_str()?));
            list(monitor, "endpoints").filter_map(move |endpoint| of(endpoint, port(endpoint)?))
        })
    });
    let mut all: Vec<Endpoint> = Vec::new();
    for endpoint in by_pod.chain(by_service) {
        if all.len() < MOST && !all.contains(&endpoint) {
            all.push(endpoint);
        }
    }
    all
}

fn list<'a>(monitor: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    monitor["spec"][key].as_array().into_iter().flatten()
}

fn of(endpoint: &Value, port: Port) -> Option<Endpoint> {
    let path = endpoint["path"].as_str().filter(|path| !path.is_empty()).unwrap_or("/metrics");
    let is_https = endpoint["scheme"].as_str().is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
    let scheme = if is_https { Scheme::Https } else { Scheme::Http };
    (path.len() <= LONGEST_PATH).then(|| Endpoint { scheme, port, path: format!("/{}", path.trim_start_matches('/')) })
}

/// Whether it is about the pods of this namespace, which is its own.
fn reaches(monitor: &Value, namespace: &str) -> bool {
    let selector = &monitor["spec"]["namespaceSelector"];
    let names = selector["matchNames"].as_array().map(Vec::as_slice).unwrap_or_default();
    selector["any"] == true || names.is_empty() || names.iter().any(|name| name == namespace)
}

fn selects<'a>(monitor: &Value, label: impl Fn(&str) -> Option<&'a str>) -> bool {
    let selector = &monitor["spec"]["selector"];
    let equal = selector["matchLabels"].as_object().into_iter().flatten().all(|(name, value)| label(name) == value.as_str());
    let holds = |expression: &Value| {
        let found = expression["key"].as_str().and_then(&label);
        let is_listed =
            expression["values"].as_array().into_iter().flatten().any(|value| value.as_str().is_some() && value.as_str() == found);
        match expression["operator"].as_str() {
            Some("In") => is_listed,
            Some("NotIn") => !is_listed,
            Some("Exists") => found.is_some(),
            Some("DoesNotExist") => found.is_none(),
            _ => false,
        }
    };
    equal && selector["matchExpressions"].as_array().into_iter().flatten().all(holds)
}

/// The pods' port behind a Service's.
fn target(service: &Value, name: &str) -> Option<Port> {
    let port = list(service, "ports").find(|port| port["name"] == name)?;
    Port::of(&port["targetPort"]).or_else(|| Port::of(&port["port"]))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn primary() -> Value {
        json!({"metadata": {"name": "app", "namespace": "shop"}, "spec": {"template": {
            "metadata": {"labels": {"app": "app", "team": "red"}},
            "spec": {"containers": [{"ports": [{"name": "http", "containerPort": 8080}, {"name": "admin", "containerPort": 9102}]}]},
        }}})
    }

    fn service() -> Value {
        json!({"metadata": {"name": "app", "labels": {"monitored": "yes"}}, "spec": {
            "selector": {"app": "app"}, "ports": [{"name": "web", "port": 80, "targetPort": "admin"}, {"name": "plain", "port": 9000}],
        }})
    }

    fn told(pods: &[Value], services: &[Value]) -> String {
        let primary = primary();
        let found = endpoints(&primary, pods, services, &[service(), json!({"spec": {"ports": [{"name": "web", "port": 1}]}})]);
        let pod = object::template(&primary);
        found.iter().filter_map(|endpoint| endpoint.place(pod)).map(|place| place.to_string()).collect::<Vec<_>>().join(" ")
    }

    #[rstest]
    #[case::a_name(json!({"selector": {"matchLabels": {"app": "app"}}, "podMetricsEndpoints": [{"port": "admin", "path": "/stats"}]}), ":9102/stats")]
    #[case::a_number(json!({"selector": {}, "podMetricsEndpoints": [{"portNumber": 7000}, {"targetPort": 7001, "scheme": "https"}]}), ":7000/metrics https :7001/metrics")]
    #[case::an_expression(json!({"selector": {"matchExpressions": [{"key": "team", "operator": "In", "values": ["red", "blue"]}]}, "podMetricsEndpoints": [{"port": "http"}]}), ":8080/metrics")]
    #[case::others(json!({"selector": {"matchExpressions": [{"key": "team", "operator": "NotIn", "values": ["red"]}]}, "podMetricsEndpoints": [{"port": "http"}]}), "")]
    #[case::another_label(json!({"selector": {"matchLabels": {"app": "api"}}, "podMetricsEndpoints": [{"port": "http"}]}), "")]
    #[case::another_namespace(json!({"selector": {}, "namespaceSelector": {"matchNames": ["hr"]}, "podMetricsEndpoints": [{"port": "http"}]}), "")]
    #[case::every_namespace(json!({"selector": {}, "namespaceSelector": {"any": true}, "podMetricsEndpoints": [{"port": "http"}]}), ":8080/metrics")]
    #[case::a_port_that_no_container_has(json!({"selector": {}, "podMetricsEndpoints": [{"port": "nope"}]}), "")]
    #[case::anything(json!({"selector": [], "podMetricsEndpoints": [{"port": 0}, {"port": {}}, 7, {"portNumber": 70_000}]}), "")]
    fn pod_monitors(#[case] spec: Value, #[case] expected: &str) {
        assert_eq!(told(&[json!({"spec": spec})], &[]), expected);
    }

    #[rstest]
    #[case::through_the_service(json!({"selector": {"matchLabels": {"monitored": "yes"}}, "endpoints": [{"port": "web"}, {"port": "plain"}]}), ":9102/metrics :9000/metrics")]
    #[case::past_it(json!({"selector": {}, "endpoints": [{"targetPort": "http", "path": "q/metrics"}]}), ":8080/q/metrics")]
    #[case::another_service(json!({"selector": {"matchLabels": {"monitored": "no"}}, "endpoints": [{"port": "web"}]}), "")]
    fn service_monitors(#[case] spec: Value, #[case] expected: &str) {
        assert_eq!(told(&[], &[json!({"spec": spec})]), expected);
    }

    #[test]
    fn many_are_cut_and_a_pods_own_word_counts_for_more() {
        let ports: Vec<Value> = (1..100).map(|port| json!({"portNumber": port})).collect();
        let primary = primary();
        let found = endpoints(&primary, &[json!({"spec": {"selector": {}, "podMetricsEndpoints": ports}})], &[], &[]);
        assert_eq!(found.len(), MOST);
        let mut pod = object::template(&primary).clone();
        let first = |pod: &Value| monitored_places(pod, &found).iter().take(2).map(Place::to_string).collect::<Vec<_>>().join(" ");
        assert_eq!(first(&pod), ":1/metrics :2/metrics");
        pod["metadata"]["annotations"] = json!({"prometheus.io/port": "9102"});
        assert_eq!(first(&pod), ":9102/metrics :9102/actuator/prometheus");
        pod["metadata"]["annotations"] = json!({"prometheus.io/scrape": "false"});
        assert_eq!(first(&pod), "");
    }
}

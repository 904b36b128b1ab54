//! Who asks a pod besides its clients: kubelet's probes, and whoever reads its metrics (statistics, section 7). What they ask is no traffic.

use std::time::Duration;

use serde_json::Value;

use crate::metrics::discovery::Found;

/// Kubernetes' own default.
const PERIOD: f64 = 10.0;
/// Their counters tell who asked, so probes are told apart by labels.
const OF_PROXIES: [&str; 5] = ["istio", "linkerd", "envoy", "nginx-ingress", "traefik"];

/// One container as the template has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Container {
    ports: Vec<u16>,
    /// How often a second each of its probes asks, at which port.
    probes: Vec<(u16, f64)>,
}

/// The containers of a Deployment's template.
pub(super) fn containers(deployment: &Value) -> Vec<Container> {
    let list = deployment.pointer("/spec/template/spec/containers").and_then(Value::as_array);
    list.into_iter().flatten().map(container).collect()
}

fn container(container: &Value) -> Container {
    let ports = || container.get("ports").and_then(Value::as_array).into_iter().flatten();
    let number = |value: &Value| value.as_u64().and_then(|port| u16::try_from(port).ok());
    let named = |name: &str| ports().find(|port| port.get("name").and_then(Value::as_str) == Some(name))?.get("containerPort").and_then(number);
    // The startup probe is over when the pod is Ready.
    let probes = ["livenessProbe", "readinessProbe"].iter().filter_map(|kind| container.get(*kind)).filter_map(|probe| {
        let port = probe.pointer("/httpGet/port").or_else(|| probe.pointer("/grpc/port"))?;
        let port = number(port).or_else(|| named(port.as_str()?))?;
        let period = probe.get("periodSeconds").and_then(Value::as_f64).filter(|period| *period > 0.0).unwrap_or(PERIOD);
        Some((port, period.recip()))
    });
    Container { ports: ports().filter_map(|port| port.get("containerPort").and_then(number)).collect(), probes: probes.collect() }
}

/// Requests per second in this counter that no client made, one rate for each who asks. `scrape` is the interval of the scraper.
pub(super) fn rates(containers: &[Container], found: &Found, scrape: Option<Duration>) -> Vec<f64> {
    // Words of the user's own are left alone.
    if found.preset.is_none_or(|preset| OF_PROXIES.contains(&preset)) {
        return Vec::new();
    }
    let has = |container: &&Container| found.port.is_some_and(|port| container.ports.contains(&port));
    let counting = containers.iter().find(has).or(match containers {
        [only] => Some(only),
        _ => None,
    });
    let Some(counting) = counting else { return Vec::new() };
    let is_elsewhere = |port: u16| !counting.ports.contains(&port) && containers.iter().any(|other| other.ports.contains(&port));
    let declared = containers.iter().flat_map(|container| {
        let is_own = std::ptr::eq(container, counting);
        container.probes.iter().filter(move |(port, _)| if is_own { !is_elsewhere(*port) } else { counting.ports.contains(port) })
    });
    let scraper = scrape.map(|interval| interval.as_secs_f64()).filter(|interval| *interval > 0.0).map(f64::recip);
    declared.map(|(_, rate)| *rate).chain(scraper).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::metrics::counting::{Labels, Members, Pods, Sample, Series};
    use crate::metrics::discovery::{Choice, recognise};

    /// A counter of one pod, at this port.
    fn found(metric: &str, choice: &str, instance: &str) -> Found {
        let labels = [("__name__", metric), ("code", "200"), ("response_code", "200"), ("reporter", "destination"), ("pod", "app-1"), ("instance", instance)];
        let labels: Labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let series = [Series { labels, samples: vec![Sample { at: 0, value: 100.0 }] }];
        let pods = Pods { primary: Members::of_names(["app-1"]), ..Pods::default() };
        recognise(&Choice::parse(choice).unwrap(), &series, &pods, "app").unwrap()
    }

    fn deployment() -> Value {
        json!({"spec": {"template": {"spec": {"containers": [
            {
                "name": "app",
                "ports": [{"name": "http", "containerPort": 8080}],
                "readinessProbe": {"httpGet": {"port": "http"}, "periodSeconds": 2},
                "livenessProbe": {"grpc": {"port": 8080}},
                "startupProbe": {"httpGet": {"port": "http"}, "periodSeconds": 1},
            },
            {
                "name": "second",
                "ports": [{"containerPort": 9090}],
                "readinessProbe": {"httpGet": {"port": 8080}, "periodSeconds": 4},
                "livenessProbe": {"tcpSocket": {"port": 9090}},
            },
        ]}}}})
    }

    #[rstest]
    #[case::of_its_container_and_of_others_at_its_port("http", "10.0.0.1:8080", &[0.5, 0.1, 0.25, 0.2])]
    #[case::a_port_that_nobody_asks("http", "10.0.0.1:9090", &[0.2])]
    #[case::an_unknown_port("http", "10.0.0.1:7070", &[])]
    #[case::words_of_the_users_own("{requests: http_requests_total, errors: 'http_requests_total{code=\"500\"}'}", "10.0.0.1:8080", &[])]
    fn who_asks(#[case] choice: &str, #[case] instance: &str, #[case] expected: &[f64]) {
        let mut rates = rates(&containers(&deployment()), &found("http_requests_total", choice, instance), Some(Duration::from_secs(5)));
        let mut expected = expected.to_vec();
        rates.sort_by(f64::total_cmp);
        expected.sort_by(f64::total_cmp);
        assert_eq!(rates, expected);
    }

    #[test]
    fn a_proxys_counter_knows_who_asked() {
        let found = found("istio_requests_total", "istio", "10.0.0.1:8080");
        assert_eq!(rates(&containers(&deployment()), &found, Some(Duration::from_secs(5))), Vec::<f64>::new());
    }
}

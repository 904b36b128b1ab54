//! Samples of a primary's counters before there is any canary: from its pods' metrics pages, by way of the API server, or from a Prometheus. What
//! is read, and what a page or an answer says, is the core's to know.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use coalmine_core::{
    api::{origin::Origin, policy::Policy},
    judging::{
        Pod,
        collecting::{Collected, Read, Target},
        of_primary_alone,
    },
    manifest::object,
    metrics::{
        counting::{PodLabel, Scope, Series},
        discovery::{self, Choice},
        pages::{Page, Scheme, Wishes},
        stores::{
            Wanted,
            prometheus::{
                answer,
                query::{self, Dialect},
            },
        },
    },
};
use http::Request;
use kube::{Client, Config};
use serde_json::Value;

use crate::{args::Asked, clock::now, cluster::Cluster, terminal};

/// Between the first look at the pages and the last.
const APART: Duration = Duration::from_secs(10);
/// The maximum number of pods on which a page is looked for, one after the other.
const SEARCHES: usize = 3;
/// How far back a Prometheus is asked.
const PAST: Duration = Duration::from_mins(5);
/// Names in one question: it travels in an address.
const MOST_PODS: usize = 30;

/// Who answered, and what; or why nobody did, in words.
pub(crate) async fn of(
    cluster: &Cluster,
    primary: &Value,
    policy: &Policy,
    pods: &[Pod],
    asked: &Asked,
) -> Result<(Origin, Result<Vec<Series>, String>)> {
    // Whoever is not judged by counts has nothing that could be read.
    if policy.metrics == Choice::Nothing {
        return Ok((Origin::default(), Ok(Vec::new())));
    }
    if policy.metrics.origin() == Some(Origin::Datadog) {
        return Ok((Origin::Datadog, Err("canary.metrics names Datadog, which is not asked from here".to_owned())));
    }
    if let Some(url) = &asked.prometheus_url {
        let mut config = Config::new(address(url)?);
        config.connect_timeout = asked.timeout;
        config.read_timeout = asked.timeout;
        config.default_retry = false;
        let client = Client::try_from(config).context("failed to make a client for --prometheus-url")?;
        return Ok((Origin::Prometheus, of_prometheus(&client, "", primary, policy, pods).await));
    }
    if let Some(service) = &asked.prometheus_service {
        let Some((namespace, name)) = service.split_once('/').filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty()) else {
            bail!("--prometheus-service: {service:?} is not accepted; expected NAMESPACE/NAME:PORT, such as monitoring/prometheus:9090");
        };
        let path = format!("/api/v1/namespaces/{namespace}/services/{name}/proxy");
        return Ok((Origin::Prometheus, of_prometheus(&cluster.client, &path, primary, policy, pods).await));
    }
    if policy.metrics.origin() == Some(Origin::Prometheus) {
        let words = "canary.metrics names Prometheus; say where it is with --prometheus-url or --prometheus-service";
        return Ok((Origin::Prometheus, Err(words.to_owned())));
    }
    Ok((Origin::Pages, of_pages(cluster, primary, policy, pods).await))
}

fn address(url: &str) -> Result<http::Uri> {
    let uri: Option<http::Uri> = url.trim_end_matches('/').parse().ok();
    let uri = uri.filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty()));
    uri.with_context(|| format!("--prometheus-url: {url:?} is not accepted; expected an address such as http://localhost:9090"))
}

async fn of_pages(cluster: &Cluster, primary: &Value, policy: &Policy, pods: &[Pod]) -> Result<Vec<Series>, String> {
    let (namespace, name) = (object::namespace(primary), object::name(primary));
    let pod_spec = primary.pointer("/spec/template/spec").cloned().unwrap_or_default();
    let mut collected = Collected::new(namespace, name, Wishes::of(policy, &[&pod_spec]), true);
    collected.aim(&[], pods);
    let tried = |(tried, _): (String, bool)| format!("found no metrics page of {name}'s pods: {tried}");
    for _ in 0..SEARCHES {
        round(cluster, namespace, &mut collected).await?;
        if collected.present().is_ok() {
            break;
        }
    }
    collected.present().map_err(tried)?;
    // The search read one pod; from here on it is all that are drawn.
    round(cluster, namespace, &mut collected).await?;
    terminal::remark(&format!("Reading the pods' metrics pages for {} s ...", APART.as_secs()));
    tokio::time::sleep(APART).await;
    round(cluster, namespace, &mut collected).await?;
    Ok(collected.all())
}

/// Errors are those that the next page would meet too.
async fn round(cluster: &Cluster, namespace: &str, collected: &mut Collected) -> Result<(), String> {
    let at = now();
    let mut results = Vec::new();
    for target in collected.targets() {
        let read = page(cluster, namespace, &target, collected.wishes()).await?;
        results.push((target, read));
    }
    collected.took(at, results, Duration::ZERO);
    Ok(())
}

async fn page(cluster: &Cluster, namespace: &str, target: &Target, wishes: &Wishes) -> Result<Read, String> {
    let place = &target.place;
    let scheme = if place.scheme == Scheme::Https { "https:" } else { "" };
    let path = place.path.trim_start_matches('/');
    let url = format!("/api/v1/namespaces/{namespace}/pods/{scheme}{}:{}/proxy/{path}", target.pod(), place.port);
    let answer = match get(&cluster.client, &url).await {
        Ok(answer) => answer,
        Err(kube::Error::Api(status)) if is_ours(&status, "pods/proxy") => {
            return Err(format!(
                "the right to get pods/proxy in {namespace} is missing (kubectl auth can-i get pods --subresource=proxy); or name a Prometheus with \
                 --prometheus-url"
            ));
        }
        Err(kube::Error::Api(status)) => return Ok(Read::Refused(format!("status {}", status.code))),
        Err(_) => return Ok(Read::Silent),
    };
    let mut page = Page::default();
    let whole = page.push(wishes, answer.as_bytes()).and_then(|()| page.end(wishes));
    Ok(match whole {
        Err(error) => Read::Refused(error.to_string()),
        Ok(()) if page.is_metrics => Read::Page(Box::new(page)),
        Ok(()) => Read::Refused("no metrics page".to_owned()),
    })
}

/// The API server's own refusal, and not the pod's.
fn is_ours(status: &kube::core::Status, resource: &str) -> bool {
    status.is_forbidden() && status.message.contains(resource)
}

async fn get(client: &Client, path: &str) -> kube::Result<String> {
    let request = Request::get(path).body(Vec::new()).map_err(kube::Error::HttpError)?;
    client.request_text(request).await
}

async fn of_prometheus(client: &Client, path: &str, primary: &Value, policy: &Policy, pods: &[Pod]) -> Result<Vec<Series>, String> {
    let some: Vec<Pod> = pods.iter().take(MOST_PODS).cloned().collect();
    if some.is_empty() {
        return Err(format!("none of {}'s pods is Ready, so there is nothing to ask Prometheus about", object::name(primary)));
    }
    let pods = of_primary_alone(&some, object::name(primary));
    let scope = Scope { namespace: object::namespace(primary).to_owned(), pods };
    let metrics = discovery::wanted(&policy.metrics, policy.max_latency_p99.is_some());
    let mut last = Vec::new();
    for pod_label in PodLabel::ALL.into_iter().filter(|label| !scope.pods.pattern(*label).is_empty()) {
        let wanted = Wanted { metrics: metrics.clone(), bounds: Vec::new(), pod_label, since: PAST, step: None, sums: None };
        let asked = query::samples(&scope, &wanted, Dialect::default());
        let url = format!("{path}/api/v1/query?query={}", query::encoded(&asked));
        let answer = get(client, &url).await.map_err(|error| match error {
            kube::Error::Api(status) if is_ours(&status, "services/proxy") => {
                "the right to get services/proxy is missing; kubectl port-forward and --prometheus-url may do".to_owned()
            }
            kube::Error::Api(status) => format!("Prometheus answers with status {}: {}", status.code, status.message),
            error => format!("Prometheus does not answer: {}", chain(&error)),
        })?;
        last = answer::parse(answer.as_bytes(), Some(&[]), answer::MOST_ROWS)
            .map_err(|problem| format!("failed to query Prometheus: {problem}"))?;
        if last.iter().any(|series| series.name() != "up") {
            break;
        }
    }
    Ok(last)
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.last().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_whole() {
        for good in ["http://localhost:9090", "https://prometheus.example/prefix/", "http://[::1]:9090"] {
            assert!(address(good).is_ok(), "{good}");
        }
        for bad in ["", "x:y", "localhost:9090", "/api", "ftp://host", "http://"] {
            assert_eq!(
                address(bad).unwrap_err().to_string(),
                format!("--prometheus-url: {bad:?} is not accepted; expected an address such as http://localhost:9090")
            );
        }
    }
}

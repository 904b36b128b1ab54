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
        counting::{Labels, PodLabel, Sample, Series, escaped},
        discovery::{self, Choice},
        pages::{Page, Scheme, Wishes},
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
const PAST: &str = "5m";
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
    let mut collected = Collected::new(namespace, name, Wishes::of(policy, &pod_spec), true);
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
    let members = of_primary_alone(&some, object::name(primary)).primary;
    let names = discovery::wanted(&policy.metrics, policy.max_latency_p99.is_some()).join("|");
    let mut last = Vec::new();
    for label in PodLabel::ALL {
        let pods = members.pattern(label);
        if pods.is_empty() {
            continue;
        }
        let namespace =
            label.namespace().map(|label| format!(",{label}=~\"|{}\"", escaped(object::namespace(primary)))).unwrap_or_default();
        let query = format!("{{__name__=~\"{names}\",{}=~\"{pods}\"{namespace}}}[{PAST}]", label.name());
        let url = format!("{path}/api/v1/query?query={}", encoded(&query));
        let answer = get(client, &url).await.map_err(|error| match error {
            kube::Error::Api(status) if is_ours(&status, "services/proxy") => {
                "the right to get services/proxy is missing; kubectl port-forward and --prometheus-url may do".to_owned()
            }
            kube::Error::Api(status) => format!("Prometheus answers with status {}: {}", status.code, status.message),
            error => format!("Prometheus does not answer: {}", chain(&error)),
        })?;
        last = matrix(&answer)
            .with_context(|| "Prometheus answers in a way that is not understood".to_owned())
            .map_err(|error| format!("{error:#}"))?;
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

/// The answer to a range vector.
/// Source: <https://prometheus.io/docs/prometheus/latest/querying/api/#range-vectors>
fn matrix(answer: &str) -> Result<Vec<Series>> {
    let answer: Value = serde_json::from_str(answer).context("it is no JSON")?;
    if answer["status"] != "success" {
        bail!("{}", answer["error"].as_str().unwrap_or("it says nothing"));
    }
    let rows = answer.pointer("/data/result").and_then(Value::as_array).context("it has no result")?;
    let sample = |point: &Value| {
        let at = point.get(0).and_then(Value::as_f64).context("a sample has no time")? * 1000.0;
        let value = point.get(1).and_then(Value::as_str).and_then(|value| value.parse().ok()).context("a sample has no value")?;
        #[expect(clippy::cast_possible_truncation, reason = "milliseconds of any date fit")]
        Ok(Sample { at: at as i64, value })
    };
    let series = |row: &Value| {
        let labels: Labels = serde_json::from_value(row["metric"].clone()).context("a series has no labels")?;
        let samples = row["values"].as_array().into_iter().flatten().map(sample).collect::<Result<_>>()?;
        Ok(Series { labels, samples })
    };
    rows.iter().map(series).collect()
}

/// For a query string. <https://url.spec.whatwg.org/#application-x-www-form-urlencoded-percent-encode-set>
fn encoded(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read() {
        let answer = r#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"up","pod":"a"},"values":[[1.5,"1"],[2,"NaN"]]}]}}"#;
        let series = matrix(answer).unwrap();
        assert_eq!((series[0].label("pod"), series[0].samples[0]), ("a", Sample { at: 1500, value: 1.0 }));
        let words = |answer: &str| format!("{:#}", matrix(answer).unwrap_err());
        assert_eq!(words("<html>"), "it is no JSON: expected value at line 1 column 1");
        assert_eq!(words(r#"{"status":"error","error":"bad_data"}"#), "bad_data");
        assert_eq!(words(r#"{"status":"success","data":{"result":[{"metric":{},"values":[[1]]}]}}"#), "a sample has no value");
    }

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

    #[test]
    fn a_query_travels_in_an_address() {
        assert_eq!(encoded("{pod=~\"a|b\"}[5m]"), "%7Bpod%3D~%22a%7Cb%22%7D%5B5m%5D".replace('~', "%7E"));
    }
}

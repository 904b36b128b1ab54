//! Datadog, by its public API for timeseries points (`GET /api/v1/query`). Its answers are counts in buckets of time; they are made into counters, so
//! that the same counting serves. Keys are read from files for every question, because mounted Secrets are renewed in place.
//!
//! In a check's query `{{pods}}` stands for a filter: `avg:trace.http.request.apdex{service:app AND {{pods}}}`.

mod answer;

use std::path::PathBuf;
use std::time::Duration;

use futures::future::BoxFuture;
use reqwest::Client;
use reqwest::redirect::Policy;

use super::{Error, Problem, Scope, Source, Wanted, http};
use crate::clock;
use crate::core::counting::{Members, PodLabel, Series};

const TIMEOUT: Duration = Duration::from_secs(5);

/// How to reach it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// As `https://api.datadoghq.eu`.
    pub url: String,
    pub api_key_file: PathBuf,
    pub application_key_file: PathBuf,
}

/// A client of one account.
#[derive(Debug)]
pub struct Datadog {
    client: Client,
    settings: Settings,
}

impl Datadog {
    pub fn new(settings: Settings) -> reqwest::Result<Self> {
        let mut builder = Client::builder().timeout(TIMEOUT).redirect(Policy::none()).no_proxy();
        if !settings.url.starts_with("https:") {
            // An image without any certificate must still speak plain HTTP.
            builder = builder.tls_certs_only([]);
        }
        Ok(Self { client: builder.build()?, settings })
    }

    async fn query(&self, query: &str, since: Duration) -> Result<Vec<Series>, Error> {
        let asked = self.ask(query, since).await.and_then(|body| answer::parse(&body));
        asked.map_err(|problem| Error { target: format!("Datadog at {}", self.settings.url), problem })
    }

    async fn ask(&self, query: &str, since: Duration) -> Result<Vec<u8>, Problem> {
        let now = clock::now().as_second();
        let from = now.saturating_sub(i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
        let request = self
            .client
            .get(format!("{}/api/v1/query", self.settings.url.trim_end_matches('/')))
            .query(&[("from", from.to_string()), ("to", now.to_string()), ("query", query.to_owned())])
            .header("DD-API-KEY", key(&self.settings.api_key_file).await?)
            .header("DD-APPLICATION-KEY", key(&self.settings.application_key_file).await?);
        let (status, body) = http::answer(request, TIMEOUT).await?;
        if status.is_success() { Ok(body) } else { Err(http::refusal(status, answer::refusal(&body).as_deref())) }
    }

    /// The counts of some metrics by pod, as counters that begin with the answer.
    async fn counters(&self, scope: &Scope, metrics: &[String], since: Duration) -> Result<Vec<Series>, Error> {
        let members = [filter(&scope.pods.canary), filter(&scope.pods.primary)].into_iter().filter(|side| !side.is_empty());
        let pods = members.collect::<Vec<_>>().join(" OR ");
        let mut all = Vec::new();
        // Names with wildcards and Prometheus' own `up` mean nothing here.
        for metric in metrics.iter().map(|name| name.replace("[.]", ".")).filter(|name| name != "up" && is_plain(name)) {
            let query =
                format!("sum:{metric}{{kube_namespace:{} AND ({pods})}} by {{pod_name,http.status_code}}.as_count()", scope.namespace);
            all.extend(self.query(&query, since).await?.into_iter().map(|series| answer::counter(series, &metric)));
        }
        Ok(all)
    }
}

async fn key(path: &PathBuf) -> Result<String, Problem> {
    let text = tokio::fs::read_to_string(path).await;
    let text = text.map_err(|error| Problem::Credentials { what: path.display().to_string(), reason: error.kind().to_string() })?;
    let text = text.trim().to_owned();
    let is_key = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_key { Ok(text) } else { Err(Problem::Credentials { what: path.display().to_string(), reason: "not a key".to_owned() }) }
}

/// A filter that holds for these pods.
pub(super) fn filter(members: &Members) -> String {
    let names = members.names.iter().map(|name| format!("pod_name:{name}"));
    let prefixes = members.prefixes.iter().map(|prefix| format!("pod_name:{prefix}*"));
    let all: Vec<String> = names.chain(prefixes).collect();
    match all.len() {
        0 => String::new(),
        1 => all.concat(),
        _ => format!("({})", all.join(" OR ")),
    }
}

fn is_plain(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_'))
}

impl Source for Datadog {
    fn present<'a>(&'a self, scope: &'a Scope, metrics: &'a [String]) -> BoxFuture<'a, Result<Vec<Series>, Error>> {
        Box::pin(async move { self.counters(scope, metrics, Duration::from_mins(5)).await })
    }

    fn samples<'a>(&'a self, scope: &'a Scope, wanted: &'a Wanted) -> BoxFuture<'a, Result<Vec<Series>, Error>> {
        Box::pin(async move { self.counters(scope, &wanted.metrics, wanted.since).await })
    }

    fn evaluate<'a>(&'a self, query: &'a str, since: Duration, _step: Duration) -> BoxFuture<'a, Result<Vec<Series>, Error>> {
        Box::pin(async move { self.query(query, since).await })
    }

    fn pattern(&self, members: &Members, _label: PodLabel) -> String {
        filter(members)
    }
}

#[cfg(test)]
mod tests;

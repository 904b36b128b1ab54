//! Datadog, by its public API for timeseries points (`GET /api/v1/query`). Its answers are counts in buckets of time; they are made into counters, so
//! that the same counting serves: `canary.metrics` names two of them with `source: datadog`, and they must have the tags `kube_namespace` and
//! `pod_name`, which Datadog's agent writes. The newest bucket still fills, so the whole run is asked for each time. Keys are read from files for every question, because mounted Secrets are renewed in place.
//!
//! In a check's query `{{pods}}` stands for a filter: `avg:trace.http.request.apdex{service:app AND {{pods}}}`.

use std::path::PathBuf;
use std::time::Duration;

use futures::future::BoxFuture;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client};

use super::{Error, Problem, Scope, Source, Wanted, http};
use crate::clock;
use coalmine_core::metrics::{
    counting::{FACTS, Members, PodLabel, Series},
    stores::datadog as answer,
};

const TIMEOUT: Duration = Duration::from_secs(5);
/// Hundreds of pods for a day in buckets of a minute.
const LARGEST_ANSWER: usize = 4 << 20;

/// How to reach it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// As `https://api.datadoghq.eu`.
    pub url: String,
    pub api_key_file: PathBuf,
    pub application_key_file: PathBuf,
    /// Those of the system, otherwise.
    pub ca_file: Option<PathBuf>,
}

#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("failed to read {path:?}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("failed to use {path:?}: expected certificates of authorities (PEM)")]
    Authorities { path: PathBuf },
    #[error("there are no authorities to check its certificate against: name them by --datadog-ca-file")]
    NoAuthorities,
}

/// A client of one account.
#[derive(Debug)]
pub struct Datadog {
    client: Client,
    settings: Settings,
}

impl Datadog {
    /// Through the proxy that `HTTPS_PROXY` names, if it does: it is not in the cluster.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let mut builder = Client::builder().timeout(TIMEOUT).redirect(Policy::none());
        if let Some(path) = &settings.ca_file {
            let pem = std::fs::read(path).map_err(|source| SettingsError::Read { path: path.clone(), source })?;
            let authorities = Certificate::from_pem_bundle(&pem).ok().filter(|authorities| !authorities.is_empty());
            builder = builder.tls_certs_only(authorities.ok_or_else(|| SettingsError::Authorities { path: path.clone() })?);
        } else if !settings.url.starts_with("https:") {
            // An image without any certificate must still speak plain HTTP.
            builder = builder.tls_certs_only([]);
        }
        Ok(Self { client: builder.build().map_err(|_| SettingsError::NoAuthorities)?, settings })
    }

    /// Series with the position of the query that they answer.
    async fn query(&self, query: &str, since: Duration, largest: usize) -> Result<Vec<(usize, Series)>, Error> {
        let asked = self.ask(query, since, largest).await.and_then(|body| answer::parse(&body));
        asked.map_err(|problem| Error { target: format!("Datadog at {}", self.settings.url), problem })
    }

    async fn ask(&self, query: &str, since: Duration, largest: usize) -> Result<http::Body, Problem> {
        let now = clock::now().as_second();
        let from = now.saturating_sub(i64::try_from(since.as_secs()).unwrap_or(i64::MAX));
        let request = self
            .client
            .get(format!("{}/api/v1/query", self.settings.url.trim_end_matches('/')))
            .query(&[("from", from.to_string()), ("to", now.to_string()), ("query", query.to_owned())])
            .header("DD-API-KEY", key(&self.settings.api_key_file).await?)
            .header("DD-APPLICATION-KEY", key(&self.settings.application_key_file).await?);
        let (status, body) = http::answer(largest, request, TIMEOUT).await?;
        if status.is_success() { Ok(body) } else { Err(http::refusal(status, &body, answer::refusal(&body).as_deref())) }
    }

    /// The counts of some metrics by pod, as counters that begin with the answer. One request.
    async fn counters(&self, scope: &Scope, metrics: &[String], since: Duration) -> Result<Vec<Series>, Error> {
        // What only a Prometheus or its libraries write means nothing here.
        let metrics: Vec<String> = metrics.iter().filter(|name| !FACTS.contains(&name.as_str())).map(|name| plain(name)).collect();
        let queries: Vec<String> = metrics.iter().map(|metric| counts(scope, metric, since)).collect();
        let series = self.query(&queries.join(","), since, LARGEST_ANSWER).await?;
        Ok(series.into_iter().filter_map(|(query, series)| Some(answer::counter(series, metrics.get(query)?))).collect())
    }
}

/// Datadog answers with a limited number of points; up to this length of time they are as fine as there are.
const FINEST_UP_TO: Duration = Duration::from_hours(4);
const FINEST_BUCKET: Duration = Duration::from_secs(10);

/// What was counted by each pod, in buckets.
fn counts(scope: &Scope, metric: &str, since: Duration) -> String {
    let (metric, tags) = metric.trim_end_matches('}').split_once('{').unwrap_or((metric, ""));
    let pods = [filter(&scope.pods.canary), filter(&scope.pods.primary)].into_iter().filter(|side| !side.is_empty());
    let pods = pods.collect::<Vec<_>>().join(" OR ");
    // A comma between tags is an "and", which can't stand beside the word.
    let own = tags.split(',').map(str::trim).filter(|tag| !tag.is_empty() && *tag != "*");
    let own: String = own.map(|tag| if tag.contains(' ') { format!("({tag}) AND ") } else { format!("{tag} AND ") }).collect();
    let bucket = if since <= FINEST_UP_TO { FINEST_BUCKET.as_secs() } else { (since.as_secs() / 1440).next_multiple_of(60) };
    format!("sum:{metric}{{{own}kube_namespace:{} AND ({pods})}} by {{pod_name}}.as_count().rollup(sum,{bucket})", scope.namespace)
}

/// A name that was made a pattern, as it was: what could be taken for a pattern stands in brackets.
fn plain(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern.chars();
    while let Some(character) = rest.next() {
        out.push(if character == '[' { rest.next().unwrap_or(character) } else { character });
        if character == '[' {
            rest.next();
        }
    }
    out
}

async fn key(path: &PathBuf) -> Result<String, Problem> {
    let text = tokio::fs::read_to_string(path).await;
    let text = text.map_err(|error| Problem::Credentials { what: path.display().to_string(), reason: error.kind().to_string() })?;
    let text = text.trim().to_owned();
    let is_key = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if is_key { Ok(text) } else { Err(Problem::Credentials { what: path.display().to_string(), reason: "not a key".to_owned() }) }
}

/// A question travels in an address, which must not grow with the service: at most this number of pods speak for all.
const MOST_PODS: usize = 100;

/// A filter that holds for these pods.
pub(super) fn filter(members: &Members) -> String {
    let all: Vec<String> = members.names.iter().take(MOST_PODS).map(|name| format!("pod_name:{name}")).collect();
    match all.len() {
        0 => String::new(),
        1 => all.concat(),
        _ => format!("({})", all.join(" OR ")),
    }
}

impl Source for Datadog {
    fn present<'a>(&'a self, scope: &'a Scope, metrics: &'a [String]) -> BoxFuture<'a, Result<Vec<Series>, Error>> {
        Box::pin(async move { self.counters(scope, metrics, Duration::from_mins(5)).await })
    }

    fn samples<'a>(&'a self, scope: &'a Scope, wanted: &'a Wanted) -> BoxFuture<'a, Result<Vec<Series>, Error>> {
        Box::pin(async move { self.counters(scope, &wanted.metrics, wanted.since).await })
    }

    fn evaluate<'a>(
        &'a self,
        _namespace: &'a str,
        query: &'a str,
        since: Duration,
        _step: Duration,
    ) -> BoxFuture<'a, Result<Vec<Series>, Error>> {
        Box::pin(async move {
            let answer = self.query(query, since, http::LARGEST_FOR_A_CHECK).await?;
            Ok(answer.into_iter().map(|(_, series)| series).collect())
        })
    }

    fn is_final(&self) -> bool {
        false
    }

    /// It allows some hundreds of questions an hour.
    fn rest(&self) -> Duration {
        FINEST_BUCKET
    }

    fn pattern(&self, members: &Members, _label: PodLabel) -> String {
        filter(members)
    }
}

#[cfg(test)]
mod tests;

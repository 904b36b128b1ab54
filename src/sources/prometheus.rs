//! Prometheus, and what speaks its query API: Thanos, Mimir, `VictoriaMetrics`. Instant queries only, never with a time of ours: the server's
//! clock is the one that its samples carry. Every question is bounded in time and in size.

mod renewed;
mod settings;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{RequestBuilder, StatusCode};
use tokio::sync::Semaphore;

use self::renewed::Renewed;
pub use self::settings::{Settings, SettingsError};
use super::{Error, Problem, Scope, Source, Wanted, http};
use coalmine_core::metrics::{
    counting::{Labels, Series},
    stores::prometheus::{answer, parts, present, query, summed},
};

/// The maximum number of questions at once: a bound on memory, and on Coalmine's load on Prometheus.
const AT_ONCE: usize = 8;
/// With more, the server is asked to sum them up: each is a thousand bytes and more for as long as a canary is judged.
const MOST_SERIES_OF_A_RUN: usize = 4000;
/// A check is about a number, or about a few that are told apart by labels.
const MOST_SERIES_OF_A_CHECK: usize = 100;

/// A client of one server.
#[derive(Debug)]
pub struct Prometheus {
    client: Renewed,
    /// Without a slash at the end.
    url: String,
    settings: Settings,
    permits: Semaphore,
    /// It takes no longer questions, as far as is known.
    longest: AtomicUsize,
}

impl Prometheus {
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let client = Renewed::new(settings.clone())?;
        settings.header_map("namespace")?;
        let url = settings.url.trim_end_matches('/').to_owned();
        Ok(Self { client, url, settings, permits: Semaphore::new(AT_ONCE), longest: AtomicUsize::new(usize::MAX) })
    }

    fn dialect(&self) -> query::Dialect<'_> {
        query::Dialect { matchers: &self.settings.matchers, pod_label: self.settings.pod_label.as_deref() }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// One instant query at the server's own now.
    pub async fn query(&self, query: &str) -> Result<Vec<Series>, Error> {
        self.query_with("", query, None, answer::MOST_ROWS).await
    }

    async fn query_with(&self, namespace: &str, query: &str, bounds: Option<&[String]>, most: usize) -> Result<Vec<Series>, Error> {
        let failed = |problem| Error { target: format!("Prometheus at {}", self.url), problem };
        // The semaphore is never closed; should it be, unbounded is better than stuck.
        let _permit = self.permits.acquire().await.ok();
        let body = self.ask(namespace, query, http::LARGEST_ANSWER).await.map_err(failed)?;
        answer::parse(&body, bounds, most).map_err(failed)
    }

    /// All of these questions, whose answers have no more than `most` series together. Who takes none so long is asked shorter ones from then on.
    async fn query_in_parts(
        &self,
        namespace: &str,
        bounds: &[String],
        most: usize,
        questions: impl Fn(usize) -> Vec<String>,
    ) -> Result<Vec<Series>, Error> {
        let mut longest = self.longest.load(Ordering::Relaxed);
        loop {
            let mut all = Vec::new();
            let mut failed = None;
            for question in questions(longest) {
                match self.query_with(namespace, &question, Some(bounds), most).await {
                    Ok(series) => all.extend(series),
                    Err(error) => {
                        failed = Some(error);
                        break;
                    }
                }
            }
            let shorter = || parts::LENGTHS.into_iter().find(|length| *length < longest);
            match (failed, all.len()) {
                (None, found) if found > most => {
                    return Err(Error { target: format!("Prometheus at {}", self.url), problem: Problem::TooManySeries(most) });
                }
                (None, _) => return Ok(all),
                (Some(error), _) => match shorter().filter(|_| error.problem.is_of_length()) {
                    Some(shorter) => longest = shorter,
                    None => return Err(error),
                },
            }
            self.longest.fetch_min(longest, Ordering::Relaxed);
        }
    }

    /// A user's own query. It takes none of the places of the questions that every verdict needs.
    async fn query_of_a_check(&self, namespace: &str, query: &str) -> Result<Vec<Series>, Error> {
        let failed = |problem| Error { target: format!("Prometheus at {}", self.url), problem };
        let body = self.ask(namespace, query, http::LARGEST_FOR_A_CHECK).await.map_err(failed)?;
        let series = query::to_the_end(answer::parse(&body, None, answer::MOST_ROWS).map_err(failed)?);
        if series.len() > MOST_SERIES_OF_A_CHECK { Err(failed(Problem::TooMany(MOST_SERIES_OF_A_CHECK))) } else { Ok(series) }
    }

    /// `{{namespace}}` stands for the one that is asked about, and what follows a question mark is sent with each question: gateways of several
    /// tenants want to know whose series are meant.
    fn address(&self, namespace: &str) -> String {
        let url = self.url.replace("{{namespace}}", namespace);
        let (base, parameters) = url.split_once('?').map_or((url.as_str(), String::new()), |(base, rest)| (base, format!("?{rest}")));
        format!("{}/api/v1/query{parameters}", base.trim_end_matches('/'))
    }

    async fn answer(&self, request: RequestBuilder, namespace: &str, largest: usize) -> Result<(StatusCode, http::Body), Problem> {
        let mut request = request.headers(self.settings.header_map(namespace).unwrap_or_default());
        if let Some(authorization) = self.settings.authorization().await? {
            request = request.header(AUTHORIZATION, authorization);
        }
        http::answer(largest, request, self.settings.timeout).await
    }

    async fn ask(&self, namespace: &str, query: &str, largest: usize) -> Result<http::Body, Problem> {
        let form = format!("query={}", query::encoded(query));
        let address = self.address(namespace);
        let client = self.client.current().await;
        let post = client.post(&address).header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.clone());
        let (mut status, mut body) = self.answer(post, namespace, largest).await?;
        // A gateway that lets people read may let them do nothing else.
        if matches!(status, StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED) {
            let separator = if address.contains('?') { '&' } else { '?' };
            (status, body) = self.answer(client.get(format!("{address}{separator}{form}")), namespace, largest).await?;
        }
        // Refused queries come with 400, 422 or 503, and say why in JSON.
        if status.is_success() { Ok(body) } else { Err(http::refusal(status, &body, answer::refusal(&body).as_deref())) }
    }
}

impl Source for Prometheus {
    fn present<'a>(&'a self, scope: &'a Scope, metrics: &'a [String]) -> BoxFuture<'a, Result<Vec<Series>, Error>> {
        Box::pin(async move {
            let questions = |longest| present::present(scope, metrics, self.dialect(), longest);
            let series = self.query_in_parts(&scope.namespace, &[], answer::MOST_ROWS, questions).await?;
            // One that several labels name is in several parts.
            let mut known = BTreeSet::<Labels>::new();
            let series = series.into_iter().filter(|one| known.insert(one.labels.clone())).collect();
            Ok(self.dialect().translated(series))
        })
    }

    fn samples<'a>(&'a self, scope: &'a Scope, wanted: &'a Wanted) -> BoxFuture<'a, Result<Vec<Series>, Error>> {
        Box::pin(async move {
            let (namespace, dialect) = (&scope.namespace, self.dialect());
            let series = match &wanted.sums {
                None => {
                    let questions = |longest| query::samples_in_parts(scope, wanted, dialect, longest);
                    self.query_in_parts(namespace, &wanted.bounds, MOST_SERIES_OF_A_RUN, questions).await?
                }
                Some(sums) => {
                    let questions = |longest| summed::samples_in_parts(scope, wanted, sums, dialect, longest);
                    summed::at_the_scrapes(self.query_in_parts(namespace, &wanted.bounds, answer::MOST_ROWS, questions).await?)
                }
            };
            Ok(dialect.translated(series))
        })
    }

    fn sums(&self) -> bool {
        true
    }

    fn evaluate<'a>(
        &'a self,
        namespace: &'a str,
        query: &'a str,
        since: Duration,
        step: Duration,
    ) -> BoxFuture<'a, Result<Vec<Series>, Error>> {
        Box::pin(async move { self.query_of_a_check(namespace, &query::over_time(query, since, step)).await })
    }
}

#[cfg(test)]
mod tests;

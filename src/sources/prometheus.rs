//! Prometheus, and what speaks its query API: Thanos, Mimir, `VictoriaMetrics`. Instant queries only, never with a time of ours: the server's
//! clock is the one that its samples carry. Every question is bounded in time and in size.

mod renewed;
mod settings;

use std::time::Duration;

use futures::future::BoxFuture;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::{RequestBuilder, StatusCode};
use tokio::sync::Semaphore;

use self::renewed::Renewed;
pub use self::settings::{Settings, SettingsError};
use super::{Error, Problem, Scope, Source, Wanted, http};
use coalmine_core::metrics::{
    counting::Series,
    stores::prometheus::{answer, query, summed},
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
}

impl Prometheus {
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let client = Renewed::new(settings.clone())?;
        settings.header_map("namespace")?;
        let url = settings.url.trim_end_matches('/').to_owned();
        Ok(Self { client, url, settings, permits: Semaphore::new(AT_ONCE) })
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
            let query = query::present(scope, metrics, self.dialect());
            let series = self.query_with(&scope.namespace, &query, Some(&[]), answer::MOST_ROWS).await?;
            Ok(self.dialect().translated(series))
        })
    }

    fn samples<'a>(&'a self, scope: &'a Scope, wanted: &'a Wanted) -> BoxFuture<'a, Result<Vec<Series>, Error>> {
        Box::pin(async move {
            let series = match &wanted.sums {
                None => {
                    let query = query::samples(scope, wanted, self.dialect());
                    self.query_with(&scope.namespace, &query, Some(&wanted.bounds), MOST_SERIES_OF_A_RUN).await?
                }
                Some(sums) => {
                    let query = summed::samples(scope, wanted, sums, self.dialect());
                    let series = self.query_with(&scope.namespace, &query, Some(&wanted.bounds), answer::MOST_ROWS).await?;
                    summed::at_the_scrapes(series)
                }
            };
            Ok(self.dialect().translated(series))
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

//! Prometheus, and what speaks its query API: Thanos, Mimir, `VictoriaMetrics`. Instant queries only, never with a time of ours: the server's
//! clock is the one that its samples carry. Every question is bounded in time and in size.

mod answer;
mod query;
mod settings;

use std::error::Error as _;
use std::time::Duration;

use futures::future::BoxFuture;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, LOCATION};
use reqwest::{Client, Response, StatusCode};
use tokio::sync::Semaphore;

pub use self::settings::{Settings, SettingsError};
use super::error::brief;
use super::{Error, Problem, Scope, Source, Wanted};
use crate::core::counting::Series;

/// No answer may be larger.
const LARGEST_ANSWER: usize = 16 << 20;

/// So many questions at once: a bound on memory, and on the load that Coalmine is for Prometheus.
const AT_ONCE: usize = 8;

/// A client of one server.
#[derive(Debug)]
pub struct Prometheus {
    client: Client,
    /// Without a slash at the end.
    url: String,
    headers: HeaderMap,
    settings: Settings,
    permits: Semaphore,
}

impl Prometheus {
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        let client = settings.client()?;
        let headers = settings.header_map()?;
        let url = settings.url.trim_end_matches('/').to_owned();
        Ok(Self { client, url, headers, settings, permits: Semaphore::new(AT_ONCE) })
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// One instant query at the server's own now.
    pub async fn query(&self, query: &str) -> Result<Vec<Series>, Error> {
        let failed = |problem| Error { target: format!("Prometheus at {}", self.url), problem };
        // The semaphore is never closed; should it be, unbounded is better than stuck.
        let _permit = self.permits.acquire().await.ok();
        let asked = tokio::time::timeout(self.settings.timeout, self.ask(query));
        let body = asked.await.unwrap_or(Err(Problem::Timeout(self.settings.timeout))).map_err(failed)?;
        answer::parse(&body).map_err(failed)
    }

    async fn ask(&self, query: &str) -> Result<Vec<u8>, Problem> {
        let mut request = self
            .client
            .post(format!("{}/api/v1/query", self.url))
            .headers(self.headers.clone())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(format!("query={}", query::encoded(query)));
        if let Some(authorization) = self.settings.authorization().await? {
            request = request.header(AUTHORIZATION, authorization);
        }
        let response = request.send().await.map_err(|error| self.problem(&error))?;
        let status = response.status();
        if status.is_redirection() {
            let target = response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or("nowhere");
            return Err(Problem::Redirect(brief(target)));
        }
        let body = self.body(response).await?;
        // Refused queries come with 400, 422 or 503, and say why in JSON.
        if !status.is_success() {
            return Err(refusal(status, &body));
        }
        Ok(body)
    }

    async fn body(&self, mut response: Response) -> Result<Vec<u8>, Problem> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.problem(&error))? {
            if body.len() + chunk.len() > LARGEST_ANSWER {
                return Err(Problem::TooLarge(LARGEST_ANSWER));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn problem(&self, error: &reqwest::Error) -> Problem {
        if error.is_connect() {
            return if error.is_timeout() {
                Problem::Timeout(self.settings.connect_timeout)
            } else {
                Problem::NoConnection(innermost(error))
            };
        }
        if error.is_timeout() {
            return Problem::Timeout(self.settings.timeout);
        }
        if error.is_body() || error.is_decode() || error.is_request() { Problem::Truncated } else { Problem::Unexpected(innermost(error)) }
    }
}

/// The cause that a person can do something about is the last of the chain.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    let mut source = error.source();
    while let Some(inner) = source {
        cause = inner;
        source = inner.source();
    }
    brief(&cause.to_string())
}

fn refusal(status: StatusCode, body: &[u8]) -> Problem {
    match answer::refusal(body) {
        Some(message) if status.is_client_error() => Problem::Refused(brief(&message)),
        Some(message) => Problem::Status { status: status.as_u16(), message: brief(&message) },
        None => Problem::Status { status: status.as_u16(), message: brief(status.canonical_reason().unwrap_or_default()) },
    }
}

impl Source for Prometheus {
    fn present<'a>(&'a self, scope: &'a Scope, metrics: &'a [String]) -> BoxFuture<'a, Result<Vec<Series>, Error>> {
        Box::pin(async move { self.query(&query::present(scope, metrics)).await })
    }

    fn samples<'a>(&'a self, scope: &'a Scope, wanted: &'a Wanted) -> BoxFuture<'a, Result<Vec<Series>, Error>> {
        Box::pin(async move { self.query(&query::samples(scope, wanted)).await })
    }

    fn evaluate<'a>(&'a self, query: &'a str, since: Duration, step: Duration) -> BoxFuture<'a, Result<Vec<Series>, Error>> {
        Box::pin(async move { self.query(&query::over_time(query, since, step)).await })
    }
}

#[cfg(test)]
mod tests;

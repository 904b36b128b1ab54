//! What every source that speaks HTTP needs: an answer of bounded size, and the library's errors in words for a person.

use std::error::Error as _;
use std::ops::Deref;
use std::time::Duration;

use coalmine_core::{metrics::stores::brief, notify::tries::retry_after};
use reqwest::header::{LOCATION, RETRY_AFTER};
use reqwest::{RequestBuilder, Response, StatusCode};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::Problem;
use crate::clock;

/// No answer may be larger.
pub(super) const LARGEST_ANSWER: usize = 16 << 20;
/// Of a query that a user wrote: a number, or a few, over time.
pub(super) const LARGEST_FOR_A_CHECK: usize = 512 << 10;
/// An answer that grows beyond this waits until no other large one is read: a bound on all of them together.
const SMALL_ANSWER: usize = 1 << 20;
static LARGE_ANSWERS: Semaphore = Semaphore::const_new(2);

/// An answer, with the place among large ones that it takes until it is read.
pub(super) struct Body {
    bytes: Vec<u8>,
    /// When it wants to be asked again.
    wait: Option<Duration>,
    _place: Option<SemaphorePermit<'static>>,
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Sends, and reads the whole answer, of at most `largest` bytes, within `timeout`. Redirects are told, not followed.
pub(super) async fn answer(largest: usize, request: RequestBuilder, timeout: Duration) -> Result<(StatusCode, Body), Problem> {
    let asked = tokio::time::timeout(timeout, read(largest, request));
    asked.await.unwrap_or_else(|_| Ok(Err(Problem::Timeout(timeout)))).unwrap_or_else(|error| Err(problem(&error, timeout)))
}

async fn read(largest: usize, request: RequestBuilder) -> reqwest::Result<Result<(StatusCode, Body), Problem>> {
    let mut response = request.send().await?;
    let status = response.status();
    if status.is_redirection() {
        let target = response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or("nowhere");
        return Ok(Err(Problem::Redirect(brief(target))));
    }
    let wait = patience(&response);
    let mut body = Vec::new();
    let mut place = None;
    while let Some(chunk) = response.chunk().await? {
        let length = body.len() + chunk.len();
        if length > largest {
            return Ok(Err(Problem::TooLarge(largest)));
        }
        if length > SMALL_ANSWER && place.is_none() {
            // It is never closed; should it be, unbounded is better than stuck. The wait counts as time of the answer.
            place = LARGE_ANSWERS.acquire().await.ok();
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Ok((status, Body { bytes: body, wait, _place: place })))
}

/// Of who has too much to do (429, 503).
fn patience(response: &Response) -> Option<Duration> {
    let header = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    retry_after(header, clock::now())
}

fn problem(error: &reqwest::Error, timeout: Duration) -> Problem {
    if error.is_timeout() {
        return Problem::Timeout(timeout);
    }
    if error.is_connect() {
        return Problem::NoConnection(innermost(error));
    }
    if error.is_body() || error.is_decode() || error.is_request() { Problem::Truncated } else { Problem::Unexpected(innermost(error)) }
}

/// The cause that a person can do something about is the last of the chain.
pub(crate) fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    let mut source = error.source();
    while let Some(inner) = source {
        cause = inner;
        source = inner.source();
    }
    brief(&cause.to_string())
}

/// A status that says no, with what the server said about it, and when it may say something else.
pub(super) fn refusal(status: StatusCode, body: &Body, message: Option<&str>) -> Problem {
    match message {
        Some(message) if matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY) => Problem::Refused(brief(message)),
        message => Problem::Status {
            status: status.as_u16(),
            message: brief(message.or(status.canonical_reason()).unwrap_or_default()),
            wait: body.wait,
        },
    }
}

//! What every source that speaks HTTP needs: an answer of bounded size, and the library's errors in words for a person.

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::LOCATION;
use reqwest::{RequestBuilder, StatusCode};

use super::Problem;
use super::error::brief;

/// No answer may be larger.
pub(super) const LARGEST_ANSWER: usize = 16 << 20;

/// Sends, and reads the whole answer within `timeout`. Redirects are told, not followed.
pub(super) async fn answer(request: RequestBuilder, timeout: Duration) -> Result<(StatusCode, Vec<u8>), Problem> {
    answer_up_to(LARGEST_ANSWER, request, timeout).await
}

/// The same for an answer of at most so many bytes.
pub(super) async fn answer_up_to(largest: usize, request: RequestBuilder, timeout: Duration) -> Result<(StatusCode, Vec<u8>), Problem> {
    let asked = tokio::time::timeout(timeout, read(largest, request));
    asked.await.unwrap_or_else(|_| Ok(Err(Problem::Timeout(timeout)))).unwrap_or_else(|error| Err(problem(&error, timeout)))
}

async fn read(largest: usize, request: RequestBuilder) -> reqwest::Result<Result<(StatusCode, Vec<u8>), Problem>> {
    let mut response = request.send().await?;
    let status = response.status();
    if status.is_redirection() {
        let target = response.headers().get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or("nowhere");
        return Ok(Err(Problem::Redirect(brief(target))));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > largest {
            return Ok(Err(Problem::TooLarge(largest)));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Ok((status, body)))
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
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    let mut source = error.source();
    while let Some(inner) = source {
        cause = inner;
        source = inner.source();
    }
    brief(&cause.to_string())
}

/// A status that says no, with what the server said about it.
pub(super) fn refusal(status: StatusCode, message: Option<&str>) -> Problem {
    match message {
        Some(message) if matches!(status, StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY) => Problem::Refused(brief(message)),
        message => Problem::Status { status: status.as_u16(), message: brief(message.or(status.canonical_reason()).unwrap_or_default()) },
    }
}

//! Why a source gave no numbers: one short line for an Event or a log, without the library's chain of causes.

use std::time::Duration;

use crate::{manifest::answers::is_refusal, words::within};

/// A failed question.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to query {target}: {problem}")]
pub struct Error {
    /// What was asked, as in `Prometheus at http://prometheus.monitoring.svc:9090`.
    pub target: String,
    pub problem: Problem,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("no connection ({0})")]
    NoConnection(String),
    #[error("no answer within {}", seconds(*.0))]
    Timeout(Duration),
    #[error("connection lost in the middle of the answer")]
    Truncated,
    #[error("status {status}{}", detail(.message))]
    Status { status: u16, message: String, wait: Option<Duration> },
    #[error("it redirects to {0}; give that address instead")]
    Redirect(String),
    #[error("the answer is {0} instead of JSON; is the address right?")]
    NotJson(&'static str),
    #[error("the answer isn't what its API promises ({0})")]
    Unexpected(String),
    #[error("the answer is longer than {}", bytes(*.0))]
    TooLarge(usize),
    #[error("the answer has more than {0} series")]
    TooManySeries(usize),
    #[error("it gave more than {0} series; a check asks for a few, as with sum, avg or max")]
    TooMany(usize),
    #[error("{tried}")]
    NoPage { tried: String, is_silent: bool },
    #[error("it refused the query: {0}")]
    Refused(String),
    #[error("it answered in part only: {0}")]
    Partial(String),
    #[error("expected {expected}, got {found}")]
    WrongType { expected: &'static str, found: String },
    #[error("failed to read {what}: {reason}")]
    Credentials { what: String, reason: String },
}

impl Problem {
    /// Whether the question itself is wrong, so that asking again won't help.
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Refused(_) | Self::WrongType { .. } => true,
            Self::Status { status, .. } => is_refusal(*status),
            _ => false,
        }
    }

    /// Whether a shorter question would have been answered: `VictoriaMetrics` takes 16 KiB, Mimir as much as it is told, and gateways that let nothing
    /// but GET through what fits into an address.
    pub fn is_of_length(&self) -> bool {
        match self {
            Self::Refused(words) => {
                ["too long query", "maxQueryLen", "query-expression-size", "raw query size"].iter().any(|part| words.contains(part))
            }
            Self::Status { status, message, .. } => matches!(status, 413 | 414 | 431) || message.contains("too long query"),
            _ => false,
        }
    }

    /// Whether less would have been answered. Servers say so in words of their own: `query processing would load too many samples`, `exceeded the
    /// maximum number of samples`.
    pub fn is_of_size(&self) -> bool {
        match self {
            Self::TooLarge(_) | Self::TooManySeries(_) => true,
            Self::Refused(words) => {
                ["too many samples", "exceed", "limit", "cannot select more than"].iter().any(|part| words.contains(part))
            }
            _ => false,
        }
    }
}

fn bytes(count: usize) -> String {
    if count >= 1 << 20 { format!("{} MiB", count >> 20) } else { format!("{} KiB", count >> 10) }
}

fn seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs_f64())
}

fn detail(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

/// Foreign text in our line: one line, and not too long.
pub fn brief(text: &str) -> String {
    const LONGEST: usize = 160;
    within(&text.split_whitespace().collect::<Vec<_>>().join(" "), LONGEST)
}

//! What was typed, checked while it is parsed, so that the rest of the program only sees values that make sense.

use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use jiff::SignedDuration;

/// Sends requests at a fixed rate and prints one line per second. Ends after --duration, or at SIGINT or SIGTERM, with a summary.
#[derive(Debug, Parser)]
#[command(name = "client", version)]
pub(crate) struct Args {
    /// Where to send GET requests; plain HTTP only
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080/")]
    pub(crate) url: Url,
    /// Requests per second
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) rate: u32,
    /// Stop after this time, such as 90s or 5m [default: run until stopped]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) duration: Option<Duration>,
    /// Requests in flight at most, each on a connection of its own
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub(crate) concurrency: u32,
    /// Requests on one connection before it is replaced: a Service spreads connections, not requests, so this is what lets a
    /// new pod get its share soon
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) requests_per_connection: u32,
    /// Give up on a connection or an answer after this time
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// Print JSON, one object per line, in place of text
    #[arg(long)]
    pub(crate) json: bool,
}

fn duration(text: &str) -> Result<Duration, String> {
    let positive = text.parse::<SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
    positive.filter(|duration| !duration.is_zero()).ok_or_else(|| "expected a time such as 500ms, 90s or 5m".to_owned())
}

/// An `http://` address, taken apart as far as the wire needs it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Url {
    /// Host and port as typed: the `host` header.
    pub(crate) authority: String,
    /// Path and query.
    pub(crate) path: String,
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("expected an address such as http://app.default.svc:80/path{reason}")]
pub(crate) struct UrlError {
    reason: &'static str,
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let wrong = |reason| Err(UrlError { reason });
        if text.starts_with("https://") {
            return wrong("; https is not supported");
        }
        let Some(rest) = text.strip_prefix("http://") else { return wrong("; it must begin with http://") };
        if !rest.chars().all(|character| character.is_ascii_graphic()) {
            return wrong("; it must not contain blanks or control characters");
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let has_host = !authority.is_empty() && !authority.starts_with(':') && !authority.contains('@');
        if !has_host || port(authority).is_none() {
            return wrong("; the host or port is missing or wrong");
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { authority: authority.to_owned(), path })
    }
}

/// The port of `host`, `host:port`, `[address]` or `[address]:port`.
fn port(authority: &str) -> Option<u16> {
    let after_brackets = authority.rfind(']').map_or(0, |end| end + 1);
    match authority[after_brackets..].rsplit_once(':') {
        None => Some(80),
        Some((_, port)) => port.parse().ok().filter(|port| *port != 0),
    }
}

impl Url {
    /// Looked up once: a Service's address stays, and a lookup per connection would measure the name server.
    pub(crate) async fn resolve(&self) -> anyhow::Result<SocketAddr> {
        // The colons of an IPv6 address stand before its bracket.
        let has_port = self.authority.rsplit(']').next().is_some_and(|rest| rest.contains(':'));
        let with_port = if has_port { self.authority.clone() } else { format!("{}:80", self.authority) };
        tokio::net::lookup_host(&with_port)
            .await
            .with_context(|| format!("failed to resolve {with_port}"))?
            .next()
            .with_context(|| format!("failed to resolve {with_port}: it has no address"))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("http://app", "app", "/")]
    #[case("http://app:8080/a/b?c=d", "app:8080", "/a/b?c=d")]
    #[case("http://10.96.0.7?x", "10.96.0.7", "/?x")]
    #[case("http://[::1]:8080/", "[::1]:8080", "/")]
    fn urls(#[case] text: &str, #[case] authority: &str, #[case] path: &str) {
        assert_eq!(text.parse(), Ok(Url { authority: authority.to_owned(), path: path.to_owned() }));
    }

    #[rstest]
    #[case("https://app/", "https is not supported")]
    #[case("app:8080", "must begin with http://")]
    #[case("http:///path", "host or port")]
    #[case("http://:80/", "host or port")]
    #[case("http://app:http/", "host or port")]
    #[case("http://app:0/", "host or port")]
    #[case("http://user@app/", "host or port")]
    #[case("http://app/a b", "blanks")]
    #[case("http://app/\r\nx: y", "blanks")]
    fn wrong_urls(#[case] text: &str, #[case] reason: &str) {
        let error = text.parse::<Url>().unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }

    #[rstest]
    #[case("http://127.0.0.1", "127.0.0.1:80")]
    #[case("http://127.0.0.1:8080/", "127.0.0.1:8080")]
    #[case("http://[::1]", "[::1]:80")]
    #[case("http://[::1]:81/x", "[::1]:81")]
    #[tokio::test]
    async fn addresses(#[case] text: &str, #[case] address: &str) {
        assert_eq!(text.parse::<Url>().unwrap().resolve().await.unwrap().to_string(), address);
    }

    #[rstest]
    #[case("90s", Some(90))]
    #[case("1m30s", Some(90))]
    #[case("-1s", None)]
    #[case("0s", None)]
    #[case("90", None)]
    fn durations(#[case] text: &str, #[case] seconds: Option<u64>) {
        assert_eq!(duration(text).ok(), seconds.map(Duration::from_secs));
    }

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }
}

//! Another service that this one needs, as every real service has one: asked a few times a second whether it answers. While it does not,
//! every request fails, in each pod of every version alike: an outage that can be begun and ended from outside.

use std::{
    fmt, io,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use hyper::Uri;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

const PAUSE: Duration = Duration::from_millis(250);
const PATIENCE: Duration = Duration::from_secs(1);

/// Where the other service answers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dependency {
    host: String,
    port: u16,
    path: String,
}

impl Dependency {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        if uri.scheme_str() != Some("http") {
            return None;
        }
        Some(Self { host: uri.host()?.to_owned(), port: uri.port_u16().unwrap_or(80), path: uri.path().to_owned() })
    }

    /// Keeps `is_down` true to what is seen, for ever.
    pub(crate) async fn watch(&self, is_down: &AtomicBool) {
        loop {
            let answers = tokio::time::timeout(PATIENCE, self.ask()).await;
            is_down.store(!matches!(answers, Ok(Ok(true))), Relaxed);
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Whether it answers with a status of success.
    async fn ask(&self) -> io::Result<bool> {
        let mut stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        let request = format!("GET {} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.path, self.host);
        stream.write_all(request.as_bytes()).await?;
        let mut status = [0; "HTTP/1.1 2".len()];
        stream.read_exact(&mut status).await?;
        Ok(status == *b"HTTP/1.1 2")
    }
}

impl fmt::Display for Dependency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "http://{}:{}{}", self.host, self.port, self.path)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("http://10.96.0.9", Some("http://10.96.0.9:80/"))]
    #[case("http://store:8080/livez", Some("http://store:8080/livez"))]
    #[case("https://store/", None)]
    #[case("store", None)]
    fn addresses(#[case] text: &str, #[case] expected: Option<&str>) {
        assert_eq!(Dependency::parse(text).map(|dependency| dependency.to_string()).as_deref(), expected);
    }
}

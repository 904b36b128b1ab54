//! Reads one page: a bounded number of bytes within a bounded time, a bounded number at once, and each as it comes, so that a page of any length
//! takes no more memory than a short one. No redirect, no credentials, no proxy.

use std::error::Error;
use std::io::{self, Write};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use flate2::write::MultiGzDecoder;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Response};

use super::super::fair::Shares;
use super::super::telemetry::{Ended, Questions};
use coalmine_core::api::checks::is_allowed;
use coalmine_core::api::origin::Origin;
use coalmine_core::judging::collecting::Read;
use coalmine_core::metrics::counting::bracketed;
use coalmine_core::metrics::pages::{Page, Place, Scheme, Wishes};

/// Slow libraries take seconds; who takes longer says nothing in time.
pub(super) const TIMEOUT: Duration = Duration::from_secs(4);
/// The largest page, in bytes once it is unpacked.
const LARGEST_PAGE: usize = 16 << 20;
/// The maximum number of pages at once, and of one namespace's: its pods need not answer.
const AT_ONCE: usize = 24;
const SHARE: usize = 12;
/// Connections that a run leaves open between two rounds.
const IDLE: Duration = Duration::from_secs(15);
/// Text, with names as they are where a library can write them so.
const FORMATS: &str =
    "application/openmetrics-text;version=1.0.0;q=0.7,text/plain;version=1.0.0;escaping=allow-utf-8,text/plain;version=0.0.4;q=0.8";
const AGENT: &str = concat!("coalmine/", env!("CARGO_PKG_VERSION"));

/// A client for all runs.
#[derive(Debug)]
pub struct Fetcher {
    plain: Client,
    tls: Client,
    /// Whether a page that comes over TLS is known to be the pod's.
    pub(super) verifies: bool,
    shares: Shares,
    is_of_a_pod: fn(IpAddr) -> bool,
    questions: Questions,
}

impl Fetcher {
    /// `authorities` (PEM) have signed the certificates of pages that come over TLS. A pod's certificate names no address, so that any of theirs
    /// is good enough.
    pub fn new(authorities: Option<&[u8]>) -> reqwest::Result<Self> {
        let builder = || {
            let client = Client::builder().timeout(TIMEOUT).connect_timeout(Duration::from_secs(1)).redirect(to_the_same_page()).no_proxy();
            client.user_agent(AGENT).pool_max_idle_per_host(1).pool_idle_timeout(IDLE)
        };
        let tls = match authorities {
            Some(pem) => builder().tls_certs_only(Certificate::from_pem_bundle(pem)?).tls_danger_accept_invalid_hostnames(true),
            None => builder().tls_certs_only([]).tls_danger_accept_invalid_certs(true),
        };
        let (plain, tls) = (builder().tls_certs_only([]).build()?, tls.build()?);
        Ok(Self {
            plain,
            tls,
            verifies: authorities.is_some(),
            shares: Shares::new(AT_ONCE, SHARE),
            is_of_a_pod: is_allowed,
            questions: Questions::default(),
        })
    }

    /// Where pages are counted that are the source of a run.
    #[must_use]
    pub fn counted(self, questions: &Questions) -> Self {
        questions.begin(Origin::Pages);
        Self { questions: questions.clone(), ..self }
    }

    pub(super) fn count(&self, read: &Read) {
        self.questions.count(Origin::Pages, if matches!(read, Read::Page(_)) { Ended::Answered } else { Ended::Failed });
    }

    /// What is there within that time, and how long a page took.
    pub(super) async fn read(
        &self,
        namespace: &str,
        address: &str,
        place: &Place,
        wishes: &Wishes,
        within: Duration,
    ) -> (Read, Option<Duration>) {
        let Some(url) = url(address, place, self.is_of_a_pod) else { return (Read::Refused("no address of a pod".to_owned()), None) };
        let _place = self.shares.take(namespace).await;
        let begun = Instant::now();
        let client = if place.scheme == Scheme::Https { &self.tls } else { &self.plain };
        let page = async {
            let response = client.get(url).header(ACCEPT, FORMATS).header(ACCEPT_ENCODING, "gzip").send().await?;
            self::page(response, wishes).await
        };
        match tokio::time::timeout(within, page).await {
            Ok(Ok(Ok(page))) => (Read::Page(Box::new(page)), Some(begun.elapsed())),
            Ok(Ok(Err(words))) => (Read::Refused(words), None),
            Ok(Err(error)) if error.is_connect() && !error.is_timeout() => (Read::Refused(no_connection(&error).to_owned()), None),
            Ok(Err(_)) | Err(_) => (Read::Silent, None),
        }
    }
}

fn no_connection(error: &reqwest::Error) -> &'static str {
    match error.source().and_then(of_tls) {
        Some(rustls::Error::InvalidCertificate(_)) => "its certificate is of none of the authorities of --pages-ca-file",
        Some(_) => "it speaks no TLS that is understood",
        None => "no connection",
    }
}

/// What TLS itself says is wrapped up as a failure of the connection.
fn of_tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(found) = error.downcast_ref() {
        return Some(found);
    }
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => of_tls(inner),
        None => error.source().and_then(of_tls),
    }
}

async fn page(mut response: Response, wishes: &Wishes) -> reqwest::Result<Result<Page, String>> {
    if !response.status().is_success() {
        return Ok(Err(format!("status {}", response.status().as_u16())));
    }
    let encoding = response.headers().get(CONTENT_ENCODING).map(|value| value.as_bytes().to_ascii_lowercase());
    // A page without a line says by its head alone what it is.
    let is_metrics = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(is_of_metrics);
    let mut page = Page::default();
    page.is_metrics = is_metrics;
    let sink = Sink { page, wishes, left: LARGEST_PAGE };
    let mut unpacked = match encoding.as_deref() {
        None | Some(b"" | b"identity") => Unpacked::Plain(sink),
        Some(b"gzip" | b"x-gzip") => Unpacked::Gzip(Box::new(MultiGzDecoder::new(sink))),
        Some(_) => return Ok(Err("packed in a way that is not read".to_owned())),
    };
    while let Some(chunk) = response.chunk().await? {
        if let Err(error) = unpacked.push(&chunk) {
            return Ok(Err(error.to_string()));
        }
    }
    Ok(unpacked.end().map_err(|error| error.to_string()))
}

fn is_of_metrics(content_type: &str) -> bool {
    content_type.starts_with("application/openmetrics-text") || content_type.starts_with("text/plain") && content_type.contains("version=")
}

enum Unpacked<'a> {
    Plain(Sink<'a>),
    Gzip(Box<MultiGzDecoder<Sink<'a>>>),
}

impl Unpacked<'_> {
    fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(sink) => sink.write_all(bytes),
            Self::Gzip(decoder) => decoder.write_all(bytes),
        }
    }

    fn end(self) -> io::Result<Page> {
        let mut sink = match self {
            Self::Plain(sink) => sink,
            Self::Gzip(decoder) => decoder.finish()?,
        };
        sink.page.end(sink.wishes).map_err(io::Error::other)?;
        if sink.page.is_metrics { Ok(sink.page) } else { Err(io::Error::other("no metrics page")) }
    }
}

/// Takes a page apart while it comes.
struct Sink<'a> {
    page: Page,
    wishes: &'a Wishes,
    left: usize,
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self.left.checked_sub(bytes.len()).ok_or_else(|| io::Error::other("longer than 16 MiB"))?;
        self.page.push(self.wishes, bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Servers that mount a page answer with its address and a slash behind it (`/metrics/`). Nothing else that a pod says leads anywhere.
fn to_the_same_page() -> Policy {
    Policy::custom(|attempt| {
        let is_the_same = attempt.previous().len() == 1
            && attempt.previous().iter().all(|asked| {
                let (from, to) = (asked.path(), attempt.url().path());
                asked.origin() == attempt.url().origin() && asked.query() == attempt.url().query() && to.strip_suffix('/') == Some(from)
            });
        if is_the_same { attempt.follow() } else { attempt.stop() }
    })
}

/// Nothing for what isn't a pod's address.
fn url(address: &str, Place { scheme, port, path }: &Place, is_of_a_pod: fn(IpAddr) -> bool) -> Option<String> {
    address
        .parse::<IpAddr>()
        .is_ok_and(is_of_a_pod)
        .then(|| format!("{scheme}://{}:{port}/{}", bracketed(address), path.trim_start_matches('/')))
}

#[cfg(test)]
pub(in crate::sources) mod tests;

//! Reads a JSON page of the user's choice and compares one value. Coalmine asks from its own place in the network, so it asks no address that only
//! this place can reach, follows no redirect, sends no credentials but those that the operator gave for that very host, and repeats nothing of the
//! answer but whether it fits.

mod headers;
mod place;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Url};
use serde_json::Value;

use self::headers::Headers;
use super::http;
use coalmine_core::api::checks::{Expected, is_allowed, target};
use coalmine_core::facts::checked::{Bound, Failed, Outcome, PageFault, PageLacks, Passed, Unknown};
use coalmine_core::metrics::counting::bracketed;

const TIMEOUT: Duration = Duration::from_secs(3);
const LARGEST_PAGE: usize = 256 << 10;
/// One lost packet shall not decide over a release.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);

/// A client for pages.
#[derive(Clone, Debug)]
pub struct Pages {
    client: Client,
    headers: Headers,
    /// Besides what nobody may ask.
    refused: Arc<[IpAddr]>,
}

impl Pages {
    /// `headers` is the directory of the operator's headers for hosts, `refused` what is no page of anybody's, such as the API server;
    /// `authorities` (PEM) are believed besides the system's.
    pub fn new(headers: Option<PathBuf>, refused: Vec<IpAddr>, authorities: Option<&[u8]>) -> reqwest::Result<Self> {
        let refused: Arc<[IpAddr]> = refused.into();
        Self::resolving(&(Arc::new(Allowed(Arc::clone(&refused))) as Arc<dyn Resolve>), headers, refused, authorities)
    }

    fn resolving(
        resolver: &Arc<dyn Resolve>,
        headers: Option<PathBuf>,
        refused: Arc<[IpAddr]>,
        authorities: Option<&[u8]>,
    ) -> reqwest::Result<Self> {
        let own = authorities.map(Certificate::from_pem_bundle).transpose()?.unwrap_or_default();
        let builder = || Client::builder().timeout(TIMEOUT).redirect(Policy::none()).no_proxy().dns_resolver(Arc::clone(resolver));
        // An image without certificates can still read plain HTTP.
        let client = builder().tls_certs_merge(own.clone()).build().or_else(|_| builder().tls_certs_only(own).build())?;
        Ok(Self { client, headers: Headers::new(headers), refused })
    }

    /// Whether the value at `pointer` (a JSON pointer) is what is expected. `{{address}}` in the URL is the canary's own.
    pub async fn check(&self, url: &str, address: Option<&str>, pointer: &str, expected: &Expected) -> Outcome {
        let url = match address {
            Some(address) => url.replace("{{address}}", &bracketed(address)),
            None if url.contains("{{address}}") => return Outcome::Unknown(Unknown::Page(PageLacks::Address)),
            None => url.to_owned(),
        };
        // With all names in it a text may be another address than it was.
        let url = match self.target(&url) {
            Ok(url) => url,
            Err(reason) => return Outcome::Unknown(Unknown::Page(PageLacks::Url(reason))),
        };
        let mut outcome = self.once(&url, pointer, expected).await;
        for _ in 1..TRIES {
            if matches!(outcome, Outcome::Passed(_)) {
                break;
            }
            tokio::time::sleep(PAUSE).await;
            outcome = self.once(&url, pointer, expected).await;
        }
        outcome
    }

    /// A host that is a number is not resolved, so that it is judged here; a name is, when it is resolved.
    fn target(&self, url: &str) -> Result<Url, &'static str> {
        let url = target(url)?;
        let literal = url.host_str().and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
        if literal.is_some_and(|address| self.refused.contains(&address.to_canonical())) {
            Err("the API server isn't asked")
        } else {
            Ok(url)
        }
    }

    async fn once(&self, url: &Url, pointer: &str, expected: &Expected) -> Outcome {
        match self.read(url, pointer).await {
            Err(reason) => Outcome::Unknown(Unknown::Page(PageLacks::Answer(reason))),
            Ok(value) => compare(value.as_ref(), pointer, expected),
        }
    }

    async fn read(&self, url: &Url, pointer: &str) -> Result<Option<Value>, String> {
        let request = self.client.get(url.clone()).headers(self.headers.of(url).await?);
        let (status, body) = http::answer(LARGEST_PAGE, request, TIMEOUT).await.map_err(|problem| match problem {
            super::Problem::Timeout(_) => "no answer in time".to_owned(),
            super::Problem::NoConnection(words) if words.contains("invalid peer certificate") => {
                "its certificate is not believed (--pages-ca-file)".to_owned()
            }
            super::Problem::NoConnection(_) => "no connection".to_owned(),
            super::Problem::Redirect(_) => "it leads elsewhere".to_owned(),
            super::Problem::TooLarge(_) => "it is too long".to_owned(),
            _ => "connection lost".to_owned(),
        })?;
        if !status.is_success() {
            return Err(format!("status {}", status.as_u16()));
        }
        place::find(&body, pointer).map_err(|error| error.to_string())
    }
}

/// What is at this place of the page, if anything, beside what is expected there.
fn compare(value: Option<&Value>, pointer: &str, expected: &Expected) -> Outcome {
    let fault = match (value, expected) {
        (None, _) => Some(PageFault::Missing),
        (Some(value), Expected::Equals(expected)) => (value != expected).then(|| PageFault::IsNot(expected.clone())),
        (Some(value), Expected::Within { min, max }) => match value.as_f64() {
            Some(value) => Bound::broken(value, *min, *max).map(PageFault::Beyond),
            None => Some(PageFault::NoNumber),
        },
    };
    let pointer = pointer.to_owned();
    match fault {
        Some(fault) => Outcome::Failed(Failed::Page { pointer, fault }),
        None => Outcome::Passed(Passed::Page { pointer, expected: expected.clone() }),
    }
}

/// Names that lead to addresses which aren't asked lead nowhere.
struct Allowed(Arc<[IpAddr]>);

impl Resolve for Allowed {
    fn resolve(&self, name: Name) -> Resolving {
        let refused = Arc::clone(&self.0);
        Box::pin(async move {
            // The client connects to these and to nothing else: a name that means something else a moment later changes nothing.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let is_allowed = |address: &SocketAddr| is_allowed(address.ip()) && !refused.contains(&address.ip().to_canonical());
            let allowed: Vec<SocketAddr> = found.filter(is_allowed).collect();
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::sources::pods::fetch::tests::tls::{authority, serve_tls};

    /// Leads every name to one server.
    struct Always(SocketAddr);

    impl Resolve for Always {
        fn resolve(&self, _: Name) -> Resolving {
            let address = self.0;
            Box::pin(async move { Ok(Box::new(std::iter::once(address)) as Addrs) })
        }
    }

    impl Pages {
        /// Leads every name to one server, as no resolver of a cluster would.
        pub(in crate::sources) fn leading_to(address: SocketAddr) -> Self {
            Self::resolving(&(Arc::new(Always(address)) as Arc<dyn Resolve>), None, Arc::new([]), None).unwrap()
        }
    }

    async fn pages(answers: Vec<String>) -> (Pages, String) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                drop(stream.read(&mut [0; 4096]).await);
                drop(stream.write_all(answer.as_bytes()).await);
            }
        });
        (
            Pages::resolving(&(Arc::new(Always(address)) as Arc<dyn Resolve>), None, Arc::new([]), None).unwrap(),
            format!("http://app.test:{}/health", address.port()),
        )
    }

    fn answer(status: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\nLocation: http://elsewhere/\r\n\r\n{body}", body.len())
    }

    #[rstest]
    #[case("200 OK", r#"{"database":{"state":"up"}}"#, |pointer, expected| Outcome::Passed(Passed::Page { pointer, expected }))]
    #[case("200 OK", r#"{"database":{"state":"secret"}}"#, |pointer, _| Outcome::Failed(Failed::Page { pointer, fault: PageFault::IsNot(json!("up")) }))]
    #[case("200 OK", r#"{"database":"up"}"#, |pointer, _| Outcome::Failed(Failed::Page { pointer, fault: PageFault::Missing }))]
    #[case("200 OK", "<html>", |_, _| Outcome::Unknown(Unknown::Page(PageLacks::Answer("it isn't JSON".to_owned()))))]
    #[case("302 Found", "", |_, _| Outcome::Unknown(Unknown::Page(PageLacks::Answer("it leads elsewhere".to_owned()))))]
    #[case("500 Oops", "{}", |_, _| Outcome::Unknown(Unknown::Page(PageLacks::Answer("status 500".to_owned()))))]
    #[tokio::test]
    async fn outcomes(#[case] status: &str, #[case] body: &str, #[case] outcome: fn(String, Expected) -> Outcome) {
        let (pages, url) = pages(vec![answer(status, body); 3]).await;
        let expected = Expected::Equals(json!("up"));
        assert_eq!(pages.check(&url, None, "/database/state", &expected).await, outcome("/database/state".to_owned(), expected));
    }

    #[tokio::test]
    async fn one_bad_answer_does_not_decide() {
        let (pages, url) = pages(vec![answer("500 Oops", ""), answer("200 OK", "7")]).await;
        let expected = Expected::Equals(json!(7));
        let outcome = pages.check(&url, None, "", &expected).await;
        assert_eq!(outcome, Outcome::Passed(Passed::Page { pointer: String::new(), expected }));
    }

    /// The image holds no authorities, and a page of the company's has a certificate of the company's.
    #[tokio::test]
    async fn an_authority_of_ones_own_is_believed_and_no_other() {
        let (own, other) = (authority(), authority());
        let port = serve_tls(&own).await;
        let outcome = async |pem: Option<&str>| {
            let resolver = Arc::new(Always(SocketAddr::from(([127, 0, 0, 1], port)))) as Arc<dyn Resolve>;
            let pages = Pages::resolving(&resolver, None, Arc::new([]), pem.map(str::as_bytes)).unwrap();
            let outcome = pages.check(&format!("https://app.shop.svc:{port}/"), None, "", &Expected::Equals(json!(7))).await;
            format!("{outcome:?}")
        };
        assert!(outcome(Some(&own.pem)).await.contains("it isn't JSON"), "it is read");
        for pem in [Some(other.pem.as_str()), None] {
            let said = outcome(pem).await;
            assert!(said.contains("its certificate is not believed (--pages-ca-file)"), "{said}");
        }
    }

    #[tokio::test]
    async fn names_that_lead_home_are_not_asked() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // The name of this machine leads to it; nothing in the text says so.
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        let everything = Expected::Equals(json!(1));
        let own: Vec<IpAddr> =
            tokio::net::lookup_host((host.trim(), 0)).await.map(|all| all.map(|one| one.ip()).collect()).unwrap_or_default();
        let pages = Pages::new(None, own.clone(), None).unwrap();
        let by_number = own.iter().map(|address| bracketed(&address.to_string()));
        for host in by_number.chain([host.trim().to_owned(), "localhost".to_owned(), "2130706433".to_owned()]) {
            let outcome = pages.check(&format!("http://{host}:{port}/"), None, "", &everything).await;
            assert!(matches!(&outcome, Outcome::Unknown(_)), "{host}: {outcome:?}");
        }
        let asked = tokio::time::timeout(Duration::from_millis(100), listener.accept()).await;
        assert!(asked.is_err(), "somebody asked");
    }

    /// An answer that tells of itself that it is compressed is not made larger here.
    #[tokio::test]
    async fn a_page_that_grows_when_it_is_read_is_not_read() {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::Write::write_all(&mut packed, &vec![b' '; 64 << 20]).unwrap();
        let packed = packed.finish().unwrap();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut buffer = [0; 4096];
            let length = stream.read(&mut buffer).await.unwrap();
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", packed.len());
            drop(stream.write_all(&[head.as_bytes(), &packed].concat()).await);
            String::from_utf8_lossy(&buffer[..length]).to_lowercase()
        });
        let pages = Pages::leading_to(address);
        let url: Url = format!("http://app.test:{}/", address.port()).parse().unwrap();
        assert_eq!(pages.read(&url, "").await, Err("it isn't JSON".to_owned()));
        assert!(!asked.await.unwrap().contains("accept-encoding"));
    }

    #[rstest]
    #[case(r#"{"lag": 7.5}"#, |pointer, expected| Outcome::Passed(Passed::Page { pointer, expected }))]
    #[case(r#"{"lag": 12}"#, |pointer, _| Outcome::Failed(Failed::Page { pointer, fault: PageFault::Beyond(Bound::Above(10.0)) }))]
    #[case(r#"{"lag": 0}"#, |pointer, _| Outcome::Failed(Failed::Page { pointer, fault: PageFault::Beyond(Bound::Below(1.0)) }))]
    #[case(r#"{"lag": "7"}"#, |pointer, _| Outcome::Failed(Failed::Page { pointer, fault: PageFault::NoNumber }))]
    #[tokio::test]
    async fn numbers(#[case] body: &str, #[case] outcome: fn(String, Expected) -> Outcome) {
        let (pages, url) = pages(vec![answer("200 OK", body); 3]).await;
        let within = Expected::Within { min: Some(1.0), max: Some(10.0) };
        assert_eq!(pages.check(&url, None, "/lag", &within).await, outcome("/lag".to_owned(), within));
    }
}

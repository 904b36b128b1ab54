//! Reads the metrics pages of pods themselves, for what may not wait for the source. Plain HTTP to a pod's own address and nothing else: no
//! redirect, no credentials, no proxy. Whatever can't be read so is left to the source.

use std::net::IpAddr;
use std::time::Duration;

use reqwest::Client;
use reqwest::header::ACCEPT;
use reqwest::redirect::Policy;

use super::fair::Shares;
use super::http;
use coalmine_core::api::checks::is_allowed;
use coalmine_core::judging::Place;
use coalmine_core::metrics::counting::{Reading, bracketed, page};
use coalmine_core::statistics::Counts;

/// A page that takes longer is of no use here.
const TIMEOUT: Duration = Duration::from_secs(1);
const LARGEST_PAGE: usize = 1 << 20;
/// So many pages at once: a bound on memory. Of one namespace so many: its pods need not answer.
const AT_ONCE: usize = 16;
const SHARE: usize = 6;
/// Text, with names as they are where a library can write them so.
const FORMATS: &str = "text/plain;version=1.0.0;escaping=allow-utf-8,text/plain;version=0.0.4;q=0.5";
/// Where pages usually are: by convention, in Spring Boot, and of a mesh's proxy.
const USUAL_PATHS: [&str; 3] = ["/metrics", "/actuator/prometheus", "/stats/prometheus"];

/// A client for the pods' pages.
#[derive(Debug)]
pub struct Scraper {
    client: Client,
    shares: Shares,
}

impl Scraper {
    pub fn new() -> reqwest::Result<Self> {
        // Only plain HTTP is spoken, for which no certificates are needed.
        let client = Client::builder().timeout(TIMEOUT).redirect(Policy::none()).no_proxy().tls_certs_only([]).build()?;
        Ok(Self { client, shares: Shares::new(AT_ONCE, SHARE) })
    }

    /// Where this pod's page is that has what the reading reads: at `path`, or else where such pages usually are.
    pub async fn find(&self, namespace: &str, address: &str, port: u16, path: Option<&str>, reading: &Reading) -> Option<Place> {
        for path in path.map_or_else(|| USUAL_PATHS.to_vec(), |path| vec![path]) {
            let place = Place { port, path: path.to_owned() };
            if self.page(namespace, &url(address, &place)?).await.is_some_and(|page| page::totals(&page, reading).is_some()) {
                return Some(place);
            }
        }
        None
    }

    /// What a pod has counted so far, by its own page. A counter may be born with the first request: until then that is nothing.
    pub async fn read(&self, namespace: &str, address: &str, place: &Place, reading: &Reading) -> Option<Counts> {
        let page = self.page(namespace, &url(address, place)?).await?;
        Some(page::totals(&page, reading).unwrap_or_default())
    }

    async fn page(&self, namespace: &str, url: &str) -> Option<String> {
        let _place = self.shares.take(namespace).await;
        match http::answer(LARGEST_PAGE, self.client.get(url).header(ACCEPT, FORMATS), TIMEOUT).await {
            Ok((status, body)) if status.is_success() => Some(String::from_utf8_lossy(&body).into_owned()),
            _ => None,
        }
    }
}

/// Nothing for what isn't a pod's address.
fn url(address: &str, Place { port, path }: &Place) -> Option<String> {
    let is_of_a_pod = address.parse::<IpAddr>().is_ok_and(is_allowed);
    is_of_a_pod.then(|| format!("http://{}:{port}/{}", bracketed(address), path.trim_start_matches('/')))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    #[rstest]
    #[case("10.0.0.7", "/metrics", Some("http://10.0.0.7:8080/metrics"))]
    #[case("fd00::7", "metrics?x=1", Some("http://[fd00::7]:8080/metrics?x=1"))]
    #[case("10.0.0.7", "//evil.example/", Some("http://10.0.0.7:8080/evil.example/"))]
    #[case::loopback("127.0.0.1", "/metrics", None)]
    #[case::the_machine("169.254.169.254", "/metrics", None)]
    #[case::a_name("app.example", "/metrics", None)]
    fn only_pods_are_asked(#[case] address: &str, #[case] path: &str, #[case] expected: Option<&str>) {
        let place = Place { port: 8080, path: path.to_owned() };
        assert_eq!(url(address, &place).as_deref(), expected);
    }

    #[rstest]
    #[case::a_page("200 OK", 2, true)]
    #[case::the_longest("200 OK", LARGEST_PAGE, true)]
    #[case::too_long("200 OK", LARGEST_PAGE + 1, false)]
    #[case::an_error("500 Oops", 2, false)]
    #[case::elsewhere("302 Found", 2, false)]
    #[tokio::test]
    async fn pages(#[case] status: &str, #[case] length: usize, #[case] expected: bool) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/metrics", listener.local_addr().unwrap());
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\nLocation: {url}\r\n\r\n");
        let body = "#".repeat(length);
        let sent = body.clone();
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            drop(stream.read(&mut [0; 4096]).await);
            drop(stream.write_all(format!("{head}{sent}").as_bytes()).await);
        });
        assert_eq!(Scraper::new().unwrap().page("shop", &url).await, expected.then_some(body));
    }

    #[tokio::test]
    async fn a_page_that_takes_too_long_is_given_up() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/metrics", listener.local_addr().unwrap());
        let scraper = Scraper::new().unwrap();
        let read = tokio::time::timeout(TIMEOUT * 5, scraper.page("shop", &url)).await;
        assert_eq!(read.expect("within the client's own time"), None);
    }
}

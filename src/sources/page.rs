//! Reads a JSON page of the user's choice and compares one value. Coalmine asks from its own place in the network, so it asks no address that only
//! this place can reach, follows no redirect, sends no credentials, and repeats nothing of the answer but whether it fits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use serde_json::Value;

use coalmine_core::api::checks::is_allowed;
use coalmine_core::judging::checks::Outcome;
use coalmine_core::metrics::counting::bracketed;

const TIMEOUT: Duration = Duration::from_secs(5);
const LARGEST_PAGE: usize = 1 << 20;
/// One lost packet shall not decide over a release.
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_millis(500);

/// A client for pages.
#[derive(Clone, Debug)]
pub struct Pages {
    client: Client,
}

impl Pages {
    pub fn new() -> reqwest::Result<Self> {
        Self::resolving(&(Arc::new(Allowed) as Arc<dyn Resolve>))
    }

    fn resolving(resolver: &Arc<dyn Resolve>) -> reqwest::Result<Self> {
        let builder = || Client::builder().timeout(TIMEOUT).redirect(Policy::none()).no_proxy().dns_resolver(Arc::clone(resolver));
        // An image without certificates can still read plain HTTP.
        let client = builder().build().or_else(|_| builder().tls_certs_only([]).build())?;
        Ok(Self { client })
    }

    /// Whether the value at `pointer` (a JSON pointer) equals `expected`. `{{address}}` in the URL is the canary's own.
    pub async fn check(&self, url: &str, address: Option<&str>, pointer: &str, expected: &Value) -> Outcome {
        let url = match address {
            Some(address) => url.replace("{{address}}", &bracketed(address)),
            None if url.contains("{{address}}") => return Outcome::Unknown("the canary has no address".to_owned()),
            None => url.to_owned(),
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

    async fn once(&self, url: &str, pointer: &str, expected: &Value) -> Outcome {
        match self.read(url).await {
            Err(reason) => Outcome::Unknown(format!("the page can't be read: {reason}")),
            Ok(page) => match page.pointer(pointer) {
                Some(value) if value == expected => Outcome::Passed(format!("{} is {expected}", place(pointer))),
                Some(_) => Outcome::Failed(format!("{} isn't {expected}", place(pointer))),
                None => Outcome::Failed(format!("the page has no {}", place(pointer))),
            },
        }
    }

    async fn read(&self, url: &str) -> Result<Value, String> {
        let asked = self.client.get(url).send().await;
        let response = asked.map_err(|error| if error.is_timeout() { "no answer in time" } else { "no connection" }.to_owned())?;
        let status = response.status();
        if !status.is_success() {
            return Err(format!("status {}", status.as_u16()));
        }
        let body = body(response).await?;
        serde_json::from_slice(&body).map_err(|_| "it isn't JSON".to_owned())
    }
}

async fn body(mut response: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|_| "connection lost".to_owned())? {
        if body.len() + chunk.len() > LARGEST_PAGE {
            return Err("it is too long".to_owned());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn place(pointer: &str) -> &str {
    if pointer.is_empty() { "the whole page" } else { pointer }
}

/// Names that lead to addresses which aren't asked lead nowhere.
struct Allowed;

impl Resolve for Allowed {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = found.filter(|address| is_allowed(address.ip())).collect();
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

    /// Leads every name to one server.
    struct Always(SocketAddr);

    impl Resolve for Always {
        fn resolve(&self, _: Name) -> Resolving {
            let address = self.0;
            Box::pin(async move { Ok(Box::new(std::iter::once(address)) as Addrs) })
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
        (Pages::resolving(&(Arc::new(Always(address)) as Arc<dyn Resolve>)).unwrap(), format!("http://app.test:{}/health", address.port()))
    }

    fn answer(status: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\nLocation: http://elsewhere/\r\n\r\n{body}", body.len())
    }

    #[rstest]
    #[case("200 OK", r#"{"database":{"state":"up"}}"#, Outcome::Passed("/database/state is \"up\"".to_owned()))]
    #[case("200 OK", r#"{"database":{"state":"secret"}}"#, Outcome::Failed("/database/state isn't \"up\"".to_owned()))]
    #[case("200 OK", r#"{"database":"up"}"#, Outcome::Failed("the page has no /database/state".to_owned()))]
    #[case("200 OK", "<html>", Outcome::Unknown("the page can't be read: it isn't JSON".to_owned()))]
    #[case("302 Found", "", Outcome::Unknown("the page can't be read: status 302".to_owned()))]
    #[case("500 Oops", "{}", Outcome::Unknown("the page can't be read: status 500".to_owned()))]
    #[tokio::test]
    async fn outcomes(#[case] status: &str, #[case] body: &str, #[case] expected: Outcome) {
        let (pages, url) = pages(vec![answer(status, body); 3]).await;
        assert_eq!(pages.check(&url, None, "/database/state", &json!("up")).await, expected);
    }

    #[tokio::test]
    async fn one_bad_answer_does_not_decide() {
        let (pages, url) = pages(vec![answer("500 Oops", ""), answer("200 OK", "7")]).await;
        assert_eq!(pages.check(&url, None, "", &json!(7)).await, Outcome::Passed("the whole page is 7".to_owned()));
    }

    #[tokio::test]
    async fn names_that_lead_home_are_not_asked() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://localhost:{}/", listener.local_addr().unwrap().port());
        let outcome = Pages::new().unwrap().check(&url, None, "", &json!(1)).await;
        assert_eq!(outcome, Outcome::Unknown("the page can't be read: no connection".to_owned()));
    }
}

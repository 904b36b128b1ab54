//! Tells sinks of verdicts, by HTTP: one try at a time, and what came of it. Follows no redirect, and neither address nor secret is ever logged
//! or told. What is said, and what follows an answer, the core decides; when, `controller::notices`.

mod telemetry;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Url};

pub use self::telemetry::Metrics;
pub(crate) use self::telemetry::Outcome;
use crate::clock;
use crate::sources::http::innermost;
use coalmine_core::notify::formats::{self, Letter};
use coalmine_core::notify::sign;
use coalmine_core::notify::sinks::{Kind, Sink, Sinks};
use coalmine_core::notify::tries::{Answer, retry_after};

/// Of one try.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// What an operator may set.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The file of sinks; without it nobody is told.
    pub file: Option<PathBuf>,
    pub default: Vec<String>,
    pub cluster: Option<String>,
    /// Where people reach the page.
    pub page: Option<String>,
}

/// All sinks, and how each is reached.
pub struct Notifier {
    pub sinks: Arc<Sinks>,
    /// By the file of authorities; one that could not be made tells why.
    clients: BTreeMap<Option<String>, Result<Client, String>>,
    cluster: Option<String>,
    page: Option<String>,
    pub metrics: Metrics,
}

impl fmt::Debug for Notifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Notifier").field("sinks", &self.sinks).finish_non_exhaustive()
    }
}

impl Notifier {
    /// Nothing where there are no sinks. A mistake in the file, or in a file of authorities, is an error at start.
    pub fn new(settings: &Settings, metrics: Metrics) -> anyhow::Result<Option<Self>> {
        let Some(path) = &settings.file else {
            anyhow::ensure!(settings.default.is_empty(), "--notify-default names sinks, and there is no --notifications-file");
            return Ok(None);
        };
        let text = std::fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))?;
        let sinks = Sinks::parse(&text, &settings.default).with_context(|| format!("failed to use {}", path.display()))?;
        let mut clients = BTreeMap::new();
        for sink in sinks.iter().filter(|sink| !clients.contains_key(&sink.ca_file)).collect::<Vec<_>>() {
            let client = client(sink.ca_file.as_deref())?;
            if client.is_err() {
                tracing::warn!(sink = sink.name, "no authorities to check certificates against: name a ca-file in {}", path.display());
            }
            clients.insert(sink.ca_file.clone(), client);
        }
        for sink in sinks.iter() {
            metrics.begin(&sink.name);
        }
        let page = settings.page.as_deref().map(|page| page.trim_end_matches('/').to_owned());
        Ok(Some(Self { sinks: Arc::new(sinks), clients, cluster: settings.cluster.clone(), page, metrics }))
    }

    /// The letter without what it is about.
    pub(crate) fn letter<'a>(&'a self, notice: &'a coalmine_core::notify::outbox::Notice) -> Letter<'a> {
        Letter { cluster: self.cluster.as_deref(), page: self.page.as_deref(), namespace: "", name: "", uid: "", notice }
    }

    /// One try.
    pub(crate) async fn post(&self, sink: &Sink, letter: &Letter<'_>) -> Answer {
        match self.request(sink, letter).await {
            Ok(request) => answer(request).await,
            Err(reason) => Answer::Unasked(reason),
        }
    }

    async fn request(&self, sink: &Sink, letter: &Letter<'_>) -> Result<reqwest::RequestBuilder, String> {
        let url = secret(&sink.url_file).await?;
        let is_address = |url: &Url| matches!(url.scheme(), "https" | "http") && url.has_host();
        let url = Url::parse(&url).ok().filter(is_address).ok_or_else(|| format!("{} holds no address", sink.url_file))?;
        let client = match self.clients.get(&sink.ca_file) {
            Some(Ok(client)) => client,
            Some(Err(reason)) => return Err(reason.clone()),
            None => return Err("it has no client".to_owned()),
        };
        let body = formats::body(sink, letter);
        let mut request = client.post(url).header(CONTENT_TYPE, body.content_type);
        for (name, value) in &sink.headers {
            request = request.header(name, value);
        }
        if let (Kind::Webhook, Some(path)) = (sink.kind, &sink.secret_file) {
            let id = letter.notice.id(letter.uid);
            for (name, value) in sign::headers(&secret(path).await?, &id, clock::now(), body.text.as_bytes()) {
                request = request.header(name, value);
            }
        }
        Ok(request.body(body.text))
    }
}

/// Read again for each try: a mounted Secret is renewed in place.
async fn secret(path: &str) -> Result<String, String> {
    let text = tokio::fs::read_to_string(path).await.map_err(|error| format!("failed to read {path}: {}", error.kind()))?;
    let text = text.trim();
    if text.is_empty() { Err(format!("{path} is empty")) } else { Ok(text.to_owned()) }
}

async fn answer(request: reqwest::RequestBuilder) -> Answer {
    match request.send().await {
        Ok(response) => {
            let patience = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            let retry_after = patience.and_then(|text| retry_after(text, clock::now()));
            Answer::Status { code: response.status().as_u16(), retry_after }
        }
        Err(error) if error.is_timeout() => Answer::None(format!("no answer within {} s", ANSWER_WITHIN.as_secs())),
        Err(error) if error.is_connect() => Answer::None(format!("no connection ({})", innermost(&error))),
        Err(_) => Answer::None("connection lost".to_owned()),
    }
}

/// Through the proxy that `HTTPS_PROXY` names, if it does. Without authorities there is no client, which is told when one is needed.
fn client(ca_file: Option<&str>) -> anyhow::Result<Result<Client, String>> {
    let builder = Client::builder()
        .connect_timeout(CONNECT_WITHIN)
        .timeout(ANSWER_WITHIN)
        .pool_max_idle_per_host(1)
        .pool_idle_timeout(Duration::from_secs(30))
        .redirect(Policy::none())
        .user_agent(concat!("coalmine/", env!("CARGO_PKG_VERSION")));
    let Some(path) = ca_file else {
        return Ok(builder.build().map_err(|_| "there are no authorities to check certificates against; name a ca-file".to_owned()));
    };
    let pem = std::fs::read(Path::new(path)).with_context(|| format!("failed to read {path}"))?;
    let authorities = Certificate::from_pem_bundle(&pem).with_context(|| format!("failed to use {path}"))?;
    anyhow::ensure!(!authorities.is_empty(), "failed to use {path}: it holds no certificate");
    let client = builder.tls_certs_only(authorities).build().with_context(|| format!("failed to use {path}"))?;
    Ok(Ok(client))
}

#[cfg(test)]
mod tests;

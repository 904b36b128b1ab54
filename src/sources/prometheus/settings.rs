//! How to reach a Prometheus: address, credentials, certificates, headers. Credentials are read again for every question, because mounted
//! Secrets and tokens are renewed in place.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Identity};

use super::super::Problem;

/// Everything that an operator may set.
#[derive(Clone, Debug)]
pub struct Settings {
    pub url: String,
    pub bearer_token_file: Option<PathBuf>,
    /// User name, and a file that holds the password.
    pub basic_auth: Option<(String, PathBuf)>,
    /// PEM; without it the system's roots are used for https.
    pub ca_file: Option<PathBuf>,
    /// PEM: certificate chain and key.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
    /// As `X-Scope-OrgID: team-a`.
    pub headers: Vec<(String, String)>,
    /// Conditions that every series must meet, as `cluster="eu1"`: in a store that holds several clusters, ours.
    pub matchers: Vec<String>,
    /// The label that names the pod, where it is none of the usual ones.
    pub pod_label: Option<String>,
    pub connect_timeout: Duration,
    pub timeout: Duration,
}

/// Certificates and keys as they were read, in PEM.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Material {
    ca: Option<Vec<u8>>,
    identity: Option<Vec<u8>>,
}

/// Settings that can't work; found at the start.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("failed to read {path}")]
    Read { path: PathBuf, source: std::io::Error },
    #[error("failed to load certificates for {url}")]
    Certificates { url: String, source: reqwest::Error },
    #[error("failed to make a client for {url}; where the system has no certificates, name a file with the authority's")]
    Client { url: String, source: reqwest::Error },
    #[error("header {name:?} isn't a valid header")]
    Header { name: String },
}

impl Settings {
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            bearer_token_file: None,
            basic_auth: None,
            ca_file: None,
            client_certificate: None,
            headers: Vec::new(),
            matchers: Vec::new(),
            pod_label: None,
            connect_timeout: Duration::from_secs(2),
            timeout: Duration::from_secs(5),
        }
    }

    /// What the files of certificates hold now.
    pub(super) fn material(&self) -> Result<Material, SettingsError> {
        let ca = self.ca_file.as_deref().map(read).transpose()?;
        let identity = self.client_certificate.as_ref();
        let identity = identity.map(|(certificate, key)| Ok([read(certificate)?, b"\n".to_vec(), read(key)?].concat())).transpose()?;
        Ok(Material { ca, identity })
    }

    pub(super) fn client_with(&self, material: &Material) -> Result<Client, SettingsError> {
        let mut builder = Client::builder()
            .connect_timeout(self.connect_timeout)
            .timeout(self.timeout)
            .pool_max_idle_per_host(2)
            .redirect(Policy::none())
            .no_proxy()
            .user_agent(concat!("coalmine/", env!("CARGO_PKG_VERSION")));
        let certificates = |source| SettingsError::Certificates { url: self.url.clone(), source };
        if let Some(pem) = &material.ca {
            builder = builder.tls_certs_only(Certificate::from_pem_bundle(pem).map_err(certificates)?);
        } else if !self.url.starts_with("https:") {
            // An image without any certificate must still speak plain HTTP.
            builder = builder.tls_certs_only([]);
        }
        if let Some(pem) = &material.identity {
            builder = builder.identity(Identity::from_pem(pem).map_err(certificates)?);
        }
        builder.build().map_err(|source| SettingsError::Client { url: self.url.clone(), source })
    }

    /// For questions about one namespace: `{{namespace}}` in a value stands for it, as for a tenant of each.
    pub(super) fn header_map(&self, namespace: &str) -> Result<HeaderMap, SettingsError> {
        let mut map = HeaderMap::new();
        for (name, value) in &self.headers {
            let invalid = || SettingsError::Header { name: name.clone() };
            let name = HeaderName::try_from(name.as_str()).map_err(|_| invalid())?;
            map.append(name, HeaderValue::try_from(value.replace("{{namespace}}", namespace)).map_err(|_| invalid())?);
        }
        Ok(map)
    }

    /// The value of `Authorization`, as the files say it now.
    pub(super) async fn authorization(&self) -> Result<Option<HeaderValue>, Problem> {
        let text = match (&self.bearer_token_file, &self.basic_auth) {
            (Some(path), _) => format!("Bearer {}", secret(path).await?),
            (None, Some((user, path))) => format!("Basic {}", STANDARD.encode(format!("{user}:{}", secret(path).await?))),
            (None, None) => return Ok(None),
        };
        let mut value = HeaderValue::try_from(text)
            .map_err(|_| Problem::Credentials { what: "the credentials".to_owned(), reason: "not fit for a header".to_owned() })?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, SettingsError> {
    std::fs::read(path).map_err(|source| SettingsError::Read { path: path.to_owned(), source })
}

async fn secret(path: &Path) -> Result<String, Problem> {
    let text = tokio::fs::read_to_string(path).await;
    let text = text.map_err(|error| Problem::Credentials { what: path.display().to_string(), reason: error.kind().to_string() })?;
    Ok(text.trim().to_owned())
}

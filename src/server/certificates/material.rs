//! What the Secret holds: an authority, the one before it while both are trusted, and the serving certificate.
//!
//! Dates and names stand beside the certificates as they were asked for, so that nothing here must parse X.509.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::ByteString;
use rustls::sign::CertifiedKey;
use serde::{Deserialize, Serialize};

use crate::server::tls;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to find {0:?} in the Secret")]
    Missing(&'static str),
    #[error("failed to read {0:?} of the Secret: it is not text")]
    NotText(&'static str),
    #[error("failed to parse {STATE:?} of the Secret")]
    State { source: serde_json::Error },
    #[error("failed to use the certificate in the Secret")]
    Certificate { source: tls::Error },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validity {
    pub from: Timestamp,
    pub until: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    pub certificate: String,
    pub key: String,
    pub validity: Validity,
}

/// An authority that signs no more, but whose serving certificate may still be in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Previous {
    pub certificate: String,
    pub until: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serving {
    pub certificate: String,
    pub key: String,
    pub validity: Validity,
    pub names: Vec<String>,
    /// When the authority that signed it was made, which tells it from its successor.
    pub signed_by: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Material {
    pub authority: Authority,
    pub previous: Option<Previous>,
    pub serving: Serving,
    /// The last order to start over that was followed.
    pub started_over: Option<String>,
}

const AUTHORITY: &str = "ca.crt";
const AUTHORITY_KEY: &str = "ca.key";
const PREVIOUS: &str = "ca-previous.crt";
const SERVING: &str = "tls.crt";
const SERVING_KEY: &str = "tls.key";
const STATE: &str = "state.json";

/// What a newer version says besides is passed over: while replicas of both run, the older must not take the Secret for a broken one.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct State {
    authority: Validity,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous_until: Option<Timestamp>,
    serving: Validity,
    signed_by: Timestamp,
    names: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    started_over: Option<String>,
}

impl Material {
    /// Whom the API server shall trust: both authorities while one takes over from the other.
    pub fn bundle(&self) -> String {
        let previous = self.previous.as_ref().map_or("", |previous| previous.certificate.as_str());
        format!("{}{previous}", self.authority.certificate)
    }

    pub fn certified_key(&self) -> Result<CertifiedKey, Error> {
        tls::certified_key(self.serving.certificate.as_bytes(), self.serving.key.as_bytes()).map_err(|source| Error::Certificate { source })
    }

    pub fn to_data(&self) -> BTreeMap<String, ByteString> {
        let state = State {
            authority: self.authority.validity,
            previous_until: self.previous.as_ref().map(|previous| previous.until),
            serving: self.serving.validity,
            signed_by: self.serving.signed_by,
            names: self.serving.names.clone(),
            started_over: self.started_over.clone(),
        };
        let state = serde_json::to_string(&state).unwrap_or_default();
        let mut data = vec![
            (AUTHORITY, self.authority.certificate.as_str()),
            (AUTHORITY_KEY, &self.authority.key),
            (SERVING, &self.serving.certificate),
            (SERVING_KEY, &self.serving.key),
            (STATE, &state),
        ];
        data.extend(self.previous.as_ref().map(|previous| (PREVIOUS, previous.certificate.as_str())));
        data.into_iter().map(|(key, text)| (key.to_owned(), ByteString(text.as_bytes().to_vec()))).collect()
    }

    /// Reads a Secret, and refuses one whose certificate could not be served.
    pub fn from_data(data: &BTreeMap<String, ByteString>) -> Result<Self, Error> {
        let text = |key: &'static str| {
            let bytes = data.get(key).ok_or(Error::Missing(key))?;
            String::from_utf8(bytes.0.clone()).map_err(|_| Error::NotText(key))
        };
        let state: State = serde_json::from_str(&text(STATE)?).map_err(|source| Error::State { source })?;
        let previous = match state.previous_until {
            Some(until) => Some(Previous { certificate: text(PREVIOUS)?, until }),
            None => None,
        };
        let material = Self {
            authority: Authority { certificate: text(AUTHORITY)?, key: text(AUTHORITY_KEY)?, validity: state.authority },
            previous,
            serving: Serving {
                certificate: text(SERVING)?,
                key: text(SERVING_KEY)?,
                validity: state.serving,
                names: state.names,
                signed_by: state.signed_by,
            },
            started_over: state.started_over,
        };
        material.certified_key()?;
        Ok(material)
    }
}

//! TLS for the webhook: the certificate in use, replaced at run time without touching open connections.
//!
//! Where the certificate comes from is not decided here: see [`certificates`](super::certificates).

use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to parse the certificate chain")]
    Certificate { source: rustls::pki_types::pem::Error },
    #[error("failed to parse the certificate chain: it has no certificate")]
    NoCertificate,
    #[error("failed to parse the private key")]
    Key { source: rustls::pki_types::pem::Error },
    #[error("failed to use the private key with the certificate")]
    Pair { source: rustls::Error },
}

/// Reads a certificate chain and its key, and checks that they belong together.
pub fn certified_key(certificates: &[u8], key: &[u8]) -> Result<CertifiedKey, Error> {
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(certificates).collect::<Result<_, _>>().map_err(|source| Error::Certificate { source })?;
    if chain.is_empty() {
        return Err(Error::NoCertificate);
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|source| Error::Key { source })?;
    CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|source| Error::Pair { source })
}

/// The certificate that new connections get. Before the first one is set, handshakes fail.
#[derive(Debug, Default)]
pub struct CurrentCertificate(RwLock<Option<Served>>);

#[derive(Clone, Debug)]
struct Served {
    key: Arc<CertifiedKey>,
    until: Option<Timestamp>,
}

impl CurrentCertificate {
    /// `until` is when it expires, where that is known.
    pub fn set(&self, key: CertifiedKey, until: Option<Timestamp>) {
        let served = Served { key: Arc::new(key), until };
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some(served);
    }

    pub fn until(&self) -> Option<Timestamp> {
        self.served()?.until
    }

    pub(crate) fn key(&self) -> Option<Arc<CertifiedKey>> {
        self.served().map(|served| served.key)
    }

    fn served(&self) -> Option<Served> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for CurrentCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.key()
    }
}

/// An acceptor that asks `current` at each handshake, and lets in whom `clients` accepts; everybody without.
pub fn acceptor(current: Arc<CurrentCertificate>, clients: Option<Arc<dyn ClientCertVerifier>>) -> Result<TlsAcceptor, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions()?;
    let builder = match clients {
        Some(clients) => builder.with_client_cert_verifier(clients),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(current);
    // The API server speaks HTTP/1.1 to webhooks, and keeps its connections: resumption would only cost memory.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

#[cfg(test)]
mod tests;

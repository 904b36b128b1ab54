//! Whom the webhook's port lets in: with an authority given, who has a certificate of it, and the name that is asked for. The API server has
//! one when its `AdmissionConfiguration` says so (see SECURITY.md); it has none by default, and then everybody who reaches the port is let in.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::client::verify_server_name;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to parse the authority of clients")]
    Certificate { source: rustls::pki_types::pem::Error },
    #[error("failed to use the authority of clients")]
    Authority { source: rustls::Error },
    #[error("failed to use the authority of clients: the file has no certificate")]
    Nothing,
    #[error("failed to set up the check of clients")]
    Verifier { source: rustls::server::VerifierBuilderError },
}

/// Lets in who has a certificate of one of these authorities (PEM), and of this name where one is given.
pub fn verifier(authorities: &[u8], name: Option<ServerName<'static>>) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    let mut roots = RootCertStore::empty();
    for authority in CertificateDer::pem_slice_iter(authorities) {
        let authority = authority.map_err(|source| Error::Certificate { source })?;
        roots.add(authority).map_err(|source| Error::Authority { source })?;
    }
    if roots.is_empty() {
        return Err(Error::Nothing);
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(ring::default_provider()));
    let any = builder.build().map_err(|source| Error::Verifier { source })?;
    Ok(match name {
        Some(name) => Arc::new(Named { any, name }),
        None => any,
    })
}

/// Many an authority signs for others, too: a cluster's own for each kubelet.
#[derive(Debug)]
struct Named {
    any: Arc<dyn ClientCertVerifier>,
    name: ServerName<'static>,
}

impl ClientCertVerifier for Named {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.any.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self.any.verify_client_cert(end_entity, intermediates, now)?;
        verify_server_name(&ParsedCertificate::try_from(end_entity)?, &self.name)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.any.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.any.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.any.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
    use rstest::rstest;

    use super::*;

    struct Authority {
        parameters: CertificateParams,
        key: KeyPair,
        pem: String,
    }

    fn authority() -> Authority {
        let mut parameters = CertificateParams::default();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let key = KeyPair::generate().unwrap();
        let pem = parameters.self_signed(&key).unwrap().pem();
        Authority { parameters, key, pem }
    }

    fn client(of: Authority, name: &str, usage: ExtendedKeyUsagePurpose) -> CertificateDer<'static> {
        let mut parameters = CertificateParams::new([name.to_owned()]).unwrap();
        parameters.extended_key_usages = vec![usage];
        let issuer = Issuer::new(of.parameters, of.key);
        parameters.signed_by(&KeyPair::generate().unwrap(), &issuer).unwrap().der().clone()
    }

    #[rstest]
    #[case::any_name("kubelet", ExtendedKeyUsagePurpose::ClientAuth, None, true)]
    #[case::the_name("apiserver", ExtendedKeyUsagePurpose::ClientAuth, Some("apiserver"), true)]
    #[case::another_name("kubelet", ExtendedKeyUsagePurpose::ClientAuth, Some("apiserver"), false)]
    #[case::a_servers_certificate("apiserver", ExtendedKeyUsagePurpose::ServerAuth, Some("apiserver"), false)]
    fn lets_in(#[case] name: &str, #[case] usage: ExtendedKeyUsagePurpose, #[case] wanted: Option<&'static str>, #[case] expected: bool) {
        let authority = authority();
        let verifier = verifier(authority.pem.as_bytes(), wanted.map(|name| ServerName::try_from(name).unwrap())).unwrap();
        let client = client(authority, name, usage);
        assert_eq!(verifier.verify_client_cert(&client, &[], UnixTime::now()).is_ok(), expected);
        assert!(verifier.client_auth_mandatory(), "without a certificate nobody is let in");
    }

    #[test]
    fn another_authoritys_certificates_do_not_count_and_an_empty_file_is_told() {
        let (one, other) = (authority(), authority());
        let verifier = verifier(one.pem.as_bytes(), None).unwrap();
        let client = client(other, "apiserver", ExtendedKeyUsagePurpose::ClientAuth);
        assert!(verifier.verify_client_cert(&client, &[], UnixTime::now()).is_err());
        assert!(matches!(super::verifier(b"", None), Err(Error::Nothing)));
    }
}

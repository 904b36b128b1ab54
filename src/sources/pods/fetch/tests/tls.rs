//! Pages over TLS: whose they are matters where an authority was given.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio_rustls::TlsAcceptor;

use super::*;

pub(in crate::sources) struct Authority {
    pub(in crate::sources) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

pub(in crate::sources) fn authority() -> Authority {
    let (key, mut parameters) = (KeyPair::generate().unwrap(), CertificateParams::new(Vec::new()).unwrap());
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    Authority { pem: parameters.self_signed(&key).unwrap().pem(), issuer: Issuer::new(parameters, key) }
}

/// A page whose certificate is for some name of a Service, as pods' are.
pub(in crate::sources) async fn serve_tls(by: &Authority) -> u16 {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["app.shop.svc".to_owned()]).unwrap().signed_by(&key, &by.issuer).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            drop(stream.read(&mut [0; 4096]).await);
            drop(stream.write_all(&answer("200 OK", "", PAGE)).await);
            drop(stream.shutdown().await);
        }
    });
    port
}

async fn read(port: u16, authorities: Option<&str>) -> String {
    let fetcher = Fetcher { is_of_a_pod: |address| address.is_loopback(), ..Fetcher::new(authorities.map(str::as_bytes)).unwrap() };
    let place = Place { scheme: Scheme::Https, ..place(port, "/metrics") };
    match fetcher.read("shop", "127.0.0.1", &place, &Wishes::of(&policy::Policy::default(), &[]), TIMEOUT).await.0 {
        Read::Page(page) => format!("{} series", page.series.len()),
        Read::Silent => "silent".to_owned(),
        Read::Refused(words) => words,
    }
}

#[tokio::test]
async fn whose_page_it_is() {
    let (own, other) = (authority(), authority());
    let port = serve_tls(&own).await;
    assert_eq!(read(port, Some(&own.pem)).await, "1 series");
    assert_eq!(read(port, Some(&other.pem)).await, "its certificate is of none of the authorities of --pages-ca-file");
    assert_eq!(read(port, None).await, "1 series", "it may reject");
    let plain = serve_always(answer("200 OK", "", PAGE)).await;
    assert_eq!(read(plain, None).await, "it speaks no TLS that is understood");
    assert_eq!(read(silent().await, None).await, "silent");
}

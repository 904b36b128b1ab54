//! The little of HTTP that measuring needs: one kept connection over TLS, as the API server's to a webhook, and plain pages.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};

/// A connection that is used again and again.
pub(super) struct Connection {
    stream: BufReader<StreamOwned<ClientConnection, TcpStream>>,
}

impl Connection {
    /// To a port of this machine, trusting one authority (PEM).
    pub(super) fn open(port: u16, authority: &[u8]) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(authority) {
            roots.add(certificate.context("failed to read the authority's certificate")?)?;
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").context("failed to name the webhook")?;
        let stream = TcpStream::connect(("127.0.0.1", port)).context("failed to connect to the webhook")?;
        stream.set_nodelay(true)?;
        let connection = ClientConnection::new(Arc::new(config), name)?;
        Ok(Self { stream: BufReader::new(StreamOwned::new(connection, stream)) })
    }

    /// Posts JSON; the body of the answer.
    pub(super) fn post(&mut self, path: &str, body: &[u8]) -> Result<Vec<u8>> {
        let mut request =
            format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len())
                .into_bytes();
        request.extend_from_slice(body);
        let stream = self.stream.get_mut();
        stream.write_all(&request)?;
        stream.flush()?;
        answer(&mut self.stream)
    }
}

/// A page over plain HTTP.
pub(super) fn page(port: u16, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).context("failed to connect")?;
    // Of HTTP 1.0, whose answers come in one piece.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    Ok(String::from_utf8(answer(&mut BufReader::new(stream))?)?)
}

fn answer(stream: &mut impl BufRead) -> Result<Vec<u8>> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    if line.split(' ').nth(1) != Some("200") {
        bail!("failed to get an answer: {}", line.trim());
    }
    let mut length = None;
    loop {
        line.clear();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(value.trim().parse::<usize>()?);
        }
    }
    let mut body = Vec::new();
    match length {
        Some(length) => {
            body.resize(length, 0);
            stream.read_exact(&mut body)?;
        }
        None => drop(stream.read_to_end(&mut body)?),
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_by_its_length() {
        let mut stream: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokmore";
        assert_eq!(answer(&mut stream).unwrap(), b"ok");
        let mut until_the_end: &[u8] = b"HTTP/1.0 200 OK\r\n\r\nall of it";
        assert_eq!(answer(&mut until_the_end).unwrap(), b"all of it");
        let mut refused: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\r\n";
        assert!(answer(&mut refused).is_err());
    }
}

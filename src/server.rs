//! The listening side: one accept loop for both ports, with TLS for the API server and plain HTTP for probes and metrics.
//!
//! The loop bounds what a stranger can hold (connections, handshakes, unfinished headers) and drains with a deadline.
//! What is answered is the router's business; sizes of bodies are limited there.

pub mod admin;
pub mod certificates;
pub mod tls;

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, header};
use axum::response::Response;
use axum::{Router, middleware};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

/// Bounds of one port.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the connection to the end of the TLS handshake.
    pub handshake: Duration,
    /// For the head of a request, counted from the end of the one before: also ends idle connections.
    pub header_read: Duration,
    /// Open at the same time; further ones wait in the kernel's queue.
    pub connections: usize,
    /// For requests that are still running when the server is told to stop.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            // Longer than the 90 s after which the API server gives up idle connections itself: were we the first, a
            // review that it sends in that moment would be lost, and with it somebody's `kubectl apply`.
            header_read: Duration::from_mins(2),
            connections: 256,
            drain: Duration::from_secs(10),
        }
    }
}

/// What lies between TCP and HTTP.
#[derive(Clone)]
pub enum Transport {
    Plain,
    Tls(TlsAcceptor),
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Plain => "Plain",
            Self::Tls(_) => "Tls",
        })
    }
}

/// Lets each answer end its connection once `stopping`, so that the client stops using those it keeps open before they are closed under it:
/// a request that it writes into a closing connection is lost (RFC 9112, section 9.5).
pub fn end_connections(router: Router, stopping: CancellationToken) -> Router {
    router.layer(middleware::map_response(move |mut response: Response| {
        if stopping.is_cancelled() {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        std::future::ready(response)
    }))
}

/// Serves until told to stop, then drains. Returns how many connections had to be cut at the end.
pub async fn serve(listener: TcpListener, transport: Transport, router: Router, limits: Limits, stop: CancellationToken) -> usize {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    while let Some((stream, slot)) = accept(&listener, &slots, &stop).await {
        let connection =
            Connection { transport: transport.clone(), router: router.clone(), limits, watcher: graceful.watcher(), _slot: slot };
        tokio::spawn(connection.run(stream, stop.clone()));
    }
    drop(listener);
    let drained = tokio::time::timeout(limits.drain, graceful.shutdown()).await;
    if drained.is_ok() { 0 } else { limits.connections - slots.available_permits() }
}

/// The next connection together with its slot; None when told to stop.
async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>, stop: &CancellationToken) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    loop {
        let next = async {
            let slot = Arc::clone(slots).acquire_owned().await.ok();
            (listener.accept().await, slot)
        };
        match stop.run_until_cancelled(next).await? {
            (Ok((stream, _)), Some(slot)) => return Some((stream, slot)),
            (Ok(_), None) => return None,
            (Err(error), _) => {
                // Out of file descriptors, or the peer is gone already: without a pause the first would spin.
                tracing::warn!(error = &error as &dyn std::error::Error, "cannot accept a connection");
                let _ = tokio::time::timeout(Duration::from_millis(100), stop.cancelled()).await;
            }
        }
    }
}

struct Connection {
    transport: Transport,
    router: Router,
    limits: Limits,
    watcher: Watcher,
    _slot: OwnedSemaphorePermit,
}

impl Connection {
    async fn run(self, stream: TcpStream, stop: CancellationToken) {
        // Reviews are answered in one small write: waiting to fill a packet would only add latency.
        let _ = stream.set_nodelay(true);
        match self.transport.clone() {
            Transport::Plain => self.http(stream).await,
            Transport::Tls(acceptor) => {
                let handshake = tokio::time::timeout(self.limits.handshake, acceptor.accept(stream));
                match stop.run_until_cancelled(handshake).await {
                    Some(Ok(Ok(stream))) => self.http(stream).await,
                    Some(Ok(Err(error))) => tracing::debug!(error = &error as &dyn std::error::Error, "failed to shake hands"),
                    Some(Err(_)) => tracing::debug!("a handshake was not finished in time"),
                    None => {}
                }
            }
        }
    }

    async fn http(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_read)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(self.router));
        if let Err(error) = self.watcher.watch(connection).await {
            tracing::debug!(error = &error as &dyn std::error::Error, "a connection ended early");
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn before_the_stop_each_answer_ends_its_connection() {
        let (stopping, stop) = (CancellationToken::new(), CancellationToken::new());
        let router = end_connections(Router::new().fallback(|| async { "here" }), stopping.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let server = tokio::spawn(serve(listener, Transport::Plain, router, Limits::default(), stop.clone()));

        let mut answer = Vec::new();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: coalmine\r\n\r\n").await.unwrap();
        while !answer.ends_with(b"here") {
            assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "the connection is kept open");
        }
        assert!(!String::from_utf8_lossy(&answer).contains("connection: close"));

        stopping.cancel();
        answer.clear();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: coalmine\r\n\r\n").await.unwrap();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.contains("connection: close\r\n") && answer.ends_with("here"), "{answer}");

        stop.cancel();
        assert_eq!(server.await.unwrap(), 0);
    }
}

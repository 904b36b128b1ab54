//! The listening side: one accept loop for all ports, with TLS for the API server and plain HTTP for probes and metrics.
//!
//! The loop bounds what a stranger can hold (connections, handshakes, unfinished requests) and drains with a deadline.
//! What is answered is the router's business; sizes of bodies are limited there.

pub mod admin;
pub mod certificates;
pub mod clients;
mod connections;
mod exposition;
mod listening;
pub mod tls;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Request, header};
use axum::response::Response;
use axum::{Router, middleware};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use self::connections::{Connections, Slot, Stage};
pub use self::listening::listen;

/// Bounds of one port.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the connection to the end of the TLS handshake.
    pub handshake: Duration,
    /// From there to the end of the head of the first request.
    pub first_request: Duration,
    /// For the head of a later request, counted from the end of the one before: also ends idle connections.
    pub header_read: Duration,
    /// Open at the same time; for a further one the idlest goes.
    pub connections: usize,
    /// For requests that are still running when the server is told to stop.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            first_request: Duration::from_secs(10),
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
    let connections = Connections::default();
    let graceful = GracefulShutdown::new();
    while let Some((stream, slot)) = accept(&listener, &connections, limits.connections, &stop).await {
        let connection =
            Connection { transport: transport.clone(), router: router.clone(), limits, watcher: graceful.watcher(), slot: Arc::new(slot) };
        tokio::spawn(connection.run(stream, stop.clone()));
    }
    drop(listener);
    let drained = tokio::time::timeout(limits.drain, graceful.shutdown()).await;
    if drained.is_ok() { 0 } else { connections.count() }
}

/// The next connection together with its slot; None when told to stop.
async fn accept(listener: &TcpListener, connections: &Connections, limit: usize, stop: &CancellationToken) -> Option<(TcpStream, Slot)> {
    loop {
        match stop.run_until_cancelled(listener.accept()).await? {
            Ok((stream, _)) => return Some((stream, stop.run_until_cancelled(connections.admit(limit)).await?)),
            Err(error) => {
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
    slot: Arc<Slot>,
}

impl Connection {
    async fn run(self, stream: TcpStream, stop: CancellationToken) {
        let end = self.slot.end();
        if end.run_until_cancelled(self.serve(stream, stop)).await.is_none() {
            tracing::debug!("a connection made room for another one");
        }
    }

    async fn serve(self, stream: TcpStream, stop: CancellationToken) {
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
        let (slot, router) = (Arc::clone(&self.slot), self.router);
        let service = hyper::service::service_fn(move |request| answer(Arc::clone(&slot), router.clone(), request));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.limits.header_read)
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = std::pin::pin!(self.watcher.watch(connection));
        let ended = match tokio::time::timeout(self.limits.first_request, &mut connection).await {
            Ok(ended) => ended,
            Err(_) if self.slot.has_sent_nothing() => return tracing::debug!("a connection sent no request in time"),
            Err(_) => connection.await,
        };
        if let Err(error) = ended {
            tracing::debug!(error = &error as &dyn std::error::Error, "a connection ended early");
        }
    }
}

async fn answer(slot: Arc<Slot>, router: Router, request: Request<Incoming>) -> Result<Response, Infallible> {
    slot.is_now(if request.body().is_end_stream() { Stage::Answering } else { Stage::Receiving });
    let receiving = Arc::clone(&slot);
    let response = router.oneshot(request.map(|body| Body::new(Received { body, slot: receiving }))).await;
    slot.is_now(Stage::Idle);
    response
}

/// A request's body, which tells its connection when it has come.
struct Received {
    body: Incoming,
    slot: Arc<Slot>,
}

impl hyper::body::Body for Received {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        if frame.is_none() || self.body.is_end_stream() {
            self.slot.is_now(Stage::Answering);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
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

//! The accept loop over real TLS and loopback sockets.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::server::{Limits, Transport, serve};

const SOON: Duration = Duration::from_secs(10);

struct Pair {
    certificate: String,
    key: String,
}

fn pair(name: &str) -> Pair {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    Pair { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() }
}

fn limits() -> Limits {
    let short = Duration::from_millis(200);
    Limits { handshake: short, first_request: short, header_read: short, connections: 8, drain: SOON }
}

struct Server {
    address: SocketAddr,
    current: Arc<CurrentCertificate>,
    stop: CancellationToken,
    task: JoinHandle<usize>,
}

async fn server(router: Router, limits: Limits) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, current, stop) = (listener.local_addr().unwrap(), Arc::<CurrentCertificate>::default(), CancellationToken::new());
    let transport = Transport::Tls(acceptor(Arc::clone(&current), None).unwrap());
    let task = tokio::spawn(serve(listener, transport, router, limits, stop.clone()));
    Server { address, current, stop, task }
}

async fn connect(address: SocketAddr, trusted: &Pair, name: &'static str) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(trusted.certificate.as_bytes()).unwrap()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(name).unwrap(), stream).await
}

async fn ask(stream: &mut TlsStream<TcpStream>, path: &str) -> String {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: webhook\r\n\r\n").as_bytes()).await.unwrap();
    let mut buffer = vec![0; 4096];
    let length = tokio::time::timeout(SOON, stream.read(&mut buffer)).await.unwrap().unwrap();
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

#[tokio::test]
async fn a_new_certificate_is_for_new_connections_and_open_ones_go_on() {
    let (first, second) = (pair("first"), pair("second"));
    let server = server(Router::new().route("/", get(async || "hello")), Limits::default()).await;
    assert!(connect(server.address, &first, "first").await.is_err(), "no certificate, no handshake");

    server.current.set(certified_key(first.certificate.as_bytes(), first.key.as_bytes()).unwrap(), None);
    let mut open = connect(server.address, &first, "first").await.unwrap();
    assert!(ask(&mut open, "/").await.ends_with("hello"));

    server.current.set(certified_key(second.certificate.as_bytes(), second.key.as_bytes()).unwrap(), None);
    assert!(connect(server.address, &first, "first").await.is_err());
    let mut new = connect(server.address, &second, "second").await.unwrap();
    assert!(ask(&mut new, "/").await.ends_with("hello"));
    assert!(ask(&mut open, "/").await.ends_with("hello"));
}

#[tokio::test]
async fn a_silent_client_and_an_unfinished_header_are_cut() {
    let trusted = pair("webhook");
    let server = server(Router::new(), limits()).await;
    server.current.set(certified_key(trusted.certificate.as_bytes(), trusted.key.as_bytes()).unwrap(), None);

    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let read = tokio::time::timeout(SOON, silent.read(&mut [0; 1])).await.expect("cut before the test's own deadline");
    assert_eq!(read.unwrap_or(0), 0);

    let mut slow = connect(server.address, &trusted, "webhook").await.unwrap();
    slow.write_all(b"POST /admit HTTP/1.1\r\nHost:").await.unwrap();
    let read = tokio::time::timeout(SOON, slow.read_to_end(&mut Vec::new())).await;
    assert!(read.is_ok(), "cut before the test's own deadline");
}

#[tokio::test]
async fn who_says_nothing_after_the_handshake_is_cut() {
    let trusted = pair("webhook");
    let server = server(Router::new(), Limits { header_read: SOON * 10, ..limits() }).await;
    server.current.set(certified_key(trusted.certificate.as_bytes(), trusted.key.as_bytes()).unwrap(), None);
    let mut silent = connect(server.address, &trusted, "webhook").await.unwrap();
    let read = tokio::time::timeout(SOON, silent.read_to_end(&mut Vec::new())).await;
    assert!(read.is_ok(), "cut before the test's own deadline");
}

#[tokio::test]
async fn idle_connections_keep_nobody_out_and_who_is_being_answered_stays() {
    let trusted = pair("webhook");
    let (arrived, mut arrivals) = tokio::sync::mpsc::channel::<()>(1);
    let (answer, answers) = tokio::sync::watch::channel(false);
    let slow = get(async move || {
        arrived.send(()).await.unwrap();
        answers.clone().wait_for(|now| *now).await.unwrap();
        "late"
    });
    let router = Router::new().route("/", get(async || "hello")).route("/slow", slow);
    let server = server(router, Limits::default()).await;
    server.current.set(certified_key(trusted.certificate.as_bytes(), trusted.key.as_bytes()).unwrap(), None);

    let mut busy = connect(server.address, &trusted, "webhook").await.unwrap();
    let busy = tokio::spawn(async move { ask(&mut busy, "/slow").await });
    arrivals.recv().await.unwrap();
    let mut kept = connect(server.address, &trusted, "webhook").await.unwrap();
    assert!(ask(&mut kept, "/").await.ends_with("hello"));

    // More than there are slots, and all of them stay as they are.
    let mut idle = Vec::new();
    for number in 0..Limits::default().connections + 40 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        if number % 2 == 1 {
            stream.write_all(&[22, 3, 1]).await.unwrap();
        }
        idle.push(stream);
    }
    let started = tokio::time::Instant::now();
    let mut new = connect(server.address, &trusted, "webhook").await.unwrap();
    assert!(ask(&mut new, "/").await.ends_with("hello"));
    assert!(started.elapsed() < Duration::from_secs(5), "nobody waited for the idle ones' own ends");
    assert!(ask(&mut kept, "/").await.ends_with("hello"), "who has asked before goes after those who never did");
    answer.send_replace(true);
    assert!(busy.await.unwrap().ends_with("late"));
}

#[tokio::test]
async fn a_running_request_is_answered_after_the_stop_and_new_connections_are_refused() {
    let trusted = pair("webhook");
    let (arrived, arrivals) = tokio::sync::oneshot::channel::<()>();
    let (answer, answers) = tokio::sync::oneshot::channel::<()>();
    let once = Arc::new(std::sync::Mutex::new(Some((arrived, answers))));
    let slow = get(async move || {
        let (arrived, answers) = once.lock().unwrap().take().unwrap();
        arrived.send(()).unwrap();
        answers.await.unwrap();
        "late"
    });
    let server = server(Router::new().route("/slow", slow), Limits::default()).await;
    server.current.set(certified_key(trusted.certificate.as_bytes(), trusted.key.as_bytes()).unwrap(), None);
    let mut stream = connect(server.address, &trusted, "webhook").await.unwrap();
    let asking = tokio::spawn(async move { ask(&mut stream, "/slow").await });
    arrivals.await.unwrap();
    server.stop.cancel();
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    answer.send(()).unwrap();
    assert!(asking.await.unwrap().ends_with("late"));
    assert_eq!(tokio::time::timeout(SOON, server.task).await.unwrap().unwrap(), 0, "nothing was cut");
}

#[tokio::test]
async fn a_request_that_does_not_end_is_cut_at_the_deadline() {
    let trusted = pair("webhook");
    let (arrived, arrivals) = tokio::sync::mpsc::channel::<()>(1);
    let stuck = get(async move || {
        arrived.send(()).await.unwrap();
        std::future::pending::<()>().await;
    });
    let limits = Limits { drain: Duration::from_millis(50), ..Limits::default() };
    let server = server(Router::new().route("/stuck", stuck), limits).await;
    server.current.set(certified_key(trusted.certificate.as_bytes(), trusted.key.as_bytes()).unwrap(), None);
    let mut stream = connect(server.address, &trusted, "webhook").await.unwrap();
    stream.write_all(b"GET /stuck HTTP/1.1\r\nHost: webhook\r\n\r\n").await.unwrap();
    let mut arrivals = arrivals;
    arrivals.recv().await.unwrap();
    server.stop.cancel();
    assert_eq!(tokio::time::timeout(SOON, server.task).await.unwrap().unwrap(), 1);
}

#[test]
fn a_key_that_is_not_the_certificates_is_refused() {
    let (first, second) = (pair("first"), pair("second"));
    let error = certified_key(first.certificate.as_bytes(), second.key.as_bytes()).unwrap_err();
    assert!(matches!(error, Error::Pair { .. }));
    assert!(matches!(certified_key(b"", first.key.as_bytes()), Err(Error::NoCertificate)));
    assert!(matches!(certified_key(first.certificate.as_bytes(), b"garbage"), Err(Error::Key { .. })));
}

//! Sinks as services on the loopback network, with and without TLS: what reaches them, and what is told when something doesn't.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use coalmine_core::api::annotations::Phase;
use coalmine_core::notify::outbox::Notice;
use prometheus_client::registry::Registry;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rstest::rstest;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// What a service was sent.
type Received = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

#[derive(Clone, Default)]
struct Service {
    received: Received,
    status: u16,
    headers: Vec<(&'static str, &'static str)>,
}

async fn take(State(service): State<Service>, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    service.received.lock().unwrap().push((headers, body));
    let answer: HeaderMap = service.headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
    (StatusCode::from_u16(service.status).unwrap(), answer)
}

impl Service {
    fn answering(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    async fn listen(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(take).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    fn received(&self) -> Vec<(HeaderMap, Bytes)> {
        self.received.lock().unwrap().clone()
    }
}

/// The files of one sink called `ops`.
struct Files(TempDir);

impl Files {
    fn new(url: &str) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let files = Self(tempfile::tempdir().unwrap());
        files.write("url", url);
        files.write("secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        files
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join(name), text).unwrap();
    }

    fn notifier(&self, kind: &str, more: &str) -> anyhow::Result<Notifier> {
        let directory = self.0.path().display();
        let text = format!("sinks:\n- name: ops\n  type: {kind}\n  url-file: {directory}/url\n{more}");
        self.write("sinks.yaml", &text.replace("DIRECTORY", &directory.to_string()));
        notifier(self.0.path().join("sinks.yaml"))
    }
}

fn notifier(file: PathBuf) -> anyhow::Result<Notifier> {
    let settings = Settings { file: Some(file), cluster: Some("eu1".to_owned()), ..Settings::default() };
    Notifier::new(&settings, Metrics::register(&mut Registry::default())).map(Option::unwrap)
}

async fn post(notifier: &Notifier) -> Answer {
    let notice = Notice {
        run: "r1".to_owned(),
        phase: Phase::Rejected,
        time: "2026-11-27T12:01:00Z".parse().unwrap(),
        user: "ann".to_owned(),
        images: Vec::new(),
        message: "error rate 25%".to_owned(),
        info: Vec::new(),
        sinks: vec!["ops".to_owned()],
    };
    let sink = notifier.sinks.get("ops").unwrap();
    notifier.post(sink, &notifier.letter(&notice).about("shop", "app", "u-1")).await
}

fn status(code: u16) -> Answer {
    Answer::Status { code, retry_after: None }
}

#[tokio::test]
async fn a_program_gets_a_signed_event() {
    let service = Service::answering(204);
    let files = Files::new(&format!("http://{}/hook?token=s3cret\n", service.listen().await));
    let notifier = files.notifier("webhook", "  secret-file: DIRECTORY/secret\n  headers: {X-Team: shop}").unwrap();
    assert_eq!(post(&notifier).await, status(204));
    let (headers, body) = service.received().remove(0);
    assert_eq!(
        (&headers["content-type"], &headers["x-team"]),
        (&"application/cloudevents+json".parse().unwrap(), &"shop".parse().unwrap())
    );
    let event: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((event["id"].as_str(), event["type"].as_str()), (Some("u-1_r1_rejected"), Some("dev.coalmine.canary.rejected")));
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let time = jiff::Timestamp::from_second(header("webhook-timestamp").parse().unwrap()).unwrap();
    assert!(clock::now().duration_since(time).as_secs() < 60);
    let [id, _, signature] = sign::headers("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "u-1_r1_rejected", time, &body);
    assert_eq!((header("webhook-id"), header("webhook-signature")), (id.1, signature.1));
}

#[tokio::test]
async fn a_service_that_asks_for_patience_is_heard_and_one_that_leads_elsewhere_is_not_followed() {
    let elsewhere = Service::answering(200);
    let location = format!("http://{}/", elsewhere.listen().await).leak();
    let busy = Service { headers: vec![("retry-after", "7")], ..Service::answering(429) };
    let leading = Service { headers: vec![("location", location)], ..Service::answering(307) };
    let answers = async |service: &Service| {
        let files = Files::new(&format!("http://{}/", service.listen().await));
        post(&files.notifier("slack", "").unwrap()).await
    };
    assert_eq!(answers(&busy).await, Answer::Status { code: 429, retry_after: Some(Duration::from_secs(7)) });
    assert_eq!(answers(&leading).await, status(307));
    assert_eq!(elsewhere.received(), []);
}

/// An authority, and a service that has its certificate for `localhost`.
async fn with_tls(service: &Service) -> (String, u16) {
    let key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = authority.self_signed(&key).unwrap();
    let issuer = Issuer::new(authority, key);
    let own_key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&own_key, &issuer).unwrap();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![own.der().clone()], rustls::pki_types::PrivatePkcs8KeyDer::from(own_key.serialize_der()).into())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = Router::new().fallback(take).with_state(service.clone());
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let Ok(connection) = acceptor.accept(connection).await else { continue };
            let service = hyper_util::service::TowerToHyperService::new(router.clone());
            let served = hyper::server::conn::http1::Builder::new().serve_connection(hyper_util::rt::TokioIo::new(connection), service);
            tokio::spawn(async move { drop(served.await) });
        }
    });
    (certificate.pem(), port)
}

#[tokio::test]
async fn an_authority_of_ones_own_is_believed_and_no_other() {
    let service = Service::answering(200);
    let (authority, port) = with_tls(&service).await;
    let files = Files::new(&format!("https://localhost:{port}/services/T1/B1/s3cret"));
    files.write("ca.crt", &authority);
    assert_eq!(post(&files.notifier("teams", "  ca-file: DIRECTORY/ca.crt").unwrap()).await, status(200));
    let (other, _) = with_tls(&service).await;
    files.write("ca.crt", &other);
    let answer = post(&files.notifier("teams", "  ca-file: DIRECTORY/ca.crt").unwrap()).await;
    insta::assert_snapshot!(format!("{answer:?}"), @r#"None("no connection (invalid peer certificate: BadSignature)")"#);
    assert_eq!(service.received().len(), 1);
}

/// Passes on what it is asked to, and keeps where to.
async fn proxy() -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::<Mutex<Vec<String>>>::default();
    let seen = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(client.read_u8().await.unwrap());
            }
            let line = String::from_utf8(head).unwrap().lines().next().unwrap().to_owned();
            let target = line.split(' ').nth(1).unwrap().replace("localhost", "127.0.0.1");
            seen.lock().unwrap().push(line);
            let mut service = TcpStream::connect(target).await.unwrap();
            client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await.unwrap();
            tokio::spawn(async move { drop(tokio::io::copy_bidirectional(&mut client, &mut service).await) });
        }
    });
    (address, asked)
}

const FILE: &str = "COALMINE_TEST_SINKS";

/// The environment is all of a process', so that it takes another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_proxy_of_the_environment_is_used() {
    let service = Service::answering(200);
    let (authority, port) = with_tls(&service).await;
    let (proxy, asked) = proxy().await;
    let files = Files::new(&format!("https://localhost:{port}/s3cret"));
    files.write("ca.crt", &authority);
    drop(files.notifier("slack", "  ca-file: DIRECTORY/ca.crt").unwrap());
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "--ignored", "notify::tests::one_is_told"]).env(FILE, files.0.path().join("sinks.yaml"));
    child.env("HTTPS_PROXY", format!("http://{proxy}")).env_remove("NO_PROXY").env_remove("no_proxy");
    let output = tokio::task::spawn_blocking(move || child.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(*asked.lock().unwrap(), [format!("CONNECT localhost:{port} HTTP/1.1")]);
    assert_eq!(service.received().len(), 1);
}

#[tokio::test]
#[ignore = "a part of the test above"]
async fn one_is_told() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    assert_eq!(post(&notifier(std::env::var_os(FILE).unwrap().into()).unwrap()).await, status(200));
}

#[rstest]
#[case::nobody_there("http://127.0.0.1:1/s3cret", "None(\"no connection (Connection refused (os error 111))\")")]
#[case::no_address("hooks.example/s3cret", "Unasked(\"/url holds no address\")")]
#[case::another_scheme("file:///s3cret", "Unasked(\"/url holds no address\")")]
#[case::empty(" \n", "Unasked(\"/url is empty\")")]
#[tokio::test]
async fn what_is_told_names_no_address(#[case] url: &str, #[case] expected: &str) {
    let files = Files::new(url);
    let answer = post(&files.notifier("slack", "").unwrap()).await;
    let words = format!("{answer:?}").replace(&files.0.path().display().to_string(), "");
    assert!(!words.contains("s3cret") && !words.contains("127.0.0.1"), "{words}");
    assert_eq!(words, expected);
}

#[rstest]
#[case::kind(
    "slak",
    "",
    "failed to use /sinks.yaml: line 3: sink ops: type: \"slak\" is not accepted; expected slack, teams, discord, googlechat or webhook"
)]
#[case::no_authorities("slack", "  ca-file: DIRECTORY/none", "failed to read /none: No such file or directory (os error 2)")]
#[case::no_certificate("slack", "  ca-file: DIRECTORY/url", "failed to use /url: it holds no certificate")]
fn a_mistake_ends_the_start(#[case] kind: &str, #[case] more: &str, #[case] expected: &str) {
    let files = Files::new("http://127.0.0.1:1/s3cret");
    let error = format!("{:#}", files.notifier(kind, more).unwrap_err());
    assert_eq!(error.replace(&files.0.path().display().to_string(), ""), expected);
}

#[test]
fn a_default_needs_a_file() {
    let settings = Settings { default: vec!["ops".to_owned()], ..Settings::default() };
    let error = Notifier::new(&settings, Metrics::default()).unwrap_err();
    assert_eq!(error.to_string(), "--notify-default names sinks, and there is no --notifications-file");
    assert!(Notifier::new(&Settings::default(), Metrics::default()).unwrap().is_none());
}

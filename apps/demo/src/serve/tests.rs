//! The demo service as a client sees it: its faults, its metrics page.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::*;

struct Running {
    address: std::net::SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<anyhow::Result<()>>,
}

async fn running(variables: &'static [(&str, &str)]) -> Running {
    let lookup = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let app = Arc::new(App::new(Settings::from_lookup(&lookup).unwrap()));
    let served = tokio::spawn(serve(listener, app, async { stopped.await.unwrap_or_default() }));
    Running { address, stop: Some(stop), served }
}

impl Running {
    fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    async fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

/// Sends one request on a connection that stays open and returns the answer's head and body as they come.
async fn ask(stream: &mut TcpStream, path: &str) -> String {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\n") || !answer.windows(4).any(|window| window == b"\r\n\r\n") || answer.ends_with(b"\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "closed before the answer");
    }
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn only_user_traffic_is_counted() {
    let app = running(&[("VERSION", "good")]).await;
    let answer = app.get("/any/path?really").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.contains("x-version: good\r\n"), "{answer}");
    for path in ["/livez", "/readyz", "/metrics"] {
        assert!(app.get(path).await.starts_with("HTTP/1.1 200 OK\r\n"), "{path}");
    }
    let page = app.get("/metrics").await;
    assert!(page.contains("http_requests_total{code=\"200\",method=\"GET\"} 1\n"), "{page}");
    assert!(page.contains("http_request_duration_seconds_count 1\n"), "{page}");
}

#[tokio::test]
async fn the_bad_version_fails_users_but_not_its_probes() {
    let app = running(&[("VERSION", "bad"), ("ERROR_RATE", "1")]).await;
    assert!(app.get("/").await.starts_with("HTTP/1.1 500 "));
    assert!(app.get("/readyz").await.starts_with("HTTP/1.1 200 "));
    assert!(app.get("/metrics").await.contains("http_requests_total{code=\"500\",method=\"GET\"} 1\n"));
}

#[tokio::test]
async fn a_version_may_hang_or_hide_while_its_probes_succeed() {
    let app = running(&[("HANG_AFTER", "0s"), ("METRICS_HANG_AFTER", "0s")]).await;
    for path in ["/", "/metrics"] {
        assert!(tokio::time::timeout(Duration::from_millis(200), app.get(path)).await.is_err(), "{path}");
    }
    assert!(app.get("/readyz").await.starts_with("HTTP/1.1 200 "));
    let app = running(&[("NOT_FOUND_RATE", "1"), ("CODE_LABEL", "status")]).await;
    assert!(app.get("/").await.starts_with("HTTP/1.1 404 "));
    assert!(app.get("/metrics").await.contains("http_requests_total{status=\"404\",method=\"GET\"} 1\n"));
}

#[tokio::test]
async fn a_version_that_is_never_ready_is_alive_all_the_same() {
    let app = running(&[("NEVER_READY", "true")]).await;
    assert!(app.get("/readyz").await.starts_with("HTTP/1.1 503 "));
    assert!(app.get("/livez").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_version_whose_probes_fail_in_the_end_serves_on() {
    let app = running(&[("NOT_READY_AFTER", "0s"), ("NOT_ALIVE_AFTER", "0s")]).await;
    for (path, status) in [("/readyz", 503), ("/livez", 503), ("/", 200)] {
        assert!(app.get(path).await.starts_with(&format!("HTTP/1.1 {status} ")), "{path}");
    }
}

#[tokio::test]
async fn requests_fail_while_the_dependency_does_not_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let settings = Settings::from_lookup(&|name| (name == "DEPENDENCY").then(|| format!("http://{address}/livez"))).unwrap();
    let app = App::new(settings);
    let is_down = |expected: bool| {
        let app = &app;
        async move {
            while app.dependency_is_down.load(Relaxed) != expected {
                tokio::task::yield_now().await;
            }
        }
    };
    let story = async {
        // One answer of failure, and no more answers.
        listener.accept().await.unwrap().0.write_all(b"HTTP/1.1 503 x\r\n").await.unwrap();
        is_down(true).await;
        assert_eq!(app.user_traffic("GET").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
        listener.accept().await.unwrap().0.write_all(b"HTTP/1.1 204 x\r\n").await.unwrap();
        is_down(false).await;
        assert_eq!(app.user_traffic("GET").await.status(), StatusCode::OK);
        drop(listener);
        is_down(true).await;
    };
    tokio::select! {
        () = app.watch_dependency() => {}
        () = story => {}
    }
}

#[tokio::test]
async fn a_crash_ends_the_program_with_its_reason() {
    let app = running(&[("CRASH_AFTER", "1ms")]).await;
    let error = app.served.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("CRASH_AFTER"), "{error}");
}

#[tokio::test]
async fn stopping_serves_on_and_asks_clients_to_leave() {
    let mut app = running(&[("STOP_DELAY", "2s")]).await;
    let mut kept = TcpStream::connect(app.address).await.unwrap();
    assert!(!ask(&mut kept, "/").await.contains("connection: close"));
    app.stop();
    while !app.get("/readyz").await.starts_with("HTTP/1.1 503 ") {
        tokio::task::yield_now().await;
    }
    let last = ask(&mut kept, "/").await;
    assert!(last.starts_with("HTTP/1.1 200 ") && last.contains("connection: close\r\n"), "{last}");
    assert_eq!(kept.read_u8().await.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof, "closed after its last answer");
    assert!(app.get("/").await.starts_with("HTTP/1.1 200 "), "new connections are served until the delay is over");
    app.served.await.unwrap().unwrap();
    assert!(TcpStream::connect(app.address).await.is_err(), "nothing listens any more");
}

#[tokio::test]
async fn a_request_in_flight_is_finished() {
    let mut app = running(&[("LATENCY", "200ms"), ("STOP_DELAY", "0s")]).await;
    let mut stream = TcpStream::connect(app.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    // The connection must have been accepted before the stop; another one's answer proves that.
    app.get("/livez").await;
    app.stop();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    app.served.await.unwrap().unwrap();
}

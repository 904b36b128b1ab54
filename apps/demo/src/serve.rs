//! The listening side: accept, answer, and stop so that a rolling update loses no request.
//!
//! On SIGTERM the pod leaves its Services, but every node learns that a moment later. So: readiness fails and each answer asks
//! its client to reconnect elsewhere, while everything is still served for `stop_delay`; only then does the listener close.

use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use anyhow::bail;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;

use crate::faults::{Answer, Random};
use crate::metrics::Metrics;
use crate::settings::Settings;

/// Requests that are still running this long after the listener closed are cut.
const DRAIN_LIMIT: Duration = Duration::from_secs(20);

const LEAKS_PER_SECOND: u32 = 10;

/// What all connections share.
#[derive(Debug)]
pub(crate) struct App {
    settings: Settings,
    version: HeaderValue,
    greeting: Bytes,
    start: Instant,
    stopping: AtomicBool,
    dependency_is_down: AtomicBool,
    random: Random,
    metrics: Metrics,
}

impl App {
    pub(crate) fn new(settings: Settings) -> Self {
        Self {
            version: HeaderValue::from_str(&settings.version).unwrap_or_else(|_| HeaderValue::from_static("unknown")),
            greeting: Bytes::from(format!("hello from version {}\n", settings.version)),
            settings,
            start: Instant::now(),
            stopping: AtomicBool::new(false),
            dependency_is_down: AtomicBool::new(false),
            random: Random::from_seed(RandomState::new().hash_one("demo-app")),
            metrics: Metrics::default(),
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let mut response = match request.uri().path() {
            "/livez" if self.settings.faults.alive(self.start.elapsed()) => plain(StatusCode::OK, Bytes::from_static(b"alive\n")),
            "/livez" => plain(StatusCode::SERVICE_UNAVAILABLE, Bytes::from_static(b"not alive\n")),
            "/readyz" if self.ready() => plain(StatusCode::OK, Bytes::from_static(b"ready\n")),
            "/readyz" => plain(StatusCode::SERVICE_UNAVAILABLE, Bytes::from_static(b"not ready\n")),
            "/metrics" => {
                if !self.settings.faults.shows_metrics(self.start.elapsed()) {
                    std::future::pending::<()>().await;
                }
                let mut page = plain(StatusCode::OK, Bytes::from(self.metrics.page(&self.settings.version, &self.settings.code_label)));
                page.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
                page
            }
            _ => self.user_traffic(request.method().as_str()).await,
        };
        response.headers_mut().insert("x-version", self.version.clone());
        if self.stopping.load(Relaxed) {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }

    async fn user_traffic(&self, method: &str) -> Response<Full<Bytes>> {
        let begin = Instant::now();
        let treatment = self.settings.faults.treatment(self.start.elapsed(), [self.random.next(), self.random.next()]);
        if !treatment.delay.is_zero() {
            tokio::time::sleep(treatment.delay).await;
        }
        if treatment.answer == Answer::Hangs {
            std::future::pending::<()>().await;
        }
        let response = match treatment.answer {
            Answer::NotFound => plain(StatusCode::NOT_FOUND, Bytes::from_static(b"this version does not know the path\n")),
            Answer::Greeting if !self.dependency_is_down.load(Relaxed) => plain(StatusCode::OK, self.greeting.clone()),
            _ => plain(StatusCode::INTERNAL_SERVER_ERROR, Bytes::from_static(b"this version is broken\n")),
        };
        self.metrics.record(response.status().as_u16(), method, begin.elapsed());
        response
    }

    /// Takes as much memory as was asked for, and never gives any back.
    async fn leak(&self) {
        let leak = usize::try_from(self.settings.faults.leak / u64::from(LEAKS_PER_SECOND)).unwrap_or(usize::MAX);
        if leak == 0 {
            return std::future::pending().await;
        }
        let mut leaked = Vec::new();
        loop {
            // Pages of zeros would cost nothing.
            leaked.push(vec![1_u8; leak]);
            tokio::time::sleep(Duration::from_secs(1) / LEAKS_PER_SECOND).await;
        }
    }

    async fn watch_dependency(&self) {
        match &self.settings.dependency {
            Some(dependency) => dependency.watch(&self.dependency_is_down).await,
            None => std::future::pending().await,
        }
    }

    fn ready(&self) -> bool {
        !self.stopping.load(Relaxed) && self.settings.faults.ready(self.start.elapsed())
    }
}

fn plain(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response
}

/// Serves until `stop` resolves and everything in flight is answered, or until the crash that was asked for.
pub(crate) async fn serve(listener: TcpListener, app: Arc<App>, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
    let connections = GracefulShutdown::new();
    let crash_after = app.settings.faults.crash_after;
    let crash = async {
        match crash_after {
            Some(after) => tokio::time::sleep(after).await,
            None => std::future::pending().await,
        }
    };
    let stopped = async {
        stop.await;
        app.stopping.store(true, Relaxed);
        tokio::time::sleep(app.settings.stop_delay).await;
    };
    tokio::select! {
        () = accept(&listener, &app, &connections) => {}
        () = crash => bail!("crashes {crash_after:?} after its start, as CRASH_AFTER asks"),
        () = stopped => {}
        () = app.leak() => {}
        () = app.watch_dependency() => {}
    }
    drop(listener);
    if tokio::time::timeout(DRAIN_LIMIT, connections.shutdown()).await.is_err() {
        bail!("requests were still running {DRAIN_LIMIT:?} after the stop");
    }
    Ok(())
}

async fn accept(listener: &TcpListener, app: &Arc<App>, connections: &GracefulShutdown) {
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, most likely: leave others the time to close theirs.
                eprintln!("demo-app: failed to accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        // Fails on a connection that is already gone, which the first read will tell.
        stream.set_nodelay(true).ok();
        let app = Arc::clone(app);
        let service = service_fn(move |request| {
            let app = Arc::clone(&app);
            async move { Ok::<_, Infallible>(app.answer(request).await) }
        });
        let connection = connections.watch(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        // A client that goes away in the middle is its own business.
        tokio::spawn(async move { connection.await.ok() });
    }
}

#[cfg(test)]
mod tests {
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
}

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
mod tests;

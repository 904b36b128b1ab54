//! Reading a real Prometheus: discovery, counting, checks, and what happens when it stalls. Pods are pages on addresses of the loopback network.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::routing::get;
use coalmine::sources::pods::Fetcher;
use coalmine::sources::prometheus::{Prometheus, Settings};
use coalmine::sources::{self, Asked, Pages, Problem, Reader, Scope, Source as _, Sources};
use coalmine_core::api::checks::{Probe, Rules, parse_list};
use coalmine_core::facts::checked::{Amount, Bound, Failed, Outcome, Passed, Unknown};
use coalmine_core::judging::checks::Progress;
use coalmine_core::metrics::counting::{Counted, Members, PodLabel, Pods, Reading, Window};
use coalmine_core::metrics::discovery::{self, Choice, Found};
use coalmine_core::statistics::{Deadline, Parameters, Verdict, analyse};
use rustix::process::Signal;

use crate::support::{PATIENCE, signal};

mod counted;
mod monitoring;
mod native;
mod series;

const CANARY: &str = "app-canary-77f-ccccc";
const PRIMARY: [&str; 3] = ["app-6d5f-aaaaa", "app-6d5f-bbbbb", "app-6d5f-ddddd"];
/// A pod of another cluster.
const ELSEWHERE: &str = "app-6d5f-elsew";
const REQUESTS_PER_SECOND: f64 = 200.0;

const CONFIGURATION: &str =
    "global: {scrape_interval: 1s, scrape_timeout: 1s}\notlp: {promote_resource_attributes: [k8s.pod.name, k8s.namespace.name]}\n";

/// When each pod's process began; its page is a function of that.
type Processes = Arc<Mutex<BTreeMap<String, Instant>>>;

/// How a canary answers that fails every third request.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Failing {
    #[default]
    Http,
    /// It finds nothing any more.
    NotFound,
    /// The label that says so is called otherwise than the primary's.
    Renamed,
    /// gRPC's codes, by number, on a counter that has HTTP's name; the primary's pods write them too.
    Grpc,
}

/// What a page is a function of.
#[derive(Clone, Debug, Default)]
struct Behaviour {
    processes: Processes,
    failing: Failing,
}

/// A pod that isn't there refuses; one of ours has served 200 requests a second since it began, of which the canary failed every third.
async fn page(
    State((pod, Behaviour { processes, failing })): State<(String, Behaviour)>,
    _: ConnectInfo<SocketAddr>,
) -> Result<String, StatusCode> {
    let began = processes.lock().unwrap().get(&pod).copied().ok_or(StatusCode::SERVICE_UNAVAILABLE)?;
    let requests = (began.elapsed().as_secs_f64() * REQUESTS_PER_SECOND).floor();
    let is_bad = pod == CANARY || pod == ELSEWHERE;
    let errors = if is_bad { (requests / 3.0).floor() } else { 0.0 };
    let (label, good, bad) = match failing {
        Failing::Http => ("code", "200", "500"),
        Failing::NotFound => ("code", "200", "404"),
        Failing::Renamed => (if is_bad { "status" } else { "code" }, "200", "500"),
        Failing::Grpc => ("code", "0", "14"),
    };
    let good = format!("http_requests_total{{{label}=\"{good}\",method=\"GET\"}} {}\n", requests - errors);
    let bad = format!("http_requests_total{{{label}=\"{bad}\",method=\"GET\"}} {errors}\n");
    // What fails takes 400 ms, all else 50.
    let bucket = |le: &str, count: f64| format!("http_request_duration_seconds_bucket{{le=\"{le}\"}} {count}\n");
    let within = [("0.1", requests - errors), ("0.25", requests - errors), ("0.5", requests), ("+Inf", requests)];
    let buckets: String = within.map(|(le, count)| bucket(le, count)).concat();
    let rest = format!("http_request_duration_seconds_sum {requests}\nhttp_request_duration_seconds_count {requests}\nbacklog 7\n");
    // A counter of errors is born with the first error.
    let counters = format!("# TYPE http_requests_total counter\n{good}{}", if errors > 0.0 { &bad } else { "" });
    Ok(format!("{counters}# TYPE http_request_duration_seconds histogram\n{buckets}{rest}"))
}

/// A Prometheus of this configuration, and where it is asked.
fn start(directory: &Path, configuration: &str) -> (Child, SocketAddr) {
    let program = std::env::var("COALMINE_PROMETHEUS").expect("COALMINE_PROMETHEUS names the program");
    std::fs::write(directory.join("prometheus.yml"), configuration).unwrap();
    // Free a moment ago; nobody else on this machine is likely to take it.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let prometheus = Command::new(program)
        .arg(format!("--config.file={}", directory.join("prometheus.yml").display()))
        .arg(format!("--storage.tsdb.path={}", directory.join("data").display()))
        .arg(format!("--web.listen-address={address}"))
        .arg("--web.enable-otlp-receiver")
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(directory.join("log")).unwrap())
        .spawn()
        .unwrap();
    (prometheus, address)
}

struct World {
    processes: Processes,
    scope: Scope,
    prometheus: Child,
    client: Prometheus,
    reader: tokio::sync::Mutex<Reader>,
    directory: PathBuf,
}

/// What isn't the same in every world.
#[derive(Clone, Copy, Default)]
struct Plan {
    /// The label that names pods; without one they are told apart by their address alone.
    label: Option<&'static str>,
    /// More lines in the configuration of both jobs.
    options: &'static str,
    /// Each page is a target of each of these, as `container: app`.
    copies: &'static [&'static str],
    failing: Failing,
    /// Another cluster writes to the same store: its canary's name is ours.
    has_another_cluster: bool,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = self.prometheus.kill();
        let _ = self.prometheus.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl World {
    /// Pods named in `label`, or told apart by their address alone; every pod is scraped by two jobs.
    async fn new(name: &str, label: Option<&'static str>) -> Self {
        Self::of(name, Plan { label, ..Plan::default() }).await
    }

    /// With more lines in the configuration of both jobs.
    async fn with(name: &str, label: Option<&'static str>, options: &'static str) -> Self {
        Self::of(name, Plan { label, options, ..Plan::default() }).await
    }

    async fn of(name: &str, plan: Plan) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let processes = Processes::default();
        let mut targets = Vec::new();
        let mut scope = Scope { namespace: "shop".to_owned(), pods: Pods::default() };
        scope.pods.canary = Members::of_names([CANARY]);
        scope.pods.primary = Members::of_names(PRIMARY);
        let elsewhere = plan.has_another_cluster.then_some(ELSEWHERE);
        for (number, pod) in (1..).zip(PRIMARY.into_iter().chain([CANARY]).chain(elsewhere)) {
            let listener = tokio::net::TcpListener::bind(format!("127.0.77.{number}:0")).await.unwrap();
            let address = listener.local_addr().unwrap();
            // There a pod of the primary has the name of one of ours, and fails.
            let (cluster, called) = if pod == ELSEWHERE { ("us1", PRIMARY[0]) } else { ("eu1", pod) };
            for copy in if plan.copies.is_empty() { &["a: b"] } else { plan.copies } {
                let labels = plan.label.map(|label| format!("namespace: shop, {label}: {called}, cluster: {cluster}, {copy}"));
                let labels = labels.map(|labels| format!(", labels: {{{labels}}}")).unwrap_or_default();
                targets.push(format!("  - {{targets: ['{address}']{labels}}}\n"));
            }
            let router = Router::new()
                .route("/metrics", get(page))
                .with_state((pod.to_owned(), Behaviour { processes: Arc::clone(&processes), failing: plan.failing }));
            tokio::spawn(axum::serve(listener, router.into_make_service_with_connect_info::<SocketAddr>()).into_future());
            if pod != ELSEWHERE {
                let side = if pod == CANARY { &mut scope.pods.canary } else { &mut scope.pods.primary };
                side.addresses.insert(address.ip().to_string(), pod.to_owned());
            }
        }
        let options = plan.options;
        let directory = std::env::temp_dir().join(format!("coalmine-prometheus-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let job = |name: &str| format!("- job_name: {name}\n{options}  static_configs:\n{}", targets.concat());
        let configuration = format!("{CONFIGURATION}scrape_configs:\n{}{}", job("pods"), job("again"));
        let (prometheus, address) = start(&directory, &configuration);
        let matchers = if plan.has_another_cluster { vec!["cluster=\"eu1\"".to_owned()] } else { Vec::new() };
        let settings = Settings { timeout: Duration::from_secs(2), matchers, ..Settings::new(format!("http://{address}")) };
        Self { processes, scope, prometheus, client: Prometheus::new(settings).unwrap(), reader: tokio::sync::Mutex::default(), directory }
    }

    fn begin(&self, pods: &[&str]) {
        self.processes.lock().unwrap().extend(pods.iter().map(|pod| ((*pod).to_owned(), Instant::now())));
    }

    async fn found(&self) -> Found {
        self.found_with(false).await
    }

    async fn found_with(&self, latency: bool) -> Found {
        eventually("a request counter", || async {
            let names = discovery::wanted(&Choice::Auto, latency);
            let series = self.client.present(&self.scope, &names).await.map_err(|error| error.to_string())?;
            discovery::recognise(&Choice::Auto, &series, &self.scope.pods, "app").map_err(|error| error.to_string())
        })
        .await
    }

    /// As the controller counts, piece by piece.
    async fn count(&self, found: &Found, since: Instant) -> Result<Counted, sources::Error> {
        self.count_with(&mut *self.reader.lock().await, found, &found.reading, since).await
    }

    async fn count_with(&self, reader: &mut Reader, found: &Found, reading: &Reading, since: Instant) -> Result<Counted, sources::Error> {
        let window = Window { elapsed: i64::try_from(since.elapsed().as_millis()).unwrap(), ..Window::default() };
        let readings = [(reading.clone(), window)];
        let interval = Some(Duration::from_secs(1));
        let mut counted = reader.count(&self.client, &self.scope, found.pod_label, &readings, interval, coalmine::clock::now()).await?;
        Ok(counted.remove(0))
    }

    async fn looks(&self, found: &Found, since: Instant, looks: usize) -> Counted {
        eventually("scrapes of the canary", || async {
            let counted = self.count(found, since).await.map_err(|error| error.to_string())?;
            if counted.looks.len() >= looks { Ok(counted) } else { Err(format!("{} looks", counted.looks.len())) }
        })
        .await
    }

    /// Until both jobs have scraped each of the primary's pods twice: from one sample nothing can be counted yet.
    async fn await_counted(&self) {
        let twice = r#"count(count_over_time(http_requests_total{code="200"}[1m]) >= 2)"#;
        eventually("two scrapes of all", || async {
            let answer = self.client.query(twice).await.map_err(|error| error.to_string())?;
            let counted = answer.first().and_then(|series| series.samples.last()).map_or(0.0, |sample| sample.value);
            if counted >= 2.0 * PRIMARY.len() as f64 { Ok(()) } else { Err(format!("{counted} series")) }
        })
        .await;
    }

    fn signal(&self, wanted: Signal) {
        signal(self.prometheus.id(), wanted);
    }
}

async fn eventually<T, F: Future<Output = Result<T, String>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look().await {
            Ok(found) => return found,
            Err(seen) if Instant::now() > deadline => panic!("waited for {what}; seen last: {seen}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

fn close_to(value: f64, expected: f64) -> bool {
    (value - expected).abs() <= expected * 0.25
}

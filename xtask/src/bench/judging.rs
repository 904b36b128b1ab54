//! A hundred canaries on trial at once, each beside its primary, all scraped by a real Prometheus every five seconds: what judging them
//! costs. Pods are pages of this program; no kubelet runs, so that nothing else is measured.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::File,
    io::{BufRead, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    ops::ControlFlow,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{
    Row, https, json,
    program::{Kubectl, Program, free_port},
    text,
};
use crate::{
    command,
    directory::State,
    programs::Module,
    progress::{say, wait_for},
};

const CANARIES: usize = 100;
const NAMESPACE: &str = "judged";
const SCRAPE_INTERVAL: Duration = Duration::from_secs(5);
/// Discovery and the primary's past are asked for once; after this long only the run itself is read.
const BEGINNING: Duration = Duration::from_secs(30);
const MEASURED: Duration = Duration::from_mins(1);
const REQUESTS_PER_SECOND: f64 = 50.0;
const PATIENCE: Duration = Duration::from_mins(3);

pub(super) fn measure(state: &State, kubectl: &Kubectl) -> Result<Vec<Row>> {
    let program = Module::prometheus().build(state, &["prometheus"])?.path("prometheus");
    let port = free_port()?;
    let coalmine = Program::start(kubectl, &format!("http://127.0.0.1:{port}"))?;
    kubectl.run(&["create", "namespace", NAMESPACE])?;
    say(format_args!("holding the templates of {CANARIES} Deployments"));
    write(kubectl, &["apply"], &list((0..CANARIES).map(|number| deployment(number, "1"))))?;
    let primaries = pods(kubectl, CANARIES)?;
    write(kubectl, &["replace", "--subresource=status"], &list(primaries.into_iter().enumerate().map(ready)))?;
    write(kubectl, &["apply"], &list((0..CANARIES).map(|number| deployment(number, "2"))))?;
    let pods = pods(kubectl, 2 * CANARIES)?;
    let names: Vec<String> = pods.iter().map(|pod| text(pod, "/metadata/name").to_owned()).collect();

    let _prometheus = Prometheus::start(&program, port, serve_pages()?, &names)?;
    write(kubectl, &["replace", "--subresource=status"], &list(pods.into_iter().enumerate().map(ready)))?;
    say("judging them");
    let asked = |count: f64| {
        wait_for("a question about each canary", PATIENCE, || {
            let queries = Cost::of(&coalmine, port)?.queries;
            Ok(if queries >= count { ControlFlow::Break(()) } else { ControlFlow::Continue(format!("{queries} questions")) })
        })
    };
    // At least what is there, and a first and a second look.
    asked(3.0 * CANARIES as f64)?;
    let_pass(BEGINNING)?;
    let (before, began) = (Cost::of(&coalmine, port)?, Instant::now());
    let_pass(MEASURED)?;
    let (after, seconds) = (Cost::of(&coalmine, port)?, began.elapsed().as_secs_f64());
    still_judged(kubectl)?;
    let queries = after.queries - before.queries;
    let per_scrape = queries / CANARIES as f64 / (seconds / SCRAPE_INTERVAL.as_secs_f64());
    let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64() / seconds;
    Ok(vec![
        Row {
            what: "100 canaries at once: Prometheus queries per canary and scrape",
            budget: "1".to_owned(),
            measured: format!("{per_scrape:.2}"),
            // A scrape more or less falls into the minute, and a canary's first one late is made up for.
            ok: (0.5..=1.1).contains(&per_scrape),
        },
        Row {
            what: "the same: bytes of an answer",
            budget: "-".to_owned(),
            measured: format!("{:.1} kB", (after.bytes - before.bytes) / queries / 1e3),
            ok: true,
        },
        Row { what: "the same: CPU of Coalmine", budget: "-".to_owned(), measured: format!("{:.1} % of a core", cpu * 100.0), ok: true },
        Row::mebibytes("the same: resident memory", 40, coalmine.settled_memory()?),
    ])
}

/// What had been spent at one time.
struct Cost {
    queries: f64,
    bytes: f64,
    cpu: Duration,
}

impl Cost {
    /// As Prometheus itself counts its answers.
    fn of(coalmine: &Program, port: u16) -> Result<Self> {
        let page = https::page(port, "/metrics").unwrap_or_default();
        let sum = |name: &str| -> f64 {
            let lines = page.lines().filter(|line| line.starts_with(name) && line.contains("handler=\"/api/v1/query\""));
            lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).fold(0.0, |sum, value| sum + value)
        };
        let (queries, bytes) = (sum("prometheus_http_requests_total{"), sum("prometheus_http_response_size_bytes_sum{"));
        Ok(Self { queries, bytes, cpu: coalmine.cpu_time()? })
    }
}

fn let_pass(duration: Duration) -> Result<()> {
    let began = Instant::now();
    wait_for("time to pass", duration * 2, || {
        let left = duration.saturating_sub(began.elapsed());
        Ok(if left.is_zero() { ControlFlow::Break(()) } else { ControlFlow::Continue(format!("{} s left", left.as_secs())) })
    })
}

/// Nothing was decided or lost meanwhile: the numbers are of a hundred canaries.
fn still_judged(kubectl: &Kubectl) -> Result<()> {
    let all = json(&kubectl.run(&["get", "deployments", &format!("--namespace={NAMESPACE}"), "--output=json"])?)?;
    let phases: Vec<&str> =
        all["items"].as_array().into_iter().flatten().map(|app| text(app, "/metadata/annotations/canary.state~1phase")).collect();
    let running = phases.iter().filter(|phase| **phase == "Running").count();
    anyhow::ensure!(running == CANARIES, "expected {CANARIES} canaries to be judged, not {running}");
    Ok(())
}

fn deployment(number: usize, version: &str) -> Value {
    let name = format!("app-{number:03}");
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name, "namespace": NAMESPACE, "labels": {"app": name},
            "annotations": {"canary.enabled": "true", "canary.duration": "1h", "canary.deadline": "2h"},
        },
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "app", "image": format!("localhost/none:{version}")}]},
            },
        },
    })
}

/// As a kubelet would write it.
fn ready((number, mut pod): (usize, Value)) -> Value {
    let now = text(&pod, "/metadata/creationTimestamp").to_owned();
    let conditions = ["PodScheduled", "Initialized", "ContainersReady", "Ready"];
    let address = format!("10.77.{}.{}", number / 250, number % 250 + 1);
    pod["status"] = json!({
        "phase": "Running",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": now,
        "conditions": conditions.map(|kind| json!({"type": kind, "status": "True", "lastTransitionTime": now})),
        "containerStatuses": [{
            "name": "app", "image": "localhost/none", "imageID": "", "ready": true, "started": true, "restartCount": 0,
            "state": {"running": {"startedAt": now}},
        }],
    });
    pod
}

fn pods(kubectl: &Kubectl, count: usize) -> Result<Vec<Value>> {
    wait_for("the pods", PATIENCE, || {
        let list = json(&kubectl.run(&["get", "pods", &format!("--namespace={NAMESPACE}"), "--output=json"])?)?;
        let pods = list["items"].as_array().cloned().unwrap_or_default();
        Ok(if pods.len() == count { ControlFlow::Break(pods) } else { ControlFlow::Continue(format!("{} of {count}", pods.len())) })
    })
}

fn list(items: impl Iterator<Item = Value>) -> Value {
    json!({"apiVersion": "v1", "kind": "List", "items": items.collect::<Vec<_>>()})
}

fn write(kubectl: &Kubectl, verb: &[&str], objects: &Value) -> Result<()> {
    let arguments = [verb, &["--validate=false", "--output=name", "-f", "-"]].concat();
    kubectl.run_with_input(&arguments, &objects.to_string()).map(drop)
}

/// Every pod's page is found under its name, and counts from when it was first read.
fn serve_pages() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("failed to open a port for the pages")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        let mut began = BTreeMap::new();
        for stream in listener.incoming().flatten() {
            // Who went away needs no page.
            let _ = answer(stream, &mut began);
        }
    });
    Ok(port)
}

fn answer(mut stream: TcpStream, began: &mut BTreeMap<String, Instant>) -> std::io::Result<()> {
    let mut request = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    request.read_line(&mut line)?;
    let pod = line.split(' ').nth(1).unwrap_or_default().to_owned();
    while line != "\r\n" {
        line.clear();
        if request.read_line(&mut line)? == 0 {
            break;
        }
    }
    let requests = (began.entry(pod).or_insert_with(Instant::now).elapsed().as_secs_f64() * REQUESTS_PER_SECOND).floor();
    let mut page = "# TYPE http_requests_total counter\n".to_owned();
    for (code, count) in [("200", requests), ("404", (requests / 50.0).floor()), ("500", (requests / 2000.0).floor())] {
        let _ = writeln!(page, "http_requests_total{{code=\"{code}\",method=\"GET\"}} {count}");
    }
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
        page.len()
    )
}

/// Killed when dropped.
struct Prometheus {
    child: Child,
    _directory: tempfile::TempDir,
}

impl Prometheus {
    fn start(program: &std::path::Path, port: u16, pages: u16, pods: &[String]) -> Result<Self> {
        let directory = tempfile::tempdir().context("failed to make a directory")?;
        let targets: Vec<Value> = pods
            .iter()
            .map(|pod| {
                let labels = json!({"namespace": NAMESPACE, "pod": pod, "instance": pod, "__metrics_path__": format!("/{pod}")});
                json!({"targets": [format!("127.0.0.1:{pages}")], "labels": labels})
            })
            .collect();
        // JSON is YAML.
        let configuration = json!({
            "global": {"scrape_interval": format!("{}s", SCRAPE_INTERVAL.as_secs())},
            "scrape_configs": [{"job_name": "pods", "static_configs": targets}],
        });
        let path = directory.path().join("prometheus.yml");
        command::write(&path, configuration.to_string())?;
        let log = File::create(directory.path().join("log")).context("failed to make a log")?;
        let child = command::ending_with_us(program)
            .arg(format!("--config.file={}", path.display()))
            .arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("failed to start Prometheus")?;
        Ok(Self { child, _directory: directory })
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! A real Prometheus, which reads one page with the counters of all pods, and the way to it.

use std::{
    fmt::Write as _,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::world::World;
use crate::support::{
    control_plane::{ControlPlane, variable},
    gateway::Gateway,
};

const REQUESTS_PER_SECOND: f64 = 100.0;

pub(super) struct Source {
    prometheus: Child,
    pub(super) gateway: Gateway,
    /// The page of the pods is no page.
    pub(super) pages_fail: Arc<AtomicBool>,
}

impl Source {
    pub(super) fn start(control_plane: &ControlPlane, world: &Arc<World>) -> Self {
        let pages_fail = Arc::new(AtomicBool::new(false));
        let pages = serve_page(Arc::clone(world), Arc::clone(&pages_fail));
        let directory = control_plane.directory.join("prometheus");
        std::fs::create_dir_all(&directory).expect("a directory");
        let configuration = format!(
            "global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n- job_name: pods\n  honor_labels: true\n  static_configs:\n  - targets: ['{pages}']\n"
        );
        std::fs::write(directory.join("prometheus.yml"), configuration).expect("a configuration");
        // Free a moment ago; nobody else on this machine is likely to take it.
        let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
        let prometheus = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(variable("COALMINE_PROMETHEUS"))
            .arg(format!("--config.file={}", directory.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", directory.join("data").display()))
            .arg(format!("--web.listen-address={address}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(directory.join("log")).expect("a log"))
            .spawn()
            .expect("Prometheus starts");
        Self { prometheus, gateway: Gateway::new(control_plane, vec![address]), pages_fail }
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        let _ = self.prometheus.kill();
        let _ = self.prometheus.wait();
    }
}

fn serve_page(world: Arc<World>, fails: Arc<AtomicBool>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Who went away needs no page.
            let _ = answer(stream, &world, fails.load(Ordering::Relaxed));
        }
    });
    address
}

fn answer(mut stream: TcpStream, world: &World, fails: bool) -> std::io::Result<()> {
    let mut request = BufReader::new(stream.try_clone()?);
    let mut line = String::new();
    while request.read_line(&mut line)? > 0 && line != "\r\n" {
        line.clear();
    }
    let (status, page) = if fails { ("503 Service Unavailable", String::new()) } else { ("200 OK", page(world)) };
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{page}",
        page.len()
    )
}

/// What fails answers every other request with an error.
fn page(world: &World) -> String {
    let mut page = "# TYPE http_requests_total counter\n".to_owned();
    for pod in world.serving() {
        let requests = (pod.since.elapsed().as_secs_f64() * REQUESTS_PER_SECOND).floor();
        let errors = if pod.template.fails() { (requests / 2.0).floor() } else { 0.0 };
        for (code, count) in [("200", requests - errors), ("500", errors)] {
            let (namespace, name) = (&pod.namespace, &pod.name);
            let _ =
                writeln!(page, "http_requests_total{{namespace=\"{namespace}\",pod=\"{name}\",code=\"{code}\",method=\"GET\"}} {count}");
        }
    }
    page
}

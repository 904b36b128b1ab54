//! The static program, as the image ships it, beside a control plane: registered by its address instead of its Service.

use std::{
    fs,
    net::TcpListener,
    ops::ControlFlow,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{ask, https};
use crate::{
    command,
    directory::{cargo_target, repository},
    prerequisites::STATIC_TARGET,
    progress::wait_for,
};

/// kubectl for one control plane.
#[derive(Debug)]
pub(super) struct Kubectl {
    path: PathBuf,
    kubeconfig: PathBuf,
}

impl Kubectl {
    pub(super) fn new(path: PathBuf, kubeconfig: PathBuf) -> Self {
        Self { path, kubeconfig }
    }

    pub(super) fn kubeconfig(&self) -> &std::path::Path {
        &self.kubeconfig
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.path);
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(arguments);
        command
    }

    pub(super) fn run(&self, arguments: &[&str]) -> Result<String> {
        ask(self.command(arguments))
    }

    pub(super) fn run_with_input(&self, arguments: &[&str], input: &str) -> Result<String> {
        command::capture_with_input(&mut self.command(arguments), input)
    }
}

const NAMES: [&str; 3] = ["namespace.yaml", "serviceaccount.yaml", "rbac.yaml"];

/// What `deploy/` grants and registers; the address follows at each start.
pub(super) fn install(kubectl: &Kubectl) -> Result<()> {
    for file in NAMES {
        kubectl.run(&["apply", "--server-side", "-f", &manifest(file)])?;
    }
    Ok(())
}

fn manifest(file: &str) -> String {
    repository().join("deploy/base").join(file).display().to_string()
}

fn register(kubectl: &Kubectl, port: u16) -> Result<()> {
    let output = kubectl.run(&["create", "--dry-run=client", "--output=json", "-f", &manifest("webhook.yaml")])?;
    let mut configuration: Value = serde_json::from_str(&output)?;
    for webhook in configuration["webhooks"].as_array_mut().into_iter().flatten() {
        let path = webhook.pointer("/clientConfig/service/path").and_then(Value::as_str).unwrap_or_default().to_owned();
        webhook["clientConfig"] = json!({"url": format!("https://127.0.0.1:{port}{path}")});
    }
    kubectl.run(&["delete", "mutatingwebhookconfiguration", "zz-coalmine", "--ignore-not-found"])?;
    kubectl.run_with_input(&["create", "-f", "-"], &configuration.to_string()).map(drop)
}

/// A running one; killed when dropped.
#[derive(Debug)]
pub(super) struct Program {
    child: Child,
    pub(super) webhook_port: u16,
    admin_port: u16,
    pub(super) page_port: u16,
    started_within: Duration,
}

impl Program {
    /// Returns when it is ready.
    pub(super) fn start(kubectl: &Kubectl, prometheus: &str) -> Result<Self> {
        let (webhook_port, admin_port, page_port) = (free_port()?, free_port()?, free_port()?);
        register(kubectl, webhook_port)?;
        // Nobody has to run out first.
        kubectl.run(&["delete", "lease", "coalmine", "--namespace=coalmine", "--ignore-not-found"])?;
        let kubeconfig = service_account(kubectl)?;
        let started = Instant::now();
        let child = command::ending_with_us(&cargo_target().join(STATIC_TARGET).join("release/coalmine"))
            .arg(format!("--page-address=127.0.0.1:{page_port}"))
            .arg(format!("--webhook-address=127.0.0.1:{webhook_port}"))
            .arg(format!("--webhook-url=https://127.0.0.1:{webhook_port}"))
            .arg(format!("--admin-address=127.0.0.1:{admin_port}"))
            .arg(format!("--prometheus-url={prometheus}"))
            .env("KUBECONFIG", kubeconfig)
            .env("COALMINE_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .context("failed to start coalmine")?;
        let mut program = Self { child, webhook_port, admin_port, page_port, started_within: Duration::ZERO };
        wait_for("coalmine to be ready", Duration::from_mins(1), || {
            Ok(match https::page(admin_port, "/readyz") {
                Ok(_) => ControlFlow::Break(()),
                Err(error) => ControlFlow::Continue(format!("{error:#}")),
            })
        })?;
        program.started_within = started.elapsed();
        Ok(program)
    }

    pub(super) fn started_within(&self) -> Duration {
        self.started_within
    }

    /// What it has used of all processors, its threads together.
    pub(super) fn cpu_time(&self) -> Result<Duration> {
        let path = format!("/proc/{}/stat", self.child.id());
        let stat = fs::read_to_string(&path).with_context(|| format!("failed to read {path}"))?;
        // Behind the name, which may hold anything, user and system time are fields 11 and 12, in hundredths of a second.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let hundredths: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        Ok(Duration::from_millis(hundredths * 10))
    }

    /// The most that it ever had resident, in bytes.
    pub(super) fn peak_memory(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&path).with_context(|| format!("failed to read {path}"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
        Ok(peak.context("failed to find VmHWM: the program ended")? << 10)
    }

    /// The metrics page's sample of this name and these labels; all that is read here are whole numbers.
    pub(super) fn sample(&self, name: &str) -> Result<Option<u64>> {
        let page = https::page(self.admin_port, "/metrics")?;
        Ok(page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.split(' ').next()?.parse().ok()))
    }

    /// The largest that was seen until it had stopped growing for some seconds.
    pub(super) fn settled_memory(&self) -> Result<u64> {
        let (mut largest, mut since) = (0, Instant::now());
        wait_for("memory to settle", Duration::from_mins(3), || {
            let now = self.sample("process_resident_memory_bytes")?.context("failed to find the resident memory")?;
            if now > largest + (64 << 10) {
                since = Instant::now();
            }
            largest = largest.max(now);
            Ok(if since.elapsed() > Duration::from_secs(8) {
                ControlFlow::Break(largest)
            } else {
                ControlFlow::Continue(format!("{now} bytes"))
            })
        })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn service_account(kubectl: &Kubectl) -> Result<PathBuf> {
    let token = kubectl.run(&["create", "token", "coalmine", "--namespace=coalmine", "--duration=24h"])?;
    let mut config: Value = serde_json::from_str(&kubectl.run(&["config", "view", "--raw", "--output=json"])?)?;
    config["users"][0]["user"] = json!({"token": token.trim()});
    let path = kubectl.kubeconfig.with_file_name("coalmine.kubeconfig");
    command::write(&path, config.to_string())?;
    Ok(path)
}

/// Free a moment ago; nobody else on this machine is likely to take it.
pub(super) fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

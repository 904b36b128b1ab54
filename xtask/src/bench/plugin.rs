//! The plugin at a terminal: how large it is, how fast it starts, and what a list of a thousand Deployments takes.

use std::{
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{Row, memory, program::Kubectl};
use crate::{
    command,
    directory::{cargo_target, repository},
    prerequisites::STATIC_TARGET,
    progress::say,
};

const PLUGIN: &str = "kubectl-coalmine";
const COUNT: usize = 1000;
/// The quickest counts: what else the machine does is none of the plugin's.
const TRIES: usize = 5;

pub(super) fn measure(kubectl: &Kubectl) -> Result<[Row; 4]> {
    let mut cargo = command::cargo()?;
    command::run(cargo.args(["build", "--release", "--target", STATIC_TARGET, "--package", PLUGIN]).current_dir(repository()))?;
    let path = cargo_target().join(STATIC_TARGET).join("release").join(PLUGIN);
    let size = fs::metadata(&path).with_context(|| format!("failed to look at {}", path.display()))?.len();
    let mut start = Command::new(&path);
    start.arg("--help");
    let started = quickest(&mut start, "")?.time;

    kubectl.run(&["create", "namespace", "thousand"])?;
    say(format_args!("creating {COUNT} Deployments"));
    let all: Vec<Value> = (0..COUNT).map(|number| memory::deployment("thousand", number, false, "1")).collect();
    memory::write(kubectl, "create", &all)?;
    let mut list = Command::new(&path);
    list.args(["list", "-A", "--kubeconfig"]).arg(kubectl.kubeconfig());
    let listed = quickest(&mut list, "app-00999")?;
    kubectl.run(&["delete", "namespace", "thousand", "--wait=false"])?;
    let megabytes = size as f64 / 1e6;
    Ok([
        Row { what: "plugin", budget: "15 MB".to_owned(), measured: format!("{megabytes:.1} MB"), ok: megabytes <= 15.0 },
        Row::duration("plugin, start to end of --help", Duration::from_millis(50), started),
        Row::duration("plugin, list -A of 1,000 Deployments", Duration::from_secs(1), listed.time),
        Row::mebibytes("the same, resident memory", 50, listed.memory),
    ])
}

struct Seen {
    time: Duration,
    /// The most that was resident, in bytes.
    memory: u64,
}

fn quickest(command: &mut Command, must_print: &str) -> Result<Seen> {
    let mut all: Vec<Seen> = (0..TRIES).map(|_| once(command, must_print)).collect::<Result<_>>()?;
    all.sort_by_key(|seen| seen.time);
    let memory = all.iter().map(|seen| seen.memory).max().unwrap_or_default();
    Ok(Seen { memory, ..all.into_iter().next().context("failed to try")? })
}

fn once(command: &mut Command, must_print: &str) -> Result<Seen> {
    let output = tempfile::NamedTempFile::new().context("failed to make a file")?;
    let started = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(output.reopen()?).spawn().context("failed to start the plugin")?;
    let path = format!("/proc/{}/status", child.id());
    let mut memory = 0;
    let status = loop {
        // It only grows, so the last one seen before the end is the most.
        let status = fs::read_to_string(&path).unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
        memory = peak.map_or(memory, |peak| peak << 10);
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::yield_now();
    };
    let time = started.elapsed();
    let printed = command::read(output.path())?;
    if !status.success() || !printed.contains(must_print) {
        bail!("the plugin ended with {status} and printed {printed}");
    }
    Ok(Seen { time, memory })
}

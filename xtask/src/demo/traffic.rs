//! The load client beside the story, and what its lines say about a stretch of time.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr, TcpStream},
    ops::{AddAssign, ControlFlow},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use rustix::process::Signal;
use serde::Deserialize;

use super::{
    follower::{Follower, Line},
    stage::{Kubectl, aside},
};
use crate::{directory, progress::wait_for};

/// The client's JSON lines, as far as the demo reads them.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Counts {
    #[serde(default)]
    kind: String,
    pub(crate) sent: u64,
    /// Answers by version, then by code.
    pub(crate) versions: BTreeMap<String, BTreeMap<u16, u64>>,
    failed: Failed,
    pub(crate) not_sent: u64,
    late: u64,
    latency_ms: LatencyMs,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct Failed {
    not_connected: u64,
    broken: u64,
    timed_out: u64,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct LatencyMs {
    p50: f64,
    p99: f64,
    max: f64,
}

impl Counts {
    /// Answers of this version that were errors.
    pub(crate) fn errors_of(&self, version: &str) -> u64 {
        self.versions.get(version).into_iter().flatten().filter(|(code, _)| **code >= 500).map(|(_, count)| count).sum()
    }

    pub(crate) fn errors(&self) -> u64 {
        self.versions.keys().map(|version| self.errors_of(version)).sum()
    }

    /// Requests that got no answer at all.
    pub(crate) fn unanswered(&self) -> u64 {
        self.failed.not_connected + self.failed.broken + self.failed.timed_out
    }

    pub(crate) fn latency(&self) -> String {
        let LatencyMs { p50, p99, max } = self.latency_ms;
        format!("latency from the time a request was due: p50 {p50:.1} ms, p99 {p99:.1} ms, max {max:.1} ms")
    }

    fn describe(&self) -> String {
        let versions: Vec<_> = self
            .versions
            .iter()
            .flat_map(|(version, codes)| codes.iter().map(move |(code, count)| format!("{version} {code}: {count}")))
            .collect();
        let busy = if self.not_sent > 0 { format!("  (this machine was too busy to send {})", self.not_sent) } else { String::new() };
        format!(
            "{}/s  {}  no answer: {}  ms p50 {:.1} p99 {:.1}{busy}",
            self.sent,
            versions.join(", "),
            self.unanswered(),
            self.latency_ms.p50,
            self.latency_ms.p99
        )
    }
}

impl AddAssign<&Self> for Counts {
    fn add_assign(&mut self, other: &Self) {
        self.sent += other.sent;
        for (version, codes) in &other.versions {
            for (code, count) in codes {
                *self.versions.entry(version.clone()).or_default().entry(*code).or_default() += count;
            }
        }
        self.failed.not_connected += other.failed.not_connected;
        self.failed.broken += other.failed.broken;
        self.failed.timed_out += other.failed.timed_out;
        self.not_sent += other.not_sent;
        self.late += other.late;
        self.latency_ms.max = self.latency_ms.max.max(other.latency_ms.max);
    }
}

/// Pods are Ready a moment before kube-proxy leads anybody to them, the longer the newer the Service is.
fn await_service(address: &str) -> Result<()> {
    let address: IpAddr = address.parse().with_context(|| format!("failed to read the Service's address {address}"))?;
    let once = Duration::from_millis(500);
    wait_for("the Service to lead to its pods", Duration::from_secs(30), || {
        Ok(match TcpStream::connect_timeout(&SocketAddr::new(address, 80), once) {
            Ok(_) => ControlFlow::Break(()),
            Err(error) => ControlFlow::Continue(error.to_string()),
        })
    })
}

/// The running client.
#[derive(Debug)]
pub(crate) struct Traffic {
    follower: Follower,
    /// Set when it runs as a pod, which is stopped by deleting it.
    pod: Option<Kubectl>,
}

const POD: &str = "client";

impl Traffic {
    /// As a process of this machine, which must reach the Service's address.
    pub(crate) fn from_here(service_address: &str) -> Result<Self> {
        await_service(service_address)?;
        let program = directory::cargo_target().join("x86_64-unknown-linux-musl/release/coalmine-client");
        let mut command = Command::new(program);
        command.args(["--json", "--rate", "1000", "--url", &format!("http://{service_address}/")]);
        println!("$ coalmine-client --rate 1000 --url http://{service_address}/ &");
        Ok(Self { follower: Follower::start(command, show)?, pod: None })
    }

    /// As a pod, for a cluster whose Services cannot be reached from here.
    pub(crate) fn from_a_pod(kubectl: &Kubectl) -> Result<Self> {
        kubectl.ask(&["delete", "pod", POD, "--ignore-not-found"])?;
        let arguments = [
            &["run", POD, "--image=localhost/client:dev", "--image-pull-policy=IfNotPresent", "--restart=Never"][..],
            &["--attach", "--quiet", "--", "--json", "--rate", "1000", "--url", "http://app/"],
        ]
        .concat();
        println!("$ kubectl {} &", arguments.join(" "));
        Ok(Self { follower: Follower::start(kubectl.command(&arguments), show)?, pod: Some(kubectl.clone()) })
    }

    /// Waits for so many further whole seconds and returns their sum.
    pub(crate) fn next_seconds(&self, count: usize) -> Result<Counts> {
        let mark = Instant::now();
        // The second that is running now began before the mark.
        let what = format!("{count} seconds of traffic");
        self.follower.wait_for(&what, Duration::from_secs(30 + count as u64), |lines| {
            Ok((seconds_since(lines, mark).count() > count).then_some(()))
        })?;
        Ok(sum(seconds_since(&self.follower.lines(), mark).skip(1)))
    }

    /// What was counted in all seconds that ended after `mark`.
    pub(crate) fn since(&self, mark: Instant) -> Counts {
        sum(seconds_since(&self.follower.lines(), mark))
    }

    /// Ends the load and returns the sum over the whole run.
    pub(crate) fn stop(mut self) -> Result<Counts> {
        match self.pod.take() {
            None => self.follower.signal(Signal::INT)?,
            Some(kubectl) => delete_pod(&kubectl)?,
        }
        self.follower.exit_within(Duration::from_mins(1))?;
        let lines = self.follower.lines();
        lines.iter().filter_map(parse).find(|counts| counts.kind == "summary").context("the client ended without a summary")
    }
}

impl Drop for Traffic {
    /// A process ends with its follower; a pod would go on after a story that ended early.
    fn drop(&mut self) {
        if let Some(kubectl) = self.pod.take()
            && let Err(error) = delete_pod(&kubectl)
        {
            aside("client", &format!("{error:#}"));
        }
    }
}

fn delete_pod(kubectl: &Kubectl) -> Result<()> {
    kubectl.ask(&["delete", "pod", POD, "--ignore-not-found", "--wait=false"]).map(drop)
}

/// Shows a line of the client to a reader; the whole run is told at the end of the story.
fn show(line: &str) {
    match serde_json::from_str::<Counts>(line) {
        Ok(counts) if counts.kind == "second" => aside("client", &counts.describe()),
        Ok(_) => {}
        Err(_) => aside("client", line),
    }
}

fn parse(line: &Line) -> Option<Counts> {
    serde_json::from_str(&line.text).ok()
}

fn seconds_since(lines: &[Line], mark: Instant) -> impl Iterator<Item = Counts> + '_ {
    lines.iter().filter(move |line| line.at > mark).filter_map(parse).filter(|counts| counts.kind == "second")
}

fn sum(seconds: impl Iterator<Item = Counts>) -> Counts {
    let mut total = Counts::default();
    for second in seconds {
        total += &second;
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: &str = r#"{"kind":"second","elapsed":5.001,"sent":1001,"codes":{"200":909,"500":91},
        "versions":{"bad":{"500":91},"good":{"200":908,"500":1}},"failed":{"not_connected":1,"broken":0,"timed_out":0},
        "not_sent":0,"late":0,"retried":2,"latency_ms":{"p50":0.999,"p95":1.455,"p99":1.499,"max":1.499}}"#;

    #[test]
    fn the_client_s_lines_are_understood_and_added() {
        let second: Counts = serde_json::from_str(SECOND).unwrap();
        insta::assert_snapshot!(second.describe(), @"1001/s  bad 500: 91, good 200: 908, good 500: 1  no answer: 1  ms p50 1.0 p99 1.5");
        let total = sum([second.clone(), second].into_iter());
        assert_eq!(
            (total.sent, total.errors(), total.errors_of("bad"), total.errors_of("good"), total.unanswered()),
            (2002, 184, 182, 2, 2)
        );
    }
}

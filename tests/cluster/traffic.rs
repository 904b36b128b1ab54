//! The load client as a pod beside the service, and what its lines say about a stretch of time.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;

use super::stage::Stage;
use crate::support::{kubectl::Kubectl, within};

const POD: &str = "client";
const PAUSE: Duration = Duration::from_millis(300);

/// One line of the client, or the sum of some.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Counts {
    kind: String,
    pub(crate) sent: u64,
    /// Answers by version, then by code.
    pub(crate) versions: BTreeMap<String, BTreeMap<u16, u64>>,
    failed: BTreeMap<String, u64>,
}

impl Counts {
    pub(crate) fn answers_of(&self, version: &str) -> u64 {
        self.versions.get(version).into_iter().flatten().map(|(_, count)| count).sum()
    }

    /// Answers of this version that were errors.
    pub(crate) fn errors_of(&self, version: &str) -> u64 {
        self.versions.get(version).into_iter().flatten().filter(|(code, _)| **code >= 500).map(|(_, count)| count).sum()
    }

    /// Errors of all versions, and requests without an answer.
    pub(crate) fn failures(&self) -> u64 {
        self.versions.keys().map(|version| self.errors_of(version)).sum::<u64>() + self.failed.values().sum::<u64>()
    }
}

/// The running client; it ends with its namespace.
#[derive(Debug)]
pub(crate) struct Traffic<'a> {
    kubectl: &'a Kubectl,
    pod: String,
}

impl<'a> Traffic<'a> {
    /// So many requests per second to the Service, whatever answers.
    pub(crate) fn start(stage: &'a Stage, rate: u32) -> Self {
        Self::begin(stage, "app", POD, rate)
    }

    /// To another Service of the same namespace.
    pub(crate) fn start_at(stage: &'a Stage, service: &str, rate: u32) -> Self {
        Self::begin(stage, service, &format!("{POD}-{service}"), rate)
    }

    fn begin(stage: &'a Stage, service: &str, pod: &str, rate: u32) -> Self {
        let kubectl = &stage.kubectl;
        let address = kubectl.run(&["get", "service", service, "--output=jsonpath={.spec.clusterIP}"]).succeeded().stdout;
        let (url, rate) = (format!("--url=http://{address}/"), format!("--rate={rate}"));
        // Few requests stay on one connection, so that little traffic is spread as well.
        let run = [
            "run",
            pod,
            "--image=localhost/client:dev",
            "--image-pull-policy=IfNotPresent",
            "--restart=Never",
            "--",
            "--json",
            "--requests-per-connection=5",
        ];
        kubectl.run(&[&run[..], &[&url, &rate]].concat()).succeeded();
        let traffic = Self { kubectl, pod: pod.to_owned() };
        traffic.next_seconds(1);
        traffic
    }

    fn seconds(&self) -> Vec<Counts> {
        let said = self.kubectl.run(&["logs", &self.pod, "--limit-bytes=10000000"]);
        let lines = said.stdout.lines().filter_map(|line| serde_json::from_str(line).ok());
        lines.filter(|line: &Counts| line.kind == "second").collect()
    }

    /// The seconds that were told so far, to be given to [`Self::since`].
    pub(crate) fn mark(&self) -> usize {
        self.seconds().len()
    }

    /// All seconds that ended after the mark.
    pub(crate) fn since(&self, mark: usize) -> Counts {
        sum(&self.seconds()[mark..])
    }

    /// Waits for so many further whole seconds: the one that is running now began before.
    #[track_caller]
    pub(crate) fn next_seconds(&self, count: usize) -> Counts {
        let first = self.mark() + 1;
        within(Duration::from_secs(60 + count as u64), PAUSE, "seconds of traffic", || {
            let seconds = self.seconds();
            let told = seconds.get(first..first + count);
            told.map(sum).ok_or_else(|| format!("{} seconds", seconds.len()))
        })
    }
}

fn sum(seconds: &[Counts]) -> Counts {
    let mut total = Counts::default();
    for second in seconds {
        total.sent += second.sent;
        for (version, codes) in &second.versions {
            for (code, count) in codes {
                *total.versions.entry(version.clone()).or_default().entry(*code).or_default() += count;
            }
        }
        for (how, count) in &second.failed {
            *total.failed.entry(how.clone()).or_default() += count;
        }
    }
    total
}

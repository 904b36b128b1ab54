//! `cargo xtask demo`: the main job from an empty machine, told as it happens, every promise checked.
//!
//! It uses nothing that a user could not type: the command lines that it prints are the ones it runs. The first promise that
//! does not hold ends it with an error; the cluster stays up either way.

mod follower;
mod pods;
mod requirements;
mod stage;
mod traffic;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use self::{
    follower::{Follower, Line},
    pods::Pod,
    stage::{Kubectl, aside, claim, heading, seconds, tell},
    traffic::Traffic,
};
use crate::{
    cluster,
    deploy::{self, Counts},
    images,
    target::Target,
};

const GOOD: &str = "examples/app.yaml";
const BAD: &str = "examples/app-bad.yaml";
const GOOD_V2: &str = "examples/app-good-v2.yaml";
const REPLICAS: usize = 10;
/// From the canary's readiness to its rejection, at 1000 requests/s and a scrape every 5 s.
const REJECTED_WITHIN: Duration = Duration::from_secs(15);
/// The same by the pods' own pages, which are read each second.
const REJECTED_BY_PAGES_WITHIN: Duration = Duration::from_secs(7);

/// What runs beside the story from its first to its last scene.
struct Story {
    kubectl: Kubectl,
    traffic: Traffic,
    events: Follower,
    canary_pods: Follower,
}

/// `cargo xtask demo`
pub(crate) fn run(target: &Target, counts: Counts) -> Result<()> {
    stage::begin();
    let kubectl = prepare(target, counts)?;
    let service_address = ten_good_replicas(&kubectl)?;
    let story = start_traffic(kubectl, &service_address)?;
    story.bad_version(counts)?;
    story.going_back()?;
    story.good_version()?;
    story.end()
}

fn prepare(target: &Target, counts: Counts) -> Result<Kubectl> {
    heading(match counts {
        Counts::Prometheus => "A cluster with Prometheus and Coalmine",
        Counts::Pages => "A cluster with Coalmine, and without Prometheus",
    });
    cluster::up(target, counts)?;
    images::images(target)?;
    let kubectl = Kubectl(target.clone());
    if matches!(target, Target::Foreign(_)) {
        requirements::check(&kubectl, counts)?;
    }
    deploy::deploy(target, counts)?;
    kubectl.show(&["get", "deployments", "--namespace=coalmine"])?;
    Ok(kubectl)
}

/// Returns the Service's address.
fn ten_good_replicas(kubectl: &Kubectl) -> Result<String> {
    heading("Ten good replicas, opted in by one annotation");
    if !kubectl.ask(&["get", "deployment", "app", "--ignore-not-found", "--output=name"])?.is_empty() {
        tell("An earlier demo left its Deployment here; this one begins afresh.");
        kubectl.show(&["delete", "-f", GOOD, "--ignore-not-found"])?;
        kubectl.show(&["wait", "--for=delete", "pods", "-l", "app=app", "--timeout=90s"])?;
    }
    kubectl.show(&["apply", "-f", GOOD])?;
    kubectl.show(&["rollout", "status", "deployment/app", "--timeout=120s"])?;
    kubectl.show(&["get", "deployment", "app"])?;
    let ready = pods::primary(kubectl)?.iter().filter(|pod| pod.ready).count();
    claim(ready == REPLICAS, "ten replicas are ready")?;
    kubectl.ask(&["get", "service", "app", "--output=jsonpath={.spec.clusterIP}"])
}

fn start_traffic(kubectl: Kubectl, service_address: &str) -> Result<Story> {
    heading("1000 requests per second, spread by the Service");
    let traffic = match &kubectl.0 {
        Target::Development(_) => Traffic::from_here(service_address)?,
        // Its Services may be out of this machine's reach.
        Target::Foreign(_) => Traffic::from_a_pod(&kubectl)?,
    };
    // The first seconds are for connections and caches to warm up.
    traffic.next_seconds(2)?;
    let before = traffic.next_seconds(5)?;
    claim(before.sent >= 4_500, &format!("the client keeps its rate: {} requests in five seconds", before.sent))?;
    claim(before.errors() == 0 && before.unanswered() == 0, "all of them are answered, none with an error")?;
    tell("From here on, Coalmine's and Kubernetes' Events on the Deployment are shown as they come, and the canary's pods:");
    let events = kubectl.follow(
        "event",
        &[
            "get",
            "events",
            "--watch-only",
            "--field-selector=involvedObject.kind=Deployment,involvedObject.name=app",
            r#"--output=jsonpath={.reason}{": "}{.message}{"\n"}"#,
        ],
    )?;
    let canary_pods = kubectl.follow(
        "pod",
        &[
            "get",
            "pods",
            "--watch",
            "--selector=coalmine.dev/role=canary",
            r#"--output=jsonpath={.metadata.name}{" "}{.status.phase}{" ready="}{.status.conditions[?(@.type=="Ready")].status}{"\n"}"#,
        ],
    )?;
    Ok(Story { kubectl, traffic, events, canary_pods })
}

impl Story {
    fn bad_version(&self, counts: Counts) -> Result<()> {
        heading("A bad version: every answer is an error");
        let before = pods::primary(&self.kubectl)?;
        let applied = Instant::now();
        let said = self.kubectl.show(&["apply", "-f", BAD])?;
        claim(said.contains("Warning: canary:"), "kubectl apply itself says that the template is held and tried first")?;
        let mut rollout = self.kubectl.follow("rollout", &["rollout", "status", "deployment/app", "--timeout=5m"])?;

        let ready = self.canary_ready(applied)?;
        let rejected = self.event("CanaryRejected", applied, Duration::from_mins(2))?;
        let after_ready = rejected.at.saturating_duration_since(ready);
        let within = if counts == Counts::Pages { REJECTED_BY_PAGES_WITHIN } else { REJECTED_WITHIN };
        claim(
            after_ready <= within,
            &format!("rejected {} after its canary was ready (promised: {})", seconds(after_ready), seconds(within)),
        )?;
        let status = rollout.exit_within(Duration::from_secs(30))?;
        claim(status.code() == Some(1), "kubectl rollout status waited for the verdict and ended with exit code 1")?;

        self.kubectl.show(&["wait", "--for=delete", "pods", "--selector=coalmine.dev/role=canary", "--timeout=60s"])?;
        let during = self.traffic.since(applied);
        claim(
            during.errors() > 0 && during.errors() == during.errors_of("bad") && during.unanswered() == 0,
            &format!(
                "the client saw {} errors in {} requests ({:.1}%), all of them from the canary",
                during.errors(),
                during.sent,
                100.0 * during.errors() as f64 / during.sent.max(1) as f64
            ),
        )?;
        let after = self.traffic.next_seconds(4)?;
        claim(after.errors() == 0 && after.unanswered() == 0 && !after.versions.contains_key("bad"), "and none since the canary is gone")?;

        tell("What the Deployment says of itself: no replica runs the template that was asked for, and why.");
        self.kubectl.show(&["get", "deployment", "app"])?;
        self.kubectl.show(&[
            "get",
            "deployment",
            "app",
            r#"--output=jsonpath={range .status.conditions[*]}{.type}{"\t"}{.status}{"\t"}{.reason}{"\t"}{.message}{"\n"}{end}"#,
        ])?;
        let pods = pods::primary(&self.kubectl)?;
        claim(
            Pod::names(&pods) == Pod::names(&before) && Pod::restarts(&pods) == 0,
            "the ten primary pods are the same as before and never restarted",
        )
    }

    fn going_back(&self) -> Result<()> {
        heading("Going back to the good file");
        let applied = Instant::now();
        self.kubectl.show(&["apply", "-f", GOOD])?;
        self.event("CanaryWithdrawn", applied, Duration::from_secs(30))?;
        let (output, _) = self.kubectl.try_show(&["rollout", "status", "deployment/app", "--timeout=60s"])?;
        claim(output.status.success(), "the Deployment is whole again: kubectl rollout status ended with exit code 0")
    }

    fn good_version(&self) -> Result<()> {
        heading("A good version");
        let before = pods::primary(&self.kubectl)?;
        let applied = Instant::now();
        let said = self.kubectl.show(&["apply", "-f", GOOD_V2])?;
        claim(said.contains("Warning: canary:"), "held and tried first, like any other")?;
        let mut rollout = self.kubectl.follow("rollout", &["rollout", "status", "deployment/app", "--timeout=5m"])?;
        let ready = self.canary_ready(applied)?;
        let promoted = self.event("CanaryPromoted", applied, Duration::from_mins(3))?;
        aside("", &format!("promoted {} after its canary was ready", seconds(promoted.at.saturating_duration_since(ready))));
        let status = rollout.exit_within(Duration::from_mins(5))?;
        claim(status.success(), "kubectl rollout status waited for the verdict and for the rollout, and ended with exit code 0")?;

        // Pods that stop go on serving for three seconds.
        self.kubectl.show(&["wait", "--for=delete", "pods", "--selector=coalmine.dev/role=canary", "--timeout=60s"])?;
        pods::wait_until_gone(&self.kubectl, &before)?;
        let after = self.traffic.next_seconds(3)?;
        let versions: Vec<_> = after.versions.keys().map(String::as_str).collect();
        claim(versions == ["good-v2"], "every answer now comes from good-v2")?;
        let pods = pods::primary(&self.kubectl)?;
        claim(
            pods.len() == REPLICAS && Pod::restarts(&pods) == 0 && pods.iter().all(|pod| pod.ready),
            "all ten replicas were replaced, are ready and never restarted",
        )?;
        let during = self.traffic.since(applied);
        claim(during.errors() == 0 && during.unanswered() == 0, &format!("not one of the {} requests since then failed", during.sent))?;
        self.kubectl.show(&["get", "deployment", "app"]).map(drop)
    }

    fn end(self) -> Result<()> {
        heading("The whole run, as the client saw it");
        let total = self.traffic.stop()?;
        for (version, codes) in &total.versions {
            let codes: Vec<_> = codes.iter().map(|(code, count)| format!("{count} times {code}")).collect();
            tell(&format!("  version {version}: {}", codes.join(", ")));
        }
        tell(&format!("  no answer: {}; not sent because this machine was too busy: {}", total.unanswered(), total.not_sent));
        tell(&format!("  {}", total.latency()));
        let failed_elsewhere = total.errors() - total.errors_of("bad") + total.unanswered();
        claim(failed_elsewhere == 0, "no request failed outside of the canary's share")?;

        tell(&format!("Everything held, after {}.", seconds(stage::elapsed())));

        heading("The cluster stays up: look around");
        self.kubectl.print_environment();
        tell("kubectl describe deployment app");
        tell("kubectl get events --field-selector involvedObject.name=app");
        tell("kubectl logs --namespace coalmine deployment/coalmine");
        tell("cargo run -q -p kubectl-coalmine -- history app   # the plugin: status, watch, explain, ...");
        tell("cargo run -q -p kubectl-coalmine -- dashboard     # the same in a browser");
        tell("kubectl set env deployment/app LATENCY=200ms      # and whatever else you want to try");
        tell("cargo xtask cluster down                          # takes it all away");
        Ok(())
    }

    /// The first event of this reason since `mark`; any other verdict ends the demo at once.
    fn event(&self, reason: &str, mark: Instant, patience: Duration) -> Result<Line> {
        const VERDICTS: [&str; 3] = ["CanaryRejected", "CanaryPromoted", "CanaryInconclusive"];
        self.events.wait_for(&format!("the Event {reason}"), patience, |lines| {
            let mut since = lines.iter().filter(|line| line.at > mark);
            let other = |line: &&Line| VERDICTS.iter().any(|verdict| line.text.starts_with(verdict) && *verdict != reason);
            match since.find(|line| line.text.starts_with(reason) || other(line)) {
                Some(line) if line.text.starts_with(reason) => Ok(Some(line.clone())),
                Some(line) => bail!("expected the Event {reason}, not {}", line.text),
                None => Ok(None),
            }
        })
    }

    /// When the canary's pod was first seen Ready.
    fn canary_ready(&self, mark: Instant) -> Result<Instant> {
        self.canary_pods
            .wait_for("the canary's pod to be ready", Duration::from_mins(2), |lines| {
                let ready = lines.iter().find(|line| line.at > mark && line.text.ends_with(" Running ready=True"));
                Ok(ready.map(|line| line.at))
            })
            .context("failed to see the canary start")
    }
}

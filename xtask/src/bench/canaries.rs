//! On the whole cluster at 1000 requests per second and ten replicas: how long a bad canary serves, and how soon a good one is promoted.

use std::{
    ops::ControlFlow,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use serde_json::Value;

use super::{Row, ask, json, text};
use crate::{
    command,
    directory::repository,
    progress::{say, wait_for},
    target::Target,
};

const NAMESPACE: &str = "coalmine-bench";
/// As `examples/app-good-v2.yaml` says.
const DURATION: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_mins(3);

pub(super) fn measure(target: &Target) -> Result<Vec<Row>> {
    let stage = Stage(target);
    stage.remove()?;
    let rows = stage.measure();
    stage.remove()?;
    rows
}

struct Stage<'a>(&'a Target);

impl Stage<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.0.kubectl(arguments);
        command.arg(format!("--namespace={NAMESPACE}"));
        command
    }

    fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        ask(self.command(arguments))
    }

    fn remove(&self) -> Result<()> {
        command::capture(&mut self.0.kubectl(&["delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s"])).map(drop)
    }

    fn apply(&self, file: &str) -> Result<()> {
        self.kubectl(&["apply", "-f", &repository().join("examples").join(file).display().to_string()]).map(drop)
    }

    fn measure(&self) -> Result<Vec<Row>> {
        say("ten replicas under 1000 requests/s");
        command::capture(&mut self.0.kubectl(&["create", "namespace", NAMESPACE]))?;
        self.apply("app.yaml")?;
        self.kubectl(&["rollout", "status", "deployment/app", "--timeout=180s"])?;
        let address = self.kubectl(&["get", "service", "app", "--output=jsonpath={.spec.clusterIP}"])?;
        let url = format!("--url=http://{}/", address.trim());
        // The namespace must come before the client's own arguments.
        let mut client = self.0.kubectl(&["--namespace", NAMESPACE, "run", "client", "--image=localhost/client:dev"]);
        client.args(["--image-pull-policy=IfNotPresent", "--restart=Never", "--", "--rate=1000", &url]);
        command::capture(&mut client)?;
        self.kubectl(&["wait", "pod/client", "--for=condition=Ready", "--timeout=60s"])?;

        say("a bad version");
        let ready = self.ready_after("app-bad.yaml")?;
        self.phase("Rejected")?;
        let rejected = ready.elapsed();
        self.kubectl(&["wait", "pods", "--selector=coalmine.dev/role=canary", "--for=delete", "--timeout=60s"])?;

        say("a good version");
        let ready = self.ready_after("app-good-v2.yaml")?;
        self.phase("Promoted")?;
        let promoted = ready.elapsed().saturating_sub(DURATION);
        Ok(vec![
            Row::duration("100 % errors at 1000 requests/s: from Ready to rejected", Duration::from_secs(6), rejected),
            Row::duration("from the end of canary.duration to the new template", Duration::from_secs(2), promoted),
        ])
    }

    /// Applies it; when its canary was first seen Ready.
    fn ready_after(&self, file: &str) -> Result<Instant> {
        self.apply(file)?;
        wait_for("the canary to be Ready", PATIENCE, || {
            let pods = json(&self.kubectl(&["get", "pods", "--selector=coalmine.dev/role=canary", "--output=json"])?)?;
            let conditions = pods.pointer("/items/0/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
            let ready = conditions.iter().any(|condition| text(condition, "/type") == "Ready" && text(condition, "/status") == "True");
            Ok(if ready { ControlFlow::Break(Instant::now()) } else { ControlFlow::Continue("not yet".to_owned()) })
        })
    }

    fn phase(&self, wanted: &str) -> Result<()> {
        wait_for(&format!("the phase {wanted}"), PATIENCE, || {
            let app = json(&self.kubectl(&["get", "deployment", "app", "--output=json"])?)?;
            let phase = text(&app, "/metadata/annotations/canary.state~1phase").to_owned();
            match phase.as_str() {
                seen if seen == wanted => Ok(ControlFlow::Break(())),
                "Held" | "Running" => Ok(ControlFlow::Continue(phase)),
                _ => bail!("expected {wanted}, not {phase}: {}", text(&app, "/metadata/annotations/canary.state~1message")),
            }
        })
    }
}

//! Ten thousand Deployments that are opted in, a hundred of them with a canary running: the watch must grow with the hundred.

use std::{ops::ControlFlow, process::Stdio, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{
    Row, looking,
    program::{Kubectl, Program},
};
use crate::progress::{say, wait_for};

const ALL: usize = 10_000;
const HELD: usize = 100;
/// kubectl sends fifty requests per second; several of them share the work.
const WRITERS: usize = 8;

pub(super) fn measure(kubectl: &Kubectl) -> Result<[Row; 2]> {
    kubectl.run(&["create", "namespace", "many"])?;
    let program = Program::start(kubectl, super::NO_PROMETHEUS)?;
    say(format_args!("creating {ALL} Deployments"));
    let all: Vec<Value> = (0..ALL).map(|number| deployment("many", number, number < HELD, "1")).collect();
    write(kubectl, "create", &all)?;
    say(format_args!("changing the templates of {HELD}"));
    let changed: Vec<Value> = (0..HELD).map(|number| deployment("many", number, true, "2")).collect();
    write(kubectl, "replace", &changed)?;
    wait_for("the canaries", Duration::from_mins(5), || {
        let names = kubectl.run(&["get", "deployments", "--namespace=many", "--selector=coalmine.dev/role=canary", "--output=name"])?;
        let count = names.lines().count();
        Ok(if count == HELD { ControlFlow::Break(()) } else { ControlFlow::Continue(format!("{count} of {HELD}")) })
    })?;
    let settled = program.settled_memory()?;
    let looking = looking::measure(&program, settled)?;
    Ok([Row::mebibytes("resident memory, 10,000 Deployments of which 100 have a canary", 40, settled), looking])
}

/// Paused but for those that change, so that the Deployment controller leaves them alone.
pub(super) fn deployment(namespace: &str, number: usize, changes: bool, version: &str) -> Value {
    let name = format!("app-{number:05}");
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name, "namespace": namespace, "labels": {"app": name},
            "annotations": {"canary.enabled": "true", "canary.deadline": "1h"},
        },
        "spec": {
            "replicas": 1,
            "paused": !changes,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{
                    "name": "app", "image": "localhost/none:1",
                    "env": [{"name": "VERSION", "value": version}, {"name": "TEXT", "value": "x".repeat(2000)}],
                }]},
            },
        },
    })
}

pub(super) fn write(kubectl: &Kubectl, verb: &str, objects: &[Value]) -> Result<()> {
    let mut writers = Vec::new();
    for part in objects.chunks(objects.len().div_ceil(WRITERS)) {
        let file = tempfile::NamedTempFile::new().context("failed to make a file")?;
        serde_json::to_writer(file.as_file(), &json!({"apiVersion": "v1", "kind": "List", "items": part}))?;
        let mut command = kubectl.command(&[verb, "--validate=false", "--output=name", "-f"]);
        command.arg(file.path()).stdin(Stdio::null()).stdout(Stdio::null());
        writers.push((command.spawn().context("failed to start kubectl")?, file));
    }
    for (mut writer, _file) in writers {
        let status = writer.wait()?;
        if !status.success() {
            bail!("failed to {verb} Deployments: {status}");
        }
    }
    Ok(())
}

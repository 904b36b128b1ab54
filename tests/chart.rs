//! The chart of `charts/coalmine`, rendered by the real Helm: it installs what `deploy/` installs, refuses what it doesn't know, and keeps
//! out of what makes other charts drift or hang: certificates, hooks, finalizers.

mod golden;
mod life;
mod rendering;
mod same;
mod table;

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::support::control_plane::variable;

/// The namespace of `deploy/`.
const NAMESPACE: &str = "coalmine";

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn chart() -> PathBuf {
    repository().join("charts/coalmine")
}

/// Every set of values that is tested, by name.
fn value_sets() -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(repository().join("tests/chart/values")).unwrap();
    let mut sets: Vec<_> =
        entries.map(|entry| entry.unwrap().path()).map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path)).collect();
    sets.sort();
    assert!(sets.len() >= 12, "{sets:?}");
    sets
}

/// Standard output, or what Helm had against it.
pub(crate) fn helm(arguments: &[&str]) -> Result<String, String> {
    let home = std::env::temp_dir().join(format!("coalmine-chart-{}", std::process::id()));
    let mut command = Command::new(variable("COALMINE_HELM"));
    for variable in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        command.env(variable, &home);
    }
    let output = command.args(arguments).stdin(Stdio::null()).output().expect("helm starts");
    let (said, complaint) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    if output.status.success() { Ok(said) } else { Err(complaint) }
}

/// As `helm template` prints it; `more` may name values.
fn rendered(more: &[&str]) -> Result<String, String> {
    let chart = chart();
    let mut arguments = vec!["template", "coalmine", chart.to_str().unwrap(), "--namespace", NAMESPACE];
    arguments.extend(more);
    helm(&arguments)
}

fn rendered_with(values: &Path) -> String {
    rendered(&["--values", values.to_str().unwrap()]).unwrap_or_else(|error| panic!("{}: {error}", values.display()))
}

fn objects(yaml: &str) -> Vec<Value> {
    let all: Vec<Value> = serde_saphyr::from_multiple(yaml).unwrap_or_else(|error| panic!("{error}\n{yaml}"));
    all.into_iter().filter(|object| !object.is_null()).collect()
}

fn name(object: &Value) -> String {
    format!("{} {}", object["kind"].as_str().unwrap(), object["metadata"]["name"].as_str().unwrap())
}

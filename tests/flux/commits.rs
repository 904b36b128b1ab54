//! What a commit becomes: an archive of manifests, or a chart in a repository of charts. Applies nothing.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};

use crate::support::control_plane::variable;

/// When what was stored was stored: nothing asks.
const STORED: &str = "2026-11-27T12:00:00Z";

#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn fresh(directory: PathBuf) -> PathBuf {
    fs::create_dir_all(&directory).expect("a directory");
    directory
}

/// The status of an `ExternalArtifact` with this manifest in it.
pub(super) fn archive(directory: &Path, url: &str, number: u32, manifest: &Value) -> Value {
    let source = fresh(directory.join(format!("commit-{number}")));
    fs::write(source.join("app.yaml"), manifest.to_string()).expect("a manifest");
    let name = format!("commit-{number}.tar.gz");
    run(Command::new("tar")
        .arg("--create")
        .arg("--gzip")
        .arg("--file")
        .arg(directory.join(&name))
        .arg("--directory")
        .arg(&source)
        .arg("."));
    let bytes = fs::read(directory.join(&name)).expect("the archive");
    let mut digest = String::new();
    for byte in ring::digest::digest(&ring::digest::SHA256, &bytes).as_ref() {
        let _ = write!(digest, "{byte:02x}");
    }
    json!({
        "artifact": {
            "url": format!("{url}/{name}"), "path": name, "revision": format!("main@sha256:{digest}"), "digest": format!("sha256:{digest}"),
            "size": bytes.len(), "lastUpdateTime": STORED,
        },
        "conditions": [{"type": "Ready", "status": "True", "reason": "Succeeded", "message": "stored", "lastTransitionTime": STORED}],
    })
}

/// A new version of the chart in the repository.
pub(super) fn chart(directory: &Path, url: &str, number: u32, manifest: &Value) {
    let source = fresh(directory.join(format!("commit-{number}/app")));
    let version = format!("0.0.{number}");
    fs::write(source.join("Chart.yaml"), json!({"apiVersion": "v2", "name": "app", "version": version}).to_string()).expect("a chart");
    fs::write(fresh(source.join("templates")).join("app.yaml"), manifest.to_string()).expect("a template");
    let helm = || Command::new(variable("COALMINE_HELM"));
    run(helm().arg("package").arg(&source).arg("--destination").arg(directory));
    run(helm().args(["repo", "index", "--url", url]).arg(directory));
}

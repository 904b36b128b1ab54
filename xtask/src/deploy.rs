//! `cargo xtask deploy`: installs Coalmine, and Prometheus into the development cluster, and waits until they answer.
//!
//! The manifests are those that everybody applies; for the development cluster a generated overlay names the images built here.

use std::{
    fmt::Write as _,
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};

use crate::{
    command,
    directory::{State, repository},
    images::{self, Archive},
    progress::{say, wait_for},
    target::Target,
};

/// The names of Coalmine's image: what `deploy/` says, and what is built here.
const COALMINE_IMAGE: &str = "localhost/coalmine:dev";
const PROMETHEUS_IMAGE: &str = "localhost/prometheus:dev";

/// A Deployment that Coalmine must refuse; the refusal shows that its webhook is asked and answers. Nothing is written.
const REFUSED: &str = r#"{
  "apiVersion": "apps/v1", "kind": "Deployment",
  "metadata": {"name": "coalmine-probe", "namespace": "default", "annotations": {"canary.enabled": "true", "canary.duration": "soon"}},
  "spec": {
    "selector": {"matchLabels": {"app": "coalmine-probe"}},
    "template": {
      "metadata": {"labels": {"app": "coalmine-probe"}},
      "spec": {"containers": [{"name": "app", "image": "localhost/none:1"}]}
    }
  }
}"#;

/// Where Coalmine is to find counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counts {
    Prometheus,
    /// On the pods' own pages alone.
    Pages,
}

impl Counts {
    pub(crate) fn of(no_prometheus: bool) -> Self {
        if no_prometheus { Self::Pages } else { Self::Prometheus }
    }

    pub(crate) fn manifests(self) -> &'static str {
        match self {
            Self::Prometheus => "deploy/with-prometheus",
            Self::Pages => "deploy",
        }
    }
}

/// The command: installs what `cargo xtask images` built and waits until the webhook answers.
pub(crate) fn deploy(target: &Target, counts: Counts) -> Result<()> {
    target.check()?;
    let manifests = repository().join(counts.manifests());
    say("installing Coalmine");
    match target {
        Target::Development(state) => {
            let archives = images::build(target, state, &images::OWN)?;
            images::load(state, &archives)?;
            let overlay = overlay(state, "coalmine", &manifests, COALMINE_IMAGE, "localhost/coalmine", &archives)?;
            apply(target, &overlay)?;
        }
        Target::Foreign(_) => apply(target, &manifests)?,
    }
    rollout(target, "coalmine", "coalmine")?;
    wait_for("Coalmine's webhook to answer", Duration::from_mins(2), || {
        let mut command = target.kubectl(&["apply", "--dry-run=server", "-f", "-"]);
        // Only the refusal of the malformed annotation is an answer: an error of the webhook itself names another reason.
        Ok(match command::capture_with_input(&mut command, REFUSED) {
            Ok(_) => ControlFlow::Continue("a malformed annotation was admitted".to_owned()),
            Err(error) => {
                let text = format!("{error:#}");
                if text.contains("canary.duration") && !text.contains("failed calling webhook") {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(text.lines().last().unwrap_or_default().to_owned())
                }
            }
        })
    })?;
    say("Coalmine is ready");
    Ok(())
}

/// Prometheus for the development cluster.
pub(crate) fn prometheus(state: &State, archives: &[Archive]) -> Result<()> {
    let target = Target::Development(state.clone());
    let overlay = overlay(state, "prometheus", &repository().join("deploy/prometheus"), PROMETHEUS_IMAGE, "prom/prometheus", archives)?;
    apply(&target, &overlay)?;
    rollout(&target, "monitoring", "prometheus")?;
    // After the machine was killed its status is of the time before: only the program itself can tell.
    let ready = "/api/v1/namespaces/monitoring/services/prometheus:9090/proxy/-/ready";
    target.wait_until("Prometheus to answer", Duration::from_mins(2), &["get", "--raw", ready, "--request-timeout=5s"])
}

pub(crate) fn apply(target: &Target, directory: &Path) -> Result<()> {
    let path = directory.to_str().context("failed to name the manifests")?;
    // A namespace and what is in it come in one request after another: the API server may not know it yet when it is needed.
    wait_for("kubectl apply", Duration::from_secs(30), || {
        let output = command::output(&mut target.kubectl(&["apply", "--kustomize", path]))?;
        let said = command::both_streams(&output);
        if output.status.success() {
            return Ok(ControlFlow::Break(()));
        }
        if said.contains("not found") {
            return Ok(ControlFlow::Continue(said));
        }
        anyhow::bail!("failed to apply {path}:\n{said}")
    })
}

fn rollout(target: &Target, namespace: &str, name: &str) -> Result<()> {
    let deployment = format!("deployment/{name}");
    let arguments = ["--namespace", namespace, "rollout", "status", &deployment, "--timeout=180s"];
    let Err(error) = command::capture(&mut target.kubectl(&arguments)) else { return Ok(()) };
    // The pods know why.
    let pods = command::output(&mut target.kubectl(&["--namespace", namespace, "describe", "pods"]))?;
    let pods = command::both_streams(&pods);
    let lines: Vec<&str> = pods.lines().collect();
    let end = lines[lines.len().saturating_sub(30)..].join("\n");
    Err(error.context(format!("failed to wait for {name}; the end of its pods' description:\n{end}")))
}

/// A kustomization that puts the image `built` in the place of `published`, and makes a changed image a changed template.
fn overlay(state: &State, name: &str, base: &Path, built: &str, published: &str, archives: &[Archive]) -> Result<PathBuf> {
    let directory = state.root().join("overlays").join(name);
    std::fs::create_dir_all(&directory).with_context(|| format!("failed to create {}", directory.display()))?;
    let fingerprint = archives.iter().find(|archive| archive.is_of(built)).map_or("unknown", Archive::fingerprint);
    let base = base.canonicalize().with_context(|| format!("failed to resolve {}", base.display()))?;
    let content = kustomization(&relative(&directory, &base), built, published, fingerprint)?;
    command::write(&directory.join("kustomization.yaml"), content)?;
    Ok(directory)
}

fn kustomization(base: &str, built: &str, published: &str, fingerprint: &str) -> Result<String> {
    let (name, tag) = built.rsplit_once(':').context("failed to split the image's name")?;
    Ok(format!(
        "resources: [\"{base}\"]\nimages:\n- {{name: {published}, newName: {name}, newTag: {tag}}}\npatches:\n- target: {{kind: Deployment}}\n  patch: |\n    \
         apiVersion: apps/v1\n    kind: Deployment\n    metadata: {{name: any}}\n    \
         spec: {{template: {{metadata: {{annotations: {{coalmine.dev/image: \"{fingerprint}\"}}}}}}}}\n"
    ))
}

/// Kustomize takes no absolute paths.
fn relative(from: &Path, to: &Path) -> String {
    let common = from.components().zip(to.components()).take_while(|(left, right)| left == right).count();
    let mut path = String::new();
    for _ in from.components().skip(common) {
        path.push_str("../");
    }
    for component in to.components().skip(common) {
        // Writing to a string cannot fail.
        let _ = write!(path, "{}/", component.as_os_str().to_string_lossy());
    }
    path.trim_end_matches('/').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("/var/tmp/coalmine/overlays/x", "/work/main/deploy", "../../../../../work/main/deploy")]
    #[case("/var/tmp/state/overlays/x", "/var/tmp/checkout/deploy", "../../../checkout/deploy")]
    fn paths(#[case] from: &str, #[case] to: &str, #[case] expected: &str) {
        assert_eq!(relative(Path::new(from), Path::new(to)), expected);
    }

    #[test]
    fn an_overlay_names_the_image_and_its_content() {
        insta::assert_snapshot!(kustomization("../deploy", "localhost/coalmine:dev", "localhost/coalmine", "0123abcd").unwrap(), @r#"
        resources: ["../deploy"]
        images:
        - {name: localhost/coalmine, newName: localhost/coalmine, newTag: dev}
        patches:
        - target: {kind: Deployment}
          patch: |
            apiVersion: apps/v1
            kind: Deployment
            metadata: {name: any}
            spec: {template: {metadata: {annotations: {coalmine.dev/image: "0123abcd"}}}}
        "#);
    }
}

//! What there must be before the story can begin in a cluster of the person's own: images and Prometheus, said at once instead of as a pod
//! that never starts. Only looks.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::stage::Kubectl;
use crate::{deploy::Counts, directory, images};

/// A kubelet tells of no more images than this, the largest first: <https://kubernetes.io/docs/reference/command-line-tools-reference/kubelet/>
/// (`--node-status-max-images`).
const MOST_IMAGES_TOLD: usize = 50;

pub(crate) fn check(kubectl: &Kubectl, counts: Counts) -> Result<()> {
    let nodes: Value = serde_json::from_str(&kubectl.ask(&["get", "nodes", "--output=json"])?).context("failed to read the nodes")?;
    let names: Vec<&str> = images::OWN.iter().map(images::Image::name).collect();
    let missing = missing(&nodes, &names);
    if !missing.is_empty() {
        bail!("no node has {}; load the archives as said above, then run this again", missing.join(" and "));
    }
    if counts == Counts::Pages {
        return Ok(());
    }
    let manifest = manifest()?;
    if let Some((name, namespace)) = prometheus(&manifest)
        && kubectl.ask(&["get", "service", name, "--namespace", namespace, "--ignore-not-found", "--output=name"])?.is_empty()
    {
        bail!(
            "no Service {name} in the namespace {namespace}, where --prometheus-url in deploy/with-prometheus/kustomization.yaml looks for Prometheus; \
             kubectl apply -k deploy/prometheus brings one, or name your own there"
        );
    }
    Ok(())
}

fn manifest() -> Result<String> {
    let path = directory::repository().join("deploy/with-prometheus/kustomization.yaml");
    std::fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))
}

/// The images that no node has, as far as nodes tell.
fn missing<'a>(nodes: &Value, names: &[&'a str]) -> Vec<&'a str> {
    let nodes = nodes["items"].as_array().map(Vec::as_slice).unwrap_or_default();
    let images = |node: &Value| node["status"]["images"].as_array().cloned().unwrap_or_default();
    if nodes.iter().any(|node| images(node).len() >= MOST_IMAGES_TOLD) {
        return Vec::new();
    }
    let told: Vec<Value> = nodes.iter().flat_map(images).flat_map(|image| image["names"].as_array().cloned().unwrap_or_default()).collect();
    names.iter().copied().filter(|name| !told.iter().any(|told| told == name)).collect()
}

/// Name and namespace of the Service that `--prometheus-url` names; `None` where it is another address.
fn prometheus(manifest: &str) -> Option<(&str, &str)> {
    let (_, address) = manifest.split_once("--prometheus-url=http://")?;
    let host = address.split([':', '/', '\n']).next()?;
    let mut parts = host.split('.');
    match (parts.next()?, parts.next()?, parts.next()) {
        (name, namespace, None | Some("svc")) => Some((name, namespace)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_image_that_no_node_tells_of_is_missing() {
        let node =
            |names: &[&str]| json!({"status": {"images": names.iter().map(|name| json!({"names": [name, "other"]})).collect::<Vec<_>>()}});
        let nodes = json!({"items": [node(&["a:1"]), node(&["b:1"])]});
        assert_eq!(missing(&nodes, &["a:1", "b:1", "c:1"]), ["c:1"]);
        assert!(missing(&json!({"items": [node(&["x"; MOST_IMAGES_TOLD])]}), &["c:1"]).is_empty(), "it may be one that is not told");
    }

    #[test]
    fn prometheus_is_where_the_manifest_says() {
        assert_eq!(prometheus("- --prometheus-url=http://prometheus.monitoring.svc:9090\n"), Some(("prometheus", "monitoring")));
        assert_eq!(prometheus("- --prometheus-url=https://prometheus.example.com\n"), None);
        assert_eq!(prometheus("- --prometheus-url=http://metrics.example.com/\n"), None);
        assert_eq!(prometheus(&manifest().unwrap()), Some(("prometheus", "monitoring")));
    }
}

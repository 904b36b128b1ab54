//! The primary's pods, as far as the demo's promises are about them.

use std::{collections::BTreeSet, ops::ControlFlow, time::Duration};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::stage::Kubectl;
use crate::progress;

/// A pod of the primary that is not being deleted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pod {
    pub(crate) name: String,
    pub(crate) ready: bool,
    pub(crate) restarts: u64,
}

impl Pod {
    pub(crate) fn names(pods: &[Self]) -> BTreeSet<&str> {
        pods.iter().map(|pod| pod.name.as_str()).collect()
    }

    pub(crate) fn restarts(pods: &[Self]) -> u64 {
        pods.iter().map(|pod| pod.restarts).sum()
    }
}

const PRIMARY: &str = "--selector=app=app,coalmine.dev/role!=canary";

pub(crate) fn primary(kubectl: &Kubectl) -> Result<Vec<Pod>> {
    parse(&kubectl.ask(&["get", "pods", PRIMARY, "--output=json"])?)
}

/// Waits until none of these pods exists any more, not even as one that stops.
pub(crate) fn wait_until_gone(kubectl: &Kubectl, pods: &[Pod]) -> Result<()> {
    progress::wait_for("the old pods to end", Duration::from_mins(1), || {
        let present = kubectl.ask(&["get", "pods", PRIMARY, "--output=jsonpath={.items[*].metadata.name}"])?;
        let left = present.split_whitespace().filter(|name| pods.iter().any(|pod| pod.name == *name)).count();
        Ok(if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(format!("{left} are left")) })
    })
}

#[derive(Deserialize)]
struct List {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    metadata: Metadata,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    deletion_timestamp: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    conditions: Vec<Condition>,
    container_statuses: Vec<ContainerStatus>,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerStatus {
    restart_count: u64,
}

fn parse(json: &str) -> Result<Vec<Pod>> {
    let list: List = serde_json::from_str(json).context("failed to understand kubectl's list of pods")?;
    let pods = list.items.into_iter().filter(|item| item.metadata.deletion_timestamp.is_none());
    Ok(pods
        .map(|item| Pod {
            name: item.metadata.name,
            ready: item.status.conditions.iter().any(|condition| condition.kind == "Ready" && condition.status == "True"),
            restarts: item.status.container_statuses.iter().map(|container| container.restart_count).sum(),
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_that_are_being_deleted_do_not_count() {
        let json = r#"{"items":[
            {"metadata":{"name":"a"},"status":{"conditions":[{"type":"Ready","status":"True"}],"containerStatuses":[{"restartCount":2}]}},
            {"metadata":{"name":"b"},"status":{"conditions":[{"type":"Ready","status":"False"}]}},
            {"metadata":{"name":"c"}},
            {"metadata":{"name":"d","deletionTimestamp":"2026-01-01T00:00:00Z"}}]}"#;
        let pod = |name: &str, ready, restarts| Pod { name: name.to_owned(), ready, restarts };
        let pods = parse(json).unwrap();
        assert_eq!(pods, [pod("a", true, 2), pod("b", false, 0), pod("c", false, 0)]);
        assert_eq!((Pod::restarts(&pods), Pod::names(&pods).len()), (2, 3));
    }
}

//! Which pods are the canary's and which the primary's, by name and by address: those that the API server names, and no others. A prefix would
//! take in pods of other clusters that write to the same store.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    manifest::{conditions, object, references},
    metrics::{
        counting::{Members, Pods},
        pages::{Endpoint, Place, monitored_places},
    },
    run::canary,
};

/// Pods come and go.
pub(super) const KEPT: Duration = Duration::from_secs(15);
/// The maximum number of pods that are gone and still remembered.
const MOST_GONE: usize = 500;

/// What the API server says of a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pod {
    pub name: String,
    pub address: Option<String>,
    /// The names of the ReplicaSets that own it.
    pub replica_sets: Vec<String>,
    pub on_host_network: bool,
    pub node: Option<String>,
    pub created: Option<Timestamp>,
    /// Ready, and not on its way out.
    pub is_serving: bool,
    pub is_leaving: bool,
    /// Where it may serve its metrics.
    pub places: Vec<Place>,
}

impl Pod {
    /// As the API server has it.
    pub fn of(pod: &Value) -> Self {
        Self::monitored(pod, &[])
    }

    /// The same where monitors say where its page is.
    pub fn monitored(pod: &Value, endpoints: &[Endpoint]) -> Self {
        let text = |path: &str| pod.pointer(path).and_then(Value::as_str).map(str::to_owned);
        let owners = references::of(pod).iter().filter(|owner| references::text(owner, "kind") == "ReplicaSet");
        let is_ready = conditions::find(pod, "Ready").is_some_and(|ready| conditions::text(ready, "status") == "True");
        Self {
            name: object::name(pod).to_owned(),
            address: text("/status/podIP"),
            replica_sets: owners.filter_map(|owner| owner["name"].as_str()).map(str::to_owned).collect(),
            on_host_network: pod.pointer("/spec/hostNetwork").and_then(Value::as_bool) == Some(true),
            node: text("/spec/nodeName"),
            created: text("/metadata/creationTimestamp").and_then(|created| created.parse().ok()),
            is_serving: is_ready && !object::is_being_deleted(pod),
            is_leaving: object::is_being_deleted(pod),
            places: monitored_places(pod, endpoints),
        }
    }
}

/// The pods of a primary that has no canary.
pub fn of_primary_alone(primary: &[Pod], deployment: &str) -> Pods {
    pods(&[], primary, deployment, None)
}

/// `before` are those that were named earlier in the run: what a pod has served counts after it has gone.
pub(super) fn pods(canary: &[Pod], primary: &[Pod], deployment: &str, before: Option<&Pods>) -> Pods {
    // A label can be written by anybody. A template that comes back has the name of its earlier run, whose pod may take long to stop.
    let canaries: Vec<&Pod> = canary.iter().filter(|pod| is_of(pod, &canary::name(deployment)) && !pod.is_leaving).collect();
    let owned: Vec<&Pod> = primary.iter().filter(|pod| is_of(pod, deployment)).collect();
    let mut primary = named(&owned);
    // By name alone: an address may be another pod's by now.
    let gone = before.into_iter().flat_map(|before| &before.primary.names).filter(|name| !primary.names.contains(*name));
    let gone: Vec<String> = gone.take(MOST_GONE).cloned().collect();
    primary.names.extend(gone);
    Pods { canary: named(&canaries), primary }
}

/// Whether any of this Deployment's pods is Ready.
pub(super) fn serves(primary: &[Pod], deployment: &str) -> bool {
    primary.iter().any(|pod| pod.is_serving && is_of(pod, deployment))
}

/// Whether a pod is of a ReplicaSet of this Deployment: the set's name is the Deployment's with a hash behind it, and a hash has no dash.
pub(super) fn is_of(pod: &Pod, deployment: &str) -> bool {
    pod.replica_sets.iter().any(|owner| {
        let hash = owner.strip_prefix(deployment).and_then(|rest| rest.strip_prefix('-'));
        hash.is_some_and(|hash| !hash.is_empty() && !hash.contains('-'))
    })
}

/// These pods and no others: an earlier run of the same template has pods of the same prefix, which may still be stopping and be scraped.
fn named(pods: &[&Pod]) -> Members {
    with_addresses(Members::of_names(pods.iter().map(|pod| pod.name.clone())), pods)
}

fn with_addresses(members: Members, pods: &[&Pod]) -> Members {
    // An address of the node's network says nothing about the pod.
    let (on_nodes, own): (Vec<&Pod>, Vec<&Pod>) = pods.iter().partition(|pod| pod.on_host_network);
    let members = Members { on_nodes: on_nodes.into_iter().filter_map(|pod| pod.address.clone()).collect(), ..members };
    let own = own.into_iter();
    let addresses = own.filter_map(|pod| Some((pod.address.clone()?, pod.name.clone())));
    addresses.fold(members, |members, (address, pod)| members.with_address(address, pod))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, replica_set: &str, address: &str) -> Pod {
        Pod { name: name.to_owned(), address: Some(address.to_owned()), replica_sets: vec![replica_set.to_owned()], ..Pod::default() }
    }

    #[test]
    fn the_canary_by_name_and_the_primary_by_its_replica_sets() {
        let canary = [
            pod("app-canary-77f-abcde", "app-canary-77f", "10.0.0.9"),
            pod("twin-canary-77f-fffff", "twin-canary-77f", "10.0.0.8"),
            Pod { replica_sets: Vec::new(), ..pod("app-canary-77f-by-hand", "", "10.0.0.7") },
            Pod { is_leaving: true, ..pod("app-canary-77f-ggggg", "app-canary-77f", "10.0.0.10") },
        ];
        let primary = [
            pod("app-6d5f-aaaaa", "app-6d5f", "10.0.0.1"),
            Pod { on_host_network: true, ..pod("app-6d5f-bbbbb", "app-6d5f", "192.168.0.1") },
            pod("app-worker-6d5f-ccccc", "app-worker-6d5f", "10.0.0.3"),
            Pod { replica_sets: Vec::new(), ..pod("app-6d5f-ddddd", "", "10.0.0.4") },
        ];
        let pods = pods(&canary, &primary, "app", None);
        assert_eq!(pods.canary, Members::of_names(["app-canary-77f-abcde"]).with_address("10.0.0.9", "app-canary-77f-abcde"));
        let named = Members::of_names(["app-6d5f-aaaaa", "app-6d5f-bbbbb"]).with_address("10.0.0.1", "app-6d5f-aaaaa");
        assert_eq!(pods.primary, Members { on_nodes: ["192.168.0.1".to_owned()].into(), ..named });
        // There it is reached by checks.
        let on_node = Pod { on_host_network: true, ..pod("app-canary-77f-abcde", "app-canary-77f", "192.168.0.1") };
        let reached = super::pods(&[on_node], &[], "app", None).canary;
        assert_eq!((reached.reached_at(), pods.canary.reached_at()), (Some("192.168.0.1"), Some("10.0.0.9")));
        // A pod that went has served what it served; its address may be another's.
        let later = super::pods(&canary, &[pod("app-6d5f-eeeee", "app-6d5f", "10.0.0.1")], "app", Some(&pods));
        let names = ["app-6d5f-aaaaa", "app-6d5f-bbbbb", "app-6d5f-eeeee"];
        assert_eq!(later.primary, Members::of_names(names).with_address("10.0.0.1", "app-6d5f-eeeee"));
    }
}

//! Which pods are the canary's and which the primary's, by name and by address.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt as _, api::ListParams};
use serde_json::Value;

use super::super::{Context, Error};
use crate::sources::Scope;
use coalmine_core::{
    api::annotations::RUN_LABEL,
    hold::replica_sets,
    manifest::object,
    metrics::counting::{Members, Pods},
};

/// Pods come and go; new ones of the same ReplicaSets are recognised by name anyway.
pub(super) const KEPT: Duration = Duration::from_secs(15);
/// What the ReplicaSet controller appends to a pod's name.
const RANDOM_PART: usize = 5;

pub(super) async fn of(context: &Context, primary: &Value, run: &str) -> Result<Scope, Error> {
    let namespace = object::namespace(primary);
    let api = Api::<Pod>::namespaced(context.client.clone(), namespace);
    let list = |selector: String| {
        let api = api.clone();
        async move { api.list(&ListParams::default().labels(&selector)).await.map_err(Error::api("list pods")) }
    };
    let canary = list(format!("{RUN_LABEL}={run}")).await?;
    // The API server takes no Deployment without a selector.
    let primaries = list(format!("{},!{RUN_LABEL}", replica_sets::selector(primary))).await?;
    let owned = primaries.items.iter().filter(|pod| is_of(pod, object::name(primary)));
    Ok(Scope { namespace: namespace.to_owned(), pods: Pods { canary: named(canary.items.iter()), primary: alike(owned) } })
}

/// Of a ReplicaSet of this Deployment: its name is the Deployment's with a hash behind it, and a hash has no dash.
fn is_of(pod: &Pod, deployment: &str) -> bool {
    pod.owner_references().iter().any(|owner| {
        let hash = owner.name.strip_prefix(deployment).and_then(|rest| rest.strip_prefix('-'));
        owner.kind == "ReplicaSet" && hash.is_some_and(|hash| !hash.is_empty() && !hash.contains('-'))
    })
}

/// These pods and no others: an earlier run of the same template has pods of the same prefix, which may still be stopping and be scraped.
fn named<'a>(pods: impl Iterator<Item = &'a Pod>) -> Members {
    let pods: Vec<&Pod> = pods.collect();
    with_addresses(Members::of_names(pods.iter().map(|pod| pod.name_any())), &pods)
}

/// These pods and those that their ReplicaSets will make.
fn alike<'a>(pods: impl Iterator<Item = &'a Pod>) -> Members {
    let pods: Vec<&Pod> = pods.collect();
    let prefixes = pods.iter().map(|pod| {
        let name = pod.name_any();
        name.get(..name.len().saturating_sub(RANDOM_PART)).unwrap_or(&name).to_owned()
    });
    with_addresses(Members::of_prefixes(prefixes.collect::<std::collections::BTreeSet<_>>()), &pods)
}

fn with_addresses(members: Members, pods: &[&Pod]) -> Members {
    // An address of the node's network says nothing about the pod.
    let own = pods.iter().filter(|pod| pod.spec.as_ref().is_none_or(|spec| spec.host_network != Some(true)));
    let addresses = own.filter_map(|pod| Some((pod.status.as_ref()?.pod_ip.clone()?, pod.name_any())));
    addresses.fold(members, |members, (address, pod)| members.with_address(address, pod))
}

//! The pods of both sides, as the API server names them, and where each may serve its metrics.

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt as _, api::ListParams};
use serde_json::Value;

use super::super::{Context, Error, observe};
use coalmine_core::{api::annotations::RUN_LABEL, hold::replica_sets, judging::Pod as Known, manifest::object, metrics::pages::places};

/// The canary's and the primary's.
pub(super) async fn of_both(context: &Context, primary: &Value, canary: &Value) -> Result<(Vec<Known>, Vec<Known>), Error> {
    let run = coalmine_core::run::canary::run_of(canary).unwrap_or_default();
    let canary = list(context, primary, &format!("{RUN_LABEL}={run}")).await?;
    Ok((canary, of_primary(context, primary).await?))
}

pub(super) async fn of_primary(context: &Context, primary: &Value) -> Result<Vec<Known>, Error> {
    // The API server takes no Deployment without a selector.
    list(context, primary, &format!("{},!{RUN_LABEL}", replica_sets::selector(primary))).await
}

async fn list(context: &Context, primary: &Value, selector: &str) -> Result<Vec<Known>, Error> {
    let api = Api::<Pod>::namespaced(context.client.clone(), object::namespace(primary));
    let pods = api.list(&ListParams::default().labels(selector)).await.map_err(Error::api("list pods"))?;
    pods.items.iter().map(known).collect()
}

fn known(pod: &Pod) -> Result<Known, Error> {
    let owners = pod.owner_references().iter().filter(|owner| owner.kind == "ReplicaSet");
    let (spec, status) = (pod.spec.as_ref(), pod.status.as_ref());
    let is_ready =
        status.and_then(|status| status.conditions.as_ref()).into_iter().flatten().any(|one| one.type_ == "Ready" && one.status == "True");
    Ok(Known {
        name: pod.name_any(),
        address: status.and_then(|status| status.pod_ip.clone()),
        replica_sets: owners.map(|owner| owner.name.clone()).collect(),
        on_host_network: spec.and_then(|spec| spec.host_network) == Some(true),
        node: spec.and_then(|spec| spec.node_name.clone()),
        created: pod.creation_timestamp().map(|created| created.0),
        is_serving: is_ready && pod.metadata.deletion_timestamp.is_none(),
        places: places(&observe::json(pod, "a pod")?),
    })
}

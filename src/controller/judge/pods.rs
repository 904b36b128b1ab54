//! The pods of both sides, as the API server names them, and where each may serve its metrics.

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::ListParams};
use serde_json::Value;

use super::super::{Context, Error, observe};
use coalmine_core::{api::annotations::RUN_LABEL, hold::replica_sets, judging::Pod as Known, manifest::object, metrics::pages::Endpoint};

/// The canary's and the primary's; `monitored` is where monitors say that their pages are.
pub(super) async fn of_both(
    context: &Context,
    primary: &Value,
    canary: &Value,
    monitored: &[Endpoint],
) -> Result<(Vec<Known>, Vec<Known>), Error> {
    let run = coalmine_core::run::canary::run_of(canary).unwrap_or_default();
    let canary = list(context, primary, &format!("{RUN_LABEL}={run}"), monitored).await?;
    Ok((canary, of_primary(context, primary, monitored).await?))
}

pub(super) async fn of_primary(context: &Context, primary: &Value, monitored: &[Endpoint]) -> Result<Vec<Known>, Error> {
    // The API server takes no Deployment without a selector.
    list(context, primary, &format!("{},!{RUN_LABEL}", replica_sets::selector(primary)), monitored).await
}

async fn list(context: &Context, primary: &Value, selector: &str, monitored: &[Endpoint]) -> Result<Vec<Known>, Error> {
    let api = Api::<Pod>::namespaced(context.client.clone(), object::namespace(primary));
    let pods = api.list(&ListParams::default().labels(selector)).await.map_err(Error::api("list pods"))?;
    pods.items.iter().map(|pod| Ok(Known::monitored(&observe::json(pod, "a pod")?, monitored))).collect()
}

//! Asks the cluster's resource metrics API (`metrics.k8s.io`) what the pods of both sides use, where a check wants to know. What is made of the
//! answers is `judging::usage`'s.

use std::time::Duration;

use kube::{
    Api,
    api::{DynamicObject, ListParams},
    core::ApiResource,
};
use serde_json::Value;

use super::super::{Context, Error, observe};
use crate::clock;
use coalmine_core::{
    api::checks::Probe,
    hold::replica_sets,
    judging::{
        Checks,
        usage::{PodUsage, Trouble, Usage},
    },
    manifest::object,
};

/// Whoever serves it is asked through the API server, and may be gone.
const WITHIN: Duration = Duration::from_secs(5);

/// One request for all checks, when it is due.
pub(super) async fn look(context: &Context, primary: &Value, checks: &Checks, usage: &mut Usage) {
    let is_wanted = checks.list.iter().any(|check| matches!(check.probe, Probe::Usage(_)));
    if !is_wanted || !usage.is_due(checks.settled, clock::now()) {
        return;
    }
    let late = || Err(Trouble::Passing(format!("the resource metrics API (metrics.k8s.io) didn't answer within {} s", WITHIN.as_secs())));
    let answer = tokio::time::timeout(WITHIN, list(context, primary)).await.unwrap_or_else(|_| late());
    usage.took(answer, &checks.scope.pods, clock::now());
}

/// The canary's pods have the labels of the primary's.
async fn list(context: &Context, primary: &Value) -> Result<Vec<PodUsage>, Trouble> {
    let api = Api::<DynamicObject>::namespaced_with(context.client.clone(), object::namespace(primary), &resource());
    let found = api.list(&ListParams::default().labels(&replica_sets::selector(primary))).await.map_err(trouble)?;
    Ok(found.items.iter().filter_map(|one| PodUsage::of(&observe::json(one, "resource metrics").ok()?)).collect())
}

fn trouble(error: kube::Error) -> Trouble {
    let code = if let kube::Error::Api(status) = &error { status.code } else { 0 };
    let words = Error::api("list the pods' resource metrics")(error).words();
    match code {
        404 => {
            Trouble::Refused("this cluster serves no resource metrics (metrics.k8s.io/v1beta1): is metrics-server installed?".to_owned())
        }
        401 | 403 => Trouble::Refused(words),
        _ => Trouble::Passing(words),
    }
}

fn resource() -> ApiResource {
    ApiResource {
        group: "metrics.k8s.io".to_owned(),
        version: "v1beta1".to_owned(),
        api_version: "metrics.k8s.io/v1beta1".to_owned(),
        kind: "PodMetrics".to_owned(),
        plural: "pods".to_owned(),
    }
}

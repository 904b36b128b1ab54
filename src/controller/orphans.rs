//! What is left of primaries that are gone: what was remembered of them, and canaries that nobody owns, which would go on serving a template
//! that nobody tries.

use kube::api::PropagationPolicy;
use serde_json::Value;

use super::{Context, Error, chain, observe};
use coalmine_core::{manifest::object, run::canary};

/// This primary was deleted, or nothing is held.
pub(super) async fn gone(context: &Context, namespace: &str, primary: &str) {
    context.forget(&format!("{namespace}/{primary}")).await;
    if let Err(error) = clean(context, namespace, primary).await {
        tracing::warn!(namespace, name = primary, error = %chain(&error), "failed to take an abandoned canary away");
    }
}

/// This primary is being deleted, and a finalizer may keep it for long. Its pods serve on, the canary's must not: nobody judges it any more.
pub(super) async fn leaving(context: &Context, primary: &Value) -> Result<(), Error> {
    let (namespace, name) = (object::namespace(primary), canary::name(object::name(primary)));
    context.forget(&format!("{namespace}/{}", object::name(primary))).await;
    let found = context.deployments(namespace).get_opt(&name).await.map_err(Error::api("get the canary"))?;
    let Some(found) = found.map(|found| observe::json(&found, "the canary")).transpose()? else { return Ok(()) };
    if !canary::is_canary_of(&found, primary) || object::is_being_deleted(&found) {
        return Ok(());
    }
    context.may_write()?;
    tracing::info!(namespace, name, "its primary is being deleted: deleting the canary");
    context.delete_canary(namespace, &name, object::uid(&found), PropagationPolicy::Background).await
}

async fn clean(context: &Context, namespace: &str, primary: &str) -> Result<(), Error> {
    let name = canary::name(primary);
    let found = context.deployments(namespace).get_opt(&name).await.map_err(Error::api("get the canary"))?;
    let Some(found) = found.map(|found| observe::json(&found, "the canary")).transpose()? else { return Ok(()) };
    // After the canary: an owner that has lost its name since then never comes back.
    let present = context.deployments(namespace).get_opt(primary).await.map_err(Error::api("get the Deployment"))?;
    let present = present.map(|present| observe::json(&present, "the Deployment")).transpose()?;
    if !canary::is_abandoned(&found, primary, present.as_ref()) {
        return Ok(());
    }
    context.may_write()?;
    tracing::info!(namespace, name, "its primary is gone: deleting the canary");
    context.delete_canary(namespace, &name, object::uid(&found), PropagationPolicy::Background).await
}

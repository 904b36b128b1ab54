//! What is left of primaries that are gone: what was remembered of them, and canaries that nobody owns, which would go on serving a template
//! that nobody tries.

use std::time::Duration;

use jiff::Timestamp;
use kube::api::PropagationPolicy;
use serde_json::Value;

use super::{Context, Error, chain, observe, wake};
use crate::clock;
use coalmine_core::{
    hold::status,
    manifest::{key::Key, object},
    run::{canary, times::elapsed},
};

/// A primary that is being deleted is mostly gone by then, unless a finalizer keeps it.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
const SOON_GONE: Duration = Duration::from_mins(1);

/// This primary was deleted, or nothing is held.
pub(super) async fn gone(context: &Context, namespace: &str, primary: &str) {
    context.forget(&Key::new(namespace, primary)).await;
    if let Err(error) = clean(context, namespace, primary).await {
        tracing::warn!(namespace, name = primary, error = %chain(&error), "failed to take an abandoned canary away");
    }
}

/// This primary is being deleted, and a finalizer may keep it for long. Its pods serve on, the canary's must not: nobody judges it any more. When
/// to look again: whether it left its canary behind is seen once it is gone, and nothing may wake us then.
pub(super) async fn leaving(context: &Context, primary: &Value) -> Result<Duration, Error> {
    let (namespace, name) = (object::namespace(primary), canary::name(object::name(primary)));
    context.forget(&Key::of(primary)).await;
    let since: Option<Timestamp> = object::metadata_text(primary, "deletionTimestamp").parse().ok();
    let again = if since.is_some_and(|since| elapsed(since, clock::now()) > SOON_GONE) { SOON_GONE } else { LOOK_AGAIN };
    let found = context.deployments(namespace).get_opt(&name).await.map_err(Error::api("get the canary"))?;
    let Some(found) = found.map(|found| observe::json(&found, "the canary")).transpose()? else { return Ok(again) };
    let is_ours = canary::is_canary_of(&found, primary) || canary::is_abandoned(&found, object::name(primary), Some(primary));
    if !is_ours || object::is_being_deleted(&found) {
        return Ok(again);
    }
    context.may_write()?;
    tracing::info!(namespace, name, "its primary is being deleted: deleting the canary");
    context.delete_canary(namespace, &name, object::uid(&found), PropagationPolicy::Background).await?;
    Ok(again)
}

async fn clean(context: &Context, namespace: &str, primary: &str) -> Result<(), Error> {
    let name = canary::name(primary);
    let found = context.deployments(namespace).get_opt(&name).await.map_err(Error::api("get the canary"))?;
    let Some(found) = found.map(|found| observe::json(&found, "the canary")).transpose()? else { return Ok(()) };
    // After the canary: an owner that has lost its name since then never comes back.
    let present = context.deployments(namespace).get_opt(primary).await.map_err(Error::api("get the Deployment"))?;
    let present = present.map(|present| observe::json(&present, "the Deployment")).transpose()?;
    if present.as_ref().is_some_and(status::is_unwatched) {
        return wake::wake_one(context, namespace, primary).await;
    }
    let is_forgotten = present.as_ref().is_some_and(|present| canary::is_forgotten(&found, present));
    if !is_forgotten && !canary::is_abandoned(&found, primary, present.as_ref()) {
        return Ok(());
    }
    context.may_write()?;
    tracing::info!(namespace, name, is_forgotten, "its primary is gone, or says nothing of it: deleting the canary");
    context.delete_canary(namespace, &name, object::uid(&found), PropagationPolicy::Background).await
}

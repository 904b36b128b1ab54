//! Statuses that nobody writes any more. While Coalmine is down, the status of a Deployment with a held template can't be written, and the
//! Deployment controller gives up after some minutes of trying: <https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/controller/deployment/deployment_controller.go>
//! (`maxRetries`). Whoever asks for the verdict would then wait until something else happens to the Deployment.
//! Looks once, when this process begins to lead, at those that are kept out, and those on trial that lost their label meanwhile; the others
//! are worked on anyway.

use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{
    Context, Error,
    again::{FIRST_RETRY, LONGEST_RETRY},
    chain, observe,
};
use coalmine_core::{
    api::annotations::{self as key, ACTIVE_LABEL},
    hold::{admit::FIELD_MANAGER, status},
    manifest::object,
};

/// Of what is read at once; a page is all that is kept in memory.
const PAGE: u32 = 100;

/// Whatever one refuses is tried again a few times, as long as Coalmine's own webhook may not be called yet.
const ATTEMPTS: u32 = 8;

/// Does it, sooner or later, unless another replica leads first.
pub(super) async fn wake(context: &Context) {
    for attempt in 0..ATTEMPTS {
        let error = match wake_all(context).await {
            Ok(()) | Err(Error::NotLeading) => return,
            Err(error) => error,
        };
        tracing::warn!(attempt, error = %chain(&error), "failed to wake the Deployment controller everywhere");
        tokio::time::sleep(FIRST_RETRY.saturating_mul(1 << attempt).min(LONGEST_RETRY)).await;
    }
}

/// One that fails keeps none of the others asleep.
async fn wake_all(context: &Context) -> Result<(), Error> {
    let all = Api::<Deployment>::all(context.client.clone());
    let mut next = ListParams::default().limit(PAGE);
    let mut failed = Ok(());
    loop {
        context.may_write()?;
        let page = all.list_metadata(&next).await.map_err(Error::api("list Deployments"))?;
        for metadata in page.items {
            let metadata = observe::json(&metadata, "a Deployment's metadata")?;
            if object::annotations(&metadata).contains_key(key::HELD)
                && let Err(error) = wake_one(context, object::namespace(&metadata), object::name(&metadata)).await
            {
                failed = Err(error);
            }
        }
        match page.metadata.continue_.filter(|more| !more.is_empty()) {
            Some(more) => next = next.continue_token(&more),
            None => return failed,
        }
    }
}

/// The label is a change that the Deployment controller notices, and ours, which takes it away when its work is done.
pub(super) async fn wake_one(context: &Context, namespace: &str, name: &str) -> Result<(), Error> {
    let api = context.deployments(namespace);
    let Some(found) = api.get_opt(name).await.map_err(Error::api("get the Deployment"))? else { return Ok(()) };
    let found = observe::json(&found, "the Deployment")?;
    if !status::is_left_behind(&found) && !status::is_unwatched(&found) {
        return Ok(());
    }
    context.may_write()?;
    tracing::info!(namespace, name, "it was left alone while Coalmine was away: waking the controllers");
    let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let patch = Patch::Merge::<Value>(json!({"metadata": {"labels": {ACTIVE_LABEL: "true"}}}));
    match api.patch(name, &parameters, &patch).await {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        result => result.map(drop).map_err(Error::api("wake the Deployment controller")),
    }
}

//! Tries held templates and promotes those that prove themselves: the edge around `run::plan`.
//!
//! Watches what is marked with the label of the hold, observes, asks the core for the next step, and carries it out. Keeps nothing that
//! could not be lost: a controller that starts anew, or takes the lease over, goes on from what is on the objects.

mod act;
mod again;
mod events;
mod failure;
mod judge;
mod monitors;
mod namespaces;
mod notices;
mod observe;
mod orphans;
mod shares;
mod step;
mod telemetry;
#[cfg(test)]
mod tests;
mod wake;

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{DynamicObject, PartialObjectMeta},
    runtime::{Controller, controller, reflector::ObjectRef, watcher},
};
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use self::{again::Again, namespaces::Namespaces, notices::Notices, shares::Shares};
pub(crate) use self::{
    failure::{Error, chain},
    namespaces::{Wishes, look as wishes},
};
pub use self::{monitors::Monitors, telemetry::Metrics};
use crate::{
    clock,
    kubernetes::{WATCH_FOR, deployments},
    lease::Claim,
    notify::Notifier,
    sources::Sources,
};
use coalmine_core::{
    api::annotations::{ACTIVE_LABEL, PRIMARY_ANNOTATION, ROLE_CANARY, ROLE_LABEL},
    api::label::Label,
    manifest::key::Key,
    run::{events::Told, shared::Alone},
};

/// For steps that are under way when this process no longer leads. They write nothing any more.
const ENDS_WITHIN: Duration = Duration::from_secs(2);
/// How many primaries are worked on at once; `shares` says how many of them of one namespace.
const CONCURRENCY: u16 = 64;

/// What is worth remembering about one primary, whatever is read about it. Losing it costs a repeated Event, or some seconds.
#[derive(Debug, Default)]
struct Remembered {
    told: Told,
    alone: Alone,
}

/// What the controller needs besides a client.
#[expect(missing_debug_implementations, reason = "kube's client has none")]
pub struct Context {
    client: Client,
    claims: watch::Receiver<Claim>,
    sources: Sources,
    canary_label: Label,
    identity: String,
    metrics: Metrics,
    /// What is worth remembering about a run while this process lives. Losing it costs a repeated Event or query, never a verdict.
    memory: Mutex<HashMap<Key, judge::Memory>>,
    remembered: Mutex<HashMap<Key, Remembered>>,
    /// Steps under way, by namespace.
    shares: Shares,
    namespaces: Namespaces,
    monitors: Monitors,
    notices: Notices,
}

impl Context {
    pub fn new(
        client: Client,
        claims: watch::Receiver<Claim>,
        sources: Sources,
        canary_label: Label,
        identity: String,
        metrics: Metrics,
        notifier: Option<Arc<Notifier>>,
    ) -> Self {
        let (memory, remembered) = (Mutex::default(), Mutex::default());
        Self {
            client,
            claims,
            sources,
            canary_label,
            identity,
            metrics,
            memory,
            remembered,
            shares: Shares::default(),
            namespaces: Namespaces::default(),
            monitors: Monitors::default(),
            notices: Notices::new(notifier),
        }
    }

    /// Leadership is data with an expiry, looked at right before each write.
    fn may_write(&self) -> Result<(), Error> {
        if self.claims.borrow().is_current(clock::moment()) { Ok(()) } else { Err(Error::NotLeading) }
    }

    /// Nothing is left to do there, or nothing is left.
    async fn forget(&self, key: &Key) {
        self.metrics.work.forgets(key);
        self.memory.lock().await.remove(key);
        self.remembered.lock().await.remove(key);
    }

    fn deployments(&self, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &deployments())
    }
}

/// Runs canaries whenever this process leads, until it is told to stop.
pub async fn run(context: Arc<Context>, stop: CancellationToken) {
    let mut claims = context.claims.clone();
    while !stop.is_cancelled() {
        let leads = tokio::select! {
            leads = claims.wait_for(|claim| matches!(claim, Claim::Mine { .. })) => leads.is_ok(),
            () = stop.cancelled() => return,
        };
        if !leads {
            return;
        }
        tracing::info!("leading: canaries are run here");
        context.metrics.work.leads(true);
        let no_longer = CancellationToken::new();
        let until = no_longer.clone().cancelled_owned();
        let mut leading = std::pin::pin!(lead(Arc::clone(&context), until));
        let ended = tokio::select! {
            () = &mut leading => true,
            _ = claims.wait_for(|claim| !matches!(claim, Claim::Mine { .. })) => false,
            () = stop.cancelled() => false,
        };
        no_longer.cancel();
        // What doesn't end by itself is dropped, and its requests with it: leading anew must not wait for it.
        if !ended && tokio::time::timeout(ENDS_WITHIN, leading).await.is_err() {
            tracing::warn!("steps were cut: they took longer than {} s", ENDS_WITHIN.as_secs());
        }
        context.memory.lock().await.clear();
        context.remembered.lock().await.clear();
        context.metrics.work.leads(false);
    }
}

async fn lead(context: Arc<Context>, until: impl Future<Output = ()> + Send + Sync + 'static) {
    let resource = deployments();
    let all = || Api::<DynamicObject>::all_with(context.client.clone(), &deployments());
    let seconds = u32::try_from(WATCH_FOR.as_secs()).unwrap_or(u32::MAX);
    let selected = |selector: &str| watcher::Config::default().labels(selector).any_semantic().timeout(seconds);
    let canaries = format!("{ROLE_LABEL}={ROLE_CANARY}");
    let pods = Api::<PartialObjectMeta<Pod>>::all(context.client.clone());
    let controller = Controller::new_with(all(), selected(&format!("{ACTIVE_LABEL}=true")), resource.clone())
        .with_config(kube::runtime::controller::Config::default().concurrency(CONCURRENCY))
        .trigger_backoff(Again::default())
        .watches_with(all(), resource.clone(), selected(&canaries), {
            let resource = resource.clone();
            move |canary: DynamicObject| primary_of(&canary, &resource)
        })
        .watches(pods, selected(&canaries), move |pod: PartialObjectMeta<Pod>| primary_of(&pod, &resource))
        .graceful_shutdown_on(until)
        .run(step::reconcile, step::on_error, Arc::clone(&context))
        .for_each_concurrent(usize::from(CONCURRENCY), |result| {
            let context = Arc::clone(&context);
            async move { handled(&context, result).await }
        });
    let wake = async {
        wake::wake(&context).await;
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = controller => {}
        () = wake => {}
        () = notices::run(&context) => {}
    }
}

/// What a step returned was handled in `on_error`; here it is the queue's and the watches' own trouble, and that an object is gone or has
/// nothing to do, which no step is called for.
async fn handled<Done, Queue: std::error::Error + 'static>(context: &Context, result: Result<Done, controller::Error<Error, Queue>>) {
    let Err(error) = result else { return };
    if let controller::Error::ObjectNotFound(gone) = &error {
        orphans::gone(context, gone.namespace.as_deref().unwrap_or_default(), &gone.name).await;
    }
    tracing::debug!(error = %chain(&error), "controller");
}

/// By what is written on it, since one that is left over has no owner.
fn primary_of(of_canary: &impl kube::ResourceExt, resource: &kube::core::ApiResource) -> Option<ObjectRef<DynamicObject>> {
    let name = of_canary.annotations().get(PRIMARY_ANNOTATION)?;
    Some(ObjectRef::new_with(name, resource.clone()).within(&of_canary.namespace()?))
}

//! Tries held templates and promotes those that prove themselves: the edge around `run::plan`.
//!
//! Watches what is marked with the label of the hold, observes, asks the core for the next step, and carries it out. Keeps nothing that
//! could not be lost: a controller that starts anew, or takes the lease over, goes on from what is on the objects.

mod act;
mod again;
mod events;
mod freezes;
mod judge;
mod observe;
mod orphans;
mod shares;
mod telemetry;
mod wake;

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
    time::Duration,
};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt as _,
    api::{DynamicObject, PartialObjectMeta},
    runtime::{
        Controller,
        controller::{self, Action as Requeue},
        reflector::ObjectRef,
        watcher,
    },
};
use serde_json::Value;
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

pub(crate) use self::freezes::look as freeze;
pub use self::telemetry::Metrics;
use self::{again::Again, freezes::Freezes, shares::Shares};
use crate::{
    clock,
    kubernetes::{WATCH_FOR, deployments},
    lease::Claim,
    panics::{Panicked, caught},
    sources::Sources,
};
use coalmine_core::{
    api::{
        annotations::{ACTIVE_LABEL, PRIMARY_ANNOTATION, ROLE_CANARY, ROLE_LABEL},
        policy::Policy,
    },
    hold::held::Record,
    manifest::{object, template},
    message,
    run::{
        events::{Event, Reason, Told},
        evidence::Evidence,
        plan,
        shared::Alone,
    },
};

/// After a failure: soon, but not at once; doubled each time up to the longest.
const FIRST_RETRY: Duration = Duration::from_millis(500);
const LONGEST_RETRY: Duration = Duration::from_secs(30);
/// For the questions of one judgement, all together.
const JUDGED_WITHIN: Duration = Duration::from_secs(45);
/// For steps that are under way when this process no longer leads. They write nothing any more.
const ENDS_WITHIN: Duration = Duration::from_secs(2);
/// How many primaries are worked on at once; `shares` says how many of them of one namespace.
const CONCURRENCY: u16 = 64;
/// For a step that finds its namespace's share taken.
const ANOTHER_TURN: Duration = Duration::from_millis(250);
/// How many refusals in a row one step answers.
const MOST_REFUSALS: usize = 3;

/// What the API server says of a JSON patch whose `test` failed or whose path is gone; a policy that refuses has words of its own.
/// Source: `NewGenericServerResponse` in apimachinery, as `applyJSPatcher` in apiserver calls it.
const PATCH_REFUSED: &str = "the server rejected our request due to an error in our request";

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("failed to {doing}")]
    Api { doing: &'static str, source: Box<kube::Error> },
    #[error("failed to read {what} as JSON")]
    Json { what: &'static str, source: serde_json::Error },
    #[error("another replica leads now")]
    NotLeading,
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

impl Error {
    pub(crate) fn api(doing: &'static str) -> impl FnOnce(kube::Error) -> Self {
        move |source| Self::Api { doing, source: Box::new(source) }
    }

    /// The object changed since it was looked at: nothing went wrong, it is looked at again.
    fn is_outdated(&self) -> bool {
        matches!(self, Self::Api { source, .. } if matches!(&**source, kube::Error::Api(status) if status.code == 409 || status.code == 404
            || (status.code == 422 && status.message.starts_with(PATCH_REFUSED))))
    }

    /// The API server's words when it understood the request and will not have it: a quota's, a policy's, or those of another webhook.
    fn refusal(&self) -> Option<&str> {
        match self {
            Self::Api { source, .. } if !self.is_outdated() => match &**source {
                kube::Error::Api(status) if matches!(status.code, 400 | 403 | 422) => Some(&status.message),
                _ => None,
            },
            _ => None,
        }
    }
}

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
    canary_label: (String, String),
    identity: String,
    metrics: Metrics,
    /// What is worth remembering about a run while this process lives. Losing it costs a repeated Event or query, never a verdict.
    memory: Mutex<HashMap<String, judge::Memory>>,
    remembered: Mutex<HashMap<String, Remembered>>,
    failures: std::sync::Mutex<HashMap<String, u32>>,
    /// Steps under way, by namespace.
    shares: Shares,
    freezes: Freezes,
}

impl Context {
    pub fn new(
        client: Client,
        claims: watch::Receiver<Claim>,
        sources: Sources,
        canary_label: (String, String),
        identity: String,
        metrics: Metrics,
    ) -> Self {
        let (memory, remembered, failures) = (Mutex::default(), Mutex::default(), std::sync::Mutex::default());
        Self {
            client,
            claims,
            sources,
            canary_label,
            identity,
            metrics,
            memory,
            remembered,
            failures,
            shares: Shares::default(),
            freezes: Freezes::default(),
        }
    }

    /// Leadership is data with an expiry, looked at right before each write.
    fn may_write(&self) -> Result<(), Error> {
        if self.claims.borrow().is_current(clock::moment()) { Ok(()) } else { Err(Error::NotLeading) }
    }

    /// One more of a row that a success ends.
    fn failed(&self, key: &str) -> u32 {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let attempts = failures.entry(key.to_owned()).or_insert(0);
        *attempts = attempts.saturating_add(1);
        *attempts
    }

    fn succeeded(&self, key: &str) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// Nothing is left to do there, or nothing is left.
    async fn forget(&self, key: &str) {
        self.succeeded(key);
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
        context.failures.lock().unwrap_or_else(PoisonError::into_inner).clear();
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
        .run(reconcile, on_error, Arc::clone(&context))
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

async fn reconcile(object: Arc<DynamicObject>, context: Arc<Context>) -> Result<Requeue, Error> {
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let key = format!("{namespace}/{name}");
    let Some(_place) = context.shares.take(&namespace) else { return Ok(Requeue::requeue(ANOTHER_TURN)) };
    let again = match caught("work on a Deployment", Box::pin(step(&context, &namespace, &name))).await {
        Ok(again) => again?,
        Err(fault) => {
            tell_of_a_fault(&context, &namespace, &name).await;
            return Err(fault.into());
        }
    };
    context.succeeded(&key);
    if again.is_none() {
        context.forget(&key).await;
    }
    Ok(again.map_or_else(Requeue::await_change, Requeue::requeue))
}

/// The Deployment is where the user looks. Nothing is written but the Event and, at the deadline, the end; nothing else is worked out on the way.
async fn tell_of_a_fault(context: &Context, namespace: &str, name: &str) {
    let told = caught("tell of a fault", async {
        if let Ok(Some(primary)) = context.deployments(namespace).get_opt(name).await
            && let Ok(primary) = observe::json(&primary, "the Deployment")
        {
            context.publish(&primary, &Event::warning(Reason::Fault, message::fault_at_work())).await;
            let policy = Policy::of(object::annotations(&primary)).unwrap_or_default();
            let end = plan::after_a_fault(&primary, &policy, clock::now());
            if let Err(error) = act::act(context, &primary, &Record::None, &Evidence::default(), end.into_iter().collect()).await {
                tracing::warn!(namespace, name, error = %chain(&error), "failed to end the run after a fault");
            }
        }
    });
    let _ = told.await;
}

/// Observes one primary, plans, acts. When to look again; `None` if there is nothing left to do.
async fn step(context: &Context, namespace: &str, name: &str) -> Result<Option<Duration>, Error> {
    let api = context.deployments(namespace);
    let Some(primary) = api.get_opt(name).await.map_err(Error::api("get the Deployment"))? else { return Ok(None) };
    let primary = observe::json(&primary, "the Deployment")?;
    if object::is_being_deleted(&primary) || object::label(&primary, ACTIVE_LABEL).is_none() {
        return Ok(None);
    }
    let held = Record::of(&primary);
    let seen = observe::Seen::look(context, &primary).await?;
    let judgement = judged(context, &primary, &seen).await;
    let alone_for = {
        let mut remembered = context.remembered.lock().await;
        remembered.entry(format!("{namespace}/{name}")).or_default().alone.see(seen.is_in_trouble_alone(), clock::now())
    };
    let evidence = judge::evidence(context, &primary, &seen).await;
    let mut observed = seen.observed(&primary, judgement, &held, alone_for);
    let hash = held.valid().map(|held| template::hash(&held.template));
    // A refusal has an answer, and what is refused of that has one too; beyond that it is tried again later.
    for _ in 0..=MOST_REFUSALS {
        let plan = plan::plan(&observed, &context.canary_label, clock::now());
        tracing::debug!(namespace, name, template = hash, actions = plan.actions.len(), again = ?plan.look_again, "planned");
        match act::act(context, &primary, &held, &evidence, plan.actions).await? {
            act::Outcome::Done => return Ok(plan.look_again),
            act::Outcome::Refused(refused) => observed.refused = Some(refused),
        }
    }
    Ok(Some(LONGEST_RETRY))
}

/// The judgement, or why there is none: the deadline of a run comes whatever its metrics and checks do to whoever reads them.
async fn judged(context: &Context, primary: &Value, seen: &observe::Seen) -> Option<plan::Judgement> {
    let judge = caught("judge a canary", Box::pin(judge::judge(context, primary, seen)));
    match tokio::time::timeout(JUDGED_WITHIN, judge).await {
        Ok(Ok(judgement)) => judgement,
        Ok(Err(fault)) => Some(plan::Judgement::Unavailable(fault.to_string())),
        Err(_) => Some(plan::Judgement::Unavailable(format!("no judgement within {} s", JUDGED_WITHIN.as_secs()))),
    }
}

fn on_error(object: Arc<DynamicObject>, error: &Error, context: Arc<Context>) -> Requeue {
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    if error.is_outdated() {
        return Requeue::requeue(Duration::from_millis(100));
    }
    let attempts = context.failed(&format!("{namespace}/{name}"));
    if !matches!(error, Error::NotLeading) {
        tracing::warn!(namespace, name, attempts, error = %chain(error), "a step failed; it is tried again");
    }
    if matches!(error, Error::Panicked(_)) {
        return Requeue::requeue(LONGEST_RETRY);
    }
    Requeue::requeue(FIRST_RETRY.saturating_mul(1 << attempts.min(10)).min(LONGEST_RETRY))
}

/// An error with its sources, each said once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let part = error.to_string();
        if !text.ends_with(&part) {
            text = format!("{text}: {part}");
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use axum::{
        body::{Body, to_bytes},
        http::{Request, Response},
    };
    use serde_json::{Value, json};

    use super::*;
    use crate::sources::{Pages, prometheus};

    /// The first request for a Deployment panics; Events are kept.
    fn faulty(events: Arc<std::sync::Mutex<Vec<Value>>>) -> Client {
        let first = Arc::new(AtomicBool::new(true));
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let (first, events) = (Arc::clone(&first), Arc::clone(&events));
            async move {
                let path = request.uri().path().to_owned();
                let body = to_bytes(Body::new(request.into_body()), usize::MAX).await.unwrap();
                if path.ends_with("/events") {
                    let event: Value = serde_json::from_slice(&body).unwrap();
                    events.lock().unwrap().push(event.clone());
                    return Ok::<_, std::convert::Infallible>(Response::new(Body::from(event.to_string())));
                }
                assert!(!first.swap(false, Ordering::Relaxed), "a fault");
                let app =
                    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app", "namespace": "shop", "uid": "1"}});
                Ok(Response::new(Body::from(app.to_string())))
            }
        });
        Client::new(service, "shop")
    }

    fn context(client: Client) -> Arc<Context> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let source = prometheus::Prometheus::new(prometheus::Settings::new("http://127.0.0.1:1".to_owned())).unwrap();
        let sources = Sources::new(
            Some(Arc::new(source)),
            None,
            Pages::new(None, Vec::new()).unwrap(),
            None,
            crate::sources::pods::Fetcher::new().unwrap(),
            coalmine_core::api::checks::Rules::default(),
        );
        let metrics = Metrics::register(&mut prometheus_client::registry::Registry::default());
        let claims = watch::channel(Claim::Nobody).1;
        Arc::new(Context::new(client, claims, sources, ("tier".to_owned(), "canary".to_owned()), "me".to_owned(), metrics))
    }

    #[tokio::test]
    async fn a_fault_is_told_on_the_object_that_it_is_about_and_the_next_step_is_as_ever() {
        let events = Arc::<std::sync::Mutex<Vec<Value>>>::default();
        let context = context(faulty(Arc::clone(&events)));
        let object = Arc::new(DynamicObject::new("app", &deployments()).within("shop"));

        let error = reconcile(Arc::clone(&object), Arc::clone(&context)).await.unwrap_err();
        assert!(matches!(error, Error::Panicked(_)));
        assert_eq!(on_error(Arc::clone(&object), &error, Arc::clone(&context)), Requeue::requeue(LONGEST_RETRY));
        let told = events.lock().unwrap().clone();
        assert_eq!(told.len(), 1);
        assert_eq!((&told[0]["reason"], &told[0]["regarding"]["name"]), (&json!("CanaryFault"), &json!("app")));
        insta::assert_snapshot!(told[0]["note"].as_str().unwrap(), @"Coalmine met a fault of its own while it worked on this Deployment; the live template stays, and it is tried again; its log names the place: please report it. To drop the held template, apply the live one");

        assert_eq!(reconcile(object, context).await.unwrap(), Requeue::await_change());
    }

    #[tokio::test]
    async fn nothing_is_remembered_of_what_is_gone() {
        let context = context(faulty(Arc::default()));
        let met = reconcile(Arc::new(DynamicObject::new("app", &deployments()).within("shop")), Arc::clone(&context)).await;
        assert!(met.is_err(), "the fault is behind us");
        for number in 0..1_000 {
            let name = format!("app-{number}");
            let key = format!("shop/{name}");
            assert_eq!((context.failed(&key), context.failed(&key)), (1, 2));
            context.memory.lock().await.insert(key, judge::Memory::default());
            let gone = ObjectRef::<DynamicObject>::new_with(&name, deployments()).within("shop").erase();
            handled(&context, Err::<(), _>(controller::Error::<Error, std::fmt::Error>::ObjectNotFound(Box::new(gone)))).await;
        }
        assert!(context.memory.lock().await.is_empty());
        assert!(context.failures.lock().unwrap().is_empty());
    }
}

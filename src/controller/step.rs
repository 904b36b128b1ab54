//! One step for one primary: it observes, asks the plan for the next step, and carries that out. Says when to look again; decides nothing of a run.

use std::{sync::Arc, time::Duration};

use kube::{ResourceExt as _, api::DynamicObject, runtime::controller::Action as Requeue};
use serde_json::Value;

use super::{
    Context, Error, act,
    again::{FIRST_RETRY, LONGEST_RETRY},
    chain, judge, observe, orphans,
};
use crate::{clock, panics::caught};
use coalmine_core::{
    api::{
        annotations::{ACTIVE_LABEL, UNSENT},
        policy::Policy,
    },
    facts::{event::Event, judgement::Round, why::Verdict},
    hold::held::Record,
    manifest::{key::Key, object, template},
    run::{evidence::Evidence, plan},
    standing::Standing,
};

/// The maximum number of failures in a row that concern nobody: an API server starts, a network stumbles.
const MOST_SILENT_FAILURES: u32 = 3;
/// For the questions of one judgement, all together.
const JUDGED_WITHIN: Duration = Duration::from_secs(45);
/// What is older is looked at again before anything follows from it.
const LOOKED_WITHIN: Duration = Duration::from_secs(2);
/// After a judgement that did not come.
const JUDGED_AGAIN: Duration = Duration::from_secs(2);
/// For a step that finds its namespace's share taken.
const ANOTHER_TURN: Duration = Duration::from_millis(250);
/// How many refusals in a row one step answers.
const MOST_REFUSALS: usize = 3;

pub(super) async fn reconcile(object: Arc<DynamicObject>, context: Arc<Context>) -> Result<Requeue, Error> {
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let key = Key::new(&namespace, &name);
    let Some(_place) = context.shares.take(&namespace) else { return Ok(Requeue::requeue(ANOTHER_TURN)) };
    let _step = context.metrics.work.step();
    let again = match caught("work on a Deployment", Box::pin(step(&context, &namespace, &name))).await {
        Ok(Ok(again)) => again,
        Ok(Err(error)) => {
            if error.lasts() && context.metrics.work.failures(&key) >= MOST_SILENT_FAILURES {
                let words = error.words();
                tell(&context, &namespace, &name, Event::Failure(words.clone()), Verdict::NotLookedAfter(words)).await;
            }
            return Err(error);
        }
        Err(fault) => {
            tell(&context, &namespace, &name, Event::Fault, Verdict::Fault).await;
            return Err(fault.into());
        }
    };
    context.metrics.work.succeeded(&key);
    if again.is_none() {
        context.forget(&key).await;
    }
    Ok(again.map_or_else(Requeue::await_change, Requeue::requeue))
}

/// The Deployment is where the user looks. Nothing is written but the Event and, at the deadline, the end.
async fn tell(context: &Context, namespace: &str, name: &str, event: Event, why: Verdict) {
    let told = caught("tell of a failure", async {
        if let Ok(Some(primary)) = context.deployments(namespace).get_opt(name).await
            && let Ok(primary) = observe::json(&primary, "the Deployment")
        {
            context.publish(&primary, &event).await;
            let (policy, held) = (Policy::of(object::annotations(&primary)).unwrap_or_default(), Record::of(&primary));
            let Some(end) = plan::after_a_failure(&primary, held.on_trial(), &policy, clock::now(), why) else { return };
            let evidence = Evidence::default();
            // Should the fault be in what goes with the end, history and notification, it comes without them.
            for held in [&held, &Record::None] {
                let acted = Box::pin(act::act(context, &primary, held, &evidence, vec![end.clone()]));
                match caught("end a run", acted).await {
                    Ok(Ok(_)) => return,
                    Ok(Err(error)) => {
                        tracing::warn!(namespace, name, error = %chain(&error), "failed to end the run after a failure");
                        return;
                    }
                    Err(_) => {}
                }
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
    if object::is_being_deleted(&primary) {
        return orphans::leaving(context, &primary).await.map(Some);
    }
    if object::label(&primary, ACTIVE_LABEL).is_none() {
        return Ok(None);
    }
    // Also of a verdict whose writing was never answered.
    if object::annotations(&primary).contains_key(UNSENT) {
        context.notices.wake(namespace, name);
    }
    let held = Record::of(&primary);
    let looked = clock::moment();
    let mut seen = observe::Seen::look(context, &primary).await?;
    context.metrics.work.sees(&Key::of(&primary), Standing::of(&primary).phase, plan::deadline(&primary, seen.policy()));
    let judgement = judged(context, &primary, &seen).await;
    // Meanwhile its pod may have ended, or somebody have frozen the namespace.
    if clock::moment().saturating_sub(looked) > LOOKED_WITHIN {
        seen = observe::Seen::look(context, &primary).await?;
    }
    let alone_for = {
        let mut remembered = context.remembered.lock().await;
        remembered.entry(Key::of(&primary)).or_default().alone.see(seen.is_in_trouble_alone(), clock::now())
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
async fn judged(context: &Context, primary: &Value, seen: &observe::Seen) -> Option<Round> {
    let judge = caught("judge a canary", Box::pin(judge::judge(context, primary, seen)));
    match tokio::time::timeout(JUDGED_WITHIN, judge).await {
        Ok(Ok(judgement)) => judgement,
        Ok(Err(fault)) => Some(Round::blind(fault.to_string(), JUDGED_AGAIN)),
        Err(_) => Some(Round::blind(format!("no judgement within {} s", JUDGED_WITHIN.as_secs()), JUDGED_AGAIN)),
    }
}

pub(super) fn on_error(object: Arc<DynamicObject>, error: &Error, context: Arc<Context>) -> Requeue {
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    if error.is_outdated() {
        return Requeue::requeue(Duration::from_millis(100));
    }
    let attempts = context.metrics.work.failed(&Key::new(&namespace, &name));
    if !matches!(error, Error::NotLeading) {
        tracing::warn!(namespace, name, attempts, error = %chain(error), "a step failed; it is tried again");
    }
    if matches!(error, Error::Panicked(_)) {
        return Requeue::requeue(LONGEST_RETRY);
    }
    Requeue::requeue(FIRST_RETRY.saturating_mul(1 << attempts.min(10)).min(LONGEST_RETRY))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use axum::{
        body::{Body, to_bytes},
        http::{Request, Response},
    };
    use kube::{
        Client,
        runtime::{controller, reflector::ObjectRef},
    };
    use serde_json::{Value, json};
    use tokio::sync::watch;

    use super::{
        super::{Metrics, handled},
        *,
    };
    use crate::{
        kubernetes::deployments,
        lease::Claim,
        sources::{Pages, Sources, prometheus},
    };
    use coalmine_core::{
        api::{annotations as key, label::Label},
        hold::held::{Held, Operation},
    };

    /// The first request for a Deployment panics; Events are kept.
    fn faulty(events: Arc<std::sync::Mutex<Vec<Value>>>) -> Client {
        let app = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app", "namespace": "shop", "uid": "1"}});
        faulty_with(app, events)
    }

    /// The same about this Deployment; what is written to it is kept beside the Events.
    fn faulty_with(app: Value, written: Arc<std::sync::Mutex<Vec<Value>>>) -> Client {
        let first = Arc::new(AtomicBool::new(true));
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let (first, written, app) = (Arc::clone(&first), Arc::clone(&written), app.clone());
            async move {
                let path = request.uri().path().to_owned();
                let body = to_bytes(Body::new(request.into_body()), usize::MAX).await.unwrap();
                if let Ok(object) = serde_json::from_slice::<Value>(&body) {
                    written.lock().unwrap().push(object.clone());
                    let answer = if path.ends_with("/events") { object } else { app };
                    return Ok::<_, std::convert::Infallible>(Response::new(Body::from(answer.to_string())));
                }
                assert!(!first.swap(false, Ordering::Relaxed), "a fault");
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
            Pages::new(None, Vec::new(), None).unwrap(),
            false,
            crate::sources::pods::Fetcher::new(None).unwrap(),
            coalmine_core::api::checks::Rules::default(),
        );
        let metrics = Metrics::register(&mut prometheus_client::registry::Registry::default());
        let claims = watch::channel(Claim::Mine { expiry: clock::moment().saturating_add(Duration::from_mins(1)) }).1;
        Arc::new(Context::new(client, claims, sources, Label::new("tier", "canary"), "me".to_owned(), metrics, None))
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

    /// Whoever looks back, or waits for a notification, hears of the end as of any other.
    #[tokio::test]
    async fn a_run_that_ends_after_a_fault_is_in_the_history() {
        let template = json!({"spec": {"containers": [{"name": "app", "image": "b"}]}});
        let held = Held {
            template,
            manager: "kubectl".to_owned(),
            operation: Operation::Apply,
            user: "ann".to_owned(),
            owners: std::collections::BTreeMap::default(),
            last_applied: None,
            against: None,
            contributions: Vec::new(),
        };
        let app = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app", "namespace": "shop", "uid": "1",
            "annotations": {"canary.enabled": "true", "canary.deadline": "1m", key::HELD: held.encode().unwrap(), key::PHASE: "Running",
                key::SINCE: "2026-01-01T00:00:00Z"}}, "spec": {"template": {"spec": {"containers": [{"name": "app", "image": "a"}]}}}});
        let written = Arc::<std::sync::Mutex<Vec<Value>>>::default();
        let context = context(faulty_with(app, Arc::clone(&written)));
        reconcile(Arc::new(DynamicObject::new("app", &deployments()).within("shop")), context).await.unwrap_err();
        let written = written.lock().unwrap().clone();
        let history = written
            .iter()
            .filter_map(Value::as_array)
            .flatten()
            .find(|operation| operation["path"].as_str().is_some_and(|path| path.ends_with("history")));
        let history = history.and_then(|operation| operation["value"].as_str()).unwrap_or_else(|| panic!("{written:?}"));
        assert!(history.contains("Inconclusive") && history.contains("ann"), "{history}");
    }

    #[tokio::test]
    async fn nothing_is_remembered_of_what_is_gone() {
        let context = context(faulty(Arc::default()));
        let met = reconcile(Arc::new(DynamicObject::new("app", &deployments()).within("shop")), Arc::clone(&context)).await;
        assert!(met.is_err(), "the fault is behind us");
        for number in 0..1_000 {
            let name = format!("app-{number}");
            let key = Key::new("shop", &name);
            assert_eq!((context.metrics.work.failed(&key), context.metrics.work.failed(&key)), (1, 2));
            context.memory.lock().await.insert(key, judge::Memory::default());
            let gone = ObjectRef::<DynamicObject>::new_with(&name, deployments()).within("shop").erase();
            handled(&context, Err::<(), _>(controller::Error::<Error, std::fmt::Error>::ObjectNotFound(Box::new(gone)))).await;
        }
        assert!(context.memory.lock().await.is_empty());
        assert!(context.metrics.work.is_forgotten());
    }
}

//! Verdicts on their way to sinks. What has yet to be told stands on the Deployment since the verdict was written (`notify::outbox`); this tells
//! it, and takes it away as each sink was told. Works only while this replica leads; whoever leads next looks through all Deployments once. Never
//! in the way of a verdict: it is only handed names, in a queue of bounded length, and what finds no place there is looked for later.

mod ledger;
mod tell;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, api::ListParams};
use serde_json::Value;
use tokio::sync::{Semaphore, mpsc};

use self::{
    ledger::{Ledger, Task},
    tell::{mark, tell},
};
use super::{Context, Error, chain, observe};
use crate::notify::{Notifier, Outcome};
use coalmine_core::{
    api::policy::Policy,
    manifest::object,
    notify::{
        outbox::{self, Notice},
        sinks::{PHASES, Sink},
    },
    run::history::Verdict,
};

/// Names of Deployments that wait to be looked at.
const QUEUE: usize = 1000;
/// Notifications under way at once, of which a sink in trouble has its share, and of those the ones that wait for an answer of one sink.
const MOST_AT_ONCE: usize = 200;
const MOST_OF_A_SINK: usize = 4;
/// Deployments that are looked at, at once.
const MOST_LOOKS: usize = 16;
/// Before Deployments are looked through again, where something was left.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
const PAGE: u32 = 100;

/// Namespace and name of a Deployment.
type Key = (String, String);
/// The queue, and whom it leads to.
pub(super) struct Notices {
    notifier: Option<Arc<Notifier>>,
    enter: mpsc::Sender<Key>,
    /// Taken by whoever leads.
    queue: tokio::sync::Mutex<mpsc::Receiver<Key>>,
    /// Something was not told that stands on an object.
    left: AtomicBool,
    /// Of each sink.
    gates: HashMap<String, Gate>,
}

struct Gate {
    places: Semaphore,
    /// Until then nothing should be sent there.
    closed_until: Mutex<Option<Instant>>,
    /// The last try has another behind it.
    is_troubled: AtomicBool,
}

/// What a piece of work leads to.
enum Done {
    Found(Vec<(Value, Notice, Sink)>),
    /// And whether the object says so.
    Told(Task, bool),
}

impl Notices {
    pub(super) fn new(notifier: Option<Arc<Notifier>>) -> Self {
        let (enter, queue) = mpsc::channel(QUEUE);
        let gate = || Gate { places: Semaphore::new(MOST_OF_A_SINK), closed_until: Mutex::default(), is_troubled: AtomicBool::default() };
        let gates = notifier.iter().flat_map(|notifier| notifier.sinks.iter()).map(|sink| (sink.name.clone(), gate())).collect();
        Self { notifier, enter, queue: tokio::sync::Mutex::new(queue), left: AtomicBool::new(false), gates }
    }

    /// What is to be written with this verdict, so that it is told.
    pub(super) async fn unsent(&self, context: &Context, primary: &Value, verdict: Verdict<'_>, now: Timestamp) -> Option<String> {
        let notifier = self.notifier.as_ref()?;
        if !PHASES.contains(&verdict.phase) {
            return None;
        }
        let notify = Policy::of(object::annotations(primary)).unwrap_or_default().notify;
        // The verdict doesn't wait for who is to hear of it.
        let wishes = context.namespaces.of(&context.client, object::namespace(primary), now).await.unwrap_or_default();
        let sinks = notifier.sinks.chosen(notify.sinks.as_deref(), wishes.notify.as_deref(), verdict.phase);
        if sinks.is_empty() {
            return None;
        }
        let notice = Notice::of(primary, verdict, notify.info, sinks, now);
        let unsent = outbox::with(object::annotations(primary), &notice);
        if unsent.is_none() {
            let (namespace, name) = (object::namespace(primary), object::name(primary));
            tracing::warn!(namespace, name, "the annotations leave no room for a notification, which is not sent");
            notice.sinks.iter().for_each(|sink| notifier.metrics.count(sink, Outcome::Failed));
        }
        unsent
    }

    /// Something was written there.
    pub(super) fn wake(&self, namespace: &str, name: &str) {
        if self.notifier.is_some() && self.enter.try_send((namespace.to_owned(), name.to_owned())).is_err() {
            self.left.store(true, Ordering::Relaxed);
        }
    }
}

/// Tells what there is to tell, until it is dropped.
pub(super) async fn run(context: &Context) {
    let Some(notifier) = &context.notices.notifier else { return std::future::pending().await };
    let mut queue = context.notices.queue.lock().await;
    let mut under_way = FuturesUnordered::<BoxFuture<'_, Done>>::new();
    let mut ledger = Ledger::default();
    let share = (MOST_AT_ONCE / context.notices.gates.len().max(1)).max(MOST_OF_A_SINK);
    let is_troubled = |sink: &str| context.notices.is_troubled(sink);
    let mut looks = tokio::time::interval(LOOK_AGAIN);
    let mut is_first = true;
    let mut sweep: Option<BoxFuture<'_, ()>> = None;
    loop {
        notifier.metrics.waiting(ledger.open());
        tokio::select! {
            _ = looks.tick(), if sweep.is_none() => {
                if context.notices.left.swap(false, Ordering::Relaxed) || is_first {
                    sweep = Some(look_through(context).boxed());
                }
                is_first = false;
            }
            () = async { if let Some(sweep) = &mut sweep { sweep.await } }, if sweep.is_some() => sweep = None,
            Some(key) = queue.recv(), if ledger.open_but(is_troubled) < MOST_AT_ONCE && under_way.len() < ledger.open() + MOST_LOOKS => under_way.push(look(context, notifier, key).boxed()),
            Some(done) = under_way.next() => match done {
                Done::Found(found) => for (primary, notice, sink) in found {
                    let task = (notice.id(object::uid(&primary)), sink.name.clone());
                    // It stays on its object until there is room.
                    if is_troubled(&sink.name) && !ledger.has_room(&task, share) {
                        context.notices.left.store(true, Ordering::Relaxed);
                        continue;
                    }
                    let Some(is_told) = ledger.begin(&task) else { continue };
                    under_way.push(tell(context, notifier, primary, notice, sink, is_told).map(|marked| Done::Told(task, marked)).boxed());
                },
                Done::Told(task, is_closed) => {
                    ledger.end(task, is_closed, Instant::now());
                    if !is_closed {
                        context.notices.left.store(true, Ordering::Relaxed);
                    }
                }
            },
        }
    }
}

/// What a leader before left untold, and what found no place.
async fn look_through(context: &Context) {
    let all = Api::<Deployment>::all(context.client.clone());
    let mut next = ListParams::default().limit(PAGE);
    loop {
        let page = match all.list_metadata(&next).await {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(error = %chain(&error), "failed to look for notifications that are left");
                context.notices.left.store(true, Ordering::Relaxed);
                return;
            }
        };
        for found in page.items {
            let metadata = found.metadata;
            if metadata.annotations.as_ref().is_some_and(|all| all.contains_key(coalmine_core::api::annotations::UNSENT)) {
                context.notices.wake(&metadata.namespace.unwrap_or_default(), &metadata.name.unwrap_or_default());
            }
        }
        match page.metadata.continue_.filter(|more| !more.is_empty()) {
            Some(more) => next = next.continue_token(&more),
            None => return,
        }
    }
}

async fn metadata(context: &Context, namespace: &str, name: &str) -> Result<Option<Value>, Error> {
    let api = Api::<Deployment>::namespaced(context.client.clone(), namespace);
    let found = api.get_metadata_opt(name).await.map_err(Error::api("get the Deployment"))?;
    found.map(|found| observe::json(&found, "the Deployment")).transpose()
}

/// What stands on one object.
async fn look(context: &Context, notifier: &Notifier, (namespace, name): Key) -> Done {
    let primary = match metadata(context, &namespace, &name).await {
        Ok(primary) => primary,
        Err(error) => {
            tracing::warn!(namespace, name, error = %chain(&error), "failed to look for a notification");
            context.notices.left.store(true, Ordering::Relaxed);
            None
        }
    };
    let Some(primary) = primary else { return Done::Found(Vec::new()) };
    let mut found = Vec::new();
    for notice in outbox::of(object::annotations(&primary)) {
        for sink in &notice.sinks {
            if let Some(sink) = notifier.sinks.get(sink) {
                found.push((primary.clone(), notice.clone(), sink.clone()));
            } else {
                tracing::warn!(namespace, name, sink, "a notification is for a sink that is gone, and dropped");
                mark(context, &primary, &notice, sink).await;
            }
        }
    }
    Done::Found(found)
}

impl Notices {
    /// Waits until the sink takes another.
    async fn place(&self, sink: &Sink) -> Option<tokio::sync::SemaphorePermit<'_>> {
        let gate = self.gates.get(&sink.name)?;
        let place = gate.places.acquire().await.ok();
        loop {
            let until = *gate.closed_until.lock().unwrap_or_else(PoisonError::into_inner);
            match until.and_then(|until| until.checked_duration_since(Instant::now())) {
                Some(left) if !left.is_zero() => tokio::time::sleep(left).await,
                _ => return place,
            }
        }
    }

    /// Whether the last try there was in vain, and is to be repeated: what goes there may stay for long.
    fn is_troubled(&self, sink: &str) -> bool {
        self.gates.get(sink).is_some_and(|gate| gate.is_troubled.load(Ordering::Relaxed))
    }

    fn answered(&self, sink: &Sink, well: bool) {
        if let Some(gate) = self.gates.get(&sink.name) {
            gate.is_troubled.store(!well, Ordering::Relaxed);
        }
    }

    fn close(&self, sink: &Sink, pause: Duration) {
        if let Some(gate) = self.gates.get(&sink.name) {
            let mut until = gate.closed_until.lock().unwrap_or_else(PoisonError::into_inner);
            *until = (*until).max(Instant::now().checked_add(pause));
        }
    }
}

//! The rows of the list, kept current by one watch for all who look, and only while somebody does. What else changes on a Deployment or its
//! canary is told as a change of its place.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::{Duration, Instant},
};

use coalmine_core::{
    api::annotations::{PRIMARY_ANNOTATION, ROLE_CANARY, ROLE_LABEL},
    manifest::object,
    page::Row,
};
use futures::{Stream, StreamExt as _};
use kube::{
    Api, Client,
    api::DynamicObject,
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::Value;
use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use crate::kubernetes::{WATCH_FOR, deployments};

/// After the last look.
const LINGERS: Duration = Duration::from_secs(15);
/// How often it is seen whether somebody still looks.
const SWEEP: Duration = Duration::from_secs(5);
/// Deployments in one answer of the API server: each may be hundreds of kilobytes.
const PAGE: u32 = 25;
/// Changes that one who is slow may miss without being told that it was many.
const CHANGES: usize = 64;
/// A watch that failed is begun anew within that time, or fails again.
const TRIED_AGAIN: Duration = Duration::from_secs(45);
/// For the first list.
const FIRST_WITHIN: Duration = Duration::from_secs(15);

/// By namespace and name, which are the rows' own.
pub(super) type Rows = BTreeMap<Place, Row>;

type Place = (Arc<str>, Arc<str>);

/// Something happened to a Deployment, or to its canary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) namespace: Arc<str>,
    pub(super) name: Arc<str>,
    /// Its line in the list is another.
    pub(super) in_list: bool,
}

#[derive(Clone)]
pub(super) struct Live {
    client: Client,
    current: Arc<Mutex<Option<Arc<Watched>>>>,
    stop: CancellationToken,
}

/// One watch, as long as somebody holds it.
pub(super) struct Watched {
    rows: RwLock<Rows>,
    changes: broadcast::Sender<Arc<Change>>,
    is_whole: watch::Sender<bool>,
    looked: Mutex<Instant>,
    /// When the API server could not be asked last, unless something was heard of it since.
    unheard: Mutex<Option<Instant>>,
}

impl Live {
    pub(super) fn new(client: Client, stop: CancellationToken) -> Self {
        Self { client, current: Arc::default(), stop }
    }

    /// Begins to watch if nobody looked before.
    pub(super) fn look(&self) -> Arc<Watched> {
        let mut current = self.current();
        if let Some(watched) = &*current {
            *watched.looked.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            return Arc::clone(watched);
        }
        let watched = Arc::new(Watched {
            rows: RwLock::default(),
            changes: broadcast::Sender::new(CHANGES),
            is_whole: watch::Sender::new(false),
            looked: Mutex::new(Instant::now()),
            unheard: Mutex::default(),
        });
        *current = Some(Arc::clone(&watched));
        tokio::spawn(self.clone().run(Arc::clone(&watched)));
        watched
    }

    fn current(&self) -> MutexGuard<'_, Option<Arc<Watched>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(self, watched: Arc<Watched>) {
        tracing::debug!("somebody looks at the page: Deployments are watched for it");
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &deployments());
        let seconds = u32::try_from(WATCH_FOR.as_secs()).unwrap_or(u32::MAX);
        let events = watcher(api, watcher::Config::default().page_size(PAGE).timeout(seconds)).default_backoff();
        tokio::select! {
            () = follow(&watched, events) => {}
            () = self.until_nobody_looks(&watched) => {}
            () = self.stop.cancelled() => {}
        }
        tracing::debug!("nobody looks at the page any more");
        self.current().take_if(|current| Arc::ptr_eq(current, &watched));
    }

    /// Takes the watch away before it returns, so that nobody comes to look at one that is about to end.
    async fn until_nobody_looks(&self, watched: &Arc<Watched>) {
        loop {
            tokio::time::sleep(SWEEP).await;
            let mut current = self.current();
            // Ours, and the one in `current`.
            let is_held = Arc::strong_count(watched) > 2;
            if !is_held && watched.looked.lock().unwrap_or_else(PoisonError::into_inner).elapsed() > LINGERS {
                *current = None;
                return;
            }
        }
    }
}

impl Watched {
    /// Whether everything was read in time.
    pub(super) async fn is_whole(&self) -> bool {
        let mut whole = self.is_whole.subscribe();
        tokio::time::timeout(FIRST_WITHIN, whole.wait_for(|whole| *whole)).await.is_ok_and(|waited| waited.is_ok())
    }

    /// Whether the rows may be older than they look. A watch that goes on says nothing until something happens.
    pub(super) fn may_be_old(&self) -> bool {
        let unheard = *self.unheard.lock().unwrap_or_else(PoisonError::into_inner);
        unheard.is_some_and(|at| at.elapsed() < TRIED_AGAIN)
    }

    fn heard(&self, of: bool) {
        *self.unheard.lock().unwrap_or_else(PoisonError::into_inner) = (!of).then(Instant::now);
    }

    /// Looks at all rows; to be done quickly.
    pub(super) fn with<T>(&self, look: impl FnOnce(&Rows) -> T) -> T {
        look(&self.rows.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn changes(&self) -> broadcast::Receiver<Arc<Change>> {
        self.changes.subscribe()
    }

    fn apply(&self, object: &Value) {
        let key = place(object);
        if let Some(primary) = primary_of_canary(object) {
            return self.tell(key.0, primary, false);
        }
        let row = Row::of(object);
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        let before = match &row {
            Some(row) => rows.insert(key.clone(), row.clone()),
            None => rows.remove(&key),
        };
        drop(rows);
        if row.is_some() || before.is_some() {
            self.tell(key.0, key.1, row != before);
        }
    }

    fn delete(&self, object: &Value) {
        let key = place(object);
        let before = self.rows.write().unwrap_or_else(PoisonError::into_inner).remove(&key);
        match primary_of_canary(object) {
            Some(primary) => self.tell(key.0, primary, false),
            None if before.is_some() => self.tell(key.0, key.1, true),
            None => {}
        }
    }

    /// After a list: all rows at once, and what of them is news.
    fn replace(&self, fresh: Rows) {
        let before = std::mem::replace(&mut *self.rows.write().unwrap_or_else(PoisonError::into_inner), fresh);
        if !self.is_whole.send_replace(true) {
            return;
        }
        let changed: Vec<Place> = self.with(|now| {
            let all = before.keys().chain(now.keys()).filter(|key| before.get(*key) != now.get(*key));
            all.cloned().collect()
        });
        for (namespace, name) in changed {
            self.tell(namespace, name, true);
        }
    }

    fn tell(&self, namespace: Arc<str>, name: Arc<str>, in_list: bool) {
        // Nobody may be there to hear it.
        let _ = self.changes.send(Arc::new(Change { namespace, name, in_list }));
    }
}

fn place(object: &Value) -> Place {
    (object::namespace(object).into(), object::name(object).into())
}

fn primary_of_canary(object: &Value) -> Option<Arc<str>> {
    let is_canary = object::label(object, ROLE_LABEL) == Some(ROLE_CANARY);
    object::annotation(object, PRIMARY_ANNOTATION).filter(|_| is_canary).map(Arc::from)
}

async fn follow(watched: &Watched, events: impl Stream<Item = watcher::Result<watcher::Event<DynamicObject>>>) {
    let mut events = pin!(events);
    let mut fresh = Rows::new();
    let mut namespace: Arc<str> = Arc::default();
    while let Some(event) = events.next().await {
        match &event {
            // It says that a list is asked for.
            Ok(watcher::Event::Init) => {}
            heard => watched.heard(heard.is_ok()),
        }
        match event {
            Ok(watcher::Event::Init) => fresh.clear(),
            Ok(watcher::Event::InitApply(object)) => {
                let row = json(object).filter(|object| primary_of_canary(object).is_none()).and_then(|object| Row::of(&object));
                if let Some(mut row) = row {
                    // They come by namespace, and share its name.
                    if row.namespace == namespace {
                        row.namespace = Arc::clone(&namespace);
                    }
                    namespace = Arc::clone(&row.namespace);
                    fresh.insert((Arc::clone(&row.namespace), Arc::clone(&row.name)), row);
                }
            }
            Ok(watcher::Event::InitDone) => watched.replace(std::mem::take(&mut fresh)),
            Ok(watcher::Event::Apply(object)) => drop(json(object).map(|object| watched.apply(&object))),
            Ok(watcher::Event::Delete(object)) => drop(json(object).map(|object| watched.delete(&object))),
            Err(error) => tracing::debug!(error = &error as &dyn std::error::Error, "the watch for the page is begun anew"),
        }
    }
}

/// Without who set which field, which is half of an object and none of the list's business.
fn json(mut object: DynamicObject) -> Option<Value> {
    object.metadata.managed_fields = None;
    serde_json::to_value(object).ok()
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use serde_json::json;

    use super::*;

    fn app(held: &str) -> DynamicObject {
        let annotations = json!({"canary.enabled": "true", "canary.state/phase": held});
        let app = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app", "namespace": "shop", "annotations": annotations}});
        serde_json::from_value(app).unwrap()
    }

    #[tokio::test]
    async fn rows_of_an_api_server_that_is_away_may_be_old() {
        let watched = Watched {
            rows: RwLock::default(),
            changes: broadcast::Sender::new(CHANGES),
            is_whole: watch::Sender::new(false),
            looked: Mutex::new(Instant::now()),
            unheard: Mutex::default(),
        };
        let list = || vec![Ok(watcher::Event::Init), Ok(watcher::Event::InitApply(app("Running"))), Ok(watcher::Event::InitDone)];
        follow(&watched, stream::iter(list())).await;
        assert!(watched.is_whole().await && !watched.may_be_old());
        let failed = || Err(watcher::Error::NoResourceVersion);
        follow(&watched, stream::iter([failed(), Ok(watcher::Event::Init), failed()])).await;
        assert!(watched.may_be_old() && watched.with(BTreeMap::len) == 1);
        follow(&watched, stream::iter([Ok(watcher::Event::Apply(app("Promoted")))])).await;
        assert!(!watched.may_be_old());
    }
}

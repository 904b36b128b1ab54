//! Tells browsers that something changed (server-sent events). What changed they ask for themselves, and get what they may see: nothing but
//! "changed" is ever said here. At most once a second, and for some minutes; then the browser asks again, with its token.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::{Body, Bytes},
    extract::{Path, RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use coalmine_core::page::{Filter, is_name};
use futures::{Stream, stream};
use tokio::{
    sync::{OwnedSemaphorePermit, broadcast},
    time::Instant,
};

use super::{
    Page,
    access::Viewer,
    answers::{self, denied},
    live::{Change, Watched},
};

/// Between two news.
const PAUSE: Duration = Duration::from_secs(1);
/// How often something is sent, so that a browser that is gone is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Then the browser comes again; sooner where a token may have expired.
const LASTS: Duration = Duration::from_mins(10);
const LASTS_BY_TOKEN: Duration = Duration::from_mins(1);

/// What a browser looks at.
enum Scope {
    List(Option<String>),
    One(String, String),
}

impl Scope {
    fn concerns(&self, change: &Change) -> bool {
        match self {
            Self::List(namespace) => change.in_list && namespace.as_ref().is_none_or(|namespace| **namespace == *change.namespace),
            Self::One(namespace, name) => **namespace == *change.namespace && **name == *change.name,
        }
    }
}

struct Listening {
    page: Arc<Page>,
    viewer: Viewer,
    scope: Scope,
    changes: broadcast::Receiver<Arc<Change>>,
    /// What was heard and is not told yet: whoever waits for it may be interrupted.
    heard: Option<Arc<Change>>,
    until: Instant,
    _watched: Arc<Watched>,
    _place: OwnedSemaphorePermit,
}

pub(super) async fn of_list(State(page): State<Arc<Page>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    match Filter::of(&query.unwrap_or_default()) {
        Ok(filter) => open(page, &headers, Scope::List(filter.namespace)).await,
        Err(refused) => (StatusCode::BAD_REQUEST, refused + "\n").into_response(),
    }
}

pub(super) async fn of_detail(
    State(page): State<Arc<Page>>,
    Path((namespace, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if !is_name(&namespace) || !is_name(&name) {
        return answers::nothing().await;
    }
    open(page, &headers, Scope::One(namespace, name)).await
}

async fn open(page: Arc<Page>, headers: &HeaderMap, scope: Scope) -> Response {
    let viewer = match page.access.viewer(headers).await {
        Ok(viewer) => viewer,
        Err(reason) => return denied(&reason, true),
    };
    if let Scope::One(namespace, _) | Scope::List(Some(namespace)) = &scope
        && let Err(reason) = page.access.must_see(&viewer, namespace).await
    {
        return denied(&reason, true);
    }
    let Ok(place) = Arc::clone(&page.streams).try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "10")], "too many look\n").into_response();
    };
    let watched = page.live.look();
    let lasts = if matches!(viewer, Viewer::User(_)) { LASTS_BY_TOKEN } else { LASTS };
    let changes = watched.changes();
    let listening =
        Listening { page, viewer, scope, changes, heard: None, until: Instant::now() + lasts, _watched: watched, _place: place };
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(news(listening))).into_response()
}

fn news(listening: Listening) -> impl Stream<Item = Result<Bytes, Infallible>> {
    let first = stream::once(std::future::ready(Ok(Bytes::from_static(b"retry: 2000\n\n"))));
    let later = stream::unfold(listening, async |mut listening| listening.next().await.map(|said| (Ok(said), listening)));
    futures::StreamExt::chain(first, Box::pin(later))
}

impl Listening {
    /// `None` when it is over.
    async fn next(&mut self) -> Option<Bytes> {
        let stop = self.page.stop.clone();
        tokio::select! {
            () = stop.cancelled() => None,
            () = tokio::time::sleep_until(self.until) => None,
            () = tokio::time::sleep(KEEP_ALIVE) => Some(Bytes::from_static(b":\n\n")),
            heard = self.heard() => {
                // What comes meanwhile is news of the same kind; it is told after a pause, since the browser asks for the newest anyway.
                heard?;
                tokio::time::sleep(PAUSE).await;
                Some(Bytes::from_static(b"event: changed\ndata:\n\n"))
            }
        }
    }

    /// Until something changed that this viewer may know of; then takes what else is there. `None` where nothing comes any more.
    async fn heard(&mut self) -> Option<()> {
        loop {
            if let Some(change) = self.heard.clone() {
                let may_know = self.page.access.may_see(&self.viewer, &change.namespace).await == Ok(true);
                self.heard = None;
                if may_know {
                    break;
                }
            }
            match self.changes.recv().await {
                Ok(change) => self.heard = Some(change).filter(|change| self.scope.concerns(change)),
                Err(broadcast::error::RecvError::Lagged(_)) => break,
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
        Some(())
    }
}

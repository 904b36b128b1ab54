//! The page for browsers and `GET /api/v1/canaries`: what the objects say, read for whoever asks and may see it. Reads only. Takes no memory and
//! asks nothing while nobody looks, and what goes wrong here is no trouble of the webhook's.
//!
//! ```text
//!  guard      what is answered at all: GET, by a known name, within a time, with strict headers
//!  access     who may see what, when the page is opened beyond this machine
//!  live       all rows of the list, watched while somebody looks
//!  events     that something changed, to a browser that waits for it
//!  answers    the pages; api: the same as JSON
//! ```

mod access;
mod answers;
mod api;
pub mod arguments;
mod events;
mod guard;
mod live;
mod objects;

use std::sync::Arc;

use axum::{Router, middleware, routing::get};
use kube::Client;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use self::{access::Access, arguments::Settings, live::Live, objects::Objects};

/// Browsers that wait for news at the same time; further ones look again by themselves.
const STREAMS: usize = 48;

/// What answers need.
struct Page {
    access: Access,
    hosts: Vec<String>,
    objects: Objects,
    live: Live,
    streams: Arc<Semaphore>,
    /// Streams end with it.
    stop: CancellationToken,
}

pub fn router(settings: Settings, client: Client, stop: CancellationToken) -> Router {
    let page = Arc::new(Page {
        access: Access::new(settings.access, client.clone()),
        hosts: settings.hosts,
        objects: Objects::new(client.clone()),
        live: Live::new(client, stop.clone()),
        streams: Arc::new(Semaphore::new(STREAMS)),
        stop,
    });
    Router::new()
        .route("/", get(answers::list))
        .route("/{namespace}/{name}", get(answers::detail))
        .route("/events", get(events::of_list))
        .route("/{namespace}/{name}/events", get(events::of_detail))
        .route("/api/v1/canaries", get(api::list))
        .route("/api/v1/canaries/{namespace}/{name}", get(api::one))
        .route("/page.css", get(answers::sheet))
        .route("/page.js", get(answers::script))
        .route("/icon.svg", get(answers::icon))
        .fallback(answers::nothing)
        .layer(middleware::from_fn_with_state(Arc::clone(&page), guard::guard))
        .with_state(page)
}

//! The pages as answers. What stands on them is the core's.

use std::sync::Arc;

use axum::{
    extract::{Path, RawQuery, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use coalmine_core::page::{self, Filter, Row, is_name};

use super::{Page, access::Denied, access::Viewer, live::Rows, objects};
use crate::clock;

/// Namespaces that are asked about one by one for one answer.
const MOST_NAMESPACES: usize = 500;
const NOT_ALL: &str = "There are too many namespaces to look through all of them: choose one by ?namespace=NAME.";
const MAY_BE_OLD: &str = "The API server could not be asked a moment ago: what is shown may be older.";
const STILL_READING: &str = "The Deployments are still being read. They are shown in a moment.";

pub(super) async fn list(State(page): State<Arc<Page>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let filter = match Filter::of(&query.unwrap_or_default()) {
        Ok(filter) => filter,
        Err(refused) => return sentence(StatusCode::BAD_REQUEST, "Not understood", &refused, true),
    };
    let viewer = match page.access.viewer(&headers).await {
        Ok(viewer) => viewer,
        Err(reason) => return denied(&reason, true),
    };
    let watched = page.live.look();
    if !watched.is_whole().await {
        let mut response = sentence(StatusCode::SERVICE_UNAVAILABLE, "Not yet", STILL_READING, true);
        // Browsers ask again by themselves.
        response.headers_mut().insert(header::REFRESH, HeaderValue::from_static("3"));
        return response;
    }
    let seen = match Seen::by(&page, &viewer, filter.namespace.as_deref(), watched.with(namespaces)).await {
        Ok(seen) => seen,
        Err(reason) => return denied(&reason, true),
    };
    watched.with(|rows| {
        let selection = page::select(rows.values().filter(|row| seen.has(&row.namespace)), &filter);
        let note = watched.may_be_old().then_some(MAY_BE_OLD).or(seen.note);
        html(StatusCode::OK, page::list(&selection, &filter, note, clock::now()))
    })
}

pub(super) async fn detail(State(page): State<Arc<Page>>, Path((namespace, name)): Path<(String, String)>, headers: HeaderMap) -> Response {
    if !is_name(&namespace) || !is_name(&name) {
        return nothing().await;
    }
    let objects = match read(&page, &namespace, &name, &headers).await {
        Ok(objects) => objects,
        Err(Unread::Denied(reason)) => return denied(&reason, false),
        Err(Unread::Failed(error)) => return failed(&error, false),
    };
    if let Some(text) = objects.and_then(|objects| page::detail(&objects, clock::now())) {
        return html(StatusCode::OK, text);
    }
    let words = format!("There is no Deployment {namespace}/{name} that is opted in.");
    sentence(StatusCode::NOT_FOUND, "Not found", &words, false)
}

/// Why a Deployment is not shown.
pub(super) enum Unread {
    Denied(Denied),
    Failed(objects::Error),
}

/// A Deployment, if there is one and whoever asks may see it.
pub(super) async fn read(
    page: &Page,
    namespace: &str,
    name: &str,
    headers: &HeaderMap,
) -> Result<Option<coalmine_core::view::status::Objects>, Unread> {
    let viewer = page.access.viewer(headers).await.map_err(Unread::Denied)?;
    page.access.must_see(&viewer, namespace).await.map_err(Unread::Denied)?;
    page.objects.both(namespace, name).await.map_err(Unread::Failed)
}

/// The namespaces of which something may be shown to one viewer.
pub(super) struct Seen {
    /// `None`: all of them.
    only: Option<Vec<String>>,
    /// What is left out, and how to see it.
    pub(super) note: Option<&'static str>,
}

impl Seen {
    /// `present` are all that have Deployments; `namespace` is the one that is asked for.
    pub(super) async fn by(page: &Page, viewer: &Viewer, namespace: Option<&str>, mut present: Vec<String>) -> Result<Self, Denied> {
        if let Some(namespace) = namespace {
            page.access.must_see(viewer, namespace).await?;
            return Ok(Self { only: Some(vec![namespace.to_owned()]), note: None });
        }
        let left_out = present.len().saturating_sub(MOST_NAMESPACES);
        present.truncate(MOST_NAMESPACES);
        let only = page.access.visible(viewer, present).await?;
        let is_part = only.is_some() && left_out > 0;
        Ok(Self { only, note: is_part.then_some(NOT_ALL) })
    }

    pub(super) fn has(&self, namespace: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only.iter().any(|seen| seen == namespace))
    }
}

pub(super) fn namespaces(rows: &Rows) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for Row { namespace, .. } in rows.values() {
        if all.last().is_none_or(|last| **last != **namespace) {
            all.push(namespace.to_string());
        }
    }
    all
}

pub(super) async fn nothing() -> Response {
    (StatusCode::NOT_FOUND, "there is no such page\n").into_response()
}

pub(super) async fn sheet() -> Response {
    file("text/css; charset=utf-8", page::SHEET)
}

pub(super) async fn script() -> Response {
    file("text/javascript; charset=utf-8", page::SCRIPT)
}

pub(super) async fn icon() -> Response {
    file("image/svg+xml", page::ICON)
}

fn file(kind: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

fn html(status: StatusCode, text: String) -> Response {
    (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response()
}

fn sentence(status: StatusCode, title: &str, words: &str, is_first: bool) -> Response {
    html(status, page::message(title, words, is_first))
}

/// Nothing of what is there may be told by this.
pub(super) fn denied(reason: &Denied, is_first: bool) -> Response {
    match reason {
        Denied::Unknown => {
            let words = "This page needs a token of the cluster: as a bearer token, or as the password of any user name.";
            let mut response = sentence(StatusCode::UNAUTHORIZED, "Who are you?", words, is_first);
            for challenge in ["Basic realm=\"Coalmine: any name, a token as password\", charset=\"UTF-8\"", "Bearer"] {
                response.headers_mut().append(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
            }
            response
        }
        Denied::Forbidden(words) => sentence(StatusCode::FORBIDDEN, "Not allowed", words, is_first),
        Denied::Unanswered => {
            let words = "The cluster could not be asked who may see this. Look again in a moment.";
            sentence(StatusCode::SERVICE_UNAVAILABLE, "Not now", words, is_first)
        }
    }
}

pub(super) fn failed(error: &objects::Error, is_first: bool) -> Response {
    tracing::warn!(error = error as &dyn std::error::Error, "the page could not be answered");
    sentence(StatusCode::BAD_GATEWAY, "Not now", "The API server could not be asked. Look again in a moment.", is_first)
}

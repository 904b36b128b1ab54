//! `GET /api/v1/canaries`: the same as the page, for programs, in the shape that `kubectl coalmine -o json` prints. Documented in `docs/api.md`.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use coalmine_core::{page::Filter, page::is_name, state::State as Canary};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    Page,
    access::Denied,
    answers::{Seen, Unread, namespaces, read},
};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata,
    items: Vec<Canary>,
}

#[derive(Serialize)]
struct Metadata {
    #[serde(rename = "continue")]
    next: String,
}

pub(super) async fn list(State(page): State<Arc<Page>>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let filter = match Filter::of(&query.unwrap_or_default()) {
        Ok(filter) => filter,
        Err(words) => return refused(StatusCode::BAD_REQUEST, &words),
    };
    let seen = async {
        let viewer = page.access.viewer(&headers).await?;
        let watched = page.live.look();
        let is_whole = watched.is_whole().await;
        let seen = Seen::by(&page, &viewer, filter.namespace.as_deref(), watched.with(namespaces)).await?;
        Ok((watched, seen, is_whole))
    };
    let (watched, seen, is_whole) = match seen.await {
        Ok(seen) => seen,
        Err(reason) => return denied(&reason),
    };
    if let Some(note) = seen.note {
        return refused(StatusCode::BAD_REQUEST, note);
    }
    if !is_whole {
        return refused(StatusCode::SERVICE_UNAVAILABLE, "the Deployments are still being read");
    }
    let mut places: Vec<(String, String)> = watched.with(|rows| {
        let is_meant =
            |row: &coalmine_core::page::Row| seen.has(&row.namespace) && filter.phase.is_none_or(|phase| row.phase == Some(phase));
        let later = rows.iter().filter(|(place, row)| {
            filter.after.as_ref().is_none_or(|(namespace, name)| (&*place.0, &*place.1) > (namespace.as_str(), name.as_str()))
                && is_meant(row)
        });
        later.map(|((namespace, name), _)| (namespace.to_string(), name.to_string())).take(filter.limit + 1).collect()
    });
    let has_more = places.len() > filter.limit;
    places.truncate(filter.limit);
    let next = places.last().filter(|_| has_more).map(|(namespace, name)| format!("{namespace}/{name}"));
    match page.objects.all(places).await {
        Ok(items) => {
            Json(List { api_version: "v1", kind: "List", metadata: Metadata { next: next.unwrap_or_default() }, items }).into_response()
        }
        Err(error) => failed(&error),
    }
}

pub(super) async fn one(State(page): State<Arc<Page>>, Path((namespace, name)): Path<(String, String)>, headers: HeaderMap) -> Response {
    let missing = || refused(StatusCode::NOT_FOUND, "there is no such Deployment that is opted in");
    if !is_name(&namespace) || !is_name(&name) {
        return missing();
    }
    let objects = match read(&page, &namespace, &name, &headers).await {
        Ok(Some(objects)) => objects,
        Ok(None) => return missing(),
        Err(Unread::Denied(reason)) => return denied(&reason),
        Err(Unread::Failed(error)) => return failed(&error),
    };
    let canary = Canary::of(&objects.primary, objects.namesake.as_ref());
    if canary.enabled || canary.holds() { Json(canary).into_response() } else { missing() }
}

fn denied(reason: &Denied) -> Response {
    match reason {
        Denied::Unknown => {
            let mut response = refused(StatusCode::UNAUTHORIZED, "a token of the cluster is needed, as Authorization: Bearer TOKEN");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
            response
        }
        Denied::Forbidden(words) => refused(StatusCode::FORBIDDEN, words),
        Denied::Unanswered => refused(StatusCode::SERVICE_UNAVAILABLE, "the cluster could not be asked who may see this"),
    }
}

fn failed(error: &super::objects::Error) -> Response {
    tracing::warn!(error = error as &dyn std::error::Error, "a question for canaries could not be answered");
    refused(StatusCode::BAD_GATEWAY, "the API server could not be asked")
}

/// As Kubernetes says no.
fn refused(status: StatusCode, words: &str) -> Response {
    let body: Value = json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": status.as_u16(), "message": words});
    (status, Json(body)).into_response()
}

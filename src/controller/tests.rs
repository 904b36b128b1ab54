//! Steps whose API server fails for a moment, or whose answers are lost: what was done is done once, and what must be said is said.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    body::{Body, to_bytes},
    http::{Method, Request, Response, StatusCode},
};
use coalmine_core::{
    api::{annotations::Phase, label::Label},
    facts::event::Event,
    hold::held::Record,
    run::{evidence::Evidence, plan::Action},
    standing::Standing,
};
use jiff::Timestamp;
use kube::Client;
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::{Context, Metrics, act, namespaces::Namespaces};
use crate::{
    clock,
    lease::Claim,
    sources::{Pages, Sources, pods},
    testing::ApiServer,
};

/// For a process that leads.
fn context(client: Client) -> Context {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let pages = Pages::new(None, Vec::new(), None).unwrap();
    let rules = coalmine_core::api::checks::Rules::default();
    let sources = Sources::new(None, None, pages, false, pods::Fetcher::new(None).unwrap(), rules);
    let metrics = Metrics::register(&mut prometheus_client::registry::Registry::default());
    let claims = watch::channel(Claim::Mine { expiry: clock::moment() + Duration::from_mins(1) }).1;
    Context::new(client, claims, sources, Label::new("tier", "canary"), "me".to_owned(), metrics, None)
}

/// Answers with these codes, one after the other, and 200 afterwards; what was sent with each.
fn answering(codes: &[u16], object: Value) -> (Client, Arc<Mutex<Vec<Value>>>) {
    let (codes, sent) = (Arc::new(Mutex::new(VecDeque::from(codes.to_vec()))), Arc::<Mutex<Vec<Value>>>::default());
    let seen = Arc::clone(&sent);
    let service = tower::service_fn(move |request: Request<kube::client::Body>| {
        let (codes, seen, object) = (Arc::clone(&codes), Arc::clone(&seen), object.clone());
        async move {
            let body = to_bytes(Body::new(request.into_body()), usize::MAX).await.unwrap();
            seen.lock().unwrap().push(serde_json::from_slice(&body).unwrap_or_default());
            let code = codes.lock().unwrap().pop_front().unwrap_or(200);
            let failure = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "no", "code": code, "reason": if code == 409 { "AlreadyExists" } else { "" }});
            let body = if code == 200 { &object } else { &failure };
            let mut response = Response::new(Body::from(body.to_string()));
            *response.status_mut() = StatusCode::from_u16(code).unwrap();
            Ok::<_, Infallible>(response)
        }
    });
    (Client::new(service, "shop"), sent)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn namespace() -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "annotations": {"canary.notify": "payments"}}})
}

#[tokio::test]
async fn a_namespace_that_cannot_be_read_for_a_moment_is_not_taken_for_frozen() {
    let (client, _) = answering(&[200, 500, 429, 504], namespace());
    let namespaces = Namespaces::default();
    for second in [0, 5, 10] {
        let wishes = namespaces.of(&client, "shop", at(second)).await.unwrap();
        assert_eq!((wishes.freeze, wishes.notify), (None, Some(vec!["payments".to_owned()])), "{second}");
    }
    assert!(namespaces.of(&client, "shop", at(60)).await.is_err(), "what was known is too old to stand for an answer");
    assert!(namespaces.of(&client, "shop", at(61)).await.is_ok());
}

#[tokio::test]
async fn a_namespace_that_may_not_be_read_may_be_frozen() {
    let (client, _) = answering(&[403], namespace());
    let freeze = Namespaces::default().of(&client, "shop", at(0)).await.unwrap().freeze;
    assert_eq!(freeze.as_deref(), Some("whether it is frozen can't be read (the right to get namespaces?)"));
}

fn app(phase: &str) -> Value {
    let annotations = json!({"canary.enabled": "true", "canary.state/held": "x", "canary.state/phase": phase, "canary.state/run": "r1",
        "canary.state/since": "2026-01-01T00:00:00Z"});
    json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "app", "namespace": "shop", "uid": "1", "annotations": annotations}})
}

#[tokio::test]
async fn a_step_is_told_although_the_api_server_fails_for_a_moment() {
    for (failures, tries) in [(&[500, 429][..], 3), (&[409], 1), (&[403], 1), (&[503; 9], 3)] {
        let (client, sent) = answering(failures, json!({"metadata": {"name": "e"}}));
        let context = context(client);
        for _ in 0..2 {
            context.publish(&app("Promoted"), &Event::RolledOut).await;
        }
        assert_eq!(sent.lock().unwrap().len(), tries, "{failures:?}");
    }
}

#[tokio::test]
async fn a_state_that_lasts_is_told_when_the_api_server_is_back() {
    let (client, sent) = answering(&[500, 503], json!({"metadata": {"name": "e"}}));
    let context = context(client);
    for _ in 0..5 {
        context.publish(&app("Running"), &Event::PausedBeforeItBegan).await;
    }
    assert_eq!(sent.lock().unwrap().len(), 3);
}

/// An API server that does what the first patch asks, while its answer is lost.
fn losing_an_answer(server: &ApiServer) -> Client {
    let (client, first) = (server.clone().service(), Arc::new(Mutex::new(true)));
    let service = tower::service_fn(move |request: Request<kube::client::Body>| {
        let (client, first) = (client.clone(), Arc::clone(&first));
        async move {
            let is_lost = request.method() == Method::PATCH && std::mem::take(&mut *first.lock().unwrap());
            let answer = client.oneshot(request).await;
            if is_lost { Err(io::Error::from(io::ErrorKind::ConnectionReset)) } else { answer.map_err(|never| match never {}) }
        }
    });
    Client::new(service, "shop")
}

#[tokio::test]
async fn a_phase_whose_answer_is_lost_is_written_once_and_its_step_goes_on() {
    let server = ApiServer::default();
    server.store("deployments", "app", app("Held"));
    let context = context(losing_an_answer(&server));
    let actions = vec![Action::Write { phase: Phase::Running, why: None }];
    let acted = act::act(&context, &app("Held"), &Record::None, &Evidence::default(), actions).await;
    assert!(acted.is_ok_and(|outcome| matches!(outcome, act::Outcome::Done)));
    let stored: Value = server.stored("deployments", "app").unwrap();
    assert_eq!(Standing::of(&stored).phase, Some(Phase::Running));
    assert_eq!(server.writes(), 1);
}

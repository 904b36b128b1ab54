//! Hundreds of verdicts at once, and two services to tell: one that is away, and one that works.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::Router;
use coalmine_core::{
    api::{
        annotations::{self as key, Phase},
        checks::Rules,
        label::Label,
    },
    notify::outbox::{self, Notice},
};
use prometheus_client::registry::Registry;
use serde_json::{Map, json};
use tokio::{net::TcpListener, sync::watch};

use super::super::{Context, Metrics};
use crate::{
    clock,
    lease::Claim,
    notify::{self, Notifier},
    sources::{Pages, Sources, pods},
    testing::ApiServer,
};

/// More than are told at once.
const VERDICTS: usize = 250;
/// Less than the pauses between the tries of the one that is away.
const PATIENCE: Duration = Duration::from_secs(8);

/// For a process that leads, and has these sinks.
fn context(server: &ApiServer, file: &std::path::Path) -> Context {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let sources =
        Sources::new(None, None, Pages::new(None, Vec::new(), None).unwrap(), false, pods::Fetcher::new(None).unwrap(), Rules::default());
    let claims = watch::channel(Claim::Mine { expiry: clock::moment() + Duration::from_mins(1) }).1;
    let mut registry = Registry::default();
    let settings = notify::Settings { file: Some(file.to_owned()), ..notify::Settings::default() };
    let notifier = Notifier::new(&settings, notify::Metrics::register(&mut registry)).unwrap().map(Arc::new);
    let metrics = Metrics::register(&mut registry);
    Context::new(server.client(), claims, sources, Label::new("tier", "canary"), "me".to_owned(), metrics, notifier)
}

#[tokio::test]
async fn a_sink_that_is_away_keeps_no_other_waiting() {
    let (away, works) = (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    for (name, listener) in [("away", &away), ("works", &works)] {
        fs::write(path(name), format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    }
    drop(away);
    let file = directory.path().join("sinks.yaml");
    let sink = |name: &str| json!({"name": name, "type": "slack", "url-file": path(name)});
    fs::write(&file, json!({"sinks": [sink("away"), sink("works")]}).to_string()).unwrap();
    let told = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&told);
    let router = Router::new().fallback(async move || count.fetch_add(1, Ordering::Relaxed).to_string());
    tokio::spawn(async move { axum::serve(works, router).await });

    let server = ApiServer::default();
    let context = context(&server, &file);
    for number in 0..VERDICTS {
        let (name, sinks) = (format!("app-{number}"), vec!["away".to_owned(), "works".to_owned()]);
        let notice = Notice {
            run: "r1".to_owned(),
            phase: Phase::Rejected,
            time: clock::now(),
            user: String::new(),
            images: Vec::new(),
            message: "no".to_owned(),
            info: Vec::new(),
            sinks,
        };
        let unsent = outbox::with(&Map::new(), &notice).unwrap();
        let metadata = json!({"name": name, "namespace": "shop", "uid": name, "annotations": {key::UNSENT: unsent}});
        server.store("deployments", &name, json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata}));
        context.notices.wake("shop", &name);
    }
    let all_told = async {
        while told.load(Ordering::Relaxed) < VERDICTS {
            tokio::task::yield_now().await;
        }
    };
    let in_time = tokio::time::timeout(PATIENCE, async {
        tokio::select! {
            () = super::run(&context) => {}
            () = all_told => {}
        }
    });
    assert!(in_time.await.is_ok(), "told of {} verdicts", told.load(Ordering::Relaxed));
}

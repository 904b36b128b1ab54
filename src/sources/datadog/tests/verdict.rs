//! The verdict itself from a stand-in that fills buckets as the published API tells them: discovery, the past, the counts, and the end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::Uri;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::*;
use crate::sources::{self, Reader};
use coalmine_core::metrics::counting::{Counted, PodLabel, Window};
use coalmine_core::metrics::discovery::{self, Choice, Found};
use coalmine_core::statistics::{Deadline, Parameters, Verdict, analyse};

const BUCKET: i64 = 10;
const PRIMARY: [&str; 2] = ["app-6d5f-aaaaa", "app-6d5f-bbbbb"];
const CANARY: &str = "app-canary-77f-ccccc";

/// What the account holds.
#[derive(Debug)]
struct Account {
    /// When the canary's first bucket begins, in seconds.
    began: i64,
    canary_fails: bool,
    /// The newest bucket of each series is half full.
    is_filling: AtomicBool,
    asked: Mutex<Vec<String>>,
}

async fn answer(State(account): State<Arc<Account>>, asked: Uri) -> Json<Value> {
    let asked = reqwest::Url::parse(&format!("http://datadog{asked}")).unwrap();
    let parameter = |name: &str| asked.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap();
    let [from, to] = ["from", "to"].map(|name| parameter(name).parse::<i64>().unwrap());
    account.asked.lock().unwrap().push(parameter("query"));
    let mut series = Vec::new();
    for (index, query) in parameter("query").split("),sum:").enumerate() {
        for pod in PRIMARY.into_iter().chain([CANARY]) {
            let is_errors = query.contains("shop.errors{");
            let per_bucket = match (is_errors, pod == CANARY) {
                (false, _) => 200.0,
                (true, true) if account.canary_fails => 20.0,
                // Nobody counts an error that doesn't happen.
                (true, _) => continue,
            };
            let first = if pod == CANARY { from.max(account.began) } else { from };
            let starts: Vec<i64> = (first..=to).filter(|second| second % BUCKET == 0).collect();
            let is_half = |start: i64| account.is_filling.load(Ordering::Relaxed) && starts.last() == Some(&start);
            let points: Vec<Value> =
                starts.iter().map(|start| json!([start * 1000, if is_half(*start) { per_bucket / 2.0 } else { per_bucket }])).collect();
            series.push(json!({"metric": "shop.hits", "query_index": index, "interval": BUCKET, "aggr": "sum",
                "scope": format!("pod_name:{pod}"), "tag_set": [format!("pod_name:{pod}")], "length": points.len(), "pointlist": points}));
        }
    }
    Json(json!({"status": "ok", "res_type": "time_series", "series": series, "from_date": from * 1000, "to_date": to * 1000}))
}

struct World {
    account: Arc<Account>,
    datadog: Datadog,
    _files: tempfile::Directory,
}

impl World {
    async fn new(canary_fails: bool) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let began = clock::now().as_second() / BUCKET * BUCKET - 120;
        let account = Account { began, canary_fails, is_filling: AtomicBool::new(false), asked: Mutex::default() };
        let account = Arc::new(account);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let files = tempfile::Directory::new();
        let [api_key_file, application_key_file] = ["api", "application"].map(|name| files.file(name, "key"));
        let settings =
            Settings { url: format!("http://{}", listener.local_addr().unwrap()), api_key_file, application_key_file, ca_file: None };
        let router = Router::new().route("/api/v1/query", get(answer)).with_state(Arc::clone(&account));
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { account, datadog: Datadog::new(settings).unwrap(), _files: files }
    }

    async fn found(&self) -> Found {
        let choice = Choice::parse("{source: datadog, requests: 'shop.hits{service:shop}', errors: 'shop.errors{service:shop}'}").unwrap();
        let series = self.datadog.present(&scope(), &discovery::wanted(&choice, false)).await.unwrap();
        discovery::recognise(&choice, &series, &scope().pods, "app").unwrap()
    }

    async fn count(&self, reader: &mut Reader, found: &Found) -> Counted {
        let elapsed = (clock::now().as_second() - self.account.began) * 1000;
        let readings = [(found.reading.clone(), Window { elapsed, ..Window::default() })];
        reader.count(&self.datadog, &scope(), found.pod_label, &readings, None, clock::now()).await.unwrap().remove(0)
    }
}

fn verdict(counted: &Counted) -> Verdict {
    let parameters = Parameters::default().with_looks(Duration::from_mins(10), Duration::from_secs(10));
    analyse(&counted.looks, parameters, Duration::from_secs(120), Deadline::Ahead).verdict
}

#[tokio::test]
async fn a_bad_canary_is_rejected_and_a_good_one_promoted() {
    for (canary_fails, expected) in [(true, Verdict::Reject), (false, Verdict::Promote)] {
        let world = World::new(canary_fails).await;
        let found = world.found().await;
        assert_eq!(found.pod_label, PodLabel::PodName);
        assert_eq!(found.spelling(), "{source: datadog, requests: 'shop.hits{service:shop}', errors: 'shop.errors{service:shop}'}");
        let counted = world.count(&mut Reader::default(), &found).await;
        assert_eq!((verdict(&counted), counted.scrape_interval, counted.primary_pods), (expected, Some(10_000), 2), "{counted:?}");
        let failed = if canary_fails { counted.canary.requests / 10.0 } else { 0.0 };
        assert!((counted.canary.errors - failed).abs() < 0.5 && counted.primary.errors < 0.5, "{counted:?}");
        let since = Duration::from_mins(10);
        let history = sources::history(
            &world.datadog,
            &scope(),
            found.pod_label,
            std::slice::from_ref(&found.reading),
            since,
            Duration::from_mins(5),
        )
        .await
        .unwrap()
        .remove(0);
        assert!(history.windows.len() >= 2 && history.windows.iter().flatten().all(|pods| pods.len() == 2), "{history:?}");
    }
}

#[tokio::test]
async fn a_bucket_that_fills_up_is_counted_once_and_in_full() {
    let world = World::new(true).await;
    let found = world.found().await;
    world.account.asked.lock().unwrap().clear();
    world.account.is_filling.store(true, Ordering::Relaxed);
    let mut reader = Reader::default();
    let before = world.count(&mut reader, &found).await;
    world.account.is_filling.store(false, Ordering::Relaxed);
    let after = world.count(&mut reader, &found).await;
    let anew = world.count(&mut Reader::default(), &found).await;
    assert_eq!(world.account.asked.lock().unwrap().len(), 3, "one request a count");
    // The clock may have gone on to the next bucket.
    let at = |counted: &Counted, position: usize| counted.looks[position].canary;
    let last = before.looks.len() - 1;
    assert!(at(&before, last).requests < at(&after, last).requests, "{before:?} {after:?}");
    assert_eq!((at(&after, last), at(&after, 0)), (at(&anew, last), at(&anew, 0)));
}

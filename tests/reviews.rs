//! The webhook's router on reviews as the API server sends them, without one: what it asks the API server, how long it takes, and how
//! much memory it keeps. `cargo test --release --test integration -- --ignored --nocapture reviews::` prints the table of times.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    http::{Request, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use coalmine::admission::{self, Checker, Metrics, Webhook};
use coalmine_core::api::label::Label;
use coalmine_core::hold::admit::Settings;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// As the images have it: times without it would not be theirs.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

const CONTROLLER: &str = "system:serviceaccount:coalmine:coalmine";

/// The router, and the number of requests that it sent to an API server which accepts everything.
pub(crate) struct Reviewer {
    router: Router,
    requests: Arc<AtomicUsize>,
    runtime: tokio::runtime::Runtime,
}

impl Reviewer {
    pub(crate) fn new() -> Self {
        let requests = Arc::<AtomicUsize>::default();
        let counter = Arc::clone(&requests);
        let accepting = tower::service_fn(move |request: Request<kube::client::Body>| {
            counter.fetch_add(1, Ordering::Relaxed);
            let is_read = request.method() == axum::http::Method::GET;
            async move {
                if is_read {
                    let stored =
                        json!({"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": {"name": "app", "uid": "u"}});
                    return Ok(Response::new(Body::from(stored.to_string())));
                }
                let body = to_bytes(Body::new(request.into_body()), usize::MAX).await.expect("a body");
                Ok::<_, Infallible>(Response::new(Body::from(body)))
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let client = runtime.block_on(async { kube::Client::new(accepting, "default") });
        let settings = Settings {
            controller: CONTROLLER.to_owned(),
            canary_label: Label::new("tier", "canary"),
            checks: coalmine_core::api::checks::Rules::default(),
        };
        let metrics = Metrics::register(&mut Registry::default());
        let router = admission::router(Arc::new(Webhook {
            settings,
            checker: Checker::new(client),
            approval_verb: false,
            sinks: Arc::default(),
            metrics,
        }));
        Self { router, requests, runtime }
    }

    /// The answer to a review, which must be a yes.
    fn answer(&self, review: &[u8]) -> Value {
        let answer: Value = serde_json::from_slice(&self.post(review).0).unwrap();
        assert_eq!(answer["response"]["allowed"], true, "{answer}");
        answer
    }

    /// The answer unread, and the time that it took.
    pub(crate) fn post(&self, review: &[u8]) -> (Bytes, Duration) {
        let request = Request::post("/admit").body(Body::from(review.to_vec())).unwrap();
        let started = Instant::now();
        let response = self.runtime.block_on(self.router.clone().oneshot(request)).unwrap();
        let body = self.runtime.block_on(to_bytes(response.into_body(), usize::MAX)).unwrap();
        (body, started.elapsed())
    }

    /// What is stored after a request.
    fn store(&self, old: &Value, new: &Value, user: &str) -> Value {
        let answer = self.answer(&review(old, new, user));
        let mut stored = new.clone();
        if let Some(patch) = answer["response"]["patch"].as_str() {
            let patch: json_patch::Patch = serde_json::from_slice(&STANDARD.decode(patch).unwrap()).unwrap();
            json_patch::patch(&mut stored, &patch).unwrap();
        }
        stored
    }
}

fn review(old: &Value, new: &Value, user: &str) -> Vec<u8> {
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002", "name": "app", "namespace": "shop", "operation": "UPDATE",
            "userInfo": {"username": user}, "options": {"fieldManager": "kubectl"}, "oldObject": old, "object": new,
        },
    });
    review.to_string().into_bytes()
}

/// A Deployment whose template is about so long; different seeds give different templates.
fn deployment(bytes: usize, seed: usize) -> Value {
    let count = bytes / 60;
    let variables: Vec<Value> =
        (0..count).map(|n| json!({"name": format!("VARIABLE_{n}"), "value": format!("{:x}", (n + seed) * 2_654_435_761)})).collect();
    let owned: serde_json::Map<String, Value> =
        (0..count).map(|n| (format!("k:{{\"name\":\"VARIABLE_{n}\"}}"), json!({".": {}, "f:name": {}, "f:value": {}}))).collect();
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": "app", "namespace": "shop", "uid": "u", "annotations": {"canary.enabled": "true"},
            "managedFields": [{"manager": "kubectl", "operation": "Apply", "apiVersion": "apps/v1", "fieldsType": "FieldsV1",
                "fieldsV1": {"f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {"f:env": owned}}}}}}}],
        },
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": "app"}},
            "template": {"metadata": {"labels": {"app": "app"}}, "spec": {"containers": [{"name": "app", "image": "a:1", "env": variables}]}},
        },
    })
}

/// Each kind of review, as old and new object and who sends it.
fn kinds(reviewer: &Reviewer, bytes: usize) -> [(&'static str, Value, Value, &'static str); 4] {
    let (live, other) = (deployment(bytes, 0), deployment(bytes, 1));
    let held = reviewer.store(&live, &other, "ann");
    let mut again = held.clone();
    again["spec"]["template"] = other["spec"]["template"].clone();
    let mut labelled = live.clone();
    labelled["metadata"]["labels"] = json!({"team": "checkout"});
    [
        ("pass", live.clone(), labelled, "ann"),
        ("hold", live, other, "ann"),
        ("B again", held.clone(), again.clone(), "ann"),
        ("promotion", held, again, CONTROLLER),
    ]
}

#[test]
fn only_a_new_template_is_asked_about() {
    let reviewer = Reviewer::new();
    for (kind, old, new, user) in kinds(&reviewer, 3_000) {
        reviewer.requests.store(0, Ordering::Relaxed);
        reviewer.answer(&review(&old, &new, user));
        // Whether there is such an object whose live template would still be taken, whether its template would be, and what its namespace wishes.
        let expected = if kind == "hold" { 3 } else { 0 };
        assert_eq!(reviewer.requests.load(Ordering::Relaxed), expected, "{kind}");
    }
}

/// What grows with the square of a list takes minutes for this one.
#[test]
fn five_thousand_variables_take_as_long_as_they_should() {
    let reviewer = Reviewer::new();
    let mut all = kinds(&reviewer, 300_000).to_vec();
    let (_, held, _, _) = all[2].clone();
    let mut changed = held.clone();
    changed["spec"]["template"]["spec"]["containers"][0]["image"] = json!("a:2");
    all.push(("set image while B is held", held, changed, "ann"));
    for (kind, old, new, user) in all {
        let before = cpu_time();
        reviewer.post(&review(&old, &new, user));
        let cpu = cpu_time().saturating_sub(before);
        assert!(cpu < Duration::from_secs(5), "{kind}: {cpu:?}");
    }
}

#[test]
#[ignore = "a benchmark"]
fn times() {
    let reviewer = Reviewer::new();
    println!("{:<10} {:>8} {:>12} {:>12} {:>12}", "review", "object", "CPU time", "median", "p99");
    for bytes in [3_000, 30_000, 300_000] {
        for (kind, old, new, user) in kinds(&reviewer, bytes) {
            let review = review(&old, &new, user);
            reviewer.answer(&review);
            let before = cpu_time();
            let mut times: Vec<Duration> = (0..200).map(|_| reviewer.post(&review).1).collect();
            let cpu = cpu_time().saturating_sub(before) / 200;
            times.sort();
            println!("{kind:<10} {:>5} kB {cpu:>12.3?} {:>12.3?} {:>12.3?}", new.to_string().len() / 1000, times[100], times[197]);
        }
    }
}

#[test]
#[ignore = "a benchmark"]
fn memory_stays_flat_over_100_000_reviews() {
    let reviewer = Reviewer::new();
    let reviews: Vec<Vec<u8>> = kinds(&reviewer, 3_000).iter().map(|(_, old, new, user)| review(old, new, user)).collect();
    let mut after_a_tenth = 0;
    for round in 0..25_000 {
        for review in &reviews {
            reviewer.answer(review);
        }
        if round == 2_500 {
            after_a_tenth = resident_kilobytes();
        }
    }
    let at_the_end = resident_kilobytes();
    println!("resident after 10,000 reviews: {after_a_tenth} kB, after 100,000: {at_the_end} kB");
    assert!(at_the_end < after_a_tenth + 2_048, "it grew by {} kB", at_the_end - after_a_tenth);
}

/// What this thread has used of a processor: on a busy machine the clock tells mostly about others.
fn cpu_time() -> Duration {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(schedule.split(' ').next().unwrap().parse().unwrap())
}

fn resident_kilobytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

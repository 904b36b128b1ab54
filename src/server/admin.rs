//! The ports for probes and for metrics: plain HTTP, and nothing on them changes anything. Probes have one of their own, so that whoever
//! reads metrics, or sits on their port, can't make the kubelet believe that the process is gone.
//!
//! Ready means that every registered condition holds; each part of the process registers what it stands for.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::registry::Registry;

use super::exposition;

/// What must hold before this replica gets requests.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<&'static str, Result<(), String>>>>);

impl Readiness {
    /// Registers a condition, which does not hold until its owner says so.
    #[must_use]
    pub fn register(&self, name: &'static str) -> Condition {
        self.conditions().insert(name, Err("not yet".to_owned()));
        Condition { readiness: self.clone(), name }
    }

    pub fn is_ready(&self) -> bool {
        self.conditions().values().all(Result::is_ok)
    }

    fn conditions(&self) -> MutexGuard<'_, BTreeMap<&'static str, Result<(), String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One line per condition, as Kubernetes' own components print theirs.
    fn report(&self) -> (bool, String) {
        let conditions = self.conditions();
        let mut text = String::new();
        for (name, state) in &*conditions {
            let _ = match state {
                Ok(()) => writeln!(text, "[+]{name} ok"),
                Err(reason) => writeln!(text, "[-]{name} {reason}"),
            };
        }
        (conditions.values().all(Result::is_ok), text)
    }
}

/// One condition of [`Readiness`], held by the part that knows.
#[derive(Clone, Debug)]
pub struct Condition {
    readiness: Readiness,
    name: &'static str,
}

impl Condition {
    pub fn holds(&self) {
        self.readiness.conditions().insert(self.name, Ok(()));
    }

    pub fn fails(&self, reason: impl Into<String>) {
        self.readiness.conditions().insert(self.name, Err(reason.into()));
    }
}

pub fn router(readiness: Readiness, registry: Registry) -> Router {
    let metrics = Router::new().route("/metrics", get(metrics)).with_state(Arc::new(registry));
    probes(readiness).merge(metrics)
}

/// `/livez` and `/readyz` alone.
pub fn probes(readiness: Readiness) -> Router {
    Router::new().route("/livez", get(async || "ok\n")).route("/readyz", get(ready)).with_state(readiness)
}

async fn ready(State(readiness): State<Readiness>) -> Response {
    let (ready, text) = readiness.report();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, text).into_response()
}

async fn metrics(State(registry): State<Arc<Registry>>, headers: HeaderMap) -> Response {
    let mut text = String::new();
    match prometheus_client::encoding::text::encode(&mut text, &registry) {
        Ok(()) => {
            let (kind, text) = exposition::page(text, exposition::is_open(&headers));
            ([(header::CONTENT_TYPE, kind)], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("failed to write the metrics: {error}\n")).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use prometheus_client::metrics::counter::Counter;
    use tower::ServiceExt;

    async fn get(router: &Router, path: &str) -> (StatusCode, String) {
        let response = router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        let status = response.status();
        (status, String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap())
    }

    #[tokio::test]
    async fn ready_only_while_every_condition_holds() {
        let readiness = Readiness::default();
        let (certificate, webhook) = (readiness.register("certificate"), readiness.register("webhook"));
        let router = router(readiness.clone(), Registry::default());
        certificate.holds();
        webhook.fails("MutatingWebhookConfiguration \"coalmine\" does not exist");
        let (status, text) = get(&router, "/readyz").await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        insta::assert_snapshot!(text, @r#"
        [+]certificate ok
        [-]webhook MutatingWebhookConfiguration "coalmine" does not exist
        "#);
        assert!(!readiness.is_ready());
        webhook.holds();
        assert_eq!(get(&router, "/readyz").await.0, StatusCode::OK);
        assert_eq!(get(&router, "/livez").await.0, StatusCode::OK);
        certificate.fails("shutting down");
        assert_eq!(get(&router, "/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(get(&router, "/livez").await.0, StatusCode::OK, "not ready is no reason to be killed");
    }

    #[tokio::test]
    async fn metrics_are_in_the_page() {
        let mut registry = Registry::default();
        let counter = Counter::<u64>::default();
        registry.register("reviews", "Admission reviews", counter.clone());
        counter.inc();
        let (status, text) = get(&router(Readiness::default(), registry), "/metrics").await;
        assert_eq!(status, StatusCode::OK);
        assert!(text.contains("reviews_total 1"), "{text}");
    }
}

//! The webhook's HTTP side: reads a review, asks the core, writes the answer. Decides nothing by itself but what a failed check means.

mod check;
mod review;
mod telemetry;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::Value;

use self::review::{ReviewRequest, Unreadable};
pub use self::{check::Checker, telemetry::Metrics};
use coalmine_core::{
    hold::{
        admit::{self, Admission, Effect, Outcome, Settings, Unchecked},
        status,
    },
    manifest::object,
    message::{self, denied},
    run::canary,
};

/// A review carries the object twice, and the API server takes 3 MiB of each.
const LARGEST_REVIEW: usize = 8 << 20;

/// From a review's head to its answer. The API server waits half as long (`timeoutSeconds` in deploy/webhook.yaml); this is for who sends a
/// review drop by drop.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// What the handlers share.
#[derive(Debug)]
pub struct Webhook {
    pub settings: Settings,
    pub checker: Checker,
    pub metrics: Metrics,
}

/// `/admit` for `deployments`, `/admit-status` for `deployments/status`.
pub fn router(webhook: Arc<Webhook>) -> Router {
    Router::new()
        .route("/admit", post(admit_deployment))
        // Whatever follows is for people: the API server prints the address when it cannot reach us (see deploy/webhook.yaml).
        .route("/admit/{*way_out}", post(admit_deployment))
        .route("/admit-status", post(admit_status))
        .layer(DefaultBodyLimit::max(LARGEST_REVIEW))
        .layer(middleware::from_fn_with_state(LONGEST_WAIT, in_time))
        .with_state(webhook)
}

async fn in_time(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(limit, next.run(request)).await;
    answer.unwrap_or_else(|_| (StatusCode::REQUEST_TIMEOUT, "the review did not come in time").into_response())
}

async fn admit_deployment(State(webhook): State<Arc<Webhook>>, body: Bytes) -> Response {
    let started = Instant::now();
    let request = match review::read(&body) {
        Ok(request) => request,
        Err(error) => return unreadable(&error),
    };
    drop(body);
    let (admission, asked) = webhook.decide(&request).await;
    let response = review::response(&request, &admission);
    webhook.metrics.observe(admission.effect, started.elapsed().saturating_sub(asked));
    webhook.metrics.count(admission.effect);
    if admission.effect != Effect::Passed {
        tracing::info!(
            namespace = request.namespace,
            name = request.name,
            user = request.user_info.username,
            dry_run = request.dry_run,
            manager = request.field_manager(),
            effect = admission.effect.as_str(),
            "admission decided"
        );
    }
    response
}

async fn admit_status(body: Bytes) -> Response {
    let request = match review::read(&body) {
        Ok(request) => request,
        Err(error) => return unreadable(&error),
    };
    let changed = request.old_object.as_ref().and_then(|old| status::admit_status(old, &request.object));
    review::status_response(&request, changed.as_ref())
}

impl Webhook {
    /// The decision, and whether the API server was asked on the way.
    async fn decide(&self, request: &ReviewRequest) -> (Admission, Duration) {
        let mut asked = Duration::ZERO;
        let mut input = request.input();
        let merged = match admit::needs_merge(&input) {
            Some(held) => {
                let question = Instant::now();
                let merged = self.checker.merge(&request.namespace, &request.name, &held).await;
                asked += question.elapsed();
                merged
            }
            None => None,
        };
        input.held_merged = merged.as_ref();
        let mut admission = admit::admit(&self.settings, &input);
        let Some(unchecked) = admission.unchecked.take() else { return (admission, asked) };
        let canary = self.canary(request, unchecked);
        let question = Instant::now();
        let answer = self.checker.check(&request.namespace, &request.name, canary).await;
        asked += question.elapsed();
        match answer {
            check::Answer::Valid => {}
            check::Answer::Refused(reason) => {
                admission.outcome = Outcome::Denied(denied::template_refused(&reason));
                admission.effect = Effect::Denied;
                admission.warnings.clear();
            }
            check::Answer::Unknown(reason) => {
                tracing::warn!(namespace = request.namespace, name = request.name, reason, "a held template could not be checked");
                admission.warnings.push(message::unchecked());
            }
        }
        (admission, asked)
    }

    /// What the controller will create. The template is the record's: it may hold more than this request stated.
    fn canary(&self, request: &ReviewRequest, unchecked: Unchecked) -> Value {
        let mut canary = canary::deployment(&request.object, unchecked.template, &unchecked.run, &self.settings.canary_label);
        // A client that replaces the object need not send its uid.
        let owner = request.old_object.as_ref().map(object::uid);
        if let (Some(owner), Some(uid)) = (owner, canary.pointer_mut("/metadata/ownerReferences/0/uid")) {
            *uid = owner.into();
        }
        canary
    }
}

fn unreadable(error: &Unreadable) -> Response {
    tracing::warn!(%error, "a review could not be read");
    (StatusCode::BAD_REQUEST, format!("failed to read the AdmissionReview: {error}")).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn a_review_that_does_not_end_is_given_up() {
        let limit = Duration::from_millis(20);
        let router: Router =
            Router::new().route("/", post(|_: Bytes| async { "read" })).layer(middleware::from_fn_with_state(limit, in_time));
        let ask = |body: Body| router.clone().oneshot(Request::post("/").body(body).unwrap());
        assert_eq!(ask(Body::from("{}")).await.unwrap().status(), StatusCode::OK);
        let endless = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        assert_eq!(ask(endless).await.unwrap().status(), StatusCode::REQUEST_TIMEOUT);
    }
}

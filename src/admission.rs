//! The webhook's HTTP side: reads a review, asks the core, writes the answer. Decides nothing by itself but what a failed check means.

mod check;
mod intake;
mod review;
mod telemetry;
mod weight;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::Value;

pub use self::{check::Checker, telemetry::Metrics};
use self::{
    intake::Intake,
    review::{ReviewRequest, Unreadable},
};
use crate::{
    clock,
    panics::{Panicked, caught},
};
use coalmine_core::{
    api::{annotations::STATE_PREFIX, policy::Policy},
    hold::{
        admit::{self, Admission, Effect, Outcome, Settings, Unchecked},
        audit, status,
    },
    manifest::object,
    message::{self, denied},
    run::{canary, gates},
};

/// From a review's head to its answer. The API server waits half as long (`timeoutSeconds` in deploy/base/webhook.yaml); this is for who sends a
/// review drop by drop.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// What the handlers share.
#[derive(Debug)]
pub struct Webhook {
    pub settings: Settings,
    pub checker: Checker,
    /// Whether the verb `approve` is asked for.
    pub approval_verb: bool,
    pub metrics: Metrics,
}

/// `/admit` for `deployments`, `/admit-status` for `deployments/status`.
pub fn router(webhook: Arc<Webhook>) -> Router {
    Router::new()
        .route("/admit", post(admit_deployment))
        // Whatever follows is for people: the API server prints the address when it cannot reach us (see deploy/base/webhook.yaml).
        .route("/admit/{*way_out}", post(admit_deployment))
        .route("/admit-status", post(admit_status))
        .layer(middleware::from_fn_with_state(LONGEST_WAIT, in_time))
        .with_state((webhook, Intake::default()))
}

async fn in_time(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(limit, next.run(request)).await;
    answer.unwrap_or_else(|_| (StatusCode::REQUEST_TIMEOUT, "the review was not answered in time").into_response())
}

async fn admit_deployment(State((webhook, intake)): State<(Arc<Webhook>, Intake)>, request: Request) -> Response {
    let taken = match intake.take(request).await {
        Ok(taken) => taken,
        Err(refusal) => {
            tracing::warn!(?refusal, "a review was refused unread");
            webhook.metrics.count(Effect::Denied);
            return refusal.denial();
        }
    };
    let started = Instant::now();
    let request = match caught("read a review", async { review::read(&taken.body) }).await {
        Ok(Ok(request)) => request,
        Ok(Err(error)) => return unreadable(&error),
        Err(fault) => return failed(fault),
    };
    let _tree = taken.parsed();
    caught("decide a request", webhook.answer(&request, started)).await.unwrap_or_else(|_| {
        let admission = after_a_fault(&webhook.settings, &request);
        webhook.metrics.count(admission.effect);
        review::response(&request, &admission)
    })
}

/// A fault is the entry's `failurePolicy` to answer: what can wait passes, what must not be written without an answer is not.
async fn admit_status(State((webhook, intake)): State<(Arc<Webhook>, Intake)>, request: Request) -> Response {
    let taken = match intake.take(request).await {
        Ok(taken) => taken,
        Err(refusal) => {
            tracing::warn!(?refusal, "a review of a status was refused unread");
            return refusal.failure();
        }
    };
    let answer = caught("decide a status", async {
        let request = review::read(&taken.body)?;
        let by_controller = request.user_info.username == webhook.settings.controller;
        let changed = request.old_object.as_ref().and_then(|old| status::admit_status(old, &request.object, by_controller));
        Ok(review::status_response(&request, changed.as_ref()))
    });
    match answer.await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => unreadable(&error),
        Err(fault) => failed(fault),
    }
}

/// What nobody could decide. An opted-in Deployment stays as it is, and the user is told so. One that is plain, also in its annotations,
/// passes: opting out must always be possible, and there is nothing on it that could be forged.
fn after_a_fault(settings: &Settings, request: &ReviewRequest) -> Admission {
    let annotations = object::annotations(&request.object);
    let is_plain = !object::is_asked_for(annotations) && !annotations.keys().any(|key| key.starts_with(STATE_PREFIX));
    let (outcome, effect, warnings) = if is_plain && request.input().username != settings.controller {
        (Outcome::Unchanged, Effect::Passed, vec![message::fault()])
    } else {
        (Outcome::Denied(denied::fault()), Effect::Denied, Vec::new())
    };
    Admission { outcome, warnings, effect, unchecked: None }
}

impl Webhook {
    async fn answer(&self, request: &ReviewRequest, started: Instant) -> Response {
        let (admission, asked) = self.decide(request).await;
        let response = review::response(request, &admission);
        self.metrics.observe(admission.effect, started.elapsed().saturating_sub(asked));
        self.metrics.count(admission.effect);
        if !request.dry_run {
            let decided = audit::admitted(&request.input(), &self.settings.controller, &admission);
            if let Some(decided) = decided {
                crate::telemetry::audit(&decided.line(clock::now()));
            }
        }
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

    /// The decision, and whether the API server was asked on the way.
    async fn decide(&self, request: &ReviewRequest) -> (Admission, Duration) {
        let mut asked = Duration::ZERO;
        let mut input = request.input();
        let merged = match admit::needs_merge(&input) {
            Some(held) => {
                let question = Instant::now();
                let merged = self.checker.merge(&request.namespace, &request.name, request.uid_of_stored(), &held).await;
                asked += question.elapsed();
                merged
            }
            None => None,
        };
        input.held_merged = merged.as_ref();
        let mut admission = admit::admit(&self.settings, &input);
        let approves = matches!(admission.effect, Effect::Approved | Effect::PromotedByHand);
        if approves && self.approval_verb && !self.checker.may_approve(&request.namespace, &request.name, &request.user_info).await {
            admission = Admission::denied(denied::no_right_to_approve(&request.user_info.username));
        }
        let Some(unchecked) = admission.unchecked.take() else { return (admission, asked) };
        let canary = self.canary(request, *unchecked);
        let question = Instant::now();
        let answer = self.checker.check(&request.namespace, &request.name, request.uid_of_stored(), canary).await;
        asked += question.elapsed();
        match answer {
            check::Answer::Valid => admission.warnings.extend(self.not_now(request).await),
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

    /// Why what is held now is not tried yet, for the user to know at once.
    async fn not_now(&self, request: &ReviewRequest) -> Option<String> {
        let gates = Policy::of(object::annotations(&request.object)).ok()?.gates;
        let freeze = self.checker.freeze(&request.namespace).await;
        gates::closed(&gates, freeze.as_deref(), clock::now()).map(|why| message::not_now(&why))
    }

    /// What the controller will create. The template is the record's: it may hold more than this request stated.
    fn canary(&self, request: &ReviewRequest, unchecked: Unchecked) -> Value {
        let mut canary = canary::deployment(&request.object, unchecked.template, &unchecked.run, &self.settings.canary_label);
        // A client that replaces the object need not send its uid.
        let owner = request.old_object.as_ref().map(object::uid);
        if let (Some(owner), Some(uid)) = (owner, canary.pointer_mut("/metadata/ownerReferences/0/uid")) {
            *uid = owner.into();
        }
        canary::requested_by(&mut canary, &unchecked.requested_by);
        canary
    }
}

fn unreadable(error: &Unreadable) -> Response {
    tracing::warn!(%error, "a review could not be read");
    (StatusCode::BAD_REQUEST, format!("failed to read the AdmissionReview: {error}")).into_response()
}

fn failed(fault: Panicked) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, fault.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, Bytes, to_bytes};
    use rstest::rstest;
    use serde_json::json;
    use tower::ServiceExt as _;

    use super::*;

    /// Whoever asks the API server panics.
    fn faulty() -> Router {
        let service = tower::service_fn(|_: Request<kube::client::Body>| async {
            let answers: Vec<axum::http::Response<Body>> = Vec::new();
            Ok::<_, std::convert::Infallible>(answers.into_iter().next().expect("a fault"))
        });
        router(Arc::new(Webhook { checker: Checker::new(kube::Client::new(service, "default")), ..webhook() }))
    }

    fn webhook() -> Webhook {
        let nobody = tower::service_fn(|_: Request<kube::client::Body>| {
            std::future::ready(Ok::<_, std::convert::Infallible>(axum::http::Response::new(Body::empty())))
        });
        Webhook {
            settings: Settings {
                controller: "coalmine".to_owned(),
                canary_label: ("tier".to_owned(), "canary".to_owned()),
                checks: coalmine_core::api::checks::Rules::default(),
            },
            checker: Checker::new(kube::Client::new(nobody, "default")),
            approval_verb: false,
            metrics: Metrics::register(&mut prometheus_client::registry::Registry::default()),
        }
    }

    /// An API server that lets bob approve.
    fn asking_who_may() -> Router {
        let service = tower::service_fn(|request: Request<kube::client::Body>| async {
            let body = to_bytes(Body::new(request.into_body()), usize::MAX).await.expect("a body");
            let mut review: Value = serde_json::from_slice(&body).expect("a question");
            let asked = &review["spec"]["resourceAttributes"];
            assert_eq!((&asked["verb"], &asked["resource"], &asked["name"]), (&json!("approve"), &json!("deployments"), &json!("app")));
            review["status"] = json!({"allowed": review["spec"]["user"] == "bob" && review["spec"]["groups"][0] == "leads"});
            Ok::<_, std::convert::Infallible>(axum::http::Response::new(Body::from(review.to_string())))
        });
        router(Arc::new(Webhook { checker: Checker::new(kube::Client::new(service, "default")), approval_verb: true, ..webhook() }))
    }

    #[rstest]
    #[case("bob", true)]
    #[case("eve", false)]
    #[tokio::test]
    async fn with_the_verb_only_who_has_it_approves(#[case] user: &str, #[case] allowed: bool) {
        let mut held = app("a", json!({"canary.enabled": "true", "canary.approval": "required"}));
        let mut sent = held.clone();
        sent["spec"]["template"]["spec"]["containers"][0]["image"] = json!("b");
        let review = json!({"request": {"uid": "u", "name": "app", "oldObject": held, "object": sent}}).to_string();
        let read = review::read(review.as_bytes()).unwrap();
        let Outcome::Changed(changed) = admit::admit(&webhook().settings, &read.input()).outcome else { panic!("it is held") };
        held["metadata"]["annotations"] = changed["metadata"]["annotations"].clone();
        let mut approved = held.clone();
        approved["metadata"]["annotations"]["canary.approve"] = held["metadata"]["annotations"]["canary.state/run"].clone();
        let who = json!({"username": user, "groups": ["leads"]});
        let review = json!({"request": {"uid": "u", "name": "app", "userInfo": who, "oldObject": held, "object": approved}}).to_string();
        let answer: Value = post(&asking_who_may(), "/admit", review).await.1.parse().unwrap();
        assert_eq!(answer["response"]["allowed"], allowed, "{answer}");
        if !allowed {
            insta::assert_snapshot!(answer["response"]["status"]["message"].as_str().unwrap(), @"canary: eve may not approve: the verb approve on this Deployment is missing (kubectl auth can-i approve deployments.apps)");
        }
    }

    fn app(image: &str, annotations: Value) -> Value {
        json!({"metadata": {"name": "app", "namespace": "shop", "uid": "1", "annotations": annotations},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "app"}},
                "template": {"metadata": {"labels": {"app": "app"}}, "spec": {"containers": [{"name": "app", "image": image}]}}}})
    }

    async fn post(router: &Router, path: &str, body: String) -> (StatusCode, String) {
        let response = router.clone().oneshot(Request::post(path).body(Body::from(body)).unwrap()).await.unwrap();
        let status = response.status();
        (status, String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_fault_denies_the_request_that_met_it_in_words_and_no_other() {
        let router = faulty();
        let review = |old: Value, new: Value| json!({"request": {"uid": "u", "name": "app", "oldObject": old, "object": new}}).to_string();
        let held = review(app("a", json!({"canary.enabled": "true"})), app("b", json!({"canary.enabled": "true"})));
        let (status, text) = post(&router, "/admit", held).await;
        let answer: Value = text.parse().unwrap();
        assert_eq!((status, &answer["response"]["uid"], &answer["response"]["allowed"]), (StatusCode::OK, &json!("u"), &json!(false)));
        insta::assert_snapshot!(answer["response"]["status"]["message"].as_str().unwrap(),
            @"canary: Coalmine met a fault of its own with this request, so nothing was changed; its log names the place: please report it. To go on without Coalmine, apply it without canary.* annotations (kubectl replace)");
        let labelled = review(app("a", json!({"canary.enabled": "true"})), app("a", json!({"canary.enabled": "true", "x": "1"})));
        let answer: Value = post(&router, "/admit", labelled).await.1.parse().unwrap();
        assert_eq!(answer["response"]["allowed"], true, "the process goes on");
    }

    #[rstest]
    #[case::opted_in("ann", json!({"canary.enabled": "true"}), Effect::Denied)]
    #[case::opted_out("ann", json!({"canary.enabled": "false"}), Effect::Passed)]
    #[case::plain("ann", json!({"team": "shop"}), Effect::Passed)]
    #[case::state_could_be_forged("ann", json!({"canary.state/held": "x"}), Effect::Denied)]
    #[case::the_controller_promotes_nothing_unseen("coalmine", json!({}), Effect::Denied)]
    fn what_passes_after_a_fault(#[case] user: &str, #[case] annotations: Value, #[case] expected: Effect) {
        let settings = Settings {
            controller: "coalmine".to_owned(),
            canary_label: ("tier".to_owned(), "canary".to_owned()),
            checks: coalmine_core::api::checks::Rules::default(),
        };
        let review = json!({"request": {"uid": "u", "userInfo": {"username": user}, "object": app("b", annotations)}}).to_string();
        let admission = after_a_fault(&settings, &review::read(review.as_bytes()).unwrap());
        assert_eq!(admission.effect, expected);
    }

    #[tokio::test]
    async fn a_review_that_does_not_end_is_given_up() {
        let limit = Duration::from_millis(20);
        let router: Router = Router::new()
            .route("/", axum::routing::post(|_: Bytes| async { "read" }))
            .layer(middleware::from_fn_with_state(limit, in_time));
        let ask = |body: Body| router.clone().oneshot(Request::post("/").body(body).unwrap());
        assert_eq!(ask(Body::from("{}")).await.unwrap().status(), StatusCode::OK);
        let endless = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        assert_eq!(ask(endless).await.unwrap().status(), StatusCode::REQUEST_TIMEOUT);
    }
}

//! The webhook's HTTP side: reads a review, asks the core, writes the answer. Decides nothing by itself but what a failed check means.

mod check;
mod intake;
mod review;
mod telemetry;
mod warnings;
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
    check::Questions,
    intake::{Intake, Refusal, Taken},
    review::{ReviewRequest, Unreadable},
};
use crate::{
    clock,
    controller::Wishes,
    panics::{Panicked, caught},
};
use coalmine_core::{
    api::{annotations::STATE_PREFIX, policy::Policy},
    hold::{
        admit::{self, Admission, Effect, Outcome, Settings, Unchecked},
        audit,
        held::Held,
        status,
    },
    manifest::object,
    message::{self, denied},
    notify::{advice, sinks::Sinks},
    run::{canary, gates},
    standing::Standing,
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
    /// The sinks that can be told of verdicts.
    pub sinks: Arc<Sinks>,
    pub metrics: Metrics,
}

/// `/admit` for `deployments`, `/admit-again` for what others made of the answer, `/admit-status` for `deployments/status`. What a newer version
/// wants to be asked besides is registered while replicas of this one still answer: its entries are below `/since`, and get what they got
/// before there were any.
pub fn router(webhook: Arc<Webhook>) -> Router {
    Router::new()
        .route("/admit", post(admit_deployment))
        // Whatever follows is for people: the API server prints the address when it cannot reach us (see deploy/base/webhook.yaml).
        .route("/admit/{*way_out}", post(admit_deployment))
        .route("/admit-again", post(admit_again))
        .route("/admit-status", post(admit_status))
        .route("/since/{*entry}", post(admit_newer))
        .layer(middleware::from_fn_with_state(LONGEST_WAIT, in_time))
        .with_state((webhook, Intake::default()))
}

async fn in_time(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    let answer = tokio::time::timeout(limit, next.run(request)).await;
    answer.unwrap_or_else(|_| (StatusCode::REQUEST_TIMEOUT, "the review was not answered in time").into_response())
}

async fn taken(intake: &Intake, request: Request) -> Result<Taken, Refusal> {
    intake.take(request).await.inspect_err(|refusal| tracing::warn!(?refusal, "a review was refused unread"))
}

fn answered(answer: Result<Result<Response, Unreadable>, Panicked>) -> Response {
    match answer {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => unreadable(&error),
        Err(fault) => failed(fault),
    }
}

async fn admit_deployment(State((webhook, intake)): State<(Arc<Webhook>, Intake)>, request: Request) -> Response {
    let taken = match taken(&intake, request).await {
        Ok(taken) => taken,
        Err(refusal) => {
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

/// No decision of its own, so that it is not counted as one.
async fn admit_again(State((webhook, intake)): State<(Arc<Webhook>, Intake)>, request: Request) -> Response {
    let taken = match taken(&intake, request).await {
        Ok(taken) => taken,
        Err(refusal) => return refusal.denial(),
    };
    let answer = caught("look at a request again", async {
        let request = review::read(&taken.body)?;
        Ok(review::response(&request, &admit::again(&webhook.settings, &request.input())))
    });
    answered(answer.await)
}

/// A fault is the entry's `failurePolicy` to answer: what can wait passes, what must not be written without an answer is not.
async fn admit_status(State((webhook, intake)): State<(Arc<Webhook>, Intake)>, request: Request) -> Response {
    let taken = match taken(&intake, request).await {
        Ok(taken) => taken,
        Err(refusal) => return refusal.failure(),
    };
    let answer = caught("decide a status", async {
        let request = review::read(&taken.body)?;
        let by_controller = request.user_info.username == webhook.settings.controller;
        let changed = request.old_object.as_ref().and_then(|old| status::admit_status(old, &request.object, by_controller));
        Ok(review::status_response(&request, changed.as_ref()))
    });
    answered(answer.await)
}

/// Nothing of it is known here but that somebody waits for an answer.
async fn admit_newer(State((_, intake)): State<(Arc<Webhook>, Intake)>, request: Request) -> Response {
    let taken = match taken(&intake, request).await {
        Ok(taken) => taken,
        Err(refusal) => return refusal.denial(),
    };
    let answer = caught("let a request pass", async { Ok(review::status_response(&review::read(&taken.body)?, None)) });
    answered(answer.await)
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
        let (questions, mut asked) = (self.checker.questions(), Duration::ZERO);
        let mut input = request.input();
        let merged = match admit::needs_merge(&input) {
            Some(held) => {
                let question = Instant::now();
                let merged = questions.merge(&request.namespace, &request.name, request.uid_of_stored(), &held).await;
                asked += question.elapsed();
                merged
            }
            None => None,
        };
        input.held_merged = merged.as_ref();
        let mut admission = admit::admit(&self.settings, &input);
        let approves = matches!(admission.effect, Effect::Approved | Effect::PromotedByHand);
        if approves && self.approval_verb && !questions.may_approve(&request.namespace, &request.name, &request.user_info).await {
            admission = Admission::denied(denied::no_right_to_approve(&request.user_info.username));
        }
        admission.warnings.extend(advice::of_deployment(&self.sinks, &input, &admission));
        let Some(unchecked) = admission.unchecked.take() else { return (admission, asked) };
        let canary = self.canary(request, *unchecked);
        let question = Instant::now();
        let admission = Box::pin(self.after_questions(questions, request, admission, canary)).await;
        (admission, asked + question.elapsed())
    }

    /// What the API server says of a template that is held from now on, of the live one beside it, and of the namespace.
    async fn after_questions(
        &self,
        questions: Questions<'_>,
        request: &ReviewRequest,
        mut admission: Admission,
        canary: Value,
    ) -> Admission {
        let (namespace, name, uid) = (&request.namespace, &request.name, request.uid_of_stored());
        let asked = tokio::join!(questions.check(namespace, name, uid, canary), questions.wishes(namespace));
        match asked {
            (check::Answer::Valid(valid), wishes) => {
                if let Some(words) = valid.live_refused
                    && let Some(held) = held_by(&admission)
                    && !questions.refuses_in_place(namespace, name, uid, &held).await
                {
                    return Admission::denied(denied::live_refused(&words));
                }
                admission.warnings.extend(self.told_of(&wishes, request).into_iter().chain(valid.warnings));
            }
            (check::Answer::Refused(reason), _) => admission = Admission::denied(denied::template_refused(&reason)),
            (check::Answer::Unknown(reason), _) => {
                tracing::warn!(namespace, name, reason, "a held template could not be checked");
                admission.warnings.push(message::unchecked());
            }
        }
        admission
    }

    /// What the namespace's wishes mean for what is held now, for the user to know at once: why it is not tried yet, and that nobody is told.
    fn told_of(&self, wishes: &Wishes, request: &ReviewRequest) -> Vec<String> {
        let annotations = object::annotations(&request.object);
        let gates = Policy::of(annotations).unwrap_or_default().gates;
        let not_now = gates::closed(&gates, wishes.freeze.as_deref(), clock::now()).map(|closed| message::not_now(&closed));
        not_now.into_iter().chain(advice::of_namespace(&self.sinks, annotations, wishes.notify.as_deref())).collect()
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

/// The template that is held with this answer.
fn held_by(admission: &Admission) -> Option<Value> {
    let Outcome::Changed(changed) = &admission.outcome else { return None };
    Some(Held::decode(Standing::of(changed).held?).ok()?.template)
}

fn unreadable(error: &Unreadable) -> Response {
    tracing::warn!(%error, "a review could not be read");
    (StatusCode::BAD_REQUEST, format!("failed to read the AdmissionReview: {error}")).into_response()
}

fn failed(fault: Panicked) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, fault.to_string()).into_response()
}

#[cfg(test)]
mod tests;

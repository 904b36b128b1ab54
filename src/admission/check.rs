//! Questions to the API server about a template that is being held, as dry runs: would it be accepted, and what does it merge to?
//! The API server validates after admission, when the live template is back in its place, so nobody else looks at the held one.
//! Bounded in time: the webhook's own deadline is never used up here. Bounded in number too, and asked for none but who knows the uid of the
//! object: whoever may send reviews by themselves must learn nothing by them that they could not read.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::{
    Api, Client, Resource as _,
    api::{DynamicObject, Patch, PatchParams, PostParams, Request},
    core::Status,
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::{review::UserInfo, warnings};
use crate::{
    controller::{self, Wishes},
    kubernetes::{deployments, is_refusal},
};
use coalmine_core::manifest::workload;
use coalmine_core::{hold::admit::FIELD_MANAGER, manifest::object, message::denied, run::canary};

/// Well inside the webhook's own five seconds.
const PATIENCE: Duration = Duration::from_secs(2);
/// Questions under way at once, for all reviews together; what finds no place in time goes on unchecked.
const AT_ONCE: usize = 8;
/// Of words that are a Status.
const LARGEST_REFUSAL: usize = 1 << 20;

/// What is known of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// With what it warns of all the same.
    Valid(Vec<String>),
    /// In the API server's own words.
    Refused(String),
    /// Nobody could be asked.
    Unknown(String),
}

#[derive(Clone)]
pub struct Checker {
    client: Client,
    places: Arc<Semaphore>,
}

impl std::fmt::Debug for Checker {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Checker")
    }
}

impl Checker {
    pub fn new(client: Client) -> Self {
        Self { client, places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    fn deployments(&self, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &deployments())
    }

    /// What the namespace says to all its templates; nothing where nobody can be asked: this is for warnings alone.
    pub(super) async fn wishes(&self, namespace: &str) -> Wishes {
        self.asked(controller::wishes(&self.client, namespace)).await.and_then(Result::ok).unwrap_or_default()
    }

    /// Whether this user has the verb `approve` on the Deployment. A no where nobody can be asked in time.
    pub(super) async fn may_approve(&self, namespace: &str, name: &str, user: &UserInfo) -> bool {
        let attributes = ResourceAttributes {
            group: Some("apps".to_owned()),
            resource: Some(workload::PLURAL.to_owned()),
            verb: Some("approve".to_owned()),
            namespace: Some(namespace.to_owned()),
            name: Some(name.to_owned()),
            ..ResourceAttributes::default()
        };
        let spec = SubjectAccessReviewSpec {
            extra: Some(user.extra.clone()),
            groups: Some(user.groups.clone()),
            resource_attributes: Some(attributes),
            uid: Some(user.uid.clone()),
            user: Some(user.username.clone()),
            ..SubjectAccessReviewSpec::default()
        };
        let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        let api = Api::<SubjectAccessReview>::all(self.client.clone());
        match self.asked(api.create(&PostParams::default(), &review)).await {
            Some(Ok(answer)) => answer.status.is_some_and(|status| status.allowed),
            Some(Err(error)) => {
                tracing::warn!(namespace, name, error = %error, "failed to ask who may approve");
                false
            }
            None => false,
        }
    }

    /// Creates the canary by a dry run. `uid` is the primary's, as the review says.
    pub(super) async fn check(&self, namespace: &str, primary: &str, uid: &str, canary: Value) -> Answer {
        let ask = async {
            let asked = self.create_for(namespace, primary, uid, canary).await;
            // What the canary of the template held before uses up is free again when this one is made.
            let ours = match &asked {
                Err(error) if is_quota(error) => self.has_canary(namespace, primary, uid).await,
                _ => false,
            };
            if ours { Err("the quota is used up, the present canary's part of it too") } else { Ok(asked) }
        };
        let asked = match self.asked(ask).await {
            Some(Err(unknown)) => return Answer::Unknown(unknown.to_owned()),
            Some(Ok(asked)) => Some(asked),
            None => None,
        };
        match asked {
            Some(Ok(Some(warnings))) => Answer::Valid(warnings),
            Some(Ok(None)) => Answer::Unknown("the review is about an object that is not stored".to_owned()),
            Some(Err(error)) => match read_refusal(&error, primary) {
                // A policy may be about what a canary is, and a quota about its room, rather than about the template.
                Answer::Refused(words) if is_policy(&error) || is_quota(&error) => {
                    Answer::Refused(format!("{words} ({})", denied::what_was_asked()))
                }
                answer => answer,
            },
            None => Answer::Unknown(format!("no answer within {} s", PATIENCE.as_secs())),
        }
    }

    /// An answer in time, the wait for a place included.
    async fn asked<T>(&self, question: impl Future<Output = T>) -> Option<T> {
        let answer = async {
            let _place = self.places.acquire().await;
            question.await
        };
        tokio::time::timeout(PATIENCE, answer).await.ok()
    }

    /// `None` when there is no such primary.
    async fn create_for(&self, namespace: &str, primary: &str, uid: &str, canary: Value) -> kube::Result<Option<Vec<String>>> {
        let stored = self.deployments(namespace).get_metadata_opt(primary).await?;
        if stored.is_none_or(|stored| stored.metadata.uid.as_deref() != Some(uid)) {
            return Ok(None);
        }
        self.create(namespace, canary).await.map(Some)
    }

    async fn has_canary(&self, namespace: &str, primary: &str, owner: &str) -> bool {
        let found = self.deployments(namespace).get_opt(&canary::name(primary)).await.ok().flatten();
        let found = found.and_then(|found| serde_json::to_value(found).ok());
        found.is_some_and(|found| canary::is_canary_of(&found, &json!({"metadata": {"uid": owner}})))
    }

    async fn create(&self, namespace: &str, mut canary: Value) -> kube::Result<Vec<String>> {
        match self.try_to_create(namespace, &canary).await {
            Err(kube::Error::Api(status)) if status.is_already_exists() => {
                // The canary of the template that is held at present: ask under another name.
                if let Some(metadata) = canary.get_mut("metadata").and_then(Value::as_object_mut) {
                    metadata.remove("name");
                    metadata.insert("generateName".to_owned(), "coalmine-check-".into());
                }
                self.try_to_create(namespace, &canary).await
            }
            result => result,
        }
    }

    /// As bytes both ways: nothing of a good answer is needed but its warnings.
    async fn try_to_create(&self, namespace: &str, canary: &Value) -> kube::Result<Vec<String>> {
        let parameters = PostParams { dry_run: true, field_manager: Some(FIELD_MANAGER.to_owned()) };
        let body = serde_json::to_vec(canary).map_err(kube::Error::SerdeError)?;
        let request = Request::new(DynamicObject::url_path(&deployments(), Some(namespace))).create(&parameters, body);
        let request = request.map_err(kube::Error::BuildRequest)?;
        let response = self.client.send(request.map(kube::client::Body::from)).await?;
        if response.status().is_success() {
            return Ok(warnings::of(response.headers()));
        }
        let code = response.status().as_u16();
        let body = axum::body::to_bytes(Body::new(response.into_body()), LARGEST_REFUSAL).await.unwrap_or_default();
        let failure = || Status::failure(&String::from_utf8_lossy(&body), "no Status").with_code(code);
        Err(kube::Error::Api(Box::new(serde_json::from_slice(&body).unwrap_or_else(|_| failure()))))
    }

    /// The words in which the live template is refused by now, as by a policy that is newer than it: while it stands there, no write passes, and
    /// whoever mended their template would be told of what they mended. Whoever refuses the held one in its place as well refuses us, and it is
    /// the user who writes now.
    pub(super) async fn live_refused(&self, namespace: &str, name: &str, held: &Value) -> Option<String> {
        let words = self.refused(namespace, name, Vec::new()).await?;
        let operation = json!({"op": "replace", "path": "/spec/template", "value": held});
        let instead = self.refused(namespace, name, serde_json::from_value(operation).into_iter().collect()).await;
        instead.is_none().then_some(words)
    }

    /// Why a patch by us is refused. One of nothing is admitted like any other.
    async fn refused(&self, namespace: &str, name: &str, operations: Vec<json_patch::PatchOperation>) -> Option<String> {
        let parameters = PatchParams { dry_run: true, field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let api = self.deployments(namespace);
        let patch = Patch::<Value>::Json(json_patch::Patch(operations));
        match read_refusal(&self.asked(api.patch(name, &parameters, &patch)).await?.err()?, name) {
            Answer::Refused(words) => Some(words),
            Answer::Valid(_) | Answer::Unknown(_) => None,
        }
    }

    /// What the API server's own strategic merge makes of `template` in the live object, if that has this uid.
    pub(super) async fn merge(&self, namespace: &str, name: &str, uid: &str, template: &Value) -> Option<Value> {
        let parameters = PatchParams { dry_run: true, field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patch = Patch::Strategic(json!({"metadata": {"uid": uid}, "spec": {"template": template}}));
        let api = self.deployments(namespace);
        match self.asked(api.patch(name, &parameters, &patch)).await? {
            Ok(merged) => serde_json::to_value(merged).ok().map(|merged| object::template(&merged).clone()),
            Err(error) => {
                tracing::warn!(namespace, name, error = %error, "failed to merge the held template");
                None
            }
        }
    }
}

/// In the words of the API server's own quota admission.
fn is_quota(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 403 && status.message.contains("exceeded quota: "))
}

/// In the API server's words for a policy's no, and for another webhook's.
fn is_policy(error: &kube::Error) -> bool {
    let says_so = |message: &str| [" denied request: ", " denied the request: "].iter().any(|words| message.contains(words));
    matches!(error, kube::Error::Api(status) if says_so(&status.message))
}

fn read_refusal(error: &kube::Error, primary: &str) -> Answer {
    let kube::Error::Api(status) = error else { return Answer::Unknown(error.to_string()) };
    // Not a word about the template: a missing right of our own, another webhook that can't do dry runs, a namespace that goes away.
    let about_us = ["cannot create resource", "cannot patch resource", "does not support dry run", "because it is being terminated"]
        .iter()
        .any(|words| status.message.contains(words));
    let refused = is_refusal(status.code) && !about_us;
    if !refused {
        return Answer::Unknown(status.message.clone());
    }
    // The user knows the Deployment, not the canary that was tried in its stead.
    let message = status.message.replace(&format!("\"{}\"", canary::name(primary)), &format!("\"{primary}\""));
    Answer::Refused(message.replace('\n', " "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn status(code: u16, message: &str) -> kube::Error {
        kube::Error::Api(Box::new(Status { code, message: message.to_owned(), ..Status::default() }))
    }

    #[rstest]
    #[case(422, r#"Deployment.apps "app-canary" is invalid: spec.x: Required value"#, Answer::Refused(r#"Deployment.apps "app" is invalid: spec.x: Required value"#.to_owned()))]
    #[case(403, "exceeded quota: few", Answer::Refused("exceeded quota: few".to_owned()))]
    #[case(403, r#"User "x" cannot create resource "deployments""#, Answer::Unknown(r#"User "x" cannot create resource "deployments""#.to_owned()))]
    #[case(400, "admission webhook \"x\" does not support dry run", Answer::Unknown("admission webhook \"x\" does not support dry run".to_owned()))]
    #[case(403, "unable to create new content in namespace w because it is being terminated", Answer::Unknown("unable to create new content in namespace w because it is being terminated".to_owned()))]
    #[case(503, "later", Answer::Unknown("later".to_owned()))]
    fn refusals(#[case] code: u16, #[case] message: &str, #[case] answer: Answer) {
        assert_eq!(read_refusal(&status(code, message), "app"), answer);
    }
}

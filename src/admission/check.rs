//! Questions to the API server about a template that is being held, as dry runs: would it be accepted, and what does it merge to?
//! The API server validates after admission, when the live template is back in its place, so nobody else looks at the held one.
//! Bounded in time: the webhook's own deadline is never used up here. Bounded in number too, and asked for none but who knows the uid of the
//! object: whoever may send reviews by themselves must learn nothing by them that they could not read.

mod refusal;

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderValue, header::ACCEPT},
};
use futures::StreamExt as _;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube::{
    Api, Client, Resource as _,
    api::{DynamicObject, Patch, PatchParams, PostParams, Request},
    core::Status,
};
use serde_json::{Value, json};
use tokio::{sync::Semaphore, time::Instant};

use self::refusal::{is_policy, is_quota, read_refusal};
use super::{review::UserInfo, warnings};
use crate::{
    controller::{self, Wishes},
    kubernetes::{deployments, is_about_another},
};
use coalmine_core::manifest::workload;
use coalmine_core::{hold::admit::FIELD_MANAGER, manifest::object, message::denied, run::canary};

/// Well inside the webhook's own five seconds: for all questions of one review together, and for one.
const ALL_WITHIN: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_secs(2);
/// Questions under way at once, for all reviews together; what finds no place in time goes on unchecked.
const AT_ONCE: usize = 8;
/// Of words that are a Status.
const LARGEST_REFUSAL: usize = 1 << 20;
/// Nothing of an object that was accepted in a dry run is needed: this is the shortest form there is.
const SHORTLY: HeaderValue = HeaderValue::from_static("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1");

/// What is known of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Valid(Valid),
    /// In the API server's own words.
    Refused(String),
    /// Nobody could be asked.
    Unknown(String),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Valid {
    /// What it is warned of all the same.
    pub(super) warnings: Vec<String>,
    /// The words in which the live template is refused by now, as by a policy that is newer than it.
    pub(super) live_refused: Option<String>,
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

    /// For a review that came just now.
    pub(super) fn questions(&self) -> Questions<'_> {
        Questions { checker: self, until: Instant::now() + ALL_WITHIN }
    }
}

/// Those of one review.
#[derive(Debug, Clone, Copy)]
pub(super) struct Questions<'a> {
    checker: &'a Checker,
    until: Instant,
}

impl Questions<'_> {
    fn deployments(self, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.checker.client.clone(), namespace, &deployments())
    }

    /// An answer in time, the wait for a place included.
    async fn asked<T>(self, question: impl Future<Output = T>) -> Option<T> {
        let answer = async {
            let _place = self.checker.places.acquire().await;
            question.await
        };
        tokio::time::timeout_at(self.until.min(Instant::now() + PATIENCE), answer).await.ok()
    }

    /// What the namespace says to all its templates; nothing where nobody can be asked: this is for warnings alone.
    pub(super) async fn wishes(self, namespace: &str) -> Wishes {
        self.asked(controller::wishes(&self.checker.client, namespace)).await.and_then(Result::ok).unwrap_or_default()
    }

    /// Whether this user has the verb `approve` on the Deployment. A no where nobody can be asked in time.
    pub(super) async fn may_approve(self, namespace: &str, name: &str, user: &UserInfo) -> bool {
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
        let api = Api::<SubjectAccessReview>::all(self.checker.client.clone());
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
    pub(super) async fn check(self, namespace: &str, primary: &str, uid: &str, canary: Value) -> Answer {
        let ask = async {
            let asked = self.create_for(namespace, primary, uid, canary).await;
            // What the canary of the template held before uses up is free again when this one is made.
            let ours = match &asked {
                Err(error) if is_quota(error) => self.has_canary(namespace, primary, uid).await,
                _ => false,
            };
            if ours { Err("the quota is used up, the present canary's part of it too") } else { Ok(asked) }
        };
        match self.asked(ask).await {
            Some(Err(unknown)) => Answer::Unknown(unknown.to_owned()),
            Some(Ok(Ok(Some(valid)))) => Answer::Valid(valid),
            Some(Ok(Ok(None))) => Answer::Unknown("the review is about an object that is not stored".to_owned()),
            Some(Ok(Err(error))) => match read_refusal(&error, primary) {
                // A policy may be about what a canary is, and a quota about its room, rather than about the template.
                Answer::Refused(words) if is_policy(&error) || is_quota(&error) => {
                    Answer::Refused(format!("{words} ({})", denied::what_was_asked()))
                }
                answer => answer,
            },
            None => Answer::Unknown(format!("no answer within {} s", PATIENCE.as_secs())),
        }
    }

    /// `None` when there is no such primary.
    async fn create_for(self, namespace: &str, primary: &str, uid: &str, canary: Value) -> kube::Result<Option<Valid>> {
        let live_refused = match self.write_nothing(namespace, primary, uid, &[]).await {
            Ok(_) => None,
            Err(kube::Error::Api(status)) if is_about_another(status.code, &status.message) => return Ok(None),
            Err(error) => match read_refusal(&error, primary) {
                Answer::Refused(words) => Some(words),
                // It is asked for in a way that nobody else has a say in.
                Answer::Valid(_) | Answer::Unknown(_) => {
                    let stored = self.deployments(namespace).get_metadata_opt(primary).await?;
                    if stored.is_none_or(|stored| stored.metadata.uid.as_deref() != Some(uid)) {
                        return Ok(None);
                    }
                    None
                }
            },
        };
        Ok(Some(Valid { warnings: self.create(namespace, canary).await?, live_refused }))
    }

    async fn has_canary(self, namespace: &str, primary: &str, owner: &str) -> bool {
        let found = self.deployments(namespace).get_opt(&canary::name(primary)).await.ok().flatten();
        let found = found.and_then(|found| serde_json::to_value(found).ok());
        found.is_some_and(|found| canary::is_canary_of(&found, &json!({"metadata": {"uid": owner}})))
    }

    async fn create(self, namespace: &str, mut canary: Value) -> kube::Result<Vec<String>> {
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

    async fn try_to_create(self, namespace: &str, canary: &Value) -> kube::Result<Vec<String>> {
        let parameters = PostParams { dry_run: true, field_manager: Some(FIELD_MANAGER.to_owned()) };
        let body = serde_json::to_vec(canary).map_err(kube::Error::SerdeError)?;
        let request = Request::new(DynamicObject::url_path(&deployments(), Some(namespace))).create(&parameters, body);
        self.tried(request.map_err(kube::Error::BuildRequest)?).await
    }

    /// A patch by us that changes these places of the Deployment with this uid, in a dry run. One of nothing is admitted like any other.
    async fn write_nothing(self, namespace: &str, name: &str, uid: &str, places: &[Value]) -> kube::Result<Vec<String>> {
        let parameters = PatchParams { dry_run: true, field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let is_it = json!({"op": "test", "path": "/metadata/uid", "value": uid});
        let operations: Vec<&Value> = std::iter::once(&is_it).chain(places).collect();
        let body = serde_json::to_vec(&operations).map_err(kube::Error::SerdeError)?;
        let patch: Patch<()> = Patch::Json(json_patch::Patch(Vec::new()));
        let request = Request::new(DynamicObject::url_path(&deployments(), Some(namespace))).patch(name, &parameters, &patch);
        self.tried(request.map_err(kube::Error::BuildRequest)?.map(|_| body)).await
    }

    /// What is warned of where it would be done. As bytes both ways: nothing of a good answer is needed but that.
    async fn tried(self, mut request: axum::http::Request<Vec<u8>>) -> kube::Result<Vec<String>> {
        request.headers_mut().insert(ACCEPT, SHORTLY);
        let response = self.checker.client.send(request.map(kube::client::Body::from)).await?;
        let (head, body) = response.into_parts();
        if head.status.is_success() {
            // To its end: a connection with something left on it is not used again, and a new one costs more than all this.
            let mut rest = Body::new(body).into_data_stream();
            while let Some(Ok(_)) = rest.next().await {}
            return Ok(warnings::of(&head.headers));
        }
        let code = head.status.as_u16();
        let body = axum::body::to_bytes(Body::new(body), LARGEST_REFUSAL).await.unwrap_or_default();
        let failure = || Status::failure(&String::from_utf8_lossy(&body), "no Status").with_code(code);
        Err(kube::Error::Api(Box::new(serde_json::from_slice(&body).unwrap_or_else(|_| failure()))))
    }

    /// Whether whoever refuses the live template refuses the held one in its place as well: then it is us who are refused, and it is the user who
    /// writes now. While the live one stands there, no write passes, and whoever mended their template would be told of what they mended.
    pub(super) async fn refuses_in_place(self, namespace: &str, name: &str, uid: &str, held: &Value) -> bool {
        let place = json!({"op": "replace", "path": "/spec/template", "value": held});
        let tried = self.asked(self.write_nothing(namespace, name, uid, &[place])).await;
        matches!(tried, Some(Err(error)) if matches!(read_refusal(&error, name), Answer::Refused(_)))
    }

    /// What the API server's own strategic merge makes of `template` in the live object, if that has this uid.
    pub(super) async fn merge(self, namespace: &str, name: &str, uid: &str, template: &Value) -> Option<Value> {
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

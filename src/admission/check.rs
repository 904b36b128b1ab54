//! Questions to the API server about a template that is being held, as dry runs: would it be accepted, and what does it merge to?
//! The API server validates after admission, when the live template is back in its place, so nobody else looks at the held one.
//! Bounded in time: the webhook's own deadline is never used up here.

use std::time::Duration;

use kube::{
    Api, Client, Resource as _,
    api::{DynamicObject, Patch, PatchParams, PostParams, Request},
};
use serde_json::{Value, json};

use crate::kubernetes::deployments;
use coalmine_core::{hold::admit::FIELD_MANAGER, manifest::object, run::canary};

/// Well inside the webhook's own five seconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is known of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Valid,
    /// In the API server's own words.
    Refused(String),
    /// Nobody could be asked.
    Unknown(String),
}

#[derive(Clone)]
pub struct Checker {
    client: Client,
}

impl std::fmt::Debug for Checker {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Checker")
    }
}

impl Checker {
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    fn deployments(&self, namespace: &str) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), namespace, &deployments())
    }

    /// Creates the canary by a dry run.
    pub(super) async fn check(&self, namespace: &str, primary: &str, canary: Value) -> Answer {
        match tokio::time::timeout(PATIENCE, self.create(namespace, canary)).await {
            Ok(Ok(())) => Answer::Valid,
            Ok(Err(error)) => read_refusal(&error, primary),
            Err(_) => Answer::Unknown(format!("no answer within {} s", PATIENCE.as_secs())),
        }
    }

    async fn create(&self, namespace: &str, mut canary: Value) -> kube::Result<()> {
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

    /// As text both ways: nothing of the answer is needed but whether it is a yes.
    async fn try_to_create(&self, namespace: &str, canary: &Value) -> kube::Result<()> {
        let parameters = PostParams { dry_run: true, field_manager: Some(FIELD_MANAGER.to_owned()) };
        let body = serde_json::to_vec(canary).map_err(kube::Error::SerdeError)?;
        let request = Request::new(DynamicObject::url_path(&deployments(), Some(namespace))).create(&parameters, body);
        self.client.request_text(request.map_err(kube::Error::BuildRequest)?).await.map(drop)
    }

    /// What the API server's own strategic merge makes of `template` in the live object.
    pub(super) async fn merge(&self, namespace: &str, name: &str, template: &Value) -> Option<Value> {
        let parameters = PatchParams { dry_run: true, field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patch = Patch::Strategic(json!({"spec": {"template": template}}));
        let api = self.deployments(namespace);
        match tokio::time::timeout(PATIENCE, api.patch(name, &parameters, &patch)).await {
            Ok(Ok(merged)) => serde_json::to_value(merged).ok().map(|merged| object::template(&merged).clone()),
            Ok(Err(error)) => {
                tracing::warn!(namespace, name, error = %error, "failed to merge the held template");
                None
            }
            Err(_) => None,
        }
    }
}

fn read_refusal(error: &kube::Error, primary: &str) -> Answer {
    let kube::Error::Api(status) = error else { return Answer::Unknown(error.to_string()) };
    // Not a word about the template: a missing right of our own, another webhook that can't do dry runs, a namespace that goes away.
    let about_us = status.message.contains("cannot create resource") || status.message.contains("does not support dry run");
    let refused = matches!(status.code, 400 | 403 | 422) && !about_us;
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
    use kube::core::Status;
    use rstest::rstest;

    fn status(code: u16, message: &str) -> kube::Error {
        kube::Error::Api(Box::new(Status { code, message: message.to_owned(), ..Status::default() }))
    }

    #[rstest]
    #[case(422, r#"Deployment.apps "app-canary" is invalid: spec.x: Required value"#, Answer::Refused(r#"Deployment.apps "app" is invalid: spec.x: Required value"#.to_owned()))]
    #[case(403, "exceeded quota: few", Answer::Refused("exceeded quota: few".to_owned()))]
    #[case(403, r#"User "x" cannot create resource "deployments""#, Answer::Unknown(r#"User "x" cannot create resource "deployments""#.to_owned()))]
    #[case(400, "admission webhook \"x\" does not support dry run", Answer::Unknown("admission webhook \"x\" does not support dry run".to_owned()))]
    #[case(503, "later", Answer::Unknown("later".to_owned()))]
    fn refusals(#[case] code: u16, #[case] message: &str, #[case] answer: Answer) {
        assert_eq!(read_refusal(&status(code, message), "app"), answer);
    }
}

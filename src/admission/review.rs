//! The wire form of `admission.k8s.io/v1`: only what is read, the objects as they came. kube's own types would write a patch as an array
//! of numbers, and would read the objects through typed structs.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::core::{
    admit::{self, Admission, Outcome},
    status,
};

#[derive(Debug, Deserialize)]
pub(super) struct Review {
    pub(super) request: ReviewRequest,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ReviewRequest {
    uid: String,
    /// Empty on CREATE with `generateName`.
    #[serde(default)]
    pub(super) name: String,
    #[serde(default)]
    pub(super) namespace: String,
    #[serde(default)]
    pub(super) user_info: UserInfo,
    #[serde(default)]
    pub(super) object: Value,
    #[serde(default)]
    pub(super) old_object: Option<Value>,
    #[serde(default)]
    pub(super) dry_run: bool,
    #[serde(default)]
    options: Option<Options>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct UserInfo {
    #[serde(default)]
    pub(super) username: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Options {
    #[serde(default)]
    field_manager: String,
}

impl ReviewRequest {
    pub(super) fn field_manager(&self) -> &str {
        self.options.as_ref().map_or("", |options| &options.field_manager)
    }

    pub(super) fn input(&self) -> admit::Request<'_> {
        admit::Request {
            username: &self.user_info.username,
            field_manager: self.field_manager(),
            name: &self.name,
            old: self.old_object.as_ref().filter(|old| !old.is_null()),
            new: &self.object,
            dry_run: self.dry_run,
            held_merged: None,
        }
    }
}

/// The answer to a review of a Deployment.
pub(super) fn response(request: &ReviewRequest, admission: &Admission) -> Response {
    let mut response = json!({"uid": request.uid, "allowed": true});
    match &admission.outcome {
        Outcome::Unchanged => {}
        Outcome::Changed(changed) => put_patch(&mut response, &admit::patch(&request.object, changed)),
        Outcome::Denied(message) => {
            response["allowed"] = false.into();
            response["status"] = json!({"code": 403, "reason": "Forbidden", "message": message});
        }
    }
    if !admission.warnings.is_empty() {
        response["warnings"] = json!(admission.warnings);
    }
    response["auditAnnotations"] = json!({"effect": admission.effect.as_str()});
    review(&response)
}

/// The answer to a review of a status write.
pub(super) fn status_response(request: &ReviewRequest, changed: Option<&Value>) -> Response {
    let mut response = json!({"uid": request.uid, "allowed": true});
    if let Some(changed) = changed {
        put_patch(&mut response, &status::patch(&request.object, changed));
    }
    review(&response)
}

fn put_patch(response: &mut Value, patch: &[Value]) {
    if patch.is_empty() {
        return;
    }
    response["patchType"] = "JSONPatch".into();
    response["patch"] = STANDARD.encode(json!(patch).to_string()).into();
}

fn review(response: &Value) -> Response {
    let body = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response}).to_string();
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

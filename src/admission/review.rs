//! The wire form of `admission.k8s.io/v1`: only what is read, the objects as they came. kube's own types would write a patch as an array
//! of numbers, and would read the objects through typed structs.

use std::collections::BTreeMap;

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use coalmine_core::{
    hold::{
        admit::{self, Admission, Outcome, PatchOperation},
        status,
    },
    manifest::object,
};

/// Reads a review. The objects, which are nearly all of it, are taken out as they are; the few other fields are read by their types.
pub(super) fn read(body: &[u8]) -> Result<ReviewRequest, Unreadable> {
    // By way of the text: the library's own code for that is compiled for speed, while this program is compiled for size.
    let mut review: Value = std::str::from_utf8(body)?.parse()?;
    let mut request = review.get_mut("request").map(Value::take).unwrap_or_default();
    let mut taken = |name: &str| request.as_object_mut().and_then(|fields| fields.remove(name));
    let (object, old_object) = (taken("object"), taken("oldObject"));
    let request: ReviewRequest = serde_json::from_value(request)?;
    Ok(ReviewRequest { object: object.unwrap_or_default(), old_object, ..request })
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("it isn't UTF-8")]
    Encoding(#[from] std::str::Utf8Error),
    #[error("{0}")]
    Json(#[from] serde_json::Error),
}

#[derive(Debug, Default, Deserialize)]
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
    #[serde(skip)]
    pub(super) object: Value,
    #[serde(skip)]
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
    #[serde(default)]
    pub(super) uid: String,
    #[serde(default)]
    pub(super) groups: Vec<String>,
    #[serde(default)]
    pub(super) extra: BTreeMap<String, Vec<String>>,
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

    /// A client that replaces the object need not send its uid; what is stored has one.
    pub(super) fn uid_of_stored(&self) -> &str {
        self.old_object.as_ref().map_or("", object::uid)
    }

    pub(super) fn input(&self) -> admit::Request<'_> {
        admit::Request {
            username: &self.user_info.username,
            groups: &self.user_info.groups,
            field_manager: self.field_manager(),
            name: &self.name,
            old: self.old_object.as_ref().filter(|old| !old.is_null()),
            new: &self.object,
            dry_run: self.dry_run,
            held_merged: None,
        }
    }
}

/// The uid of a review that is not read, from its beginning: the API server writes it before all that users fill.
pub(super) fn uid(beginning: &[u8]) -> Option<String> {
    const FIELD: &[u8] = br#""uid":""#;
    let beginning = &beginning[..beginning.len().min(4 << 10)];
    let start = beginning.windows(FIELD.len()).position(|window| window == FIELD)? + FIELD.len();
    let length = beginning[start..].iter().position(|byte| *byte == b'"')?;
    let uid = &beginning[start..start + length];
    let fits = !uid.is_empty() && uid.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
    fits.then(|| String::from_utf8_lossy(uid).into_owned())
}

/// What goes back, in the words of `admission.k8s.io/v1`.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    uid: &'a str,
    allowed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<Value>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    audit_annotations: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<String>,
}

/// The answer to a review of a Deployment.
pub(super) fn response(request: &ReviewRequest, admission: &Admission) -> Response {
    let mut answer = Answer {
        uid: &request.uid,
        allowed: true,
        warnings: &admission.warnings,
        audit_annotations: Some(json!({"effect": admission.effect.as_str()})),
        ..Answer::default()
    };
    match &admission.outcome {
        Outcome::Unchanged => {}
        Outcome::Changed(changed) => answer.put_patch(&admit::patch(&request.object, changed)),
        Outcome::Denied(message) => {
            answer.allowed = false;
            answer.status = Some(json!({"code": 403, "reason": "Forbidden", "message": message}));
        }
    }
    answer.into_review()
}

/// A no to a review that was not read.
pub(super) fn denial(uid: &str, message: &str) -> Response {
    let status = json!({"code": 413, "reason": "RequestEntityTooLarge", "message": message});
    Answer { uid, status: Some(status), ..Answer::default() }.into_review()
}

/// The answer to a review of a status write.
pub(super) fn status_response(request: &ReviewRequest, changed: Option<&Value>) -> Response {
    let mut answer = Answer { uid: &request.uid, allowed: true, ..Answer::default() };
    if let Some(changed) = changed {
        answer.put_patch(&status::patch(&request.object, changed));
    }
    answer.into_review()
}

impl Answer<'_> {
    fn put_patch(&mut self, patch: &[PatchOperation<'_>]) {
        if !patch.is_empty() {
            self.patch_type = Some("JSONPatch");
            self.patch = Some(STANDARD.encode(written(&patch)));
        }
    }

    fn into_review(self) -> Response {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct AdmissionReview<'a> {
            api_version: &'static str,
            kind: &'static str,
            response: Answer<'a>,
        }
        let review = AdmissionReview { api_version: "admission.k8s.io/v1", kind: "AdmissionReview", response: self };
        ([(header::CONTENT_TYPE, "application/json")], written(&review)).into_response()
    }
}

/// Straight into text: objects are large, and every way round costs a copy.
fn written(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default() // writing JSON into memory can't fail
}

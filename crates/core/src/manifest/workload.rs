//! What is true of Deployments alone: what they are called, what the canary's own spec is made of, what tells that somebody changed a
//! template, and when one has rolled out. Another kind of workload is another file like this one.

use serde_json::{Value, json};

use super::{conditions, object};

pub const GROUP: &str = "apps";
pub const VERSION: &str = "v1";
pub const API_VERSION: &str = "apps/v1";
pub const KIND: &str = "Deployment";
pub const PLURAL: &str = "deployments";

/// The Deployment controller's, on every Deployment.
const REVISION: &str = "deployment.kubernetes.io/revision";

/// How a sentence names one for kubectl: `deploy/app`.
pub fn address(name: &str) -> String {
    format!("deploy/{name}")
}

/// The spec of a canary: one pod of this template, which is all that it will ever run.
pub fn of_one_pod(primary: &Value, selector: Value, template: Value) -> Value {
    let mut spec = json!({"replicas": 1, "revisionHistoryLimit": 0, "selector": selector});
    spec["template"] = template; // `json!` would copy it
    if let Some(seconds) = primary.pointer("/spec/minReadySeconds").filter(|seconds| !seconds.is_null()) {
        // A deadline shorter than minReadySeconds would be refused; the primary's pair is known to be a valid one.
        spec["minReadySeconds"] = seconds.clone();
        if let Some(deadline) = primary.pointer("/spec/progressDeadlineSeconds") {
            spec["progressDeadlineSeconds"] = deadline.clone();
        }
    }
    spec
}

/// The Deployment controller counts templates: a second one is somebody else's, and what is measured of it says nothing about the held one.
/// Source: `SetNewReplicaSetAnnotations` in <https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/controller/deployment/util/deployment_util.go>.
pub fn has_had_another_template(canary: &Value) -> bool {
    object::annotation(canary, REVISION).is_some_and(|revision| revision != "1")
}

/// How far the live template has rolled out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rollout {
    Running,
    Complete,
    /// In the Deployment controller's words.
    Failed(String),
}

/// As `kubectl rollout status` reads it.
pub fn rollout(deployment: &Value) -> Rollout {
    let number = |pointer: &str| deployment.pointer(pointer).and_then(Value::as_i64).unwrap_or_default();
    if number("/status/observedGeneration") < number("/metadata/generation") {
        return Rollout::Running;
    }
    let progressing = conditions::find(deployment, "Progressing");
    if let Some(condition) = progressing.filter(|condition| conditions::text(condition, "reason") == "ProgressDeadlineExceeded") {
        return Rollout::Failed(condition.get("message").and_then(Value::as_str).unwrap_or("its progress deadline is exceeded").to_owned());
    }
    let replicas = object::replicas(deployment);
    let updated = number("/status/updatedReplicas");
    if updated >= replicas && number("/status/replicas") <= updated && number("/status/availableReplicas") >= updated {
        Rollout::Complete
    } else {
        Rollout::Running
    }
}

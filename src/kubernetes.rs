//! The little that admission and controller share about talking to the API server. No decisions.

use kube::core::ApiResource;

/// Deployments, without their types: templates keep the fields that this program doesn't know.
pub fn deployments() -> ApiResource {
    ApiResource {
        group: "apps".to_owned(),
        version: "v1".to_owned(),
        api_version: "apps/v1".to_owned(),
        kind: "Deployment".to_owned(),
        plural: "deployments".to_owned(),
    }
}

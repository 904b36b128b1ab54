//! Kinds of others, as much of them as a test needs: their names, and anything in them.

use serde_json::json;

use super::control_plane::ControlPlane;

/// Namespaced; once it is there, nothing changes.
pub(crate) fn define(control_plane: &ControlPlane, group: &str, version: &str, kind: &str, plural: &str) {
    let any = json!({"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}});
    let name = format!("{plural}.{group}");
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        // Which groups of Kubernetes' own need.
        "metadata": {"name": name, "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"}},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural},
            "versions": [{"name": version, "served": true, "storage": true, "schema": any}],
        },
    });
    control_plane.apply(&format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}"), &definition);
}

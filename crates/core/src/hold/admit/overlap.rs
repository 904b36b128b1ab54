//! A canary runs beside the primary: two versions at once. A Deployment that says that they must not, or whose pods could not be told from the
//! canary's, is refused, or told.

use serde_json::Value;

use crate::{
    api::{
        annotations::{ROLE_LABEL, RUN_LABEL},
        policy::Policy,
    },
    manifest::object,
    message,
};

/// Whether the Deployment asks for one version at a time, and its user did not say that two are fine all the same.
pub(super) fn is_refused(deployment: &Value, policy: &Policy) -> bool {
    is_recreated(deployment) && !policy.overlap
}

pub(super) fn is_recreated(deployment: &Value) -> bool {
    deployment.pointer("/spec/strategy/type").and_then(Value::as_str) == Some("Recreate")
}

/// A label of Coalmine's own on the template, as in a copy of a canary: by it the canary's pods are told from the primary's.
pub(super) fn own_label(deployment: &Value) -> Option<&'static str> {
    let labels = object::metadata_map(object::template(deployment), "labels");
    [RUN_LABEL, ROLE_LABEL].into_iter().find(|label| labels.contains_key(*label))
}

/// The words for a template that mounts a claim: whether two pods can share it, only the claim says, and it may not even exist yet.
pub(super) fn warning(template: &Value) -> Option<String> {
    let volumes = template.pointer("/spec/volumes").and_then(Value::as_array)?;
    let writable = |volume: &&Value| {
        let claim = volume.get("persistentVolumeClaim");
        claim.is_some_and(|claim| claim.get("readOnly").and_then(Value::as_bool) != Some(true))
    };
    let volume = volumes.iter().find(writable)?;
    Some(message::shared_volume(volume.get("name").and_then(Value::as_str).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_version_at_a_time_is_no_place_for_a_canary() {
        let with = |strategy: &str, overlap: bool| {
            is_refused(&json!({"spec": {"strategy": {"type": strategy}}}), &Policy { overlap, ..Policy::default() })
        };
        assert!(with("Recreate", false));
        assert!(!with("Recreate", true) && !with("RollingUpdate", false));
        assert!(!is_refused(&json!({}), &Policy::default()));
    }

    #[test]
    fn a_copy_of_a_canary_has_its_labels() {
        let with = |label: &str| own_label(&json!({"spec": {"template": {"metadata": {"labels": {"app": "app", label: "x"}}}}}));
        assert_eq!(
            [with("coalmine.dev/run"), with("coalmine.dev/role"), with("coalmine.dev/team")],
            [Some(RUN_LABEL), Some(ROLE_LABEL), None]
        );
    }

    #[test]
    fn a_claim_that_both_write_to_is_told() {
        let template = |volume: Value| json!({"spec": {"volumes": [{"name": "tmp", "emptyDir": {}}, volume]}});
        let claim = json!({"name": "data", "persistentVolumeClaim": {"claimName": "data"}});
        insta::assert_snapshot!(warning(&template(claim)).unwrap(), @"canary: volume data is a claim: if it is ReadWriteOnce, the canary shares it or waits for its node");
        assert_eq!(warning(&template(json!({"name": "data", "persistentVolumeClaim": {"claimName": "data", "readOnly": true}}))), None);
        assert_eq!(warning(&template(json!({"name": "own", "ephemeral": {}}))), None);
        assert_eq!(warning(&json!({})), None);
    }
}

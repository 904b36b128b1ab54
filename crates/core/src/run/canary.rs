//! The canary Deployment: the held template, one replica, behind the primary's Service, owned by the primary and never counted by it.
//! Only builds the object; creating it is the controller's.

use serde_json::{Map, Value, json};

use crate::api::annotations::{
    CANARY_REQUESTED_BY, CANARY_REQUESTED_BY_GROUPS, FIELD_MANAGER, PRIMARY_ANNOTATION, REQUESTED_BY, REQUESTED_BY_GROUPS, ROLE_CANARY,
    ROLE_LABEL, RUN_LABEL,
};
use crate::{manifest::object, names::shortened};

/// The garbage collector's own: what the object owns goes before it.
const PODS_FIRST: &str = "foregroundDeletion";
const SUFFIX: &str = "-canary";
/// The Deployment controller's, on every Deployment.
const REVISION: &str = "deployment.kubernetes.io/revision";
/// A pod's name is cut to 63 characters: 5 random ones, and before them `<canary>-<pod template hash>-`. With a longer name of its own, a
/// canary's pods could not be told from the primary's by name.
const LONGEST_NAME: usize = 47;

/// The canary's name for a primary: `<name>-canary`, or, where that is too long, a shortened name with a hash of the whole.
pub fn name(primary: &str) -> String {
    format!("{}{SUFFIX}", shortened(primary, LONGEST_NAME - SUFFIX.len()))
}

/// Builds the canary of `primary` for one run of `template`.
///
/// A template that already carries the canary label's key keeps it, since the Service or the primary's selector may need it: the canary
/// is then told apart by the role label alone.
pub fn deployment(primary: &Value, mut template: Value, run: &str, canary_label: &(String, String)) -> Value {
    let primary_name = object::name(primary);
    if let Some(template) = template.as_object_mut() {
        template.entry("metadata").or_insert_with(|| json!({}));
    }
    let (label, value) = canary_label;
    let stated = template.pointer("/metadata/labels").is_some_and(|labels| labels.get(label).is_some());
    // Such as `tier DoesNotExist`: with the label, the canary's own selector would match nothing.
    let expressions = primary.pointer("/spec/selector/matchExpressions").and_then(Value::as_array);
    let taken = stated
        || expressions.is_some_and(|list| list.iter().any(|expression| expression.get("key").and_then(Value::as_str) == Some(label)));
    let (own_label, own_value) = if taken { (ROLE_LABEL, ROLE_CANARY) } else { (label.as_str(), value.as_str()) };
    if let Some(labels) = object::metadata_map_mut(&mut template, "labels") {
        labels.insert(own_label.to_owned(), own_value.into());
        labels.insert(ROLE_LABEL.to_owned(), ROLE_CANARY.into());
        labels.insert(RUN_LABEL.to_owned(), run.into());
    }
    if let Some(annotations) = object::metadata_map_mut(&mut template, "annotations") {
        annotations.insert(PRIMARY_ANNOTATION.to_owned(), primary_name.into());
    }
    let mut selector = primary.pointer("/spec/selector").cloned().unwrap_or_else(|| json!({}));
    if let Some(selector) = selector.as_object_mut() {
        let labels = selector.entry("matchLabels").or_insert_with(|| Value::Object(Map::new()));
        if let Some(labels) = labels.as_object_mut() {
            labels.insert(own_label.to_owned(), own_value.into());
        }
    }
    let mut spec = json!({"replicas": 1, "revisionHistoryLimit": 0, "selector": selector});
    spec["template"] = template; // `json!` would copy it
    if let Some(seconds) = primary.pointer("/spec/minReadySeconds").filter(|seconds| !seconds.is_null()) {
        // A deadline shorter than minReadySeconds would be refused; the primary's pair is known to be a valid one.
        spec["minReadySeconds"] = seconds.clone();
        if let Some(deadline) = primary.pointer("/spec/progressDeadlineSeconds") {
            spec["progressDeadlineSeconds"] = deadline.clone();
        }
    }
    let mut canary = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name(primary_name),
            "namespace": object::namespace(primary),
            "labels": {ROLE_LABEL: ROLE_CANARY, "app.kubernetes.io/managed-by": "coalmine"},
            "annotations": {PRIMARY_ANNOTATION: primary_name, RUN_LABEL: run},
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "Deployment", "name": primary_name, "uid": object::uid(primary),
                "controller": true, "blockOwnerDeletion": false,
            }],
        },
    });
    canary["spec"] = spec;
    requested_by(&mut canary, object::annotations(primary));
    canary
}

/// Says on the canary who asked for its template, as the primary's annotations do.
pub fn requested_by(canary: &mut Value, of_primary: &Map<String, Value>) {
    let Some(annotations) = object::metadata_map_mut(canary, "annotations") else { return };
    for (theirs, own) in [(REQUESTED_BY, CANARY_REQUESTED_BY), (REQUESTED_BY_GROUPS, CANARY_REQUESTED_BY_GROUPS)] {
        if let Some(value) = of_primary.get(theirs) {
            annotations.insert(own.to_owned(), value.clone());
        }
    }
}

/// Whether a Deployment is the canary of this primary: owned by it and marked as ours. Anything else is never touched.
pub fn is_canary_of(candidate: &Value, primary: &Value) -> bool {
    let owned = candidate
        .pointer("/metadata/ownerReferences")
        .and_then(Value::as_array)
        .is_some_and(|owners| owners.iter().any(|owner| owner.get("uid").and_then(Value::as_str) == Some(object::uid(primary))));
    owned && object::label(candidate, ROLE_LABEL) == Some(ROLE_CANARY)
}

/// Whether a Deployment is a canary that this program made for a primary of this name, and that no primary owns any more: it was deleted
/// without what it owns (`--cascade=orphan`), or came back from a backup, which nobody but us would ever take away; or another one has its
/// name by now, which the garbage collector may notice much later. `present`: the primary, looked at after the candidate was.
pub fn is_abandoned(candidate: &Value, primary: &str, present: Option<&Value>) -> bool {
    let owners = candidate.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    let is_gone = |owner: &Value| {
        let is = |part: &str, expected: &str| owner.get(part).and_then(Value::as_str) == Some(expected);
        is("kind", "Deployment") && is("name", primary) && !present.is_some_and(|present| is("uid", object::uid(present)))
    };
    object::label(candidate, ROLE_LABEL) == Some(ROLE_CANARY)
        && object::annotation(candidate, PRIMARY_ANNOTATION) == Some(primary)
        && run_of(candidate).is_some()
        && object::name(candidate) == name(primary)
        && owners.is_none_or(|owners| owners.iter().all(is_gone))
        && !object::is_being_deleted(candidate)
}

/// Whether a Deployment that is being deleted is kept by somebody's finalizer, and its pods with it: they are deleted after it.
pub fn keeps_its_pods(candidate: &Value) -> bool {
    object::is_being_deleted(candidate) && !finalizers(candidate).is_empty() && !has_finalizer(candidate, PODS_FIRST)
}

/// Those of others.
pub fn finalizers(candidate: &Value) -> Vec<&str> {
    let all = candidate.pointer("/metadata/finalizers").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    all.filter(|finalizer| *finalizer != PODS_FIRST).collect()
}

fn has_finalizer(candidate: &Value, name: &str) -> bool {
    let all = candidate.pointer("/metadata/finalizers").and_then(Value::as_array);
    all.is_some_and(|all| all.iter().any(|finalizer| finalizer.as_str() == Some(name)))
}

/// Who changed the canary's template last: the manager that is neither Coalmine nor part of Kubernetes.
pub fn changed_by(canary: &Value) -> Option<&str> {
    let records = canary.pointer("/metadata/managedFields").and_then(Value::as_array)?;
    let of_template = records.iter().filter(|record| record.pointer("/fieldsV1/f:spec/f:template").is_some());
    let others = of_template.filter_map(|record| Some((record.get("time")?.as_str()?, record.get("manager")?.as_str()?)));
    others.filter(|(_, manager)| *manager != FIELD_MANAGER).max().map(|(_, manager)| manager)
}

/// The run that a canary was made for.
pub fn run_of(canary: &Value) -> Option<&str> {
    object::annotation(canary, RUN_LABEL)
}

/// The Deployment controller counts templates: a second one is somebody else's, and what is measured of it says nothing about the held one.
/// Source: `SetNewReplicaSetAnnotations` in <https://github.com/kubernetes/kubernetes/blob/v1.37.2/pkg/controller/deployment/util/deployment_util.go>.
pub fn is_changed_by_hand(canary: &Value) -> bool {
    object::annotation(canary, REVISION).is_some_and(|revision| revision != "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn primary() -> Value {
        json!({
            "metadata": {"name": "app", "namespace": "shop", "uid": "u-1", "labels": {"argocd.argoproj.io/instance": "shop"}},
            "spec": {"replicas": 10, "minReadySeconds": 5, "progressDeadlineSeconds": 600,
                     "selector": {"matchLabels": {"app": "app"}}, "template": {"metadata": {"labels": {"app": "app"}}}},
        })
    }

    fn label() -> (String, String) {
        ("tier".to_owned(), "canary".to_owned())
    }

    #[test]
    fn one_replica_of_the_held_template_behind_the_same_service() {
        let template = json!({"metadata": {"labels": {"app": "app"}}, "spec": {"futureField": {"x": 1}, "containers": []}});
        let canary = deployment(&primary(), template.clone(), "r1", &label());
        insta::assert_snapshot!(serde_json::to_string_pretty(&canary).unwrap(), @r#"
{
  "apiVersion": "apps/v1",
  "kind": "Deployment",
  "metadata": {
    "annotations": {
      "coalmine.dev/primary": "app",
      "coalmine.dev/run": "r1"
    },
    "labels": {
      "app.kubernetes.io/managed-by": "coalmine",
      "coalmine.dev/role": "canary"
    },
    "name": "app-canary",
    "namespace": "shop",
    "ownerReferences": [
      {
        "apiVersion": "apps/v1",
        "blockOwnerDeletion": false,
        "controller": true,
        "kind": "Deployment",
        "name": "app",
        "uid": "u-1"
      }
    ]
  },
  "spec": {
    "minReadySeconds": 5,
    "progressDeadlineSeconds": 600,
    "replicas": 1,
    "revisionHistoryLimit": 0,
    "selector": {
      "matchLabels": {
        "app": "app",
        "tier": "canary"
      }
    },
    "template": {
      "metadata": {
        "annotations": {
          "coalmine.dev/primary": "app"
        },
        "labels": {
          "app": "app",
          "coalmine.dev/role": "canary",
          "coalmine.dev/run": "r1",
          "tier": "canary"
        }
      },
      "spec": {
        "containers": [],
        "futureField": {
          "x": 1
        }
      }
    }
  }
}
"#);
        assert!(is_canary_of(&canary, &primary()));
        assert_eq!(run_of(&canary), Some("r1"));
    }

    #[test]
    fn a_template_keeps_its_own_tier() {
        let template = json!({"metadata": {"labels": {"app": "app", "tier": "web"}}, "spec": {}});
        let canary = deployment(&primary(), template.clone(), "r1", &label());
        assert_eq!(canary["spec"]["template"]["metadata"]["labels"]["tier"], "web");
        assert_eq!(canary["spec"]["selector"]["matchLabels"], json!({"app": "app", "coalmine.dev/role": "canary"}));
    }

    #[test]
    fn a_selector_that_speaks_of_the_label_is_left_alone() {
        let mut primary = primary();
        primary["spec"]["selector"] = json!({"matchExpressions": [
            {"key": "app", "operator": "In", "values": ["app", "web"]}, {"key": "tier", "operator": "DoesNotExist"}]});
        let canary = deployment(&primary, json!({"metadata": {"labels": {"app": "app"}}}), "r1", &label());
        assert_eq!(canary["spec"]["selector"]["matchLabels"], json!({"coalmine.dev/role": "canary"}));
        assert_eq!(canary["spec"]["template"]["metadata"]["labels"].get("tier"), None);
    }

    #[test]
    fn names() {
        assert_eq!(name("app"), "app-canary");
        assert_eq!(name(&"a".repeat(40)), format!("{}-canary", "a".repeat(40)));
        let long = name(&"a".repeat(253));
        assert_eq!(long.len(), LONGEST_NAME);
        assert_ne!(long, name(&"a".repeat(252)));
        assert!(!name(&format!("{}-.{}", "b".repeat(29), "c".repeat(100))).contains(".-"));
    }

    #[test]
    fn another_template_than_the_first_is_seen() {
        let mut canary = deployment(&primary(), json!({}), "r1", &label());
        assert!(!is_changed_by_hand(&canary), "the Deployment controller has not seen it yet");
        for (revision, changed) in [("1", false), ("2", true), ("3", true)] {
            canary["metadata"]["annotations"][REVISION] = json!(revision);
            assert_eq!(is_changed_by_hand(&canary), changed, "{revision}");
        }
    }

    #[test]
    fn who_changed_it() {
        let record = |manager: &str, time: &str, fields: Value| json!({"manager": manager, "time": time, "fieldsV1": {"f:spec": fields}});
        let template = json!({"f:template": {}});
        let canary = json!({"metadata": {"managedFields": [
            record("coalmine", "2026-01-01T00:00:09Z", template.clone()),
            record("keda", "2026-01-01T00:00:08Z", json!({"f:replicas": {}})),
            record("Reloader", "2026-01-01T00:00:07Z", template.clone()),
            record("kubectl-set", "2026-01-01T00:00:05Z", template),
        ]}});
        assert_eq!(changed_by(&canary), Some("Reloader"));
        assert_eq!(changed_by(&deployment(&primary(), json!({}), "r1", &label())), None);
    }

    #[test]
    fn without_its_primary_it_is_abandoned() {
        let owned = deployment(&primary(), json!({}), "r1", &label());
        assert!(!is_abandoned(&owned, "app", Some(&primary())));
        assert!(is_abandoned(&owned, "app", None), "what had its owner's name is gone");
        let mut another = primary();
        another["metadata"]["uid"] = json!("of the next one");
        assert!(is_abandoned(&owned, "app", Some(&another)), "another one has its owner's name");
        let mut orphan = owned;
        orphan["metadata"].as_object_mut().unwrap().remove("ownerReferences");
        assert!(is_abandoned(&orphan, "app", Some(&primary())));
        assert!(!is_abandoned(&orphan, "other", None), "it names its primary");
        let mut stranger = orphan.clone();
        stranger["metadata"]["annotations"].as_object_mut().unwrap().remove(RUN_LABEL);
        assert!(!is_abandoned(&stranger, "app", None), "not all of our marks");
        orphan["metadata"]["ownerReferences"] = json!([{"kind": "ReplicaSet", "name": "app", "uid": "u-2"}]);
        assert!(!is_abandoned(&orphan, "app", None), "its owner's, or the garbage collector's");
    }

    #[test]
    fn a_finalizer_keeps_the_pods() {
        let mut canary = deployment(&primary(), json!({}), "r1", &label());
        canary["metadata"]["finalizers"] = json!(["example.com/audit"]);
        assert!(!keeps_its_pods(&canary));
        canary["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert!(keeps_its_pods(&canary));
        canary["metadata"]["finalizers"] = json!(["example.com/audit", "foregroundDeletion"]);
        assert!(!keeps_its_pods(&canary), "they go already");
        assert_eq!(finalizers(&canary), ["example.com/audit"]);
    }

    #[test]
    fn a_stranger_is_no_canary() {
        let mut canary = deployment(&primary(), json!({}), "r1", &label());
        canary["metadata"]["ownerReferences"][0]["uid"] = json!("u-2");
        assert!(!is_canary_of(&canary, &primary()));
        assert!(!is_canary_of(&json!({"metadata": {"name": "app-canary"}}), &primary()));
    }
}

//! Whole statuses, as the Deployment controller writes them and as they are stored.

use super::*;
use crate::{
    hold::held::{Held, Operation},
    manifest::managed_fields::TemplateOwners,
};

fn record(against: Option<String>) -> String {
    let held = Held {
        template: json!({"spec": "b"}),
        manager: "kubectl".to_owned(),
        operation: Operation::Apply,
        user: "ann".to_owned(),
        owners: TemplateOwners::new(),
        last_applied: None,
        against,
        contributions: Vec::new(),
    };
    held.encode().unwrap()
}

fn deployment(phase: &str, message: Option<&str>) -> Value {
    let mut object = json!({
        "metadata": {"name": "app", "creationTimestamp": "2026-01-01T00:00:00Z",
                     "annotations": {"canary.state/held": record(None), "canary.state/phase": phase}},
        "status": {"replicas": 2, "updatedReplicas": 2, "conditions": [
            {"type": "Available", "status": "True"},
            {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable", "message": "m",
             "lastUpdateTime": "2026-02-02T00:00:00Z", "lastTransitionTime": "2026-02-02T00:00:00Z"}]},
    });
    if let Some(message) = message {
        object["metadata"]["annotations"]["canary.state/message"] = json!(message);
        object["metadata"]["annotations"]["canary.state/since"] = json!("2026-03-03T00:00:00Z");
    }
    object
}

#[test]
fn a_held_template_is_in_progress() {
    let object = deployment("Running", None);
    let changed = admit_status(&object, &object, false).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&changed["status"]).unwrap(), @r#"
{
  "conditions": [
    {
      "status": "True",
      "type": "Available"
    },
    {
      "lastTransitionTime": "2026-02-02T00:00:00Z",
      "lastUpdateTime": "2026-02-02T00:00:00Z",
      "message": "the new template is held; its canary is running",
      "reason": "CanaryRunning",
      "status": "True",
      "type": "Progressing"
    },
    {
      "lastTransitionTime": "2026-02-02T00:00:00Z",
      "lastUpdateTime": "2026-02-02T00:00:00Z",
      "message": "the new template is held; its canary is running",
      "reason": "Running",
      "status": "Unknown",
      "type": "Canary"
    }
  ],
  "replicas": 2,
  "updatedReplicas": 0
}
"#);
}

#[test]
fn a_rejected_template_has_failed() {
    let object = deployment("Rejected", Some("error rate 100%"));
    let changed = admit_status(&object, &object, false).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&changed["status"]).unwrap(), @r#"
{
  "conditions": [
    {
      "status": "True",
      "type": "Available"
    },
    {
      "lastTransitionTime": "2026-03-03T00:00:00Z",
      "lastUpdateTime": "2026-03-03T00:00:00Z",
      "message": "error rate 100%",
      "reason": "ProgressDeadlineExceeded",
      "status": "False",
      "type": "Progressing"
    },
    {
      "lastTransitionTime": "2026-03-03T00:00:00Z",
      "lastUpdateTime": "2026-03-03T00:00:00Z",
      "message": "error rate 100%",
      "reason": "Rejected",
      "status": "False",
      "type": "Canary"
    }
  ],
  "replicas": 2,
  "updatedReplicas": 0
}
"#);
}

/// No replicas: every count is what it is after a rollout. Who waits must go on waiting, and is told the end as ever.
#[test]
fn a_trial_that_is_scaled_to_zero_is_not_over() {
    let observed = |phase: &str| {
        let mut object = deployment(phase, Some("m"));
        object["metadata"]["generation"] = json!(5);
        object["spec"]["replicas"] = json!(0);
        object["status"] = json!({"observedGeneration": 5});
        admit_status(&object, &object, false).unwrap()["status"]["observedGeneration"].clone()
    };
    assert_eq!((observed("Held"), observed("Running"), observed("Rejected")), (json!(4), json!(4), json!(5)));
}

#[test]
fn what_nobody_waits_for_is_not_told() {
    for record in ["x".to_owned(), record(Some("another".to_owned()))] {
        let mut object = deployment("Rejected", Some("error rate 100%"));
        object["metadata"]["annotations"]["canary.state/held"] = json!(record);
        assert_eq!(admit_status(&object, &object, false), None);
        assert!(is_unwatched(&object), "the controller ends it");
    }
}

#[test]
fn the_controller_writes_a_phase_here_where_it_may_write_it_to_the_deployment() {
    let stored = deployment("Running", None);
    let written = |phase: &str| {
        let mut write = stored.clone();
        write["metadata"]["annotations"]["canary.state/phase"] = json!(phase);
        write["metadata"]["annotations"]["canary.enabled"] = json!("false");
        let phase_of = |by_controller: bool| {
            let changed = admit_status(&stored, &write, by_controller).unwrap();
            assert_eq!(object::annotation(&changed, "canary.enabled"), None, "not its own");
            object::annotation(&changed, "canary.state/phase").unwrap().to_owned()
        };
        (phase_of(true), phase_of(false))
    };
    let pair = |one: &str, other: &str| (one.to_owned(), other.to_owned());
    assert_eq!(written("Inconclusive"), pair("Inconclusive", "Running"));
    assert_eq!(written("Promoted"), pair("Running", "Running"));
    assert_eq!(written("Superseded"), pair("Running", "Running"));
}

#[test]
fn nothing_loops() {
    for phase in ["Held", "Running", "Rejected", "Inconclusive"] {
        let object = deployment(phase, Some("m"));
        let stored = admit_status(&object, &object, false).unwrap();
        // The Deployment controller computes its own Progressing again and again.
        let mut write = stored.clone();
        write["status"]["conditions"][1] = object["status"]["conditions"][1].clone();
        write["status"]["conditions"][1]["lastUpdateTime"] = json!("2026-09-09T00:00:00Z");
        write["status"]["updatedReplicas"] = json!(2);
        assert_eq!(admit_status(&stored, &write, false).unwrap(), stored);
        assert_eq!(admit_status(&stored, &stored, false), None);
    }
}

#[test]
fn annotations_of_a_status_never_count() {
    let stored = deployment("Promoted", None);
    let mut forged = stored.clone();
    forged["metadata"]["annotations"]["canary.state/phase"] = json!("Held");
    forged["metadata"]["annotations"]["canary.enabled"] = json!("false");
    forged["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = json!("2");
    let changed = admit_status(&stored, &forged, false).unwrap();
    let mut expected = stored.clone();
    expected["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = json!("2");
    assert_eq!(changed, expected);
    assert_eq!(patch(&forged, &changed).len(), 1);
}

#[test]
fn without_a_held_template_nothing_changes() {
    let mut object = deployment("Running", None);
    object["metadata"]["annotations"].as_object_mut().unwrap().remove("canary.state/held");
    assert_eq!(admit_status(&object, &object, false), None);
    let object = deployment("Promoted", None);
    assert_eq!(admit_status(&object, &object, false), None);
    assert_eq!(admit_status(&json!({}), &json!(1), false), None);
}

/// The first write after the hold: what the Deployment controller makes of `stored`, with this condition `Progressing`.
fn after_the_hold(stored: &Value, progressing: Value) -> Value {
    let mut stored = stored.clone();
    stored["metadata"]["annotations"] = json!({"canary.state/phase": "RolledBack"});
    let mut write = stored.clone();
    write["status"]["conditions"][1] = progressing;
    let changed = admit_status(&stored, &write, false).unwrap_or(write);
    changed["status"]["conditions"].as_array().unwrap().iter().find(|c| is_of(PROGRESSING, c)).cloned().unwrap_or_default()
}

#[test]
fn what_was_told_of_a_held_template_ends_with_the_hold() {
    let own = |status: &str, reason: &str| json!({"type": "Progressing", "status": status, "reason": reason, "message": "has timed out"});
    for phase in ["Running", "Rejected", "Inconclusive"] {
        let object = deployment(phase, Some("error rate 100%"));
        let stored = admit_status(&object, &object, false).unwrap();
        let as_found = stored["status"]["conditions"][1].clone();
        assert_eq!(after_the_hold(&stored, as_found), Value::Null, "{phase}");
        assert_eq!(after_the_hold(&stored, own("False", "ProgressDeadlineExceeded")), Value::Null, "{phase}: from an old time");
        let progress = own("True", "ReplicaSetUpdated");
        assert_eq!(after_the_hold(&stored, progress.clone()), progress, "{phase}");
    }
    // A rollout that failed by itself has failed.
    let mut stored = deployment("Promoted", None);
    stored["status"]["conditions"][1] = own("False", "ProgressDeadlineExceeded");
    let failed = stored["status"]["conditions"][1].clone();
    assert_eq!(after_the_hold(&stored, failed.clone()), failed);
}

#[test]
fn what_nobody_writes_any_more_is_left_behind() {
    let seen = |phase: &str, observed: i64| {
        let mut object = deployment(phase, None);
        object["metadata"]["generation"] = json!(3);
        object["status"]["observedGeneration"] = json!(observed);
        is_left_behind(&object)
    };
    assert!(seen("Rejected", 2) && seen("Inconclusive", 2));
    assert!(!seen("Rejected", 3), "it is up to date");
    assert!(!seen("Running", 2), "the next step writes to it anyway");
}

#[test]
fn what_is_on_trial_without_its_label_is_unwatched() {
    let labelled = |phase: &str| {
        let mut object = deployment(phase, None);
        object["metadata"]["labels"] = json!({"coalmine.dev/active": "true"});
        object
    };
    for phase in ["Held", "Running"] {
        assert!(is_unwatched(&deployment(phase, None)) && !is_unwatched(&labelled(phase)), "{phase}");
    }
    assert!(!is_unwatched(&deployment("Rejected", None)), "nothing is left to do");
}

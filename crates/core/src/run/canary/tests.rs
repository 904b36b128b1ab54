//! What the canary Deployment looks like, whatever its primary looks like.

use super::*;
use crate::api::label::Label;

fn primary() -> Value {
    json!({
        "metadata": {"name": "app", "namespace": "shop", "uid": "u-1", "labels": {"argocd.argoproj.io/instance": "shop"}},
        "spec": {"replicas": 10, "minReadySeconds": 5, "progressDeadlineSeconds": 600,
                 "selector": {"matchLabels": {"app": "app"}}, "template": {"metadata": {"labels": {"app": "app"}}}},
    })
}

fn label() -> Label {
    Label::new("tier", "canary")
}

#[test]
fn labels_that_policies_ask_for_and_none_by_which_it_is_tracked() {
    let mut primary = primary();
    primary["metadata"]["labels"] = json!({
        "team": "shop", "app.kubernetes.io/name": "app", "app.kubernetes.io/managed-by": "Helm", "coalmine.dev/active": "true",
        "app.kubernetes.io/instance": "app", "argocd.argoproj.io/instance": "shop", "kustomize.toolkit.fluxcd.io/name": "shop",
        "helm.sh/chart": "app-1", "objectset.rio.cattle.io/hash": "x", "kapp.k14s.io/app": "1", "applyset.kubernetes.io/part-of": "x",
        "notfluxcd.io/x": "stays",
    });
    let expected = json!({
        "team": "shop", "app.kubernetes.io/name": "app", "app.kubernetes.io/managed-by": "coalmine", "coalmine.dev/role": "canary",
        "notfluxcd.io/x": "stays",
    });
    assert_eq!(deployment(&primary, json!({}), "r1", &label())["metadata"]["labels"], expected);
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
    assert!(!workload::has_had_another_template(&canary), "the Deployment controller has not seen it yet");
    for (revision, changed) in [("1", false), ("2", true), ("3", true)] {
        canary["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = json!(revision);
        assert_eq!(workload::has_had_another_template(&canary), changed, "{revision}");
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
fn a_primary_that_says_nothing_of_it_has_forgotten_it() {
    let canary = deployment(&primary(), json!({}), "r1", &label());
    let saying = |phase: &str| {
        let mut primary = primary();
        primary["metadata"]["annotations"] = json!({"canary.enabled": "true", "canary.state/phase": phase});
        primary
    };
    assert!(is_forgotten(&canary, &primary()));
    assert!(is_forgotten(&canary, &saying("Withdrawn")));
    assert!(!is_forgotten(&canary, &saying("Running")) && !is_forgotten(&canary, &saying("Held")));
    let mut told = saying("Rejected");
    told["metadata"]["labels"] = json!({"coalmine.dev/active": "true"});
    assert!(!is_forgotten(&canary, &told), "its verdict has yet to be told");
    let mut another = primary();
    another["metadata"]["uid"] = json!("of the next one");
    assert!(!is_forgotten(&canary, &another), "not its owner");
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

#[test]
fn what_a_policy_took_away_from_a_canary_is_missed() {
    let primary = primary();
    let made = deployment(&primary, primary["spec"]["template"].clone(), "r1", &label());
    assert_eq!(lacks(&made, &primary, "r1"), None);
    for (path, part) in [
        ("/metadata/ownerReferences", "owner reference"),
        ("/metadata/labels/coalmine.dev~1role", "label coalmine.dev/role"),
        ("/metadata/annotations/coalmine.dev~1run", "annotation coalmine.dev/run"),
    ] {
        let mut stripped = made.clone();
        stripped.pointer_mut(path).unwrap().take();
        assert_eq!(lacks(&stripped, &primary, "r1"), Some(part));
    }
}

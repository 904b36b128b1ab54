//! A check that is a Job: the Job template of a `CronJob` of the same namespace, run once against the canary. Builds the object and reads its
//! state. Only a `CronJob` that says so may be run: whoever may annotate a Deployment need not be allowed to run another's `CronJob`.

use serde_json::{Value, json};

use crate::api::annotations::{CHECK_LABEL, PRIMARY_ANNOTATION};
use crate::facts::checked::JobStage;
use crate::manifest::{conditions, references, workload::KIND};
use crate::{manifest::object, names::shortened, words::cut};

/// A Job's name becomes a label of its pods.
const LONGEST_NAME: usize = 63;

/// How a Job stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    Running,
    Succeeded,
    /// In the cluster's words.
    Failed(String),
}

/// The Job's name for one check of one canary.
pub fn name(canary: &str, check: &str) -> String {
    shortened(&format!("{canary}-{check}"), LONGEST_NAME)
}

/// Whether a `CronJob` says that checks may run it.
pub fn may_run(cron_job: &Value) -> bool {
    object::label(cron_job, CHECK_LABEL) == Some("true")
}

/// The Job: owned by the canary, so that it goes with it; every container is told whom it is to try.
pub fn build(cron_job: &Value, canary: &Value, primary: &str, check: &str, address: &str) -> Value {
    let mut spec = cron_job.pointer("/spec/jobTemplate/spec").cloned().unwrap_or_else(|| json!({}));
    if let Some(spec) = spec.as_object_mut() {
        // A Job that cleans itself away would be missing, and run again. It goes with the canary.
        spec.remove("ttlSecondsAfterFinished");
    }
    for list in ["initContainers", "containers"] {
        let containers = spec.pointer_mut(&format!("/template/spec/{list}")).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            tell(container, "COALMINE_CANARY_ADDRESS", address);
            tell(container, "COALMINE_CANARY", object::name(canary));
            tell(container, "COALMINE_PRIMARY", primary);
        }
    }
    json!({
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name(object::name(canary), check),
            "namespace": object::namespace(canary),
            "labels": with(cron_job, "labels", "app.kubernetes.io/managed-by", "coalmine"),
            "annotations": with(cron_job, "annotations", PRIMARY_ANNOTATION, primary),
            "ownerReferences": [references::to(canary)],
        },
        "spec": spec,
    })
}

/// What the `CronJob` gives each of its Jobs, which queues and policies may ask for, and one more.
fn with(cron_job: &Value, part: &str, name: &str, value: &str) -> Value {
    let mut map = cron_job.pointer("/spec/jobTemplate").map(|template| object::metadata_map(template, part).clone()).unwrap_or_default();
    map.insert(name.to_owned(), value.into());
    map.into()
}

fn tell(container: &mut Value, name: &str, value: &str) {
    let Some(container) = container.as_object_mut() else { return };
    let list = container.entry("env").or_insert_with(|| json!([]));
    if let Some(list) = list.as_array_mut() {
        list.retain(|entry| entry.get("name").and_then(Value::as_str) != Some(name));
        list.push(json!({"name": name, "value": value}));
    }
}

/// Whether a Job is the one of this canary, and not one of the same name that an earlier canary left.
pub fn is_of(job: &Value, canary: &Value) -> bool {
    references::is_owned_by(job, canary)
}

/// Whether it is another's altogether, and will not go by itself: nobody made it for a canary of this name, or a policy took its owner away.
pub fn is_in_the_way(job: &Value, canary: &Value) -> bool {
    let of_this_name = |owner: &Value| references::text(owner, "kind") == KIND && references::text(owner, "name") == object::name(canary);
    !object::is_being_deleted(job) && !references::of(job).iter().any(of_this_name)
}

pub fn state(job: &Value) -> State {
    for condition in conditions::all(job) {
        let text = |field: &str| conditions::text(condition, field);
        match (text("type"), text("status")) {
            ("Complete" | "SuccessCriteriaMet", "True") => return State::Succeeded,
            ("Failed" | "FailureTarget", "True") => return State::Failed(cut(&format!("{}: {}", text("reason"), text("message")))),
            _ => {}
        }
    }
    State::Running
}

/// How far a Job is that has not ended.
pub fn stage(job: &Value) -> JobStage {
    let count = |field: &str| job.pointer("/status").and_then(|status| status.get(field)).and_then(Value::as_u64).unwrap_or_default();
    if job.pointer("/spec/suspend").and_then(Value::as_bool) == Some(true) {
        return JobStage::Suspended;
    }
    match (count("active"), count("ready"), count("failed")) {
        (0, _, 0) => JobStage::NoPod,
        (1.., 0, 0) => JobStage::PodNotReady,
        (_, _, failed @ 1..) => JobStage::TriedAgain { failed },
        _ => JobStage::Runs,
    }
}

/// The last lines of a log as one line.
pub fn last_words(log: &str) -> Option<String> {
    let lines: Vec<&str> = log.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let start = lines.len().saturating_sub(5);
    let words = cut(&lines.get(start..)?.join(" | "));
    (!words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canary() -> Value {
        json!({"metadata": {"name": "app-canary", "namespace": "shop", "uid": "c-1"}})
    }

    #[test]
    fn what_the_cron_job_gives_its_jobs_comes_along() {
        let metadata = json!({"labels": {"queue": "ci"}, "annotations": {"x": "y"}});
        let job = build(&json!({"spec": {"jobTemplate": {"metadata": metadata, "spec": {}}}}), &canary(), "app", "smoke", "10.0.0.9");
        assert_eq!(job["metadata"]["labels"], json!({"queue": "ci", "app.kubernetes.io/managed-by": "coalmine"}));
        assert_eq!(job["metadata"]["annotations"], json!({"x": "y", "coalmine.dev/primary": "app"}));
    }

    #[test]
    fn the_cron_jobs_template_is_run_against_the_canary() {
        let cron_job = json!({"spec": {"suspend": true, "jobTemplate": {"spec": {"backoffLimit": 0, "template": {"spec": {
            "restartPolicy": "Never", "containers": [{"name": "smoke", "env": [{"name": "COALMINE_CANARY", "value": "old"}]}]}}}}}});
        let job = build(&cron_job, &canary(), "app", "smoke", "10.0.0.9");
        insta::assert_snapshot!(serde_json::to_string_pretty(&job).unwrap(), @r#"
{
  "apiVersion": "batch/v1",
  "kind": "Job",
  "metadata": {
    "annotations": {
      "coalmine.dev/primary": "app"
    },
    "labels": {
      "app.kubernetes.io/managed-by": "coalmine"
    },
    "name": "app-canary-smoke",
    "namespace": "shop",
    "ownerReferences": [
      {
        "apiVersion": "apps/v1",
        "blockOwnerDeletion": false,
        "controller": true,
        "kind": "Deployment",
        "name": "app-canary",
        "uid": "c-1"
      }
    ]
  },
  "spec": {
    "backoffLimit": 0,
    "template": {
      "spec": {
        "containers": [
          {
            "env": [
              {
                "name": "COALMINE_CANARY_ADDRESS",
                "value": "10.0.0.9"
              },
              {
                "name": "COALMINE_CANARY",
                "value": "app-canary"
              },
              {
                "name": "COALMINE_PRIMARY",
                "value": "app"
              }
            ],
            "name": "smoke"
          }
        ],
        "restartPolicy": "Never"
      }
    }
  }
}
"#);
        assert!(is_of(&job, &canary()));
        assert!(!is_of(&job, &json!({"metadata": {"uid": "c-2"}})));
        assert!(!is_in_the_way(&job, &json!({"metadata": {"name": "app-canary", "uid": "c-2"}})), "an earlier canary's goes with it");
        assert!(is_in_the_way(&json!({"metadata": {"name": "app-canary-smoke"}}), &canary()));
        assert!(!is_in_the_way(&json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}), &canary()));
    }

    #[test]
    fn only_what_says_so_may_be_run_and_it_stays_until_the_canary_goes() {
        let labelled = |value: &str| json!({"metadata": {"labels": {"coalmine.dev/check": value}}});
        assert!(may_run(&labelled("true")));
        assert!(!may_run(&labelled("false")) && !may_run(&json!({"metadata": {"name": "backup"}})));
        let cron_job = json!({"spec": {"jobTemplate": {"spec": {"ttlSecondsAfterFinished": 0, "template": {}}}}});
        assert_eq!(build(&cron_job, &canary(), "app", "smoke", "10.0.0.9")["spec"], json!({"template": {}}));
    }

    #[test]
    fn words_of_others_stay_on_their_line() {
        let condition =
            json!({"type": "Failed", "status": "True", "reason": "PodFailurePolicy", "message": "a\nCanaryPromoted\u{202e}\u{1b}[2J"});
        let failed = json!({"status": {"conditions": [condition]}});
        assert_eq!(state(&failed), State::Failed("PodFailurePolicy: a CanaryPromoted  [2J".to_owned()));
    }

    #[test]
    fn states() {
        assert_eq!(state(&json!({})), State::Running);
        assert_eq!(state(&json!({"status": {"conditions": [{"type": "Complete", "status": "True"}]}})), State::Succeeded);
        let failed =
            json!({"status": {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "m"}]}});
        assert_eq!(state(&failed), State::Failed("BackoffLimitExceeded: m".to_owned()));
    }

    #[test]
    fn what_a_job_waits_for() {
        let job = |spec: Value, status: Value| stage(&json!({"metadata": {"name": "j"}, "spec": spec, "status": status}));
        assert_eq!(job(json!({"suspend": true}), json!({})), JobStage::Suspended);
        assert_eq!(job(json!({"suspend": false}), json!({})), JobStage::NoPod);
        assert_eq!(job(json!({}), json!({"active": 1, "ready": 0})), JobStage::PodNotReady);
        assert_eq!(job(json!({}), json!({"active": 1, "ready": 1})), JobStage::Runs);
        assert_eq!(job(json!({}), json!({"active": 1, "failed": 2})), JobStage::TriedAgain { failed: 2 });
    }

    #[test]
    fn names_and_words() {
        assert_eq!(name("app-canary", "smoke"), "app-canary-smoke");
        assert_eq!(name(&"a".repeat(47), &"b".repeat(40)).len(), LONGEST_NAME);
        assert_eq!(last_words("1\n2\n3\n\n4\n5\n6\u{7}\n").as_deref(), Some("2 | 3 | 4 | 5 | 6"));
        assert_eq!(last_words("\n"), None);
    }
}

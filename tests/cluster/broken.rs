//! Canaries that need no traffic to be judged: what the cluster itself says decides, in its own words.

use coalmine_core::{api::annotations::Phase, manifest::object};
use rstest::rstest;
use serde_json::{Value, json};

use super::{
    app::App,
    stage::{Stage, without_numbers},
    traffic::Traffic,
};
use crate::support::{eventually, kubectl::Apply::ClientSide};

/// Kept out: the phase, an Event of the same words, the exit code of a waiting pipeline, and the primary as it was.
#[track_caller]
fn assert_kept_out(stage: &Stage, phase: Phase) -> String {
    let pods = stage.primary_pods();
    let rollout = stage.start_rollout_status();
    let (seen, message) = stage.await_verdict();
    assert_eq!(seen, phase, "{message}");
    assert_eq!(stage.await_event(&format!("Canary{}", phase.as_str())), format!("{message}; asked for by kubernetes-admin"));
    assert_eq!(rollout.ended().0, 1);
    assert_eq!(stage.live(), "1");
    assert_eq!(stage.primary_pods(), pods);
    message
}

#[rstest]
#[case::crashes(App::good("2").with("CRASH_AFTER", "1s"), "container app ended: Error, exit code 1")]
#[case::cannot_be_pulled(App::good("2").image("localhost/none:1"), "container app ImagePullBackOff: Back-off pulling image \"localhost/none:1\"")]
#[case::does_not_start(App::good("2").with("ERROR_RATE", "much"), "container app ")]
#[ignore = "needs a whole cluster"]
fn a_pod_that_fails_is_rejected_at_once_with_its_own_words(#[case] broken: App, #[case] words: &str) {
    let stage = Stage::with(&App::good("1"));
    stage.apply(&broken);
    let message = assert_kept_out(&stage, Phase::Rejected);
    assert!(message.starts_with(words) && message.ends_with("; template kept out"), "{message}");
    stage.await_no_canary();
}

const UNREADY: &str = "the pod was Ready and is not any more: containers with unready status: [app]";

#[rstest]
#[case::crashes(App::good("2").with("CRASH_AFTER", "10s"), &["container app ended: Error, exit code 1"])]
#[case::runs_out_of_memory(
    App::good("2").with("LEAK", "8Mi").container("resources", json!({"limits": {"memory": "64Mi"}})),
    &["container app ended: OOMKilled, exit code 137"])]
#[case::is_not_ready_any_more(App::good("2").with("NOT_READY_AFTER", "8s"), &[UNREADY])]
// Kubelet takes the pod's readiness first and then ends the container: both are true, and which one is seen is chance.
#[case::is_not_alive_any_more(
    App::good("2").with("NOT_ALIVE_AFTER", "8s").with("STOP_DELAY", "0s")
        .container("livenessProbe", json!({"httpGet": {"path": "/livez", "port": "http"}, "periodSeconds": 1, "timeoutSeconds": 5})),
    &["container app ended: Completed, exit code 0 (by itself, or stopped for a failing liveness probe: the pod's Events tell)", UNREADY])]
#[ignore = "needs a whole cluster"]
fn a_pod_that_fails_while_it_is_judged_is_rejected_at_once(#[case] broken: App, #[case] words: &[&str]) {
    let stage = Stage::with(&App::good("1"));
    stage.apply(&broken.canary("duration", "2m").canary("deadline", "3m"));
    stage.await_event("CanaryAnalyzing");
    let message = assert_kept_out(&stage, Phase::Rejected);
    assert!(words.iter().any(|words| message.starts_with(words)) && message.ends_with("; template kept out"), "{message}");
    stage.await_no_canary();
}

#[test]
#[ignore = "needs a whole cluster"]
fn a_pod_that_is_never_ready_is_inconclusive_at_the_deadline() {
    let stage = Stage::with(&App::good("1"));
    stage.apply(&App::good("2").with("NEVER_READY", "true").canary("deadline", "12s"));
    let message = assert_kept_out(&stage, Phase::Inconclusive);
    insta::assert_snapshot!(message, @"not Ready within 12s: containers with unready status: [app]; template kept out");
    stage.await_no_canary();
}

#[test]
#[ignore = "needs a whole cluster"]
fn a_quota_that_forbids_the_pod_is_inconclusive_with_the_quota_s_words() {
    let stage = Stage::with(&App::good("1"));
    stage
        .kubectl
        .apply(
            ClientSide,
            &json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": {"pods": "2"}}}),
        )
        .succeeded();
    stage.kubectl.run(&["wait", "resourcequota/few", "--for=jsonpath={.status.used.pods}=2", "--timeout=60s"]).succeeded();
    stage.apply(&App::good("2").canary("deadline", "12s"));
    let message = assert_kept_out(&stage, Phase::Inconclusive);
    assert!(message.contains("exceeded quota: few, requested: pods=1, used: pods=2, limited: pods=2"), "{message}");
    stage.await_no_canary();
}

/// A policy of the cluster's that nobody may change a Deployment's template in the namespace. Gone when dropped.
struct Frozen<'a>(&'a Stage);

impl<'a> Frozen<'a> {
    /// Returns once the API server keeps to it.
    fn begin(stage: &'a Stage) -> Self {
        let frozen = Self(stage);
        // Not opted in: only the policy can refuse its changes.
        let mut probe = App::good("1").replicas(0).manifest();
        probe["metadata"] = json!({"name": "probe"});
        stage.kubectl.apply(ClientSide, &probe).succeeded();
        let policy = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": stage.name},
            "spec": {
                "matchConstraints": {
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": stage.name}},
                    "resourceRules": [
                        {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["deployments"]},
                    ],
                },
                "validations": [{
                    "expression": "object.spec.template == oldObject.spec.template",
                    "message": "no changes on a Friday, not even of the latest",
                }],
            },
        });
        let binding = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": stage.name},
            "spec": {"policyName": stage.name, "validationActions": ["Deny"]},
        });
        for object in [&policy, &binding] {
            stage.kubectl.apply(ClientSide, object).succeeded();
        }
        eventually("the policy to be kept", || {
            let said = stage.kubectl.run(&["set", "env", "deployment/probe", "X=1", "--dry-run=server"]);
            if said.stderr.contains("Friday") { Ok(()) } else { Err(said.stderr) }
        });
        frozen
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        for kind in ["validatingadmissionpolicybinding", "validatingadmissionpolicy"] {
            let _ = self.0.kubectl.run(&["delete", kind, &self.0.name, "--ignore-not-found"]);
        }
    }
}

#[test]
#[ignore = "needs a whole cluster"]
fn a_promotion_that_a_policy_refuses_is_told_and_inconclusive_at_the_deadline() {
    let stage = Stage::with(&App::good("1"));
    let _traffic = Traffic::start(&stage, 100);
    let _frozen = Frozen::begin(&stage);
    stage.apply(&App::good("2").canary("deadline", "90s"));
    let said = stage.await_event("CanaryPromotionRefused");
    assert!(said.starts_with("the template can't be promoted: "), "{said}");
    assert!(said.ends_with("; trying until the deadline (1m30s)"), "{said}");
    assert!(said.contains("no changes on a Friday, not even of the latest"), "{said}");
    let message = assert_kept_out(&stage, Phase::Inconclusive);
    assert!(message.starts_with("proved itself, but can't be promoted: ") && message.ends_with("; template kept out"), "{message}");
    stage.await_no_canary();
}

#[test]
#[ignore = "needs a whole cluster"]
fn a_stranger_with_the_canary_s_name_is_never_touched() {
    let stage = Stage::with(&App::good("1"));
    let mut stranger = App::good("stranger").replicas(0).manifest();
    stranger["metadata"]["name"] = json!("app-canary");
    stranger["metadata"]["annotations"] = Value::Null;
    stage.kubectl.apply(ClientSide, &stranger).succeeded();
    let before = stage.deployment("app-canary").unwrap();
    stage.apply(&App::good("2"));
    let message = assert_kept_out(&stage, Phase::Inconclusive);
    insta::assert_snapshot!(message, @"a Deployment app-canary exists that is not Coalmine's; rename or delete it, then set canary.retry; template kept out");
    let after = stage.deployment("app-canary").unwrap();
    assert_eq!((object::uid(&after), &after["spec"]), (object::uid(&before), &before["spec"]));

    // The way out that it names.
    stage.kubectl.run(&["delete", "deployment", "app-canary"]).succeeded();
    stage.kubectl.run(&["annotate", "deployment/app", "canary.retry=1"]).succeeded();
    stage.await_canary_ready();
    assert!(stage.deployment("app-canary").is_some_and(|canary| object::uid(&canary) != object::uid(&before)));
}

#[test]
fn numbers_are_left_out_and_words_kept() {
    assert_eq!(without_numbers("error rate 48.1% (1,204 of 2,503 requests) after 12s"), "error rate N% (N of N requests) after Ns");
}

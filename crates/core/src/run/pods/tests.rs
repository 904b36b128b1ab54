//! What is said of pods in each kind of trouble.

use super::*;
use rstest::rstest;
use serde_json::json;

fn pod(status: Value) -> Value {
    json!({"metadata": {"name": "app-canary-1-x", "labels": {RUN_LABEL: "r"}}, "status": status})
}

fn judge(status: Value, was_ready: bool) -> Health {
    health(&[pod(status)], &json!({}), "r", Known { was_ready, excused: None })
}

fn failed(health: Health) -> (String, Trouble) {
    match health {
        Health::Failed { reason, trouble } => (reason, trouble),
        other => panic!("{other:?}"),
    }
}

#[rstest]
#[case::crash(
    json!({"containerStatuses": [{"name": "app", "restartCount": 2,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container"}},
            "lastState": {"terminated": {"exitCode": 1, "reason": "Error"}}}]}),
        "container app CrashLoopBackOff (last: Error, exit code 1): back-off 10s restarting failed container")]
#[case::image(
        json!({"containerStatuses": [{"name": "app", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off pulling image \"x\""}}}]}),
    "container app ImagePullBackOff: Back-off pulling image \"x\"")]
#[case::memory(
    json!({"containerStatuses": [{"name": "app", "restartCount": 1, "state": {"running": {}},
        "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}]}),
    "container app ended: OOMKilled, exit code 137")]
#[case::first_end(
    json!({"containerStatuses": [{"name": "app", "state": {"terminated": {"exitCode": 3, "reason": "Error", "message": "no\nway"}}}]}),
    "container app ended: Error, exit code 3: no way")]
#[case::end_without_a_trace(
    json!({"containerStatuses": [{"name": "app", "restartCount": 2, "state": {"running": {}}}]}),
    "container app restarted 2 times")]
#[case::own_limit(
    json!({"phase": "Failed", "reason": "Evicted", "message": "Usage of EmptyDir volume \"cache\" exceeds the limit \"1Mi\". "}),
    "the pod was evicted: Usage of EmptyDir volume \"cache\" exceeds the limit \"1Mi\".")]
#[case::liveness(
    json!({"containerStatuses": [{"name": "app", "restartCount": 1, "state": {"running": {}},
        "lastState": {"terminated": {"exitCode": 0, "reason": "Completed"}}}]}),
    "container app ended: Completed, exit code 0 (by itself, or stopped for a failing liveness probe: the pod's Events tell)")]
#[case::init(
    json!({"initContainerStatuses": [{"name": "wait", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}),
    "container wait CrashLoopBackOff")]
fn at_once(#[case] status: Value, #[case] reason: &str) {
    assert_eq!(failed(judge(status, false)).0, reason);
}

/// A change of resources in place starts a container anew where its template says so, once for each change.
#[rstest]
#[case::once("RestartContainer", 2, 1, None)]
#[case::oftener(
    "RestartContainer",
    2,
    2,
    Some("container app ended: Error, exit code 143 (by itself, or stopped for a failing liveness probe: the pod's Events tell)")
)]
#[case::never_changed(
    "RestartContainer",
    1,
    1,
    Some("container app ended: Error, exit code 143 (by itself, or stopped for a failing liveness probe: the pod's Events tell)")
)]
#[case::need_not(
    "NotRequired",
    2,
    1,
    Some("container app ended: Error, exit code 143 (by itself, or stopped for a failing liveness probe: the pod's Events tell)")
)]
fn resources_may_be_changed_in_place(#[case] policy: &str, #[case] generation: i64, #[case] restarts: i64, #[case] expected: Option<&str>) {
    let mut pod = pod(json!({
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:10Z"}],
        "containerStatuses": [{"name": "app", "restartCount": restarts, "state": {"running": {}},
            "lastState": {"terminated": {"exitCode": 143, "reason": "Error", "finishedAt": "2026-01-01T00:00:20Z"}}}],
    }));
    pod["metadata"]["generation"] = json!(generation);
    pod["spec"] = json!({"containers": [{"name": "app", "resizePolicy": [{"resourceName": "cpu", "restartPolicy": policy}]}]});
    let reason = match health(&[pod], &json!({}), "r", Known { was_ready: true, excused: None }) {
        Health::Failed { reason, .. } => Some(reason),
        _ => None,
    };
    assert_eq!(reason.as_deref(), expected);
}

/// Once the pod is Ready; before, it may need some tries, as a proxy does that waits for its control plane.
#[rstest]
#[case::once_it_served("Always", "2026-01-01T00:00:40Z", Some("container proxy ended: Error, exit code 1"))]
#[case::while_it_started("Always", "2026-01-01T00:00:05Z", None)]
#[case::no_sidecar("", "2026-01-01T00:00:40Z", None)]
fn a_sidecar_must_not_end(#[case] policy: &str, #[case] ended: &str, #[case] expected: Option<&str>) {
    let mut pod = pod(json!({
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:10Z"}],
        "containerStatuses": [{"name": "app", "restartCount": 0, "state": {"running": {}}}],
        "initContainerStatuses": [{"name": "proxy", "restartCount": 1, "state": {"running": {}},
            "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": ended}}}],
    }));
    pod["spec"] = json!({"initContainers": [{"name": "wait"}, {"name": "proxy", "restartPolicy": policy}]});
    let health = health(&[pod], &json!({}), "r", Known { was_ready: true, excused: None });
    let reason = match &health {
        Health::Failed { reason, .. } => Some(reason.as_str()),
        _ => None,
    };
    assert_eq!(reason, expected, "{health:?}");
}

/// Not Ready since this second, with a container that runs since the 10th, if any does.
fn unready(since: u32, reason: &str, running: bool) -> Value {
    let state = if running {
        json!({"running": {"startedAt": "2026-01-01T00:00:10Z"}})
    } else {
        json!({"waiting": {"reason": "ContainerCreating"}})
    };
    json!({
        "conditions": [{"type": "Ready", "status": "False", "reason": reason, "message": "containers with unready status: [app]",
            "lastTransitionTime": format!("2026-01-01T00:00:{since:02}Z")}],
        "containerStatuses": [{"name": "app", "restartCount": 0, "state": state}],
    })
}

#[rstest]
#[case::slow_start(unready(9, "ContainersNotReady", true), false, None)]
#[case::failing_probe(
    unready(30, "ContainersNotReady", true),
    true,
    Some("the pod was Ready and is not any more: containers with unready status: [app]")
)]
#[case::readiness_was_never_judged(unready(30, "ContainersNotReady", true), false, None)]
#[case::slow_start_of_a_pod_that_replaces_a_lost_one(unready(9, "ContainersNotReady", true), true, None)]
#[case::within_one_second(unready(10, "ContainersNotReady", true), true, None)]
#[case::containers_to_come(unready(30, "ContainersNotReady", false), true, None)]
#[case::readiness_gate(unready(30, "ReadinessGatesNotReady", true), true, None)]
// The node controller sets the status and leaves the reason of a Ready pod, which has none.
#[case::node_not_ready(unready(30, "", true), true, None)]
fn a_slow_start_is_no_failure_but_a_lost_readiness_is(#[case] status: Value, #[case] was_ready: bool, #[case] failed: Option<&str>) {
    let expected = match failed {
        Some(reason) => Health::Failed { reason: reason.to_owned(), trouble: Trouble::Unready },
        None => Health::Starting(Some("containers with unready status: [app]".to_owned())),
    };
    assert_eq!(judge(status, was_ready), expected);
}

#[rstest]
#[case::node_pressure(
    json!({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory.",
        "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet", "message": "The node was low on resource: memory."}],
        "containerStatuses": [{"name": "app", "state": {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown"}}}]}),
    "pod app-canary-1-x is lost: TerminationByKubelet: The node was low on resource: memory.")]
#[case::drain(
    json!({"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting"},
        {"type": "Ready", "status": "True"}]}),
    "pod app-canary-1-x is lost: EvictionByEvictionAPI: Eviction API: evicting")]
#[case::preemption(
    json!({"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler", "message": "default-scheduler: preempting"}]}),
    "pod app-canary-1-x is lost: PreemptionByScheduler: default-scheduler: preempting")]
#[case::lost_node(
    json!({"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager", "message": "Taint manager: deleting due to NoExecute taint"}]}),
    "pod app-canary-1-x is lost: DeletionByTaintManager: Taint manager: deleting due to NoExecute taint")]
#[case::refused_by_its_node(
    json!({"phase": "Failed", "reason": "OutOfcpu", "message": "Node didn't have enough resource: cpu"}),
    "pod app-canary-1-x is lost: OutOfcpu: Node didn't have enough resource: cpu")]
fn a_pod_that_its_node_loses_is_replaced(#[case] status: Value, #[case] words: &str) {
    assert_eq!(judge(status.clone(), true), Health::Starting(Some(words.to_owned())));
    let replacement = pod(json!({"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:10Z"}]}));
    assert!(matches!(health(&[pod(status), replacement], &json!({}), "r", Known { was_ready: true, excused: None }), Health::Ready { .. }));
}

#[test]
fn a_container_that_a_restarted_node_starts_again_is_not_at_fault() {
    let restarted = json!({
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:10Z"}],
        "containerStatuses": [{"name": "app", "restartCount": 1, "state": {"running": {}},
            "lastState": {"terminated": {"exitCode": 255, "reason": "Unknown"}}}],
    });
    assert!(matches!(judge(restarted, true), Health::Ready { .. }));
}

/// In the words of containerd and kubelet.
#[rstest]
#[case::in_time("CreateContainerError", "context deadline exceeded")]
#[case::reserved("CreateContainerError", "failed to reserve container name \"app_x_0\": name \"app_x_0\" is reserved for \"4f2a\"")]
#[case::start("RunContainerError", "rpc error: code = DeadlineExceeded desc = context deadline exceeded")]
fn a_node_that_is_too_slow_tries_again(#[case] reason: &str, #[case] message: &str) {
    let status = json!({"containerStatuses": [{"name": "app", "state": {"waiting": {"reason": reason, "message": message}}}]});
    assert_eq!(judge(status, false), Health::Starting(None));
}

#[test]
fn an_init_container_that_goes_on_is_named() {
    let status = json!({"conditions": [
        {"type": "Initialized", "status": "False", "reason": "ContainersNotInitialized", "message": "containers with incomplete status: [wait-db]"},
        {"type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": "containers with unready status: [app]"}]});
    assert_eq!(judge(status, false), Health::Starting(Some("containers with incomplete status: [wait-db]".to_owned())));
}

#[test]
fn what_is_missing_may_come() {
    let status = json!({"containerStatuses": [{"name": "app", "state": {"waiting":
        {"reason": "CreateContainerConfigError", "message": "secret \"key\" not found"}}}]});
    let words = "container app CreateContainerConfigError: secret \"key\" not found".to_owned();
    assert_eq!(judge(status, false), Health::Missing { words, never_ran: true });
}

#[test]
fn what_never_ran_is_told_from_what_did() {
    let pull = |last: Value| json!({"containerStatuses": [{"name": "app", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "503"}}, "lastState": last}]});
    let trouble = |status| match judge(status, false) {
        Health::Failed { trouble, .. } => trouble,
        health => panic!("{health:?}"),
    };
    assert_eq!(trouble(pull(json!({}))), Trouble::NeverRan);
    assert_eq!(trouble(pull(json!({"terminated": {"exitCode": 0, "reason": "Completed"}}))), Trouble::Own);
}

#[test]
fn ready_tells_which_pod() {
    let ready = json!({"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:10Z"}]});
    assert_eq!(judge(ready, false), Health::Ready { pod: "app-canary-1-x".to_owned() });
}

#[test]
fn why_there_is_no_pod() {
    let canary = json!({"status": {"conditions": [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: few"}]}});
    assert_eq!(health(&[], &canary, "r", Known::default()), Health::Starting(Some("exceeded quota: few".to_owned())));
    let unschedulable = json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available"}]});
    assert_eq!(judge(unschedulable, false), Health::Starting(Some("Unschedulable: 0/1 nodes are available".to_owned())));
}

#[test]
fn a_container_that_ended_together_with_the_primary_s_is_excused() {
    let ended = |at: &str, code: i64| {
        json!({"containerStatuses": [{"name": "app", "restartCount": 1, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"exitCode": code, "reason": "Error", "finishedAt": at}}}]})
    };
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let judged =
        |status: Value, excused: Option<&str>| health(&[pod(status)], &json!({}), "r", Known { was_ready: true, excused: excused.map(at) });
    let tries = Tries::of(&pod(ended("2026-01-01T00:01:00Z", 1)));
    let own = Trouble::Ended { at: Some(at("2026-01-01T00:01:00Z")), perhaps_by_a_probe: false, tries };
    let status = || ended("2026-01-01T00:01:00Z", 1);
    assert_eq!(failed(judged(status(), None)).1, own);
    assert_eq!(failed(judged(status(), Some("2026-01-01T00:00:59Z"))).1, own, "it ended again");
    assert_eq!(judged(status(), Some("2026-01-01T00:01:00Z")), Health::Starting(None));
    let (_, trouble) = failed(judged(ended("2026-01-01T00:01:00Z", 137), None));
    assert_eq!(trouble, Trouble::Ended { at: Some(at("2026-01-01T00:01:00Z")), perhaps_by_a_probe: true, tries });
}

#[test]
fn the_canary_of_another_deployment_with_this_template_is_not_looked_at() {
    let canary = json!({"metadata": {"annotations": {PRIMARY_ANNOTATION: "app"}}});
    let mut pod = pod(json!({"conditions": [{"type": "Ready", "status": "True"}]}));
    pod["metadata"]["annotations"] = json!({PRIMARY_ANNOTATION: "other"});
    assert_eq!(health(&[pod.clone()], &canary, "r", Known::default()), Health::Starting(None));
    pod["metadata"]["annotations"] = json!({PRIMARY_ANNOTATION: "app"});
    assert!(matches!(health(&[pod], &canary, "r", Known::default()), Health::Ready { .. }));
}

#[test]
fn another_runs_pods_do_not_count() {
    let failed = pod(json!({"containerStatuses": [{"name": "app", "state": {"terminated": {"exitCode": 3}}}]}));
    assert_eq!(health(&[failed], &json!({}), "other", Known::default()), Health::Starting(None));
}

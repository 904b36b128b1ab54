//! Kubernetes' own evidence: what the pods of a canary say about themselves. Reads the cluster's words, and judges at once what no
//! traffic is needed for. Trouble of a node (eviction, preemption, a lost node) is not the template's fault and is never held against it.

use jiff::Timestamp;
use serde_json::Value;

use super::object;
use crate::api::annotations::RUN_LABEL;

/// The state of a canary's pods, as far as it decides anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Not Ready yet; with the cluster's own reason, if it gave one.
    Starting(Option<String>),
    Ready {
        since: Timestamp,
        pod: String,
    },
    /// The template is at fault, in the pod's own words.
    Failed(String),
}

/// Waiting reasons that time does not mend.
const HOPELESS: [&str; 8] = [
    "CrashLoopBackOff",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "CreateContainerError",
    "CreateContainerConfigError",
    "RunContainerError",
    "StartError",
];
/// The longest part of a cluster's message that is passed on: Events take 1 KiB.
const LONGEST_MESSAGE: usize = 300;

/// Judges the pods of one run. `was_ready`: the canary had been Ready before, so losing it is a failing probe and no slow start.
pub fn health(pods: &[Value], canary: &Value, run: &str, was_ready: bool) -> Health {
    let living: Vec<&Value> = pods
        .iter()
        .filter(|pod| object::label(pod, RUN_LABEL) == Some(run) && !object::is_being_deleted(pod) && !is_lost_with_its_node(pod))
        .collect();
    for pod in &living {
        if let Some(reason) = failure(pod) {
            return Health::Failed(reason);
        }
    }
    for pod in &living {
        if let Some(condition) = condition(pod, "Ready").filter(|condition| text(condition, "status") == "True") {
            let since = text(condition, "lastTransitionTime").parse().unwrap_or(Timestamp::UNIX_EPOCH);
            return Health::Ready { since, pod: object::name(pod).to_owned() };
        }
    }
    let Some(pod) = living.first() else { return Health::Starting(creation_failure(canary)) };
    let unready = condition(pod, "Ready");
    let by_containers = unready.is_some_and(|condition| text(condition, "reason") == "ContainersNotReady");
    let reason = unready.map(|condition| cut(text(condition, "message"))).filter(|message| !message.is_empty());
    if was_ready && by_containers {
        return Health::Failed(format!("the pod was Ready and is not any more: {}", reason.as_deref().unwrap_or("a probe fails")));
    }
    let unscheduled = condition(pod, "PodScheduled").filter(|condition| text(condition, "status") == "False");
    Health::Starting(unscheduled.map(|condition| format!("{}: {}", text(condition, "reason"), cut(text(condition, "message")))).or(reason))
}

/// Evicted, preempted, shut down with its node: a new pod takes its place.
fn is_lost_with_its_node(pod: &Value) -> bool {
    let status = pod.pointer("/status").unwrap_or(&Value::Null);
    let disrupted = condition(pod, "DisruptionTarget").is_some_and(|condition| text(condition, "status") == "True");
    disrupted || (text(status, "phase") == "Failed" && !text(status, "reason").is_empty())
}

fn failure(pod: &Value) -> Option<String> {
    let statuses =
        |list: &str| pod.pointer("/status").and_then(|status| status.get(list)).and_then(Value::as_array).cloned().unwrap_or_default();
    let containers = statuses("containerStatuses");
    for container in containers.iter().chain(&statuses("initContainerStatuses")) {
        let waiting = container.pointer("/state/waiting").unwrap_or(&Value::Null);
        if HOPELESS.contains(&text(waiting, "reason")) {
            let ended = container.pointer("/lastState/terminated").map(|ended| format!(" (last: {})", ending(ended))).unwrap_or_default();
            return Some(describe(container, &format!("{}{ended}", text(waiting, "reason")), text(waiting, "message")));
        }
    }
    // An init container may run again and again until what it waits for is there; a container that served must not end.
    for container in &containers {
        for state in ["/state/terminated", "/lastState/terminated"] {
            if let Some(ended) = container.pointer(state).filter(|ended| ended.is_object()) {
                return Some(describe(container, &format!("ended: {}", ending(ended)), text(ended, "message")));
            }
        }
        if let Some(restarts) = container.get("restartCount").and_then(Value::as_i64).filter(|restarts| *restarts > 0) {
            return Some(describe(container, &format!("restarted {restarts} times"), ""));
        }
    }
    None
}

fn ending(terminated: &Value) -> String {
    let code = terminated.get("exitCode").and_then(Value::as_i64).unwrap_or_default();
    match text(terminated, "reason") {
        "" => format!("exit code {code}"),
        reason => format!("{reason}, exit code {code}"),
    }
}

fn describe(container: &Value, what: &str, message: &str) -> String {
    let message = if message.trim().is_empty() { String::new() } else { format!(": {}", cut(message)) };
    format!("container {} {what}{message}", text(container, "name"))
}

/// Why there is no pod at all: what the ReplicaSet was answered (a quota, a policy).
fn creation_failure(canary: &Value) -> Option<String> {
    let condition = condition(canary, "ReplicaFailure")?;
    (text(condition, "status") == "True").then(|| cut(text(condition, "message")))
}

fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    conditions.iter().find(|condition| text(condition, "type") == kind)
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn cut(message: &str) -> String {
    let message: String = message.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if message.chars().count() <= LONGEST_MESSAGE {
        return message;
    }
    message.chars().take(LONGEST_MESSAGE).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn pod(status: Value) -> Value {
        json!({"metadata": {"name": "app-canary-1-x", "labels": {RUN_LABEL: "r"}}, "status": status})
    }

    fn judge(status: Value, was_ready: bool) -> Health {
        health(&[pod(status)], &json!({}), "r", was_ready)
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
    #[case::init(
        json!({"initContainerStatuses": [{"name": "wait", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}),
        "container wait CrashLoopBackOff")]
    fn at_once(#[case] status: Value, #[case] reason: &str) {
        assert_eq!(judge(status, false), Health::Failed(reason.to_owned()));
    }

    #[test]
    fn a_slow_start_is_no_failure_but_a_lost_readiness_is() {
        let unready = json!({"conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": "containers with unready status: [app]"}]});
        assert_eq!(judge(unready.clone(), false), Health::Starting(Some("containers with unready status: [app]".to_owned())));
        assert!(matches!(judge(unready, true), Health::Failed(_)));
    }

    #[test]
    fn node_trouble_is_not_held_against_the_template() {
        let evicted = json!({"phase": "Failed", "reason": "Evicted", "containerStatuses": [{"name": "app", "state": {"terminated": {"exitCode": 137}}}]});
        assert_eq!(judge(evicted, true), Health::Starting(None));
        let drained = json!({"conditions": [{"type": "DisruptionTarget", "status": "True"}, {"type": "Ready", "status": "True"}]});
        assert_eq!(judge(drained, true), Health::Starting(None));
    }

    #[test]
    fn ready_tells_since_when() {
        let ready = json!({"conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:10Z"}]});
        let Health::Ready { since, pod } = judge(ready, false) else { panic!() };
        assert_eq!((since.as_second(), pod.as_str()), (1_767_225_610, "app-canary-1-x"));
    }

    #[test]
    fn why_there_is_no_pod() {
        let canary = json!({"status": {"conditions": [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: few"}]}});
        assert_eq!(health(&[], &canary, "r", false), Health::Starting(Some("exceeded quota: few".to_owned())));
        let unschedulable = json!({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available"}]});
        assert_eq!(judge(unschedulable, false), Health::Starting(Some("Unschedulable: 0/1 nodes are available".to_owned())));
    }

    #[test]
    fn another_runs_pods_do_not_count() {
        let failed = pod(json!({"containerStatuses": [{"name": "app", "state": {"terminated": {"exitCode": 3}}}]}));
        assert_eq!(health(&[failed], &json!({}), "other", false), Health::Starting(None));
    }
}

//! The containers of a pod: which of them come to an end, how they ended, and whether somebody changed them in place. Reads; what follows is
//! `super`'s to say.

use jiff::Timestamp;
use serde_json::Value;

use super::{list, text};

pub(super) fn endings(container: &Value) -> impl Iterator<Item = &Value> {
    ["/state/terminated", "/lastState/terminated"]
        .into_iter()
        .filter_map(|state| container.pointer(state).filter(|ended| ended.is_object()))
}

pub(super) fn finished(terminated: &Value) -> Option<Timestamp> {
    text(terminated, "finishedAt").parse().ok()
}

/// Those that go on among them.
pub(super) fn init_containers(pod: &Value) -> impl Iterator<Item = &Value> {
    list(pod, "initContainerStatuses").iter()
}

pub(super) fn waits_for(container: &Value, reasons: &[&str]) -> bool {
    container.pointer("/state/waiting").is_some_and(|waiting| reasons.contains(&text(waiting, "reason")))
}

/// Init containers that go on.
pub(super) fn sidecars(pod: &Value) -> impl Iterator<Item = &Value> {
    let goes_on = |name: &str| {
        let containers = pod.pointer("/spec/initContainers").and_then(Value::as_array).into_iter().flatten();
        containers.filter(|one| text(one, "name") == name).any(|one| text(one, "restartPolicy") == "Always")
    };
    list(pod, "initContainerStatuses").iter().filter(move |one| goes_on(text(one, "name")))
}

/// Whether its resources were changed in place so often, each of which starts it anew where its template says so.
pub(super) fn is_resized(pod: &Value, container: &Value) -> bool {
    let restarts = container.get("restartCount").and_then(Value::as_i64).unwrap_or_default();
    let changes = pod.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default() - 1;
    let containers = pod.pointer("/spec/containers").and_then(Value::as_array).into_iter().flatten();
    let mut own = containers.filter(|one| text(one, "name") == text(container, "name"));
    let begins_anew = |one: &Value| {
        let policies = one.get("resizePolicy").and_then(Value::as_array).into_iter().flatten();
        policies.into_iter().any(|policy| text(policy, "restartPolicy") == "RestartContainer")
    };
    (1..=changes).contains(&restarts) && own.any(begins_anew)
}

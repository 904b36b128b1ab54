//! What only the cluster's Events tell of a pod that doesn't start: a volume that can't be mounted, an address that can't be had. Words for a
//! user, who can act on them; they decide nothing.

use jiff::Timestamp;
use serde_json::Value;

use super::{Health, is_lost, is_of_canary, is_ready, list, text};
use crate::api::annotations::RUN_LABEL;
use crate::manifest::object;
use crate::words::cut;

/// What a container waits for whose pod says nothing more.
const SILENT: [&str; 2] = ["ContainerCreating", "PodInitializing"];

/// The pod of this run that waits and doesn't say why, by its name and uid.
pub fn unexplained<'a>(pods: &'a [Value], canary: &Value, run: &str) -> Option<(&'a str, &'a str)> {
    let is_waiting = |pod: &Value| {
        let mut containers = list(pod, "containerStatuses").iter().chain(list(pod, "initContainerStatuses"));
        containers.any(|container| {
            container.pointer("/state/waiting/reason").and_then(Value::as_str).is_some_and(|reason| SILENT.contains(&reason))
        })
    };
    let own = pods.iter().filter(|pod| object::label(pod, RUN_LABEL) == Some(run) && is_of_canary(pod, canary));
    let mut silent = own.filter(|pod| !is_lost(pod) && !is_ready(pod) && is_waiting(pod));
    silent.next().map(|pod| (object::name(pod), object::uid(pod)))
}

/// With the newest warning among the Events of that pod.
pub fn explained(health: Health, uid: &str, events: &[Value]) -> Health {
    let Health::Starting(reason) = health else { return health };
    let of_pod = events.iter().filter(|event| event.pointer("/regarding/uid").and_then(Value::as_str) == Some(uid));
    let newest = of_pod.filter(|event| text(event, "type") == "Warning").max_by_key(|event| last_seen(event));
    let told = newest.map(|event| format!("{}: {}", text(event, "reason"), cut(text(event, "note"))));
    Health::Starting(told.or(reason))
}

fn last_seen(event: &Value) -> Option<Timestamp> {
    let series = event.pointer("/series/lastObservedTime").and_then(Value::as_str);
    let times = series.into_iter().chain(["deprecatedLastTimestamp", "eventTime"].map(|name| text(event, name)));
    times.filter_map(|time| time.parse().ok()).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_that_only_waits_is_explained_by_its_newest_warning() {
        let pod = |reason: &str| {
            json!({"metadata": {"name": "p", "uid": "u", "labels": {RUN_LABEL: "r"}},
                "status": {"containerStatuses": [{"name": "app", "state": {"waiting": {"reason": reason}}}]}})
        };
        assert_eq!(unexplained(&[pod("ContainerCreating")], &json!({}), "r"), Some(("p", "u")));
        assert_eq!(unexplained(&[pod("CreateContainerConfigError")], &json!({}), "r"), None);
        assert_eq!(unexplained(&[pod("ContainerCreating")], &json!({}), "other"), None);

        let event = |uid: &str, kind: &str, at: &str, note: &str| json!({"type": kind, "reason": "FailedMount", "note": note, "regarding": {"uid": uid}, "deprecatedLastTimestamp": at, "eventTime": null});
        let events = [
            event("u", "Warning", "2026-01-01T00:00:09Z", "configmap \"x\"\nnot found"),
            event("u", "Warning", "2026-01-01T00:00:01Z", "older"),
            event("u", "Normal", "2026-01-01T00:00:10Z", "Pulled"),
            event("other", "Warning", "2026-01-01T00:00:11Z", "of another pod of that name"),
        ];
        let starting = |words: &str| Health::Starting(Some(words.to_owned()));
        assert_eq!(
            explained(starting("containers with unready status: [app]"), "u", &events),
            starting("FailedMount: configmap \"x\" not found")
        );
        assert_eq!(
            explained(starting("containers with unready status: [app]"), "u", &[]),
            starting("containers with unready status: [app]")
        );
        let ready = Health::Ready { pod: "p".to_owned() };
        assert_eq!(explained(ready.clone(), "u", &events), ready);
    }
}

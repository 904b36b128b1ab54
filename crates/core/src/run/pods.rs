//! Kubernetes' own evidence: what the pods of a canary say about themselves. Reads the cluster's words, and judges at once what no
//! traffic is needed for. Trouble of a node (a drain, pressure, preemption, a lost or restarted node) is not the template's fault and is
//! never held against it: the ReplicaSet makes another pod, and the run goes on with that one.

use jiff::Timestamp;
use serde_json::Value;

use crate::api::annotations::{PRIMARY_ANNOTATION, RUN_LABEL};
use crate::manifest::conditions;
use crate::manifest::object;
use crate::words::cut;

mod containers;
mod told;
mod tries;

use self::containers::{endings, finished, init_containers, is_resized, sidecars, waits_for};
pub use self::told::{explained, unexplained};
pub use self::tries::Tries;

/// The state of a canary's pods, as far as it decides anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// Not Ready yet; with the cluster's own reason, if it gave one.
    Starting(Option<String>),
    Ready {
        pod: String,
    },
    /// A `ConfigMap` or Secret that it names is not there; it may come with what is applied next.
    Missing {
        words: String,
        never_ran: bool,
    },
    /// The template is at fault, in the pod's own words, unless the primary's pods are in the same trouble.
    Failed {
        reason: String,
        trouble: Trouble,
    },
}

/// What a pod's failure is to be compared with: see [`super::shared`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Of the template alone.
    Own,
    /// The same of a container that never ran, such as an image that is not there.
    NeverRan,
    /// It was Ready, and is not any more.
    Unready,
    /// A container ended, at that time by its node's clock.
    Ended { at: Option<Timestamp>, perhaps_by_a_probe: bool, tries: Tries },
}

const MISSING: &str = "CreateContainerConfigError";
const BACK_OFF: &str = "CrashLoopBackOff";
/// Waiting reasons that time does not mend.
const HOPELESS: [&str; 6] =
    ["ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CreateContainerError", "RunContainerError", "StartError"];

/// Of these, what a node's runtime says that has too much to do, or was interrupted; it tries again.
/// Source: <https://github.com/containerd/containerd/issues/4604>.
const OF_THE_NODE: [&str; 4] = ["context deadline exceeded", "DeadlineExceeded", "failed to reserve container name", "is reserved for"];

/// What is known of a canary beside its pods.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known {
    /// It had been Ready before, so losing it is a failing probe and no slow start.
    pub was_ready: bool,
    /// Containers that ended until then did so together with the primary's.
    pub excused: Option<Timestamp>,
}

/// Judges the pods of one run of this canary.
pub fn health(pods: &[Value], canary: &Value, run: &str, known: Known) -> Health {
    let was_ready = known.was_ready;
    let own = pods.iter().filter(|pod| object::label(pod, RUN_LABEL) == Some(run) && is_of_canary(pod, canary));
    let (lost, living): (Vec<&Value>, Vec<&Value>) = own.partition(|pod| is_lost(pod));
    for pod in &living {
        if let Some((reason, trouble)) = failure(pod, known.excused) {
            return Health::Failed { reason, trouble };
        }
    }
    if let Some(Waits { words, never_ran }) = living.iter().find_map(|pod| waiting(pod, &[MISSING])) {
        return Health::Missing { words, never_ran };
    }
    for pod in &living {
        if is_ready(pod) {
            return Health::Ready { pod: object::name(pod).to_owned() };
        }
    }
    let Some(pod) = living.first() else { return Health::Starting(creation_failure(canary).or_else(|| lost.into_iter().find_map(loss))) };
    let unready = conditions::find(pod, "Ready");
    let uninitialized = conditions::find(pod, "Initialized").filter(|condition| text(condition, "status") == "False");
    let by_containers = unready.is_some_and(|condition| text(condition, "reason") == "ContainersNotReady");
    let reason = unready.map(|condition| cut(text(condition, "message"))).filter(|message| !message.is_empty());
    if was_ready && by_containers && has_lost_readiness(pod) {
        let reason = format!("the pod was Ready and is not any more: {}", reason.as_deref().unwrap_or("a probe fails"));
        return Health::Failed { reason, trouble: Trouble::Unready };
    }
    // Its other containers are unready for that.
    let reason = uninitialized.map(|condition| cut(text(condition, "message"))).filter(|message| !message.is_empty()).or(reason);
    let unscheduled = conditions::find(pod, "PodScheduled").filter(|condition| text(condition, "status") == "False");
    Health::Starting(unscheduled.map(|condition| format!("{}: {}", text(condition, "reason"), cut(text(condition, "message")))).or(reason))
}

/// Two Deployments of one template have canaries of one run: the pods say whose they are.
fn is_of_canary(pod: &Value, canary: &Value) -> bool {
    match (object::annotation(pod, PRIMARY_ANNOTATION), object::annotation(canary, PRIMARY_ANNOTATION)) {
        (Some(of), Some(primary)) => of == primary,
        _ => true,
    }
}

pub(super) fn is_ready(pod: &Value) -> bool {
    conditions::find(pod, "Ready").is_some_and(|condition| text(condition, "status") == "True")
}

/// On its way out, or gone with its node: another takes its place.
pub(super) fn is_lost(pod: &Value) -> bool {
    object::is_being_deleted(pod) || is_lost_with_its_node(pod)
}

/// What the pod waits for, that it names and that is not there.
pub(super) fn missing(pod: &Value) -> Option<String> {
    waiting(pod, &[MISSING]).map(|waits| waits.words)
}

/// When a container of the pod ended last, unless its node was at fault.
pub(super) fn latest_ending(pod: &Value) -> Option<Timestamp> {
    let containers = list(pod, "containerStatuses").iter().chain(sidecars(pod));
    containers.flat_map(endings).filter(|ended| !is_by_the_node(ended)).filter_map(finished).max()
}

/// Evicted, preempted, shut down with its node: a new pod takes its place. Kubelet also evicts a pod that exceeds the disk space which the
/// template itself allows it; alone of all evictions that one is no disruption, and the template's fault.
fn is_lost_with_its_node(pod: &Value) -> bool {
    let failed = text(status(pod), "phase") == "Failed" && !text(status(pod), "reason").is_empty();
    disruption(pod).is_some() || (failed && !exceeds_its_own_limit(pod))
}

fn exceeds_its_own_limit(pod: &Value) -> bool {
    text(status(pod), "phase") == "Failed" && text(status(pod), "reason") == "Evicted" && disruption(pod).is_none()
}

fn disruption(pod: &Value) -> Option<&Value> {
    conditions::find(pod, "DisruptionTarget").filter(|condition| text(condition, "status") == "True")
}

/// How a pod came to its end that nobody holds against it, in the cluster's words.
fn loss(pod: &Value) -> Option<String> {
    let (by, how) = match disruption(pod) {
        Some(condition) => (text(condition, "reason"), text(condition, "message")),
        None => (text(status(pod), "reason"), text(status(pod), "message")),
    };
    (!by.is_empty()).then(|| format!("pod {} is lost: {by}: {}", object::name(pod), cut(how)))
}

/// Since when the first of the canary's pods that is Ready is so, in its own words.
pub fn ready_condition(pods: &[Value], canary: &Value, run: &str) -> Option<String> {
    let own = pods.iter().filter(|pod| object::label(pod, RUN_LABEL) == Some(run) && is_of_canary(pod, canary));
    let ready = own.filter(|pod| !is_lost(pod)).find(|pod| is_ready(pod))?;
    Some(text(conditions::find(ready, "Ready")?, "lastTransitionTime").to_owned()).filter(|time| !time.is_empty())
}

/// A pod that was never Ready is so since before its containers ran.
fn has_lost_readiness(pod: &Value) -> bool {
    let time = |value: &Value, name: &str| text(value, name).parse::<Timestamp>().ok();
    let Some(unready_since) = conditions::find(pod, "Ready").and_then(|condition| time(condition, "lastTransitionTime")) else {
        return false;
    };
    let containers = list(pod, "containerStatuses");
    let started = containers.iter().map(|container| container.pointer("/state/running").and_then(|running| time(running, "startedAt")));
    started.collect::<Option<Vec<_>>>().and_then(|times| times.into_iter().max()).is_some_and(|started| started < unready_since)
}

fn failure(pod: &Value, excused: Option<Timestamp>) -> Option<(String, Trouble)> {
    if exceeds_its_own_limit(pod) {
        return Some((format!("the pod was evicted: {}", cut(text(status(pod), "message"))), Trouble::Own));
    }
    let is_excused = |ended: &Value| finished(ended).zip(excused).is_some_and(|(ended, excused)| ended <= excused);
    if let Some(Waits { words, never_ran }) = waiting(pod, &HOPELESS) {
        return Some((words, if never_ran { Trouble::NeverRan } else { Trouble::Own }));
    }
    if let Some(Waits { words: reason, .. }) = waiting(pod, &[BACK_OFF]) {
        let newest = |ended: &&Value| finished(ended);
        let ended = list(pod, "containerStatuses").iter().flat_map(endings).max_by_key(newest);
        let of_init = init_containers(pod).filter(|one| waits_for(one, &[BACK_OFF])).flat_map(endings).max_by_key(newest);
        if !of_init.or(ended).is_some_and(is_excused) {
            let of_init =
                of_init.map(|ended| Trouble::Ended { at: finished(ended), perhaps_by_a_probe: false, tries: Tries::of_init(pod) });
            return Some((reason, of_init.or_else(|| ended.map(|ended| ended_at(pod, ended))).unwrap_or(Trouble::Own)));
        }
    }
    if let Some((sidecar, ended)) = sidecar_that_ended(pod).filter(|(_, ended)| !is_excused(ended)) {
        return Some((describe(sidecar, &format!("ended: {}", ending(ended)), text(ended, "message")), ended_at(pod, ended)));
    }
    // An init container may run again and again until what it waits for is there; a container that served must not end.
    for container in list(pod, "containerStatuses").iter().filter(|container| !is_resized(pod, container)) {
        if let Some(ended) = endings(container).find(|ended| !is_by_the_node(ended) && !is_excused(ended)) {
            return Some((describe(container, &format!("ended: {}", ending(ended)), text(ended, "message")), ended_at(pod, ended)));
        }
        let restarts = container.get("restartCount").and_then(Value::as_i64).unwrap_or_default();
        if restarts > 0 && endings(container).next().is_none() {
            return Some((describe(container, &format!("restarted {restarts} times"), ""), Trouble::Own));
        }
    }
    None
}

/// A sidecar may need some tries to start, and must not end once the pod is Ready.
fn sidecar_that_ended(pod: &Value) -> Option<(&Value, &Value)> {
    let ready = conditions::find(pod, "Ready").filter(|_| is_ready(pod))?;
    let ready: Timestamp = text(ready, "lastTransitionTime").parse().ok()?;
    let ended = |sidecar| endings(sidecar).find(|ended| !is_by_the_node(ended) && finished(ended).is_some_and(|at| at > ready));
    sidecars(pod).find_map(|sidecar| Some((sidecar, ended(sidecar)?)))
}

fn ended_at(pod: &Value, terminated: &Value) -> Trouble {
    Trouble::Ended { at: finished(terminated), perhaps_by_a_probe: perhaps_stopped(terminated), tries: Tries::of(pod) }
}

/// Of its own accord, by SIGKILL, by SIGTERM: the status doesn't tell who wanted it, the pod's Events do.
fn perhaps_stopped(terminated: &Value) -> bool {
    let code = terminated.get("exitCode").and_then(Value::as_i64).unwrap_or_default();
    text(terminated, "reason") != "OOMKilled" && matches!(code, 0 | 137 | 143)
}

/// What a container that waits says.
struct Waits {
    words: String,
    never_ran: bool,
}

/// Of the first that waits for one of these reasons.
fn waiting(pod: &Value, reasons: &[&str]) -> Option<Waits> {
    let mut containers = list(pod, "containerStatuses").iter().chain(list(pod, "initContainerStatuses"));
    containers.find_map(|container| {
        let waiting = container.pointer("/state/waiting").filter(|waiting| reasons.contains(&text(waiting, "reason")))?;
        if text(waiting, "reason").ends_with("ContainerError") && OF_THE_NODE.iter().any(|words| text(waiting, "message").contains(words)) {
            return None;
        }
        let last = container.pointer("/lastState/terminated");
        let ended = last.map(|ended| format!(" (last: {})", ending(ended))).unwrap_or_default();
        let words = describe(container, &format!("{}{ended}", text(waiting, "reason")), text(waiting, "message"));
        Some(Waits { words, never_ran: last.is_none() })
    })
}

/// The node, or its runtime, was started anew and found the container gone: nobody knows how it ended.
fn is_by_the_node(terminated: &Value) -> bool {
    matches!(text(terminated, "reason"), "Unknown" | "ContainerStatusUnknown")
}

fn ending(terminated: &Value) -> String {
    let code = terminated.get("exitCode").and_then(Value::as_i64).unwrap_or_default();
    let perhaps =
        if perhaps_stopped(terminated) { " (by itself, or stopped for a failing liveness probe: the pod's Events tell)" } else { "" };
    match text(terminated, "reason") {
        "" => format!("exit code {code}{perhaps}"),
        reason => format!("{reason}, exit code {code}{perhaps}"),
    }
}

fn describe(container: &Value, what: &str, message: &str) -> String {
    let message = if message.trim().is_empty() { String::new() } else { format!(": {}", cut(message)) };
    format!("container {} {what}{message}", text(container, "name"))
}

/// Why there is no pod at all: what the ReplicaSet was answered (a quota, a policy).
fn creation_failure(canary: &Value) -> Option<String> {
    let condition = conditions::find(canary, "ReplicaFailure")?;
    (text(condition, "status") == "True").then(|| cut(text(condition, "message")))
}

fn status(pod: &Value) -> &Value {
    pod.pointer("/status").unwrap_or(&Value::Null)
}

fn list<'a>(pod: &'a Value, name: &str) -> &'a [Value] {
    status(pod).get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests;

//! One Deployment with all that belongs to it: lines of keys and values, then the tree of ReplicaSets, pods and the canary.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::{Screen, age, images, table};
use crate::{
    api::{
        annotations::Phase,
        gates::Approval,
        policy::Policy,
        quantity::{format_count, format_duration},
    },
    manifest::{object, references},
    run::{canary, evidence::Look, times::elapsed},
    state::{HeldState, State},
    words::within,
};

/// What was read of the cluster. Empty lists where the right to look is missing.
#[derive(Debug, Clone, Default)]
pub struct Objects {
    pub primary: Value,
    /// The Deployment with the canary's name.
    pub namesake: Option<Value>,
    pub replica_sets: Vec<Value>,
    pub pods: Vec<Value>,
    /// What could not be read, in words.
    pub missing: Vec<String>,
    /// The Deployment's newest Event of ours: its reason and its words.
    pub last_event: Option<(String, String)>,
}

/// Everything that `status` prints.
pub fn status(objects: &Objects, now: Timestamp, screen: Screen) -> Vec<String> {
    let state = State::of(&objects.primary, objects.namesake.as_ref());
    let facts = facts(objects, &state, now).into_iter().map(|(name, value)| (name, fact(name, &value, screen.width)));
    let mut lines: Vec<String> =
        facts.map(|(name, line)| if name == "Phase" { coloured(&line, state.phase, screen) } else { line }).collect();
    lines.push(String::new());
    lines.extend(tree(objects, now, screen));
    lines.extend(objects.missing.iter().map(|missing| within(missing, screen.width)));
    lines
}

/// What is known of it, each by its name.
pub fn facts(objects: &Objects, state: &State, now: Timestamp) -> Vec<(&'static str, String)> {
    let mut facts = vec![("Name", state.name.clone()), ("Namespace", state.namespace.clone())];
    let phase = match state.phase {
        Some(phase) => {
            let since = state.since.map(|since| format!(" for {}", super::short(elapsed(since, now)))).unwrap_or_default();
            format!("{}{since}", phase.as_str())
        }
        None if state.enabled => "nothing was held yet; the next change of the template is tried first".to_owned(),
        None => "not opted in; to opt in: kubectl annotate deploy/".to_owned() + &state.name + " canary.enabled=true",
    };
    facts.push(("Phase", phase));
    if let Some(message) = state.message.as_ref().filter(|message| !message.is_empty()) {
        facts.push(("Verdict", message.clone()));
    }
    if let Some(invalid) = &state.invalid {
        facts.push(("Invalid", invalid.clone()));
    }
    match &state.held {
        Some(HeldState::Readable { template, manager, user }) => {
            facts.push(("Change", images(&state.live.images, &template.images)));
            facts.push(("Applied by", if user.is_empty() { manager.clone() } else { format!("{user} ({manager})") }));
        }
        Some(HeldState::Unreadable { reason }) => facts.push(("Held", reason.clone())),
        None => {}
    }
    if state.phase.is_some_and(Phase::is_trying)
        && let Ok(policy) = Policy::of(object::annotations(&objects.primary))
    {
        facts.extend(approval(state, &policy).map(|words| ("Approval", words)));
        if let Some(since) = state.paused_since {
            facts.push(("Paused", format!("for {}; to go on: kubectl coalmine resume {}", age(Some(since), now), state.name)));
        }
        let (duration, deadline) = (format_duration(policy.duration), format_duration(policy.deadline));
        let ready = state.canary.as_ref().and_then(|canary| canary.ready_since);
        let served = ready.map_or_else(|| "not Ready yet".to_owned(), |ready| format!("Ready for {}", age(Some(ready), now)));
        facts.push(("Canary", format!("{served}; judged for {duration}, given up after {deadline}")));
    }
    facts.extend(evidence(&state.evidence).map(|words| ("Evidence", words)));
    if let Some((reason, words)) = &objects.last_event {
        facts.push(("Last Event", format!("{reason}: {words}")));
    }
    facts
}

/// Who must agree, or has.
fn approval(state: &State, policy: &Policy) -> Option<String> {
    let asked = policy.gates.approval?;
    if let Some(approved) = &state.approved {
        return Some(format!("by {}", approved.words()));
    }
    let who = match (asked, &state.held) {
        (Approval::Other, Some(HeldState::Readable { user, .. })) => format!("somebody else than {user}"),
        _ => "anybody who may write this Deployment".to_owned(),
    };
    let when = if state.phase == Some(Phase::AwaitingApproval) { "waits for" } else { "will be asked of" };
    Some(format!("{when} {who}: kubectl coalmine approve {}", state.name))
}

/// What was counted so far, and how much is missing: `12 of 338 requests that are needed, 0 failed; about 40s at this rate; ...`.
pub fn evidence(looks: &[Look]) -> Option<String> {
    let last = looks.last()?;
    let failed = format!("{} failed", format_count(last.canary.failures));
    let seen = format_count(last.canary.requests);
    let requests = match last.needed {
        Some(needed) if needed > last.canary.requests => {
            format!("{seen} of {} requests that are needed, {failed}{}", format_count(needed), in_sight(looks, needed))
        }
        Some(_) => format!("{seen} requests, {failed}"),
        None => format!("{seen} requests, {failed}; no number of requests would show the limit"),
    };
    let against = format!("evidence against it {}:1 (100:1 rejects)", format_ratio(last.against));
    let primary = format!("primary {} of {} failed", format_count(last.primary.failures), format_count(last.primary.requests));
    Some(format!("{requests}; {primary}; {against}"))
}

/// When there will be enough, if it goes on as it did.
fn in_sight(looks: &[Look], needed: f64) -> String {
    let (Some(first), Some(last)) = (looks.first(), looks.last()) else { return String::new() };
    let seconds = elapsed(first.time, last.time).as_secs_f64();
    let per_second = (last.canary.requests - first.canary.requests) / seconds;
    let missing = (needed - last.canary.requests) / per_second;
    let is_known = seconds > 0.0 && per_second > 0.0 && missing < 86_400.0;
    let left = Duration::try_from_secs_f64(missing.ceil()).ok().filter(|_| is_known);
    left.map(|left| format!("; about {} at this rate", format_duration(left))).unwrap_or_default()
}

/// Three digits are more than anybody reads.
fn format_ratio(ratio: f64) -> String {
    if ratio >= 10.0 { format_count(ratio.round()) } else { format!("{ratio:.1}") }
}

/// Colours come last: they must not count as room, nor come from foreign words.
fn coloured(line: &str, phase: Option<Phase>, screen: Screen) -> String {
    let Some(phase) = phase else { return line.to_owned() };
    line.replacen(phase.as_str(), &screen.phase(Some(phase), phase.as_str()), 1)
}

/// A long value goes on under itself.
fn fact(name: &str, value: &str, width: usize) -> String {
    const INDENT: usize = 13;
    let room = width.saturating_sub(INDENT).max(20);
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    let clean: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    for word in clean.split(' ') {
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > room {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    format!("{:<INDENT$}{}", format!("{name}:"), lines.join(&format!("\n{}", " ".repeat(INDENT))))
}

fn tree(objects: &Objects, now: Timestamp, screen: Screen) -> Vec<String> {
    let mut rows = vec![["NAME", "KIND", "STATUS", "AGE", "INFO"].map(str::to_owned).to_vec()];
    rows.push(row(object::name(&objects.primary), "Deployment", &ready_of(&objects.primary), &objects.primary, now, "live template"));
    let canary = objects.namesake.as_ref().filter(|namesake| canary::is_canary_of(namesake, &objects.primary));
    let sets: Vec<&Value> = owned(&objects.replica_sets, &objects.primary).filter(|set| object::replicas(set) > 0).collect();
    for (index, set) in sets.iter().enumerate() {
        let last = index + 1 == sets.len() && canary.is_none();
        branch(objects, set, "", last, now, &mut rows);
    }
    if let Some(canary) = canary {
        rows.push(row(&format!("└──{}", object::name(canary)), "Deployment", &ready_of(canary), canary, now, "held template"));
        let sets: Vec<&Value> = owned(&objects.replica_sets, canary).filter(|set| object::replicas(set) > 0).collect();
        for (index, set) in sets.iter().enumerate() {
            branch(objects, set, "   ", index + 1 == sets.len(), now, &mut rows);
        }
    }
    table::lines(&rows, screen.width)
}

fn branch(objects: &Objects, set: &Value, indent: &str, last: bool, now: Timestamp, rows: &mut Vec<Vec<String>>) {
    let corner = if last { "└──" } else { "├──" };
    let revision = object::annotation(set, "deployment.kubernetes.io/revision").map(|it| format!("revision {it}")).unwrap_or_default();
    rows.push(row(&format!("{indent}{corner}{}", object::name(set)), "ReplicaSet", &ready_of(set), set, now, &revision));
    let pods: Vec<&Value> = owned(&objects.pods, set).collect();
    for (index, pod) in pods.iter().enumerate() {
        let trunk = if last { "   " } else { "│  " };
        let corner = if index + 1 == pods.len() { "└──" } else { "├──" };
        let (status, info) = pod_state(pod);
        rows.push(row(&format!("{indent}{trunk}{corner}{}", object::name(pod)), "Pod", &status, pod, now, &info));
    }
}

fn row(name: &str, kind: &str, status: &str, object: &Value, now: Timestamp, info: &str) -> Vec<String> {
    let created = object::metadata_text(object, "creationTimestamp").parse().ok();
    [name, kind, status, &age(created, now), info].map(str::to_owned).to_vec()
}

fn owned<'a>(objects: &'a [Value], owner: &'a Value) -> impl Iterator<Item = &'a Value> {
    objects.iter().filter(|candidate| references::is_owned_by(candidate, owner))
}

fn ready_of(workload: &Value) -> String {
    let ready = workload.pointer("/status/readyReplicas").and_then(Value::as_i64).unwrap_or_default();
    format!("{ready}/{} ready", object::replicas(workload))
}

/// The pod's phase, or the reason why a container waits; and its restarts.
fn pod_state(pod: &Value) -> (String, String) {
    let containers = pod.pointer("/status/containerStatuses").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let waiting = containers.iter().find_map(|container| container.pointer("/state/waiting/reason")?.as_str());
    let phase = pod.pointer("/status/phase").and_then(Value::as_str).unwrap_or("Unknown");
    let status = if object::is_being_deleted(pod) { "Terminating" } else { waiting.unwrap_or(phase) };
    let ready = containers.iter().filter(|container| container.get("ready") == Some(&Value::Bool(true))).count();
    let restarts: i64 = containers.iter().filter_map(|container| container.get("restartCount")?.as_i64()).sum();
    let restarts = if restarts > 0 { format!(", {restarts} restarts") } else { String::new() };
    (status.to_owned(), format!("{ready}/{} ready{restarts}", containers.len()))
}

/// The last line of a watch that is no terminal: the phase, and the verdict's words.
pub fn ending(state: &State) -> String {
    match (state.phase, &state.message) {
        (None, _) => "nothing is held".to_owned(),
        (Some(phase), Some(message)) if !message.is_empty() => within(&format!("{}: {message}", phase.as_str()), 2000),
        (Some(phase), _) => phase.as_str().to_owned(),
    }
}

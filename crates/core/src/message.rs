//! Every sentence that a user reads, made last, from data. Here those of admission; `findings` has those of judgements, `why` the messages of
//! phases, `events` the words of Events. A warning is one line of at most 120 characters without control characters: the API server drops
//! the others silently.

pub mod denied;
pub mod events;
pub mod findings;
pub mod why;

use std::time::Duration;

use crate::{
    api::{
        annotations::{Phase, STATE_VERSION},
        quantity::format_duration,
    },
    facts::why::Closed,
    manifest::workload::address,
    words::{cut, one_line, within},
};

const SCALED_TO_ZERO: &str = "scaled to zero, so there is no traffic to judge by; the template is tried anew when it is scaled up";

/// What the API server passes on of one warning.
pub const LONGEST_WARNING: usize = 120;

/// Makes any text fit to be a warning.
pub fn warning(text: &str) -> String {
    within(text, LONGEST_WARNING)
}

/// The first of these that fits: a command that is cut is none.
fn fitting(texts: &[String]) -> String {
    let fits = |text: &&String| text.chars().count() <= LONGEST_WARNING;
    warning(texts.iter().find(fits).or(texts.last()).map_or("", String::as_str))
}

pub fn held(name: &str, canary: &str, duration: Duration) -> String {
    let (address, duration) = (address(name), format_duration(duration));
    let watch = format!("watch: kubectl events --for {address} -w");
    fitting(&[
        format!("canary: template held; trying it in {canary} for {duration}; {watch}"),
        format!("canary: template held; trying it for {duration}; {watch}"),
        format!("canary: template held; trying it for {duration}; watch: kubectl events -w"),
    ])
}

pub fn held_again(canary: &str) -> String {
    warning(&format!("canary: this template is already held; {canary} is trying it"))
}

pub fn superseded(by_another_client: bool, manager: &str) -> String {
    if by_another_client {
        warning(&format!("canary: the template held before, from {manager:?}, is dropped: this one was computed without it"))
    } else {
        warning("canary: the template held before is dropped; the canary starts over")
    }
}

/// A change that was made to what is on trial, where both set one thing.
pub fn overrides(later: &str, earlier: &str, field: &str) -> String {
    warning(&format!("canary: the canary starts over; {later:?} overrides {earlier:?} at {}", last_steps(field)))
}

/// The end of a path, which says most; the whole is in the Event.
fn last_steps(field: &str) -> &str {
    const LONGEST: usize = 40;
    if field.len() <= LONGEST {
        return field;
    }
    let from = field.ceil_char_boundary(field.len() - LONGEST);
    field[from..].find(['.', '[']).map_or(field, |step| field[from + step..].trim_start_matches('.'))
}

/// The same for the Event.
pub fn merged(earlier: &str, later: &str, user: &str, conflict: Option<&str>) -> String {
    let conflict = conflict.map(|field| format!("; both set {field}, where {later:?} counts as the later")).unwrap_or_default();
    one_line(&format!(
        "a change by {later:?} ({user}) was made to the template on trial from {earlier:?}{conflict}; the canary starts over"
    ))
}

/// To the client whose template it is, and who says nothing of it.
pub fn still_on_trial(name: &str) -> String {
    let address = address(name);
    fitting(&[
        format!("canary: a template is on trial still; to drop it: kubectl annotate {address} --overwrite canary.enabled=false"),
        "canary: a template is on trial still; to drop it: the annotation canary.enabled=false".to_owned(),
    ])
}

/// To an applier of the live template, whose statement takes back a part of what is on trial.
pub fn is_for_later(field: &str) -> String {
    warning(&format!("canary: what is on trial differs at {}; apply this again when that has ended", last_steps(field)))
}

/// What several appliers have on trial together, or one of them after another went back.
pub fn together(managers: &[&str]) -> String {
    let names: Vec<String> = managers.iter().map(|manager| format!("{manager:?}")).collect();
    let rest = if names.len() > 1 { " together" } else { " alone" };
    warning(&format!("canary: the canary starts over, with what comes from {}{rest}", names.join(" and ")))
}

/// Nobody reads it there.
pub fn misplaced(key: &str) -> String {
    warning(&format!("canary: {key} does nothing on the pod template; write it on the Deployment itself"))
}

/// Of what is written as if the Deployment were opted in.
pub fn not_opted_in(key: &str) -> String {
    warning(&format!("canary: {} does nothing: the Deployment has no annotation canary.enabled: \"true\"", short(key)))
}

pub fn only_deployments(kind: &str) -> String {
    warning(&format!("canary: canary.enabled does nothing on a {}: only Deployments have canaries", short(kind)))
}

pub fn label(key: &str) -> String {
    warning(&format!("canary: {} does nothing as a label; write it as an annotation of the Deployment", short(key)))
}

/// A name beside which the rest of a warning has its place.
fn short(key: &str) -> String {
    within(key, 50)
}

pub fn withdrawn() -> String {
    warning("canary: back to the live template; the held one is withdrawn")
}

pub fn kept_out(verdict: &str, name: &str) -> Vec<String> {
    let address = address(name);
    vec![
        warning(&format!("canary: this template stays out: {verdict}")),
        fitting(&[
            format!("canary: to try it again: kubectl annotate {address} --overwrite canary.retry=$(date +%s)"),
            "canary: to try it again: the annotation canary.retry with another value, such as the time".to_owned(),
        ]),
    ]
}

pub fn bypassed() -> String {
    warning("canary: template let through without a canary, as canary.bypass asks; an Event records it")
}

pub fn bypass_without_template() -> String {
    warning("canary: canary.bypass counts only in the request that changes the template; nothing was let through")
}

pub fn rolled_back() -> String {
    warning("canary: this template was live before; let through at once")
}

pub fn skipped() -> String {
    warning("canary: no replicas, so no traffic to judge with; template let through")
}

pub fn cancelled() -> String {
    warning("canary: opted out; the held template is dropped")
}

pub fn state_undone(key: &str) -> String {
    warning(&format!("canary: {key} is Coalmine's own; the change to it was undone"))
}

pub fn shared_volume(volume: &str) -> String {
    warning(&format!("canary: volume {volume} is a claim: if it is ReadWriteOnce, the canary shares it or waits for its node"))
}

pub fn said_too_early(key: &str) -> String {
    warning(&format!("canary: {key} counts while this template is on trial, in a request of its own; nothing was done"))
}

pub fn said_before(key: &str) -> String {
    warning(&format!("canary: {key} said the same before this trial, and counts when it changes: give another reason"))
}

pub fn approved(waits: bool) -> String {
    warning(if waits {
        "canary: approved; the template is let in"
    } else {
        "canary: approved; the template is let in once it has proved itself"
    })
}

pub fn ordered(what: &str) -> String {
    warning(&format!("canary: the template on trial is {what}, as you ask; an Event records it"))
}

pub fn not_now(closed: &Closed) -> String {
    warning(&format!("canary: not tried now: {}", why::closed(closed)))
}

/// Of names in `canary.notify`, written `on` the Deployment or its namespace; `known` is what there is instead.
pub fn unknown_sinks(on: &str, names: &[&str], known: &str) -> String {
    warning(&format!("canary: canary.notify on the {on}: no sink is called {}; there {known}", names.join(", ")))
}

/// `canary.notify` where no sinks are set up.
pub fn no_sinks() -> String {
    warning("canary: canary.notify: nobody is told: Coalmine has no sinks here; ask who runs it")
}

pub fn unchecked() -> String {
    warning("canary: the template could not be checked in time; it is held unchecked")
}

pub fn fault() -> String {
    warning("canary: Coalmine met a fault of its own and did not look at this; let through, since it is not opted in")
}

/// What a newer Coalmine holds in a way that this one can't read.
pub fn newer_state(version: u32) -> String {
    format!("this Deployment's template is held by a newer Coalmine, whose state {version} this version ({STATE_VERSION}) can't read")
}

/// For an Event.
pub fn fault_at_work() -> String {
    "Coalmine met a fault of its own while it worked on this Deployment; the live template stays, and it is tried again; its log names the \
     place: please report it. To drop the held template, apply the live one"
        .to_owned()
}

/// For an Event, of what keeps failing, such as for lack of a right of Coalmine's own.
pub fn failure_at_work(words: &str) -> String {
    format!("Coalmine can't look after this Deployment: {}; the live template stays, and it is tried again until the deadline", cut(words))
}

/// The same as a verdict.
pub fn not_looked_after(words: &str) -> String {
    format!("Coalmine could not look after it: {}", cut(words))
}

/// The message of the conditions while a template is held or kept out, and afterwards.
pub fn condition(phase: Phase, message: Option<&str>) -> String {
    match (phase, message) {
        (Phase::Held, None) => "the new template is held; its canary is about to start".to_owned(),
        (Phase::Running, None) => "the new template is held; its canary is running".to_owned(),
        (Phase::Held, Some(message)) => format!("the new template is held: {message}"),
        (_, Some(message)) => message.to_owned(),
        (phase, None) => phase.as_str().to_owned(),
    }
}

/// ` by "kubectl"`, where it is known who did it.
fn by(manager: Option<&str>) -> String {
    manager.map(|manager| format!(" by {manager:?}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_fits() {
        let long = format!("x\n{}", "y".repeat(200));
        let text = warning(&long);
        assert_eq!(text.chars().count(), 120);
        assert!(!text.contains('\n'));
    }

    #[test]
    fn a_command_that_does_not_fit_is_left_out() {
        let name = "a".repeat(253);
        let all = [held(&name, "a-canary", Duration::from_mins(1)), still_on_trial(&name), kept_out("x", &name).remove(1)].join("\n");
        insta::assert_snapshot!(all, @r"
        canary: template held; trying it for 60s; watch: kubectl events -w
        canary: a template is on trial still; to drop it: the annotation canary.enabled=false
        canary: to try it again: the annotation canary.retry with another value, such as the time
        ");
    }

    #[test]
    fn sentences() {
        let minute = Duration::from_mins(1);
        let long_name = "a-rather-long-name-for-a-deployment";
        let all = [
            held("app", "app-canary", minute),
            held(long_name, &format!("{long_name}-canary"), minute),
            held_again("app-canary"),
            superseded(false, "kubectl"),
            superseded(true, "kubectl-set"),
            withdrawn(),
            kept_out("error rate 48.1% (1,204 of 2,503 requests) exceeds 1% after 12s; primary 0.02%; template kept out", "app").join("\n"),
            bypassed(),
            bypass_without_template(),
            rolled_back(),
            skipped(),
            cancelled(),
            state_undone("canary.state/phase"),
            unknown_sinks("Deployment", &["paymets"], "are payments, ops"),
            no_sinks(),
            unchecked(),
            denied::too_large(300_000, 262_144, 120_000),
            denied::helm_leftovers("spec.template.spec.containers[app].env[VX]"),
        ]
        .join("\n");
        insta::assert_snapshot!(all, @r#"
canary: template held; trying it in app-canary for 60s; watch: kubectl events --for deploy/app -w
canary: template held; trying it for 60s; watch: kubectl events --for deploy/a-rather-long-name-for-a-deployment -w
canary: this template is already held; app-canary is trying it
canary: the template held before is dropped; the canary starts over
canary: the template held before, from "kubectl-set", is dropped: this one was computed without it
canary: back to the live template; the held one is withdrawn
canary: this template stays out: error rate 48.1% (1,204 of 2,503 requests) exceeds 1% after 12s; primary 0.02%; templa…
canary: to try it again: kubectl annotate deploy/app --overwrite canary.retry=$(date +%s)
canary: template let through without a canary, as canary.bypass asks; an Event records it
canary: canary.bypass counts only in the request that changes the template; nothing was let through
canary: this template was live before; let through at once
canary: no replicas, so no traffic to judge with; template let through
canary: opted out; the held template is dropped
canary: canary.state/phase is Coalmine's own; the change to it was undone
canary: canary.notify on the Deployment: no sink is called paymets; there are payments, ops
canary: canary.notify: nobody is told: Coalmine has no sinks here; ask who runs it
canary: the template could not be checked in time; it is held unchecked
canary: holding this template needs 300,000 bytes of annotations (120,000 of them for the held template), more than the 262,144 that an object may have; shorten the manifest, or let the template through with canary.bypass
canary: this template can't be told apart from leftovers of the live one at spec.template.spec.containers[app].env[VX] while another is held; run `helm rollback` first, or use `helm upgrade --server-side=true`
"#);
    }
}

//! The words of Events. One line each; when one is told is not said here.

use super::{findings, why};
use crate::{
    api::{annotations::Phase, quantity::format_duration},
    facts::event::{Changed, Event, Refusal, Unreached},
    manifest::workload::address,
};

pub fn note(event: &Event) -> String {
    match event {
        Event::Held { requested_by, canary, duration } => {
            let of = requested_by.as_deref().map(|name| format!(" of {name}")).unwrap_or_default();
            format!("template{of} held; trying it in {canary} for {}", format_duration(*duration))
        }
        Event::Started { canary } => format!("created {canary} with one replica of the held template"),
        Event::Analyzing { canary, is_again, duration } => {
            let state = if *is_again { "Ready again, with another pod" } else { "Ready" };
            format!("{canary} is {state}; judging its traffic for {}", format_duration(*duration))
        }
        Event::Reading(reading) => {
            format!("{}; to fix this choice: canary.metrics: {}", findings::reading(reading), findings::spelling(reading))
        }
        Event::Unreached(how) => unreached(how),
        Event::CanarySuperseded { canary } => format!("{canary} tried a template that was superseded; starting over"),
        Event::LiveBroken { missing } => format!(
            "the live template can't start another pod: {}; put it back, or let the held template in with canary.bypass",
            missing.join(", ")
        ),
        Event::Merged(words) => words.clone(),
        Event::Changed { canary, how } => format!("{canary} {}; starting over", changed(how)),
        Event::ScaledToZero => super::SCALED_TO_ZERO.to_owned(),
        Event::NotNow(closed) => format!("template held; {}", why::closed(closed)),
        Event::PausedBeforeItBegan => "template held; paused before it began; to go on: canary.paused: \"false\"".to_owned(),
        Event::Paused => {
            "paused: the clock stands still, and nothing but a gross failure counts; to go on: canary.paused: \"false\"".to_owned()
        }
        Event::Resumed { duration } => format!("resumed; judging its traffic anew for {}", format_duration(*duration)),
        Event::AwaitsApproval { name, run, message } => {
            format!("{message}: kubectl annotate {} --overwrite canary.approve={run}", address(name))
        }
        Event::Waiting(found) => findings::words(found),
        Event::ConfigMissing { words, patience } => format!("{words}; waiting {} for it to be there", format_duration(*patience)),
        Event::NotReady { canary, words } => {
            let words = words.as_deref().map(|words| format!(" ({words})")).unwrap_or_default();
            format!("{canary} is not Ready any more, through no fault of the template{words}; waiting for it")
        }
        Event::NotReadyYet { canary, after, deadline, words } => {
            format!("{canary} is not Ready after {}: {words}; given up after {}", format_duration(*after), format_duration(*deadline))
        }
        Event::Unsteady { duration } => why::unsteady(*duration),
        Event::SharedTrouble(trouble) => format!("{}; waiting for it to be over", why::shared_trouble(trouble)),
        Event::MetricsUnavailable(found) => {
            format!("metrics can't be read: {}; nothing is promoted or rejected for it", findings::words(found))
        }
        Event::Refused { what, words } => refused(what, words),
        Event::NewerState { version } => super::newer_state(*version),
        Event::Ended { phase, message, requested_by } => ended(*phase, message, requested_by.as_deref()),
        Event::RolledOut => "the primary runs the promoted template on all replicas".to_owned(),
        Event::RolloutFailed { name, words } => {
            format!("the promoted template does not roll out: {words}; go back with `kubectl rollout undo {}`", address(name))
        }
        Event::NotificationFailed { sink, phase, why } => {
            format!("{sink} was not told that it is {}: {why}; the verdict stands", phase.as_str())
        }
        Event::Failure(words) => super::failure_at_work(words),
        Event::Fault => super::fault_at_work(),
    }
}

/// What became of a template, and who had asked for it. What ends a hold otherwise says by itself who did.
fn ended(phase: Phase, message: &str, requested_by: Option<&str>) -> String {
    match requested_by {
        Some(name) if matches!(phase, Phase::Promoted | Phase::Rejected | Phase::Inconclusive) => format!("{message}; asked for by {name}"),
        _ => message.to_owned(),
    }
}

fn changed(how: &Changed) -> String {
    match how {
        Changed::Template { by } => format!("was changed{}, and no longer runs the held template alone", super::by(by.as_deref())),
        Changed::Replicas(replicas) => format!("was scaled to {replicas} replicas, and is to be one pod beside the primary's"),
    }
}

pub fn unreached(how: &Unreached) -> String {
    match how {
        Unreached::NoService { primary } => format!("no Service selects the pods of {primary}: the canary may get no traffic"),
        Unreached::NotSelected { service } => {
            format!("Service {service} selects the primary's pods but not the canary's: it gets no traffic from there")
        }
        Unreached::NoPort { service, port } => format!(
            "Service {service} sends requests to port {port}, which no container of the held template opens: they fail there, or go elsewhere"
        ),
        Unreached::Ahead { service } => format!(
            "Service {service} selects pods of the held template and none of the live one: until that is promoted, the canary alone serves what it sends"
        ),
        Unreached::PortAhead { service, port } => format!(
            "Service {service} sends requests to port {port}, which the held template opens and the live one doesn't: they fail at its pods until the promotion"
        ),
    }
}

fn refused(what: &Refusal, words: &str) -> String {
    match what {
        Refusal::Create { deadline } => {
            format!("the canary can't be created: {words}; trying until the deadline ({})", format_duration(*deadline))
        }
        Refusal::Promotion { deadline } => {
            format!("the template can't be promoted: {words}; trying until the deadline ({})", format_duration(*deadline))
        }
        Refusal::Delete { canary } => format!("{canary} can't be deleted: {words}; trying again"),
        Refusal::Write { tries_status: true } => format!("the Deployment can't be written to: {words}; writing to its status"),
        Refusal::Aside => format!("something that only tells of it can't be written: {words}; going on without"),
        Refusal::Write { tries_status: false } => format!("the Deployment can't be written to: {words}; trying again"),
    }
}

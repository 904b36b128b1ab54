//! Events on the primary. Written by hand rather than by kube's recorder, which joins two Events of one reason and keeps the words of the
//! first: ours carry the numbers in their words. The same words are not said twice in a row by one process, nor is it told again and again
//! in other words that something is waited for.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event as ClusterEvent},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, api::PostParams};
use serde_json::Value;

use super::Context;
use crate::clock;
use coalmine_core::{
    hold::admit::FIELD_MANAGER,
    manifest::object,
    run::plan::{Event, elapsed},
};

/// What the API server takes of a note, and of a name, in bytes.
const LONGEST_NOTE: usize = 1024;
const LONGEST_NAME: usize = 253;
const CONTROLLER: &str = "coalmine.dev/controller";

/// What is waited for is told again in other words after so long; after twice as long the next time.
const FIRST_SILENCE: Duration = Duration::from_mins(1);

/// The Event that was said last.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Said {
    event: Event,
    at: Timestamp,
    silence: Duration,
}

/// What is remembered when this is said now; `None` if it is better not said.
fn say(last: Option<&Said>, event: &Event, now: Timestamp) -> Option<Said> {
    let silence = match last {
        Some(last) if last.event == *event => return None,
        Some(last) if last.event.reason == event.reason && event.reason == "CanaryWaiting" => {
            if elapsed(last.at, now) < last.silence {
                return None;
            }
            last.silence * 2
        }
        _ => FIRST_SILENCE,
    };
    Some(Said { event: event.clone(), at: now, silence })
}

impl Context {
    /// Publishes an Event about the primary. A failure is logged and that is all: an Event must never hold up a verdict.
    pub(super) async fn publish(&self, primary: &Value, event: &Event) {
        let key = format!("{}/{}", object::namespace(primary), object::name(primary));
        {
            let mut memory = self.memory.lock().await;
            let said = &mut memory.entry(key).or_default().said;
            let Some(now) = say(said.as_ref(), event, clock::now()) else { return };
            *said = Some(now);
        }
        tracing::info!(
            namespace = object::namespace(primary),
            name = object::name(primary),
            reason = event.reason,
            note = event.note,
            "event"
        );
        let events = Api::<ClusterEvent>::namespaced(self.client.clone(), object::namespace(primary));
        if let Err(error) = events.create(&PostParams::default(), &self.cluster_event(primary, event, clock::now())).await {
            tracing::warn!(error = %super::chain(&error), reason = event.reason, "failed to publish an Event");
        }
    }

    fn cluster_event(&self, primary: &Value, event: &Event, now: Timestamp) -> ClusterEvent {
        // One step may tell several things at the same moment, each once.
        let suffix = format!(".{:x}.{}", now.as_nanosecond(), event.reason.to_ascii_lowercase());
        let name: String = object::name(primary).chars().take(LONGEST_NAME - suffix.len()).collect();
        ClusterEvent {
            action: Some("Canary".to_owned()),
            event_time: Some(MicroTime(now)),
            metadata: ObjectMeta {
                name: Some(format!("{name}{suffix}")),
                namespace: Some(object::namespace(primary).to_owned()),
                ..ObjectMeta::default()
            },
            note: Some(event.note[..event.note.floor_char_boundary(LONGEST_NOTE)].to_owned()),
            reason: Some(event.reason.to_owned()),
            regarding: Some(ObjectReference {
                api_version: Some("apps/v1".to_owned()),
                kind: Some("Deployment".to_owned()),
                name: Some(object::name(primary).to_owned()),
                namespace: Some(object::namespace(primary).to_owned()),
                uid: Some(object::uid(primary).to_owned()),
                ..ObjectReference::default()
            }),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(if self.identity.is_empty() { FIELD_MANAGER.to_owned() } else { self.identity.clone() }),
            type_: Some(if event.warning { "Warning" } else { "Normal" }.to_owned()),
            ..ClusterEvent::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_told_seldom_and_everything_else_once() {
        let event = |reason: &'static str, note: &str| Event { reason, note: note.to_owned(), warning: false };
        let at = |seconds: i64| Timestamp::from_second(1_800_000_000 + seconds).unwrap();
        let story = [
            (0, event("CanaryWaiting", "no scrape yet"), true),
            (30, event("CanaryWaiting", "connection refused"), false),
            (60, event("CanaryWaiting", "no scrape yet"), false),
            (61, event("CanaryWaiting", "connection refused"), true),
            (122, event("CanaryWaiting", "timed out"), false),
            (181, event("CanaryWaiting", "timed out"), true),
            (182, event("CanaryRejected", "error rate 100%"), true),
            (9999, event("CanaryRejected", "error rate 100%"), false),
            (9999, event("CanaryWaiting", "timed out"), true),
        ];
        let mut last = None;
        for (seconds, event, expected) in story {
            let said = say(last.as_ref(), &event, at(seconds));
            assert_eq!(said.is_some(), expected, "{seconds}: {event:?}");
            last = said.or(last);
        }
    }
}

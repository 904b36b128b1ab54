//! Events on the primary. Written by hand rather than by kube's recorder, which joins two Events of one reason and keeps the words of the
//! first: ours carry the numbers in their words. What is told, and when again, the core decides.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event as ClusterEvent},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Api, api::PostParams};
use serde_json::Value;

use super::Context;
use crate::{clock, kubernetes::is_refusal};
use coalmine_core::{
    facts::event::{Event, Reason},
    hold::admit::FIELD_MANAGER,
    manifest::{key::Key, object, workload},
    message::events::note,
};

/// What the API server takes of a note, and of a name, in bytes.
const LONGEST_NOTE: usize = 1024;
const LONGEST_NAME: usize = 253;
/// Of a step, after a failure that passes: nobody else says it.
const AGAIN: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];
const CONTROLLER: &str = "coalmine.dev/controller";

impl Context {
    /// Publishes an Event about the primary. A failure is logged and that is all: an Event must never hold up a verdict.
    pub(super) async fn publish(&self, primary: &Value, event: &Event) {
        let (key, reason, words) = (Key::of(primary), event.reason(), note(event));
        if !self.remembered.lock().await.entry(key.clone()).or_default().told.tell(reason, &words, clock::now()) {
            return;
        }
        // A step is seen once; a state that lasts is told when it is seen again.
        if !self.write_event(primary, event).await && reason.lasts() {
            self.remembered.lock().await.entry(key).or_default().told.forget(reason);
        }
    }

    /// The same, however often it was told. Whether it may be left at that: it is written, or nobody wants it written.
    pub(super) async fn write_event(&self, primary: &Value, event: &Event) -> bool {
        let (reason, note) = (event.reason(), note(event));
        tracing::info!(namespace = object::namespace(primary), name = object::name(primary), reason = reason.as_str(), note, "event");
        let events = Api::<ClusterEvent>::namespaced(self.client.clone(), object::namespace(primary));
        let written = self.cluster_event(primary, reason, &note, clock::now());
        let mut pauses = AGAIN.iter();
        loop {
            let Err(error) = events.create(&PostParams::default(), &written).await else { return true };
            // Written by a try whose answer was lost.
            if matches!(&error, kube::Error::Api(status) if status.is_already_exists()) {
                return true;
            }
            tracing::warn!(error = %super::chain(&error), reason = reason.as_str(), "failed to publish an Event");
            if matches!(&error, kube::Error::Api(status) if is_refusal(status.code) || status.is_not_found()) {
                return true;
            }
            let Some(pause) = pauses.next().filter(|_| !reason.lasts()) else { return false };
            tokio::time::sleep(*pause).await;
        }
    }

    fn cluster_event(&self, primary: &Value, reason: Reason, note: &str, now: Timestamp) -> ClusterEvent {
        // One step may tell several things at the same moment, each once.
        let suffix = format!(".{:x}.{}", now.as_nanosecond(), reason.as_str().to_ascii_lowercase());
        let name: String = object::name(primary).chars().take(LONGEST_NAME - suffix.len()).collect();
        // What is cut may not end where a part of a name may not.
        let name = name.trim_end_matches(['-', '.']);
        ClusterEvent {
            action: Some("Canary".to_owned()),
            event_time: Some(MicroTime(now)),
            metadata: ObjectMeta {
                name: Some(format!("{name}{suffix}")),
                namespace: Some(object::namespace(primary).to_owned()),
                ..ObjectMeta::default()
            },
            note: Some(note[..note.floor_char_boundary(LONGEST_NOTE)].to_owned()),
            reason: Some(reason.as_str().to_owned()),
            regarding: Some(ObjectReference {
                api_version: Some(workload::API_VERSION.to_owned()),
                kind: Some(workload::KIND.to_owned()),
                name: Some(object::name(primary).to_owned()),
                namespace: Some(object::namespace(primary).to_owned()),
                uid: Some(object::uid(primary).to_owned()),
                ..ObjectReference::default()
            }),
            reporting_controller: Some(CONTROLLER.to_owned()),
            reporting_instance: Some(if self.identity.is_empty() { FIELD_MANAGER.to_owned() } else { self.identity.clone() }),
            type_: Some(if reason.is_warning() { "Warning" } else { "Normal" }.to_owned()),
            ..ClusterEvent::default()
        }
    }
}

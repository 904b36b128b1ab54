//! CREATE: nothing to compare with, so the template passes. State that comes with the object (a copy, a backup) is not believed.

use serde_json::Value;

use super::{Admission, Effect, Request, Settings, changeable, overlap, policy};
use crate::{
    api::annotations::{ACTIVE_LABEL, ENABLED, LAST_APPLIED, STATE_PREFIX},
    manifest::{
        last_applied,
        object::{self, is_asked_for, metadata_map_mut},
    },
    message::denied,
};

pub(super) fn admit(settings: &Settings, request: &Request<'_>) -> Admission {
    let sent = object::annotations(request.new);
    if is_asked_for(sent) {
        if let Some(label) = overlap::own_label(request.new) {
            return Admission::denied(denied::own_label(label));
        }
        match policy(settings.checks, sent, object::namespace(request.new)) {
            Err(invalid) => return Admission::denied(format!("canary: {invalid}")),
            Ok(policy) if overlap::is_refused(request.new, &policy) => return Admission::denied(denied::overlap()),
            Ok(_) => {}
        }
    }
    let mut changed = changeable(request.new);
    if !sent.is_empty()
        && let Some(annotations) = metadata_map_mut(&mut changed, "annotations")
    {
        annotations.retain(|name, _| !name.starts_with(STATE_PREFIX));
        if annotations.get(ENABLED).and_then(Value::as_str) == Some("held") {
            annotations.insert(ENABLED.to_owned(), "true".into());
        }
        if let Some(text) = annotations.get(LAST_APPLIED).and_then(Value::as_str) {
            let text = last_applied::without_state(text);
            annotations.insert(LAST_APPLIED.to_owned(), text.into());
        }
    }
    if object::label(request.new, ACTIVE_LABEL).is_some()
        && let Some(labels) = metadata_map_mut(&mut changed, "labels")
    {
        labels.remove(ACTIVE_LABEL);
    }
    Admission::changed(request.new, changed, Vec::new(), Effect::Passed)
}

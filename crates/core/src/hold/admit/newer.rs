//! UPDATE of a Deployment whose template a newer Coalmine holds, in a way that this version can't read: after a downgrade, or in the middle of
//! an upgrade. What that one wrote is kept as it is, and nothing goes live past it. It reads nothing of the record but its version.

use serde_json::Value;

use super::{Admission, Effect, Request, Settings, changeable};
use crate::{
    api::annotations::{self as key, ACTIVE_LABEL},
    hold::held,
    manifest::{
        object::{self, is_opted_in, metadata_map_mut, text},
        template,
    },
    message::denied,
};

/// `None`: no newer version has to do with it, or the user wants no canary any more, for which nothing has to be read.
pub(super) fn admit(settings: &Settings, request: &Request<'_>, old: &Value) -> Option<Admission> {
    let version = held::newer_version(old)?;
    // The newer version's controller, by way of a replica that is still the older: it knows what it does.
    if request.username == settings.controller {
        return Some(Admission::passed());
    }
    let (before, sent) = (object::annotations(old), object::annotations(request.new));
    let bypasses = text(sent, key::BYPASS).is_some_and(|reason| text(before, key::BYPASS) != Some(reason));
    if !is_opted_in(sent) || bypasses {
        return None;
    }
    if !template::same(object::template(old), object::template(request.new)) {
        return Some(Admission::denied(denied::newer_state(version)));
    }
    let labels = old.pointer("/metadata/labels").and_then(Value::as_object).cloned().unwrap_or_default();
    let mut changed = changeable(request.new);
    // `canary.enabled` reads `held` meanwhile, for clients that compare.
    object::keep(metadata_map_mut(&mut changed, "annotations")?, before, |name| {
        name.starts_with(key::STATE_PREFIX) || name == key::ENABLED
    });
    object::keep(metadata_map_mut(&mut changed, "labels")?, &labels, |name| name == ACTIVE_LABEL);
    Some(Admission::changed(request.new, changed, Vec::new(), Effect::Kept))
}

//! What a user is told at once about names that no sink has. Nothing is refused for them: a notification must never keep a template out.

use serde_json::{Map, Value};

use super::sinks::Sinks;
use crate::{
    api::{annotations as key, policy::Policy},
    hold::admit::{Admission, Effect, Request},
    manifest::object,
    message,
};

/// Where the names come, and where a template is held.
pub fn of_deployment(sinks: &Sinks, request: &Request<'_>, admission: &Admission) -> Option<String> {
    let annotations = object::annotations(request.new);
    let before = request.old.and_then(|old| object::annotation(old, key::NOTIFY));
    if admission.effect == Effect::Denied
        || !object::is_opted_in(annotations)
        || (before == object::text(annotations, key::NOTIFY) && admission.effect != Effect::Held)
    {
        return None;
    }
    let names = Policy::of(annotations).ok()?.notify.sinks?;
    unknown(sinks, "Deployment", &names)
}

/// Where a template is held, and its Deployment says nothing itself.
pub fn of_namespace(sinks: &Sinks, annotations: &Map<String, Value>, names: Option<&[String]>) -> Option<String> {
    if annotations.contains_key(key::NOTIFY) { None } else { unknown(sinks, "namespace", names?) }
}

fn unknown(sinks: &Sinks, on: &str, names: &[String]) -> Option<String> {
    if names.is_empty() {
        return None;
    }
    if sinks.is_empty() {
        return Some(message::no_sinks());
    }
    let unknown = sinks.unknown(names);
    (!unknown.is_empty()).then(|| message::unknown_sinks(on, &unknown, &sinks.known()))
}

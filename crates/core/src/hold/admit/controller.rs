//! What the controller may write: the held template, while it is on trial, and its own annotations. The right to promote is checked
//! here and nowhere else, so that not even the controller can write a template that was not held.

use serde_json::{Map, Value};

use super::{Admission, Effect, Request, changeable};
use crate::{
    api::{
        annotations::{self as key, Phase},
        policy::Policy,
    },
    hold::{
        held::{Held, Record},
        rejected,
    },
    manifest::{
        identity::Identity,
        last_applied,
        managed_fields::{drop_manager, put_records, records as sent_records, with_template_owners},
        object::{self, metadata_map_mut, text},
        template,
    },
    message::denied,
    run::gates,
    standing::Standing,
};

pub use crate::api::annotations::FIELD_MANAGER;

pub(super) fn admit(request: &Request<'_>, old: &Value) -> Admission {
    let (live, sent) = (object::template(old), object::template(request.new));
    if template::same(live, sent) {
        return write_state(request, old);
    }
    if request.dry_run {
        return Admission::passed();
    }
    let (before, standing) = (object::annotations(old), Standing::of(old));
    // The controller writes a phase or a template, never both: with a phase, the template is what another webhook made of the live one.
    if standing.phase != Standing::of(request.new).phase {
        return write_state(request, old);
    }
    if !standing.is_trying() {
        return Admission::denied(denied::not_being_tried());
    }
    let Some(held) = standing.held.and_then(|text| Held::decode(text).ok()) else {
        return Admission::denied(denied::not_being_tried());
    };
    let live = Identity::of_object(old);
    if !held.is_against(&live) {
        return Admission::denied(denied::outdated());
    }
    if !template::same(&held.template, sent) || !same_but_for_template(old, request.new) {
        return Admission::denied(denied::not_the_held_template());
    }
    // Whatever the controller makes of it: who must agree has agreed.
    let asked = Policy::of(before).ok().and_then(|policy| policy.gates.approval);
    if asked.is_some_and(|asked| gates::approved(&standing, asked, &held.user).is_none()) {
        return Admission::denied(denied::not_approved());
    }
    promote(request, old, &live, held)
}

/// B becomes the live template, and the records become those that the user's own request would have left.
fn promote(request: &Request<'_>, old: &Value, live: &Identity, held: Held) -> Admission {
    let mut changed = changeable(request.new);
    let proven = proven_after(old, live, &Identity::of(&held.template, &held.owners));
    if let Some(annotations) = metadata_map_mut(&mut changed, "annotations") {
        end_hold(annotations);
        annotations.insert(key::PHASE.to_owned(), Phase::Promoted.as_str().into());
        annotations.insert(key::PROVEN.to_owned(), proven.into());
        rejected::forget(annotations, &held.template, &held.owners);
        match held.last_applied {
            Some(raw) => annotations.insert(key::LAST_APPLIED.to_owned(), raw.into()),
            None => annotations.remove(key::LAST_APPLIED),
        };
    }
    if let Some(metadata) = changed.get_mut("metadata").and_then(Value::as_object_mut) {
        let mut records = with_template_owners(sent_records(request.new), held.owners);
        drop_manager(&mut records, FIELD_MANAGER);
        put_records(metadata, records);
    }
    Admission::changed(request.new, changed, Vec::new(), Effect::Promoted)
}

/// The controller's own annotations, with all the rest as it is and the template as it was.
fn write_state(request: &Request<'_>, old: &Value) -> Admission {
    if !same_but_for_template(old, request.new) {
        return Admission::denied(denied::only_state());
    }
    if !may_write_state(old, request.new) {
        return Admission::denied(denied::only_state());
    }
    let mut changed = changeable(request.new);
    if let Some(spec) = changed.get_mut("spec").and_then(Value::as_object_mut)
        && !template::same(object::template(old), object::template(request.new))
    {
        spec.insert("template".to_owned(), object::template(old).clone());
    }
    if let Some(annotations) = metadata_map_mut(&mut changed, "annotations") {
        after_a_verdict(old, annotations);
    }
    Admission::changed(request.new, changed, Vec::new(), Effect::Passed)
}

/// What a phase that the controller has just written brings with it.
pub(in crate::hold) fn after_a_verdict(old: &Value, annotations: &mut Map<String, Value>) {
    let is = object::phase(annotations);
    if is == Standing::of(old).phase {
        return;
    }
    match (is, Record::of(old)) {
        // The live template proved itself; that another start of it failed says nothing of the next one, nor of going back to it.
        (Some(Phase::Rejected), Record::Valid(held)) if !template::is_restart_of(&held.template, object::template(old)) => {
            let verdict = Standing::read(annotations).message.unwrap_or("it was rejected").to_owned();
            rejected::remember(annotations, &held.template, &held.owners, &verdict);
        }
        (Some(Phase::Superseded), _) => {
            end_hold(annotations);
            annotations.remove(key::REQUESTED_BY);
            annotations.remove(key::REQUESTED_BY_GROUPS);
        }
        _ => {}
    }
}

/// Whether the controller may turn these annotations of Coalmine's into those.
pub(in crate::hold) fn may_write_state(old: &Value, new: &Value) -> bool {
    let (before, now) = (object::annotations(old), object::annotations(new));
    let (was, is) = (object::phase(before), object::phase(now));
    let supersedes = is == Some(Phase::Superseded) && was != is;
    // A hold ends by itself only where there is nothing left to promote (see [`Record`]), or nobody wants a trial any more.
    let goes_on = || Record::of(old).holds() && object::is_opted_in(before);
    if supersedes && (!was.is_some_and(Phase::holds) || goes_on()) {
        return false;
    }
    let holds = before.contains_key(key::HELD);
    let untouchable = match (holds, supersedes) {
        (true, true) => &[key::RUN, key::PROVEN, key::REJECTED][..],
        (true, false) => &[key::HELD, key::MARKER, key::RUN, key::PROVEN, key::REJECTED, key::REQUESTED_BY, key::REQUESTED_BY_GROUPS][..],
        (false, _) => &[key::REJECTED][..],
    };
    let forges = untouchable.iter().any(|name| before.get(*name) != now.get(*name))
        || (!holds && now.contains_key(key::HELD))
        || (supersedes && [key::HELD, key::MARKER].iter().any(|name| now.contains_key(*name)))
        || proves_more(before, now);
    let speaks_for_a_person = [key::APPROVED, key::ORDER].iter().any(|name| now.contains_key(*name) && before.get(*name) != now.get(*name));
    let promotes = is == Some(Phase::Promoted) && was != is;
    // Whether a template is tried once more is the user's to say: a verdict is final for the controller.
    let tries_again = is.is_some_and(Phase::is_trying) && !was.is_some_and(Phase::is_trying);
    !(forges || speaks_for_a_person || promotes || tries_again)
}

fn proves_more(before: &Map<String, Value>, now: &Map<String, Value>) -> bool {
    let known: Vec<&str> = Standing::read(before).proven().collect();
    Standing::read(now).proven().any(|hash| !known.contains(&hash))
}

fn same_but_for_template(old: &Value, new: &Value) -> bool {
    let rest = |object: &Value| {
        let mut spec = object.get("spec").cloned().unwrap_or_default();
        if let Some(spec) = spec.as_object_mut() {
            spec.remove("template");
        }
        spec
    };
    template::same(&rest(old), &rest(new))
}

/// Takes away all that stands on an object only while a template is held.
pub(super) fn end_hold(annotations: &mut Map<String, Value>) {
    annotations.remove(key::HELD);
    annotations.remove(key::MARKER);
    annotations.remove(key::REMADE);
    annotations.remove(key::MERGED);
    forget_what_was_said(annotations);
    if annotations.get(key::ENABLED).and_then(Value::as_str) == Some("held") {
        annotations.insert(key::ENABLED.to_owned(), "true".into());
    }
    if let Some(text) = text(annotations, key::LAST_APPLIED).filter(|text| last_applied::is_marked(text)).map(last_applied::without_marker)
    {
        annotations.insert(key::LAST_APPLIED.to_owned(), text.into());
    }
}

/// What people said is about one attempt.
pub(super) fn forget_what_was_said(annotations: &mut Map<String, Value>) {
    for name in [key::APPROVED, key::ORDER, key::PAUSED_SINCE] {
        annotations.remove(name);
    }
}

/// The list of proven templates once `next` is live instead of `live`: it, the one that was live, and those before, as many as the Deployment keeps
/// revisions of (a template without its `ReplicaSet` is no rollback).
pub(super) fn proven_after(old: &Value, live: &Identity, next: &Identity) -> String {
    let kept = old.pointer("/spec/revisionHistoryLimit").and_then(Value::as_u64).unwrap_or(10);
    let limit = usize::try_from(kept).unwrap_or(usize::MAX).saturating_add(1).min(50);
    let mut list = vec![next.text()];
    if !live.is(&list[0]) {
        list.push(live.text());
    }
    let others = Standing::of(old).proven().filter(|text| !next.is(text) && !live.is(text));
    list.extend(others.map(str::to_owned));
    list.truncate(limit);
    list.join(",")
}

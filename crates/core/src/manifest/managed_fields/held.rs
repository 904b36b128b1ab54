//! Which manager owns which fields of a held template while later requests arrive: the live object's field records tell only a part of that.
//! It is set algebra on what the API server answered; which case a request is, is decided elsewhere.

use serde_json::Value;

use super::{SEPARATOR, TemplateOwners, parts_of};
use crate::manifest::fields::Fields;
use crate::manifest::workload::API_VERSION;

/// All fields that anybody owns.
pub fn all(owners: &TemplateOwners) -> Fields {
    Fields::read_all(owners.values())
}

/// What one of them owns.
fn of(owners: &TemplateOwners, identity: &str) -> Fields {
    owners.get(identity).map(Fields::read).unwrap_or_default()
}

/// All fields that a manager owns by server-side apply.
pub fn applied_by(owners: &TemplateOwners, manager: &str) -> Fields {
    let applied = owners.iter().filter(|(identity, _)| is_application_of(identity, manager));
    Fields::read_all(applied.map(|(_, fields)| fields))
}

/// All fields that a manager owns by updates.
pub fn updated_by(owners: &TemplateOwners, manager: &str) -> Fields {
    let updated = owners.iter().filter(|(identity, _)| is_update_of(identity, manager));
    Fields::read_all(updated.map(|(_, fields)| fields))
}

fn is_update_of(identity: &str, manager: &str) -> bool {
    parts_of(identity).is_some_and(|[of, operation, ..]| of == manager && operation == "Update")
}

/// The owners of a held template once `manager` has updated it: what that changed is its own, and nobody else's. `known` are all fields
/// that anybody owns.
pub fn updated(held: &TemplateOwners, manager: &str, known: &Fields, change: Change<'_>) -> TemplateOwners {
    let others = held.iter().filter_map(|(identity, fields)| {
        let fields = Fields::read(fields);
        let changed = fields.changed(known, change.from, change.to);
        Some((identity.clone(), fields.difference(&changed).write()?))
    });
    let mut owners: TemplateOwners = others.collect();
    let identity = held.keys().find(|identity| is_update_of(identity, manager)).cloned().unwrap_or_else(|| update_of(manager));
    let gained = known.set(known, change.from, change.to);
    if let Some(fields) = of(&owners, &identity).union(&gained).write() {
        owners.insert(identity, fields);
    }
    owners
}

/// The same once `manager` has stated its part again by server-side apply: its own are those that it `sent`.
pub fn asserted(held: &TemplateOwners, sent: &TemplateOwners, manager: &str, known: &Fields, change: Change<'_>) -> TemplateOwners {
    let is_own = |identity: &String| is_application_of(identity, manager);
    let others = held.iter().filter(|(identity, _)| !is_own(identity)).filter_map(|(identity, fields)| {
        let fields = Fields::read(fields);
        let changed = fields.changed(known, change.from, change.to);
        Some((identity.clone(), fields.difference(&changed).write()?))
    });
    let own = sent.iter().filter(|(identity, _)| is_own(identity)).map(|(identity, fields)| (identity.clone(), fields.clone()));
    others.chain(own).collect()
}

/// The same where that changed nothing.
pub fn again(held: &TemplateOwners, sent: &TemplateOwners, manager: &str) -> TemplateOwners {
    asserted(held, sent, manager, &Fields::default(), Change { from: &Value::Null, to: &Value::Null })
}

fn update_of(manager: &str) -> String {
    [manager, "Update", API_VERSION, ""].join(&SEPARATOR.to_string())
}

fn is_application_of(identity: &str, manager: &str) -> bool {
    parts_of(identity).is_some_and(|[of, operation, ..]| of == manager && operation == "Apply")
}

/// Two templates, of which the second is to take the first one's place.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    pub from: &'a Value,
    pub to: &'a Value,
}

/// The owners of a held template once the owners of the live one became `after` instead of `before`: what a request took or gave away
/// that left the template alone counts for the held one too, but for the fields that the held template `change`s. Whose records were taken
/// away altogether (`gone`) owns nothing of the held one either.
pub fn follow(
    held: &TemplateOwners,
    before: &TemplateOwners,
    after: &TemplateOwners,
    change: Change<'_>,
    gone: impl Fn(&str) -> bool,
) -> TemplateOwners {
    let known = [held, before, after].into_iter().fold(Fields::default(), |known, owners| known.union(&all(owners)));
    let mut followed: TemplateOwners =
        held.iter().filter(|(identity, _)| !gone(identity)).map(|(id, fields)| (id.clone(), fields.clone())).collect();
    for identity in before.keys().chain(after.keys()) {
        if gone(identity) || before.get(identity) == after.get(identity) {
            continue;
        }
        let [held, before, after] = [held, before, after].map(|owners| of(owners, identity));
        let not_held = |fields: Fields| {
            let changed = fields.changed(&known, change.from, change.to);
            fields.difference(&changed)
        };
        let (gained, lost) = (not_held(after.difference(&before)), not_held(before.difference(&after)));
        match held.union(&gained).difference(&lost).write() {
            Some(fields) => followed.insert(identity.clone(), fields),
            None => followed.remove(identity),
        };
    }
    followed
}

/// The owners of a held template once `manager` has applied again what it owns of the live one: what it states as empty, or as `null`,
/// is its own again in the held one, whatever others have put there.
pub fn restated(held: &TemplateOwners, sent: &TemplateOwners, manager: &str) -> TemplateOwners {
    let known = all(held).union(&all(sent));
    let mut restated = held.clone();
    for (identity, fields) in sent.iter().filter(|(identity, _)| is_application_of(identity, manager)) {
        let gained = Fields::read(fields).stated_empty(&known);
        let owned = of(held, identity).union(&gained).write();
        restated.extend(owned.map(|owned| (identity.clone(), owned)));
    }
    restated
}

/// The owners of a held template once `manager` has applied its part of what makes another template of it: its own are those that it
/// `sent`, and the others keep what that left alone. `known` are all fields that anybody owns.
///
/// What the request took from others of the live template (`stored`) is taken of the held one, too, even where the value stays: a `null`
/// against the API server's default is a conflict. Not so from those who have a part (`parts`) in what is held: theirs is another value.
pub fn applied(
    held: &TemplateOwners,
    stored: &TemplateOwners,
    sent: &TemplateOwners,
    manager: &str,
    parts: &[&str],
    known: &Fields,
    change: Change<'_>,
) -> TemplateOwners {
    let of_manager = |identity: &String| is_application_of(identity, manager);
    let others = held.iter().filter(|(identity, _)| !of_manager(identity)).filter_map(|(identity, fields)| {
        let fields = Fields::read(fields);
        let changed = fields.changed(known, change.from, change.to);
        let [before, after] = [stored, sent].map(|owners| of(owners, identity));
        let has_part = parts.iter().any(|part| is_application_of(identity, part));
        let taken = if has_part { Fields::default() } else { before.difference(&after) };
        let taken = taken.difference(&taken.filled(known, change.from));
        Some((identity.clone(), fields.difference(&changed).difference(&taken).write()?))
    });
    let own = sent.iter().filter(|(identity, _)| of_manager(identity)).map(|(identity, fields)| (identity.clone(), fields.clone()));
    others.chain(own).collect()
}

/// Gives back to the others what `manager` had taken from them by a part that it has just left or stated anew: `owners` are those that
/// [`applied`] told, `held` those before it, and `sent` those of the live template. Not from another part, whose value stands there.
pub fn give_back(
    owners: &mut TemplateOwners,
    held: &TemplateOwners,
    sent: &TemplateOwners,
    manager: &str,
    parts: &[&str],
    known: &Fields,
    changes: LeftPart<'_>,
) {
    let others = || parts.iter().filter(|part| **part != manager);
    let of_others = others().fold(Fields::default(), |all, part| all.union(&applied_by(held, part)));
    let has_no_part = |identity: &str| !is_application_of(identity, manager) && !others().any(|part| is_application_of(identity, part));
    for (identity, fields) in sent.iter().filter(|(identity, _)| has_no_part(identity)) {
        let owned = of(owners, identity);
        let lost = Fields::read(fields).difference(&owned);
        let lost = lost.difference(&lost.changed(known, changes.live, changes.now));
        let was_changed = lost.changed(known, changes.live, changes.before);
        // What stood there all the time was taken by a `null`: by that of whoever owns it.
        let back = was_changed.union(&lost.difference(&of_others));
        owners.extend(owned.union(&back).write().map(|fields| (identity.clone(), fields)));
    }
}

/// The live template, and what was held instead of it before an applier left its part, and now.
#[derive(Debug, Clone, Copy)]
pub struct LeftPart<'a> {
    pub live: &'a Value,
    pub before: &'a Value,
    pub now: &'a Value,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn owners(list: &[(&str, Value)]) -> TemplateOwners {
        list.iter().map(|(name, fields)| ((*name).to_owned(), fields.clone())).collect()
    }

    #[test]
    fn a_new_owner_of_the_live_template_owns_of_the_held_one_what_that_left_alone() {
        let variable = json!({"k:{\"name\":\"VX\"}": {".": {}, "f:value": {}}});
        let whole = json!({"f:image": {}, "f:env": variable, "f:ports": {}});
        let (live, other) = (json!({"image": "a", "env": [{"name": "VX", "value": "1"}], "ports": []}), json!({"image": "b", "ports": []}));
        let change = Change { from: &live, to: &other };
        let before = owners(&[("client", whole.clone())]);
        // The client had set the image and dropped the variable.
        let held = owners(&[("client", json!({"f:image": {}, "f:ports": {}}))]);
        let after = owners(&[("client", whole.clone()), ("server", whole.clone())]);
        let expected = owners(&[("client", json!({"f:image": {}, "f:ports": {}})), ("server", json!({"f:ports": {}}))]);
        assert_eq!(follow(&held, &before, &after, change, |_| false), expected);
        assert_eq!(follow(&held, &before, &before, change, |_| false), held);
        // It gives all of it away: the image is what the held template's own request made it.
        let given = owners(&[("server", whole)]);
        let expected = owners(&[("client", json!({"f:image": {}})), ("server", json!({"f:ports": {}}))]);
        assert_eq!(follow(&held, &before, &given, change, |_| false), expected);
    }

    #[test]
    fn a_map_is_owned_besides_what_is_in_it() {
        let (live, other) = (json!({"resources": {"limits": {"cpu": "1"}}}), json!({"resources": {}}));
        let change = Change { from: &live, to: &other };
        let limits = json!({"f:resources": {"f:limits": {"f:cpu": {}}}});
        let before = owners(&[("client", limits.clone())]);
        let held = TemplateOwners::new();
        let after = owners(&[("client", limits), ("server", json!({"f:resources": {".": {}, "f:limits": {".": {}, "f:cpu": {}}}}))]);
        assert_eq!(follow(&held, &before, &after, change, |_| false), owners(&[("server", json!({"f:resources": {}}))]));
    }

    #[test]
    fn who_leaves_its_part_gives_back_what_it_took() {
        let (live, before) = (json!({"image": "a", "env": "1", "probe": 1}), json!({"image": "b", "env": "2", "probe": 1}));
        let now = json!({"image": "a", "env": "2", "probe": 1});
        let update = "file|Update|apps/v1|";
        let whole = json!({"f:image": {}, "f:env": {}, "f:probe": {}, "f:name": {}});
        let second = ("second|Apply|apps/v1|", json!({"f:env": {}, "f:probe": {}}));
        let sent = owners(&[(update, whole.clone()), ("kubectl|Apply|apps/v1|", json!({"f:image": {}}))]);
        let held = owners(&[second.clone(), ("kubectl|Apply|apps/v1|", json!({"f:image": {}, "f:name": {}}))]);
        let known = all(&sent).union(&all(&held));
        // The second one's value stands in env, and its null took the probe.
        let mut left = owners(std::slice::from_ref(&second));
        let changes = LeftPart { live: &live, before: &before, now: &now };
        give_back(&mut left, &held, &sent, "kubectl", &["second"], &known, changes);
        assert_eq!(left, owners(&[second, (update, json!({"f:image": {}, "f:name": {}}))]));
    }

    #[test]
    fn what_is_stated_as_null_again_is_owned_again() {
        let client = ("client|Apply|apps/v1|", json!({"f:image": {}, "f:annotations": {}}));
        let second = ("second|Apply|apps/v1|", json!({"f:annotations": {"f:second": {}}}));
        let sent = owners(&[client.clone(), second.clone()]);
        let held = owners(&[("client|Apply|apps/v1|", json!({"f:image": {}}))]);
        assert_eq!(restated(&held, &sent, "client"), owners(std::slice::from_ref(&client)));
        assert_eq!(restated(&held, &sent, "second"), held);
        // What the other one has there is no contradiction.
        let filled = owners(&[("client|Apply|apps/v1|", json!({"f:image": {}})), second.clone()]);
        assert_eq!(restated(&filled, &sent, "client"), owners(&[client, second]));
    }

    #[test]
    fn who_owns_nothing_any_more_is_no_owner() {
        let live = json!({"image": "a"});
        let change = Change { from: &live, to: &json!({"image": "b"}) };
        let image = json!({"f:image": {}});
        let (before, held) = (TemplateOwners::new(), owners(&[("set", image.clone())]));
        assert_eq!(follow(&held, &before, &owners(&[("server", image)]), change, |_| false), held);
    }
}

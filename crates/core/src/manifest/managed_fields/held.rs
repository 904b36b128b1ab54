//! Which manager owns which fields of a held template while later requests arrive: the live object's field records tell only a part of that.
//! It is set algebra on what the API server answered; which case a request is, is decided elsewhere.

use serde_json::Value;

use super::{Owner, TemplateOwners};
use crate::manifest::fields::Fields;

/// All fields that anybody owns.
pub fn all(owners: &TemplateOwners) -> Fields {
    Fields::read_all(owners.values())
}

/// What one of them owns.
fn of(owners: &TemplateOwners, owner: &Owner) -> Fields {
    owners.get(owner).map(Fields::read).unwrap_or_default()
}

/// All fields that a manager owns by server-side apply.
pub fn applied_by(owners: &TemplateOwners, manager: &str) -> Fields {
    let applied = owners.iter().filter(|(owner, _)| owner.is_application_of(manager));
    Fields::read_all(applied.map(|(_, fields)| fields))
}

/// All fields that a manager owns by updates.
pub fn updated_by(owners: &TemplateOwners, manager: &str) -> Fields {
    let updated = owners.iter().filter(|(owner, _)| owner.is_update_of(manager));
    Fields::read_all(updated.map(|(_, fields)| fields))
}

/// The owners of a held template once `manager` has updated it: what that changed is its own, and nobody else's. `known` are all fields
/// that anybody owns.
pub fn updated(held: &TemplateOwners, manager: &str, known: &Fields, change: Change<'_>) -> TemplateOwners {
    let others = held.iter().filter_map(|(owner, fields)| Some((owner.clone(), left_alone(fields, known, change).write()?)));
    let mut owners: TemplateOwners = others.collect();
    let owner = held.keys().find(|owner| owner.is_update_of(manager)).cloned().unwrap_or_else(|| Owner::updating(manager));
    let gained = known.set(known, change.from, change.to);
    if let Some(fields) = of(&owners, &owner).union(&gained).write() {
        owners.insert(owner, fields);
    }
    owners
}

/// The same once `manager` has stated its part again by server-side apply: its own are those that it `sent`.
pub fn asserted(held: &TemplateOwners, sent: &TemplateOwners, manager: &str, known: &Fields, change: Change<'_>) -> TemplateOwners {
    let others = held.iter().filter(|(owner, _)| !owner.is_application_of(manager));
    let others = others.filter_map(|(owner, fields)| Some((owner.clone(), left_alone(fields, known, change).write()?)));
    others.chain(own(sent, manager)).collect()
}

/// The same where that changed nothing.
pub fn again(held: &TemplateOwners, sent: &TemplateOwners, manager: &str) -> TemplateOwners {
    asserted(held, sent, manager, &Fields::default(), Change { from: &Value::Null, to: &Value::Null })
}

/// What of these fields a change left alone.
fn left_alone(fields: &Value, known: &Fields, change: Change<'_>) -> Fields {
    let fields = Fields::read(fields);
    fields.difference(&fields.changed(known, change.from, change.to))
}

/// What an applier's request made its own.
fn own(sent: &TemplateOwners, manager: &str) -> impl Iterator<Item = (Owner, Value)> {
    let own = sent.iter().filter(move |(owner, _)| owner.is_application_of(manager));
    own.map(|(owner, fields)| (owner.clone(), fields.clone()))
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
    gone: impl Fn(&Owner) -> bool,
) -> TemplateOwners {
    let known = [held, before, after].into_iter().fold(Fields::default(), |known, owners| known.union(&all(owners)));
    let left = held.iter().filter(|(owner, _)| !gone(owner));
    let mut followed: TemplateOwners = left.map(|(owner, fields)| (owner.clone(), fields.clone())).collect();
    for owner in before.keys().chain(after.keys()) {
        if gone(owner) || before.get(owner) == after.get(owner) {
            continue;
        }
        let [held, before, after] = [held, before, after].map(|owners| of(owners, owner));
        let not_held = |fields: Fields| {
            let changed = fields.changed(&known, change.from, change.to);
            fields.difference(&changed)
        };
        let (gained, lost) = (not_held(after.difference(&before)), not_held(before.difference(&after)));
        match held.union(&gained).difference(&lost).write() {
            Some(fields) => followed.insert(owner.clone(), fields),
            None => followed.remove(owner),
        };
    }
    followed
}

/// The owners of a held template once `manager` has applied again what it owns of the live one: what it states as empty, or as `null`,
/// is its own again in the held one, whatever others have put there.
pub fn restated(held: &TemplateOwners, sent: &TemplateOwners, manager: &str) -> TemplateOwners {
    let known = all(held).union(&all(sent));
    let mut restated = held.clone();
    for (owner, fields) in own(sent, manager) {
        let gained = Fields::read(&fields).stated_empty(&known);
        let owned = of(held, &owner).union(&gained).write();
        restated.extend(owned.map(|owned| (owner, owned)));
    }
    restated
}

/// Who else owns what, once a `sender` has stated another part than before: `owners` are told by the live template's and by what each part changes of it.
/// What another applier of `parts` took although the value stays is still taken: a `null` takes a default from its owner.
pub fn as_stated(mut owners: TemplateOwners, live: &TemplateOwners, held: &TemplateOwners, sender: &str, parts: &[&str]) -> TemplateOwners {
    let others = parts.iter().filter(|part| **part != sender);
    let stated = others.fold(Fields::default(), |all, part| all.union(&applied_by(held, part)));
    let has_part = |owner: &Owner| owner.is_application_of(sender) || parts.iter().any(|part| owner.is_application_of(part));
    for (owner, fields) in live.iter().filter(|(owner, _)| !has_part(owner)) {
        let taken = Fields::read(fields).difference(&of(held, owner)).common(&stated);
        match of(&owners, owner).difference(&taken).write() {
            Some(fields) => owners.insert(owner.clone(), fields),
            None => owners.remove(owner),
        };
    }
    owners
}

/// A request by which an applier states its part of what makes another template of the live one.
#[derive(Debug, Clone, Copy)]
pub struct Application<'a> {
    pub manager: &'a str,
    /// Who has a part in what is held.
    pub parts: &'a [&'a str],
    /// The owners of the live template, as the request would leave them.
    pub sent: &'a TemplateOwners,
    /// All fields that anybody owns.
    pub known: &'a Fields,
    /// What it makes of the live template.
    pub live: Change<'a>,
}

impl Application<'_> {
    /// The owners of a held template after it: the applier's own are those that it sent, and the others keep what it left alone.
    ///
    /// What the request took from others of the live template (`stored`) is taken of the held one, too, even where the value stays: a `null`
    /// against the API server's default is a conflict. Not so from those who have a part in what is held: theirs is another value.
    pub fn applied(self, held: &TemplateOwners, stored: &TemplateOwners, change: Change<'_>) -> TemplateOwners {
        let others = held.iter().filter(|(owner, _)| !owner.is_application_of(self.manager)).filter_map(|(owner, fields)| {
            let [before, after] = [stored, self.sent].map(|owners| of(owners, owner));
            let has_part = self.parts.iter().any(|part| owner.is_application_of(part));
            let taken = if has_part { Fields::default() } else { before.difference(&after) };
            let taken = taken.difference(&taken.filled(self.known, change.from));
            // Maps whose last field an applier lets go: the API server leaves them to the others, although they are gone.
            let gone = after.changed(self.known, self.live.from, self.live.to);
            let gone = gone.difference(&gone.changed(self.known, self.live.to, &Value::Null));
            let spared = gone.common(&Fields::read(fields));
            Some((owner.clone(), left_alone(fields, self.known, change).union(&spared).difference(&taken).write()?))
        });
        others.chain(own(self.sent, self.manager)).collect()
    }

    /// Gives back to the others what the applier had taken from them by a part that it has just left or stated anew: `owners` are those that
    /// [`Self::applied`] told, and `held` those before it. Not from another part, whose value stands there.
    pub fn give_back(self, owners: &mut TemplateOwners, held: &TemplateOwners, changes: LeftPart<'_>) {
        let others = || self.parts.iter().filter(|part| **part != self.manager);
        let of_others = others().fold(Fields::default(), |all, part| all.union(&applied_by(held, part)));
        let has_part = |owner: &Owner| owner.is_application_of(self.manager) || others().any(|part| owner.is_application_of(part));
        for (owner, fields) in self.sent.iter().filter(|(owner, _)| !has_part(owner)) {
            let owned = of(owners, owner);
            let lost = Fields::read(fields).difference(&owned);
            let lost = lost.difference(&lost.changed(self.known, changes.live, changes.now));
            let was_changed = lost.changed(self.known, changes.live, changes.before);
            // What stood there all the time was taken by a `null`: by that of whoever owns it.
            let back = was_changed.union(&lost.difference(&of_others));
            owners.extend(owned.union(&back).write().map(|fields| (owner.clone(), fields)));
        }
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
        list.iter().map(|(name, fields)| (name.parse().unwrap(), fields.clone())).collect()
    }

    #[test]
    fn a_new_owner_of_the_live_template_owns_of_the_held_one_what_that_left_alone() {
        let variable = json!({"k:{\"name\":\"VX\"}": {".": {}, "f:value": {}}});
        let whole = json!({"f:image": {}, "f:env": variable, "f:ports": {}});
        let (live, other) = (json!({"image": "a", "env": [{"name": "VX", "value": "1"}], "ports": []}), json!({"image": "b", "ports": []}));
        let change = Change { from: &live, to: &other };
        let before = owners(&[("client|Update|apps/v1|", whole.clone())]);
        // The client had set the image and dropped the variable.
        let held = owners(&[("client|Update|apps/v1|", json!({"f:image": {}, "f:ports": {}}))]);
        let after = owners(&[("client|Update|apps/v1|", whole.clone()), ("server|Update|apps/v1|", whole.clone())]);
        let expected = owners(&[
            ("client|Update|apps/v1|", json!({"f:image": {}, "f:ports": {}})),
            ("server|Update|apps/v1|", json!({"f:ports": {}})),
        ]);
        assert_eq!(follow(&held, &before, &after, change, |_| false), expected);
        assert_eq!(follow(&held, &before, &before, change, |_| false), held);
        // It gives all of it away: the image is what the held template's own request made it.
        let given = owners(&[("server|Update|apps/v1|", whole)]);
        let expected = owners(&[("client|Update|apps/v1|", json!({"f:image": {}})), ("server|Update|apps/v1|", json!({"f:ports": {}}))]);
        assert_eq!(follow(&held, &before, &given, change, |_| false), expected);
    }

    #[test]
    fn a_map_is_owned_besides_what_is_in_it() {
        let (live, other) = (json!({"resources": {"limits": {"cpu": "1"}}}), json!({"resources": {}}));
        let change = Change { from: &live, to: &other };
        let limits = json!({"f:resources": {"f:limits": {"f:cpu": {}}}});
        let before = owners(&[("client|Update|apps/v1|", limits.clone())]);
        let held = TemplateOwners::new();
        let after = owners(&[
            ("client|Update|apps/v1|", limits),
            ("server|Update|apps/v1|", json!({"f:resources": {".": {}, "f:limits": {".": {}, "f:cpu": {}}}})),
        ]);
        assert_eq!(follow(&held, &before, &after, change, |_| false), owners(&[("server|Update|apps/v1|", json!({"f:resources": {}}))]));
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
        let application =
            Application { manager: "kubectl", parts: &["second"], sent: &sent, known: &known, live: Change { from: &live, to: &live } };
        application.give_back(&mut left, &held, changes);
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
        let (before, held) = (TemplateOwners::new(), owners(&[("set|Update|apps/v1|", image.clone())]));
        assert_eq!(follow(&held, &before, &owners(&[("server|Update|apps/v1|", image)]), change, |_| false), held);
    }
}

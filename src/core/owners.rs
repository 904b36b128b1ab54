//! `metadata.managedFields`: who set which part of the pod template.
//! While a template is held the records must describe the live template, or the next apply of the held one merges to something else
//! (seen: an environment variable that the new template dropped comes back). Entries other than the template's are left alone.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::fields::Fields;

/// Who owned which fields of a template: a manager's identity and its `f:template` subtree.
pub type TemplateOwners = BTreeMap<String, Value>;

const SEPARATOR: char = '|';

/// What tells one entry from another; times are not part of it.
fn identity(entry: &Value) -> String {
    let part = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
    [part("manager"), part("operation"), part("apiVersion"), part("subresource")].join(&SEPARATOR.to_string())
}

fn template_fields(entry: &Value) -> Option<&Value> {
    entry.get("fieldsV1")?.get("f:spec")?.get("f:template")
}

/// The template's part of an object's records.
pub fn template_owners(metadata: &Value) -> TemplateOwners {
    entries(metadata).iter().filter_map(|entry| Some((identity(entry), template_fields(entry)?.clone()))).collect()
}

fn entries(metadata: &Value) -> &[Value] {
    metadata.get("managedFields").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The entries of an object's records.
pub fn records(object: &Value) -> &[Value] {
    object.get("metadata").map_or(&[], entries)
}

/// The records once exactly `owners` own the template. Entries that then own nothing are dropped, entries that are missing come back.
pub fn with_template_owners(records: &[Value], mut owners: TemplateOwners) -> Vec<Value> {
    let mut list = records.to_vec();
    for entry in &mut list {
        match owners.remove(&identity(entry)) {
            Some(fields) => put_template_fields(entry, fields),
            None => drop_template_fields(entry),
        }
    }
    list.retain(|entry| entry.get("fieldsV1").and_then(Value::as_object).is_some_and(|fields| !fields.is_empty()));
    if !owners.is_empty() {
        list.extend(owners.into_iter().filter_map(|(identity, fields)| entry_of(&identity, fields)));
        // The API server's own order; in another one, the next request that changes nothing would be written.
        list.sort_by_cached_key(|entry| {
            let part = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            [part("operation"), part("time"), part("manager"), part("apiVersion"), part("subresource")]
        });
    }
    list
}

/// Puts the records into an object's metadata; none at all are taken away, as the API server does.
pub fn put_records(metadata: &mut Map<String, Value>, records: Vec<Value>) {
    metadata.insert("managedFields".to_owned(), if records.is_empty() { Value::Null } else { Value::Array(records) });
}

/// Whether two records differ at most in times and order. The stored ones are then put back: the API server sorts entries by time before
/// it asks admission, and takes another order for a change: it would write the object although nothing in it is new.
pub fn says_the_same(records: &[Value], stored: &[Value]) -> bool {
    let same = |left: &Value, right: &Value| identity(left) == identity(right) && left.get("fieldsV1") == right.get("fieldsV1");
    records.len() == stored.len() && records.iter().all(|entry| stored.iter().any(|other| same(entry, other)))
}

/// Whether two records differ at most in times, order, and who owns what of the template.
pub fn differs_in_template_only(records: &[Value], stored: &[Value]) -> bool {
    fn rest(entry: &Value) -> impl Iterator<Item = (&String, &Value)> {
        let fields = entry.get("fieldsV1").and_then(Value::as_object).into_iter().flatten();
        fields.filter(|(name, _)| name.as_str() != "f:spec")
    }
    fn spec(entry: &Value) -> impl Iterator<Item = (&String, &Value)> {
        let spec = entry.pointer("/fieldsV1/f:spec").and_then(Value::as_object).into_iter().flatten();
        spec.filter(|(name, _)| name.as_str() != "f:template")
    }
    let same = |left: &Value, right: &Value| identity(left) == identity(right) && rest(left).eq(rest(right)) && spec(left).eq(spec(right));
    records.len() == stored.len() && records.iter().all(|entry| stored.iter().any(|other| same(entry, other)))
}

/// Drops a manager's entries altogether.
pub fn drop_manager(records: &mut Vec<Value>, manager: &str) {
    records.retain(|entry| {
        let of_main_object = entry.get("subresource").and_then(Value::as_str).unwrap_or_default().is_empty();
        !(of_main_object && entry.get("manager").and_then(Value::as_str) == Some(manager))
    });
}

fn put_template_fields(entry: &mut Value, fields: Value) {
    let Some(entry) = entry.as_object_mut() else { return };
    let tree = entry.entry("fieldsV1").or_insert_with(|| json!({}));
    let Some(tree) = tree.as_object_mut() else { return };
    let spec = tree.entry("f:spec").or_insert_with(|| json!({}));
    if let Some(spec) = spec.as_object_mut() {
        spec.insert("f:template".to_owned(), fields);
    }
}

fn drop_template_fields(entry: &mut Value) {
    let Some(tree) = entry.get_mut("fieldsV1").and_then(Value::as_object_mut) else { return };
    let Some(spec) = tree.get_mut("f:spec").and_then(Value::as_object_mut) else { return };
    if spec.remove("f:template").is_some() && spec.is_empty() {
        tree.remove("f:spec");
    }
}

fn entry_of(identity: &str, fields: Value) -> Option<Value> {
    let mut parts = identity.split(SEPARATOR);
    let (manager, operation, version, subresource) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let mut entry = json!({
        "manager": manager, "operation": operation, "apiVersion": version, "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {}},
    });
    entry["fieldsV1"]["f:spec"]["f:template"] = fields;
    if !subresource.is_empty() {
        entry["subresource"] = json!(subresource);
    }
    Some(entry)
}

/// All fields that anybody owns.
pub fn all(owners: &TemplateOwners) -> Fields {
    owners.values().fold(Fields::default(), |all, fields| all.union(&Fields::read(fields)))
}

/// All fields that a manager owns by server-side apply.
pub fn applied_by(owners: &TemplateOwners, manager: &str) -> Fields {
    let applied = owners.iter().filter(|(identity, _)| is_application_of(identity, manager));
    applied.fold(Fields::default(), |all, (_, fields)| all.union(&Fields::read(fields)))
}

fn is_application_of(identity: &str, manager: &str) -> bool {
    let mut parts = identity.split(SEPARATOR);
    parts.next() == Some(manager) && parts.next() == Some("Apply")
}

/// Two templates, of which the second is to take the first one's place.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    pub from: &'a Value,
    pub to: &'a Value,
}

/// The owners of a held template once the owners of the live one became `after` instead of `before`: what a request took or gave away
/// that left the template alone counts for the held one too, but for the fields that the held template `change`s.
pub fn follow(held: &TemplateOwners, before: &TemplateOwners, after: &TemplateOwners, change: Change<'_>) -> TemplateOwners {
    let known = [held, before, after].into_iter().fold(Fields::default(), |known, owners| known.union(&all(owners)));
    let mut followed = held.clone();
    for identity in before.keys().chain(after.keys()) {
        if before.get(identity) == after.get(identity) {
            continue;
        }
        let [held, before, after] = [held, before, after].map(|owners| owners.get(identity).map(Fields::read).unwrap_or_default());
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
/// is its own again in the held one, from which the others' part of that goes.
pub fn restated(held: &TemplateOwners, sent: &TemplateOwners, manager: &str, change: Change<'_>) -> TemplateOwners {
    let known = all(held).union(&all(sent));
    let mut restated = held.clone();
    for (identity, fields) in sent.iter().filter(|(identity, _)| is_application_of(identity, manager)) {
        let gained = Fields::read(fields).stated_empty(&known, change.from, change.to);
        let owned = held.get(identity).map(Fields::read).unwrap_or_default().union(&gained).write();
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
        let [before, after] = [stored, sent].map(|owners| owners.get(identity).map(Fields::read).unwrap_or_default());
        let has_part = parts.iter().any(|part| is_application_of(identity, part));
        let taken = if has_part { Fields::default() } else { before.difference(&after) };
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
        let owned = owners.get(identity).map(Fields::read).unwrap_or_default();
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

/// Whether this manager's request was a server-side apply: it has applied before or does so now, and nothing changed that it owns as an
/// updater only, which it may be by the same name. An update by that name that changes nothing at all can't be told from an apply.
pub fn applies(stored: &Value, sent: &Value, manager: &str) -> bool {
    let Some(applied) = entry_in(sent, manager, "Apply") else { return false };
    let stored_update = entry_in(stored, manager, "Update");
    let Some(updated) = entry_in(sent, manager, "Update") else { return stored_update.is_none() };
    if stored_update != Some(updated) {
        return false;
    }
    let fields = |entry: &Value| entry.get("fieldsV1").map(Fields::read).unwrap_or_default();
    let only_updated = fields(updated).difference(&fields(applied));
    only_updated.changed(&only_updated, stored, sent).is_empty()
}

fn entry_in<'a>(object: &'a Value, manager: &str, operation: &str) -> Option<&'a Value> {
    entry(object.get("metadata")?, manager, operation)
}

fn entry<'a>(metadata: &'a Value, manager: &str, operation: &str) -> Option<&'a Value> {
    entries(metadata).iter().find(|entry| {
        let part = |name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
        part("manager") == manager && part("operation") == operation && part("subresource").is_empty()
    })
}

/// Whether a manager owns nothing at all. An applier that states nothing any more leaves no entry by which its request could be told.
pub fn owns_nothing(metadata: &Value, manager: &str) -> bool {
    ["Apply", "Update"].iter().all(|operation| entry(metadata, manager, operation).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(manager: &str, fields: &Value) -> Value {
        json!({"manager": manager, "operation": "Apply", "apiVersion": "apps/v1", "time": "2026-01-01T00:00:00Z",
               "fieldsType": "FieldsV1", "fieldsV1": fields})
    }

    fn owners_in(records: &[Value]) -> TemplateOwners {
        template_owners(&json!({"managedFields": records}))
    }

    #[test]
    fn owners_go_back_to_what_they_were() {
        let old = [entry("kubectl", &json!({"f:spec": {"f:replicas": {}, "f:template": {"a": {}}}}))];
        let new = [
            entry("kubectl", &json!({"f:spec": {"f:replicas": {}, "f:template": {"b": {}}}})),
            entry("other", &json!({"f:spec": {"f:template": {"c": {}}}})),
        ];
        let held = owners_in(&new);
        let put_back = with_template_owners(&new, owners_in(&old));
        assert_eq!(put_back, old);

        let promoted = with_template_owners(&put_back, held.clone());
        assert_eq!(owners_in(&promoted), held);
        assert_eq!(promoted[0]["manager"], "other");
    }

    #[test]
    fn an_entry_that_owns_more_stays() {
        let records = [entry("x", &json!({"f:metadata": {"f:labels": {}}, "f:spec": {"f:template": {}}}))];
        let records = with_template_owners(&records, TemplateOwners::new());
        assert_eq!(records[0]["fieldsV1"], json!({"f:metadata": {"f:labels": {}}}));
    }

    #[test]
    fn what_says_the_same_is_told_from_what_does_not() {
        let timed = |manager: &str, time: &str| {
            let mut entry = entry(manager, &json!({"f:spec": {}}));
            entry["time"] = json!(time);
            entry
        };
        let stored = [timed("kubectl", "10:00"), timed("controller", "10:01")];
        assert!(says_the_same(&[timed("controller", "10:01"), timed("kubectl", "10:02")], &stored));
        assert!(!says_the_same(&[timed("controller", "10:01"), timed("helm", "10:02")], &stored));
        assert!(!says_the_same(&stored[..1], &stored));
    }

    #[test]
    fn owners_of_the_template_alone_are_told_from_owners_of_more() {
        let owning = |fields: Value| vec![entry("kubectl", &fields)];
        let stored = owning(json!({"f:metadata": {}, "f:spec": {"f:replicas": {}, "f:template": {"a": {}}}}));
        let differs = |fields: Value| differs_in_template_only(&owning(fields), &stored);
        assert!(differs(json!({"f:metadata": {}, "f:spec": {"f:replicas": {}, "f:template": {"b": {}}}})));
        assert!(differs(json!({"f:metadata": {}, "f:spec": {"f:replicas": {}}})));
        assert!(!differs(json!({"f:metadata": {}, "f:spec": {"f:template": {"a": {}}}})));
        assert!(!differs(json!({"f:spec": {"f:replicas": {}, "f:template": {"a": {}}}})));
        assert!(!differs_in_template_only(&[], &stored));
    }

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
        assert_eq!(follow(&held, &before, &after, change), expected);
        assert_eq!(follow(&held, &before, &before, change), held);
        // It gives all of it away: the image is what the held template's own request made it.
        let given = owners(&[("server", whole)]);
        let expected = owners(&[("client", json!({"f:image": {}})), ("server", json!({"f:ports": {}}))]);
        assert_eq!(follow(&held, &before, &given, change), expected);
    }

    #[test]
    fn a_map_is_owned_besides_what_is_in_it() {
        let (live, other) = (json!({"resources": {"limits": {"cpu": "1"}}}), json!({"resources": {}}));
        let change = Change { from: &live, to: &other };
        let limits = json!({"f:resources": {"f:limits": {"f:cpu": {}}}});
        let before = owners(&[("client", limits.clone())]);
        let held = TemplateOwners::new();
        let after = owners(&[("client", limits), ("server", json!({"f:resources": {".": {}, "f:limits": {".": {}, "f:cpu": {}}}}))]);
        assert_eq!(follow(&held, &before, &after, change), owners(&[("server", json!({"f:resources": {}}))]));
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
        let (live, other) = (json!({"image": "a", "annotations": {"second": "1"}}), json!({"image": "a"}));
        let change = Change { from: &live, to: &other };
        let client = ("client|Apply|apps/v1|", json!({"f:image": {}, "f:annotations": {}}));
        let second = ("second|Apply|apps/v1|", json!({"f:annotations": {"f:second": {}}}));
        let sent = owners(&[client.clone(), second]);
        let held = owners(&[("client|Apply|apps/v1|", json!({"f:image": {}}))]);
        assert_eq!(restated(&held, &sent, "client", change), owners(&[client]));
        assert_eq!(restated(&held, &sent, "second", change), held);
    }

    #[test]
    fn who_owns_nothing_any_more_is_no_owner() {
        let live = json!({"image": "a"});
        let change = Change { from: &live, to: &json!({"image": "b"}) };
        let image = json!({"f:image": {}});
        let (before, held) = (TemplateOwners::new(), owners(&[("set", image.clone())]));
        assert_eq!(follow(&held, &before, &owners(&[("server", image)]), change), held);
    }

    #[test]
    fn garbage_is_left_alone() {
        assert_eq!(records(&json!({"metadata": {"managedFields": "x"}})), [Value::Null; 0]);
        let garbage = [json!(1), json!({"fieldsV1": 3}), Value::Null];
        assert_eq!(with_template_owners(&garbage, TemplateOwners::from([("broken".to_owned(), json!({}))])), [Value::Null; 0]);
        assert!(differs_in_template_only(&garbage, &garbage));
    }

    #[test]
    fn only_server_side_apply_applies() {
        let object = |replicas: u32, entries: &[Value]| json!({"metadata": {"managedFields": entries}, "spec": {"replicas": replicas}});
        let apply = entry("kubectl", &json!({"f:spec": {"f:template": {}}}));
        let stored = object(1, std::slice::from_ref(&apply));
        assert!(applies(&stored, &stored, "kubectl"));
        assert!(!applies(&stored, &stored, "helm"));
        assert!(owns_nothing(&stored["metadata"], "helm") && !owns_nothing(&stored["metadata"], "kubectl"));
        // An update by the same name.
        let mut update = entry("kubectl", &json!({"f:spec": {"f:replicas": {}}}));
        update["operation"] = json!("Update");
        let updated = object(2, &[apply.clone(), update.clone()]);
        assert!(!applies(&stored, &updated, "kubectl"));
        assert!(applies(&updated, &updated, "kubectl"));
        // Another one, within the same second.
        assert!(!applies(&updated, &object(3, &[apply, update]), "kubectl"));
    }
}

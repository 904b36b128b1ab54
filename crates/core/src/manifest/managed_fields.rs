//! `metadata.managedFields`: who set which part of the pod template.
//! While a template is held the records must describe the live template, or the next apply of the held one merges to something else
//! (seen: an environment variable that the new template dropped comes back). Entries other than the template's are left alone.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::fields::Fields;

mod held;
mod owner;

pub use held::{Application, Change, LeftPart, again, all, applied_by, as_stated, asserted, follow, restated, updated, updated_by};
pub use owner::Owner;

/// Who owns which fields of a template: an owner and its `f:template` subtree.
pub type TemplateOwners = BTreeMap<Owner, Value>;

/// The owners of all entries.
pub fn owners(records: &[Value]) -> BTreeSet<Owner> {
    records.iter().map(Owner::of).collect()
}

fn template_fields(entry: &Value) -> Option<&Value> {
    entry.get("fieldsV1")?.get("f:spec")?.get("f:template")
}

/// The template's part of an object's records.
pub fn template_owners(metadata: &Value) -> TemplateOwners {
    entries(metadata).iter().filter_map(|entry| Some((Owner::of(entry), template_fields(entry)?.clone()))).collect()
}

/// The same, whoever has which.
pub fn of_template(records: &[Value]) -> impl Iterator<Item = &Value> {
    records.iter().filter_map(template_fields)
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
        match owners.remove(&Owner::of(entry)) {
            Some(fields) => put_template_fields(entry, fields),
            None => drop_template_fields(entry),
        }
    }
    list.retain(|entry| entry.get("fieldsV1").and_then(Value::as_object).is_some_and(|fields| !fields.is_empty()));
    if !owners.is_empty() {
        list.extend(owners.into_iter().map(|(owner, fields)| owner.entry(fields)));
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
    records.len() == stored.len() && records.iter().all(|entry| stored.iter().any(|other| same_entry(entry, other)))
}

fn same_entry(left: &Value, right: &Value) -> bool {
    Owner::of(left) == Owner::of(right) && left.get("fieldsV1") == right.get("fieldsV1")
}

/// Whether one of the stored records is still there as it was. None is where all were taken away.
pub fn has_one_of(records: &[Value], stored: &[Value]) -> bool {
    records.iter().any(|entry| stored.iter().any(|other| same_entry(entry, other)))
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
    let same =
        |left: &Value, right: &Value| Owner::of(left) == Owner::of(right) && rest(left).eq(rest(right)) && spec(left).eq(spec(right));
    records.len() == stored.len() && records.iter().all(|entry| stored.iter().any(|other| same(entry, other)))
}

/// The entries of all but one applier.
pub fn of_others(records: &[Value], applier: &str) -> Vec<Value> {
    let part = |entry: &Value, name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    records.iter().filter(|entry| part(entry, "manager") != applier || part(entry, "operation") != "Apply").cloned().collect()
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

/// Whether something is another that this entry owns.
pub fn has_changed(entry: &Value, before: &Value, after: &Value) -> bool {
    let fields = entry.get("fieldsV1").map(Fields::read).unwrap_or_default();
    !fields.changed(&fields, before, after).is_empty()
}

/// Whether this manager's last server-side apply stated this annotation.
pub fn has_stated(object: &Value, manager: &str, name: &str) -> bool {
    let fields = entry_in(object, manager, "Apply").and_then(|entry| entry.get("fieldsV1"));
    fields.is_some_and(|fields| !Fields::read(fields).below("f:metadata").below("f:annotations").below(&format!("f:{name}")).is_empty())
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

    #[test]
    fn garbage_is_left_alone() {
        assert_eq!(records(&json!({"metadata": {"managedFields": "x"}})), [Value::Null; 0]);
        let garbage = [json!(1), json!({"fieldsV1": 3}), Value::Null];
        assert_eq!(with_template_owners(&garbage, TemplateOwners::new()), [Value::Null; 0]);
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

//! Real objects with parts of them removed, replaced, retyped and garbled: whatever comes in, what goes out is still the same object with
//! the old template or the new one. `COALMINE_MUTATIONS` says how many to try.

use proptest::{prelude::*, sample::Index};
use serde_json::json;

use super::{tests::settings, *};
use crate::{
    api::annotations::{self as key, Phase},
    hold::held::Held,
    manifest::template,
    message,
};

/// One change to one place, which is chosen among all places that the object has by then.
#[derive(Debug, Clone)]
struct Mutation {
    place: Index,
    change: Change,
}

#[derive(Debug, Clone)]
enum Change {
    Remove,
    Replace(Value),
    /// The same content as another type.
    Retype,
    /// A few characters of a text cut out, or others put in.
    Garble(Index, String),
    /// The value of another place.
    Copy(Index),
    /// A list's item, or a map's value under another name, once more.
    Repeat,
}

/// All places of a value as JSON pointers, itself excepted.
fn places(value: &Value) -> Vec<String> {
    fn below(value: &Value, path: &str, places: &mut Vec<String>) {
        let mut visit = |name: &str, value: &Value| {
            let path = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
            places.push(path.clone());
            below(value, &path, places);
        };
        match value {
            Value::Object(map) => map.iter().for_each(|(name, value)| visit(name, value)),
            Value::Array(items) => items.iter().enumerate().for_each(|(index, value)| visit(&index.to_string(), value)),
            _ => {}
        }
    }
    let mut all = Vec::new();
    below(value, "", &mut all);
    all
}

impl Mutation {
    fn apply(&self, object: &mut Value) {
        let places = places(object);
        if places.is_empty() {
            return;
        }
        let path: &String = self.place.get(&places);
        match &self.change {
            Change::Remove => edit_parent(object, path, |parent, last| match parent {
                Value::Object(map) => drop(map.remove(last)),
                Value::Array(items) => drop(items.remove(last.parse().unwrap())),
                _ => {}
            }),
            Change::Repeat => edit_parent(object, path, |parent, last| match parent {
                Value::Object(map) => drop(map.insert(format!("{last}-again"), map[last].clone())),
                Value::Array(items) => items.push(items[last.parse::<usize>().unwrap()].clone()),
                _ => {}
            }),
            Change::Replace(value) => *object.pointer_mut(path).unwrap() = value.clone(),
            Change::Copy(other) => {
                let copied = object.pointer(other.get::<String>(&places)).unwrap().clone();
                *object.pointer_mut(path).unwrap() = copied;
            }
            Change::Retype => {
                let value = object.pointer_mut(path).unwrap();
                *value = match value.take() {
                    Value::Null => json!({}),
                    Value::Object(map) => map.into_iter().map(|(_, value)| value).collect(),
                    Value::Array(items) => items.into_iter().enumerate().map(|(n, value)| (n.to_string(), value)).collect(),
                    Value::String(text) => json!([text]),
                    other => other.to_string().into(),
                };
            }
            Change::Garble(at, with) => {
                if let Some(Value::String(text)) = object.pointer_mut(path) {
                    let mut characters: Vec<char> = text.chars().collect();
                    let start = at.index(characters.len() + 1);
                    let end = (start + with.len() / 2).min(characters.len());
                    characters.splice(start..end, with.chars());
                    *text = characters.into_iter().collect();
                }
            }
        }
    }
}

fn edit_parent(object: &mut Value, path: &str, edit: impl FnOnce(&mut Value, &str)) {
    let (parent, last) = path.rsplit_once('/').unwrap();
    edit(object.pointer_mut(parent).unwrap(), &last.replace("~1", "/").replace("~0", "~"));
}

/// A Deployment as the API server stores it after client-side applies, with all that Coalmine looks at.
fn deployment(version: u64) -> Value {
    let template = json!({
        "metadata": {"creationTimestamp": null, "labels": {"app": "app", "tier": "web"}, "annotations": {"checksum": format!("{version}")}},
        "spec": {
            "containers": [{
                "name": "app", "image": format!("registry.example/app:{version}"), "imagePullPolicy": "IfNotPresent",
                "env": [{"name": "A", "value": "<&>\u{2028}"}, {"name": format!("V{version}"), "value": "1"}],
                "ports": [{"containerPort": 8080, "name": "http", "protocol": "TCP"}],
                "resources": {"limits": {"cpu": "1"}}, "newerThanUs": {"list": [1, null, 2.5]},
            }],
            "restartPolicy": "Always", "terminationGracePeriodSeconds": 30, "securityContext": {},
        },
    });
    let labels = json!({"app": "app"});
    let applied = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"annotations": {"canary.enabled": "true"}, "labels": labels, "name": "app", "namespace": "shop"},
        "spec": {"replicas": 3, "selector": {"matchLabels": labels}, "template": template},
    });
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": "app", "namespace": "shop", "uid": "3a5e", "resourceVersion": "71", "generation": 4, "creationTimestamp": "2026-11-01T00:00:00Z",
            "labels": labels,
            "annotations": {
                "canary.enabled": "true", "canary.duration": "30s", "deployment.kubernetes.io/revision": "4",
                key::LAST_APPLIED: applied.to_string() + "\n",
            },
            "managedFields": [
                {
                    "manager": "kubectl-client-side-apply", "operation": "Update", "apiVersion": "apps/v1", "time": "2026-11-01T00:00:00Z",
                    "fieldsType": "FieldsV1",
                    "fieldsV1": {"f:metadata": {"f:annotations": {".": {}, "f:canary.enabled": {}}}, "f:spec": {"f:replicas": {}, "f:template": {"f:spec": {
                        "f:containers": {"k:{\"name\":\"app\"}": {"f:image": {}, format!("f:V{version}"): {}}},
                    }}}},
                },
                {
                    "manager": "kube-controller-manager", "operation": "Update", "apiVersion": "apps/v1", "time": "2026-11-01T00:00:01Z",
                    "fieldsType": "FieldsV1", "fieldsV1": {"f:status": {"f:replicas": {}}}, "subresource": "status",
                },
            ],
        },
        "spec": {
            "replicas": 3, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600, "selector": {"matchLabels": labels},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}}, "template": template,
        },
        "status": {"replicas": 3, "observedGeneration": 4, "conditions": [{"type": "Available", "status": "True"}]},
    })
}

fn request<'a>(old: Option<&'a Value>, new: &'a Value, user: &'a str, manager: &'a str) -> Request<'a> {
    Request { username: user, groups: &[], field_manager: manager, name: "app", old, new, dry_run: false, held_merged: None }
}

/// What is stored: version 1, and in every phase but none version 2 held or ended beside it.
fn stored(phase: Option<Phase>) -> Value {
    let live = deployment(1);
    let Some(phase) = phase else { return live };
    let sent = deployment(2);
    let answer = admit(&settings(), &request(Some(&live), &sent, "ann", "kubectl-client-side-apply"));
    assert_eq!(answer.effect, Effect::Held);
    let mut held = answer.stored(&sent).unwrap();
    held["metadata"]["annotations"][key::PHASE] = phase.as_str().into();
    held["metadata"]["annotations"][key::MESSAGE] = "error rate 48.1% (1,204 of 2,503 requests) exceeds 1%".into();
    held["metadata"]["annotations"][key::PROVEN] = template::hash(object::template(&deployment(4))).into();
    if !phase.holds() {
        controller::end_hold(held["metadata"]["annotations"].as_object_mut().unwrap());
    }
    held
}

/// What a client makes of it: another version's template, records and last-applied, or only a label.
fn sent(stored: &Value, version: u64) -> Value {
    let mut sent = stored.clone();
    let wanted = deployment(version);
    sent["metadata"]["labels"]["team"] = "checkout".into();
    if version > 0 {
        sent["spec"]["template"] = wanted["spec"]["template"].clone();
        sent["metadata"]["managedFields"] = wanted["metadata"]["managedFields"].clone();
        sent["metadata"]["annotations"][key::LAST_APPLIED] = wanted["metadata"]["annotations"][key::LAST_APPLIED].clone();
        sent["metadata"]["annotations"].as_object_mut().unwrap().remove(key::MARKER);
    }
    sent
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // A Deployment has no fractions anywhere; those that need the last bit are not kept by serde_json as it is built here.
        any::<i16>().prop_map(|number| Value::from(f64::from(number) / 4.0)),
        ".{0,8}".prop_map(Value::from),
        prop::sample::select(vec!["true", "false", "held", "Held", "Running", "Rejected", "0", "null", "{}", "[]", "\u{0}\u{2028}"])
            .prop_map(Value::from),
        Just(json!({})),
        Just(json!([])),
        Just(json!({"annotations": {"canary.enabled": "true"}})),
        Just(json!([{"name": "x"}, {"name": "x"}, null, 1])),
    ]
}

fn mutations(most: usize) -> impl Strategy<Value = Vec<Mutation>> {
    let change = prop_oneof![
        Just(Change::Remove),
        value().prop_map(Change::Replace),
        Just(Change::Retype),
        (any::<Index>(), ".{0,6}").prop_map(|(at, with)| Change::Garble(at, with)),
        any::<Index>().prop_map(Change::Copy),
        Just(Change::Repeat),
    ];
    prop::collection::vec((any::<Index>(), change).prop_map(|(place, change)| Mutation { place, change }), 0..=most)
}

/// The object without what admission may change.
fn identity(object: &Value) -> Value {
    let mut rest = object.clone();
    if let Some(metadata) = rest.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.retain(|name, _| !["annotations", "labels", "managedFields"].contains(&name.as_str()));
    }
    if let Some(spec) = rest.get_mut("spec").and_then(Value::as_object_mut) {
        spec.remove("template");
    }
    rest
}

fn are_texts(object: &Value, part: &str) -> bool {
    object::metadata_map(object, part).values().all(Value::is_string)
}

fn check(old: Option<&Value>, new: &Value, user: &str, manager: &str) -> Result<(), TestCaseError> {
    let request = request(old, new, user, manager);
    let _ = needs_merge(&request);
    let answer = admit(&settings(), &request);
    prop_assert_eq!(&answer, &admit(&settings(), &request), "the same request has the same answer");
    for warning in &answer.warnings {
        prop_assert!(warning.chars().count() <= message::LONGEST_WARNING && !warning.contains(char::is_control), "{warning:?}");
    }
    if let Outcome::Denied(message) = &answer.outcome {
        prop_assert!(!message.is_empty() && !message.contains('\n'), "{message:?}");
    }
    let Some(result) = &answer.stored(new) else { return Ok(()) };
    prop_assert_eq!(identity(result), identity(new), "nothing else is touched");
    for part in ["annotations", "labels"] {
        prop_assert!(are_texts(result, part) || !are_texts(new, part) || old.is_some_and(|old| !are_texts(old, part)), "{part} stay texts");
    }
    let (template, sent) = (object::template(result), object::template(new));
    let live = old.map(object::template);
    prop_assert!(template == sent || Some(template) == live, "the template is the old one or the new one");
    // The API server writes every object with a spec: where there is none, there is no place for a template.
    let passes = new.get("spec").is_some_and(Value::is_object) && live.is_none_or(|live| !template::same(live, sent)) && template == sent;
    if passes && let Some(old) = old {
        let with_a_reason = matches!(answer.effect, Effect::Bypassed | Effect::Skipped | Effect::RolledBack | Effect::Promoted);
        let not_ours = !object::is_opted_in(object::annotations(result)) || object::is_being_deleted(old);
        prop_assert!(with_a_reason || not_ours, "a new template passed as {:?}", answer.effect);
    }
    if answer.effect == Effect::Held {
        let record = Held::decode(crate::standing::Standing::of(result).held.unwrap()).unwrap();
        // Several appliers' parts make a template that none of them sent.
        prop_assert!(&record.template == sent || !record.contributions.is_empty());
    }
    Ok(())
}

fn cases() -> u32 {
    std::env::var("COALMINE_MUTATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(500)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]
    #[test]
    fn mutated_objects_keep_their_identity_and_one_of_the_two_templates(
        phase in prop::option::weighted(0.8, prop::sample::select(Phase::ALL.to_vec())),
        version in 0_u64..5,
        to_stored in mutations(2),
        to_sent in mutations(5),
        user in prop::sample::select(vec!["ann".to_owned(), settings().controller]),
        manager in prop::sample::select(vec!["kubectl-client-side-apply", "kubectl", "helm", "coalmine", "", "other"]),
        created in prop::bool::weighted(0.05),
    ) {
        let mut old = stored(phase);
        let mut new = sent(&old, version);
        for (object, mutations) in [(&mut old, to_stored), (&mut new, to_sent)] {
            for mutation in mutations {
                mutation.apply(object);
            }
        }
        check((!created).then_some(&old), &new, &user, manager)?;
    }
}

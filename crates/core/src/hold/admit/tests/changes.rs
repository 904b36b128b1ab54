//! Changes computed from the live object while another template is on trial, and what is a whole statement instead.

use super::*;

pub(super) fn container(image: &str, env: &[&str]) -> Value {
    let env: Vec<Value> = env.iter().map(|name| json!({"name": name, "value": "1"})).collect();
    json!({"metadata": {"labels": {"app": "app"}}, "spec": {"containers": [{"name": "app", "image": image, "env": env}]}})
}

pub(super) fn fields(env: &[&str]) -> Value {
    let env: serde_json::Map<String, Value> =
        env.iter().map(|name| (format!("k:{{\"name\":\"{name}\"}}"), json!({".": {}, "f:name": {}, "f:value": {}}))).collect();
    json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {".": {}, "f:name": {}, "f:image": {}, "f:env": env}}}}}})
}

pub(super) fn entry(manager: &str, operation: &str, fields: &Value) -> Value {
    json!({"manager": manager, "operation": operation, "apiVersion": "apps/v1", "fieldsType": "FieldsV1", "fieldsV1": fields})
}

pub(super) fn live() -> Value {
    json!({
        "metadata": {"name": "app", "uid": "u", "annotations": {"canary.enabled": "true"},
                     "managedFields": [entry("flux", "Apply", &fields(&["A"]))]},
        "spec": {"replicas": 2, "template": container("a", &["A"])},
    })
}

pub(super) fn flux(stored: &Value, image: &str, env: &[&str]) -> (Value, Admission) {
    let mut new = stored.clone();
    new["spec"]["template"] = container(image, env);
    let entries = new["metadata"]["managedFields"].as_array_mut().unwrap();
    entries.retain(|entry| entry["manager"] != "flux");
    entries.push(entry("flux", "Apply", &fields(env)));
    let answer = ask(stored, &new, "flux", "flux");
    (answer.stored(&new).unwrap(), answer)
}

/// An update of the live object by another manager, who owns what it set.
fn changed(stored: &Value, manager: &str, owned: &Value, edit: impl FnOnce(&mut Value)) -> (Value, Admission) {
    let mut new = stored.clone();
    edit(&mut new["spec"]["template"]);
    let owned = entry(manager, "Update", &json!({"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": owned}}}}}));
    new["metadata"]["managedFields"].as_array_mut().unwrap().push(owned);
    let answer = ask(stored, &new, "bob", manager);
    (answer.stored(&new).unwrap(), answer)
}

fn variable(stored: &Value, manager: &str, name: &str) -> (Value, Admission) {
    let owned = json!({"f:env": {(format!("k:{{\"name\":\"{name}\"}}")): {".": {}, "f:name": {}, "f:value": {}}}});
    changed(stored, manager, &owned, |template| {
        template["spec"]["containers"][0]["env"].as_array_mut().unwrap().push(json!({"name": name, "value": "1"}));
    })
}

pub(super) fn image(stored: &Value, manager: &str, image: &str) -> (Value, Admission) {
    changed(stored, manager, &json!({"f:image": {}}), |template| template["spec"]["containers"][0]["image"] = json!(image))
}

pub(super) fn record(object: &Value) -> Held {
    Held::decode(object::annotation(object, key::HELD).unwrap()).unwrap()
}

#[test]
fn a_change_is_made_to_what_is_on_trial() {
    let (held, _) = flux(&live(), "b", &["A", "B"]);
    let (both, answer) = variable(&held, "Reloader", "X");
    assert_eq!((answer.effect, phase(&both)), (Effect::Held, "Held"));
    assert_eq!(record(&both).template, container("b", &["A", "B", "X"]));
    assert_eq!(both["spec"], live()["spec"]);
    assert_ne!(object::annotation(&both, key::RUN), object::annotation(&held, key::RUN));
    insta::assert_snapshot!(answer.warnings.join("\n"), @r#"
    canary: template held; trying it in app-canary for 60s; watch: kubectl events --for deploy/app -w
    canary: the canary starts over, with what comes from "flux" and "Reloader" together
    "#);
    insta::assert_snapshot!(object::annotation(&both, key::MERGED).unwrap(), @r#"a change by "Reloader" (bob) was made to the template on trial from "flux"; the canary starts over"#);
    let owners = record(&both).owners;
    assert_eq!(owners[&owner("flux|Apply|apps/v1|")], fields(&["A", "B"])["f:spec"]["f:template"]);
    assert!(owners[&owner("Reloader|Update|apps/v1|")].to_string().contains('X'), "{owners:?}");
    // Each of them again, as often as they like.
    for _ in 0..2 {
        let (again, answer) = flux(&both, "b", &["A", "B"]);
        assert_eq!((answer.effect, again["metadata"]["annotations"].clone()), (Effect::Kept, both["metadata"]["annotations"].clone()));
        let (again, answer) = variable(&both, "Reloader", "X");
        assert_eq!((answer.effect, again["metadata"]["annotations"].clone()), (Effect::Kept, both["metadata"]["annotations"].clone()));
    }
    // Another statement replaces the part, and the change stays.
    let (other, _) = flux(&both, "c", &["A"]);
    assert_eq!(record(&other).template, container("c", &["A", "X"]));
    // Going back takes the part away.
    let (alone, _) = flux(&both, "a", &["A"]);
    assert_eq!(record(&alone).template, container("a", &["A", "X"]));
}

#[test]
fn changes_of_one_manager_are_one_and_the_record_does_not_grow() {
    let (held, _) = flux(&live(), "b", &["A", "B"]);
    let mut object = held;
    for name in ["X", "Y", "Z"] {
        object = variable(&object, "kubectl-set", name).0;
        assert_eq!(record(&object).contributions.len(), 2);
    }
    assert_eq!(record(&object).template, container("b", &["A", "B", "X", "Y", "Z"]));
    // All of them are there when the part that they were made to is another.
    let (other, _) = flux(&object, "c", &["A"]);
    assert_eq!(record(&other).template, container("c", &["A", "X", "Y", "Z"]));
}

#[test]
fn where_both_set_one_thing_the_later_counts_and_both_are_named() {
    let (held, _) = flux(&live(), "b", &["A", "B"]);
    let (both, answer) = image(&held, "kubectl-set", "c");
    assert_eq!(record(&both).template, container("c", &["A", "B"]));
    insta::assert_snapshot!(answer.warnings[1], @r#"canary: the canary starts over; "kubectl-set" overrides "flux" at spec.template.spec.containers[app].image"#);
    assert!(object::annotation(&both, key::MERGED).unwrap().contains("spec.template.spec.containers[app].image"));
    let owners = record(&both).owners;
    assert!(!owners[&owner("flux|Apply|apps/v1|")].to_string().contains("f:image"), "{owners:?}");
    assert!(owners[&owner("kubectl-set|Update|apps/v1|")].to_string().contains("f:image"), "{owners:?}");
    // Stated once more, the first one counts again: it is the later one now.
    let (again, answer) = flux(&both, "b", &["A", "B"]);
    assert_eq!((answer.effect, record(&again).template), (Effect::Held, container("b", &["A", "B"])));
}

#[test]
fn a_program_that_writes_again_states_its_whole_wish() {
    let (held, _) = variable(&live(), "operator", "X");
    let (other, _) = image(&held, "operator", "c");
    assert_eq!(record(&other).template, container("c", &["A"]), "what it dropped does not stay");
    // A person's commands each change something.
    let (held, _) = variable(&live(), "kubectl-set", "X");
    let (other, _) = image(&held, "kubectl-set", "c");
    assert_eq!(record(&other).template, container("c", &["A", "X"]));
}

#[test]
fn a_change_of_the_live_template_is_tried_alone_where_the_other_was_rejected() {
    let (held, _) = flux(&live(), "b", &["A", "B"]);
    let mut judged = held.clone();
    judged["metadata"]["annotations"][key::PHASE] = json!("Rejected");
    judged["metadata"]["annotations"][key::MESSAGE] = json!("error rate 100%");
    let rejected = ask(&held, &judged, &settings().controller, "coalmine").stored(&judged).unwrap();
    let (alone, answer) = variable(&rejected, "Reloader", "X");
    assert_eq!((answer.effect, record(&alone).template), (Effect::Held, container("a", &["A", "X"])));
    let (kept, answer) = flux(&alone, "b", &["A", "B"]);
    assert_eq!((answer.effect, record(&kept).template), (Effect::Kept, container("a", &["A", "X"])));
}

#[test]
fn at_zero_replicas_a_trial_waits_with_the_change() {
    let (mut held, _) = flux(&live(), "b", &["A", "B"]);
    held["spec"]["replicas"] = json!(0);
    let (both, answer) = variable(&held, "Reloader", "X");
    assert_eq!((answer.effect, record(&both).template), (Effect::Held, container("b", &["A", "B", "X"])));
}

#[test]
fn every_client_but_kubectls_client_side_apply_finds_a_difference_to_send() {
    for (manager, enabled) in [("helm-controller", "held"), ("Terraform", "held"), ("kubectl-client-side-apply", "true")] {
        let (held, _) = image(&live(), manager, "b");
        assert_eq!(object::annotation(&held, key::ENABLED), Some(enabled), "{manager}");
        // Going back: the difference, and nothing else.
        let mut back = held.clone();
        back["metadata"]["annotations"][key::ENABLED] = json!("true");
        let answer = ask(&held, &back, "bob", manager);
        assert_eq!(answer.effect, if enabled == "held" { Effect::Withdrawn } else { Effect::Kept }, "{manager}");
    }
}

#[test]
fn who_says_nothing_of_its_own_template_is_told_that_it_is_on_trial() {
    let (held, _) = image(&live(), "operator", "b");
    let mut labelled = held.clone();
    labelled["metadata"]["labels"] = json!({"coalmine.dev/active": "true", "x": "y"});
    let answer = ask(&held, &labelled, "bob", "operator");
    assert_eq!(answer.effect, Effect::Kept);
    insta::assert_snapshot!(answer.warnings.join("\n"), @r#"canary: a template is on trial still; to drop it: kubectl annotate deploy/app --overwrite canary.enabled=false"#);
    assert_eq!(ask(&held, &labelled, "bob", "kubectl-label").warnings, Vec::<String>::new());
}

/// What `kubectl rollout undo` sends: the template and the annotations of a revision, by no field manager.
fn undone(stored: &Value, image: &str, annotations: &Value) -> (Value, Admission) {
    let mut new = stored.clone();
    new["spec"]["template"] = container(image, &["A"]);
    new["metadata"]["annotations"] = annotations.clone();
    let owned = fields(&["A"]);
    new["metadata"]["managedFields"].as_array_mut().unwrap().push(entry("kubectl", "Update", &owned));
    let answer = ask(stored, &new, "bob", "");
    (answer.stored(&new).unwrap_or(new), answer)
}

#[test]
fn an_undo_goes_back_to_what_was_live_and_what_it_left_is_tried_again() {
    let (held, _) = flux(&live(), "b", &["A"]);
    let mut promoted = held.clone();
    promoted["spec"]["template"] = container("b", &["A"]);
    let promoted = ask(&held, &promoted, &settings().controller, "coalmine").stored(&promoted).unwrap();
    assert_eq!(phase(&promoted), "Promoted");
    let (back, answer) = undone(&promoted, "a", &json!({"canary.enabled": "true"}));
    assert_eq!((answer.effect, &back["spec"]["template"]), (Effect::RolledBack, &container("a", &["A"])));
    // Once more would go to what was left.
    assert_eq!(undone(&back, "b", &json!({"canary.enabled": "true"})).1.effect, Effect::Held);
    assert_eq!(flux(&back, "b", &["A"]).1.effect, Effect::Held);
}

#[test]
fn an_undo_opts_nobody_in_or_out() {
    // To a revision from before the opt-in: known, and opted in as before.
    for annotations in [json!({}), json!({"canary.enabled": "false"})] {
        let (back, answer) = undone(&live(), "old", &annotations);
        assert_eq!((answer.effect, object::annotation(&back, key::ENABLED)), (Effect::RolledBack, Some("true")));
    }
    let mut out = live();
    out["metadata"]["annotations"][key::ENABLED] = json!("false");
    let (back, answer) = undone(&out, "old", &json!({"canary.enabled": "true"}));
    assert_eq!((answer.effect, object::annotation(&back, key::ENABLED)), (Effect::Passed, Some("false")));
    assert_eq!(back["spec"]["template"], container("old", &["A"]));
}

#[test]
fn a_stated_no_is_believed_from_every_client() {
    for manager in ["", "kubectl", "operator"] {
        let mut out = live();
        out["spec"]["template"] = container("b", &["A"]);
        out["metadata"]["annotations"][key::ENABLED] = json!("false");
        out["metadata"]["managedFields"].as_array_mut().unwrap().push(entry("curl", "Update", &fields(&["A"])));
        let answer = ask(&live(), &out, "bob", manager);
        let stored = answer.stored(&out).unwrap();
        assert_eq!((answer.effect, &stored["spec"]["template"]), (Effect::Passed, &container("b", &["A"])), "{manager:?}");
        assert_eq!(object::annotation(&stored, key::ENABLED), Some("false"));
    }
}

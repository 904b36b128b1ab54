//! The table of the hold, on plain JSON. The same rows run against real API servers in `tests/hold`.

mod arbitrary;
mod changes;
mod clients;
mod earlier;
mod gates;
mod limits;
mod rejected;
mod together;

use serde_json::json;

use super::*;
use crate::{
    api::annotations::{self as key, Phase},
    api::label::Label,
    hold::held::Held,
    manifest::managed_fields::Owner,
};

/// Whose record that is, from its text.
fn owner(text: &str) -> Owner {
    text.parse().unwrap()
}

pub(super) fn settings() -> Settings {
    Settings {
        controller: "system:serviceaccount:coalmine:coalmine".to_owned(),
        canary_label: Label::new("tier", "canary"),
        checks: crate::api::checks::Rules::default(),
    }
}

fn template(env: &str) -> Value {
    json!({"metadata": {"labels": {"app": "app"}}, "spec": {"containers": [{"name": "app", "env": [{"name": env, "value": "1"}]}]}})
}

fn deployment(env: &str) -> Value {
    json!({
        "metadata": {
            "name": "app", "uid": "u", "annotations": {"canary.enabled": "true"},
            "managedFields": [{"manager": "kubectl", "operation": "Apply", "apiVersion": "apps/v1", "fieldsType": "FieldsV1",
                               "fieldsV1": {"f:spec": {"f:replicas": {}, "f:template": {env: {}}}}}],
        },
        "spec": {"replicas": 2, "template": template(env)},
    })
}

/// What server-side apply makes of the stored object when its manager states a template.
fn applied(stored: &Value, env: &str) -> Value {
    let mut new = stored.clone();
    new["spec"]["template"] = template(env);
    new["metadata"]["managedFields"] = deployment(env)["metadata"]["managedFields"].clone();
    new
}

fn ask<'a>(old: &'a Value, new: &'a Value, user: &'a str, manager: &'a str) -> Admission {
    admit(
        &settings(),
        &Request {
            username: user,
            groups: &[],
            field_manager: manager,
            name: "app",
            old: Some(old),
            new,
            dry_run: false,
            held_merged: None,
        },
    )
}

fn of_ann(new: &Value) -> Request<'_> {
    Request { username: "ann", groups: &[], field_manager: "kubectl", name: "app", old: None, new, dry_run: false, held_merged: None }
}

fn apply(stored: &Value, env: &str) -> (Value, Admission) {
    let new = applied(stored, env);
    let answer = ask(stored, &new, "ann", "kubectl");
    (answer.stored(&new).unwrap_or_else(|| stored.clone()), answer)
}

fn phase(object: &Value) -> &str {
    object::annotation(object, key::PHASE).unwrap_or_default()
}

#[test]
fn a_changed_template_is_held_with_its_records() {
    let a = deployment("VX");
    let (held, answer) = apply(&a, "VY");
    assert_eq!(answer.effect, Effect::Held);
    assert_eq!(held["spec"], a["spec"]);
    assert_eq!(held["metadata"]["managedFields"], a["metadata"]["managedFields"]);
    assert_eq!(phase(&held), "Held");
    assert_eq!(object::label(&held, key::ACTIVE_LABEL), Some("true"));
    let record = Held::decode(object::annotation(&held, key::HELD).unwrap()).unwrap();
    assert_eq!(record.template, template("VY"));
}

#[test]
fn a_template_with_a_label_of_ours_is_denied() {
    let a = deployment("VX");
    let mut copy = applied(&a, "VY");
    copy["spec"]["template"]["metadata"]["labels"]["coalmine.dev/run"] = json!("r1");
    let Outcome::Denied(words) = ask(&a, &copy, "ann", "kubectl").outcome else { panic!("it is not denied") };
    insta::assert_snapshot!(words, @"canary: the pod template has the label coalmine.dev/run, by which Coalmine tells a canary's pods from others; leave it out");
}

#[test]
fn whatever_others_make_of_the_answer_the_live_template_stays() {
    let a = deployment("VX");
    let (held, _) = apply(&a, "VY");
    let mut rewritten = held.clone();
    rewritten["metadata"]["annotations"]["others"] = json!("x");
    rewritten["spec"]["template"] = template("VA");
    rewritten["spec"]["replicas"] = json!(3);
    let again = |new: &Value| {
        let request = Request { old: Some(&a), new, ..of_ann(&a) };
        super::again(&settings(), &request).stored(new).unwrap()
    };
    let mut expected = rewritten.clone();
    expected["spec"]["template"] = template("VX");
    assert_eq!(again(&rewritten), expected);
    assert_eq!(again(&held), held);
    // Our own question what another template would come to.
    let question = Request { old: Some(&held), new: &rewritten, username: &settings().controller, dry_run: true, ..of_ann(&a) };
    assert_eq!(super::again(&settings(), &question).stored(&rewritten), Some(rewritten.clone()));
    // Where nothing is held, the template is let in.
    let mut promoted = a.clone();
    promoted["spec"]["template"] = template("VY");
    assert_eq!(again(&promoted), promoted);
}

#[test]
fn b_again_writes_nothing() {
    let (held, _) = apply(&deployment("VX"), "VY");
    let (again, answer) = apply(&held, "VY");
    assert_eq!(again, held);
    assert_eq!(answer.effect, Effect::Kept);
}

#[test]
fn c_supersedes_and_a_withdraws() {
    let a = deployment("VX");
    let (held, _) = apply(&a, "VY");
    let (other, answer) = apply(&held, "VZ");
    assert_eq!(answer.effect, Effect::Held);
    assert_ne!(object::annotation(&other, key::RUN), object::annotation(&held, key::RUN));
    let (back, answer) = apply(&other, "VX");
    assert_eq!(answer.effect, Effect::Withdrawn);
    assert_eq!(back["spec"], a["spec"]);
    assert_eq!(phase(&back), "Withdrawn");
    assert!(object::annotation(&back, key::HELD).is_none());
}

#[test]
fn another_client_that_leaves_the_template_alone_keeps_the_hold() {
    let (held, _) = apply(&deployment("VX"), "VY");
    let mut labelled = held.clone();
    labelled["metadata"]["labels"]["x"] = json!("y");
    labelled["spec"]["replicas"] = json!(5);
    let answer = ask(&held, &labelled, "ann", "kubectl-label");
    assert_eq!((answer.outcome, answer.effect), (Outcome::Unchanged, Effect::Kept));
}

#[test]
fn a_file_put_in_its_place_drops_annotations_but_not_the_hold() {
    let (held, _) = apply(&deployment("VX"), "VY");
    let mut replaced = held.clone();
    replaced["metadata"]["annotations"] = json!({"canary.enabled": "true"});
    replaced["metadata"]["labels"] = json!({});
    replaced["spec"]["template"] = template("VY");
    let changed = ask(&held, &replaced, "ann", "kubectl-replace").stored(&replaced).unwrap();
    assert_eq!(changed["metadata"]["annotations"], held["metadata"]["annotations"]);
    assert_eq!(changed["metadata"]["labels"], held["metadata"]["labels"]);
    // Of the live template: somebody went back.
    replaced["spec"]["template"] = template("VX");
    assert_eq!(ask(&held, &replaced, "ann", "kubectl-replace").effect, Effect::Withdrawn);
}

fn promote(held: &Value) -> Value {
    let mut new = held.clone();
    let record = Held::decode(object::annotation(held, key::HELD).unwrap()).unwrap();
    new["spec"]["template"] = record.template;
    ask(held, &new, &settings().controller, "coalmine").stored(&new).expect("a promotion")
}

#[test]
fn promotion_leaves_what_the_users_own_request_would_have_left() {
    let a = deployment("VX");
    let (held, _) = apply(&a, "VY");
    let promoted = promote(&held);
    assert_eq!(promoted["spec"], applied(&a, "VY")["spec"]);
    assert_eq!(promoted["metadata"]["managedFields"], applied(&a, "VY")["metadata"]["managedFields"]);
    assert_eq!(phase(&promoted), "Promoted");
    let (back, answer) = apply(&promoted, "VX");
    assert_eq!(answer.effect, Effect::RolledBack, "a template that was live before comes back at once");
    assert_eq!(back["spec"]["template"], template("VX"));
}

#[test]
fn the_controller_ends_a_hold_only_where_nothing_is_left_to_promote() {
    let (held, _) = apply(&deployment("VX"), "VY");
    let supersede = |old: &Value| {
        let mut new = old.clone();
        let patch = crate::hold::promotion::state_patch(old, crate::api::annotations::Phase::Superseded, Some("gone"), "now");
        json_patch::patch(&mut new, &serde_json::from_value::<json_patch::Patch>(patch).unwrap()).unwrap();
        ask(old, &new, &settings().controller, "coalmine").stored(&new)
    };
    assert_eq!(supersede(&held), None, "it may still be promoted");
    let mut overtaken = held.clone();
    overtaken["spec"]["template"] = template("VZ");
    let mut unreadable = held.clone();
    unreadable["metadata"]["annotations"][key::HELD] = json!("x");
    let mut opted_out = held.clone();
    opted_out["metadata"]["annotations"]["canary.enabled"] = json!("false");
    for old in [overtaken, unreadable, opted_out] {
        let stored = supersede(&old).expect("the hold ends");
        assert_eq!((phase(&stored), &stored["spec"]), ("Superseded", &old["spec"]));
        let left: Vec<&String> = object::annotations(&stored).keys().filter(|name| name.starts_with("canary.")).collect();
        assert_eq!(left, ["canary.enabled", key::MESSAGE, key::PHASE, key::RUN, key::SINCE]);
    }
}

#[test]
fn only_the_held_template_is_promoted_and_only_by_the_controller() {
    let (held, _) = apply(&deployment("VX"), "VY");
    let mut other = held.clone();
    other["spec"]["template"] = template("VZ");
    assert_eq!(ask(&held, &other, &settings().controller, "coalmine").effect, Effect::Denied);
    let mut rejected = held.clone();
    rejected["metadata"]["annotations"][key::PHASE] = json!("Rejected");
    let mut proven = rejected.clone();
    proven["spec"]["template"] = template("VY");
    assert_eq!(ask(&rejected, &proven, &settings().controller, "coalmine").effect, Effect::Denied);
    let mut scaled = held.clone();
    scaled["spec"]["replicas"] = json!(0);
    assert_eq!(ask(&held, &scaled, &settings().controller, "coalmine").effect, Effect::Denied);
    let mut forged = held.clone();
    forged["metadata"]["annotations"][key::PROVEN] = json!("abc");
    assert_eq!(ask(&held, &forged, &settings().controller, "coalmine").effect, Effect::Denied);
}

#[test]
fn bypass_counts_only_with_its_template() {
    let a = deployment("VX");
    let mut new = applied(&a, "VY");
    new["metadata"]["annotations"][key::BYPASS] = json!("hotfix");
    let passed = ask(&a, &new, "ann", "kubectl").stored(&new).unwrap();
    assert_eq!(passed["spec"]["template"], template("VY"));
    assert_eq!(phase(&passed), "Bypassed");
    let mut next = applied(&passed, "VZ");
    next["metadata"]["annotations"][key::BYPASS] = json!("hotfix");
    assert_eq!(ask(&passed, &next, "ann", "kubectl").effect, Effect::Held, "the same reason does not count again");
}

#[test]
fn zero_replicas_and_opting_out_let_the_template_through() {
    let mut a = deployment("VX");
    a["spec"]["replicas"] = json!(0);
    assert_eq!(apply(&a, "VY").1.effect, Effect::Skipped);
    let (held, _) = apply(&deployment("VX"), "VY");
    let mut out = applied(&held, "VY");
    out["metadata"]["annotations"][key::ENABLED] = json!("false");
    let changed = ask(&held, &out, "ann", "kubectl").stored(&out).unwrap();
    assert_eq!(changed["spec"]["template"], template("VY"));
    assert_eq!(phase(&changed), "Cancelled");
    assert!(object::annotation(&changed, key::HELD).is_none());
}

//! Who may do what: state cannot be forged, removed or copied, and nobody promotes but the controller, and it only what is held.

use coalmine_core::{
    api::annotations::{self as key, Phase},
    hold::{held::Held, promotion},
    manifest::{object, template},
};
use rstest::rstest;
use serde_json::{Value, json};

use super::held_name;
use crate::support::{
    control_plane::As,
    fixtures::{self, Template},
    kubectl::{
        Apply::{self, ClientSide, ServerSide},
        assert_said,
    },
    namespace::{Namespace, promotion_of},
    results::row,
};

fn record(name: &str) -> String {
    let template = Template::named(name).value();
    let (manager, user) = ("kubectl".to_owned(), "mallory".to_owned());
    let operation = coalmine_core::hold::held::Operation::Apply;
    Held {
        template,
        manager,
        operation,
        user,
        owners: std::collections::BTreeMap::default(),
        last_applied: None,
        against: None,
        contributions: Vec::new(),
    }
    .encode()
    .unwrap()
}

fn state(app: &Value) -> Vec<(String, Value)> {
    let ours = |name: &str| name.starts_with(key::STATE_PREFIX);
    object::annotations(app).iter().filter(|(name, _)| ours(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[rstest]
#[case::verdict(key::PHASE, "Promoted")]
#[case::held(key::HELD, "forged")]
#[case::proven(key::PROVEN, "forged")]
#[case::removed_hold(key::HELD, "")]
#[case::removed_phase(key::PHASE, "")]
#[ignore = "needs a control plane"]
fn a_user_cannot_write_state(#[case] name: &str, #[case] value: &str) {
    let _row = row("a change of canary.state/* by a user", "kubectl annotate", "undone, with a warning");
    let namespace = Namespace::with_b_held(ServerSide);
    let before = namespace.app();
    let change = if value.is_empty() { format!("{name}-") } else { format!("{name}={value}") };
    let output = namespace.kubectl.run(&["annotate", "deployment/app", "--overwrite", &change]).succeeded();
    if !value.is_empty() {
        assert_eq!(output.said(), format!("Warning: canary: {name} is Coalmine's own; the change to it was undone"));
    }
    assert_eq!(state(&namespace.app()), state(&before));
}

#[rstest]
#[case::opted_in(true)]
#[case::not_yet(false)]
#[ignore = "needs a control plane"]
fn a_template_is_not_proven_by_saying_so(#[case] opted_in: bool) {
    let _row = row("a forged canary.state/proven, then that template", "kubectl patch", "held all the same");
    let namespace = Namespace::new();
    let first = if opted_in { fixtures::deployment } else { fixtures::plain };
    namespace.kubectl.apply(ClientSide, &first("app", &Template::named("A"))).succeeded();
    // The hash of what B will be once it is defaulted.
    let mut defaulted = namespace.app()["spec"]["template"].clone();
    defaulted["spec"]["containers"][0]["image"] = json!("registry.example/app:b");
    let forged = json!({"metadata": {"annotations": {key::PROVEN: template::hash(&defaulted)}}}).to_string();
    namespace.kubectl.run(&["patch", "deployment/app", "--type=merge", "--patch", &forged]).succeeded();
    assert_eq!(state(&namespace.app()), []);
    let enabled = json!({"metadata": {"annotations": {"canary.enabled": "true", key::PROVEN: template::hash(&defaulted)}},
        "spec": {"template": defaulted}});
    namespace.kubectl.run(&["patch", "deployment/app", "--type=merge", "--patch", &enabled.to_string()]).succeeded();
    let app = namespace.app();
    assert_eq!(fixtures::template_name(object::template(&app)), "A");
    assert_eq!(object::phase(object::annotations(&app)), Some(Phase::Held));
}

#[test]
#[ignore = "needs a control plane"]
fn state_forged_on_what_is_not_opted_in_is_taken_away() {
    let _row = row("canary.state/* on a Deployment that is not opted in", "kubectl patch", "taken away");
    let namespace = Namespace::new();
    namespace.kubectl.apply(ServerSide, &fixtures::plain("app", &Template::named("A"))).succeeded();
    let forged = json!({"metadata": {"annotations": {key::HELD: record("B"), key::PHASE: "Running", key::RUN: "x"}}});
    namespace.kubectl.run(&["patch", "deployment/app", "--type=merge", "--patch", &forged.to_string()]).succeeded();
    assert_eq!(state(&namespace.app()), []);
    let mut created = fixtures::deployment("other", &Template::named("A"));
    created["metadata"]["annotations"] = forged["metadata"]["annotations"].clone();
    namespace.kubectl.apply(ServerSide, &created).succeeded();
    assert_eq!(state(&namespace.control_plane.get(&namespace.path("other"))), []);
}

#[test]
#[ignore = "needs a control plane"]
fn state_cannot_be_forged_through_the_status() {
    let _row = row("a change of canary.* by a status write", "deployments/status", "undone");
    let namespace = Namespace::with_b_held(ServerSide);
    namespace.promote();
    let before = namespace.settle();
    let forged = json!({"metadata": {"annotations": {key::HELD: record("C"), key::PHASE: "Running", "canary.enabled": "false"}}});
    let path = format!("{}/status", namespace.path("app"));
    namespace.control_plane.send(As::Administrator, "PATCH", &path, "application/merge-patch+json", &forged).unwrap();
    let after = namespace.app();
    assert_eq!(object::annotations(&after), object::annotations(&before));
}

#[rstest]
#[ignore = "needs a control plane"]
fn a_copy_carries_no_state(#[values("the same namespace", "another namespace")] place: &str) {
    let request = format!("kubectl get -o yaml, into apply, as a copy in {place}");
    let _row = row(&request, "kubectl apply", "A, without state");
    let namespace = Namespace::with_b_held(ClientSide);
    let copied = namespace.kubectl.run(&["get", "deployment/app", "-o=json"]).succeeded().stdout;
    let mut copied: Value = serde_json::from_str(&copied).unwrap();
    let elsewhere = Namespace::new();
    let target = if place == "another namespace" { &elsewhere } else { &namespace };
    for server_field in ["uid", "resourceVersion", "creationTimestamp", "generation"] {
        copied["metadata"].as_object_mut().unwrap().remove(server_field);
    }
    copied["metadata"]["name"] = json!("copy");
    copied["metadata"]["namespace"] = json!(target.name);
    target.kubectl.apply(ClientSide, &copied).succeeded();
    let copy = target.control_plane.get(&target.path("copy"));
    assert_eq!(state(&copy), []);
    assert_eq!(object::annotation(&copy, "canary.enabled"), Some("true"));
    assert_eq!(object::label(&copy, key::ACTIVE_LABEL), None);
    assert!(!object::annotation(&copy, key::LAST_APPLIED).unwrap_or_default().contains(key::STATE_PREFIX));
    assert_eq!(fixtures::template_name(object::template(&copy)), "A");
}

#[test]
#[ignore = "needs a control plane"]
fn applying_what_get_shows_changes_nothing() {
    let _row = row("kubectl get -o yaml, into apply, onto itself while B is held", "kubectl apply", "B stays held");
    let namespace = Namespace::with_b_held(ClientSide);
    let shown = namespace.kubectl.run(&["get", "deployment/app", "-o=json"]).succeeded().stdout;
    namespace.kubectl.run_with(&["apply", "-f", "-"], &shown, &[]);
    namespace.assert_held("B");
    // The user's file again: still B, and it ends as it should.
    namespace.apply(ClientSide, "B").succeeded();
    namespace.assert_held("B");
    namespace.promote();
    let promoted = namespace.assert_phase("B", None, Some(Phase::Promoted));
    assert!(!object::annotation(&promoted, key::LAST_APPLIED).unwrap_or_default().contains(key::STATE_PREFIX));
    namespace.apply(ClientSide, "A").succeeded();
    namespace.assert_phase("A", None, Some(Phase::RolledBack));
}

#[rstest]
#[ignore = "needs a control plane"]
fn a_restored_backup_is_admitted_without_state(#[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row(
        "a restore from a backup made while B was held",
        &format!("{}, then kubectl create", how.words()),
        "A, without state; B is held when applied",
    );
    let namespace = Namespace::with_b_held(how);
    let backup = namespace.kubectl.run(&["get", "deployment/app", "-o=json"]).succeeded().stdout;
    namespace.kubectl.run(&["delete", "deployment/app"]).succeeded();
    let mut backup: Value = serde_json::from_str(&backup).unwrap();
    backup["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    namespace.kubectl.run_with(&["create", "-f", "-"], &backup.to_string(), &[]).succeeded();
    let restored = namespace.app();
    assert_eq!(state(&restored), []);
    assert_eq!(fixtures::template_name(object::template(&restored)), "A");
    let mut output = namespace.apply(how, "B");
    if output.code != 0 {
        // kubectl create took the fields over: server-side apply says so with or without Coalmine.
        output = namespace.kubectl.apply_with(how, &fixtures::deployment("app", &Template::named("B")), &["--force-conflicts"]);
    }
    output.succeeded();
    assert_eq!(held_name(&namespace.app()), Some("B".to_owned()));
}

#[rstest]
#[case::another_template(|_: &Value| json!([{"op": "replace", "path": "/spec/template", "value": Template::named("C").value()}]))]
#[case::more_than_the_template(|app: &Value| {
    let mut patch = promotion_of(app);
    patch.as_array_mut().unwrap().push(json!({"op": "replace", "path": "/spec/replicas", "value": 9}));
    patch
})]
#[case::without_the_template(|app: &Value| promotion::state_patch(app, Phase::Promoted, None, "2026-11-23T12:00:00Z"))]
#[case::other_fields(|_: &Value| json!([{"op": "replace", "path": "/spec/replicas", "value": 9}]))]
#[case::another_record(|_: &Value| json!([{"op": "replace", "path": "/metadata/annotations/canary.state~1held", "value": record("C")}]))]
#[ignore = "needs a control plane"]
fn the_controller_may_promote_what_is_held_and_nothing_else(#[case] patch: fn(&Value) -> Value) {
    let _row = row("a template that is not the held one", "the controller's service account", "denied, also to the controller");
    let namespace = Namespace::with_b_held(ServerSide);
    let before = namespace.app();
    let refused = namespace.patch(As::Controller, &patch(&before)).unwrap_err();
    assert_eq!(refused.code, 403, "{refused:?}");
    assert!(refused.message.contains("canary: "), "{refused:?}");
    assert_eq!(namespace.app()["spec"], before["spec"]);
}

#[test]
#[ignore = "needs a control plane"]
fn what_was_rejected_cannot_be_promoted() {
    let _row = row("a held template that was rejected", "the controller's service account", "denied, also to the controller");
    let namespace = Namespace::with_b_held(ServerSide);
    namespace.judge(Phase::Rejected, "error rate 48.1%");
    let refused = namespace.try_to_promote().unwrap_err();
    insta::assert_snapshot!(refused.message, @r#"admission webhook "deployments.coalmine.dev" denied the request: canary: there is no template on trial, so nothing to promote"#);
    let again = promotion::state_patch(&namespace.app(), Phase::Running, None, "2026-11-23T12:00:00Z");
    let refused = namespace.patch(As::Controller, &again).unwrap_err();
    insta::assert_snapshot!(refused.message, @r#"admission webhook "deployments.coalmine.dev" denied the request: canary: the controller may change nothing but its own annotations here"#);
    namespace.assert_phase("A", Some("B"), Some(Phase::Rejected));
}

/// Somebody took Coalmine's webhook away, applied C, and put it back: C is the user's later wish, whatever B's canary says.
#[test]
#[ignore = "needs a control plane"]
fn what_was_held_against_another_template_cannot_be_promoted() {
    let _row =
        row("B, held before C came while no Coalmine was registered", "the controller's service account", "denied, also to the controller");
    let namespace = Namespace::with_b_held(ServerSide);
    namespace.without_webhook(|| drop(namespace.apply(ServerSide, "C").succeeded()));
    let refused = namespace.try_to_promote().unwrap_err();
    insta::assert_snapshot!(refused.message, @r#"admission webhook "deployments.coalmine.dev" denied the request: canary: the live template is not the one that this was held against"#);
    assert_eq!(fixtures::template_name(object::template(&namespace.app())), "C");
    // The next template is tried as ever.
    namespace.apply(ServerSide, "D").succeeded();
    namespace.assert_phase("C", Some("D"), Some(Phase::Held));
    namespace.promote();
    namespace.assert_phase("D", None, Some(Phase::Promoted));
}

/// And B applied again is a wish that is later still.
#[test]
#[ignore = "needs a control plane"]
fn what_was_held_against_another_template_is_tried_anew_when_it_is_applied_again() {
    let _row =
        row("B, inconclusive since C came while no Coalmine was registered, again", "kubectl apply --server-side", "tried against C");
    let namespace = Namespace::with_b_held(ServerSide);
    namespace.without_webhook(|| drop(namespace.apply(ServerSide, "C").succeeded()));
    namespace.judge(Phase::Inconclusive, "the live template was changed meanwhile, past Coalmine");
    let output = namespace.apply(ServerSide, "B").succeeded();
    assert_said!(output, @"Warning: canary: template held; trying it in app-canary for 60s; watch: kubectl events --for deploy/app -w");
    namespace.assert_phase("C", Some("B"), Some(Phase::Held));
    namespace.assert_no_write(|| namespace.apply(ServerSide, "B").succeeded());
    namespace.promote();
    namespace.assert_phase("B", None, Some(Phase::Promoted));
}

#[test]
#[ignore = "needs a control plane"]
fn nobody_but_the_controller_promotes() {
    let _row = row("the controller's own promotion, sent by an administrator", "kubectl patch", "held, as any template");
    let namespace = Namespace::with_b_held(ServerSide);
    let app = namespace.app();
    let patch = promotion_of(&app);
    namespace.patch(As::Administrator, &patch).unwrap();
    namespace.assert_held("B");
}

#[test]
#[ignore = "needs a control plane"]
fn the_label_that_the_controller_watches_stays() {
    let _row = row("coalmine.dev/active removed while B is held", "kubectl label", "put back");
    let namespace = Namespace::with_b_held(ServerSide);
    let output = namespace.kubectl.run(&["label", "deployment/app", &format!("{}-", key::ACTIVE_LABEL)]).succeeded();
    assert_said!(output, @"");
    let app = namespace.assert_held("B");
    assert_eq!(object::label(&app, key::ACTIVE_LABEL), Some("true"));
    // Where nobody put it back, the next request does.
    namespace.without_webhook(|| drop(namespace.kubectl.run(&["label", "deployment/app", &format!("{}-", key::ACTIVE_LABEL)]).succeeded()));
    assert_eq!(object::label(&namespace.app(), key::ACTIVE_LABEL), None);
    namespace.apply(ServerSide, "B").succeeded();
    assert_eq!(object::label(&namespace.assert_held("B"), key::ACTIVE_LABEL), Some("true"));
}

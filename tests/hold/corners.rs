//! Corners of the hold that are none of its table's rows: selectors, other tools' keys, quotas, deletion, annotations in the wrong place.

use coalmine_core::{
    api::annotations::{self as key, Phase},
    api::label::Label,
    manifest::object,
    run::canary,
};
use rstest::rstest;
use serde_json::json;

use super::held_name;
use crate::support::{
    control_plane::As,
    eventually,
    fixtures::{self, Template},
    kubectl::{
        Apply::{self, ClientSide, ServerSide},
        assert_said,
    },
    namespace::{Namespace, held},
    results::row,
};

#[rstest]
#[ignore = "needs a control plane"]
fn a_selector_that_forbids_the_canarys_label(#[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("selector app in (app, web), tier DoesNotExist", how.words(), "held and promoted");
    let manifest = |template: &str| {
        let mut manifest = fixtures::deployment("app", &Template::named(template));
        manifest["spec"]["selector"] = json!({"matchExpressions": [
            {"key": "app", "operator": "In", "values": ["app", "web"]}, {"key": "tier", "operator": "DoesNotExist"}]});
        manifest
    };
    let namespace = Namespace::new();
    namespace.kubectl.apply(how, &manifest("A")).succeeded();
    let output = namespace.kubectl.apply(how, &manifest("B")).succeeded();
    assert_said!(output, @"Warning: canary: template held; trying it in app-canary for 60s; watch: kubectl events --for deploy/app -w");
    namespace.assert_held("B");
    namespace.promote();
    namespace.assert_phase("B", None, Some(Phase::Promoted));
}

#[rstest]
#[ignore = "needs a control plane"]
fn keys_of_other_tools_are_none_of_our_business(#[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("canary.flagger.app/x on the Deployment", how.words(), "not looked at");
    let mut manifest = fixtures::deployment("app", &Template::named("A"));
    manifest["metadata"]["annotations"]["canary.flagger.app/x"] = json!("y");
    let namespace = Namespace::new();
    namespace.kubectl.apply(how, &manifest).succeeded();
    let app = namespace.assert_phase("A", None, None);
    assert_eq!(object::annotation(&app, "canary.flagger.app/x"), Some("y"));
}

#[rstest]
#[ignore = "needs a control plane"]
fn annotations_on_the_pod_template_are_told(#[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("canary.enabled on the pod template alone", how.words(), "passes, with a warning");
    let manifest = |template: &str| {
        let mut manifest = fixtures::plain("app", &Template::named(template));
        manifest["spec"]["template"]["metadata"]["annotations"] = json!({"canary.enabled": "true"});
        manifest
    };
    let namespace = Namespace::new();
    for template in ["A", "B"] {
        let output = namespace.kubectl.apply(how, &manifest(template)).succeeded();
        assert_said!(output, @"Warning: canary: canary.enabled does nothing on the pod template; write it on the Deployment itself");
        assert_eq!(fixtures::template_name(object::template(&namespace.app())), template);
    }
}

/// Each is told when it comes, and not again.
#[rstest]
#[case::misspelt(
    "annotations",
    "canary.enable",
    "Warning: canary: canary.enable does nothing: the Deployment has no annotation canary.enabled: \"true\""
)]
#[case::alone(
    "annotations",
    "canary.duration",
    "Warning: canary: canary.duration does nothing: the Deployment has no annotation canary.enabled: \"true\""
)]
#[case::another_prefix(
    "annotations",
    "canary/enabled",
    "Warning: canary: canary/enabled does nothing: the Deployment has no annotation canary.enabled: \"true\""
)]
#[case::another_domain(
    "annotations",
    "coalmine.dev/enabled",
    "Warning: canary: coalmine.dev/enabled does nothing: the Deployment has no annotation canary.enabled: \"true\""
)]
#[case::a_label(
    "labels",
    "canary.enabled",
    "Warning: canary: canary.enabled does nothing as a label; write it as an annotation of the Deployment"
)]
#[ignore = "needs a control plane"]
fn an_opt_in_that_is_none_is_told(#[case] part: &str, #[case] name: &str, #[case] words: &str) {
    let _row = row(&format!("{name} among the {part}, and no canary.enabled"), "kubectl apply", "passes, with a warning");
    let manifest = |template: &str| {
        let mut manifest = fixtures::plain("app", &Template::named(template));
        manifest["metadata"][part] = json!({name: "true"});
        manifest
    };
    let namespace = Namespace::new();
    for (template, words) in [("A", words), ("B", "")] {
        let output = namespace.kubectl.apply(ServerSide, &manifest(template)).succeeded();
        assert_eq!(output.stderr.trim(), words);
        assert_eq!(fixtures::template_name(object::template(&namespace.app())), template);
    }
}

#[test]
#[ignore = "needs a control plane"]
fn a_quota_that_only_the_present_canary_uses_up_refuses_nothing() {
    let _row = row("a quota that the canary of B uses up, then C", "kubectl apply", "C held, unchecked");
    let namespace = Namespace::with_b_held(ServerSide);
    let app = namespace.app();
    let label = Label::new("tier", "canary");
    let run = object::annotation(&app, key::RUN).unwrap();
    let canary = canary::deployment(&app, held(&app).unwrap().template, run, &label);
    let path = format!("/apis/apps/v1/namespaces/{}/deployments", namespace.name);
    namespace.control_plane.send(As::Controller, "POST", &path, "application/json", &canary).unwrap();
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"},
        "spec": {"hard": {"count/deployments.apps": "2"}}});
    namespace.kubectl.apply(ServerSide, &quota).succeeded();
    let path = format!("/api/v1/namespaces/{}/resourcequotas/few", namespace.name);
    eventually("the quota to be counted", || {
        let used = namespace.control_plane.get(&path)["status"]["used"]["count/deployments.apps"].clone();
        if used == "2" { Ok(()) } else { Err(used.to_string()) }
    });
    let output = namespace.apply(ServerSide, "C").succeeded();
    assert!(output.said().contains("could not be checked in time"), "{}", output.said());
    assert_eq!(held_name(&namespace.app()), Some("C".to_owned()));
}

#[test]
#[ignore = "needs a control plane"]
fn two_deployments_with_one_template_have_runs_of_their_own() {
    let _row = row("two Deployments with the same templates in one namespace", "kubectl apply", "two runs, two canaries");
    let namespace = Namespace::with_b_held(ServerSide);
    let twin = |template: &str| {
        namespace.kubectl.apply(ServerSide, &fixtures::deployment("twin", &Template::named(template))).succeeded();
        namespace.control_plane.get(&namespace.path("twin"))
    };
    let live = twin("A");
    let (app, twin) = (namespace.app(), twin("B"));
    assert_eq!(object::template(&live), object::template(&app));
    assert_eq!(held(&twin).unwrap().template, held(&app).unwrap().template);
    let run = |app: &serde_json::Value| object::annotation(app, key::RUN).map(str::to_owned).expect("a run");
    assert_ne!(run(&app), run(&twin));
}

/// A finalizer keeps it; who takes the finalizer away must not be stopped, whatever else the request says.
#[test]
#[ignore = "needs a control plane"]
fn what_is_being_deleted_is_never_stopped() {
    let _row = row("finalizers taken away while B is held (no Coalmine runs)", "kubectl patch", "gone");
    let namespace = Namespace::with_b_held(ServerSide);
    let finalizers = |list: serde_json::Value| json!({"metadata": {"finalizers": list}}).to_string();
    let patch = |body: &str| namespace.kubectl.run(&["patch", "deployment/app", "--type=merge", "--patch", body]).succeeded();
    patch(&finalizers(json!(["example.com/keep"])));
    namespace.kubectl.run(&["delete", "deployment/app", "--wait=false"]).succeeded();
    namespace.stop_coalmine();
    patch(&finalizers(json!(null)));
    eventually("the Deployment to be gone", || {
        if namespace.control_plane.find(&namespace.path("app")).is_none() { Ok(()) } else { Err("still there".to_owned()) }
    });
}

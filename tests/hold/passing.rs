//! What passes at once, held template or not, and what never reaches the webhook.

use coalmine_core::{
    api::annotations::{self as key, Phase},
    manifest::object,
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{
    eventually,
    fixtures::{self, Template},
    kubectl::{
        Apply::{self, ClientSide, ServerSide},
        assert_said,
    },
    namespace::{Namespace, held},
    results::row,
};

/// Everything outside the template that a person changes.
fn changed_around(template: &str) -> Value {
    let mut manifest = fixtures::deployment("app", &Template::named(template));
    manifest["metadata"]["labels"]["team"] = json!("checkout");
    manifest["metadata"]["annotations"]["example.com/contact"] = json!("ann");
    manifest["spec"]["replicas"] = json!(3);
    manifest["spec"]["strategy"] = json!({"rollingUpdate": {"maxSurge": 2}});
    manifest["spec"]["paused"] = json!(true);
    manifest
}

#[track_caller]
fn assert_changed_around(app: &Value) {
    assert_eq!(app["metadata"]["labels"]["team"], "checkout");
    assert_eq!(object::annotation(app, "example.com/contact"), Some("ann"));
    assert_eq!(app["spec"]["replicas"], 3);
    assert_eq!(app["spec"]["strategy"]["rollingUpdate"]["maxSurge"], 2);
    assert_eq!(app["spec"]["paused"], true);
}

#[rstest]
#[ignore = "needs a control plane"]
fn replicas_strategy_labels_annotations_paused_pass_at_once(#[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("replicas, strategy, labels, other annotations, paused", how.words(), "pass at once");
    let namespace = Namespace::with_a(how);
    let output = namespace.kubectl.apply(how, &changed_around("A")).succeeded();
    assert_eq!(output.stderr, "");
    assert_changed_around(&namespace.assert_phase("A", None, None));
}

#[rstest]
#[ignore = "needs a control plane"]
fn they_pass_also_together_with_a_template_change(#[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("replicas, strategy, labels, other annotations, paused, with a template change", how.words(), "pass at once; B held");
    let namespace = Namespace::with_a(how);
    namespace.kubectl.apply(how, &changed_around("B")).succeeded();
    assert_changed_around(&namespace.assert_held("B"));
}

#[rstest]
#[ignore = "needs a control plane"]
fn they_pass_while_b_is_held(#[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("replicas, strategy, labels, other annotations, paused, while B is held", how.words(), "pass at once; B stays held");
    let namespace = Namespace::with_b_held(how);
    namespace.kubectl.apply(how, &changed_around("B")).succeeded();
    assert_changed_around(&namespace.assert_held("B"));
}

#[rstest]
#[case::label(&["label", "deployment/app", "team=checkout"])]
#[case::annotate(&["annotate", "deployment/app", "example.com/contact=ann"])]
#[case::pause(&["rollout", "pause", "deployment/app"])]
#[case::patch_replicas(&["patch", "deployment/app", "--patch={\"spec\":{\"replicas\":4}}"])]
#[ignore = "needs a control plane"]
fn commands_that_leave_the_template_alone_keep_the_hold(#[case] command: &[&str]) {
    let _row = row("a command that leaves the template alone, while B is held", &format!("kubectl {}", command[0]), "passes; B stays held");
    let namespace = Namespace::with_b_held(ServerSide);
    let output = namespace.kubectl.run(command).succeeded();
    assert_eq!(output.stderr, "");
    namespace.assert_held("B");
}

#[test]
#[ignore = "needs a control plane"]
fn scale_and_status_never_reach_the_webhook() {
    let _row = row("scale", "kubectl scale", "never reaches the webhook");
    // Served by a Coalmine that doesn't run: what reached it would fail.
    let namespace = Namespace::with_b_held(ClientSide);
    namespace.stop_coalmine();
    namespace.kubectl.run(&["scale", "deployment/app", "--replicas=5"]).succeeded();
    let app = namespace.assert_held("B");
    assert_eq!(app["spec"]["replicas"], 5);
}

#[rstest]
#[ignore = "needs a control plane"]
fn enabled_in_the_same_request_as_a_new_template_is_held(#[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("canary.enabled set in the same request as a new template", how.words(), "held; A is the old object's");
    let namespace = Namespace::new();
    namespace.kubectl.apply(how, &fixtures::plain("app", &Template::named("A"))).succeeded();
    namespace.apply(how, "B").succeeded();
    namespace.assert_held("B");
}

#[rstest]
#[case::removed(None)]
#[case::switched_off(Some("false"))]
#[ignore = "needs a control plane"]
fn enabled_removed_or_false_passes(#[case] value: Option<&str>, #[values(ClientSide, ServerSide)] how: Apply) {
    let request = if value.is_some() { "canary.enabled false" } else { "canary.enabled removed" };
    let _row = row(request, how.words(), "template passes; what was held is dropped");
    let opted_out = |template: &str| {
        let mut manifest = fixtures::deployment("app", &Template::named(template));
        match value {
            Some(value) => manifest["metadata"]["annotations"]["canary.enabled"] = json!(value),
            None => manifest["metadata"]["annotations"] = json!({}),
        }
        manifest
    };
    let namespace = Namespace::with_b_held(how);
    let output = namespace.kubectl.apply(how, &opted_out("C")).succeeded();
    assert_said!(output, @"Warning: canary: opted out; the held template is dropped");
    let app = namespace.assert_phase("C", None, Some(Phase::Cancelled));
    assert_eq!(object::label(&app, key::ACTIVE_LABEL), Some("true"), "the controller has a canary to delete");
    // From then on Coalmine is out of it.
    let output = namespace.kubectl.apply(how, &opted_out("B")).succeeded();
    assert_eq!(output.stderr, "");
    assert_eq!(fixtures::template_name(&namespace.app()["spec"]["template"]), "B");
}

#[rstest]
#[ignore = "needs a control plane"]
fn zero_replicas_template_passes(#[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("zero replicas", how.words(), "template passes");
    let asleep = |template: &str| {
        let mut manifest = fixtures::deployment("app", &Template::named(template));
        manifest["spec"]["replicas"] = json!(0);
        manifest
    };
    let namespace = Namespace::new();
    namespace.kubectl.apply(how, &asleep("A")).succeeded();
    let output = namespace.kubectl.apply(how, &asleep("B")).succeeded();
    assert_said!(output, @"Warning: canary: no replicas, so no traffic to judge with; template let through");
    namespace.assert_phase("B", None, Some(Phase::Skipped));
}

#[rstest]
#[ignore = "needs a control plane"]
fn bypass_lets_one_template_through(#[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("canary.bypass in the request with the template", how.words(), "template passes, once");
    let bypassing = |template: &str| {
        let mut manifest = fixtures::deployment("app", &Template::named(template));
        manifest["metadata"]["annotations"]["canary.bypass"] = json!("the shop is down");
        manifest
    };
    let namespace = Namespace::with_b_held(how);
    let output = namespace.kubectl.apply(how, &bypassing("C")).succeeded();
    assert_said!(output, @"Warning: canary: template let through without a canary, as canary.bypass asks; an Event records it");
    let app = namespace.assert_phase("C", None, Some(Phase::Bypassed));
    insta::allow_duplicates! {
        insta::assert_snapshot!(object::annotation(&app, key::MESSAGE).unwrap_or_default(), @"template let through by kubernetes-admin without a canary: the shop is down");
    }
    // The same reason doesn't count twice.
    namespace.kubectl.apply(how, &bypassing("D")).succeeded();
    assert_eq!(held(&namespace.app()).map(|held| fixtures::template_name(&held.template)), Some("D".to_owned()));
}

/// The real controller; it needs no metrics to see that there are fewer replicas than the least, or more than the most.
#[test]
#[ignore = "needs a control plane"]
fn an_autoscaler_scales_while_b_is_held() {
    let _row = row("HPA", "the HorizontalPodAutoscaler's controller", "scales; B stays held");
    let namespace = Namespace::with_b_held(ServerSide);
    // What reached the webhook would fail.
    namespace.stop_coalmine();
    let autoscaler = |least: u32, most: u32| {
        let object = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "app"},
            "spec": {"minReplicas": least, "maxReplicas": most,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "app"}}});
        namespace.kubectl.apply(ServerSide, &object).succeeded();
    };
    for (least, most, expected) in [(5, 9, 5), (1, 3, 3)] {
        autoscaler(least, most);
        eventually("the autoscaler to act", || {
            let replicas = namespace.app()["spec"]["replicas"].clone();
            if replicas == expected { Ok(()) } else { Err(replicas.to_string()) }
        });
        namespace.assert_held("B");
    }
}

//! Going back to the live template while another one is held, as each client says it.

use coalmine_core::{api::annotations::Phase, manifest::object};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{
    control_plane::As,
    eventually,
    fixtures::{self, Template},
    gitops::{
        Engine::{self, ArgoClientSide, ArgoServerSide},
        argo_sync,
    },
    kubectl::{
        Apply::{self, ClientSide, ServerSide},
        assert_said,
    },
    namespace::{Namespace, records},
    results::row,
};

fn replace(namespace: &Namespace, template: &str) -> crate::support::kubectl::Output {
    let manifest = fixtures::deployment("app", &Template::named(template)).to_string();
    // kubectl reads the version first: the Deployment controller may come in between.
    eventually("a replace without a conflict", || {
        let output = namespace.kubectl.run_with(&["replace", "-f", "-"], &manifest, &[]);
        if output.stderr.contains("(Conflict)") { Err(output.stderr) } else { Ok(output) }
    })
}

#[rstest]
#[ignore = "needs a control plane"]
fn a_file_put_in_its_place_withdraws(#[values(ClientSide, ServerSide)] how: Apply, #[values(false, true)] judged: bool) {
    let request = if judged { "kubectl replace with B, rejected, with A" } else { "kubectl replace with B, with A" };
    let _row = row(request, &format!("on what came by {}", how.words()), "withdrawn");
    let namespace = Namespace::with_a(how);
    replace(&namespace, "B").succeeded();
    namespace.assert_held("B");
    if judged {
        namespace.judge(Phase::Rejected, "error rate 48.1%");
    }
    let output = replace(&namespace, "A").succeeded();
    assert_said!(output, @"Warning: canary: back to the live template; the held one is withdrawn");
    namespace.assert_phase("A", None, Some(Phase::Withdrawn));
}

/// Helm's library, by the names that its users go by: the patch is made from the last manifest, the new one, and the live object.
#[rstest]
#[case::flux("helm-controller")]
#[case::terraform("Terraform")]
#[case::terraforms_helm("terraform-provider-helm")]
#[ignore = "needs a control plane"]
fn a_client_that_compares_with_the_live_object_withdraws(#[case] manager: &str) {
    let _row = row("B by patch, then what differs from A", manager, "withdrawn");
    let namespace = Namespace::new();
    let path = format!("/apis/apps/v1/namespaces/{}/deployments?fieldManager={manager}", namespace.name);
    namespace.control_plane.post(&path, &fixtures::deployment("app", &Template::named("A"))).unwrap();
    namespace.await_revision(1);
    let patch = |body: &Value| {
        let path = format!("{}?fieldManager={manager}", namespace.path("app"));
        namespace.control_plane.send(As::Administrator, "PATCH", &path, "application/strategic-merge-patch+json", body).unwrap()
    };
    let b = json!({"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "registry.example/app:b"}]}}}});
    let before = records(&namespace.app());
    patch(&b);
    assert_eq!(object::annotation(&namespace.app(), "canary.enabled"), Some("held"));
    // The same difference, as it is sent with B again.
    let mut again = b;
    again["metadata"] = json!({"annotations": {"canary.enabled": "true"}});
    namespace.assert_no_write(|| patch(&again));
    patch(&json!({"metadata": {"annotations": {"canary.enabled": "true"}}}));
    let app = namespace.app();
    assert_eq!(object::phase(object::annotations(&app)), Some(Phase::Withdrawn));
    assert_eq!(object::annotation(&app, "canary.enabled"), Some("true"));
    assert_eq!(records(&app), before);
}

/// Argo CD syncs by itself only where its comparison finds a difference.
#[rstest]
#[ignore = "needs a control plane"]
fn argo_sees_that_the_revert_is_to_be_sent(#[values(ArgoClientSide, ArgoServerSide)] engine: Engine, #[values(false, true)] judged: bool) {
    let request = if judged { "A after B was rejected, by auto-sync" } else { "A while B is held, by auto-sync" };
    let _row = row(request, engine.words(), "OutOfSync, so it is sent: withdrawn");
    let namespace = Namespace::new();
    engine.apply(&namespace, "A").succeeded();
    namespace.settle();
    engine.apply(&namespace, "B").succeeded();
    if judged {
        namespace.judge(Phase::Rejected, "error rate 48.1%");
    }
    namespace.settle();
    assert_eq!(argo_sync(&namespace, "A"), "OutOfSync");
    engine.apply(&namespace, "A").succeeded();
    namespace.assert_phase("A", None, Some(Phase::Withdrawn));
    namespace.settle();
    assert_eq!(argo_sync(&namespace, "A"), "Synced");
}

#[test]
#[ignore = "needs a control plane"]
fn who_says_nothing_of_its_template_is_told() {
    let _row = row("a request of B's manager that leaves A", "kubectl patch", "kept, with a warning");
    let namespace = Namespace::with_a(ServerSide);
    let patch = |body: &str| namespace.kubectl.run(&["patch", "deployment/app", "--field-manager=operator", "--patch", body]).succeeded();
    patch(r#"{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"registry.example/app:b"}]}}}}"#);
    let output = patch(r#"{"metadata":{"labels":{"x":"y"}}}"#);
    assert_said!(output, @"Warning: canary: a template is on trial still; to drop it: kubectl annotate deploy/app --overwrite canary.enabled=false");
    assert_eq!(object::phase(object::annotations(&namespace.app())), Some(Phase::Held));
}

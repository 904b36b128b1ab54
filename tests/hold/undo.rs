//! `kubectl rollout undo` and opting in and out: an old revision is known, an undo opts nobody in or out, and what was left is tried again.

use coalmine_core::{api::annotations::Phase, manifest::object};
use rstest::rstest;
use serde_json::json;

use crate::support::{
    control_plane::As,
    fixtures::{self, Template},
    kubectl::{
        Apply::{self, ClientSide, ServerSide},
        assert_said,
    },
    namespace::Namespace,
    results::row,
};

fn undo(namespace: &Namespace) -> crate::support::kubectl::Output {
    namespace.kubectl.run(&["rollout", "undo", "deployment/app"]).succeeded()
}

/// A, B, and back again, as a server-side apply has it.
fn undone_without_coalmine() -> Namespace {
    let plain = Namespace::without_coalmine();
    for (template, revision) in [("A", 1), ("B", 2)] {
        plain.apply(ServerSide, template).succeeded();
        plain.await_revision(revision);
    }
    undo(&plain);
    plain
}

#[rstest]
#[case::by_file(true)]
#[case::by_undo(false)]
#[ignore = "needs a control plane"]
fn what_was_gone_back_from_is_tried_again(#[case] by_file: bool, #[values(ClientSide, ServerSide)] how: Apply) {
    let request = if by_file { "B promoted, rollout undo, B" } else { "B promoted, rollout undo twice" };
    let _row = row(request, how.words(), "A at once; B tried");
    let namespace = Namespace::with_b_held(how);
    namespace.promote();
    namespace.await_revision(2);
    undo(&namespace);
    namespace.assert_phase("A", None, Some(Phase::RolledBack));
    namespace.await_revision(3);
    if by_file {
        let manifest = fixtures::deployment("app", &Template::named("B"));
        if how == ServerSide {
            // The undo took over what the applier had set, which is a conflict without Coalmine, too.
            let plain = undone_without_coalmine();
            let refused = |namespace: &Namespace| namespace.kubectl.apply(how, &manifest).failed().stderr;
            assert_eq!(refused(&namespace), refused(&plain));
            namespace.kubectl.apply_with(how, &manifest, &["--force-conflicts"]).succeeded();
        } else {
            namespace.kubectl.apply(how, &manifest).succeeded();
        }
    } else {
        undo(&namespace);
    }
    let app = namespace.app();
    assert_eq!((super::held_name(&app), object::phase(object::annotations(&app))), (Some("B".to_owned()), Some(Phase::Held)));
}

/// kubectl names no field manager there, and its file has another name on Windows, or for a version.
#[rstest]
#[ignore = "needs a control plane"]
fn revisions_from_before_the_opt_in_are_known(#[values("kubectl", "kubectl.exe", "kubectl-1.31")] program: &str) {
    let _row = row("rollout undo to a revision from before the opt-in", program, "admitted at once; still opted in");
    let namespace = Namespace::new();
    namespace.kubectl.apply(ServerSide, &fixtures::plain("app", &Template::named("A"))).succeeded();
    namespace.await_revision(1);
    namespace.kubectl.apply(ServerSide, &fixtures::plain("app", &Template::named("B"))).succeeded();
    namespace.await_revision(2);
    namespace.kubectl.run(&["annotate", "deployment/app", "canary.enabled=true"]).succeeded();
    namespace.await_seen();
    let output = namespace.kubectl.run_as(program, &["rollout", "undo", "deployment/app"]).succeeded();
    assert_said!(output, @"Warning: canary: this template was live before; let through at once");
    let app = namespace.assert_phase("A", None, Some(Phase::RolledBack));
    assert_eq!(object::annotation(&app, "canary.enabled"), Some("true"));
}

#[test]
#[ignore = "needs a control plane"]
fn after_an_opt_out_an_undo_passes_and_opts_nobody_in() {
    let _row = row("opted out, set image, rollout undo", "kubectl", "passes; stays opted out");
    let namespace = Namespace::with_a(ServerSide);
    namespace.await_seen();
    namespace.kubectl.run(&["annotate", "deployment/app", "--overwrite", "canary.enabled=false"]).succeeded();
    namespace.kubectl.run(&["set", "image", "deployment/app", "app=registry.example/app:broken"]).succeeded();
    namespace.await_revision(2);
    let output = undo(&namespace);
    assert_said!(output, @"");
    let app = namespace.app();
    assert_eq!(fixtures::template_name(object::template(&app)), "A");
    assert_eq!(object::annotation(&app, "canary.enabled"), Some("false"));
}

#[rstest]
#[ignore = "needs a control plane"]
fn a_stated_no_is_believed(#[values("", "operator", "kubectl-edit")] manager: &str, #[values("PATCH", "PUT")] how: &str) {
    let client = if manager.is_empty() { "without a field manager" } else { manager };
    let _row = row("canary.enabled false together with C, while B is held", &format!("{how} {client}"), "C passes; B dropped");
    let namespace = Namespace::with_b_held(ServerSide);
    let mut wish = json!({"metadata": {"annotations": {"canary.enabled": "false"}},
        "spec": {"template": {"spec": {"containers": [{"name": "app", "image": "registry.example/app:c"}]}}}});
    let mut content_type = "application/strategic-merge-patch+json";
    if how == "PUT" {
        let mut app = namespace.app();
        app["metadata"]["annotations"]["canary.enabled"] = json!("false");
        app["metadata"].as_object_mut().unwrap().remove("resourceVersion");
        app["spec"]["template"]["spec"]["containers"][0]["image"] = json!("registry.example/app:c");
        (wish, content_type) = (app, "application/json");
    }
    let path = if manager.is_empty() { namespace.path("app") } else { format!("{}?fieldManager={manager}", namespace.path("app")) };
    namespace.control_plane.send(As::Administrator, how, &path, content_type, &wish).unwrap();
    let app = namespace.app();
    assert_eq!(object::annotation(&app, "canary.enabled"), Some("false"));
    assert_eq!(app["spec"]["template"]["spec"]["containers"][0]["image"], "registry.example/app:c");
    assert_eq!(object::phase(object::annotations(&app)), Some(Phase::Cancelled));
}

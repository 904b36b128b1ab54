//! Another template became the live one past Coalmine, or the record of the held one can't be read: nobody waits for it any more.

use coalmine_core::api::annotations::{self as key, Phase};
use rstest::rstest;
use serde_json::json;

use crate::support::{
    control_plane::As,
    eventually,
    gitops::{argo_health, kstatus},
    kubectl::Apply::{self, ClientSide, ServerSide},
    namespace::Namespace,
    results::row,
};

#[rstest]
#[case::on_trial(None)]
#[case::rejected(Some(Phase::Rejected))]
#[ignore = "needs a control plane"]
fn a_template_that_came_past_coalmine_ends_the_hold(#[case] verdict: Option<Phase>, #[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("B held or rejected, C while no webhook is there", how.words(), "status plain; the hold ends (Superseded)");
    let namespace = Namespace::with_b_held(how);
    if let Some(phase) = verdict {
        namespace.judge(phase, "error rate 48.1%");
    }
    namespace.without_webhook(|| drop(namespace.apply(how, "C").succeeded()));
    // Whether or not the controller has ended it by now.
    namespace.kubectl.run(&["annotate", "deployment/app", "note=1"]).succeeded();
    let app = eventually("the rollout of C to end", || {
        let app = namespace.settle();
        if app["status"]["updatedReplicas"] == 2 { Ok(app) } else { Err(app["status"].to_string()) }
    });
    namespace.kubectl.run(&["rollout", "status", "deployment/app", "--timeout=60s"]).succeeded();
    assert_eq!((kstatus(&namespace, &app).0.as_str(), argo_health(&namespace, &app).0.as_str()), ("Current", "Healthy"));
    namespace.judge(Phase::Superseded, "another template became the live one");
    let app = namespace.assert_phase("C", None, Some(Phase::Superseded));
    assert!(app["metadata"]["annotations"].get(key::MARKER).is_none());
    namespace.assert_no_write(|| namespace.apply(how, "C").succeeded());
    namespace.apply(how, "B").succeeded();
    // What was rejected is remembered, whatever was live meanwhile.
    namespace.assert_phase("C", Some("B"), Some(verdict.unwrap_or(Phase::Held)));
}

/// What a newer API server adds to a stored template: a field that nobody owns.
fn upgrade_the_api_server(namespace: &Namespace) {
    let send = |content_type: &str, body: &serde_json::Value| {
        let path = format!("{}?fieldManager=newer", namespace.path("app"));
        namespace.control_plane.send(As::Administrator, "PATCH", &path, content_type, body).unwrap()
    };
    namespace.without_webhook(|| {
        send("application/merge-patch+json", &json!({"spec": {"template": {"spec": {"subdomain": "default"}}}}));
        let mut entries = namespace.app()["metadata"]["managedFields"].as_array().unwrap().clone();
        entries.retain(|entry| entry["manager"] != "newer");
        send("application/json-patch+json", &json!([{"op": "replace", "path": "/metadata/managedFields", "value": entries}]));
    });
}

#[rstest]
#[case::on_trial(None)]
#[case::rejected(Some(Phase::Rejected))]
#[ignore = "needs a control plane"]
fn a_newer_servers_defaults_are_no_change(#[case] verdict: Option<Phase>, #[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("B held or rejected, a default of a newer API server", how.words(), "goes on; B again is no write; A is known");
    let namespace = Namespace::with_b_held(how);
    if let Some(phase) = verdict {
        namespace.judge(phase, "error rate 48.1%");
    }
    upgrade_the_api_server(&namespace);
    let phase = verdict.unwrap_or(Phase::Held);
    namespace.assert_no_write(|| namespace.apply(how, "B").succeeded());
    namespace.assert_phase("A", Some("B"), Some(phase));
    if verdict.is_some() {
        namespace.apply(how, "C").succeeded();
        namespace.apply(how, "B").succeeded();
        namespace.assert_phase("A", Some("B"), Some(Phase::Rejected));
        return;
    }
    namespace.promote();
    namespace.assert_phase("B", None, Some(Phase::Promoted));
    upgrade_the_api_server(&namespace);
    namespace.apply(how, "A").succeeded();
    namespace.assert_phase("A", None, Some(Phase::RolledBack));
}

#[test]
#[ignore = "needs a control plane"]
fn a_record_that_nobody_can_read_ends_the_hold() {
    let _row = row("the record of B can't be read", "-", "status plain; the hold ends (Superseded)");
    let namespace = Namespace::with_b_held(ClientSide);
    let garbage = json!([{"op": "add", "path": "/metadata/annotations/canary.state~1held", "value": "x"}]);
    namespace.without_webhook(|| drop(namespace.patch(As::Administrator, &garbage).expect("nobody looks")));
    namespace.settle();
    namespace.kubectl.run(&["rollout", "status", "deployment/app", "--timeout=60s"]).succeeded();
    namespace.judge(Phase::Superseded, "the held template can't be read back");
    namespace.assert_phase("A", None, Some(Phase::Superseded));
    namespace.apply(ClientSide, "B").succeeded();
    namespace.assert_held("B");
}

#[test]
#[ignore = "needs a control plane"]
fn what_may_still_be_promoted_is_not_dropped() {
    let namespace = Namespace::with_b_held(ClientSide);
    let patch = coalmine_core::hold::promotion::state_patch(&namespace.app(), Phase::Superseded, Some("gone"), "2026-01-01T00:00:00Z");
    let refused = namespace.patch(As::Controller, &patch).expect_err("the held template is as good as before");
    assert!(refused.message.contains("the controller may change nothing but its own annotations"), "{}", refused.message);
    namespace.assert_held("B");
}

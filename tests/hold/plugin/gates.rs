//! What people reserve to themselves, by the plugin: approving, pausing, ending by hand, freezing.

use coalmine_core::{api::annotations::Phase, manifest::object};

use super::{plugin, stdout};
use crate::support::{kubectl::Apply::ClientSide, namespace::Namespace};

#[test]
#[ignore = "needs a control plane"]
fn what_waits_for_approval_ends_with_five_and_is_approved_by_somebody_else() {
    let namespace = Namespace::with_a(ClientSide);
    namespace.kubectl.run(&["annotate", "deploy/app", "canary.approval=other"]).succeeded();
    namespace.apply(ClientSide, "B").succeeded();
    namespace.judge(Phase::Running, "");
    namespace.judge(Phase::AwaitingApproval, "error rate 0%; it waits for approval");
    assert_eq!(plugin(&namespace, &["status", "app"]).code, 5);
    let watched = plugin(&namespace, &["watch", "app"]);
    assert_eq!((watched.code, watched.stdout.lines().last()), (5, Some("AwaitingApproval: error rate 0%; it waits for approval")));
    let shown = plugin(&namespace, &["status", "app"]);
    assert!(shown.stdout.contains("Approval:    waits for somebody else than "), "{}", shown.stdout);
    let own = plugin(&namespace, &["approve", "app"]);
    assert!(own.code == 1 && own.stderr.starts_with("error: canary: canary.approval is \"other\": somebody else than "), "{}", own.stderr);
    let bob = ["--as", "bob", "--as-group", "system:masters"];
    let approve = |more: &[&str]| plugin(&namespace, &[&["approve", "app"], more].concat());
    let nobody = approve(&["--as", "nobody"]);
    assert!(nobody.stderr.contains("the right to get deployments in "), "{}", nobody.stderr);
    let approved = approve(&[&bob[..], &["--reason", "looks good"]].concat()).succeeded();
    insta::assert_snapshot!(approved.stdout, @"the template on trial of deployment.apps/app is approved, and let in; to watch it: kubectl coalmine watch app");
    let shown = plugin(&namespace, &["status", "app"]);
    assert!(shown.stdout.contains("Approval:    by bob: looks good"), "{}", shown.stdout);
    namespace.promote();
    assert_eq!(plugin(&namespace, &["watch", "app"]).code, 0);
}

#[test]
#[ignore = "needs a control plane"]
fn a_trial_is_paused_resumed_and_ended() {
    let namespace = Namespace::with_b_held(ClientSide);
    namespace.judge(Phase::Running, "");
    let mut said = Vec::new();
    for (arguments, code) in [
        (&["pause", "app"][..], 0),
        (&["pause", "app"], 1),
        (&["resume", "app"], 0),
        (&["resume", "app"], 1),
        (&["promote", "app"], 1),
        (&["reject", "app", "--reason", "the fair"], 0),
        (&["approve", "app"], 1),
    ] {
        let output = plugin(&namespace, arguments);
        assert_eq!(output.code, code, "{arguments:?}: {}{}", output.stdout, output.stderr);
        said.push(format!("{}{}", output.stdout, output.said().lines().next().unwrap_or_default()).trim_end().to_owned());
    }
    insta::assert_snapshot!(said.join("\n"), @r"
    the trial of deployment.apps/app stands still; to go on: kubectl coalmine resume app
    error: deployment app is paused already
    the trial of deployment.apps/app goes on; to watch it: kubectl coalmine watch app
    error: deployment app is not paused
    error: the following required arguments were not provided:
    the trial of deployment.apps/app ends, and its template is kept out; to watch it: kubectl coalmine watch app
    error: canary: canary.approve: there is nothing to approve, since canary.approval is not set; to let the template in now: canary.promote
    ");
    namespace.judge(Phase::Rejected, "bob decided: the fair; template kept out");
    let late = plugin(&namespace, &["promote", "app", "--reason", "after all"]);
    assert_eq!((late.code, late.said().as_str()), (1, "error: no template of deployment app is on trial (Rejected)"));
    // The same words are said again in another attempt.
    plugin(&namespace, &["retry", "app"]).succeeded();
    plugin(&namespace, &["reject", "app", "--reason", "the fair"]).succeeded();
    assert!(object::annotation(&namespace.app(), "canary.state/order").is_some());
}

#[test]
#[ignore = "needs a control plane"]
fn a_namespace_is_frozen_by_who_may() {
    let namespace = Namespace::with_a(ClientSide);
    let who = format!("editor-{}", namespace.name);
    namespace.kubectl.run(&["create", "rolebinding", "edit", "--clusterrole=edit", &format!("--user={who}")]).succeeded();
    let refused = plugin(&namespace, &["freeze", "--reason", "the fair", "--as", &who]);
    insta::assert_snapshot!(refused.said(), @"error: the right to patch namespaces in NAMESPACE is missing (kubectl auth can-i patch namespaces)");
    let mut said = Vec::new();
    for arguments in [&["freeze", "--reason", "the fair"][..], &["unfreeze"]] {
        said.push(stdout(&namespace, &plugin(&namespace, arguments).succeeded()));
        let frozen = namespace.control_plane.get(&format!("/api/v1/namespaces/{}", namespace.name));
        said.push(format!("{}\n", frozen["metadata"]["annotations"]["canary.freeze"]));
    }
    insta::assert_snapshot!(said.concat(), @r#"
    namespace/NAMESPACE is frozen: nothing is tried or promoted there; to end that: kubectl coalmine unfreeze -n NAMESPACE
    "the fair"
    namespace/NAMESPACE is frozen no longer: what is held there is tried
    null
    "#);
}

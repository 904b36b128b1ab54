//! The status tells the truth: what waits for a rollout waits for the verdict, fails with it, and never sees green too early.

use std::process::Child;

use coalmine_core::{api::annotations::Phase, manifest::object};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{
    control_plane::As,
    eventually,
    fixtures::{self, Template},
    kubectl::{
        Apply::{self, ClientSide, ServerSide},
        Output,
    },
    namespace::{Namespace, version},
    results::row,
};

const ROLLOUT_STATUS: [&str; 4] = ["rollout", "status", "deployment/app", "--timeout=120s"];

/// A is rolled out, B held, and the Deployment controller has seen it.
fn waiting(how: Apply) -> Namespace {
    let namespace = Namespace::with_a(how);
    namespace.settle();
    namespace.apply(how, "B").succeeded();
    namespace.settle();
    namespace
}

/// Lets the pods become Ready until the process ends.
fn finish(namespace: &Namespace, mut child: Child) -> Output {
    eventually("the waiting process to end", || {
        namespace.make_pods_ready();
        child.try_wait().unwrap().map(drop).ok_or_else(|| "still waiting".to_owned())
    });
    namespace.kubectl.output(child)
}

fn condition<'a>(app: &'a Value, kind: &str) -> &'a Value {
    let conditions = app["status"]["conditions"].as_array().unwrap();
    conditions.iter().find(|condition| condition["type"] == kind).unwrap_or(&Value::Null)
}

#[test]
#[ignore = "needs a control plane"]
fn rollout_status_is_never_green_while_held() {
    let _row = row("held", "kubectl rollout status", "waits, from the first moment on");
    let namespace = Namespace::with_a(ServerSide);
    namespace.settle();
    for template in ["B", "C", "B", "C", "B", "C", "B", "C", "B", "C", "B", "C", "B", "C", "B"] {
        namespace.apply(ServerSide, template).succeeded();
        let output = namespace.kubectl.run(&["rollout", "status", "deployment/app", "--watch=false"]).succeeded();
        assert!(output.stdout.starts_with("Waiting for deployment"), "{}", output.stdout);
    }
    let app = namespace.settle();
    assert_eq!(app["status"]["updatedReplicas"], Value::Null, "nothing runs the template that the user asked for");
    let output = namespace.kubectl.run(&["rollout", "status", "deployment/app", "--watch=false"]).succeeded();
    insta::assert_snapshot!(output.stdout.trim(), @r#"Waiting for deployment "app" rollout to finish: 0 out of 2 new replicas have been updated..."#);
    let columns = namespace.kubectl.run(&["get", "deployment/app", "--no-headers"]).succeeded().stdout;
    assert_eq!(columns.split_whitespace().take(4).collect::<Vec<_>>(), ["app", "2/2", "0", "2"]);
}

#[rstest]
#[ignore = "needs a control plane"]
fn rollout_status_waits_for_the_promotion_and_the_rollout(#[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("promoted", "kubectl rollout status", "waits for the rollout, exit 0");
    let namespace = waiting(how);
    let child = namespace.kubectl.command(&ROLLOUT_STATUS).spawn().unwrap();
    namespace.promote();
    let output = finish(&namespace, child).succeeded();
    assert!(output.stdout.ends_with("deployment \"app\" successfully rolled out\n"), "{}", output.stdout);
    let app = namespace.settle();
    assert_eq!(object::template(&app)["spec"]["containers"][0]["image"], "registry.example/app:b");
    assert_eq!(app["status"]["updatedReplicas"], 2);
}

#[rstest]
#[case::rejected(Phase::Rejected, "error rate 48.1% exceeds 1% after 12s; template kept out")]
#[case::inconclusive(Phase::Inconclusive, "54 requests seen, 338 are needed; template kept out")]
#[ignore = "needs a control plane"]
fn rollout_status_fails_with_the_verdict(#[case] phase: Phase, #[case] message: &str) {
    let _row = row(&phase.as_str().to_lowercase(), "kubectl rollout status", "exit 1");
    let namespace = waiting(ServerSide);
    let child = namespace.kubectl.command(&ROLLOUT_STATUS).spawn().unwrap();
    namespace.judge(phase, message);
    let output = finish(&namespace, child);
    assert_eq!((output.code, output.said().as_str()), (1, "error: deployment \"app\" exceeded its progress deadline"));
    // Whoever asks later is told the same, and why.
    let app = namespace.settle();
    assert_eq!(namespace.kubectl.run(&ROLLOUT_STATUS).code, 1);
    assert_eq!(condition(&app, "Progressing")["reason"], "ProgressDeadlineExceeded");
    assert_eq!(condition(&app, "Progressing")["message"], message);
    assert_eq!(condition(&app, "Canary")["reason"], phase.as_str());
    assert_eq!(condition(&app, "Canary")["status"], "False");
}

#[rstest]
#[case::while_held(None)]
#[case::after_the_rejection(Some(Phase::Rejected))]
#[ignore = "needs a control plane"]
fn rollout_status_ends_well_after_going_back(#[case] verdict: Option<Phase>) {
    let request = if verdict.is_some() { "rejected, then A again" } else { "withdrawn" };
    let _row = row(request, "kubectl rollout status", "exit 0");
    let namespace = waiting(ClientSide);
    if let Some(phase) = verdict {
        namespace.judge(phase, "error rate 48.1%");
        namespace.settle();
    }
    namespace.apply(ClientSide, "A").succeeded();
    let child = namespace.kubectl.command(&ROLLOUT_STATUS).spawn().unwrap();
    finish(&namespace, child).succeeded();
    let app = namespace.settle();
    assert_eq!(app["status"]["updatedReplicas"], 2);
    assert_eq!(condition(&app, "Progressing")["reason"], "NewReplicaSetAvailable");
}

#[rstest]
#[case::undo("kubectl rollout undo")]
#[case::bypass("canary.bypass")]
#[ignore = "needs a control plane"]
fn rollout_status_follows_what_was_let_through_after_a_rejection(#[case] way: &str) {
    let _row = row(&format!("rejected, then {way}"), "kubectl rollout status", "waits for the rollout, exit 0");
    let namespace = waiting(ServerSide);
    namespace.promote();
    namespace.settle();
    namespace.apply(ServerSide, "C").succeeded();
    namespace.judge(Phase::Rejected, "error rate 48.1%");
    assert_eq!(condition(&namespace.settle(), "Progressing")["reason"], "ProgressDeadlineExceeded");
    // No pod more, and so none of the progress by which the Deployment controller forgets a deadline.
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": {"pods": "2"}}});
    namespace.kubectl.apply(ClientSide, &quota).succeeded();
    namespace.kubectl.run(&["wait", "resourcequota/few", "--for=jsonpath={.status.used.pods}=2", "--timeout=60s"]).succeeded();
    if way == "canary.bypass" {
        let mut manifest = fixtures::deployment("app", &Template::named("C"));
        manifest["metadata"]["annotations"][way] = json!("an emergency");
        namespace.kubectl.apply(ServerSide, &manifest).succeeded();
    } else {
        namespace.kubectl.run(&["rollout", "undo", "deployment/app"]).succeeded();
    }
    eventually("the Deployment controller to have seen it", || {
        let app = namespace.app();
        let seen = app["status"]["observedGeneration"] == app["metadata"]["generation"];
        if seen { Ok(()) } else { Err(app["status"].to_string()) }
    });
    let output = namespace.kubectl.run(&["rollout", "status", "deployment/app", "--watch=false"]).succeeded();
    assert!(output.stdout.starts_with("Waiting for deployment"), "{}", output.stdout);
    namespace.kubectl.run(&["delete", "resourcequota/few"]).succeeded();
    let child = namespace.kubectl.command(&ROLLOUT_STATUS).spawn().unwrap();
    finish(&namespace, child).succeeded();
    let app = namespace.settle();
    assert_eq!(
        (&app["status"]["updatedReplicas"], &condition(&app, "Progressing")["reason"]),
        (&json!(2), &json!("NewReplicaSetAvailable"))
    );
}

#[test]
#[ignore = "needs a control plane"]
fn rollout_status_goes_on_waiting_when_c_supersedes_a_rejected_b() {
    let _row = row("rejected, then C", "kubectl rollout status", "waits again");
    let namespace = waiting(ServerSide);
    namespace.judge(Phase::Rejected, "error rate 48.1%");
    namespace.settle();
    namespace.apply(ServerSide, "C").succeeded();
    let app = namespace.settle();
    assert_eq!(condition(&app, "Progressing")["reason"], "CanaryRunning");
    let child = namespace.kubectl.command(&ROLLOUT_STATUS).spawn().unwrap();
    namespace.promote();
    finish(&namespace, child).succeeded();
}

/// Whoever waits for B sees a trial that starts over, never a green A.
#[rstest]
#[ignore = "needs a control plane"]
fn rollout_status_started_for_b_goes_on_waiting_when_something_is_changed(#[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("held, then a variable by another manager", "kubectl rollout status", "waits; exit 0 after the rollout of both");
    let namespace = waiting(how);
    let mut child = namespace.kubectl.command(&ROLLOUT_STATUS).spawn().unwrap();
    let patch = r#"{"spec":{"template":{"spec":{"containers":[{"name":"app","env":[{"name":"STAKATER","value":"1"}]}]}}}}"#;
    namespace.kubectl.run(&["patch", "deployment/app", "--field-manager=Reloader", "--patch", patch]).succeeded();
    let app = namespace.settle();
    assert_eq!(condition(&app, "Progressing")["reason"], "CanaryRunning");
    assert!(child.try_wait().unwrap().is_none(), "still waiting");
    namespace.promote();
    finish(&namespace, child).succeeded();
    let env = namespace.app()["spec"]["template"]["spec"]["containers"][0]["env"].to_string();
    assert!(env.contains("ONLY_B") && env.contains("STAKATER"), "{env}");
}

#[test]
#[ignore = "needs a control plane"]
fn wait_sees_the_phase_and_the_condition() {
    let _row = row("promoted, rejected", "kubectl wait", "for the phase or the condition Canary");
    let namespace = waiting(ServerSide);
    let phase = |phase: &str| format!("--for=jsonpath={{.metadata.annotations.canary\\.state/phase}}={phase}");
    namespace.kubectl.run(&["wait", "deployment/app", &phase("Held"), "--timeout=30s"]).succeeded();
    namespace.kubectl.run(&["wait", "deployment/app", "--for=condition=Canary=Unknown", "--timeout=30s"]).succeeded();
    let child = namespace.kubectl.command(&["wait", "deployment/app", &phase("Promoted"), "--timeout=60s"]).spawn().unwrap();
    namespace.promote();
    finish(&namespace, child).succeeded();
}

#[rstest]
#[case::held(None)]
#[case::rejected(Some(Phase::Rejected))]
#[ignore = "needs a control plane"]
fn no_write_loop(#[case] verdict: Option<Phase>) {
    let _row = row("held, idle", "the Deployment controller", "no status write");
    let namespace = waiting(ServerSide);
    if let Some(phase) = verdict {
        namespace.judge(phase, "error rate 48.1%");
    }
    let before = namespace.settle();
    // Each round makes the Deployment controller compute the status again; it may still be about to write what it knew before.
    let (mut round, mut quiet, mut seen) = (0, 0, String::new());
    eventually("15 rounds without a write", || {
        round += 1;
        namespace.kubectl.run(&["annotate", "replicaset", "--all", "--overwrite", &format!("example.com/round={round}")]).succeeded();
        let now = version(&namespace.app()).to_owned();
        quiet = if now == seen { quiet + 1 } else { 0 };
        seen = now;
        if quiet == 15 { Ok(()) } else { Err(format!("{quiet} quiet rounds of {round}")) }
    });
    assert!(round < 25, "{round} rounds until 15 were quiet");
    namespace.kubectl.run(&["scale", "deployment/app", "--replicas=3"]).succeeded();
    let scaled = namespace.settle();
    assert_eq!(scaled["status"]["availableReplicas"], 3, "scaling works meanwhile");
    assert_eq!(scaled["status"]["updatedReplicas"], Value::Null);
    assert_eq!(condition(&scaled, "Progressing"), condition(&before, "Progressing"));
}

#[test]
#[ignore = "needs a control plane"]
fn what_the_controller_adds_survives_the_deployment_controller() {
    let _row = row("the condition Canary", "the Deployment controller", "kept");
    let namespace = waiting(ServerSide);
    namespace.promote();
    let condition_of_ours = json!({"status": {"conditions": [{"type": "Canary", "status": "True", "reason": "Promoted", "message": "good",
        "lastUpdateTime": "2026-11-23T12:00:00Z", "lastTransitionTime": "2026-11-23T12:00:00Z"}]}});
    let path = format!("{}/status", namespace.path("app"));
    namespace.control_plane.send(As::Controller, "PATCH", &path, "application/strategic-merge-patch+json", &condition_of_ours).unwrap();
    namespace.kubectl.run(&["scale", "deployment/app", "--replicas=4"]).succeeded();
    let app = namespace.settle();
    assert_eq!(condition(&app, "Canary")["message"], "good");
    namespace.kubectl.run(&["wait", "deployment/app", "--for=condition=Canary", "--timeout=30s"]).succeeded();
}

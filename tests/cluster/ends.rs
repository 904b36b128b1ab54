//! Every run ends, whatever stands in its way: nothing that is not the user's to wait for keeps a Deployment waiting for ever.

use std::time::Duration;

use coalmine_core::{api::annotations::Phase, manifest::object};
use serde_json::json;

use super::{
    app::App,
    stage::{PATIENCE, Stage},
};
use crate::support::{eventually, kubectl::Apply::ClientSide, within};

const PAUSE: Duration = Duration::from_millis(100);

/// Says nothing but that it was there.
const FINALIZER: &str = r#"{"metadata":{"finalizers":["example.com/audit"]}}"#;

#[test]
#[ignore = "needs a whole cluster"]
fn an_earlier_canary_that_cannot_go_is_named_at_the_deadline_and_serves_nobody() {
    let stage = Stage::on_trial();
    stage.kubectl.run(&["patch", "deployment/app-canary", "--type=merge", "--patch", FINALIZER]).succeeded();
    stage.apply(&App::good("3").canary("deadline", "20s"));
    let rollout = stage.start_rollout_status();
    let (phase, message) = stage.await_verdict();
    assert_eq!((phase, stage.live().as_str()), (Phase::Inconclusive, "1"), "{:?}", stage.events());
    insta::assert_snapshot!(message, @"an earlier app-canary was not gone within 20s, which waits for its finalizer example.com/audit; template kept out");
    assert_eq!(stage.await_event("CanaryInconclusive"), format!("{message}; asked for by kubernetes-admin"));
    assert_eq!(rollout.ended().0, 1);
    within(PATIENCE, PAUSE, "no pod of the canary's", || {
        if stage.canary_pods().is_empty() { Ok(()) } else { Err(format!("{:?}", stage.canary_pods())) }
    });
    assert!(stage.deployment("app-canary").is_some(), "somebody's finalizer keeps it");
    stage.kubectl.run(&["patch", "deployment/app-canary", "--type=merge", "--patch", r#"{"metadata":{"finalizers":null}}"#]).succeeded();
    stage.await_no_canary();
}

#[test]
#[ignore = "needs a whole cluster"]
fn a_canary_whose_primary_went_without_it_is_deleted() {
    let stage = Stage::on_trial();
    stage.kubectl.run(&["delete", "deployment", "app", "--cascade=orphan"]).succeeded();
    stage.await_no_canary();
}

/// A policy of the cluster's that Coalmine may write to no Deployment in the namespace. Gone when dropped.
struct Barred<'a>(&'a Stage);

impl<'a> Barred<'a> {
    /// Returns once the API server keeps to it.
    fn begin(stage: &'a Stage) -> Self {
        let barred = Self(stage);
        let policy = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": stage.name},
            "spec": {
                "matchConstraints": {
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": stage.name}},
                    "resourceRules": [
                        {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["deployments"]},
                    ],
                },
                "validations": [{
                    "expression": "!request.userInfo.username.endsWith(':coalmine') && object.metadata.name != 'probe'",
                    "message": "robots may not write here",
                }],
            },
        });
        let binding = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": stage.name},
            "spec": {"policyName": stage.name, "validationActions": ["Deny"]},
        });
        let mut probe = App::good("1").replicas(0).manifest();
        probe["metadata"] = json!({"name": "probe"});
        for object in [&probe, &policy, &binding] {
            stage.kubectl.apply(ClientSide, object).succeeded();
        }
        eventually("the policy to be kept", || {
            let said = stage.kubectl.run(&["annotate", "deployment/probe", "x=1", "--overwrite", "--dry-run=server"]);
            if said.stderr.contains("robots") { Ok(()) } else { Err(said.stderr) }
        });
        barred
    }
}

impl Drop for Barred<'_> {
    fn drop(&mut self) {
        for kind in ["validatingadmissionpolicybinding", "validatingadmissionpolicy"] {
            let _ = self.0.kubectl.run(&["delete", kind, &self.0.name, "--ignore-not-found"]);
        }
    }
}

#[test]
#[ignore = "needs a whole cluster"]
fn a_run_that_may_not_be_written_down_ends_all_the_same() {
    let stage = Stage::with(&App::good("1"));
    let barred = Barred::begin(&stage);
    stage.apply(&App::good("2").with("NEVER_READY", "true").canary("deadline", "15s"));
    let rollout = stage.start_rollout_status();
    let said = stage.await_event("CanaryWriteRefused");
    assert!(said.starts_with("the Deployment can't be written to: ") && said.contains("robots may not write here"), "{said}");
    let (phase, message) = stage.await_verdict();
    assert_eq!((phase, stage.live().as_str()), (Phase::Inconclusive, "1"), "{:?}", stage.events());
    assert!(message.starts_with("not Ready within 15s: "), "{message}");
    assert_eq!(stage.await_event("CanaryInconclusive"), format!("{message}; asked for by kubernetes-admin"));
    assert_eq!(rollout.ended().0, 1);
    stage.await_no_canary();
    drop(barred);
    within(PATIENCE, PAUSE, "the Deployment to be let go", || match object::label(&stage.app(), "coalmine.dev/active") {
        None => Ok(()),
        seen => Err(format!("{seen:?}, {:?}", stage.events())),
    });
    let told = stage.reasons().iter().filter(|reason| *reason == "CanaryInconclusive").count();
    assert_eq!(told, 1, "{:?}", stage.events());
}

#[test]
#[ignore = "needs a whole cluster"]
fn a_canary_that_something_keeps_changing_is_given_up() {
    let stage = Stage::with(&App::good("1"));
    stage.apply(&App::good("2").canary("duration", "2m").canary("deadline", "5m"));
    let mut count = 0;
    let (phase, message) = within(PATIENCE, Duration::from_millis(500), "the end of it", || {
        // Whoever does this knows no better: every Deployment with this name, whenever it sees one.
        count += 1;
        let _ = stage.kubectl.run(&["set", "env", "deployment/app-canary", &format!("STAMP={count}"), "--field-manager=stamper"]);
        match stage.phase() {
            Some(phase) if !phase.is_trying() => Ok((phase, stage.message())),
            seen => Err(format!("{seen:?}; {:?}", stage.events())),
        }
    });
    assert_eq!((phase, stage.live().as_str()), (Phase::Inconclusive, "1"), "{message}");
    insta::assert_snapshot!(message, @r#"app-canary was changed 4 times, last by "stamper", so the held template was never tried alone; keep others off it; template kept out"#);
    stage.await_no_canary();
}

#[test]
#[ignore = "needs a whole cluster"]
fn a_trial_that_is_scaled_to_zero_waits_and_begins_anew() {
    let stage = Stage::with(&App::good("1"));
    let _traffic = super::traffic::Traffic::start(&stage, 200);
    stage.apply(&App::good("2").canary("duration", "30s"));
    stage.await_event("CanaryAnalyzing");
    let first = stage.deployment("app-canary").expect("the canary");
    stage.kubectl.run(&["scale", "deployment/app", "--replicas=0"]).succeeded();
    stage.await_event("CanaryScaledToZero");
    stage.await_no_canary();
    assert_eq!((stage.phase(), stage.live().as_str()), (Some(Phase::Held), "1"));
    let output = stage.kubectl.run(&["rollout", "status", "deployment/app", "--timeout=3s"]);
    assert_eq!(output.code, 1, "not green for what was never tried: {}", output.said());

    let rollout = stage.start_rollout_status();
    stage.kubectl.run(&["scale", "deployment/app", "--replicas=2"]).succeeded();
    let second = within(PATIENCE, PAUSE, "another canary", || match stage.deployment("app-canary") {
        Some(canary) if object::uid(&canary) != object::uid(&first) => Ok(canary),
        _ => Err(format!("{:?}", stage.events())),
    });
    assert_eq!(object::template(&second), object::template(&first));
    let (phase, message) = stage.await_verdict();
    assert_eq!((phase, rollout.ended().0), (Phase::Promoted, 0), "{message}");
}

//! Pods that only a real kubelet makes: one that cannot start for want of a volume, one whose sidecar ends, one that is Ready now and then.

use coalmine_core::api::annotations::Phase;
use serde_json::{Value, json};

use super::{app::App, stage::Stage};
use crate::support::kubectl::Apply::ClientSide;

/// Version 2, judged by its pod alone, with more in its pod's specification.
fn second(app: &App, more: &[(&str, Value)]) -> Value {
    let mut manifest = app.clone().canary("metrics", "none").manifest();
    for (field, value) in more {
        manifest["spec"]["template"]["spec"][*field] = value.clone();
    }
    manifest
}

#[track_caller]
fn assert_kept_out(stage: &Stage, expected: &[Phase]) -> String {
    let (phase, message) = stage.await_verdict();
    assert!(expected.contains(&phase), "{phase:?}: {message}; {:?}", stage.events());
    assert_eq!(stage.live(), "1");
    stage.await_no_canary();
    message
}

#[test]
#[ignore = "needs a whole cluster"]
fn a_volume_that_is_missing_is_told_in_the_words_of_the_pods_event() {
    let stage = Stage::with(&App::good("1"));
    let app = App::good("2").canary("deadline", "50s").container("volumeMounts", json!([{"name": "settings", "mountPath": "/settings"}]));
    let volumes = json!([{"name": "settings", "configMap": {"name": "gone"}}]);
    stage.kubectl.apply(ClientSide, &second(&app, &[("volumes", volumes)])).succeeded();
    let told = stage.await_event("CanaryNotReady");
    assert!(told.contains("configmap \"gone\" not found"), "{told}");
    let message = assert_kept_out(&stage, &[Phase::Inconclusive]);
    assert!(message.starts_with("not Ready within 50s: ") && message.contains("configmap \"gone\" not found"), "{message}");
}

#[test]
#[ignore = "needs a whole cluster"]
fn a_sidecar_that_ends_is_rejected_by_its_name() {
    let stage = Stage::with(&App::good("1"));
    let env = json!([{"name": "PORT", "value": "9091"}, {"name": "CRASH_AFTER", "value": "3s"}]);
    let sidecar = json!([{
        "name": "proxy", "image": "localhost/demo-app:good", "imagePullPolicy": "IfNotPresent", "restartPolicy": "Always", "env": env,
    }]);
    let app = App::good("2").canary("duration", "60s").canary("deadline", "2m");
    stage.kubectl.apply(ClientSide, &second(&app, &[("initContainers", sidecar)])).succeeded();
    let message = assert_kept_out(&stage, &[Phase::Rejected]);
    // Kubelet takes the pod's readiness with the sidecar: both are true, and which one is seen is chance.
    let words =
        ["container proxy ended: Error, exit code 1", "the pod was Ready and is not any more: containers with unready status: [proxy]"];
    assert!(words.iter().any(|words| message.starts_with(words)), "{message}");
}

#[test]
#[ignore = "needs a whole cluster"]
fn a_pod_that_is_ready_now_and_then_is_not_promoted() {
    let stage = Stage::with(&App::good("1"));
    let probe = json!({"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1, "timeoutSeconds": 5, "failureThreshold": 1});
    let app =
        App::good("2").with("ERROR_RATE", "0.25").container("readinessProbe", probe).canary("duration", "20s").canary("deadline", "60s");
    stage.kubectl.apply(ClientSide, &second(&app, &[])).succeeded();
    // Whether it is Ready at the deadline is chance, and so is for how long it is not.
    let message = assert_kept_out(&stage, &[Phase::Inconclusive, Phase::Rejected]);
    let events = stage.events();
    assert!(events.iter().any(|(reason, _)| reason == "CanaryUnsteady"), "{message}; {events:?}");
}

//! What Coalmine leans on goes away in the middle: its own pods, killed in each phase of a run, and Prometheus. Nothing may end
//! differently for it, only later.

use std::time::Duration;

use coalmine_core::{
    api::annotations::{ACTIVE_LABEL, Phase},
    manifest::object,
    run::times,
};
use serde_json::{Value, json};

use crate::cluster::{
    app::App,
    stage::{PATIENCE, RolloutStatus, Stage},
    traffic::Traffic,
};
use crate::support::{
    control_plane::{As, ControlPlane, api_server},
    kubectl::Kubectl,
    within,
};

pub(super) const PAUSE: Duration = Duration::from_millis(100);
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/coalmine/leases/coalmine";

const COALMINE_PODS: &str = "--selector=app.kubernetes.io/name=coalmine";

/// Every pod of Coalmine at once, without a word of warning; returns when others serve in their place.
pub(super) fn kill_coalmine(control_plane: &ControlPlane) {
    let kubectl = Kubectl::of(control_plane).in_namespace("coalmine");
    let names = || kubectl.run(&["get", "pods", COALMINE_PODS, "--output=name"]).succeeded().stdout;
    let killed = names();
    kubectl.run(&["delete", "pods", COALMINE_PODS, "--force", "--grace-period=0"]).succeeded();
    within(PATIENCE, PAUSE, "other pods of Coalmine", || {
        let now = names();
        let others = now.lines().all(|name| !killed.lines().any(|gone| gone == name)) && now.lines().count() == 2;
        if others { Ok(()) } else { Err(now) }
    });
    kubectl.run(&["wait", "pods", COALMINE_PODS, "--for=condition=Ready", "--timeout=120s"]).succeeded();
    // The Service's rules come a moment later than the pods, and those that were killed may still answer until then.
    let mut answered = 0;
    within(PATIENCE, PAUSE, "Coalmine to answer", || {
        answered = if review(control_plane).is_ok() { answered + 1 } else { 0 };
        if answered == 10 { Ok(()) } else { Err(format!("{answered} reviews, one after the other")) }
    });
}

/// A request that only a review can refuse; what else came of it is the error.
fn review(control_plane: &ControlPlane) -> Result<(), String> {
    let mut refused = App::good("0").canary("duration", "soon").manifest();
    refused["metadata"]["name"] = json!("probe");
    match control_plane.post("/apis/apps/v1/namespaces/default/deployments?dryRun=All", &refused) {
        Err(answer) if answer.message.contains("canary.duration") => Ok(()),
        other => Err(format!("{other:?}")),
    }
}

/// The lease in the hands of someone who does nothing: webhooks are answered, and no controller runs. Given back when dropped.
struct NoController(&'static ControlPlane);

impl NoController {
    fn begin() -> Self {
        let taken = Self(api_server());
        // Kubernetes takes no finer time.
        let now = format!("{:.6}", coalmine::clock::now());
        taken.write(&json!({"holderIdentity": "nobody", "leaseDurationSeconds": 3600, "renewTime": now}));
        kill_coalmine(taken.0);
        taken
    }

    fn write(&self, spec: &Value) {
        let sent = self.0.send(As::Administrator, "PATCH", LEASE, "application/merge-patch+json", &json!({"spec": spec}));
        sent.expect("a lease");
    }
}

impl Drop for NoController {
    fn drop(&mut self) {
        self.write(&json!({"holderIdentity": null, "leaseDurationSeconds": 1}));
    }
}

/// Both replicas are replaced while requests come one after the other, each of which only a review can refuse.
#[test]
#[ignore = "needs a whole cluster"]
fn coalmine_rolled_over_loses_no_review() {
    let stage = Stage::with(&App::good("1"));
    let kubectl = Kubectl::of(stage.control_plane).in_namespace("coalmine");
    let (mut reviews, mut lost) = (0, Vec::new());
    std::thread::scope(|scope| {
        let rollout = scope.spawn(|| {
            kubectl.run(&["rollout", "restart", "deployment/coalmine"]).succeeded();
            kubectl.run(&["rollout", "status", "deployment/coalmine", "--timeout=180s"]).succeeded();
            within(PATIENCE, PAUSE, "the old pods to be gone", || {
                let pods = kubectl.run(&["get", "pods", COALMINE_PODS, "--output=name"]).succeeded().stdout;
                if pods.lines().count() == 2 { Ok(()) } else { Err(pods) }
            });
        });
        while !rollout.is_finished() {
            reviews += 1;
            lost.extend(review(stage.control_plane).err());
        }
    });
    println!("{reviews} reviews while Coalmine was rolled over, {} lost", lost.len());
    assert!(reviews > 100, "only {reviews} reviews");
    assert!(lost.is_empty(), "{} of {reviews} reviews were lost: {lost:?}", lost.len());
}

#[test]
#[ignore = "needs a whole cluster"]
fn coalmine_killed_in_each_phase_comes_to_the_same_end() {
    // Slow enough to be killed while the canary starts, and while the promoted version rolls out.
    let slow = |app: App| app.with("NOT_READY_FOR", "5s");
    let good = Stage::with(&App::good("1"));
    let bad = Stage::with(&App::good("1"));
    let (good_traffic, bad_traffic) = (Traffic::start(&good, 150), Traffic::start(&bad, 150));
    let control_plane = good.control_plane;

    let nobody = NoController::begin();
    good.apply(&slow(App::good("2")));
    bad.apply(&slow(App::bad()));
    let rollouts = [&good, &bad].map(Stage::start_rollout_status);
    for stage in [&good, &bad] {
        assert_eq!(stage.phase(), Some(Phase::Held));
        assert_eq!(stage.deployment("app-canary"), None);
    }
    drop(nobody);

    // The canaries start.
    for stage in [&good, &bad] {
        stage.await_event("CanaryStarted");
    }
    kill_coalmine(control_plane);

    // They are judged.
    for stage in [&good, &bad] {
        stage.await_event("CanaryAnalyzing");
    }
    let canary = good.deployment("app-canary").unwrap();
    kill_coalmine(control_plane);

    // The verdicts are written, nothing is done for them yet.
    bad.await_phase(Phase::Rejected);
    kill_coalmine(control_plane);
    assert!(matches!(good.phase(), Some(Phase::Running | Phase::Promoted)), "{:?}", good.phase());
    if let Some(now) = good.deployment("app-canary") {
        assert_eq!(times::ready_since(&now), times::ready_since(&canary), "the time that it served counts on");
        assert_eq!(object::uid(&now), object::uid(&canary), "no second canary");
    }
    good.await_phase(Phase::Promoted);
    kill_coalmine(control_plane);

    // The primary rolls out.
    good.await_event("CanaryPromoted");
    kill_coalmine(control_plane);
    good.await_event("CanaryRolledOut");
    bad.await_event("CanaryRejected");

    let [good_rollout, bad_rollout] = rollouts.map(RolloutStatus::ended);
    assert_eq!(good_rollout, (0, r#"deployment "app" successfully rolled out"#.to_owned()));
    assert_eq!(bad_rollout.0, 1, "{bad_rollout:?}");
    for (stage, phase, version) in [(&good, Phase::Promoted, "2"), (&bad, Phase::Rejected, "1")] {
        stage.await_no_canary();
        assert_eq!((stage.phase(), stage.live().as_str()), (Some(phase), version));
        within(PATIENCE, PAUSE, "the Deployment to be released", || {
            let app = stage.app();
            if object::label(&app, ACTIVE_LABEL).is_none() { Ok(()) } else { Err(format!("{:?}", stage.events())) }
        });
        let starts = stage.reasons().iter().filter(|reason| *reason == "CanaryStarted").count();
        assert!(starts <= 2, "an Event may be told again, a canary not be made again: {:?}", stage.events());
    }
    assert_eq!(good_traffic.since(0).failures(), 0);
    let all = bad_traffic.since(0);
    assert_eq!(all.failures(), all.errors_of("bad"), "{all:?}");
}

#[test]
#[ignore = "needs a whole cluster"]
fn without_prometheus_nothing_is_promoted_or_rejected_before_the_deadline() {
    let patient = Stage::with(&App::good("1"));
    let hasty = Stage::with(&App::good("1"));
    let bad = Stage::with(&App::good("1"));
    let stages = [&patient, &hasty, &bad];
    let _traffic = stages.map(|stage| Traffic::start(stage, 100));
    let prometheus = Kubectl::of(patient.control_plane).in_namespace("monitoring");
    let back = Restored(&prometheus);
    prometheus.run(&["scale", "deployment/prometheus", "--replicas=0"]).succeeded();
    prometheus.run(&["wait", "pods", "--selector=app.kubernetes.io/name=prometheus", "--for=delete", "--timeout=90s"]).succeeded();

    patient.apply(&App::good("2"));
    hasty.apply(&App::good("2").canary("deadline", "25s"));
    bad.apply(&App::bad());
    for stage in stages {
        let said = stage.await_event("CanaryMetricsUnavailable");
        assert!(said.ends_with("; nothing is promoted or rejected for it"), "{said}");
    }
    let (phase, message) = hasty.await_verdict();
    assert_eq!((phase, hasty.live().as_str()), (Phase::Inconclusive, "1"), "{message}");
    assert!(message.starts_with("no answer from the metrics until the deadline: "), "{message}");
    // By now the others' duration has passed as well.
    for stage in [&patient, &bad] {
        assert_eq!((stage.phase(), stage.live().as_str()), (Some(Phase::Running), "1"));
        let told = stage.reasons().iter().filter(|reason| *reason == "CanaryMetricsUnavailable").count();
        assert_eq!(told, 1, "no storm of Events: {:?}", stage.events());
    }

    drop(back);
    let verdicts = [&patient, &bad].map(Stage::await_verdict);
    assert_eq!(verdicts[0].0, Phase::Promoted, "{}", verdicts[0].1);
    assert_eq!(verdicts[1].0, Phase::Rejected, "{}", verdicts[1].1);
}

/// Prometheus again, however the test ends.
struct Restored<'a>(&'a Kubectl);

impl Drop for Restored<'_> {
    fn drop(&mut self) {
        let _ = self.0.run(&["scale", "deployment/prometheus", "--replicas=1"]);
        let _ = self.0.run(&["rollout", "status", "deployment/prometheus", "--timeout=120s"]);
    }
}

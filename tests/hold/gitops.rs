//! `GitOps` controllers apply the same thing again and again, for hours, and ask meanwhile how it is: Flux and Argo CD, by their own
//! libraries, and kstatus, by which Flux and Helm wait.

use coalmine_core::api::annotations::Phase;
use rstest::rstest;
use serde_json::Value;

use crate::support::{
    eventually, fixtures,
    gitops::{
        Engine::{self, ArgoClientSide, ArgoServerSide, Flux},
        argo_health, argo_sync, flux_drift, kstatus,
    },
    kubectl::Apply::ServerSide,
    namespace::{Namespace, records},
    results::row,
};

const VERDICT: &str = "error rate 48.1% exceeds 1% after 12s; template kept out";

/// A is what the engine has applied and the Deployment controller has rolled out.
fn with_a(engine: Engine) -> Namespace {
    let namespace = Namespace::new();
    engine.apply(&namespace, "A").succeeded();
    namespace.settle();
    namespace
}

fn with_b_held(engine: Engine) -> Namespace {
    let namespace = with_a(engine);
    engine.apply(&namespace, "B").succeeded();
    namespace.assert_held("B");
    namespace.settle();
    namespace
}

#[rstest]
#[ignore = "needs a control plane"]
fn re_applying_b_writes_nothing(#[values(Flux, ArgoClientSide, ArgoServerSide)] engine: Engine) {
    let _row = row("B again and again, on an interval", engine.words(), "no write");
    let namespace = with_b_held(engine);
    for _ in 0..3 {
        namespace.assert_no_write(|| engine.apply(&namespace, "B").succeeded());
    }
    namespace.assert_held("B");
}

#[rstest]
#[ignore = "needs a control plane"]
fn re_applying_a_rejected_b_writes_nothing(#[values(Flux, ArgoClientSide, ArgoServerSide)] engine: Engine) {
    let _row = row("B was rejected, B again and again, on an interval", engine.words(), "stays held back; no write");
    let namespace = with_b_held(engine);
    namespace.judge(Phase::Rejected, VERDICT);
    namespace.settle();
    for _ in 0..3 {
        namespace.assert_no_write(|| engine.apply(&namespace, "B").succeeded());
    }
    namespace.assert_phase("A", Some("B"), Some(Phase::Rejected));
}

#[rstest]
#[ignore = "needs a control plane"]
fn c_supersedes_and_a_withdraws(#[values(Flux, ArgoClientSide, ArgoServerSide)] engine: Engine) {
    let _row = row("C while B is held, then A", engine.words(), "superseded; withdrawn; A again is no write");
    let namespace = with_a(engine);
    let before = records(&namespace.app());
    for template in ["B", "C", "B"] {
        engine.apply(&namespace, template).succeeded();
        namespace.assert_held(template);
    }
    engine.apply(&namespace, "A").succeeded();
    let app = namespace.assert_phase("A", None, Some(Phase::Withdrawn));
    assert_eq!(records(&app), before);
    namespace.settle();
    namespace.assert_no_write(|| engine.apply(&namespace, "A").succeeded());
}

#[rstest]
#[ignore = "needs a control plane"]
fn after_the_promotion_b_is_no_write_and_c_is_held(#[values(Flux, ArgoClientSide, ArgoServerSide)] engine: Engine) {
    let _row = row("B again after the promotion, then C", engine.words(), "no write; held");
    let namespace = with_b_held(engine);
    namespace.promote();
    namespace.settle();
    namespace.assert_no_write(|| engine.apply(&namespace, "B").succeeded());
    engine.apply(&namespace, "C").succeeded();
    namespace.assert_phase("B", Some("C"), Some(Phase::Held));
}

#[test]
#[ignore = "needs a control plane"]
fn flux_sees_no_drift_from_what_is_held() {
    let _row = row("drift detection while B is held, then rejected", Flux.words(), "no drift from B; one from A and C");
    let namespace = with_b_held(Flux);
    let drifts = |namespace: &Namespace| ["A", "B", "C"].map(|template| flux_drift(namespace, template));
    assert_eq!(drifts(&namespace), ["configured", "unchanged", "configured"]);
    namespace.judge(Phase::Rejected, VERDICT);
    namespace.settle();
    assert_eq!(drifts(&namespace), ["configured", "unchanged", "configured"]);
}

#[rstest]
#[ignore = "needs a control plane"]
fn flux_says_what_it_did() {
    let _row = row("A, B, B, C, A, A", Flux.words(), "created, configured, unchanged, configured, configured, unchanged");
    let namespace = Namespace::new();
    let actions = ["A", "B", "B", "C", "A", "A"].map(|template| {
        let said = Flux.apply(&namespace, template).succeeded().stdout;
        namespace.settle();
        said.trim().to_owned()
    });
    assert_eq!(actions, ["created", "configured", "unchanged", "configured", "configured", "unchanged"]);
}

#[rstest]
#[ignore = "needs a control plane"]
fn argo_is_out_of_sync_until_the_promotion(#[values(ArgoClientSide, ArgoServerSide)] engine: Engine) {
    let _row = row("sync status while B is held, then promoted", engine.words(), "OutOfSync; Synced");
    let namespace = with_b_held(engine);
    assert_eq!(argo_sync(&namespace, "B"), "OutOfSync");
    namespace.promote();
    namespace.settle();
    assert_eq!(argo_sync(&namespace, "B"), "Synced");
}

/// What is said of a Deployment: nothing held, held, judged, gone back to A.
struct Told {
    before: (String, String),
    held: (String, String),
    judged: (String, String),
    withdrawn: (String, String),
}

fn told(verdict: Phase, ask: impl Fn(&Namespace, &Value) -> (String, String)) -> Told {
    let namespace = Namespace::with_a(ServerSide);
    let settled = || {
        let app = namespace.settle();
        ask(&namespace, &app)
    };
    let before = settled();
    // Right after the apply, when the Deployment controller may not have seen it yet: never green.
    namespace.apply(ServerSide, "B").succeeded();
    let at_once = ask(&namespace, &namespace.app());
    assert_eq!(at_once.0, settled().0, "the same at once: {}", at_once.1);
    let held = settled();
    namespace.judge(verdict, VERDICT);
    let judged = settled();
    namespace.apply(ServerSide, "A").succeeded();
    let withdrawn = settled();
    Told { before, held, judged, withdrawn }
}

fn words((status, message): &(String, String)) -> (&str, &str) {
    (status, message)
}

#[rstest]
#[ignore = "needs a control plane"]
fn kstatus_tells_the_verdict(#[values(Phase::Rejected, Phase::Inconclusive)] verdict: Phase) {
    let request = format!("held, {}, withdrawn", verdict.as_str().to_lowercase());
    let _row = row(&request, "kstatus", "InProgress, Failed, Current");
    let told = told(verdict, kstatus);
    assert_eq!(words(&told.before), ("Current", "Deployment is available. Replicas: 2"));
    assert_eq!(words(&told.held), ("InProgress", "Updated: 0/2"));
    assert_eq!(words(&told.judged), ("Failed", "Progress deadline exceeded"));
    assert_eq!(words(&told.withdrawn), ("Current", "Deployment is available. Replicas: 2"));
}

#[rstest]
#[ignore = "needs a control plane"]
fn argos_health_tells_the_verdict(#[values(Phase::Rejected, Phase::Inconclusive)] verdict: Phase) {
    let request = format!("held, {}, withdrawn", verdict.as_str().to_lowercase());
    let _row = row(&request, "Argo CD's health", "Progressing, Degraded, Healthy");
    let told = told(verdict, argo_health);
    assert_eq!(words(&told.before), ("Healthy", ""));
    assert_eq!(words(&told.held), ("Progressing", "Waiting for rollout to finish: 0 out of 2 new replicas have been updated..."));
    assert_eq!(words(&told.judged), ("Degraded", "Deployment \"app\" exceeded its progress deadline"));
    assert_eq!(words(&told.withdrawn), ("Healthy", ""));
}

#[test]
#[ignore = "needs a control plane"]
fn both_go_on_with_the_rollout_after_the_promotion() {
    let _row = row("promoted", "kstatus, Argo CD's health", "InProgress, Progressing until B is rolled out");
    let namespace = Namespace::with_a(ServerSide);
    namespace.settle();
    namespace.apply(ServerSide, "B").succeeded();
    namespace.settle();
    let promoted = namespace.promote();
    assert_eq!(fixtures::template_name(&promoted["spec"]["template"]), "B");
    // Nothing makes the new pods Ready before `settle`, so this is in the middle of the rollout.
    let app = namespace.app();
    assert_eq!(kstatus(&namespace, &app).0, "InProgress");
    assert_eq!(argo_health(&namespace, &app).0, "Progressing");
    // All replicas may be available for a moment while some of them still run A.
    eventually("both to be green", || {
        let app = namespace.settle();
        let told = (kstatus(&namespace, &app).0, argo_health(&namespace, &app).0);
        let rolled_out = app["status"]["updatedReplicas"] == app["spec"]["replicas"];
        match (told.0.as_str(), told.1.as_str()) {
            ("Current", "Healthy") => {
                assert!(rolled_out, "green in the middle of the rollout: {}", app["status"]);
                Ok(())
            }
            _ => Err(format!("{told:?}")),
        }
    });
}

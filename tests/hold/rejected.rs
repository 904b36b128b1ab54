//! What was rejected stays out, whatever is applied in between and by whom: its verdict is remembered on the object.

use coalmine_core::{
    api::annotations::{self as key, Phase},
    manifest::object,
};
use rstest::rstest;

use super::held_name;
use crate::support::{
    eventually,
    fixtures::{self, Template},
    gitops::Engine::Flux,
    kubectl::{
        Apply::{self, ClientSide, ServerSide},
        assert_said,
    },
    namespace::Namespace,
    results::row,
};

const VERDICT: &str = "error rate 48.1% exceeds 1% after 12s; template kept out";

fn rejected(how: Apply) -> Namespace {
    let namespace = Namespace::with_b_held(how);
    namespace.judge(Phase::Rejected, VERDICT);
    namespace
}

#[track_caller]
fn assert_stays_out(namespace: &Namespace, live: &str) {
    namespace.assert_phase(live, Some("B"), Some(Phase::Rejected));
    let app = namespace.app();
    assert_eq!(object::annotation(&app, key::MESSAGE), Some(VERDICT));
}

/// The template of the file, and no `replicas`, which an autoscaler has.
fn without_replicas(template: &str) -> serde_json::Value {
    let mut manifest = fixtures::deployment("app", &Template::named(template));
    manifest["spec"].as_object_mut().unwrap().remove("replicas");
    manifest
}

#[rstest]
#[case::at_once(false)]
#[case::after_going_back(true)]
#[ignore = "needs a control plane"]
fn zero_replicas_do_not_let_it_in(#[case] back: bool, #[values(ClientSide, ServerSide)] how: Apply) {
    let request = if back { "B was rejected, A, scale to zero, B, scale up" } else { "B was rejected, scale to zero, B, scale up" };
    let _row = row(request, how.words(), "stays out");
    let namespace = Namespace::new();
    namespace.kubectl.apply(how, &without_replicas("A")).succeeded();
    namespace.kubectl.apply(how, &without_replicas("B")).succeeded();
    namespace.judge(Phase::Rejected, VERDICT);
    if back {
        namespace.kubectl.apply(how, &without_replicas("A")).succeeded();
        namespace.assert_phase("A", None, Some(Phase::Withdrawn));
    }
    namespace.kubectl.run(&["scale", "deployment/app", "--replicas=0"]).succeeded();
    namespace.kubectl.apply(how, &without_replicas("B")).succeeded();
    namespace.kubectl.run(&["scale", "deployment/app", "--replicas=2"]).succeeded();
    namespace.kubectl.apply(how, &without_replicas("B")).succeeded();
    assert_stays_out(&namespace, "A");
}

#[rstest]
#[ignore = "needs a control plane"]
fn it_is_remembered_over_withdrawals_and_other_templates(#[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("B was rejected; A, B; C, B; C promoted, B", how.words(), "stays out each time, says why");
    let namespace = rejected(how);
    namespace.apply(how, "A").succeeded();
    let output = namespace.apply(how, "B").succeeded();
    assert_said!(output, @r"
Warning: canary: this template stays out: error rate 48.1% exceeds 1% after 12s; template kept out
Warning: canary: to try it again: kubectl annotate deploy/app --overwrite canary.retry=$(date +%s)
");
    assert_stays_out(&namespace, "A");
    namespace.assert_no_write(|| namespace.apply(how, "B").succeeded());
    namespace.apply(how, "C").succeeded();
    namespace.assert_held("C");
    namespace.apply(how, "B").succeeded();
    assert_stays_out(&namespace, "A");
    namespace.apply(how, "C").succeeded();
    namespace.promote();
    namespace.await_revision(2);
    namespace.apply(how, "B").succeeded();
    assert_stays_out(&namespace, "C");
    // Tried again, and good after all: then it is forgotten.
    namespace.kubectl.run(&["annotate", "deployment/app", "canary.retry=1"]).succeeded();
    namespace.assert_phase("C", Some("B"), Some(Phase::Held));
    namespace.promote();
    assert_eq!(object::annotation(&namespace.app(), key::REJECTED), None);
}

#[rstest]
#[ignore = "needs a control plane"]
fn a_restart_in_between_is_tried_and_it_stays_out(#[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("B was rejected, rollout restart, B", how.words(), "the restart is tried; B stays out");
    let namespace = rejected(how);
    namespace.kubectl.run(&["rollout", "restart", "deployment/app"]).succeeded();
    namespace.assert_held("A");
    let output = namespace.assert_no_write(|| namespace.apply(how, "B").succeeded());
    assert_said!(output, @r"
Warning: canary: this template stays out: error rate 48.1% exceeds 1% after 12s; template kept out
Warning: canary: to try it again: kubectl annotate deploy/app --overwrite canary.retry=$(date +%s)
");
    namespace.promote();
    namespace.assert_phase("A", None, Some(Phase::Promoted));
    let restarted =
        |app: &serde_json::Value| app.pointer("/spec/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt").is_some();
    assert!(restarted(&namespace.app()));
    namespace.apply(how, "B").succeeded();
    assert_stays_out(&namespace, "A");
    assert!(restarted(&namespace.app()), "the restart stays");
}

/// kustomize-controller takes over what kubectl set, and does so in a request of its own before it applies.
#[rstest]
#[case::rejected(Some(Phase::Rejected))]
#[case::on_trial(None)]
#[ignore = "needs a control plane"]
fn a_clean_up_of_managed_fields_withdraws_nothing(#[case] verdict: Option<Phase>) {
    let request = if verdict.is_some() { "B was rejected, kubectl annotate, B" } else { "B is held, kubectl annotate, B" };
    let _row = row(request, "Flux, which cleans managedFields up", "stays as it is");
    let namespace = Namespace::new();
    namespace.apply(ClientSide, "A").succeeded();
    Flux.apply(&namespace, "A").succeeded();
    namespace.await_revision(1);
    Flux.apply(&namespace, "B").succeeded();
    namespace.assert_held("B");
    if let Some(verdict) = verdict {
        namespace.judge(verdict, VERDICT);
    }
    let run = |app: &serde_json::Value| object::annotation(app, key::RUN).map(str::to_owned);
    let before = run(&namespace.app());
    for note in ["1", "2"] {
        namespace.kubectl.run(&["annotate", "deployment/app", "--overwrite", &format!("note={note}")]).succeeded();
        let owned = |app: &serde_json::Value| app["metadata"]["managedFields"].to_string().contains("kubectl-annotate");
        assert!(owned(&namespace.app()));
        Flux.apply(&namespace, "B").succeeded();
        let app = namespace.app();
        assert!(!owned(&app), "Flux has put the records in order");
        assert_eq!((held_name(&app), run(&app)), (Some("B".to_owned()), before.clone()));
        assert_eq!(object::phase(object::annotations(&app)), Some(verdict.unwrap_or(Phase::Held)));
        eventually("no write", || {
            namespace.assert_no_write(|| Flux.apply(&namespace, "B").succeeded());
            Ok::<(), String>(())
        });
    }
    Flux.apply(&namespace, "A").succeeded();
    namespace.assert_phase("A", None, Some(Phase::Withdrawn));
}

/// kubectl's server-side apply takes over what its client-side apply had set, in a request of its own.
#[test]
#[ignore = "needs a control plane"]
fn kubectls_migration_withdraws_nothing() {
    let _row = row("B by client-side apply, then B by server-side apply", "kubectl", "stays held; promoted as without Coalmine");
    let namespace = Namespace::with_b_held(ClientSide);
    namespace.apply(ServerSide, "B").succeeded();
    namespace.assert_held("B");
    namespace.judge(Phase::Rejected, VERDICT);
    namespace.apply(ServerSide, "B").succeeded();
    assert_stays_out(&namespace, "A");
}

/// What failed was that start of the live template: its image is pulled anew by a tag that stays, or a store was away.
#[rstest]
#[ignore = "needs a control plane"]
fn a_restart_that_was_rejected_may_be_tried_again(#[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("rollout restart, rejected, twice; B promoted; A", how.words(), "tried each time; A passes at once");
    let namespace = Namespace::with_a(how);
    for _ in 0..2 {
        // A stamp is a time in seconds: within one it is the same restart, which stays out.
        eventually("a restart that is tried", || {
            namespace.kubectl.run(&["rollout", "restart", "deployment/app"]).succeeded();
            let phase = object::phase(object::annotations(&namespace.app()));
            if phase == Some(Phase::Held) { Ok(()) } else { Err(format!("{phase:?}")) }
        });
        namespace.judge(Phase::Running, "running");
        namespace.judge(Phase::Rejected, "error rate 48.1%");
    }
    namespace.apply(how, "B").succeeded();
    namespace.assert_held("B");
    namespace.promote();
    namespace.await_revision(2);
    namespace.apply(how, "A").succeeded();
    namespace.assert_phase("A", None, Some(Phase::RolledBack));
}

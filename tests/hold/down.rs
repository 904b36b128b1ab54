//! While no Coalmine runs, and when it is taken away: only what it would have to look at fails, and nothing is left broken.

use coalmine_core::api::annotations::{self as key, Phase};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{
    eventually,
    fixtures::{self, Template},
    gitops::{argo_health, kstatus},
    kubectl::{
        Apply::{self, ClientSide, ServerSide},
        assert_said,
    },
    namespace::Namespace,
    results::row,
};

const DOWN: &str = "(no Coalmine runs)";

#[rstest]
#[ignore = "needs a control plane"]
fn a_template_change_of_an_opted_in_deployment_fails(#[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row(&format!("template changes {DOWN}"), how.words(), "fails, names the way out");
    let namespace = Namespace::with_a(how);
    namespace.stop_coalmine();
    let output = namespace.apply(how, "B").failed();
    let said = output.said();
    let (_, reason) = said.split_once("failed calling webhook").expect("the API server's own words");
    insta::allow_duplicates! {
        insta::assert_snapshot!(format!("failed calling webhook{reason}"), @r#"failed calling webhook "deployments.coalmine.dev": failed to call webhook: Post "https://127.0.0.1:1/admit/to-go-on-without-coalmine/kubectl-delete-mutatingwebhookconfiguration-zz-coalmine?timeout=5s": dial tcp 127.0.0.1:1: connect: connection refused"#);
    }
}

#[rstest]
#[case::replicas(json!({"spec": {"replicas": 5}}), true)]
#[case::labels(json!({"metadata": {"labels": {"team": "checkout"}}}), true)]
#[case::paused(json!({"spec": {"paused": true}}), true)]
#[case::canary_annotation(json!({"metadata": {"annotations": {"canary.duration": "30s"}}}), false)]
#[case::opting_out(json!({"metadata": {"annotations": {"canary.enabled": "false"}}}), false)]
#[case::removing_the_opt_in(json!({"metadata": {"annotations": {"canary.enabled": null}}}), false)]
#[ignore = "needs a control plane"]
fn of_the_rest_only_canary_annotations_fail(#[case] patch: Value, #[case] passes: bool) {
    let (request, result) = if passes { ("anything but the template and canary.*", "passes") } else { ("canary.* changes", "fails") };
    let _row = row(&format!("{request} {DOWN}"), "kubectl patch", result);
    let namespace = Namespace::with_a(ServerSide);
    namespace.stop_coalmine();
    let output = namespace.kubectl.run(&["patch", "deployment/app", "--type=merge", "--patch", &patch.to_string()]);
    assert_eq!(output.code == 0, passes, "{}", output.stderr);
}

#[test]
#[ignore = "needs a control plane"]
fn after_a_promotion_requests_pass_again() {
    let _row = row(&format!("anything but the template and canary.*, after a promotion {DOWN}"), "kubectl label", "passes");
    let namespace = Namespace::with_b_held(ServerSide);
    namespace.promote();
    namespace.stop_coalmine();
    namespace.kubectl.run(&["label", "deployment/app", "team=checkout"]).succeeded();
}

#[test]
#[ignore = "needs a control plane"]
fn requests_to_one_with_a_held_template_fail() {
    let _row = row(&format!("any request to one with a held template {DOWN}"), "kubectl label", "fails");
    let namespace = Namespace::with_b_held(ServerSide);
    namespace.stop_coalmine();
    namespace.kubectl.run(&["label", "deployment/app", "team=checkout"]).failed();
}

#[rstest]
#[case::without_annotations(None)]
#[case::with_others(Some(json!({"example.com/contact": "ann"})))]
#[case::opted_out(Some(json!({"canary.enabled": "false"})))]
#[ignore = "needs a control plane"]
fn what_is_not_opted_in_never_notices(#[case] annotations: Option<Value>) {
    let _row = row(&format!("template changes of what is not opted in {DOWN}"), "kubectl apply", "passes");
    let namespace = Namespace::new();
    let manifest = |template: &str| {
        let mut manifest = fixtures::plain("app", &Template::named(template));
        if let Some(annotations) = &annotations {
            manifest["metadata"]["annotations"] = annotations.clone();
        }
        manifest
    };
    // Creating one that says no to Coalmine is a change of `canary.*`.
    namespace.kubectl.apply(ClientSide, &manifest("A")).succeeded();
    namespace.stop_coalmine();
    namespace.kubectl.apply(ClientSide, &manifest("B")).succeeded();
    namespace.kubectl.run(&["rollout", "restart", "deployment/app"]).succeeded();
    let mut other = fixtures::plain("other", &Template::named("A"));
    other["metadata"]["annotations"] = json!({"example.com/contact": "ann"});
    namespace.kubectl.apply(ClientSide, &other).succeeded();
}

#[rstest]
#[case::held(None)]
#[case::rejected(Some(Phase::Rejected))]
#[ignore = "needs a control plane"]
fn what_waits_is_never_green_and_goes_on_afterwards(#[case] verdict: Option<Phase>) {
    let clients = "kubectl rollout status, kstatus, Argo CD's health";
    let _row = row(&format!("held or rejected {DOWN}"), clients, "wait, go on once Coalmine is back");
    let namespace = Namespace::with_a(ServerSide);
    namespace.settle();
    // The Deployment controller has not seen the hold when Coalmine goes.
    namespace.apply(ServerSide, "B").succeeded();
    if let Some(phase) = verdict {
        namespace.judge(phase, "error rate 48.1%");
    }
    namespace.stop_coalmine();
    namespace.kubectl.run(&["scale", "deployment/app", "--replicas=3"]).succeeded();
    eventually("the Deployment controller to scale all the same", || {
        let sets = namespace.kubectl.run(&["get", "replicasets", "--output=jsonpath={.items[*].spec.replicas}"]).succeeded().stdout;
        if sets == "3" { Ok(()) } else { Err(sets) }
    });
    namespace.make_pods_ready();
    let output = namespace.kubectl.run(&["rollout", "status", "deployment/app", "--timeout=5s"]);
    assert_eq!(output.code, 1, "{}", output.stdout);
    assert!(output.said().contains("timed out waiting for the condition"), "{}", output.said());
    let told = |app: &Value| (kstatus(&namespace, app).0, argo_health(&namespace, app).0);
    let of = |kstatus: &str, health: &str| (kstatus.to_owned(), health.to_owned());
    assert_eq!(told(&namespace.app()), of("InProgress", "Progressing"));

    namespace.start_coalmine();
    let app = namespace.settle();
    assert_eq!((&app["status"]["availableReplicas"], &app["status"]["updatedReplicas"]), (&json!(3), &Value::Null));
    assert_eq!(told(&app), if verdict.is_some() { of("Failed", "Degraded") } else { of("InProgress", "Progressing") });
    let output = namespace.kubectl.run(&["rollout", "status", "deployment/app", "--watch=false"]);
    assert_eq!(output.code, i32::from(verdict.is_some()), "{}{}", output.stdout, output.said());
}

#[rstest]
#[ignore = "needs a control plane"]
fn taken_away_in_the_middle_of_a_hold_the_next_apply_is_right(
    #[values(ClientSide, ServerSide)] how: Apply,
    #[values("A", "B", "C")] next: &str,
) {
    let request = format!("kubectl delete -k deploy while B is held, then {next}");
    let _row = row(&request, how.words(), "as if Coalmine had never been");
    let namespace = Namespace::with_b_held(how);
    let marker = json!({"metadata": {"annotations": {"canary.duration": "soon"}}}).to_string();
    namespace.served_by(Some("absent"), || {
        // A mistake that nobody tells any more.
        let output = namespace.kubectl.run(&["patch", "deployment/app", "--type=merge", "--dry-run=server", "--patch", &marker]);
        if output.code == 0 { Ok(()) } else { Err(output.stderr) }
    });
    let output = namespace.apply(how, next).succeeded();
    assert_said!(output, @"");
    let app = namespace.app();
    let plain = Namespace::new();
    plain.kubectl.apply(how, &fixtures::plain("app", &Template::named(next))).succeeded();
    assert_eq!(app["spec"]["template"], plain.app()["spec"]["template"]);
    eventually("a rollout as any other", || {
        namespace.make_pods_ready();
        let app = namespace.app();
        if app["status"]["updatedReplicas"] == 2 && app["status"]["availableReplicas"] == 2 {
            Ok(())
        } else {
            Err(app["status"].to_string())
        }
    });
    // What is left of Coalmine does no harm, and goes with one command.
    let names: Vec<String> = [key::HELD, key::MARKER, key::PHASE, key::RUN].iter().map(|name| format!("{name}-")).collect();
    let mut command = vec!["annotate", "deployment/app"];
    command.extend(names.iter().map(String::as_str));
    namespace.kubectl.run(&command).succeeded();
    namespace.kubectl.run(&["rollout", "status", "deployment/app", "--timeout=30s"]).succeeded();
}

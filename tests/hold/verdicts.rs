//! After a verdict that keeps the template out: what comes again, and how it is tried again.

use coalmine_core::{
    api::annotations::{self as key, Phase},
    manifest::object,
};
use rstest::rstest;
use serde_json::json;

use crate::support::{
    fixtures::{self, Template},
    kubectl::{
        Apply::{self, ClientSide, ServerSide},
        assert_said,
    },
    namespace::Namespace,
    results::row,
};

const VERDICT: &str = "error rate 48.1% (1,204 of 2,503 requests) exceeds 1% after 12s; primary 0.02%; template kept out";

fn rejected(how: Apply) -> Namespace {
    let namespace = Namespace::with_b_held(how);
    namespace.judge(Phase::Rejected, VERDICT);
    namespace
}

#[rstest]
#[ignore = "needs a control plane"]
fn b_was_rejected_b_again_stays_held_back(#[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("B was rejected, B again", how.words(), "stays held back, says why; no write");
    let namespace = rejected(how);
    let output = namespace.assert_no_write(|| namespace.apply(how, "B").succeeded());
    assert_said!(output, @r"
Warning: canary: this template stays out: error rate 48.1% (1,204 of 2,503 requests) exceeds 1% after 12s; primary 0.02%; templa…
Warning: canary: to try it again: kubectl annotate deploy/app --overwrite canary.retry=$(date +%s)
");
    namespace.assert_phase("A", Some("B"), Some(Phase::Rejected));
}

#[rstest]
#[ignore = "needs a control plane"]
fn b_was_inconclusive_b_again_stays_held_back(#[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("B was inconclusive, B again", how.words(), "stays held back, says why; no write");
    let namespace = Namespace::with_b_held(how);
    namespace.judge(Phase::Inconclusive, "54 requests seen, 338 are needed; template kept out");
    let output = namespace.assert_no_write(|| namespace.apply(how, "B").succeeded());
    assert_said!(output, @r"
Warning: canary: this template stays out: 54 requests seen, 338 are needed; template kept out
Warning: canary: to try it again: kubectl annotate deploy/app --overwrite canary.retry=$(date +%s)
");
    namespace.assert_phase("A", Some("B"), Some(Phase::Inconclusive));
}

#[rstest]
#[case::with_the_file(true)]
#[case::by_annotate(false)]
#[ignore = "needs a control plane"]
fn b_was_rejected_retry_changes_b_runs_again(#[case] with_file: bool, #[values(ClientSide, ServerSide)] how: Apply) {
    let client = if with_file { how.words() } else { "kubectl annotate" };
    let _row = row("B was rejected, canary.retry changes", client, "B runs again");
    let namespace = rejected(how);
    let run = object::annotation(&namespace.app(), key::RUN).map(str::to_owned);
    let output = if with_file {
        let mut manifest = fixtures::deployment("app", &Template::named("B"));
        manifest["metadata"]["annotations"]["canary.retry"] = json!("1");
        namespace.kubectl.apply(how, &manifest)
    } else {
        namespace.kubectl.run(&["annotate", "deployment/app", "canary.retry=1"])
    };
    assert_said!(output.succeeded(), @"Warning: canary: template held; trying it in app-canary for 60s; watch: kubectl events --for deploy/app -w");
    let app = namespace.assert_held("B");
    assert_ne!(object::annotation(&app, key::RUN).map(str::to_owned), run, "another run has another name");
    assert_eq!(object::annotation(&app, key::MESSAGE), None);
}

#[rstest]
#[ignore = "needs a control plane"]
fn b_was_rejected_c_is_tried(#[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("B was rejected, C", how.words(), "C held");
    let namespace = rejected(how);
    let output = namespace.apply(how, "C").succeeded();
    assert_said!(output, @r"
Warning: canary: template held; trying it in app-canary for 60s; watch: kubectl events --for deploy/app -w
Warning: canary: the template held before is dropped; the canary starts over
");
    namespace.assert_held("C");
}

#[rstest]
#[ignore = "needs a control plane"]
fn b_was_rejected_a_again_clears_it(#[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("B was rejected, A again", how.words(), "withdrawn");
    let namespace = rejected(how);
    let output = namespace.apply(how, "A").succeeded();
    assert_said!(output, @"Warning: canary: back to the live template; the held one is withdrawn");
    namespace.assert_phase("A", None, Some(Phase::Withdrawn));
}

#[rstest]
#[case::duration("canary.duration", "5s")]
#[case::unknown("canary.durration", "60s")]
#[case::enabled("canary.enabled", "yes")]
#[ignore = "needs a control plane"]
fn malformed_annotations_are_denied(#[case] name: &str, #[case] value: &str, #[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row(&format!("{name}: {value}"), how.words(), "denied, naming key, value and what is accepted");
    let mut manifest = fixtures::deployment("app", &Template::named("A"));
    manifest["metadata"]["annotations"][name] = json!(value);
    let namespace = Namespace::new();
    let on_create = namespace.kubectl.apply(how, &manifest).failed();
    namespace.apply(how, "A").succeeded();
    let on_update = namespace.kubectl.apply(how, &manifest).failed();
    for output in [on_create, on_update] {
        assert!(output.stderr.contains(&format!("{name}: ")), "{}", output.stderr);
    }
    namespace.assert_phase("A", None, None);
}

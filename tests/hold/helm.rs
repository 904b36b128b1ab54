//! Helm 4, by server-side apply as is its default, and by the client-side patch that was Helm 3's only way.

use coalmine_core::{api::annotations::Phase, manifest::object};
use rstest::rstest;

use super::held_name;
use crate::support::{
    eventually,
    fixtures::Template,
    helm::{
        Patch::{self, ClientSide, ServerSide},
        Release,
    },
    kubectl::assert_said,
    namespace::{Namespace, held},
    results::row,
};

fn named(name: &str) -> Template {
    Template::named(name)
}

/// A template that has everything that A has, and more: nothing of A is dropped by it.
fn adding(name: &str) -> Template {
    let mut template = named("A");
    template.image = named(name).image;
    template.environment.push((format!("ONLY_{name}"), "1".to_owned()));
    template
}

#[rstest]
#[ignore = "needs a control plane"]
fn install_is_admitted_and_upgrade_is_held(#[values(ServerSide, ClientSide)] patch: Patch) {
    let _row = row("helm install, helm upgrade", patch.words(), "admitted; held, with a warning");
    let namespace = Namespace::new();
    let release = Release::install(&namespace, patch, &named("A"));
    namespace.assert_phase("A", None, None);
    let output = release.upgrade(&named("B")).succeeded();
    assert!(output.said().contains("canary: template held; trying it in app-canary for 60s"), "{}", output.said());
    namespace.assert_held("B");
}

#[rstest]
#[ignore = "needs a control plane"]
fn upgrade_with_b_again_is_no_write(#[values(ServerSide, ClientSide)] patch: Patch) {
    let _row = row("helm upgrade with B again", patch.words(), "no write");
    let namespace = Namespace::new();
    let release = Release::install(&namespace, patch, &named("A"));
    release.upgrade(&named("B")).succeeded();
    namespace.assert_no_write(|| release.upgrade(&named("B")).succeeded());
    namespace.assert_held("B");
}

#[test]
#[ignore = "needs a control plane"]
fn upgrade_with_c_supersedes() {
    let _row = row("helm upgrade with C while B is held", ServerSide.words(), "superseded");
    let namespace = Namespace::new();
    let release = Release::install(&namespace, ServerSide, &named("A"));
    release.upgrade(&named("B")).succeeded();
    release.upgrade(&named("C")).succeeded();
    namespace.assert_held("C");
}

#[test]
#[ignore = "needs a control plane"]
fn upgrade_with_c_when_b_had_dropped_nothing_supersedes() {
    let _row = row("helm upgrade with C while B is held, when B had dropped nothing of A", ClientSide.words(), "superseded");
    let namespace = Namespace::new();
    let release = Release::install(&namespace, ClientSide, &named("A"));
    release.upgrade(&adding("B")).succeeded();
    release.upgrade(&adding("C")).succeeded();
    let held = held(&namespace.app()).expect("a held template").template;
    assert_eq!(held["spec"]["containers"][0]["image"], adding("C").image);
    let names: Vec<&str> =
        held["spec"]["containers"][0]["env"].as_array().unwrap().iter().map(|variable| variable["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["COMMON", "ONLY_A", "ONLY_C"]);
}

#[test]
#[ignore = "needs a control plane"]
fn upgrade_with_c_when_b_had_dropped_something_is_refused_rather_than_guessed() {
    let _row =
        row("helm upgrade with C while B is held, when B had dropped something of A", ClientSide.words(), "denied, names the way out");
    let namespace = Namespace::new();
    let release = Release::install(&namespace, ClientSide, &named("A"));
    release.upgrade(&named("B")).succeeded();
    let output = release.upgrade(&named("C")).failed();
    let said = output.said();
    let (_, message) = said.split_once("denied the request: ").unwrap_or_else(|| panic!("{said}"));
    insta::assert_snapshot!(message.lines().next().unwrap_or_default(), @r#"canary: this template can't be told apart from leftovers of the live one at spec.template.spec.containers[app].env[ONLY_A] while another is held; run `helm rollback` first, or use `helm upgrade --server-side=true`""#);
    namespace.assert_held("B");
}

#[rstest]
#[ignore = "needs a control plane"]
fn going_back_withdraws(#[values(ServerSide, ClientSide)] patch: Patch, #[values("helm rollback", "helm upgrade with A again")] how: &str) {
    let _row = row(&format!("{how} while B is held"), patch.words(), "withdrawn");
    let namespace = Namespace::new();
    let release = Release::install(&namespace, patch, &named("A"));
    release.upgrade(&named("B")).succeeded();
    let output = if how == "helm rollback" { release.rollback() } else { release.upgrade(&named("A")) };
    output.succeeded();
    let app = namespace.assert_phase("A", None, Some(Phase::Withdrawn));
    assert_eq!(object::annotation(&app, "canary.enabled"), Some("true"));
    namespace.assert_no_write(|| release.upgrade(&named("A")).succeeded());
}

#[rstest]
#[ignore = "needs a control plane"]
fn after_the_promotion_upgrades_and_rollbacks_are_right(#[values(ServerSide, ClientSide)] patch: Patch) {
    let _row = row("helm upgrade and rollback after the promotion", patch.words(), "no write for B; C held; A at once");
    let namespace = Namespace::new();
    let release = Release::install(&namespace, patch, &named("A"));
    release.upgrade(&named("B")).succeeded();
    namespace.promote();
    let app = namespace.assert_phase("B", None, Some(Phase::Promoted));
    assert_eq!(object::annotation(&app, "canary.enabled"), Some("true"));
    namespace.assert_no_write(|| release.upgrade(&named("B")).succeeded());
    release.upgrade(&named("C")).succeeded();
    namespace.assert_phase("B", Some("C"), Some(Phase::Held));
    release.upgrade(&named("B")).succeeded();
    namespace.assert_phase("B", None, Some(Phase::Withdrawn));
    let output = release.upgrade(&named("A")).succeeded();
    assert!(output.said().contains("this template was live before"), "{}", output.said());
    namespace.assert_phase("A", None, Some(Phase::RolledBack));
}

#[rstest]
#[ignore = "needs a control plane"]
fn uninstall_while_held(#[values(ServerSide, ClientSide)] patch: Patch) {
    let _row = row("helm uninstall while B is held", patch.words(), "gone");
    let namespace = Namespace::new();
    let release = Release::install(&namespace, patch, &named("A"));
    release.upgrade(&named("B")).succeeded();
    let output = release.run(&["uninstall", "app"]).succeeded();
    assert_said!(output, @"");
    eventually("the Deployment to be gone", || {
        namespace.control_plane.find(&namespace.path("app")).map_or(Ok(()), |app| Err(app.to_string()))
    });
}

#[rstest]
#[ignore = "needs a control plane"]
fn a_change_of_client_while_held(#[values(ServerSide, ClientSide)] first: Patch) {
    let _row = row("B by Helm, then C by kubectl apply --server-side --force-conflicts", first.words(), "superseded");
    let namespace = Namespace::new();
    let release = Release::install(&namespace, first, &named("A"));
    release.upgrade(&named("B")).succeeded();
    let manifest = crate::support::fixtures::deployment("app", &named("C"));
    namespace.kubectl.apply_with(crate::support::kubectl::Apply::ServerSide, &manifest, &["--force-conflicts"]).succeeded();
    assert_eq!(held_name(&namespace.app()), Some("C".to_owned()));
}

#[rstest]
#[case::promoted(Phase::Promoted)]
#[case::rejected(Phase::Rejected)]
#[case::inconclusive(Phase::Inconclusive)]
#[ignore = "needs a control plane"]
fn wait_waits_for_the_verdict(#[case] verdict: Phase) {
    let result = if verdict == Phase::Promoted { "waits for the rollout, exit 0" } else { "exit 1 as soon as the verdict is there" };
    let _row = row(&verdict.as_str().to_lowercase(), "Helm 4 --wait", result);
    let namespace = Namespace::new();
    let release = Release::install(&namespace, ServerSide, &named("A"));
    namespace.settle();
    let mut child = release.upgrade_beside(&named("B"), &["--wait", "--timeout=120s"]).spawn().unwrap();
    eventually("the hold", || held_name(&namespace.app()).map(drop).ok_or_else(|| "nothing held".to_owned()));
    namespace.settle();
    assert!(child.try_wait().unwrap().is_none(), "it waits");
    if verdict == Phase::Promoted {
        namespace.promote();
    } else {
        namespace.judge(verdict, "error rate 48.1% exceeds 1%");
    }
    eventually("helm to end", || {
        namespace.make_pods_ready();
        child.try_wait().unwrap().map(drop).ok_or_else(|| "still waiting".to_owned())
    });
    let output = namespace.kubectl.output(child);
    assert_eq!(output.code == 0, verdict == Phase::Promoted, "{}", output.stderr);
}

#[test]
#[ignore = "needs a control plane"]
fn a_file_that_helm_puts_in_its_place() {
    let _row = row(
        "helm upgrade --force-replace with B, B, A, and B after the promotion",
        ClientSide.words(),
        "held; kept; withdrawn; no other trial",
    );
    let namespace = Namespace::new();
    let release = Release::install(&namespace, ClientSide, &named("A"));
    let replace = |name: &str| {
        eventually("a replace without a conflict", || {
            let output = release.upgrade_with(&named(name), &["--force-replace"]);
            if output.stderr.contains("the object has been modified") { Err(output.stderr) } else { Ok(output) }
        })
    };
    replace("B").succeeded();
    namespace.assert_held("B");
    replace("B").succeeded();
    namespace.assert_held("B");
    replace("A").succeeded();
    namespace.assert_phase("A", None, Some(Phase::Withdrawn));
    replace("B").succeeded();
    namespace.assert_held("B");
    namespace.promote();
    replace("B").succeeded();
    namespace.assert_phase("B", None, Some(Phase::Promoted));
}

#[rstest]
#[ignore = "needs a control plane"]
fn who_rolls_back_on_failure_is_back_at_the_live_one(#[values(ServerSide, ClientSide)] patch: Patch) {
    let _row = row("rejected", &format!("{} --rollback-on-failure", patch.words()), "rolled back, exit 1; A as it was");
    let namespace = Namespace::new();
    let release = Release::install(&namespace, patch, &named("A"));
    let before = namespace.settle();
    let mut child = release.upgrade_beside(&named("B"), &["--rollback-on-failure", "--timeout=120s"]).spawn().unwrap();
    eventually("the hold", || held_name(&namespace.app()).map(drop).ok_or_else(|| "nothing held".to_owned()));
    namespace.settle();
    namespace.judge(Phase::Rejected, "error rate 48.1% exceeds 1%");
    eventually("helm to end", || {
        namespace.make_pods_ready();
        child.try_wait().unwrap().map(drop).ok_or_else(|| "still waiting".to_owned())
    });
    let output = namespace.kubectl.output(child).failed();
    assert!(output.stderr.contains("rolled back"), "{}", output.stderr);
    let app = namespace.assert_phase("A", None, Some(Phase::Withdrawn));
    assert_eq!(app["spec"], before["spec"]);
}

//! kubectl's imperative commands: each changes the live template; while another is on trial, that one.

use coalmine_core::{
    api::annotations::Phase,
    manifest::{object, template},
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{
    eventually,
    fixtures::{self, Template},
    kubectl::{
        Apply::{self, ClientSide, ServerSide},
        assert_said,
    },
    namespace::{Namespace, held, records},
    results::row,
};

const IMAGE: &str = "app=registry.example/app:c";

#[rstest]
#[case::set_image("set image", &["set", "image", "deployment/app", IMAGE])]
#[case::set_env("set env", &["set", "env", "deployment/app", "NEW=1"])]
#[case::set_resources("set resources", &["set", "resources", "deployment/app", "--limits=cpu=1"])]
#[case::patch_strategic("patch", &["patch", "deployment/app", "--type=strategic",
    r#"--patch={"spec":{"template":{"spec":{"containers":[{"name":"app","image":"registry.example/app:c"}]}}}}"#])]
#[case::patch_merge("patch --type=merge", &["patch", "deployment/app", "--type=merge",
    r#"--patch={"spec":{"template":{"metadata":{"annotations":{"x":"y"}}}}}"#])]
#[case::patch_json("patch --type=json", &["patch", "deployment/app", "--type=json",
    r#"--patch=[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"registry.example/app:c"}]"#])]
#[case::restart("rollout restart", &["rollout", "restart", "deployment/app"])]
#[ignore = "needs a control plane"]
fn commands_are_template_changes_and_are_held(#[case] name: &str, #[case] command: &[&str], #[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row(&format!("kubectl {name}"), &format!("on what came by {}", how.words()), "held");
    let namespace = Namespace::with_a(how);
    let before = namespace.app();
    let output = namespace.kubectl.run(command).succeeded();
    assert_said!(output, @"Warning: canary: template held; trying it in app-canary for 60s; watch: kubectl events --for deploy/app -w");
    let app = namespace.app();
    assert_eq!(app["spec"], before["spec"]);
    assert_eq!(records(&app).template_owners, records(&before).template_owners);
    let held = held(&app).expect("a held template");
    assert!(!template::same(&held.template, object::template(&app)));

    namespace.promote();
    let promoted = namespace.app();
    assert!(template::same(object::template(&promoted), &held.template));
    assert_eq!(object::phase(object::annotations(&promoted)), Some(Phase::Promoted));
    // What the same command does to a Deployment without Coalmine, but for the time of the restart.
    let plain = Namespace::new();
    let mut manifest = fixtures::deployment("app", &Template::named("A"));
    manifest["metadata"]["annotations"]["canary.enabled"] = json!("false");
    plain.kubectl.apply(how, &manifest).succeeded();
    plain.kubectl.run(command).succeeded();
    let (mut seen, mut expected) = (records(&promoted), records(&plain.app()));
    assert_eq!(seen.last_applied, records(&before).last_applied);
    for records in [&mut seen, &mut expected] {
        records.last_applied = None;
        if let Some(time) = records.spec.pointer_mut("/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt") {
            time.take();
        }
    }
    assert_eq!(seen, expected);
}

#[rstest]
#[ignore = "needs a control plane"]
fn edit_is_held(#[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("kubectl edit", &format!("on what came by {}", how.words()), "held");
    let namespace = Namespace::with_a(how);
    let environment = [("KUBE_EDITOR", "sed -i s,registry.example/app:a,registry.example/app:b,")];
    let output = namespace.kubectl.run_with(&["edit", "deployment/app"], "", &environment).succeeded();
    assert_said!(output, @"Warning: canary: template held; trying it in app-canary for 60s; watch: kubectl events --for deploy/app -w");
    let app = namespace.app();
    assert_eq!(fixtures::template_name(object::template(&app)), "A");
    assert_eq!(held(&app).map(|held| fixtures::template_name(&held.template)), Some("B".to_owned()));
}

#[rstest]
#[ignore = "needs a control plane"]
fn replace_drops_annotations_but_the_hold_stays(#[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("kubectl replace", &format!("on what came by {}", how.words()), "state comes from the old object; the hold stays");
    let namespace = Namespace::with_b_held(how);
    let replace = |template: &str| {
        let manifest = fixtures::deployment("app", &Template::named(template)).to_string();
        // kubectl reads the version first: the Deployment controller may come in between.
        eventually("a replace without a conflict", || {
            let output = namespace.kubectl.run_with(&["replace", "-f", "-"], &manifest, &[]);
            if output.stderr.contains("(Conflict)") { Err(output.stderr) } else { Ok(output) }
        })
    };
    let output = replace("B").succeeded();
    assert_said!(output, @"Warning: canary: this template is already held; app-canary is trying it");
    namespace.assert_held("B");
    replace("C").succeeded();
    namespace.assert_held("C");
    namespace.promote();
    namespace.assert_phase("C", None, Some(Phase::Promoted));
}

#[rstest]
#[ignore = "needs a control plane"]
fn rollout_undo_to_a_proven_template_is_admitted_at_once(#[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("kubectl rollout undo", &format!("on what came by {}", how.words()), "admitted at once");
    let namespace = Namespace::with_b_held(how);
    namespace.promote();
    namespace.await_revision(2);
    let output = namespace.kubectl.run(&["rollout", "undo", "deployment/app"]).succeeded();
    assert_said!(output, @"Warning: canary: this template was live before; let through at once");
    let app = namespace.assert_phase("A", None, Some(Phase::RolledBack));
    assert_eq!(object::annotation(&app, "canary.enabled"), Some("true"));
}

#[rstest]
#[ignore = "needs a control plane"]
fn rollout_undo_while_c_is_held_drops_it(#[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("kubectl rollout undo while C is held", &format!("on what came by {}", how.words()), "admitted at once; C dropped");
    let namespace = Namespace::with_b_held(how);
    namespace.promote();
    namespace.await_revision(2);
    namespace.apply(how, "C").succeeded();
    namespace.assert_phase("B", Some("C"), Some(Phase::Held));
    let output = namespace.kubectl.run(&["rollout", "undo", "deployment/app"]).succeeded();
    assert_said!(output, @"Warning: canary: this template was live before; let through at once");
    namespace.assert_phase("A", None, Some(Phase::RolledBack));
}

#[rstest]
#[ignore = "needs a control plane"]
fn the_old_file_again_is_admitted_at_once(#[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("the template of a revision that was promoted before", how.words(), "admitted at once");
    let namespace = Namespace::with_b_held(how);
    namespace.promote();
    namespace.await_revision(2);
    let output = namespace.apply(how, "A").succeeded();
    assert_said!(output, @"Warning: canary: this template was live before; let through at once");
    namespace.assert_phase("A", None, Some(Phase::RolledBack));
}

#[rstest]
#[ignore = "needs a control plane"]
fn a_dry_run_answers_as_the_real_request_and_writes_nothing(#[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("--dry-run=server", how.words(), "as the real request; nothing written");
    let namespace = Namespace::with_a(how);
    let manifest = |template: &str| fixtures::deployment("app", &Template::named(template));
    let dry = |template: &str| {
        let answer = namespace.assert_no_write(|| {
            namespace
                .kubectl
                .apply_with(how, &manifest(template), &["--dry-run=server", "--output=json", "--show-managed-fields"])
                .succeeded()
        });
        let object: Value = serde_json::from_str(&answer.stdout).expect("JSON");
        (answer.said(), object)
    };
    for step in ["B", "B", "C", "A"] {
        let (said, dry) = dry(step);
        let real = namespace.apply(how, step).succeeded();
        let stored = namespace.app();
        assert_eq!(said, real.said(), "step {step}");
        assert_eq!(records(&dry), records(&stored), "step {step}");
        assert_eq!(held(&dry), held(&stored), "step {step}");
    }
}

#[rstest]
#[ignore = "needs a control plane"]
fn diff_shows_what_the_apply_would_do(#[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("kubectl diff", how.words(), "of B held: nothing; of C: Coalmine's annotations");
    let namespace = Namespace::with_b_held(how);
    let diff = |template: &str| {
        let manifest = fixtures::deployment("app", &Template::named(template)).to_string();
        let more = if how == ServerSide { "--server-side=true" } else { "--server-side=false" };
        namespace.assert_no_write(|| namespace.kubectl.run_with(&["diff", more, "-f", "-"], &manifest, &[]))
    };
    let same = diff("B");
    assert_eq!((same.code, same.stdout.as_str()), (0, ""), "{}", same.stderr);
    let other = diff("C");
    assert_eq!(other.code, 1, "{}", other.stderr);
    let mut changed: Vec<&str> =
        other.stdout.lines().filter(|line| line.starts_with(['+', '-']) && !line.starts_with("+++") && !line.starts_with("---")).collect();
    changed.retain(|line| !line.contains("canary.state/") && !line.contains("generation:"));
    assert_eq!(changed, [""; 0]);
}

//! Beside others: mutating webhooks before and after ours, and a second applier of the same template.

use coalmine_core::{
    api::annotations::{self as key, Phase},
    manifest::object,
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{
    control_plane::As,
    eventually,
    fixtures::{self, Template},
    gitops::Engine::Flux,
    kubectl::{
        Apply::{self, ClientSide, ServerSide},
        assert_said,
    },
    mutator::Mutator,
    namespace::{Namespace, held, records},
    results::row,
};

/// Changes something in every request, so that webhooks which ask for it are called again.
fn count(object: &Value) -> Value {
    let seen: u32 = object::annotation(object, "example.com/seen").and_then(|text| text.parse().ok()).unwrap_or_default();
    json!([{"op": "add", "path": "/metadata/annotations/example.com~1seen", "value": (seen + 1).to_string()}])
}

/// `before` or `after`, which is how names sort beside ours.
pub(super) fn words(order: &str) -> &str {
    order.rsplit('-').next().unwrap()
}

/// Writes another registry in place of the stated one, as policies do (or a digest in place of a tag).
fn mirror(object: &Value) -> Value {
    let image = object["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap();
    match image.strip_prefix("registry.example/") {
        Some(name) => {
            json!([{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": format!("mirror.example/{name}")}])
        }
        None => json!([]),
    }
}

fn is_mirrored(template: &Value) -> bool {
    template["spec"]["containers"][0]["image"].as_str().unwrap().starts_with("mirror.example/")
}

/// A configuration counts a little after it is stored.
pub(super) fn await_mutation(namespace: &Namespace, is_done: fn(&Value) -> bool) {
    let path = format!("/apis/apps/v1/namespaces/{}/deployments?dryRun=All", namespace.name);
    eventually("the other webhook to be called", || {
        let created =
            namespace.control_plane.post(&path, &fixtures::plain("probe", &Template::named("A"))).map_err(|error| error.message)?;
        if is_done(object::template(&created)) { Ok(()) } else { Err("not changed".to_owned()) }
    });
}

/// The one that a client states is never the one that runs: compared before it is rewritten, it would be held and tried for ever.
#[rstest]
#[ignore = "needs a control plane"]
fn images_from_a_mirror_are_tried_once(#[values("Never", "IfNeeded")] reinvocation: &str, #[values(ClientSide, ServerSide)] how: Apply) {
    let _row =
        row("beside a webhook that writes another registry", how.words(), "held; B again no write; promoted, and not tried again; A back");
    let namespace = Namespace::new();
    let _policy = Mutator::register(&namespace, "kyverno", reinvocation, mirror);
    await_mutation(&namespace, is_mirrored);
    namespace.apply(how, "A").succeeded();
    namespace.await_revision(1);
    let before = namespace.app();
    // What is not tried is the API server's own affair: with client-side apply it writes another time into `managedFields`.
    namespace.apply(how, "A").succeeded();
    namespace.assert_phase("A", None, None);
    namespace.apply(how, "B").succeeded();
    let app = namespace.assert_held("B");
    assert_eq!(app["spec"], before["spec"]);
    assert!(is_mirrored(&held(&app).unwrap().template), "what is tried is what will run");
    namespace.assert_no_write(|| namespace.apply(how, "B").succeeded());
    let promoted = namespace.promote();
    assert!(is_mirrored(object::template(&promoted)));
    namespace.apply(how, "B").succeeded();
    namespace.assert_phase("B", None, Some(Phase::Promoted));
    namespace.apply(how, "A").succeeded();
    namespace.assert_phase("A", None, Some(Phase::RolledBack));
}

/// A policy that is newer than the live template would change it with every write: the verdict is written, and the live one stays.
#[test]
#[ignore = "needs a control plane"]
fn a_new_rewriter_neither_stops_a_verdict_nor_changes_the_live_template_with_it() {
    let _row = row("a webhook that writes another registry, newer than A", "the controller", "writes its verdict; A stays as it is");
    let namespace = Namespace::with_b_held(ServerSide);
    let before = namespace.app();
    let _policy = Mutator::register(&namespace, "kyverno", "Never", mirror);
    await_mutation(&namespace, is_mirrored);
    namespace.judge(Phase::Running, "running");
    namespace.judge(Phase::Rejected, "error rate 48.1%");
    let app = namespace.assert_phase("A", Some("B"), Some(Phase::Rejected));
    assert_eq!(app["spec"], before["spec"]);
}

/// What is called after the hold, or again, finds the live template there, which it has never seen; and other requests show it that one, too.
/// Of two that are called again the later one has the last word: one that is called after ours, and again, is not to be stopped.
#[rstest]
#[case::before("a-before", "Never")]
#[case::before_and_again("a-before", "IfNeeded")]
#[case::after("zzz-after", "Never")]
#[ignore = "needs a control plane"]
fn a_new_rewriter_does_not_change_the_live_template(
    #[case] order: &str,
    #[case] reinvocation: &str,
    #[values(ClientSide, ServerSide)] how: Apply,
) {
    let request = format!("beside a webhook that writes another registry, newer than A, called {} ours", words(order));
    let _row = row(&request, how.words(), "held; A stays as it is");
    let namespace = Namespace::with_a(how);
    let before = namespace.app();
    let _policy = Mutator::register(&namespace, order, reinvocation, mirror);
    await_mutation(&namespace, is_mirrored);
    namespace.apply(how, "B").succeeded();
    let app = namespace.assert_held("B");
    assert_eq!(app["spec"], before["spec"]);
    assert_eq!(is_mirrored(&held(&app).unwrap().template), order == "a-before");
    namespace.apply(how, "B").succeeded();
    namespace.assert_held("B");
    namespace.kubectl.run(&["label", "deployment/app", "x=y"]).succeeded();
    let app = namespace.assert_held("B");
    assert_eq!(app["spec"], before["spec"]);
    assert!(is_mirrored(object::template(&namespace.promote())));
    namespace.assert_phase("B", None, Some(Phase::Promoted));
}

#[rstest]
#[ignore = "needs a control plane"]
fn one_that_changes_every_request_does_not_undo_the_hold(#[values("a-before", "zzz-after")] order: &str) {
    let request = format!("beside a webhook that changes every request, called {} ours", words(order));
    let _row = row(&request, ServerSide.words(), "held; withdrawn; promoted");
    let namespace = Namespace::with_a(ServerSide);
    let _counter = Mutator::register(&namespace, order, "IfNeeded", count);
    eventually("the other webhook to be called", || {
        namespace.kubectl.run(&["annotate", "deployment/app", "--overwrite", "example.com/poke=1"]).succeeded();
        object::annotation(&namespace.app(), "example.com/seen").map(drop).ok_or_else(|| "not called".to_owned())
    });
    namespace.apply(ServerSide, "B").succeeded();
    namespace.assert_held("B");
    namespace.apply(ServerSide, "B").succeeded();
    namespace.assert_held("B");
    namespace.apply(ServerSide, "A").succeeded();
    namespace.assert_phase("A", None, Some(Phase::Withdrawn));
    namespace.apply(ServerSide, "C").succeeded();
    namespace.promote();
    namespace.assert_phase("C", None, Some(Phase::Promoted));
}

fn images(template: &Value) -> Vec<String> {
    let containers = template["spec"]["containers"].as_array().unwrap();
    containers.iter().map(|container| container["image"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()).collect()
}

#[test]
#[ignore = "needs a control plane"]
fn two_server_side_appliers_of_different_fields() {
    let _row = row(
        "two server-side appliers of different fields of one template",
        "server-side apply",
        "the other's unchanged re-apply keeps B; its own change comes on top of A",
    );
    let namespace = Namespace::with_a(ServerSide);
    let side = |version: &str| {
        let container = json!({"name": "side", "image": format!("registry.example/side:{version}")});
        let manifest = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app"},
            "spec": {"template": {"spec": {"containers": [container]}}}});
        let path = format!("{}?fieldManager=platform&force=true", namespace.path("app"));
        namespace.control_plane.send(As::Administrator, "PATCH", &path, "application/apply-patch+yaml", &manifest).unwrap()
    };
    side("1");
    namespace.promote();
    assert_eq!(images(object::template(&namespace.app())), ["app:a", "side:1"]);
    namespace.apply(ServerSide, "B").succeeded();
    namespace.assert_no_write(|| side("1"));
    assert_eq!(images(&held(&namespace.app()).unwrap().template), ["app:b", "side:1"]);
    namespace.promote();
    assert_eq!(images(object::template(&namespace.app())), ["app:b", "side:1"]);
    // Each still owns its own: neither needs force, and what one drops goes.
    namespace.assert_no_write(|| namespace.apply(ServerSide, "B").succeeded());
    namespace.assert_no_write(|| side("1"));
    side("2");
    namespace.promote();
    assert_eq!(images(object::template(&namespace.app())), ["app:b", "side:2"]);
}

/// A person applies a part, and a `GitOps` controller its own again and again: neither may make the other's trial start over for ever.
#[rstest]
#[ignore = "needs a control plane"]
fn a_change_of_the_second_applier_while_b_is_held_comes_to_b(#[values("kubectl first", "Flux first")] order: &str) {
    let _row = row(
        "two appliers change their parts and both come again",
        "Flux, kubectl apply --server-side",
        "tried together; no write; promoted",
    );
    let namespace = Namespace::new();
    Flux.apply(&namespace, "A").succeeded();
    namespace.await_revision(1);
    let flux = |namespace: &Namespace| drop(Flux.apply(namespace, "B").succeeded());
    let container = json!({"name": "side", "image": "registry.example/side:1"});
    let manifest = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app"},
        "spec": {"template": {"spec": {"containers": [container]}}}});
    // Flux takes over whatever a manager named kubectl has set.
    let person = |namespace: &Namespace| namespace.kubectl.apply_with(ServerSide, &manifest, &["--field-manager=platform"]).succeeded();
    if order == "Flux first" {
        flux(&namespace);
        let output = person(&namespace);
        assert_said!(output, @r#"
Warning: canary: template held; trying it in app-canary for 60s; watch: kubectl events --for deploy/app -w
Warning: canary: the canary starts over, with what comes from "kustomize-controller" and "platform" together
"#);
    } else {
        person(&namespace);
        flux(&namespace);
    }
    let run = |app: &Value| object::annotation(app, key::RUN).map(str::to_owned);
    let together = namespace.app();
    assert_eq!(object::phase(object::annotations(&together)), Some(Phase::Held));
    assert_eq!(images(&held(&together).unwrap().template), ["app:b", "side:1"]);
    assert_eq!(images(object::template(&together)), ["app:a"]);
    for _ in 0..3 {
        namespace.assert_no_write(|| flux(&namespace));
        namespace.assert_no_write(|| person(&namespace));
    }
    assert_eq!(run(&namespace.app()), run(&together), "one run");
    namespace.promote();
    assert_eq!(images(object::template(&namespace.app())), ["app:b", "side:1"]);
    namespace.assert_no_write(|| flux(&namespace));
    namespace.assert_no_write(|| person(&namespace));
}

/// What a manager named kubectl has set is Flux's to take away, which the hold doesn't change.
#[rstest]
#[ignore = "needs a control plane"]
fn flux_takes_a_persons_part_as_without_coalmine(#[values("kubectl first", "Flux first")] order: &str) {
    let _row = row("a person's part beside Flux, both on trial", "Flux, kubectl apply --server-side", "as without Coalmine");
    let container = json!({"name": "side", "image": "registry.example/side:1"});
    let manifest = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app"},
        "spec": {"template": {"spec": {"containers": [container]}}}});
    let ended = |namespace: Namespace| {
        Flux.apply(&namespace, "A").succeeded();
        namespace.await_revision(1);
        let person = || drop(namespace.kubectl.apply_with(ServerSide, &manifest, &["--force-conflicts"]).succeeded());
        let flux = || drop(Flux.apply(&namespace, "B").succeeded());
        if order == "Flux first" {
            flux();
            person();
        } else {
            person();
        }
        // Flux learns of the part when it is live, so that it takes it away in a trial of its own.
        for _interval in 0..3 {
            flux();
            if held(&namespace.app()).is_some() {
                namespace.promote();
            }
        }
        let records = records(&namespace.app());
        (records.spec, records.template_owners)
    };
    assert_eq!(ended(Namespace::new()), ended(Namespace::without_coalmine()));
}

#[test]
#[ignore = "needs a control plane"]
fn who_goes_back_takes_its_own_part_away() {
    let _row = row(
        "two appliers have parts on trial, one goes back",
        "Flux, kubectl apply --server-side",
        "its part withdrawn; the other's goes on",
    );
    let namespace = Namespace::new();
    Flux.apply(&namespace, "A").succeeded();
    namespace.await_revision(1);
    let before = namespace.app();
    Flux.apply(&namespace, "B").succeeded();
    let part = |containers: Value| {
        let manifest = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app"},
            "spec": {"template": {"spec": {"containers": containers}}}});
        namespace.kubectl.apply_with(ServerSide, &manifest, &["--field-manager=platform"]).succeeded()
    };
    part(json!([{"name": "side", "image": "registry.example/side:1"}]));
    let output = part(json!([]));
    assert_said!(output, @r#"
Warning: canary: template held; trying it in app-canary for 60s; watch: kubectl events --for deploy/app -w
Warning: canary: the canary starts over, with what comes from "kustomize-controller" alone
"#);
    namespace.assert_held("B");
    Flux.apply(&namespace, "A").succeeded();
    let app = namespace.assert_phase("A", None, Some(Phase::Withdrawn));
    assert_eq!(app["spec"], before["spec"]);
}

/// The API server warns of what is stored, which is the live template; who sent the held one hears what it warns of that.
#[test]
#[ignore = "needs a control plane"]
fn what_the_api_server_warns_of_is_told_of_the_held_template() {
    let _row = row("B with a deprecated node selector", "kubectl apply", "held, with the API server's warnings");
    let namespace = Namespace::with_a(ServerSide);
    let mut manifest = fixtures::deployment("app", &Template::named("B"));
    manifest["spec"]["template"]["spec"]["nodeSelector"] = json!({"beta.kubernetes.io/os": "linux"});
    let output = namespace.kubectl.apply(ServerSide, &manifest).succeeded();
    assert_said!(output, @r#"
    Warning: canary: template held; trying it in app-canary for 60s; watch: kubectl events --for deploy/app -w
    Warning: spec.template.spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead
    "#);
}

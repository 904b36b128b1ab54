//! Changes computed from the live object while B is on trial: without Coalmine they would have been made to B, and so they are.

use coalmine_core::{
    api::annotations::{self as key, Phase},
    manifest::{object, template},
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{
    fixtures::{self, Template},
    gitops::Engine::Flux,
    kubectl::{
        Apply::{self, ClientSide, ServerSide},
        assert_said,
    },
    namespace::{Namespace, Records, held, records},
    results::row,
};

const IMAGE: &str = "app=registry.example/app:c";
const RELOAD: &str = r#"{"spec":{"template":{"spec":{"containers":[{"name":"app","env":[{"name":"STAKATER","value":"1"}]}]}}}}"#;

fn environment(template: &Value) -> Vec<&str> {
    let list = template["spec"]["containers"][0]["env"].as_array().unwrap();
    list.iter().map(|variable| variable["name"].as_str().unwrap()).collect()
}

/// The records as they are on a Deployment without Coalmine, but for the time of a restart.
fn comparable(namespace: &Namespace) -> Records {
    let mut records = records(&namespace.app());
    if let Some(time) = records.spec.pointer_mut("/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt") {
        time.take();
    }
    records.last_applied = records.last_applied.map(|text| text.replace(&namespace.name, "NAMESPACE"));
    records
}

#[rstest]
#[case::set_image(&["set", "image", "deployment/app", IMAGE])]
#[case::set_env(&["set", "env", "deployment/app", "NEW=1"])]
#[case::restart(&["rollout", "restart", "deployment/app"])]
#[case::reloader(&["patch", "deployment/app", "--field-manager=Reloader", "--patch", RELOAD])]
#[case::json(&["patch", "deployment/app", "--type=json",
    r#"--patch=[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"registry.example/app:c"}]"#])]
#[ignore = "needs a control plane"]
fn a_change_is_made_to_b(#[case] command: &[&str], #[values(ClientSide, ServerSide)] how: Apply) {
    let client = format!("kubectl {} on what came by {}", &command[..2].join(" "), how.words());
    let _row = row("a change of the live object while B is on trial", &client, "made to B; records as without Coalmine");
    let namespace = Namespace::with_b_held(how);
    let run = object::annotation(&namespace.app(), key::RUN).map(str::to_owned);
    namespace.kubectl.run(command).succeeded();
    let app = namespace.app();
    assert_eq!(object::phase(object::annotations(&app)), Some(Phase::Held));
    assert_ne!(object::annotation(&app, key::RUN).map(str::to_owned), run, "the run starts over");
    assert!(environment(&held(&app).unwrap().template).contains(&"ONLY_B"));
    // B again, as a repository has it.
    if !command.contains(&IMAGE) && !command.contains(&"--type=json") {
        namespace.assert_no_write(|| namespace.apply(how, "B").succeeded());
    }
    namespace.promote();
    let plain = Namespace::without_coalmine();
    plain.apply(how, "A").succeeded();
    plain.apply(how, "B").succeeded();
    plain.kubectl.run(command).succeeded();
    assert_eq!(comparable(&namespace), comparable(&plain));
}

#[test]
#[ignore = "needs a control plane"]
fn the_warning_names_both_managers() {
    let _row = row("set image while B is on trial, which sets it too", "kubectl set image", "the later counts; both are named");
    let namespace = Namespace::with_b_held(ServerSide);
    let output = namespace.kubectl.run(&["set", "image", "deployment/app", IMAGE]).succeeded();
    assert_said!(output, @r#"
Warning: canary: template held; trying it in app-canary for 60s; watch: kubectl events --for deploy/app -w
Warning: canary: the canary starts over; "kubectl-set" overrides "kubectl" at spec.template.spec.containers[app].image
"#);
    let app = namespace.app();
    insta::assert_snapshot!(object::annotation(&app, key::MERGED).unwrap(), @r#"a change by "kubectl-set" (kubernetes-admin) was made to the template on trial from "kubectl"; both set spec.template.spec.containers[app].image, where "kubectl-set" counts as the later; the canary starts over"#);
    // Stated once more, B's own is the later.
    namespace.apply(ServerSide, "B").succeeded();
    namespace.assert_held("B");
}

#[test]
#[ignore = "needs a control plane"]
fn a_repository_and_an_operator_settle() {
    let _row =
        row("Reloader's change while B is on trial, both again", "Flux, kubectl patch --field-manager=Reloader", "one run; no write");
    let namespace = Namespace::new();
    Flux.apply(&namespace, "A").succeeded();
    namespace.await_revision(1);
    Flux.apply(&namespace, "B").succeeded();
    let reload = || namespace.kubectl.run(&["patch", "deployment/app", "--field-manager=Reloader", "--patch", RELOAD]).succeeded();
    reload();
    let record = held(&namespace.app());
    assert!(environment(&record.as_ref().unwrap().template).contains(&"STAKATER"));
    for _ in 0..2 {
        namespace.assert_no_write(|| Flux.apply(&namespace, "B").succeeded());
        namespace.assert_no_write(reload);
    }
    assert_eq!(held(&namespace.app()), record);
    namespace.promote();
    Flux.apply(&namespace, "B").succeeded();
    let app = namespace.assert_live_only();
    // The API server puts what a patch adds first.
    assert_eq!(environment(object::template(&app)), ["STAKATER", "COMMON", "ONLY_B"]);
}

#[test]
#[ignore = "needs a control plane"]
fn what_was_rejected_gets_no_change() {
    let _row = row("a change of the live object after B was rejected", "kubectl set env", "a change of A, tried alone");
    let namespace = Namespace::with_b_held(ServerSide);
    namespace.judge(Phase::Rejected, "error rate 48.1%");
    namespace.kubectl.run(&["set", "env", "deployment/app", "NEW=1"]).succeeded();
    let record = held(&namespace.app()).unwrap();
    assert_eq!(environment(&record.template), ["COMMON", "ONLY_A", "NEW"]);
    namespace.assert_no_write(|| namespace.apply(ServerSide, "B").succeeded());
}

/// An operator reads, sets what it wishes, and writes all of it.
#[test]
#[ignore = "needs a control plane"]
fn a_program_that_writes_again_replaces_its_own() {
    let _row = row("a program's own B is held, and it writes again", "PUT after GET", "its later wish alone");
    let namespace = Namespace::with_a(ServerSide);
    let write = |wish: &str| {
        let mut app = namespace.app();
        app["spec"]["template"]["spec"]["containers"][0]["env"] = json!([{"name": wish, "value": "1"}]);
        let path = format!("{}?fieldManager=operator", namespace.path("app"));
        app["metadata"].as_object_mut().unwrap().remove("resourceVersion");
        namespace.control_plane.send(crate::support::control_plane::As::Administrator, "PUT", &path, "application/json", &app).unwrap()
    };
    write("ONE");
    write("TWO");
    let app = namespace.app();
    assert_eq!(environment(&held(&app).unwrap().template), ["TWO"]);
    namespace.assert_no_write(|| write("TWO"));
    assert!(
        template::same(object::template(&app), &Template::named("A").value()) || fixtures::template_name(object::template(&app)) == "A"
    );
}

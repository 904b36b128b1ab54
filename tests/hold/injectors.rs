//! Beside webhooks that add a container of their own, which nobody owns.

use coalmine_core::{api::annotations::Phase, manifest::object};
use rstest::rstest;
use serde_json::{Value, json};

use super::{
    held_name,
    neighbours::{await_mutation, words},
};
use crate::support::{
    control_plane::As,
    eventually, fixtures,
    kubectl::Apply::{self, ClientSide, ServerSide},
    mutator::Mutator,
    namespace::{Namespace, held},
    results::row,
};

/// Adds a sidecar where there is none, as injectors do.
fn inject(object: &Value) -> Value {
    let containers = object["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    if containers.iter().any(|container| container["name"] == "injected") {
        return json!([]);
    }
    json!([{"op": "add", "path": "/spec/template/spec/containers/-", "value": {"name": "injected", "image": "registry.example/injected:1"}}])
}

fn has_sidecar(template: &Value) -> bool {
    template["spec"]["containers"].as_array().unwrap().iter().any(|container| container["name"] == "injected")
}

#[rstest]
#[ignore = "needs a control plane"]
fn an_injector_before_or_after_changes_nothing(
    #[values("a-before", "zzz-after")] order: &str,
    #[values("Never", "IfNeeded")] reinvocation: &str,
    #[values(ClientSide, ServerSide)] how: Apply,
) {
    let request = format!("beside an injector of sidecars, called {} ours", words(order));
    let _row = row(&request, how.words(), "held; B again no write; promoted with its sidecar");
    let namespace = Namespace::new();
    let _injector = Mutator::register(&namespace, order, reinvocation, inject);
    await_mutation(&namespace, has_sidecar);
    namespace.apply(how, "A").succeeded();
    namespace.await_revision(1);
    let before = namespace.app();
    namespace.apply(how, "B").succeeded();
    let app = namespace.app();
    assert_eq!(app["spec"], before["spec"]);
    assert_eq!(held_name(&app), Some("B".to_owned()));
    namespace.assert_no_write(|| namespace.apply(how, "B").succeeded());
    namespace.promote();
    let promoted = namespace.app();
    assert_eq!(fixtures::template_name(object::template(&promoted)), "B");
    assert!(has_sidecar(object::template(&promoted)));
    namespace.assert_no_write(|| namespace.apply(how, "B").succeeded());
    // And back at once, since it was live before.
    namespace.apply(how, "A").succeeded();
    assert_eq!(object::phase(object::annotations(&namespace.app())), Some(Phase::RolledBack));
}

/// Adds a sidecar or brings it to its second version, which nobody owns.
fn inject_the_second(object: &Value) -> Value {
    let containers = object["spec"]["template"]["spec"]["containers"].as_array().unwrap();
    match containers.iter().position(|container| container["name"] == "injected") {
        Some(place) => {
            json!([{"op": "replace", "path": format!("/spec/template/spec/containers/{place}/image"), "value": "registry.example/injected:2"}])
        }
        None => json!([]),
    }
}

/// The file is the one that was promoted, and what comes of it is not.
#[rstest]
#[ignore = "needs a control plane"]
fn another_version_of_a_sidecar_is_tried(#[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("beside an injector of another version, the promoted file again", how.words(), "held");
    let namespace = Namespace::new();
    {
        let _injector = Mutator::register(&namespace, "a-before", "Never", inject);
        await_mutation(&namespace, has_sidecar);
        namespace.apply(how, "A").succeeded();
        namespace.await_revision(1);
        namespace.apply(how, "B").succeeded();
        namespace.promote();
    }
    let before = namespace.app();
    let _injector = Mutator::register(&namespace, "a-newer", "Never", inject_the_second);
    let version = |template: &Value| template["spec"]["containers"].as_array().unwrap().last().unwrap()["image"].clone();
    eventually("the newer injector to be called", || {
        let more = json!({"metadata": {"annotations": {"poke": "1"}}});
        let path = format!("{}?dryRun=All", namespace.path("app"));
        let answer = namespace.control_plane.send(As::Administrator, "PATCH", &path, "application/merge-patch+json", &more).unwrap();
        if held(&answer).is_some() { Ok(()) } else { Err("not held".to_owned()) }
    });
    namespace.apply(how, "B").succeeded();
    namespace.apply(how, "B").succeeded();
    let app = namespace.app();
    assert_eq!(app["spec"], before["spec"]);
    assert_eq!(object::phase(object::annotations(&app)), Some(Phase::Held));
    assert_eq!(version(&held(&app).unwrap().template), "registry.example/injected:2");
    assert_eq!(version(object::template(&namespace.promote())), "registry.example/injected:2");
}

//! Sequences that once ended otherwise than without Coalmine, each by the name of what was wrong.

use serde_json::{Value, json};

use super::{
    Step::{self, ClientSideApply, ServerSideApply},
    run,
};

/// A template of these containers.
fn template(containers: &Value) -> Value {
    json!({"metadata": {"labels": {"app": "app"}}, "spec": {"containers": containers}})
}

#[track_caller]
fn ends_as_without_coalmine(steps: &[Step]) {
    run(steps).expect("the first file can be created");
}

/// Two clients own the limits of one container, and one of them lets them go. When the same file comes again, the API server forgets
/// who owned `resources` besides what is in it: a difference, if it comes again to one of the two Deployments only.
#[test]
#[ignore = "needs a control plane"]
fn the_owner_of_a_map_goes_when_the_same_file_comes_again() {
    let limited = json!({"limits": {"cpu": "0.5", "memory": "1024Mi"}});
    let a = template(&json!([
        {"name": "side", "image": "registry.example/side:a", "resources": limited},
        {"name": "app", "image": "registry.example/app:a", "resources": null},
    ]));
    let b = template(&json!([
        {"name": "app", "image": "registry.example/app:b", "resources": null},
        {"name": "side", "image": "registry.example/side:b", "resources": null},
    ]));
    let b = ServerSideApply(b);
    ends_as_without_coalmine(&[ClientSideApply(a.clone()), ServerSideApply(a), b.clone(), b]);
}

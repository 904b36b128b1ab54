//! What the fixed sequences are made of: small files, and changes of them. Compares nothing itself.

use serde_json::{Value, json};

use super::{
    run,
    step::Step::{self, Json, Reload},
};

/// A template of these containers.
pub(super) fn template(containers: &Value) -> Value {
    json!({"metadata": {"labels": {"app": "app"}}, "spec": {"containers": containers}})
}

#[track_caller]
pub(super) fn ends_as_without_coalmine(steps: &[Step]) {
    run(steps).expect("the first file can be created");
}

pub(super) fn variable(name: &str) -> Step {
    Reload(json!({"spec": {"template": {"spec": {"containers": [{"name": "app", "env": [{"name": name, "value": "1"}]}]}}}}))
}

pub(super) fn app(image: &str, env: &Value, annotations: &Value) -> Value {
    json!({
        "metadata": {"annotations": annotations, "labels": {"app": "app"}},
        "spec": {"containers": [{"name": "app", "image": format!("registry.example/app:{image}"), "env": env}]},
    })
}

pub(super) fn variables(names: &[&str]) -> Value {
    names.iter().map(|name| json!({"name": name, "value": "1"})).collect()
}

pub(super) fn emptied() -> Step {
    Json(json!([{"op": "add", "path": "/spec/template/spec/containers/app/env", "value": []}]))
}

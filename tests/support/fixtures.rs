//! The Deployments that the tests apply, built the way a person writes them: only what they mean, nothing defaulted.

use serde_json::{Value, json};

/// A pod template in short: an image, and environment variables, all of whose changes must come and go with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    pub(crate) image: String,
    pub(crate) environment: Vec<(String, String)>,
}

impl Template {
    /// Templates of different names share one variable, and each has another one that the others don't have.
    pub(crate) fn named(name: &str) -> Self {
        let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Self {
            image: format!("registry.example/app:{}", name.to_lowercase()),
            environment: vec![variable("COMMON", name), variable(&format!("ONLY_{name}"), "1")],
        }
    }

    pub(crate) fn value(&self) -> Value {
        let environment: Vec<Value> = self.environment.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        json!({
            "metadata": {"labels": {"app": "app"}},
            "spec": {"containers": [{
                "name": "app", "image": self.image, "env": environment,
                "ports": [{"name": "http", "containerPort": 8080}],
            }]},
        })
    }
}

/// Opted in, two replicas.
pub(crate) fn deployment(name: &str, template: &Template) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {"app": "app"}, "annotations": {"canary.enabled": "true"}},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "app"}}, "template": template.value()},
    })
}

/// The same without Coalmine.
pub(crate) fn plain(name: &str, template: &Template) -> Value {
    let mut object = deployment(name, template);
    object["metadata"].as_object_mut().expect("metadata").remove("annotations");
    object
}

/// The template's name, told by its image.
pub(crate) fn template_name(template: &Value) -> String {
    let image = template.pointer("/spec/containers/0/image").and_then(Value::as_str).unwrap_or_default();
    image.rsplit(':').next().unwrap_or_default().to_uppercase()
}

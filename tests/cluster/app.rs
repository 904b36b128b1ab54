//! The user's files: the demo service in one version or another, behind its Service.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// One version of the Deployment `app`.
#[derive(Clone, Debug)]
pub(crate) struct App {
    image: String,
    replicas: u32,
    environment: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    container: BTreeMap<String, Value>,
    scraped: bool,
    /// Where its page is, is left to the names of its ports.
    annotated: bool,
    second: Option<Value>,
}

impl App {
    /// Answers every request.
    pub(crate) fn good(version: &str) -> Self {
        let text = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Self {
            image: "localhost/demo-app:good".to_owned(),
            replicas: 2,
            environment: BTreeMap::from([text("VERSION", version)]),
            // The shortest that is accepted, and enough requests at the rate of these tests to show less than 2 %.
            annotations: [("enabled", "true"), ("duration", "10s"), ("deadline", "2m"), ("max-error-rate", "2%")]
                .map(|(name, value)| text(&format!("canary.{name}"), value))
                .into(),
            container: BTreeMap::new(),
            scraped: true,
            annotated: true,
            second: None,
        }
    }

    /// Fails every request.
    pub(crate) fn bad() -> Self {
        Self { image: "localhost/demo-app:bad".to_owned(), ..Self::good("bad") }
    }

    pub(crate) fn image(mut self, image: &str) -> Self {
        image.clone_into(&mut self.image);
        self
    }

    pub(crate) fn replicas(self, replicas: u32) -> Self {
        Self { replicas, ..self }
    }

    /// With a fault, see `apps/demo/README.md`.
    pub(crate) fn with(mut self, variable: &str, value: &str) -> Self {
        self.environment.insert(variable.to_owned(), value.to_owned());
        self
    }

    /// With a field of the container.
    pub(crate) fn container(mut self, field: &str, value: Value) -> Self {
        self.container.insert(field.to_owned(), value);
        self
    }

    /// Prometheus is not told to scrape this version.
    pub(crate) fn unscraped(self) -> Self {
        Self { scraped: false, ..self }
    }

    /// The pods say nothing of where their pages are.
    pub(crate) fn unannotated(self) -> Self {
        Self { annotated: false, ..self }
    }

    /// With another container.
    pub(crate) fn beside(self, container: Value) -> Self {
        Self { second: Some(container), ..self }
    }

    /// With `canary.<name>`.
    pub(crate) fn canary(mut self, name: &str, value: &str) -> Self {
        self.annotations.insert(format!("canary.{name}"), value.to_owned());
        self
    }

    pub(crate) fn manifest(&self) -> Value {
        let environment: Vec<Value> = self.environment.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        let mut container = json!({
            "name": "app",
            "image": self.image,
            "imagePullPolicy": "IfNotPresent",
            "env": environment,
            "ports": [{"name": "http", "containerPort": 8080}],
            "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 1, "timeoutSeconds": 5},
        });
        for (field, value) in &self.container {
            container[field] = value.clone();
        }
        let scraped = self.scraped.to_string();
        let annotations = if self.annotated { json!({"prometheus.io/scrape": scraped, "prometheus.io/port": "8080"}) } else { json!({}) };
        let containers: Vec<&Value> = std::iter::once(&container).chain(&self.second).collect();
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "app", "labels": {"app": "app"}, "annotations": self.annotations},
            "spec": {
                "replicas": self.replicas,
                "selector": {"matchLabels": {"app": "app"}},
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
                "template": {
                    "metadata": {
                        "labels": {"app": "app"},
                        "annotations": annotations,
                    },
                    "spec": {"containers": containers},
                },
            },
        })
    }
}

/// Selects the primary's pods and the canary's.
pub(crate) fn service() -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "app", "labels": {"app": "app"}},
        "spec": {"selector": {"app": "app"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
    })
}

//! Installed, upgraded and taken away while nobody answers the webhook, which is the worst time for it: no pod runs on this control plane.
//! What the webhook holds up must not hold up its own removal, and what was held is a plain Deployment afterwards.

use std::time::Instant;

use serde_json::{Value, json};

use super::{chart, helm, repository};
use crate::support::{
    control_plane::{As, ControlPlane, Refused, api_server},
    eventually,
    fixtures::{self, Template},
    kubectl::Kubectl,
};

const WAY_OUT: &str = "kubectl-delete-mutatingwebhookconfiguration-zz-coalmine";

/// A Deployment that holds a template, in a namespace of its own.
struct Held {
    control_plane: &'static ControlPlane,
    namespace: String,
}

impl Held {
    /// Before anything is installed, as by an installation that was there once.
    fn new(name: &str) -> Self {
        let control_plane = api_server();
        let namespace = format!("{name}-{}", std::process::id());
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        control_plane.post("/api/v1/namespaces", &object).unwrap();
        let mut app = fixtures::deployment("app", &Template::named("A"));
        app["metadata"]["annotations"] = json!({"canary.enabled": "true", "canary.state/held": "of another time"});
        control_plane.post(&format!("/apis/apps/v1/namespaces/{namespace}/deployments"), &app).unwrap();
        Self { control_plane, namespace }
    }

    fn change_template(&self, image: &str) -> Result<Value, Refused> {
        let path = format!("/apis/apps/v1/namespaces/{}/deployments/app", self.namespace);
        let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "app", "image": image}]}}}});
        self.control_plane.send(As::Administrator, "PATCH", &path, "application/strategic-merge-patch+json", &patch)
    }

    /// The API server learns of a registration a moment after it is stored.
    #[track_caller]
    fn is_held_up(&self) {
        eventually("the webhook to be registered", || match self.change_template("localhost/app:held-up") {
            Err(refused) if refused.message.contains(WAY_OUT) => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }

    #[track_caller]
    fn is_free(&self) {
        eventually("the template to change", || self.change_template("localhost/app:free").map_err(|refused| format!("{refused:?}")));
    }
}

/// Nothing of Coalmine's is left, wherever it may be.
#[track_caller]
fn assert_gone(kubectl: &Kubectl) {
    let kinds = "mutatingwebhookconfigurations,clusterroles,clusterrolebindings,deployments,services,roles,rolebindings,serviceaccounts,poddisruptionbudgets";
    let left = kubectl.run(&["get", kinds, "--all-namespaces", "--selector=app.kubernetes.io/part-of=coalmine", "--output=name"]);
    assert_eq!(left.succeeded().stdout, "");
}

#[test]
#[ignore = "needs a control plane"]
fn helm_waits_for_nobody() {
    let held = Held::new("helm");
    let chart = chart();
    let chart = chart.to_str().unwrap();
    let started = Instant::now();
    helm(&["install", "coalmine", chart, "--namespace", "coalmine-by-helm", "--create-namespace"]).unwrap();
    held.is_held_up();
    helm(&["upgrade", "coalmine", chart, "--namespace", "coalmine-by-helm", "--reuse-values", "--set", "replicas=3"]).unwrap();
    let deployment = held.control_plane.get("/apis/apps/v1/namespaces/coalmine-by-helm/deployments/coalmine");
    assert_eq!(deployment["spec"]["replicas"], 3);
    held.is_held_up();
    helm(&["uninstall", "coalmine", "--namespace", "coalmine-by-helm", "--wait", "--timeout", "60s"]).unwrap();
    held.is_free();
    assert_gone(&Kubectl::of(held.control_plane));
    assert!(started.elapsed().as_secs() < 120, "{:?}", started.elapsed());
}

#[test]
#[ignore = "needs a control plane"]
fn kubectl_waits_for_nobody() {
    let held = Held::new("kustomize");
    let kubectl = Kubectl::of(held.control_plane);
    let deploy = repository().join("deploy").display().to_string();
    let started = Instant::now();
    // The namespace and what is in it come one after the other: the API server may not know it yet.
    eventually("kubectl apply -k deploy", || {
        let output = kubectl.run(&["apply", "-k", &deploy]);
        if output.code == 0 { Ok(()) } else { Err(output.stderr) }
    });
    held.is_held_up();
    kubectl.run(&["delete", "-k", &deploy, "--timeout=60s"]).succeeded();
    held.is_free();
    assert_gone(&kubectl);
    assert!(started.elapsed().as_secs() < 180, "{:?}", started.elapsed());
}

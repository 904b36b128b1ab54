//! Every file that a user is told to apply, applied by kubectl. What pods make of them is shown by the demo and the cluster's tests.

use std::{fs, path::PathBuf};

use coalmine_core::{api::annotations::Phase, manifest::object};
use serde_json::{Value, json};

use crate::support::{control_plane::variable, eventually, kinds::define, kubectl::Output, namespace::Namespace};

fn repository() -> PathBuf {
    variable("COALMINE_REPOSITORY").into()
}

fn apply(namespace: &Namespace, name: &str) -> Output {
    let path = repository().join("examples").join(name);
    namespace.kubectl.run(&["apply", "-f", path.to_str().unwrap()])
}

fn deployment(namespace: &Namespace, name: &str) -> Value {
    namespace.control_plane.get(&format!("/apis/apps/v1/namespaces/{}/deployments/{name}", namespace.name))
}

#[test]
#[ignore = "needs a control plane"]
fn every_example_is_applied() {
    let namespace = Namespace::new();
    define(namespace.control_plane, "monitoring.coreos.com", "v1", "ServiceMonitor", "servicemonitors");
    let files = fs::read_dir(repository().join("examples")).unwrap().map(|entry| PathBuf::from(entry.unwrap().file_name()));
    let manifests = files.filter(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    let mut names: Vec<String> = manifests.map(|file| file.into_os_string().into_string().unwrap()).collect();
    names.retain(|name| !name.starts_with("app-"));
    names.sort();
    assert!(names.len() >= 6, "{names:?}");
    for name in &names {
        // The new kind is known a moment after it is made.
        let said = eventually(name, || {
            let output = apply(&namespace, name);
            if output.code == 0 { Ok(output.said()) } else { Err(output.stderr) }
        });
        assert_eq!(said, "", "{name} is new here: it passes without a word");
    }

    for (file, said, phase) in [
        ("app-bad.yaml", "canary: template held; trying it in app-canary for 30s", Phase::Held),
        ("app.yaml", "canary: back to the live template; the held one is withdrawn", Phase::Withdrawn),
        ("app-good-v2.yaml", "canary: template held; trying it in app-canary for 30s", Phase::Held),
    ] {
        let output = apply(&namespace, file).succeeded();
        assert!(output.said().contains(said), "{file}: {}", output.said());
        let app = deployment(&namespace, "app");
        assert_eq!(object::phase(object::annotations(&app)), Some(phase), "{file}");
    }
}

#[test]
#[ignore = "needs a control plane"]
fn the_example_of_a_bypass_goes_straight_to_the_primary() {
    let namespace = Namespace::new();
    apply(&namespace, "bypass.yaml").succeeded();
    // Another version is live when the incident comes.
    namespace.kubectl.run(&["annotate", "deploy/payments", "canary.bypass-", "canary.enabled-"]).succeeded();
    namespace.kubectl.run(&["set", "env", "deploy/payments", "VERSION=good-before"]).succeeded();
    namespace.kubectl.run(&["annotate", "deploy/payments", "canary.enabled=true"]).succeeded();
    apply(&namespace, "bypass.yaml").succeeded();
    let payments = deployment(&namespace, "payments");
    let version = payments.pointer("/spec/template/spec/containers/0/env/0/value").cloned();
    assert_eq!(version, Some(json!("good-hotfix")));
    assert_eq!(object::phase(object::annotations(&payments)), Some(Phase::Bypassed));
}

#[test]
#[ignore = "needs a control plane"]
fn every_kustomization_is_understood() {
    let namespace = Namespace::new();
    let built = |directory: &str| {
        let path = repository().join(directory);
        namespace.kubectl.run(&["kustomize", path.to_str().unwrap()]).succeeded().stdout
    };
    let (without, with) = (built("deploy"), built("deploy/with-prometheus"));
    assert!(without.contains("name: coalmine-registration") && !without.contains("prometheus-url"));
    let url = "        - --prometheus-url=http://prometheus.monitoring.svc:9090\n";
    assert_eq!(with.replacen(url, "", 1), without, "they differ in nothing else");
    assert!(built("deploy/prometheus").contains("kind: ClusterRole"));
    assert!(built("deploy/notifications").contains("name: coalmine-notifications-"));
    assert!(built("deploy/monitors").contains("name: coalmine-monitors"));
    assert!(built("deploy/monitoring").contains("kind: PrometheusRule"));
    let with_cert_manager = built("certs/cert-manager");
    assert!(with_cert_manager.contains("cert-manager.io/inject-ca-from: coalmine/coalmine"));
    for kept_out in ["coalmine-registration", "coalmine-certificate"] {
        assert!(!with_cert_manager.contains(&format!("name: {kept_out}")), "{kept_out}");
    }
}

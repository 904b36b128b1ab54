//! What pods use, by the cluster's resource metrics, where the leader is killed in the middle. The kind is the real one's; who serves it is the
//! test, which writes each pod's numbers once a second as metrics-server would tell them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use coalmine_core::{
    api::annotations::{self as key, Phase, ROLE_CANARY, ROLE_LABEL},
    manifest::object,
};
use serde_json::{Value, json};

use super::{
    schedule::{Request, Template},
    stage::Stage,
    users::User,
};
use crate::support::{
    control_plane::{ControlPlane, api_server},
    eventually,
    kinds::define,
    kubectl::Kubectl,
    results::row,
};

const PRIMARY: (u32, u32) = (100, 100);

/// Of all pods of one namespace, in milli-cores and mebibytes.
struct MetricsServer {
    canary: Arc<[AtomicU32; 2]>,
    ends: Arc<AtomicBool>,
}

impl MetricsServer {
    fn start(control_plane: &'static ControlPlane, namespace: &str) -> Self {
        define(control_plane, "metrics.k8s.io", "v1beta1", "PodMetrics", "pods");
        let (canary, ends) = (Arc::new([300, 100].map(AtomicU32::new)), Arc::new(AtomicBool::new(false)));
        let server = Self { canary: Arc::clone(&canary), ends: Arc::clone(&ends) };
        let namespace = namespace.to_owned();
        std::thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                write(control_plane, &namespace, canary.each_ref().map(|used| used.load(Ordering::Relaxed)).into());
                std::thread::sleep(Duration::from_secs(1));
            }
        });
        server
    }

    fn canary_uses(&self, cpu: u32, memory: u32) {
        self.canary[0].store(cpu, Ordering::Relaxed);
        self.canary[1].store(memory, Ordering::Relaxed);
    }
}

impl Drop for MetricsServer {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
    }
}

fn write(control_plane: &ControlPlane, namespace: &str, canary: (u32, u32)) {
    let pods = control_plane.attempt("GET", &format!("/api/v1/namespaces/{namespace}/pods"), "", &Value::Null).unwrap_or_default();
    for pod in pods["items"].as_array().into_iter().flatten() {
        let is_canary = object::label(pod, ROLE_LABEL) == Some(ROLE_CANARY);
        let (cpu, memory) = if is_canary { canary } else { PRIMARY };
        let metrics = json!({
            "apiVersion": "metrics.k8s.io/v1beta1",
            "kind": "PodMetrics",
            "metadata": {"name": object::name(pod), "namespace": namespace, "labels": pod["metadata"]["labels"]},
            "timestamp": coalmine::clock::now().to_string(),
            "window": "1s",
            "containers": [{"name": "app", "usage": {"cpu": format!("{cpu}m"), "memory": format!("{memory}Mi")}}],
        });
        let path = format!("/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods/{}?fieldManager=tests&force=true", object::name(pod));
        // The kind may not be known yet, and the pod may be gone: it is written again.
        let _ = control_plane.attempt("PATCH", &path, "application/apply-patch+yaml", &metrics);
    }
}

#[test]
#[ignore = "needs a control plane of its own"]
fn what_a_canary_uses_is_held_against_it_and_nothing_is_promoted_unread() {
    let _row = row("a check with cpuMaxRatio and memoryMaxRatio", "resource metrics", "rejected, promoted, or undecided in words");
    let mut stage = Stage::new(api_server());
    let (world, namespace) = (stage.world(), format!("usage-{}", std::process::id()));
    let mut user = User::new(api_server(), &world, &namespace, 0);
    let kubectl = Kubectl::of(api_server()).in_namespace(&namespace);
    user.begin();
    eventually("the first template to be available", || user.is_available());
    let checks = "canary.checks=[{name: usage, cpuMaxRatio: 1.5, memoryMaxRatio: 2}]";
    kubectl.run(&["annotate", "deployment/app", "--overwrite", "canary.metrics=none", "canary.deadline=20s", checks]).succeeded();
    user.send(&Request::SetImage(Template(2)), &AtomicBool::new(true));
    let verdict = |phase: Phase| {
        let user = &user;
        move || {
            let app = user.app().ok_or("no Deployment")?;
            let said = object::annotation(&app, key::MESSAGE).unwrap_or_default().to_owned();
            if object::phase(object::annotations(&app)) == Some(phase) { Ok(said) } else { Err(said) }
        }
    };

    // Nobody serves the API.
    let undecided = eventually("no verdict", verdict(Phase::Inconclusive));
    insta::assert_snapshot!(undecided, @"check usage: this cluster serves no resource metrics (metrics.k8s.io/v1beta1): is metrics-server installed?; template kept out");
    let waits = kubectl.run(&["get", "events", "--output=jsonpath={.items[?(@.reason==\"CanaryWaiting\")].message}"]).succeeded().stdout;
    insta::assert_snapshot!(waits, @"check usage: this cluster serves no resource metrics (metrics.k8s.io/v1beta1): is metrics-server installed?");

    let server = MetricsServer::start(api_server(), &namespace);
    kubectl.run(&["annotate", "deployment/app", "--overwrite", "canary.deadline=50s", "canary.retry=1"]).succeeded();
    let rejected = eventually("a rejection", verdict(Phase::Rejected));
    assert!(rejected.contains("check usage after "), "{rejected}");
    assert!(rejected.contains(": CPU 300m beside 100m of an average pod of the primary: 3 times as much, and 1.5 is allowed (middle of "));

    server.canary_uses(110, 120);
    kubectl.run(&["annotate", "deployment/app", "--overwrite", "canary.retry=2"]).succeeded();
    eventually("the canary to be tried", verdict(Phase::Running));
    stage.kill_the_leader();
    let promoted = eventually("a promotion", verdict(Phase::Promoted));
    assert!(
        promoted.contains("check usage: CPU 110m beside 100m of an average pod of the primary, memory 120Mi beside 100Mi"),
        "{promoted}"
    );
    user.leave();
}

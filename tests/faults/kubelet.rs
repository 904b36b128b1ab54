//! What stands for scheduler and kubelet: each pod becomes Ready at once, or crashes, as its image says. It judges nothing.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use coalmine_core::{
    api::annotations::{ROLE_CANARY, ROLE_LABEL},
    manifest::object,
};
use serde_json::{Value, json};

use super::world::{Name, Pod, World};
use crate::support::control_plane::ControlPlane;

/// Goes on for ever, whatever becomes of the API server.
pub(super) fn run(control_plane: &'static ControlPlane, world: Arc<World>) {
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_millis(200));
            // When the API server doesn't answer, it is asked again.
            if let Ok(list) = control_plane.attempt("GET", "/api/v1/pods?resourceVersion=0", "", &Value::Null) {
                look(control_plane, &world, list["items"].as_array().map(Vec::as_slice).unwrap_or_default());
            }
        }
    });
}

fn look(control_plane: &ControlPlane, world: &World, pods: &[Value]) {
    let mut present = BTreeSet::new();
    for pod in pods.iter().filter(|pod| !object::is_being_deleted(pod)) {
        let (namespace, name) = (object::namespace(pod).to_owned(), object::name(pod).to_owned());
        let template = Name::of(pod);
        let has_status = pod["status"]["containerStatuses"].is_array();
        if !has_status {
            let path = format!("/api/v1/namespaces/{namespace}/pods/{name}/status");
            // It may be gone by now.
            if control_plane.attempt("PATCH", &path, "application/strategic-merge-patch+json", &status(pod, &template)).is_err() {
                continue;
            }
        }
        if !template.crashes() {
            let is_canary = object::label(pod, ROLE_LABEL) == Some(ROLE_CANARY);
            let since = std::time::Instant::now();
            world.serves(Pod { namespace: namespace.clone(), name: name.clone(), template, is_canary, since, gone: false });
        }
        present.insert((namespace, name));
    }
    world.only(&present);
}

fn status(pod: &Value, template: &Name) -> Value {
    let now = object::metadata_text(pod, "creationTimestamp");
    let ready = !template.crashes();
    let kinds = ["PodScheduled", "Initialized", "ContainersReady", "Ready"];
    let conditions = kinds.map(|kind| {
        let holds = ready || !kind.ends_with("Ready");
        json!({"type": kind, "status": if holds { "True" } else { "False" }, "lastTransitionTime": now})
    });
    let state = if ready {
        json!({"running": {"startedAt": now}})
    } else {
        json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container"}})
    };
    let restarts = if ready { 0 } else { 3 };
    json!({"status": {
        "phase": "Running", "startTime": now, "conditions": conditions,
        "containerStatuses": [{
            "name": "app", "image": template.image, "imageID": "", "ready": ready, "started": ready, "restartCount": restarts, "state": state,
        }],
    }})
}

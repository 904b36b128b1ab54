//! What happens to the two Deployments of a sequence: which requests there are, and how each is sent. Compares nothing.

use serde_json::{Value, json};

use crate::support::{control_plane::As, kubectl::Apply, namespace::Namespace};

/// What a client sends, or the controller decides.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// A file with this pod template.
    ClientSideApply(Value),
    ServerSideApply(Value),
    /// A part of the template, stated by another applier.
    SecondApply(Value),
    /// A patch of a part, in the three ways there are, by another field manager.
    Strategic(Value),
    Merge(Value),
    Json(Value),
    Scale(u32),
    /// A file put in the object's place.
    Put(Value),
    /// Another program's patch, which it made from the live object: it changes one thing after the other.
    Reload(Value),
    /// Of one that writes all that it wishes.
    Operate(Value),
    /// The object as that program has read it, with no annotations but its own.
    OwnAnnotations,
    Restart(u32),
    Undo,
    OptOut,
    OptIn,
    /// What is kept out is to be tried once more.
    Retry(u32),
    /// Records put in order by a client: what this manager had set by updates is nobody's any more.
    CleanUp(&'static str),
    /// What people reserve to themselves.
    Gate(Gate),
    Promote,
    Reject,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// From now on somebody must agree.
    AskForApproval,
    Approve,
    Pause(bool),
    PromoteByHand,
    RejectByHand,
    /// Of the namespace.
    Freeze(bool),
}

impl Step {
    /// The field manager of a server-side apply.
    pub(super) fn applier(&self) -> Option<&'static str> {
        match self {
            Self::ServerSideApply(_) => Some("kubectl"),
            Self::SecondApply(_) => Some("platform"),
            _ => None,
        }
    }

    /// Computed from the live object, so that it is made to what is on trial.
    pub(super) fn is_change(&self) -> bool {
        matches!(self, Self::Strategic(_) | Self::Merge(_) | Self::Json(_) | Self::Reload(_) | Self::Operate(_) | Self::Restart(_))
    }

    /// States a whole template.
    pub(super) fn is_file(&self) -> bool {
        matches!(self, Self::ClientSideApply(_) | Self::Put(_)) || self.applier().is_some()
    }

    pub(super) fn is_request(&self) -> bool {
        !matches!(self, Self::Promote | Self::Reject | Self::Gate(_))
    }
}

/// The same patch of the container `app` where that stands in this object: who writes it has looked.
fn by_place(body: &Value, app: &Value) -> Value {
    let containers = app["spec"]["template"]["spec"]["containers"].as_array().expect("containers");
    let place = containers.iter().position(|container| container["name"] == "app").expect("the container app");
    serde_json::from_str(&body.to_string().replace("/containers/app/", &format!("/containers/{place}/"))).expect("JSON")
}

/// A paused Deployment makes no revision.
pub(super) fn pause(world: &Namespace, paused: bool) {
    let body = json!({"spec": {"paused": paused.then_some(true)}});
    let path = format!("{}?fieldManager=pause", world.path("app"));
    world.control_plane.send(As::Administrator, "PATCH", &path, "application/merge-patch+json", &body).expect("a pause");
}

/// Sends one request; the object that comes of it, or why it was refused.
pub(super) fn send(world: &Namespace, step: &Step, dry_run: bool) -> Result<Value, String> {
    let manifest = |template: &Value| {
        json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": "app", "namespace": world.name, "annotations": {"canary.enabled": "true"}},
            "spec": {"selector": {"matchLabels": {"app": "app"}}, "template": template},
        })
    };
    let patch = |manager: &str, content_type: &str, body: &Value| {
        let more = if dry_run { "&dryRun=All" } else { "" };
        let path = format!("{}?fieldManager={manager}{more}", world.path("app"));
        world.control_plane.send(As::Administrator, "PATCH", &path, content_type, body).map_err(|refused| refused.message)
    };
    match step {
        Step::ClientSideApply(template) => {
            let more: &[&str] = if dry_run { &["--output=json", "--dry-run=server"] } else { &["--output=json"] };
            let output = world.kubectl.apply_with(Apply::ClientSide, &manifest(template), more);
            if output.code == 0 { Ok(serde_json::from_str(&output.stdout).expect("JSON")) } else { Err(output.stderr) }
        }
        Step::ServerSideApply(template) => patch("kubectl&force=true", "application/apply-patch+yaml", &manifest(template)),
        Step::SecondApply(template) => {
            let part = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app", "namespace": world.name},
                              "spec": {"template": template}});
            patch("platform&force=true", "application/apply-patch+yaml", &part)
        }
        Step::Put(template) => {
            let mut object = manifest(template);
            object["spec"]["replicas"] = world.app()["spec"]["replicas"].clone();
            let more = if dry_run { "&dryRun=All" } else { "" };
            let path = format!("{}?fieldManager=kubectl-replace{more}", world.path("app"));
            world.control_plane.send(As::Administrator, "PUT", &path, "application/json", &object).map_err(|refused| refused.message)
        }
        Step::Reload(body) => patch("Reloader", "application/strategic-merge-patch+json", body),
        Step::Operate(body) => patch("operator", "application/strategic-merge-patch+json", body),
        Step::OwnAnnotations => put_own_annotations(world, dry_run),
        Step::Restart(time) => {
            let stamp = json!({"kubectl.kubernetes.io/restartedAt": time.to_string()});
            let body = json!({"spec": {"template": {"metadata": {"annotations": stamp}}}});
            patch("kubectl-rollout", "application/strategic-merge-patch+json", &body)
        }
        Step::OptOut | Step::OptIn => {
            let enabled = (*step == Step::OptIn).to_string();
            patch("kubectl-annotate", "application/merge-patch+json", &json!({"metadata": {"annotations": {"canary.enabled": enabled}}}))
        }
        Step::Retry(value) => {
            let body = json!({"metadata": {"annotations": {"canary.retry": value.to_string()}}});
            patch("kubectl-annotate", "application/merge-patch+json", &body)
        }
        Step::CleanUp(manager) => {
            let entries = in_order(&world.app(), manager).unwrap_or_default();
            let body = json!([{"op": "replace", "path": "/metadata/managedFields", "value": entries}]);
            patch("kubectl", "application/json-patch+json", &body)
        }
        Step::Strategic(body) => patch("kubectl-set", "application/strategic-merge-patch+json", body),
        Step::Merge(body) => patch("kubectl-patch", "application/merge-patch+json", body),
        Step::Json(body) => patch("kubectl-patch", "application/json-patch+json", &by_place(body, &world.app())),
        Step::Scale(replicas) => patch("kubectl", "application/merge-patch+json", &json!({"spec": {"replicas": replicas}})),
        Step::Gate(_) | Step::Promote | Step::Reject | Step::Undo => unreachable!("no requests"),
    }
}

/// Who writes what it has read says which state that was, and reads again where it is an older one by now.
fn put_own_annotations(world: &Namespace, dry_run: bool) -> Result<Value, String> {
    let more = if dry_run { "&dryRun=All" } else { "" };
    let path = format!("{}?fieldManager=annotator{more}", world.path("app"));
    loop {
        // By its status it is known that it was read.
        world.await_seen();
        let mut app = world.app();
        let is_out = app["metadata"]["annotations"]["canary.enabled"] == "false";
        app["metadata"]["annotations"] = json!({"canary.enabled": if is_out { "false" } else { "true" }});
        match world.control_plane.send(As::Administrator, "PUT", &path, "application/json", &app) {
            Err(refused) if refused.code == 409 => {}
            answer => return answer.map_err(|refused| refused.message),
        }
    }
}

/// The records without what this manager had set by updates; `None` where it had set nothing, or nobody else anything.
pub(super) fn in_order(app: &Value, manager: &str) -> Option<Vec<Value>> {
    let entries = app["metadata"]["managedFields"].as_array()?;
    let is_of = |entry: &&Value| entry["manager"] == manager && entry["operation"] == "Update" && entry.get("subresource").is_none();
    let others: Vec<Value> = entries.iter().filter(|entry| !is_of(entry)).cloned().collect();
    let some_are_left = others.iter().any(|entry| entry.get("subresource").is_none());
    (some_are_left && others.len() < entries.len()).then_some(others)
}

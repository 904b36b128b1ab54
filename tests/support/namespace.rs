//! A namespace for one test, with what happens to the Deployment `app` in it.

use std::sync::atomic::{AtomicU32, Ordering};

use coalmine_core::{
    api::annotations::{self as key, Phase},
    hold::{held::Held, promotion},
    manifest::{
        managed_fields::{self, TemplateOwners},
        object,
    },
};
use serde_json::{Value, json};

use super::{
    coalmine::NAMESPACE_LABEL,
    control_plane::{As, ControlPlane, Refused, control_plane},
    eventually,
    fixtures::{self, Template},
    kubectl::{Apply, Kubectl, Output},
};

/// Everything that must be the same as if nothing had been held.
#[derive(Debug, PartialEq)]
pub(crate) struct Records {
    pub(crate) spec: Value,
    pub(crate) last_applied: Option<String>,
    pub(crate) template_owners: TemplateOwners,
}

const NOW: &str = "2026-11-23T12:00:00Z";

pub(crate) struct Namespace {
    pub(crate) name: String,
    pub(crate) control_plane: &'static ControlPlane,
    pub(crate) kubectl: Kubectl,
}

impl Namespace {
    pub(crate) fn new() -> Self {
        Self::labelled(&json!({}))
    }

    /// One that no Coalmine answers for.
    pub(crate) fn without_coalmine() -> Self {
        Self::labelled(&json!({NAMESPACE_LABEL: "absent"}))
    }

    fn labelled(labels: &Value) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let control_plane = control_plane();
        let name = format!("t{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}});
        control_plane.post("/api/v1/namespaces", &object).expect("a namespace");
        let kubectl = Kubectl::of(control_plane).in_namespace(&name);
        Self { name, control_plane, kubectl }
    }

    /// A namespace in which template A of the Deployment `app` is live.
    pub(crate) fn with_a(how: Apply) -> Self {
        let namespace = Self::new();
        namespace.apply(how, "A").succeeded();
        namespace.await_revision(1);
        namespace
    }

    /// A is live and B held.
    pub(crate) fn with_b_held(how: Apply) -> Self {
        let namespace = Self::with_a(how);
        namespace.apply(how, "B").succeeded();
        namespace.assert_held("B");
        namespace
    }

    /// Chooses who answers for this namespace (see [`NAMESPACE_LABEL`]) and waits until the API server has noticed.
    pub(crate) fn served_by(&self, coalmine: Option<&str>, noticed: impl FnMut() -> Result<(), String>) {
        let label = json!({"metadata": {"labels": {NAMESPACE_LABEL: coalmine}}});
        let path = format!("/api/v1/namespaces/{}", self.name);
        self.control_plane.send(As::Administrator, "PATCH", &path, "application/merge-patch+json", &label).expect("a label");
        eventually("the namespace's label to count", noticed);
    }

    /// From here on, a request that reaches the webhook fails, as it does while no Coalmine runs.
    pub(crate) fn stop_coalmine(&self) {
        let mut probe = fixtures::deployment("probe", &Template::named("A"));
        probe["metadata"]["annotations"]["canary.duration"] = json!("60s");
        let path = format!("/apis/apps/v1/namespaces/{}/deployments?dryRun=All", self.name);
        self.served_by(Some("down"), || match self.control_plane.post(&path, &probe) {
            Err(refused) if refused.message.contains("failed calling webhook") => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }

    /// From here on, Coalmine answers again.
    pub(crate) fn start_coalmine(&self) {
        self.served_by(None, || match self.post_mistake() {
            Err(refused) if refused.message.contains("canary.duration") => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }

    /// Runs `meanwhile` while no webhook of Coalmine's is registered for this namespace.
    pub(crate) fn without_webhook(&self, meanwhile: impl FnOnce()) {
        self.served_by(Some("absent"), || self.post_mistake().map(drop).map_err(|refused| refused.message));
        meanwhile();
        self.start_coalmine();
    }

    /// What only Coalmine refuses.
    fn post_mistake(&self) -> Result<Value, Refused> {
        let mut mistake = fixtures::deployment("probe", &Template::named("A"));
        mistake["metadata"]["annotations"]["canary.duration"] = json!("soon");
        self.control_plane.post(&format!("/apis/apps/v1/namespaces/{}/deployments?dryRun=All", self.name), &mistake)
    }

    /// What the kubelet would do, were there one: every pod that isn't Ready yet becomes so.
    pub(crate) fn make_pods_ready(&self) {
        let path = format!("/api/v1/namespaces/{}/pods", self.name);
        let ready = json!({"status": {"phase": "Running", "conditions": [
            {"type": "Ready", "status": "True", "lastTransitionTime": NOW}]}});
        for pod in self.control_plane.get(&path)["items"].as_array().into_iter().flatten() {
            let is_ready = pod["status"]["conditions"].as_array().is_some_and(|list| list.iter().any(|c| c["type"] == "Ready"));
            if !is_ready {
                let path = format!("{path}/{}/status", object::name(pod));
                // It may be gone by now.
                let _ = self.control_plane.send(As::Administrator, "PATCH", &path, "application/strategic-merge-patch+json", &ready);
            }
        }
    }

    /// Waits until the Deployment controller has nothing left to do: its status describes the present object, all pods Ready.
    #[track_caller]
    pub(crate) fn settle(&self) -> Value {
        eventually("the Deployment controller to have seen everything", || {
            self.make_pods_ready();
            let app = self.app();
            let (status, replicas) = (&app["status"], &app["spec"]["replicas"]);
            let seen = status["observedGeneration"] == app["metadata"]["generation"];
            if seen && status["replicas"] == *replicas && status["availableReplicas"] == *replicas {
                Ok(app)
            } else {
                Err(status.to_string())
            }
        })
    }

    /// Waits until the Deployment controller has seen the live template.
    pub(crate) fn await_revision(&self, revision: u32) {
        eventually("the Deployment controller", || {
            let app = self.app();
            let seen = object::annotation(&app, "deployment.kubernetes.io/revision").unwrap_or_default().to_owned();
            if seen == revision.to_string() { Ok(()) } else { Err(seen) }
        });
    }

    /// Waits until the Deployment controller has seen the present object, its revisions too.
    #[track_caller]
    pub(crate) fn await_seen(&self) {
        eventually("the Deployment controller", || {
            let app = self.app();
            let number = |value: &Value| value.as_i64().unwrap_or_default();
            // Coalmine keeps it back while a template is on trial and there are no replicas.
            let kept_back = held(&app).is_some() && app["spec"]["replicas"] == 0;
            let seen = number(&app["status"]["observedGeneration"]) + i64::from(kept_back) >= number(&app["metadata"]["generation"]);
            if seen { Ok(()) } else { Err(app["status"].to_string()) }
        });
    }

    pub(crate) fn apply(&self, how: Apply, template: &str) -> Output {
        self.kubectl.apply(how, &fixtures::deployment("app", &Template::named(template)))
    }

    pub(crate) fn path(&self, name: &str) -> String {
        format!("/apis/apps/v1/namespaces/{}/deployments/{name}", self.name)
    }

    #[track_caller]
    pub(crate) fn app(&self) -> Value {
        self.control_plane.get(&self.path("app"))
    }

    pub(crate) fn patch(&self, who: As, patch: &Value) -> Result<Value, Refused> {
        let path = format!("{}?fieldManager=coalmine", self.path("app"));
        self.control_plane.send(who, "PATCH", &path, "application/json-patch+json", patch)
    }

    /// Writes a verdict as the controller does.
    #[track_caller]
    pub(crate) fn judge(&self, phase: Phase, message: &str) {
        let patch = promotion::state_patch(&self.app(), phase, Some(message), NOW);
        self.patch(As::Controller, &patch).expect("the controller may write a verdict");
    }

    /// Writes the held template as the controller does.
    pub(crate) fn try_to_promote(&self) -> Result<Value, Refused> {
        self.patch(As::Controller, &promotion_of(&self.app()))
    }

    #[track_caller]
    pub(crate) fn promote(&self) -> Value {
        self.try_to_promote().expect("the controller may promote what is held")
    }

    /// Sends a request that must change nothing: not even the resource version, which the Deployment controller may move meanwhile.
    #[track_caller]
    pub(crate) fn assert_no_write<T>(&self, mut request: impl FnMut() -> T) -> T {
        eventually("a request that leaves the resource version as it is", || {
            let before = self.app();
            let answer = request();
            let after = self.app();
            assert_eq!(but_for_status(&after), but_for_status(&before));
            if version(&after) == version(&before) { Ok(answer) } else { Err(format!("{before}\n{after}")) }
        })
    }

    /// Nothing is held.
    #[track_caller]
    pub(crate) fn assert_live_only(&self) -> Value {
        let app = self.app();
        assert_eq!(held(&app), None);
        app
    }

    /// A is live, and the named template is on trial.
    #[track_caller]
    pub(crate) fn assert_held(&self, held: &str) -> Value {
        self.assert_phase("A", Some(held), Some(Phase::Held))
    }

    #[track_caller]
    pub(crate) fn assert_phase(&self, live: &str, held: Option<&str>, phase: Option<Phase>) -> Value {
        let app = self.app();
        assert_eq!(state(&app), (live.to_owned(), held.map(str::to_owned), phase));
        assert_no_leftovers(&app);
        app
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // A failed test leaves its objects for a look at them.
        if !std::thread::panicking() {
            let path = format!("/api/v1/namespaces/{}", self.name);
            let _ = self.control_plane.send(As::Administrator, "DELETE", &path, "", &Value::Null);
        }
    }
}

/// The names of the live and the held template, and the phase.
pub(crate) fn state(app: &Value) -> (String, Option<String>, Option<Phase>) {
    let held = held(app).map(|held| fixtures::template_name(&held.template));
    (fixtures::template_name(object::template(app)), held, object::phase(object::annotations(app)))
}

/// The controller's patch for what is held.
pub(crate) fn promotion_of(app: &Value) -> Value {
    promotion::patch(app, &held(app).expect("a held template").template, "the template is good", NOW)
}

pub(crate) fn held(app: &Value) -> Option<Held> {
    object::annotation(app, key::HELD).map(|text| Held::decode(text).expect("a readable record"))
}

fn but_for_status(app: &Value) -> Value {
    let mut app = app.clone();
    app["status"].take();
    app["metadata"]["resourceVersion"].take();
    // The Deployment controller writes its revision by a status request.
    app["metadata"]["annotations"]["deployment.kubernetes.io/revision"].take();
    if let Some(entries) = app["metadata"]["managedFields"].as_array_mut() {
        entries.retain(|entry| entry["subresource"].is_null());
    }
    app
}

pub(crate) fn version(app: &Value) -> &str {
    object::metadata_text(app, "resourceVersion")
}

pub(crate) fn records(app: &Value) -> Records {
    Records {
        spec: app["spec"].clone(),
        last_applied: object::annotation(app, key::LAST_APPLIED).map(str::to_owned),
        template_owners: managed_fields::template_owners(&app["metadata"]),
    }
}

/// A variable of one template in another is what naive holding leaves behind.
#[track_caller]
fn assert_no_leftovers(app: &Value) {
    for template in [Some(object::template(app).clone()), held(app).map(|held| held.template)].into_iter().flatten() {
        let name = fixtures::template_name(&template);
        let names: Vec<&str> = template["spec"]["containers"][0]["env"]
            .as_array()
            .map(|list| list.iter().filter_map(|variable| variable["name"].as_str()).collect())
            .unwrap_or_default();
        let expected = Template::named(&name);
        let expected: Vec<&str> = expected.environment.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, expected, "of template {name}");
    }
}

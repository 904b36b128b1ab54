//! A user: sends requests until each is taken, as a pipeline does, and knows what must have come of the last one.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use coalmine_core::{
    hold::rejected,
    manifest::{managed_fields, object},
};
use serde_json::{Value, json};

use super::{
    schedule::{Request, Template},
    watching::told,
    world::{Name, World},
};
use crate::support::{
    control_plane::{ControlPlane, Unanswered},
    kubectl::{Apply, Kubectl},
    namespace::held,
};

/// Of one request, once nothing fails any more.
const PATIENCE: Duration = Duration::from_secs(60);
pub(super) const DEADLINE: Duration = Duration::from_secs(40);

/// What the user asked for last.
#[derive(Clone, Debug)]
enum Wish {
    Template(Name),
    Image(String),
    /// Nothing that can be told from outside: an undo, or what was dropped by opting out.
    Anything,
}

pub(super) struct User<'a> {
    pub(super) namespace: String,
    control_plane: &'a ControlPlane,
    world: &'a World,
    kubectl: Kubectl,
    how: Apply,
    enabled: bool,
    replicas: u32,
    wish: Wish,
}

impl<'a> User<'a> {
    pub(super) fn new(control_plane: &'a ControlPlane, world: &'a World, namespace: &str, number: usize) -> Self {
        Self {
            namespace: namespace.to_owned(),
            control_plane,
            world,
            kubectl: Kubectl::of(control_plane).in_namespace(namespace),
            how: if number.is_multiple_of(2) { Apply::ServerSide } else { Apply::ClientSide },
            enabled: true,
            replicas: 1,
            wish: Wish::Anything,
        }
    }

    /// The first template, live with all its pods.
    pub(super) fn begin(&mut self) {
        self.world.open_account(&self.namespace);
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}});
        self.control_plane.post("/api/v1/namespaces", &namespace).expect("a namespace");
        self.send(&Request::Apply(Template::FIRST), &AtomicBool::new(true));
    }

    pub(super) fn is_available(&self) -> Result<(), String> {
        let app = self.app();
        let available = app.as_ref().is_some_and(|app| app["status"]["availableReplicas"] == app["spec"]["replicas"]);
        if available { Ok(()) } else { Err(format!("{:?}", app.map(|app| app["status"].clone()))) }
    }

    /// Until it is taken. `calm`: nothing fails any more, so that it must be taken soon.
    pub(super) fn send(&mut self, request: &Request, calm: &AtomicBool) {
        self.announce(request);
        let mut since: Option<Instant> = None;
        loop {
            let Err(refused) = self.attempt(request) else { return };
            if calm.load(Ordering::Relaxed) && since.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                self.world.violate(format!("{}: {request:?} was refused for {} s: {refused}", self.namespace, PATIENCE.as_secs()));
                return;
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Before it is sent: it may be carried out without an answer.
    fn announce(&mut self, request: &Request) {
        match request {
            Request::Apply(template) | Request::Recreate(template) => {
                let name = name(*template);
                let untried = !self.enabled || self.replicas == 0 || matches!(request, Request::Recreate(_));
                self.world.account(&self.namespace, |account| {
                    account.files.insert(name.file.clone());
                    account.images.insert(name.image.clone());
                    if untried {
                        account.excused.insert(name.clone());
                    }
                });
                self.wish = Wish::Template(name);
            }
            Request::SetImage(template) => {
                let image = template.image();
                let untried = !self.enabled || self.replicas == 0;
                self.world.account(&self.namespace, |account| {
                    if untried {
                        let files = account.files.clone();
                        account.excused.extend(files.into_iter().map(|file| Name { image: image.clone(), file }));
                    }
                    account.images.insert(image);
                });
            }
            Request::OptOut => self.enabled = false,
            Request::OptIn => self.enabled = true,
            Request::Undo => self.wish = Wish::Anything,
            // Which of the two counts for what is sent meanwhile, nobody is to say.
            Request::Scale(_) | Request::Retry(_) => {}
        }
    }

    fn attempt(&mut self, request: &Request) -> Result<(), String> {
        match request {
            Request::Apply(template) => self.apply(*template),
            Request::Recreate(template) => {
                match self.control_plane.attempt("DELETE", &self.path(""), "", &Value::Null) {
                    Ok(_) => return Err("it goes".to_owned()),
                    Err(Unanswered::Refused(refused)) if refused.code == 404 => {}
                    Err(other) => return Err(other.to_string()),
                }
                self.enabled = true;
                self.replicas = 1;
                self.apply(*template)
            }
            Request::SetImage(template) => {
                let image = template.image();
                let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": "app", "image": image}]}}}});
                let app = self.patch("?fieldManager=kubectl-set", "application/strategic-merge-patch+json", &patch)?;
                // What is live already takes nothing back.
                let live = Name::of(object::template(&app)).image;
                if held(&app).is_none_or(|held| Name::of(&held.template).image == image) || live != image {
                    self.wish = Wish::Image(image);
                }
                Ok(())
            }
            Request::Scale(replicas) => {
                let patch = json!({"spec": {"replicas": replicas}});
                let path = self.path("/scale");
                let answer = self.control_plane.attempt("PATCH", &path, "application/merge-patch+json", &patch);
                answer.map_err(|refused| refused.to_string())?;
                self.replicas = *replicas;
                Ok(())
            }
            Request::Undo => {
                let output = self.kubectl.run(&["rollout", "undo", "deployment/app", "--request-timeout=15s"]);
                if output.code == 0 || output.stderr.contains("no rollout history") { Ok(()) } else { Err(output.stderr) }
            }
            Request::Retry(number) => self.annotate("canary.retry", &number.to_string()),
            Request::OptOut => {
                let answer = self.annotate("canary.enabled", "false");
                if answer.is_ok() {
                    self.wish = Wish::Anything;
                }
                answer
            }
            Request::OptIn => self.annotate("canary.enabled", "true"),
        }
    }

    fn apply(&self, template: Template) -> Result<(), String> {
        let manifest = manifest(template, &self.namespace, self.enabled);
        match self.how {
            Apply::ClientSide => {
                let output = self.kubectl.apply_with(Apply::ClientSide, &manifest, &["--validate=false", "--request-timeout=15s"]);
                if output.code == 0 { Ok(()) } else { Err(output.stderr) }
            }
            Apply::ServerSide => self.patch("?fieldManager=kubectl&force=true", "application/apply-patch+yaml", &manifest).map(drop),
        }
    }

    fn annotate(&self, key: &str, value: &str) -> Result<(), String> {
        let patch = json!({"metadata": {"annotations": {key: value}}});
        self.patch("?fieldManager=kubectl-annotate", "application/merge-patch+json", &patch).map(drop)
    }

    fn patch(&self, query: &str, content_type: &str, patch: &Value) -> Result<Value, String> {
        self.control_plane.attempt("PATCH", &self.path(query), content_type, patch).map_err(|refused| refused.to_string())
    }

    fn path(&self, rest: &str) -> String {
        format!("/apis/apps/v1/namespaces/{}/deployments/app{rest}", self.namespace)
    }

    pub(super) fn app(&self) -> Option<Value> {
        self.control_plane.attempt("GET", &self.path(""), "", &Value::Null).ok()
    }

    /// At the end: what was asked for last is live, or kept out with a phase that says so, or was rejected before.
    pub(super) fn find_the_wish(&self) -> Result<(), String> {
        let app = self.app().ok_or("the Deployment is gone")?;
        let live = Name::of(object::template(&app));
        let held = held(&app).map(|held| Name::of(&held.template));
        let found = match &self.wish {
            Wish::Template(name) => live == *name || held.as_ref() == Some(name) || was_rejected(&app, name),
            Wish::Image(image) => {
                live.image == *image || held.as_ref().is_some_and(|held| held.image == *image) || {
                    let name = Name { image: image.clone(), file: live.file.clone() };
                    was_rejected(&app, &name)
                }
            }
            Wish::Anything => true,
        };
        if found { Ok(()) } else { Err(format!("{:?} is lost: {}", self.wish, told(&app))) }
    }

    pub(super) fn leave(&self) {
        let path = format!("/api/v1/namespaces/{}", self.namespace);
        // What is left is named after this run, and nobody asks for it again.
        let _ = self.control_plane.attempt("DELETE", &path, "", &Value::Null);
    }
}

fn was_rejected(app: &Value, name: &Name) -> bool {
    let mut template = object::template(app).clone();
    template["spec"]["containers"][0]["image"] = json!(name.image);
    template["spec"]["containers"][0]["env"][0]["value"] = json!(name.file);
    rejected::verdict(object::annotations(app), &template, &managed_fields::template_owners(&app["metadata"])).is_some()
}

fn name(template: Template) -> Name {
    Name { image: template.image(), file: template.0.to_string() }
}

/// Without a number of replicas, as where something else scales.
fn manifest(template: Template, namespace: &str, enabled: bool) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "app", "namespace": namespace, "labels": {"app": "app"},
            "annotations": {
                "canary.enabled": enabled.to_string(), "canary.duration": "10s", "canary.deadline": format!("{}s", DEADLINE.as_secs()),
                "canary.max-error-rate": "2%",
            },
        },
        "spec": {
            "selector": {"matchLabels": {"app": "app"}},
            "template": {
                "metadata": {"labels": {"app": "app"}},
                "spec": {"containers": [{
                    "name": "app", "image": template.image(), "env": [{"name": "FILE", "value": template.0.to_string()}],
                    "ports": [{"name": "http", "containerPort": 8080}],
                }]},
            },
        },
    })
}

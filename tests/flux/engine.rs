//! One repository that one of Flux's controllers applies to a namespace every few seconds.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::{
    PATIENCE, PAUSE, commits,
    controllers::{Controller, free_address, serve},
};
use crate::support::{
    control_plane::{As, ControlPlane},
    within,
};

/// Longer than a trial of ten seconds with all that is around it.
const TIMEOUT: &str = "60s";
const INTERVAL: &str = "5s";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    Kustomization,
    HelmRelease,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    ForTheRollout,
    /// What was applied is taken for right, so that only the detection of drift looks at it.
    ForNothing,
}

impl Engine {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Kustomization => "kustomize-controller",
            Self::HelmRelease => "helm-controller with drift detection",
        }
    }

    fn path(self) -> &'static str {
        match self {
            Self::Kustomization => "kustomize.toolkit.fluxcd.io/v1/namespaces/NAMESPACE/kustomizations",
            Self::HelmRelease => "helm.toolkit.fluxcd.io/v2/namespaces/NAMESPACE/helmreleases",
        }
    }

    fn source(self) -> &'static str {
        match self {
            Self::Kustomization => "source.toolkit.fluxcd.io/v1/namespaces/NAMESPACE/externalartifacts",
            Self::HelmRelease => "source.toolkit.fluxcd.io/v1/namespaces/NAMESPACE/helmrepositories",
        }
    }
}

impl Waiting {
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::ForTheRollout => "which waits",
            Self::ForNothing => "which doesn't wait",
        }
    }
}

/// Where it applies.
pub(super) struct Place<'a> {
    pub(super) namespace: &'a str,
    pub(super) control_plane: &'static ControlPlane,
    /// Done while something is waited for, where there are no nodes.
    pub(super) meanwhile: &'a dyn Fn(),
}

pub(super) struct Flux<'a> {
    place: Place<'a>,
    engine: Engine,
    directory: PathBuf,
    url: String,
    commits: u32,
    requests: u32,
    _controllers: Vec<Controller>,
}

impl<'a> Flux<'a> {
    /// With an empty repository.
    pub(super) fn start(place: Place<'a>, engine: Engine, waiting: Waiting) -> Self {
        let directory = place.control_plane.directory.join(format!("flux-{}", place.namespace));
        let (logs, repository) = (directory.join("run"), directory.join("repository"));
        for path in [&logs, &repository] {
            std::fs::create_dir_all(path).expect("a directory");
        }
        let url = serve(&repository);
        let start = |name: &str, more: &[String]| Controller::start(name, place.namespace, &logs, more);
        let controllers = match engine {
            Engine::Kustomization => vec![start("kustomize-controller", &["--feature-gates=ExternalArtifact=true".to_owned()])],
            Engine::HelmRelease => {
                let (storage, address) = (logs.join("storage"), free_address());
                std::fs::create_dir_all(&storage).expect("a directory");
                let flags = [
                    format!("--storage-path={}", storage.display()),
                    format!("--storage-addr={address}"),
                    format!("--storage-adv-addr={address}"),
                ];
                vec![start("source-controller", &flags), start("helm-controller", &[])]
            }
        };
        let flux = Self { place, engine, directory: repository, url, commits: 0, requests: 0, _controllers: controllers };
        flux.create(waiting);
        flux
    }

    fn create(&self, waiting: Waiting) {
        let waits = waiting == Waiting::ForTheRollout;
        let metadata = json!({"name": "app", "namespace": self.place.namespace});
        let (source, applied) = match self.engine {
            Engine::Kustomization => (
                json!({"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "ExternalArtifact", "metadata": metadata, "spec": {}}),
                json!({
                    "apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": metadata,
                    "spec": {
                        "interval": INTERVAL, "retryInterval": INTERVAL, "timeout": TIMEOUT, "prune": true, "wait": waits, "path": "./",
                        "targetNamespace": self.place.namespace, "sourceRef": {"kind": "ExternalArtifact", "name": "app"},
                    },
                }),
            ),
            Engine::HelmRelease => (
                json!({
                    "apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "HelmRepository", "metadata": metadata,
                    "spec": {"interval": INTERVAL, "url": self.url},
                }),
                json!({
                    "apiVersion": "helm.toolkit.fluxcd.io/v2", "kind": "HelmRelease", "metadata": metadata,
                    "spec": {
                        "interval": INTERVAL, "timeout": TIMEOUT, "driftDetection": {"mode": "enabled"},
                        "chart": {"spec": {"chart": "app", "version": "*", "interval": INTERVAL, "sourceRef": {"kind": "HelmRepository", "name": "app"}}},
                        "install": {"disableWait": !waits},
                        "upgrade": {"disableWait": !waits, "strategy": {"name": "RetryOnFailure", "retryInterval": INTERVAL}},
                    },
                }),
            ),
        };
        self.send("POST", self.engine.source(), "", "application/json", &source);
        self.send("POST", self.engine.path(), "", "application/json", &applied);
    }

    fn send(&self, method: &str, collection: &str, more: &str, content_type: &str, body: &Value) -> Value {
        let path = format!("/apis/{}{more}", collection.replace("NAMESPACE", self.place.namespace));
        self.place.control_plane.send(As::Administrator, method, &path, content_type, body).expect("Flux's objects can be written")
    }

    fn applied(&self) -> Value {
        self.place.control_plane.get(&format!("/apis/{}/app", self.engine.path().replace("NAMESPACE", self.place.namespace)))
    }

    fn stored(&self) -> Value {
        self.place.control_plane.get(&format!("/apis/{}/app", self.engine.source().replace("NAMESPACE", self.place.namespace)))
    }

    /// Waits until nothing of the controller's is about what was committed before.
    pub(super) fn commit(&mut self, manifest: &Value) {
        self.commits += 1;
        match self.engine {
            Engine::Kustomization => {
                let status = commits::archive(&self.directory, &self.url, self.commits, manifest);
                let body = json!({"status": status});
                self.send("PATCH", self.engine.source(), "/app/status", "application/merge-patch+json", &body);
            }
            Engine::HelmRelease => commits::chart(&self.directory, &self.url, self.commits, manifest),
        }
        within(PATIENCE, PAUSE, "the commit to be seen", || {
            (self.place.meanwhile)();
            let applied = self.applied();
            let committed = match self.engine {
                Engine::Kustomization => self.stored()["status"]["artifact"]["revision"].clone(),
                Engine::HelmRelease => format!("0.0.{}", self.commits).into(),
            };
            let seen = applied["status"]["lastAttemptedRevision"] == committed;
            if seen { Ok(()) } else { Err(applied["status"].to_string()) }
        });
    }

    /// Asks for what each interval brings, and waits until it is over.
    pub(super) fn reconcile(&mut self) {
        self.requests += 1;
        let wanted = format!("{}-{}", self.place.namespace, self.requests);
        let body = json!({"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": wanted}}});
        self.send("PATCH", self.engine.path(), "/app", "application/merge-patch+json", &body);
        within(2 * PATIENCE, PAUSE, "what was asked for to be done", || {
            (self.place.meanwhile)();
            let applied = self.applied();
            if applied["status"]["lastHandledReconcileAt"] == wanted { Ok(()) } else { Err(applied["status"].to_string()) }
        });
    }

    /// What Flux itself says of it.
    #[track_caller]
    pub(super) fn await_ready(&self, ready: bool) {
        let wanted = if ready { "True" } else { "False" };
        within(PATIENCE, PAUSE, &format!("Ready to be {wanted}"), || {
            (self.place.meanwhile)();
            let applied = self.applied();
            let conditions = applied["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let seen = conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == wanted);
            if seen { Ok(()) } else { Err(applied["status"].to_string()) }
        });
    }
}

//! What Flux and Argo CD do to a Deployment, and what they and Helm's kstatus make of it: small programs around those projects' own
//! libraries, in `tests/clients/`. Each takes one object as JSON on its standard input.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use serde_json::Value;

use super::{
    control_plane::variable,
    fixtures::{self, Template},
    kubectl::Output,
    namespace::Namespace,
};

/// How a `GitOps` controller applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    Flux,
    /// Argo CD's default.
    ArgoClientSide,
    /// With the sync option `ServerSideApply=true`.
    ArgoServerSide,
}

impl Engine {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Flux => "Flux",
            Self::ArgoClientSide => "Argo CD",
            Self::ArgoServerSide => "Argo CD, ServerSideApply=true",
        }
    }

    /// One reconciliation of a repository with the named template in it.
    pub(crate) fn apply(self, namespace: &Namespace, template: &str) -> Output {
        let object = manifest(namespace, template);
        match self {
            Self::Flux => run(namespace, "flux", &["apply"], &object),
            Self::ArgoClientSide => run(namespace, "argocd", &["apply"], &object),
            Self::ArgoServerSide => run(namespace, "argocd", &["apply-server-side"], &object),
        }
    }
}

/// `unchanged` or `configured`: whether Flux sees a drift from the named template.
pub(crate) fn flux_drift(namespace: &Namespace, template: &str) -> String {
    word(run(namespace, "flux", &["diff"], &manifest(namespace, template)))
}

/// `Synced` or `OutOfSync`.
pub(crate) fn argo_sync(namespace: &Namespace, template: &str) -> String {
    word(run(namespace, "argocd", &["diff"], &manifest(namespace, template)))
}

/// Argo CD's health of a live object, and its message.
pub(crate) fn argo_health(namespace: &Namespace, live: &Value) -> (String, String) {
    pair(run(namespace, "argocd", &["health"], live))
}

/// The status of a live object in the words of Helm's and Flux's waiting, and its message.
pub(crate) fn kstatus(namespace: &Namespace, live: &Value) -> (String, String) {
    pair(run(namespace, "kstatus", &[], live))
}

fn manifest(namespace: &Namespace, template: &str) -> Value {
    let mut object = fixtures::deployment("app", &Template::named(template));
    object["metadata"]["namespace"] = namespace.name.as_str().into();
    object
}

fn run(namespace: &Namespace, program: &str, arguments: &[&str], object: &Value) -> Output {
    let mut command = Command::new(variable(&format!("COALMINE_{}", program.to_uppercase())));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    child.stdin.take().expect("a pipe").write_all(object.to_string().as_bytes()).expect("the program reads the object");
    namespace.kubectl.output(child)
}

#[track_caller]
fn word(output: Output) -> String {
    output.succeeded().stdout.trim().to_owned()
}

#[track_caller]
fn pair(output: Output) -> (String, String) {
    let line = word(output);
    let (status, message) = line.split_once('\t').unwrap_or((&line, ""));
    (status.to_owned(), message.to_owned())
}

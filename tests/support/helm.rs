//! The real Helm 4 with a chart of one Deployment.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use super::{
    control_plane::variable,
    fixtures::{self, Template},
    kubectl::Output,
    namespace::Namespace,
};

/// Helm's two ways to change an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patch {
    /// Helm 4's default: server-side apply.
    ServerSide,
    /// Helm 3's only one: three texts merged by the client.
    ClientSide,
}

impl Patch {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::ServerSide => "Helm 4",
            Self::ClientSide => "Helm 4 --server-side=false",
        }
    }

    fn argument(self) -> &'static str {
        match self {
            Self::ServerSide => "--server-side=true",
            Self::ClientSide => "--server-side=false",
        }
    }
}

/// One release, named `app` as its Deployment.
pub(crate) struct Release<'a> {
    namespace: &'a Namespace,
    patch: Patch,
    directory: PathBuf,
}

impl<'a> Release<'a> {
    /// Installs template A.
    pub(crate) fn install(namespace: &'a Namespace, patch: Patch, template: &Template) -> Self {
        let directory = namespace.control_plane.directory.join(format!("helm-{}", namespace.name));
        let release = Self { namespace, patch, directory };
        let chart = release.chart(template);
        release.run(&["install", "app", &chart, patch.argument()]).succeeded();
        release
    }

    pub(crate) fn upgrade(&self, template: &Template) -> Output {
        self.upgrade_with(template, &[])
    }

    pub(crate) fn upgrade_with(&self, template: &Template, more: &[&str]) -> Output {
        let chart = self.chart(template);
        let mut arguments = vec!["upgrade", "app", &chart, self.patch.argument()];
        arguments.extend(more);
        self.run(&arguments)
    }

    pub(crate) fn rollback(&self) -> Output {
        self.run(&["rollback", "app", self.patch.argument()])
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.namespace.kubectl.output(self.command(arguments).spawn().expect("helm starts"))
    }

    /// For a process that goes on beside the test.
    pub(crate) fn upgrade_beside(&self, template: &Template, more: &[&str]) -> Command {
        let chart = self.chart(template);
        let mut command = self.command(&["upgrade", "app", &chart, self.patch.argument()]);
        command.args(more);
        command
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(variable("COALMINE_HELM"));
        for home in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
            command.env(home, &self.directory);
        }
        command.arg("--namespace").arg(&self.namespace.name).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// A chart without values: the Deployment as it is, which is YAML as every JSON is.
    fn chart(&self, template: &Template) -> String {
        let templates = self.directory.join("chart/templates");
        std::fs::create_dir_all(&templates).expect("a directory");
        let chart = json!({"apiVersion": "v2", "name": "app", "version": "0.1.0"});
        let manifest: Value = fixtures::deployment("app", template);
        std::fs::write(self.directory.join("chart/Chart.yaml"), chart.to_string()).expect("a chart");
        std::fs::write(templates.join("app.yaml"), manifest.to_string()).expect("a template");
        self.directory.join("chart").display().to_string()
    }
}

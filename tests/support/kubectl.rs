//! The real kubectl, as a person would use it.

use std::{
    io::Write as _,
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use super::control_plane::ControlPlane;

/// kubectl's two ways to apply a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Apply {
    ClientSide,
    ServerSide,
}

impl Apply {
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::ClientSide => "kubectl apply",
            Self::ServerSide => "kubectl apply --server-side",
        }
    }
}

#[derive(Debug)]
pub(crate) struct Kubectl {
    program: PathBuf,
    cache: PathBuf,
    namespace: Option<String>,
}

/// Compares what the user reads with a snapshot that stands in the test.
macro_rules! assert_said {
    ($output:expr, @$snapshot:literal) => {
        insta::allow_duplicates! { insta::assert_snapshot!($output.said(), @$snapshot) }
    };
}
pub(crate) use assert_said;

/// What a command wrote and how it ended.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    namespace: String,
}

impl Output {
    /// Of a client that is no command.
    pub(crate) fn of(code: i32, stderr: String, namespace: &str) -> Self {
        Self { code, stdout: String::new(), stderr, namespace: namespace.to_owned() }
    }

    #[track_caller]
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.code, 0, "{}{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn failed(self) -> Self {
        assert_ne!(self.code, 0, "{}{}", self.stdout, self.stderr);
        self
    }

    /// What it said on standard error, but for kubectl's own remarks; the namespace is another in every run.
    pub(crate) fn said(&self) -> String {
        let own = |line: &&str| !line.starts_with("Warning: resource deployments/app was previously managed");
        let lines: Vec<&str> = self.stderr.lines().filter(own).collect();
        lines.join("\n").replace(&self.namespace, "NAMESPACE")
    }
}

impl Kubectl {
    pub(crate) fn of(control_plane: &ControlPlane) -> Self {
        Self { program: control_plane.kubectl.clone(), cache: control_plane.directory.join("cache"), namespace: None }
    }

    pub(crate) fn in_namespace(self, namespace: &str) -> Self {
        Self { namespace: Some(namespace.to_owned()), ..self }
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, "", &[])
    }

    /// By another name, as it has on Windows, or in a program that is made of it.
    pub(crate) fn run_as(&self, program: &str, arguments: &[&str]) -> Output {
        let child = self.command(arguments).arg0(program).stdin(Stdio::null()).spawn().expect("kubectl starts");
        self.output(child)
    }

    /// With text on its standard input and further environment.
    pub(crate) fn run_with(&self, arguments: &[&str], input: &str, environment: &[(&str, &str)]) -> Output {
        let mut command = self.command(arguments);
        command.envs(environment.iter().copied());
        let mut child = command.stdin(Stdio::piped()).spawn().expect("kubectl starts");
        // It may end without reading all of it.
        let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
        self.output(child)
    }

    /// A plugin, which takes kubectl's flags behind its name alone.
    pub(crate) fn run_plugin(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        let mut command = Command::new(&self.program);
        command.args(arguments).envs(environment.iter().copied()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        self.output(command.spawn().expect("kubectl starts"))
    }

    /// What a process has written, once it ends.
    pub(crate) fn output(&self, child: Child) -> Output {
        let output = child.wait_with_output().expect("kubectl ends");
        Output {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            namespace: self.namespace.clone().unwrap_or_else(|| "default".to_owned()),
        }
    }

    /// For a process that goes on beside the test.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg(format!("--cache-dir={}", self.cache.display()));
        if let Some(namespace) = &self.namespace {
            command.arg(format!("--namespace={namespace}"));
        }
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn apply(&self, how: Apply, manifest: &Value) -> Output {
        self.apply_with(how, manifest, &[])
    }

    pub(crate) fn apply_with(&self, how: Apply, manifest: &Value, more: &[&str]) -> Output {
        let mut arguments = vec!["apply", "-f", "-"];
        if how == Apply::ServerSide {
            arguments.push("--server-side");
        }
        arguments.extend(more);
        self.run_with(&arguments, &manifest.to_string(), &[])
    }
}

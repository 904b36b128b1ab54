//! Which cluster a command is for: the development cluster, or one of the person's own by `--context`.
//!
//! With a context nothing of the development cluster is needed, and nothing of it is touched.

use std::{ops::ControlFlow, path::PathBuf, process::Command, time::Duration};

use anyhow::{Result, bail};

use crate::{command, directory::State, progress::wait_for};

#[derive(Clone, Debug)]
pub(crate) enum Target {
    /// The whole cluster that `cluster up` starts on this machine.
    Development(State),
    /// A context of the person's own kubeconfig.
    Foreign(String),
}

impl Target {
    pub(crate) fn new(context: Option<&str>) -> Result<Self> {
        Ok(match context {
            Some(context) => Self::Foreign(context.to_owned()),
            None => Self::Development(State::open()?),
        })
    }

    pub(crate) fn kubectl_path(&self) -> PathBuf {
        match self {
            Self::Development(state) => state.bin().join("kubectl"),
            Self::Foreign(_) => command::find_program("kubectl").unwrap_or_else(|| PathBuf::from("kubectl")),
        }
    }

    /// The kubeconfig to set for other programs; the person's own stays as it is.
    pub(crate) fn kubeconfig(&self) -> Option<PathBuf> {
        match self {
            Self::Development(state) => Some(state.cluster().join("kubeconfig")),
            Self::Foreign(_) => None,
        }
    }

    /// kubectl, already pointed at the cluster.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.kubectl_path());
        match self {
            Self::Development(_) => {
                if let Some(kubeconfig) = self.kubeconfig() {
                    command.arg("--kubeconfig").arg(kubeconfig);
                }
            }
            Self::Foreign(context) => {
                command.arg("--context").arg(context);
            }
        }
        command.args(arguments);
        command
    }

    /// An error that says what to do when nothing answers.
    pub(crate) fn check(&self) -> Result<()> {
        if let Err(error) = command::capture(&mut self.kubectl(&["get", "--raw", "/readyz", "--request-timeout=10s"])) {
            match self {
                Self::Development(_) => bail!("the development cluster does not answer; start it with: cargo xtask cluster up\n{error:#}"),
                Self::Foreign(context) => bail!("the cluster of the context {context} does not answer\n{error:#}"),
            }
        }
        Ok(())
    }

    /// Repeats a kubectl command until it succeeds.
    pub(crate) fn wait_until(&self, what: &str, patience: Duration, arguments: &[&str]) -> Result<()> {
        wait_for(what, patience, || {
            let output = command::output(&mut self.kubectl(arguments))?;
            Ok(if output.status.success() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(command::both_streams(&output).lines().last().unwrap_or_default().to_owned())
            })
        })
    }
}

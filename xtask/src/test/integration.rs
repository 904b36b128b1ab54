//! The integration tests: built, chosen by the module that they are in, told by environment variables where things are, and run. It starts no server.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, bail};

use super::{Paths, cargo};
use crate::{
    command,
    directory::{State, cargo_target, repository},
    programs::Module,
    progress::say,
};

/// The integration tests, built, and the programs that they use.
pub(super) struct Tests {
    pub(super) kubectl: PathBuf,
    helm: PathBuf,
    coalmine: PathBuf,
    /// Environment variable, and the program or file that it tells the tests of.
    pub(super) paths: Paths,
}

/// The programs in `tests/clients/`, and how the tests are told of each.
const CLIENTS: [(&str, &str); 3] = [("COALMINE_FLUX", "flux"), ("COALMINE_ARGOCD", "argocd"), ("COALMINE_KSTATUS", "kstatus")];

impl Tests {
    pub(super) fn build(state: &State) -> Result<Self> {
        let kubectl = Module::kubernetes()?.build(state, &["kubectl"])?.path("kubectl");
        let helm = Module::helm().build(state, &["helm"])?.path("helm");
        say("building coalmine and its integration tests");
        // The program too: cargo builds a package's programs for its integration tests, and of the same libraries.
        command::run(&mut cargo(&["test", "--workspace", "--test", "integration", "--no-run"])?)?;
        Ok(Self { kubectl, helm, coalmine: cargo_target().join("debug/coalmine"), paths: Vec::new() })
    }

    /// With the programs around Flux, Argo CD and kstatus, which only the hold's tests use.
    pub(super) fn with_clients(mut self, state: &State) -> Result<Self> {
        for (variable, program) in CLIENTS {
            self.paths.push((variable, Module::client(program).build(state, &[program])?.path(program)));
        }
        self.with_plugin()
    }

    pub(super) fn with_plugin(mut self) -> Result<Self> {
        command::run(&mut cargo(&["build", "--workspace", "--bin", "kubectl-coalmine"])?)?;
        self.paths.push(("COALMINE_PLUGIN", cargo_target().join("debug/kubectl-coalmine")));
        Ok(self)
    }

    /// The ignored tests of a suite; `None` when a filter leaves none of them. A suite without any test is an error: it proves nothing.
    pub(super) fn names(prefix: &str, filter: Option<&str>) -> Result<Option<Vec<String>>> {
        let list =
            command::capture(&mut cargo(&["test", "--quiet", "--workspace", "--test", "integration", "--", "--ignored", "--list"])?)?;
        let all = of_suite(&list, prefix);
        if all.is_empty() {
            bail!("failed to find a test whose name begins with {prefix}");
        }
        let Some(filter) = filter else { return Ok(Some(all)) };
        let chosen: Vec<String> = all.into_iter().filter(|name| name.contains(filter)).collect();
        if chosen.is_empty() {
            say(format_args!("no test of {prefix} contains {filter}"));
            return Ok(None);
        }
        Ok(Some(chosen))
    }

    /// Runs each group when the one before is over, whatever came of that, in so many threads.
    pub(super) fn run_in_turn(&self, groups: [(Vec<String>, usize); 2], kubeconfig: &Path, version: &str) -> Result<()> {
        let groups = groups.into_iter().filter(|(names, _)| !names.is_empty());
        let results: Vec<Result<()>> = groups.map(|(names, threads)| self.run(&names, threads, kubeconfig, version)).collect();
        results.into_iter().collect()
    }

    pub(super) fn run(&self, names: &[String], threads: usize, kubeconfig: &Path, version: &str) -> Result<()> {
        let mut command = cargo(&["test", "--workspace", "--test", "integration", "--", "--ignored", "--exact"])?;
        command
            .arg(format!("--test-threads={threads}"))
            .args(names)
            .env("KUBECONFIG", kubeconfig)
            .env("COALMINE_KUBECTL", &self.kubectl)
            .env("COALMINE_HELM", &self.helm)
            .env("COALMINE_BIN", &self.coalmine)
            .envs(self.paths.iter().map(|(variable, path)| (variable, path)))
            .env("COALMINE_REPOSITORY", repository())
            .env("COALMINE_KUBERNETES", version);
        // Not the helper that names the whole command line: it has every test's name in it.
        let status = command.stdin(Stdio::null()).status().context("failed to start cargo")?;
        if !status.success() {
            bail!("tests failed, see above");
        }
        Ok(())
    }
}

/// Picks the tests of a suite from what `--list` prints: `path::name: test` per line.
fn of_suite(list: &str, prefix: &str) -> Vec<String> {
    list.lines().filter_map(|line| line.strip_suffix(": test")).filter(|name| name.starts_with(prefix)).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suite_is_told_by_its_module() {
        let list = "cluster::story: test\nhold::again: test\nhold::bench: benchmark\nnot::hold::again: test\n\n2 tests, 0 benchmarks\n";
        assert_eq!(of_suite(list, "hold::"), ["hold::again"]);
    }
}

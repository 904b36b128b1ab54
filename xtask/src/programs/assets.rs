//! envtest's convention: `KUBEBUILDER_ASSETS` names a directory in which somebody has etcd, kube-apiserver and kubectl already.
//!
//! The control-plane suites take them from there and build only what envtest leaves out. The whole cluster is made of the pinned version.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::{Module, Programs, link};
use crate::{
    command,
    directory::{State, fingerprint},
};

const VARIABLE: &str = "KUBEBUILDER_ASSETS";

/// What envtest has; it runs without controllers.
const PROGRAMS: [&str; 3] = ["etcd", "kube-apiserver", "kubectl"];

/// A directory with programs of one Kubernetes.
#[derive(Debug)]
pub(crate) struct Assets {
    directory: PathBuf,
    version: String,
}

impl Assets {
    /// What the environment names. A directory that lacks something is an error: building for ten minutes instead would not be noticed.
    pub(crate) fn find() -> Result<Option<Self>> {
        env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(|value| Self::read(Path::new(&value))).transpose()
    }

    fn read(directory: &Path) -> Result<Self> {
        let directory =
            fs::canonicalize(directory).with_context(|| format!("failed to find {}, which {VARIABLE} names", directory.display()))?;
        for program in PROGRAMS {
            if !directory.join(program).is_file() {
                bail!("failed to find {program} in {}, which {VARIABLE} names", directory.display());
            }
        }
        let said = command::capture(Command::new(directory.join("kube-apiserver")).arg("--version"))?;
        let version = said.trim().strip_prefix("Kubernetes v").with_context(|| format!("failed to parse the version in {said:?}"))?;
        Ok(Self { version: version.to_owned(), directory })
    }

    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    pub(crate) fn kubectl(&self) -> PathBuf {
        self.directory.join("kubectl")
    }

    /// A directory with all that a control plane needs: these, and the controllers of the same version, built.
    pub(crate) fn complete(&self, state: &State, pinned: &str) -> Result<Programs> {
        let module = if self.version == pinned { Module::kubernetes()? } else { Module::other_kubernetes(state, &self.version)? };
        let manager = module.build(state, &["kube-controller-manager"])?.path("kube-controller-manager");
        let name = fingerprint([self.directory.as_os_str().as_encoded_bytes(), self.version.as_bytes()]);
        let together = state.programs().join(format!("assets-{name}"));
        for program in PROGRAMS {
            link(&together, program, &self.directory.join(program))?;
        }
        link(&together, "kube-controller-manager", &manager)?;
        Ok(Programs(together))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn directory(programs: &[&str]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for program in programs {
            let path = directory.path().join(program);
            fs::write(&path, "#!/bin/sh\necho Kubernetes v1.36.0\n").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        directory
    }

    #[test]
    fn the_api_server_itself_says_which_version_it_is() {
        let directory = directory(&PROGRAMS);
        assert_eq!(Assets::read(directory.path()).unwrap().version(), "1.36.0");
    }

    #[test]
    fn a_directory_that_lacks_a_program_is_refused_by_its_name() {
        let directory = directory(&["etcd", "kube-apiserver"]);
        let error = Assets::read(directory.path()).unwrap_err().to_string();
        assert!(error.starts_with("failed to find kubectl in ") && error.ends_with("which KUBEBUILDER_ASSETS names"), "{error}");
    }
}

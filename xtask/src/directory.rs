//! Where things are: the repository, and the state directory outside of it.
//!
//! The state directory holds built programs, image archives and each cluster's own directory; it is safe to delete while no cluster runs.

use std::{
    env,
    fmt::Write as _,
    fs,
    fs::File,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use ring::digest::{Context as Digest, SHA256};

use crate::progress::say;

/// The state directory.
#[derive(Clone, Debug)]
pub(crate) struct State {
    root: PathBuf,
}

impl State {
    pub(crate) fn open() -> Result<Self> {
        let root = env::var_os("COALMINE_CLUSTER_DIR").map_or_else(|| PathBuf::from("/var/tmp/coalmine"), PathBuf::from);
        fs::create_dir_all(&root).with_context(|| {
            format!("failed to create the state directory {} (root is needed, or set COALMINE_CLUSTER_DIR)", root.display())
        })?;
        // Mounts and process arguments are recognised by this path, so it must have one spelling.
        let root = root.canonicalize().with_context(|| format!("failed to resolve {}", root.display()))?;
        Ok(Self { root })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Stable names of the newest programs, for `PATH`.
    pub(crate) fn bin(&self) -> PathBuf {
        self.root.join("bin")
    }

    pub(crate) fn programs(&self) -> PathBuf {
        self.root.join("programs")
    }

    pub(crate) fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    /// The whole cluster: one per machine.
    pub(crate) fn cluster(&self) -> PathBuf {
        self.root.join("cluster")
    }

    pub(crate) fn control_planes(&self) -> PathBuf {
        self.root.join("control-plane")
    }

    /// Keeps every other process out of `what` until the returned file is dropped, also when we are killed.
    pub(crate) fn lock(&self, what: &str) -> Result<File> {
        let directory = self.root.join("locks");
        fs::create_dir_all(&directory).with_context(|| format!("failed to create {}", directory.display()))?;
        let path = directory.join(what);
        let file = File::create(&path).with_context(|| format!("failed to create {}", path.display()))?;
        if file.try_lock().is_err() {
            say(format_args!("waiting for another xtask that is at work on: {what}"));
            file.lock().with_context(|| format!("failed to lock {}", path.display()))?;
        }
        Ok(file)
    }
}

/// The top of the checkout that this program was started from.
pub(crate) fn repository() -> PathBuf {
    // `cargo run` sets the variable; the built-in value is for a binary that is started by hand.
    let package = env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    match package.parent() {
        Some(repository) => repository.to_path_buf(),
        None => package,
    }
}

/// Where cargo builds to.
pub(crate) fn cargo_target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), PathBuf::from)
}

/// A short name for some content, to see whether it changed.
pub(crate) fn fingerprint<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut digest = Digest::new(&SHA256);
    for part in parts {
        // The length keeps ("ab", "c") and ("a", "bc") apart.
        digest.update(&(part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    let mut name = String::new();
    for byte in digest.finish().as_ref().iter().take(8) {
        // Writing to a string cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_depends_on_where_parts_end() {
        let parts = |parts: &[&'static str]| fingerprint(parts.iter().map(|part| part.as_bytes()).collect::<Vec<_>>());
        assert_eq!(parts(&["ab", "c"]), parts(&["ab", "c"]));
        assert_ne!(parts(&["ab", "c"]), parts(&["a", "bc"]));
    }

    #[test]
    fn the_repository_holds_this_crate() {
        assert!(repository().join("xtask/Cargo.toml").is_file());
    }
}

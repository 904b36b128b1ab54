//! The static programs for each processor, built so that no path of this machine is in them.
//!
//! A target that cannot be had is told with its reason and left out: the others are of use all the same.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use super::crates::{self, Crate};
use crate::{
    command,
    directory::{cargo_target, repository},
    prerequisites::{self, Need, STATIC_TARGET},
    progress::say,
};

/// A processor that is released for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Processor {
    /// As Go, OCI and Kubernetes call it.
    pub(super) name: &'static str,
    pub(super) target: &'static str,
    /// Compiles what is written in C and assembly, and links.
    compiler: &'static str,
    objcopy: &'static str,
    needs: &'static [Need],
}

pub(super) const PROCESSORS: [Processor; 2] = [
    Processor {
        name: "amd64",
        target: STATIC_TARGET,
        compiler: "musl-gcc",
        objcopy: "objcopy",
        needs: &[Need { shown_by: "musl-gcc", package: "musl-tools" }],
    },
    Processor {
        name: "arm64",
        target: "aarch64-unknown-linux-musl",
        compiler: "aarch64-linux-gnu-gcc",
        objcopy: "aarch64-linux-gnu-objcopy",
        needs: &[
            Need { shown_by: "aarch64-linux-gnu-gcc", package: "gcc-aarch64-linux-gnu" },
            Need { shown_by: "/usr/aarch64-linux-gnu/include/stdint.h", package: "libc6-dev-arm64-cross" },
        ],
    },
];

/// Apart from everyday's builds: other flags would make them compile all of it again.
fn target_directory() -> PathBuf {
    cargo_target().join("dist")
}

impl Processor {
    /// Installs what is missing to build for it.
    pub(super) fn prepare(&self) -> Result<()> {
        prerequisites::install(self.needs)?;
        prerequisites::rust_target(self.target)
    }

    /// Builds the packages and returns where each program is.
    pub(super) fn build(&self, packages: &[&str]) -> Result<Vec<PathBuf>> {
        say(format_args!("building {} for {}", packages.join(" and "), self.target));
        // What is fetched is fetched with real randomness.
        command::run(command::cargo()?.args(["fetch", "--locked", "--target", self.target]).current_dir(repository()))?;
        command::run(self.cargo(packages)?.env("LD_PRELOAD", constant()?))?;
        let directory = target_directory().join(self.target).join("release");
        Ok(packages.iter().map(|package| directory.join(package)).collect())
    }

    fn cargo(&self, packages: &[&str]) -> Result<Command> {
        let places = places()?;
        let rust: Vec<String> = places.iter().map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display())).collect();
        let c: Vec<String> = places.iter().map(|(from, to)| format!("-ffile-prefix-map={}={to}", from.display())).collect();
        let underscored = self.target.replace('-', "_");
        let mut cargo = command::cargo()?;
        cargo.args(["build", "--release", "--locked", "--offline", "--target", self.target, "--target-dir"]).arg(target_directory());
        for package in packages {
            cargo.args(["--package", package]);
        }
        cargo
            .current_dir(repository())
            .env_remove("RUSTFLAGS")
            // The separator that a path cannot contain.
            .env("CARGO_ENCODED_RUSTFLAGS", rust.join("\u{1f}"))
            .env(format!("CFLAGS_{underscored}"), c.join(" "))
            .env(format!("CC_{underscored}"), self.compiler);
        if self.target != STATIC_TARGET {
            cargo.env(format!("CARGO_TARGET_{}_LINKER", underscored.to_uppercase()), self.compiler);
        }
        Ok(cargo)
    }

    /// The program with the list of its crates in it, where scanners look for one.
    pub(super) fn with_audit_data(&self, program: &Path, crates: &[Crate], root: &str) -> Result<Vec<u8>> {
        let directory = target_directory().join("audit").join(self.name);
        let list = directory.join("dep-v0");
        command::write(&list, zlib(&serde_json::to_vec(&crates::audit_data(crates, root))?)?)?;
        let done = directory.join(root);
        let section = format!(".dep-v0={}", list.display());
        command::capture(command::program(self.objcopy)?.args(["--add-section", &section]).arg(program).arg(&done))?;
        let bytes = fs::read(&done).with_context(|| format!("failed to read {}", done.display()))?;
        for (place, _) in places()? {
            let place = place.to_string_lossy().into_owned();
            if bytes.windows(place.len()).any(|window| window == place.as_bytes()) {
                bail!("failed to keep this machine out of {}: it contains the path {place}", program.display());
            }
        }
        Ok(bytes)
    }
}

/// The library under which every build is the same.
fn constant() -> Result<PathBuf> {
    let (source, library) = (repository().join("xtask/src/release/constant.c"), target_directory().join("constant.so"));
    fs::create_dir_all(target_directory()).context("failed to make the directory of the build")?;
    command::capture(command::program("cc")?.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source))?;
    Ok(library)
}

/// Where sources are on this machine, and what they are called in what is built.
fn places() -> Result<[(PathBuf, &'static str); 2]> {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
    Ok([(repository(), "/coalmine"), (home.context("failed to find cargo's home: set CARGO_HOME")?, "/cargo")])
}

fn zlib(bytes: &[u8]) -> Result<Vec<u8>> {
    use std::io::Write as _;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).context("failed to compress")?;
    encoder.finish().context("failed to compress")
}

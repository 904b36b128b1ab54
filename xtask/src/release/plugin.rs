//! The plugin's part of a release: an archive for each processor, with completions and manual pages, and krew's manifest of them.

use std::{fmt::Write as _, path::Path, process::Command};

use anyhow::{Context, Result};

use super::{archive::Archive, crates, oci::sha256, programs::Processor};
use crate::{
    command,
    directory::{cargo_target, repository},
};

pub(super) const PLUGIN: &str = "kubectl-coalmine";

/// kubectl asks a program of this name what may be typed next.
const COMPLETE: &str = "kubectl_complete-coalmine";

const SHELLS: [&str; 3] = ["bash", "fish", "zsh"];

/// One archive and what krew must know of it.
#[derive(Debug)]
pub(super) struct Packed {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
    processor: &'static str,
}

/// What the program says of itself; this machine's build is asked, which need not be of the released processor.
#[derive(Debug)]
pub(super) struct Texts(Archive);

impl Texts {
    pub(super) fn of_this_build() -> Result<Self> {
        command::run(command::cargo()?.args(["build", "--quiet", "--locked", "--package", PLUGIN]).current_dir(repository()))?;
        let program = cargo_target().join("debug").join(PLUGIN);
        let said = |arguments: &[&str]| command::capture(Command::new(&program).args(arguments));
        let mut archive = Archive::default();
        for shell in SHELLS {
            archive.add(format!("completions/{PLUGIN}.{shell}"), said(&["completion", shell])?);
        }
        let directory = tempfile::tempdir().context("failed to make a directory")?;
        said(&["manual", &directory.path().display().to_string()])?;
        for page in std::fs::read_dir(directory.path()).context("failed to list the manual")? {
            let page = page.context("failed to list the manual")?.path();
            let name = page.file_name().and_then(|name| name.to_str()).context("failed to name a page of the manual")?;
            archive.add(format!("man/{name}"), command::read(&page)?);
        }
        // A file for kubectl to call: the program knows what it is by its name, and an archive without links is one that everything unpacks.
        archive.add_program(COMPLETE, format!("#!/bin/sh\nexec \"$(dirname \"$0\")/{PLUGIN}\" __complete \"$@\"\n"));
        Ok(Self(archive))
    }
}

pub(super) fn pack(processor: &Processor, version: &str, texts: &Texts, licence: &str, seconds: u64) -> Result<Packed> {
    let built = processor.build(&[PLUGIN])?;
    let program: &Path = built.first().context("failed to find what was built")?;
    let crates = crates::of(PLUGIN, &[processor.target])?;
    let mut files = texts.0.clone();
    files.add_program(PLUGIN, processor.with_audit_data(program, &crates, PLUGIN)?);
    files.add("LICENSE", licence);
    files.add("THIRD-PARTY-LICENSES.txt", crates::licences(&crates)?);
    Ok(Packed {
        name: format!("{PLUGIN}-{version}-linux-{}.tar.gz", processor.name),
        bytes: files.tar_gz(seconds)?,
        processor: processor.name,
    })
}

/// Source: <https://krew.sigs.k8s.io/docs/developer-guide/plugin-manifest/>
pub(super) fn krew(packed: &[Packed], version: &str, downloads: &str, homepage: &str) -> String {
    let mut text = format!(
        "apiVersion: krew.googlecontainertools.github.com/v1alpha2\nkind: Plugin\nmetadata:\n  name: coalmine\nspec:\n  version: v{version}\n  homepage: \
         {homepage}\n  shortDescription: See, wait for and steer canaries\n  description: |\n    Lists, shows and watches the canaries that Coalmine runs for Deployments\n    \
         annotated canary.enabled=true, says why they wait, and approves, promotes,\n    rejects and retries them. It reads what stands on the objects, and needs no\n    \
         right beyond those on Deployments.\n  platforms:\n"
    );
    for Packed { name, bytes, processor } in packed {
        let _ = write!(
            text,
            "  - selector:\n      matchLabels:\n        os: linux\n        arch: {processor}\n    uri: {downloads}/{name}\n    sha256: {}\n    bin: {PLUGIN}\n",
            sha256(bytes)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn krews_manifest() {
        let packed = |processor: &'static str| Packed {
            name: format!("kubectl-coalmine-1.2.3-linux-{processor}.tar.gz"),
            bytes: processor.as_bytes().to_vec(),
            processor,
        };
        insta::assert_snapshot!(
            krew(&[packed("amd64"), packed("arm64")], "1.2.3", "https://downloads.example/v1.2.3", "https://coalmine.example"),
            @r"
        apiVersion: krew.googlecontainertools.github.com/v1alpha2
        kind: Plugin
        metadata:
          name: coalmine
        spec:
          version: v1.2.3
          homepage: https://coalmine.example
          shortDescription: See, wait for and steer canaries
          description: |
            Lists, shows and watches the canaries that Coalmine runs for Deployments
            annotated canary.enabled=true, says why they wait, and approves, promotes,
            rejects and retries them. It reads what stands on the objects, and needs no
            right beyond those on Deployments.
          platforms:
          - selector:
              matchLabels:
                os: linux
                arch: amd64
            uri: https://downloads.example/v1.2.3/kubectl-coalmine-1.2.3-linux-amd64.tar.gz
            sha256: 5861314d7fccb39c2192173240eab44fa35ca66426201ca2acd0630a6258dd51
            bin: kubectl-coalmine
          - selector:
              matchLabels:
                os: linux
                arch: arm64
            uri: https://downloads.example/v1.2.3/kubectl-coalmine-1.2.3-linux-arm64.tar.gz
            sha256: f69162950f235e3cdbbad33f1f912d1a504be90d8a37d002c735d6f3e3882265
            bin: kubectl-coalmine
        "
        );
    }
}

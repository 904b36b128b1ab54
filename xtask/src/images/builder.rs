//! The program that turns a Containerfile into an archive: buildah, or whichever the machine has. It doesn't know when one is due.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::Image;
use crate::{command, directory::State, prerequisites, target::Target};

/// What turns a Containerfile into an archive.
#[derive(Clone, Copy, Debug)]
pub(super) enum Builder {
    Buildah,
    /// `docker`, or `podman`, which understands the same words.
    Docker(&'static str),
}

impl Builder {
    /// buildah, except where somebody has something else already and it is their cluster.
    pub(super) fn choose(target: &Target) -> Result<Self> {
        let has = |program: &str| command::find_program(program).is_some();
        if matches!(target, Target::Foreign(_))
            && !has("buildah")
            && let Some(other) = ["docker", "podman"].into_iter().find(|program| has(program))
        {
            return Ok(Self::Docker(other));
        }
        prerequisites::for_images()?;
        Ok(Self::Buildah)
    }

    pub(super) fn make(self, state: &State, image: Image, containerfile: &Path, context: &Path, archive: &Path) -> Result<()> {
        match self {
            Self::Buildah => buildah(&state.images().join("storage"), image, containerfile, context, archive),
            Self::Docker(program) => {
                let mut build = command::program(program)?;
                command::capture(build.args(["build", "--tag", image.name, "--file"]).arg(containerfile).arg(context))?;
                command::capture(command::program(program)?.args(["save", "--output"]).arg(archive).arg(image.name)).map(drop)
            }
        }
    }
}

fn buildah(storage: &Path, image: Image, containerfile: &Path, context: &Path, archive: &Path) -> Result<()> {
    let buildah = |arguments: &[&str]| -> Result<Command> {
        let mut command = command::program("buildah")?;
        // A storage of its own without overlay mounts: it works in containers and virtual machines alike, and can be thrown away.
        command.arg("--root").arg(storage.join("root")).arg("--runroot").arg(storage.join("run")).args(["--storage-driver", "vfs"]);
        command.args(arguments);
        Ok(command)
    };
    command::capture(
        buildah(&["build", "--quiet", "--isolation", "chroot", "--tag", image.name, "--file"])?.arg(containerfile).arg(context),
    )?;
    let destination = format!("docker-archive:{}:{}", archive.display(), image.name);
    command::capture(&mut buildah(&["push", "--quiet", image.name, &destination])?)?;
    // vfs keeps a whole copy per layer.
    command::capture(&mut buildah(&["rmi", "--all", "--force"])?).map(drop)
}

//! `cargo xtask images`: builds the static programs and their images, and puts them into the development cluster.
//!
//! An image is built again only when its program or its Containerfile changed. For a cluster of one's own the archives are built
//! and loaded by kind or minikube where the context says that it is one of theirs; else the commands that load them are said.

mod builder;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use anyhow::{Context, Result, bail};

use self::builder::Builder;
use crate::{
    command,
    directory::{State, cargo_target, fingerprint, repository},
    node::Node,
    prerequisites::{self, STATIC_TARGET},
    programs::Module,
    progress::say,
    target::Target,
};

/// Where an image's one program comes from.
#[derive(Clone, Copy, Debug)]
enum Program {
    /// A binary of this workspace, named as its package.
    Cargo(&'static str),
    Prometheus,
}

/// One image: what it is called and what it is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Image {
    /// The file name of its archive.
    short: &'static str,
    name: &'static str,
    containerfile: &'static str,
    program: Program,
}

impl Image {
    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    fn package(&self) -> Option<&'static str> {
        match self.program {
            Program::Cargo(package) => Some(package),
            Program::Prometheus => None,
        }
    }
}

/// What every pod of the development cluster stands on, and Prometheus.
pub(crate) const BASE: [Image; 2] = [
    Image {
        short: "pause",
        name: "localhost/pause:1",
        containerfile: "xtask/images/pause.Containerfile",
        program: Program::Cargo("coalmine-demo-app"),
    },
    Image {
        short: "prometheus",
        name: "localhost/prometheus:dev",
        containerfile: "xtask/images/prometheus.Containerfile",
        program: Program::Prometheus,
    },
];

/// The product, the demo service's two versions and the load client.
pub(crate) const OWN: [Image; 4] = [
    Image { short: "coalmine", name: "localhost/coalmine:dev", containerfile: "deploy/Containerfile", program: Program::Cargo("coalmine") },
    Image {
        short: "demo-app-good",
        name: "localhost/demo-app:good",
        containerfile: "apps/demo/Containerfile.good",
        program: Program::Cargo("coalmine-demo-app"),
    },
    Image {
        short: "demo-app-bad",
        name: "localhost/demo-app:bad",
        containerfile: "apps/demo/Containerfile.bad",
        program: Program::Cargo("coalmine-demo-app"),
    },
    Image {
        short: "client",
        name: "localhost/client:dev",
        containerfile: "client/Containerfile",
        program: Program::Cargo("coalmine-client"),
    },
];

/// A built image in a file.
#[derive(Debug)]
pub(crate) struct Archive {
    image: Image,
    path: PathBuf,
    fingerprint: String,
}

impl Archive {
    pub(crate) fn is_of(&self, name: &str) -> bool {
        self.image.name == name
    }

    pub(crate) fn bytes(&self) -> Result<u64> {
        Ok(fs::metadata(&self.path).with_context(|| format!("failed to look at {}", self.path.display()))?.len())
    }

    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

/// The command: builds our images and loads them, or says how to.
pub(crate) fn images(target: &Target) -> Result<Vec<Archive>> {
    match target {
        Target::Development(state) => {
            target.check()?;
            let archives = build(target, state, &OWN)?;
            load(state, &archives)?;
            Ok(archives)
        }
        Target::Foreign(context) => {
            let archives = build(target, &State::open()?, &OWN)?;
            if let Some(loader) = Loader::of(context).filter(|loader| command::find_program(loader.program).is_some()) {
                for archive in &archives {
                    say(format_args!("loading the image {} by {}", archive.image.name, loader.program));
                    command::capture(command::program(loader.program)?.args(loader.arguments(&archive.path)))?;
                }
                return Ok(archives);
            }
            say("built; load them into your cluster in the way that fits it:");
            let files: Vec<String> = archives.iter().map(|archive| archive.path.display().to_string()).collect();
            for load in ["kind load image-archive", "minikube image load", "docker load --input"] {
                println!("for archive in {}; do {load} $archive; done", files.join(" "));
            }
            Ok(archives)
        }
    }
}

/// What puts an archive into a cluster that is known by its context's name.
#[derive(Debug, PartialEq, Eq)]
struct Loader<'a> {
    program: &'static str,
    cluster: &'a str,
}

impl<'a> Loader<'a> {
    /// kind puts its name before the cluster's; minikube's context is called as its profile, which others can only guess but for the default.
    fn of(context: &'a str) -> Option<Self> {
        match context.strip_prefix("kind-") {
            Some(cluster) if !cluster.is_empty() => Some(Self { program: "kind", cluster }),
            _ if context == "minikube" => Some(Self { program: "minikube", cluster: context }),
            _ => None,
        }
    }

    fn arguments(&self, archive: &Path) -> Vec<String> {
        let archive = archive.display().to_string();
        let words: [&str; 5] = match self.program {
            "kind" => ["load", "image-archive", &archive, "--name", self.cluster],
            _ => ["image", "load", &archive, "--profile", self.cluster],
        };
        words.map(str::to_owned).to_vec()
    }
}

/// Builds what changed; returns all of them.
pub(crate) fn build(target: &Target, state: &State, images: &[Image]) -> Result<Vec<Archive>> {
    prerequisites::for_static_programs()?;
    let builder = Builder::choose(target)?;
    let _lock = state.lock("images")?;
    compile()?;
    images.iter().map(|image| archive(state, builder, *image)).collect()
}

/// One cargo call for all that there are: it knows best what is up to date, and alone each would be built of libraries with other features,
/// all of them compiled once more.
pub(crate) fn compile() -> Result<()> {
    // The cluster, its images and the installation each make sure of it.
    static COMPILED: OnceLock<()> = OnceLock::new();
    if COMPILED.get().is_some() {
        return Ok(());
    }
    let mut packages: Vec<&str> = BASE.iter().chain(&OWN).filter_map(Image::package).collect();
    packages.sort_unstable();
    packages.dedup();
    say(format_args!("building {} for {STATIC_TARGET} (minutes, the first time)", packages.join(" and ")));
    let mut cargo = command::cargo()?;
    cargo.args(["build", "--release", "--target", STATIC_TARGET]).current_dir(repository());
    for package in packages {
        cargo.args(["--package", package]);
    }
    command::run(&mut cargo)?;
    COMPILED.get_or_init(|| ());
    Ok(())
}

fn archive(state: &State, builder: Builder, image: Image) -> Result<Archive> {
    let (source, place) = match image.program {
        Program::Cargo(package) => {
            let source = cargo_target().join(STATIC_TARGET).join("release").join(package);
            (source, format!("target/{STATIC_TARGET}/release/{package}"))
        }
        Program::Prometheus => (Module::prometheus().build(state, &["prometheus"])?.path("prometheus"), "prometheus".to_owned()),
    };
    let containerfile = repository().join(image.containerfile);
    let program = fs::read(&source).with_context(|| format!("failed to read {}", source.display()))?;
    let recipe = fs::read(&containerfile).with_context(|| format!("failed to read {}", containerfile.display()))?;
    let fingerprint = fingerprint([program.as_slice(), recipe.as_slice()]);
    let path = state.images().join(format!("{}-{fingerprint}.tar", image.short));
    if !path.is_file() {
        say(format_args!("making the image {}", image.name));
        // The Containerfiles are written for the repository's root; what they copy is all that this context has, so that nothing
        // else of the checkout is sent along and cargo may build to another place.
        let context = state.images().join("context").join(image.short);
        command::write(&context.join(&place), &program)?;
        make_executable(&context.join(&place))?;
        let partial = path.with_extension("partial");
        let _ = fs::remove_file(&partial);
        builder
            .make(state, image, &containerfile, &context, &partial)
            .with_context(|| format!("failed to make the image {}", image.name))?;
        remove_older(&state.images(), image.short)?;
        fs::rename(&partial, &path).with_context(|| format!("failed to keep {}", path.display()))?;
        fs::remove_dir_all(&context).with_context(|| format!("failed to remove {}", context.display()))?;
    }
    Ok(Archive { image, path, fingerprint })
}

fn make_executable(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).with_context(|| format!("failed to make {} executable", path.display()))
}

fn remove_older(directory: &Path, short: &str) -> Result<()> {
    for entry in fs::read_dir(directory).with_context(|| format!("failed to list {}", directory.display()))?.flatten() {
        let name = entry.file_name();
        let fingerprint = name.to_str().and_then(|name| name.strip_prefix(short)?.strip_prefix('-')?.strip_suffix(".tar"));
        if fingerprint.is_some_and(|text| text.chars().all(|character| character.is_ascii_hexdigit())) {
            fs::remove_file(entry.path()).with_context(|| format!("failed to remove {}", entry.path().display()))?;
        }
    }
    Ok(())
}

/// Imports into the development cluster's containerd what it doesn't have yet.
pub(crate) fn load(state: &State, archives: &[Archive]) -> Result<()> {
    let node = Node::new(&state.cluster());
    for archive in archives {
        let marker = state.cluster().join("imported").join(archive.image.short);
        if fs::read_to_string(&marker).is_ok_and(|imported| imported == archive.fingerprint) {
            continue;
        }
        say(format_args!("loading the image {}", archive.image.name));
        let path = archive.path.to_str().context("failed to name the archive")?;
        let said = command::capture(&mut node.ctr(&["images", "import", path])?)?;
        if !said.contains(archive.image.name) {
            bail!("failed to load the image {}: containerd said {said}", archive.image.name);
        }
        command::write(&marker, &archive.fingerprint)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;

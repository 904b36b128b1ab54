//! `cargo xtask release VERSION`: everything that a release consists of, into `dist/`, without a path, a time or an order of its own.
//! Two runs give the same bytes, wherever the sources are.
//!
//! It pushes, signs and publishes nothing: `.github/workflows/release.yml` does that with what it finds there.

mod archive;
mod crates;
mod manifests;
mod oci;
mod plugin;
mod programs;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use self::{
    archive::Archive,
    oci::{About, Platform, sha256},
    programs::{PROCESSORS, Processor},
};
use crate::{
    command,
    directory::{State, repository},
    programs::Module,
    progress::say,
};

const PROGRAM: &str = "coalmine";

/// There from the first moment, and filled at the end: it shows that a directory holds a release, also one that was broken off.
const SUMS: &str = "SHA256SUMS";

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The version, as `Cargo.toml` says it
    version: String,
    /// Registry and repository that the image will be pushed to; `install.yaml` and the chart name it
    #[arg(long, default_value = "localhost/coalmine", value_name = "NAME")]
    image: String,
    /// Where the files will be found, as krew's manifest of the plugin says it; without it there is no such manifest
    #[arg(long, value_name = "URL")]
    downloads: Option<String>,
    /// The project's page, for the same manifest
    #[arg(long, value_name = "URL", requires = "downloads")]
    homepage: Option<String>,
    /// Only for this processor; may be given several times
    #[arg(long, value_parser = ["amd64", "arm64"], value_name = "NAME")]
    processor: Vec<String>,
    /// Also with changes that are not committed: then nobody can make it again
    #[arg(long)]
    allow_dirty: bool,
    /// Where to
    #[arg(long, default_value = "dist", value_name = "DIRECTORY")]
    into: PathBuf,
}

/// The source that is released.
#[derive(Debug)]
struct Source {
    revision: String,
    seconds: u64,
    created: String,
}

impl Source {
    fn read(options: &Options) -> Result<Self> {
        let git = |arguments: &[&str]| -> Result<String> {
            Ok(command::capture(command::program("git")?.args(arguments).current_dir(repository()))?.trim().to_owned())
        };
        if !options.allow_dirty && !git(&["status", "--porcelain"])?.is_empty() {
            bail!("failed to release what is not committed: commit it, or use --allow-dirty for a try");
        }
        let revision = git(&["rev-parse", "HEAD"])?;
        // https://reproducible-builds.org/docs/source-date-epoch/
        let seconds = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(seconds) => seconds,
            Err(_) => git(&["log", "-1", "--format=%ct"])?,
        };
        let seconds: u64 = seconds.parse().with_context(|| format!("failed to parse the time {seconds:?}"))?;
        Ok(Self { revision, seconds, created: manifests::rfc3339(seconds) })
    }
}

/// The command.
pub(crate) fn release(options: &Options) -> Result<()> {
    let version = options.version.trim_start_matches('v');
    let pinned = manifests::workspace_version()?;
    if version != pinned {
        bail!("failed to release {version}: Cargo.toml says {pinned}, and the program would too");
    }
    let source = Source::read(options)?;
    let chosen = |processor: &&Processor| options.processor.is_empty() || options.processor.iter().any(|name| name == processor.name);
    let mut lacking = Vec::new();
    let mut processors = Vec::new();
    for processor in PROCESSORS.iter().filter(chosen) {
        match processor.prepare() {
            Ok(()) => processors.push(processor),
            Err(error) => {
                say(format_args!("leaving out {}: {error:#}", processor.target));
                lacking.push(processor.name);
            }
        }
    }
    let targets: Vec<&str> = processors.iter().map(|processor| processor.target).collect();
    let crates = crates::of(PROGRAM, &targets)?;
    let licences = crates::licences(&crates)?;
    let licence = command::read(&repository().join("LICENSE"))?;

    let mut dist = Dist::new(&repository().join(&options.into))?;
    let mut platforms = Vec::new();
    let texts = plugin::Texts::of_this_build()?;
    let mut packed = Vec::new();
    for processor in processors {
        let built = processor.build(&[PROGRAM])?;
        let program = built.first().context("failed to find what was built")?;
        let mut files = Archive::default();
        files.add_program(PROGRAM, processor.with_audit_data(program, &crates::of(PROGRAM, &[processor.target])?, PROGRAM)?);
        files.add("LICENSE", licence.as_str());
        files.add("THIRD-PARTY-LICENSES.txt", licences.as_str());
        dist.write(&format!("{PROGRAM}-{version}-linux-{}.tar.gz", processor.name), &files.tar_gz(source.seconds)?)?;
        packed.push(plugin::pack(processor, version, &texts, &licence, source.seconds)?);
        platforms.push(Platform { architecture: processor.name, files });
    }
    let about = About { name: &options.image, version, revision: &source.revision, created: &source.created, seconds: source.seconds };
    dist.write(&format!("{PROGRAM}-{version}-image.tar"), &oci::image(&about, &platforms)?)?;
    let kubectl = Module::kubernetes()?.build(&State::open()?, &["kubectl"])?.path("kubectl");
    dist.write("install.yaml", manifests::install(&kubectl, &options.image, version)?.as_bytes())?;
    dist.write(&format!("{PROGRAM}-{version}.tgz"), &manifests::chart(&options.image, version)?.tar_gz(source.seconds)?)?;
    let bill = crates::bill_of_materials(&crates, PROGRAM, &source.created)?;
    dist.write(&format!("{PROGRAM}-{version}.cdx.json"), &serde_json::to_vec_pretty(&bill)?)?;
    for plugin in &packed {
        dist.write(&plugin.name, &plugin.bytes)?;
    }
    if let Some(downloads) = &options.downloads {
        let downloads = downloads.trim_end_matches('/');
        let homepage = options.homepage.as_deref().unwrap_or(downloads);
        dist.write("krew-coalmine.yaml", plugin::krew(&packed, version, downloads, homepage).as_bytes())?;
    }
    dist.write("THIRD-PARTY-LICENSES.txt", licences.as_bytes())?;
    dist.write("NOTES.md", manifests::notes(&command::read(&repository().join("CHANGELOG.md"))?, version)?.as_bytes())?;
    dist.sums()?;
    if !lacking.is_empty() {
        bail!("the release is not complete, it lacks {}: see above", lacking.join(" and "));
    }
    Ok(())
}

/// The directory that is filled, and what is in it.
#[derive(Debug)]
struct Dist {
    directory: PathBuf,
    sums: Vec<String>,
}

impl Dist {
    /// Empty: what an earlier run left must not be published with this one. What no run has made is not taken away.
    fn new(directory: &Path) -> Result<Self> {
        if directory.exists() {
            let is_empty = fs::read_dir(directory).with_context(|| format!("failed to list {}", directory.display()))?.next().is_none();
            if !is_empty && !directory.join(SUMS).is_file() {
                bail!("failed to use {}: it has files in it that are no release", directory.display());
            }
            fs::remove_dir_all(directory).with_context(|| format!("failed to remove {}", directory.display()))?;
        }
        command::write(&directory.join(SUMS), "")?;
        Ok(Self { directory: directory.to_path_buf(), sums: Vec::new() })
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> Result<()> {
        command::write(&self.directory.join(name), bytes)?;
        say(format_args!("wrote {name}, {} kB", bytes.len().div_ceil(1000)));
        self.sums.push(format!("{}  {name}\n", sha256(bytes)));
        Ok(())
    }

    /// As `sha256sum --check` reads it.
    fn sums(&mut self) -> Result<()> {
        self.sums.sort_by(|one, other| one[64..].cmp(&other[64..]));
        command::write(&self.directory.join(SUMS), self.sums.concat())?;
        print!("{}", self.sums.concat());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_what_everybody_checks_and_an_earlier_release_makes_way() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("dist");
        let mut dist = Dist::new(&directory).unwrap();
        dist.write("b", b"second").unwrap();
        dist.write("a", b"first").unwrap();
        dist.sums().unwrap();
        let mut check = command::program("sha256sum").unwrap();
        let said = command::capture(check.args(["--check", SUMS]).current_dir(&directory)).unwrap();
        assert_eq!(said, "a: OK\nb: OK\n");
        Dist::new(&directory).unwrap();
        assert!(directory.join(SUMS).is_file() && !directory.join("a").exists());
        Dist::new(&directory).unwrap();
    }

    #[test]
    fn a_directory_of_somebody_elses_stays() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("thesis.tex"), "years of work").unwrap();
        let error = Dist::new(directory.path()).unwrap_err().to_string();
        assert!(error.ends_with("it has files in it that are no release"), "{error}");
        assert!(directory.path().join("thesis.tex").exists());
    }
}

//! Kubernetes, etcd, a DNS server, Prometheus, Helm, Flux and the tests' clients, built from pinned Go modules.
//!
//! A module under `xtask/go/` holds pins, and no code but the list of `CoreDNS`' plugins; one under `tests/clients/` is one small program. What is built is kept in the state directory under a hash of pins and flags,
//! so that nothing is built twice and several versions lie side by side.

pub(crate) mod assets;
mod log;

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::{
    command,
    directory::{State, fingerprint, repository},
    progress::{say, wait_for},
};

/// A Go module whose `tool` lines name programs, or that is one itself.
#[derive(Debug)]
pub(crate) struct Module {
    name: String,
    directory: PathBuf,
    flags: Vec<String>,
    /// Its newest programs get stable names in `bin/`.
    default: bool,
}

/// A directory with built programs.
#[derive(Clone, Debug)]
pub(crate) struct Programs(PathBuf);

impl Programs {
    pub(crate) fn path(&self, program: &str) -> PathBuf {
        self.0.join(program)
    }
}

/// The programs of the API server's side. `CoreDNS`, etcd and kubectl are pinned in the same module.
pub(crate) const CONTROL_PLANE: [&str; 4] = ["etcd", "kubectl", "kube-apiserver", "kube-controller-manager"];

/// Flux's, each of which is a module of its own.
pub(crate) const FLUX: [&str; 3] = ["kustomize-controller", "helm-controller", "source-controller"];

/// What a whole cluster needs beyond that.
pub(crate) const NODE: [&str; 4] = ["kube-scheduler", "kubelet", "kube-proxy", "coredns"];

impl Module {
    /// The pinned Kubernetes, with etcd and `CoreDNS`.
    pub(crate) fn kubernetes() -> Result<Self> {
        let directory = repository().join("xtask/go/kubernetes");
        let version = default_kubernetes()?;
        Ok(Self { name: "kubernetes".to_owned(), directory, flags: kubernetes_flags(&version)?, default: true })
    }

    /// The servers of another Kubernetes.
    pub(crate) fn other_kubernetes(state: &State, version: &str) -> Result<Self> {
        Self::other(state, "kubernetes", version, &["kube-apiserver", "kube-controller-manager"])
    }

    /// Another kubectl.
    pub(crate) fn other_kubectl(state: &State, version: &str) -> Result<Self> {
        Self::other(state, "kubectl", version, &["kubectl"])
    }

    /// Programs of another Kubernetes: the module is written and resolved when it is first asked for.
    fn other(state: &State, name: &str, version: &str, programs: &[&str]) -> Result<Self> {
        let name = format!("{name}-{version}");
        let directory = state.root().join("go").join(&name);
        if !directory.join("go.sum").is_file() {
            say(format_args!("resolving the modules of {name}"));
            resolve(&directory, version, programs).with_context(|| format!("failed to resolve {name}"))?;
        }
        Ok(Self { name, directory, flags: kubernetes_flags(version)?, default: false })
    }

    pub(crate) fn prometheus() -> Self {
        let tags = ["-tags", "remove_all_sd,enable_kubernetes_sd", "-ldflags", "-s -w"];
        Self {
            name: "prometheus".to_owned(),
            directory: repository().join("xtask/go/prometheus"),
            flags: tags.map(str::to_owned).to_vec(),
            default: true,
        }
    }

    pub(crate) fn helm() -> Self {
        Self {
            name: "helm".to_owned(),
            directory: repository().join("xtask/go/helm"),
            flags: ["-ldflags", "-s -w"].map(str::to_owned).to_vec(),
            default: true,
        }
    }

    /// Flux's controllers, which are built for the one suite that asks for them.
    pub(crate) fn flux() -> Self {
        Self {
            name: "flux".to_owned(),
            directory: repository().join("xtask/go/flux"),
            flags: ["-ldflags", "-s -w"].map(str::to_owned).to_vec(),
            default: false,
        }
    }

    /// The directory of another module that this one pins, with its files.
    pub(crate) fn pinned(&self, module: &str) -> Result<PathBuf> {
        let mut command = command::program("go")?;
        command.args(["list", "-m", "-f", "{{.Dir}}", module]).current_dir(&self.directory);
        Ok(PathBuf::from(command::capture(&mut command)?.trim()))
    }

    /// A program of the tests around a library: one module each, since their pins contradict each other.
    pub(crate) fn client(name: &str) -> Self {
        Self {
            name: format!("client-{name}"),
            directory: repository().join("tests/clients").join(name),
            flags: ["-ldflags", "-s -w"].map(str::to_owned).to_vec(),
            default: false,
        }
    }

    /// Builds those of `programs` that are not there yet.
    pub(crate) fn build(&self, state: &State, programs: &[&str]) -> Result<Programs> {
        let _lock = state.lock(&format!("programs-{}", self.name))?;
        let pins = command::read(&self.directory.join("go.mod"))?;
        let sums = command::read(&self.directory.join("go.sum"))?;
        let source = |name: &str| {
            let path = self.directory.join(name);
            if path.is_file() { command::read(&path).map(Some) } else { Ok(None) }
        };
        let (source, plugins) = (source("main.go")?, source("coredns/main.go")?);
        let texts = [Some(&pins), Some(&sums), source.as_ref(), plugins.as_ref()];
        let parts = texts.into_iter().flatten().map(String::as_bytes).chain(self.flags.iter().map(String::as_bytes));
        let target = state.programs().join(format!("{}-{}", self.name, fingerprint(parts)));
        fs::create_dir_all(&target).with_context(|| format!("failed to create {}", target.display()))?;
        let packages = if source.is_some() { vec!["."] } else { tools(&pins) };
        let missing: Vec<&str> = programs.iter().copied().filter(|program| !target.join(program).is_file()).collect();
        if !missing.is_empty() {
            self.install(&with_packages(&missing, &packages, &self.directory)?, &target)?;
        }
        if self.default {
            for program in programs {
                link(&state.bin(), program, &target.join(program))?;
            }
        }
        Ok(Programs(target))
    }

    /// One `go build` for all of them: what they share is looked at once, and one is linked while another is compiled.
    fn install(&self, missing: &[(&str, &str)], target: &Path) -> Result<()> {
        let programs: Vec<&str> = missing.iter().map(|(program, _)| *program).collect();
        let programs = programs.join(", ");
        say(format_args!("building {programs} ({})", self.name));
        let partial = target.join(".partial");
        let log = target.join(".build.log");
        if partial.exists() {
            fs::remove_dir_all(&partial).with_context(|| format!("failed to remove {}", partial.display()))?;
        }
        fs::create_dir_all(&partial).with_context(|| format!("failed to create {}", partial.display()))?;
        let output = fs::File::create(&log).with_context(|| format!("failed to create {}", log.display()))?;
        let mut child = command::program("go")?
            .args(["build", "-v", "-trimpath", "-buildvcs=false"])
            .args(&self.flags)
            .arg("-o")
            .arg(match missing {
                // What a package of the name "." is called is nobody's business.
                [(program, ".")] => partial.join(program),
                _ => partial.clone(),
            })
            .args(missing.iter().map(|(_, package)| package))
            .current_dir(&self.directory)
            .env("CGO_ENABLED", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output)
            .spawn()
            .context("failed to start go")?;
        let status = wait_for(&format!("go build ({})", self.name), Duration::from_hours(3), || {
            Ok(match child.try_wait().context("failed to wait for go")? {
                Some(status) => ControlFlow::Break(status),
                None => ControlFlow::Continue(log::progress(&log)),
            })
        })?;
        if !status.success() {
            bail!("failed to build {programs}: {status}\n{}", log::complaints(&command::read(&log)?));
        }
        for (program, package) in missing {
            // Renamed when complete: a program of that name always works.
            let built = partial.join(if *package == "." { program } else { built_name(package) });
            fs::rename(&built, target.join(program)).with_context(|| format!("failed to keep {program}"))?;
        }
        fs::remove_dir_all(&partial).with_context(|| format!("failed to remove {}", partial.display()))?;
        fs::remove_file(&log).with_context(|| format!("failed to remove {}", log.display()))
    }
}

/// Each program with the package that it is built from.
fn with_packages<'a>(programs: &[&'a str], packages: &[&'a str], directory: &Path) -> Result<Vec<(&'a str, &'a str)>> {
    let package_of = |program: &'a str| {
        packages
            .iter()
            .find(|package| **package == "." || program_name(package) == program)
            .map(|package| (program, *package))
            .with_context(|| format!("failed to find {program} among the tools of {}", directory.display()))
    };
    programs.iter().map(|program| package_of(program)).collect()
}

/// The version that `xtask/go/kubernetes` pins, without the `v`.
pub(crate) fn default_kubernetes() -> Result<String> {
    let pins = command::read(&repository().join("xtask/go/kubernetes/go.mod"))?;
    let version = pins.lines().find_map(|line| line.trim().strip_prefix("k8s.io/kubernetes v")?.split_whitespace().next());
    Ok(version.context("failed to find the version of k8s.io/kubernetes in xtask/go/kubernetes/go.mod")?.to_owned())
}

/// Without these the server calls itself v0.0.0 and clients complain.
fn kubernetes_flags(version: &str) -> Result<Vec<String>> {
    let numbers: Vec<&str> = version.split('.').collect();
    let is_number = |text: &&str| text.parse::<u16>().is_ok();
    let ([major, minor, _], true) = (numbers.as_slice(), numbers.iter().all(is_number)) else {
        bail!("failed to parse the Kubernetes version {version:?}: expected three numbers such as 1.30.14");
    };
    let package = "k8s.io/component-base/version";
    let flags = format!("-s -w -X {package}.gitVersion=v{version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor}");
    Ok(vec!["-ldflags".to_owned(), flags])
}

/// Writes and resolves the module of another Kubernetes. Its staging modules are named by its own `go.mod`.
fn resolve(directory: &Path, version: &str, programs: &[&str]) -> Result<()> {
    kubernetes_flags(version)?;
    fs::create_dir_all(directory).with_context(|| format!("failed to create {}", directory.display()))?;
    let go = |arguments: &[&str], place: &Path| -> Result<String> {
        let mut command = command::program("go")?;
        command::capture(command.args(arguments).current_dir(place).env("GOFLAGS", "-mod=mod"))
    };
    let downloaded = go(&["mod", "download", "-json", &format!("k8s.io/kubernetes@v{version}")], &std::env::temp_dir())?;
    let downloaded: serde_json::Value = serde_json::from_str(&downloaded).context("failed to parse what go downloaded")?;
    let own = command::read(Path::new(downloaded["GoMod"].as_str().context("failed to find the go.mod of Kubernetes")?))?;
    command::write(&directory.join("go.mod"), module_for(version, &own, programs)?)?;
    go(&["mod", "tidy"], directory)?;
    Ok(())
}

/// The text of a module that has these programs of `version` as tools.
fn module_for(version: &str, own: &str, programs: &[&str]) -> Result<String> {
    let (_, rest) = version.split_once('.').context("failed to parse the version")?;
    let staging: Vec<String> = own
        .lines()
        .filter_map(|line| line.trim().trim_start_matches("replace ").split_once(" => ./staging/"))
        .map(|(module, _)| format!("\t{} => {} v0.{rest}\n", module.trim(), module.trim()))
        .collect();
    let staging = staging.concat();
    let tools: Vec<String> = programs.iter().map(|program| format!("\tk8s.io/kubernetes/cmd/{program}\n")).collect();
    let tools = tools.concat();
    Ok(format!(
        "// Of another Kubernetes, for the tests: written by `cargo xtask`.\n\
         module coalmine.dev/cluster\n\ngo 1.26.0\n\n\
         tool (\n{tools})\n\n\
         require k8s.io/kubernetes v{version}\n\nreplace (\n{staging})\n"
    ))
}

/// The packages that a `go.mod` names as tools.
fn tools(pins: &str) -> Vec<&str> {
    let mut inside = false;
    let mut packages = Vec::new();
    for line in pins.lines().map(str::trim) {
        match line {
            "tool (" => inside = true,
            ")" => inside = false,
            _ if inside => packages.push(line),
            _ => packages.extend(line.strip_prefix("tool ")),
        }
    }
    packages
}

/// What a package's program is called by everybody; etcd's package would give `server`.
fn program_name(package: &str) -> &str {
    match package {
        "go.etcd.io/etcd/server/v3" => "etcd",
        _ => built_name(package),
    }
}

/// What Go calls it: the last part of its path that is not a major version.
fn built_name(package: &str) -> &str {
    let is_version = |part: &str| part.strip_prefix('v').is_some_and(|number| number.parse::<u32>().is_ok_and(|number| number > 1));
    let mut parts = package.rsplit('/');
    match (parts.next(), parts.next()) {
        (Some(version), Some(name)) if is_version(version) => name,
        (Some(name), _) => name,
        (None, _) => package,
    }
}

/// Points `bin/PROGRAM` at a built program, at once for everyone who looks.
fn link(bin: &Path, program: &str, target: &Path) -> Result<()> {
    let link = bin.join(program);
    if fs::read_link(&link).is_ok_and(|present| present == target) {
        return Ok(());
    }
    fs::create_dir_all(bin).with_context(|| format!("failed to create {}", bin.display()))?;
    let fresh = bin.join(format!(".{program}.partial"));
    let _ = fs::remove_file(&fresh);
    std::os::unix::fs::symlink(target, &fresh)
        .and_then(|()| fs::rename(&fresh, &link))
        .with_context(|| format!("failed to link {}", link.display()))
}

#[cfg(test)]
mod tests;

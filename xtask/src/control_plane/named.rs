//! Control planes by name: what is remembered of each, so that it comes up again on the same ports, and their list. Starts no program itself.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::{ControlPlane, Endpoints, stop};
use crate::{
    command,
    directory::State,
    process::Processes,
    programs::{CONTROL_PLANE, Module, Programs, assets::Assets, default_kubernetes},
    progress::say,
};

/// Below the range from which the kernel takes ports for outgoing connections.
const FIRST_PORT: u16 = 21_000;
const LAST_PORT: u16 = 29_999;

/// What is remembered of a control plane besides its processes.
#[derive(Debug, Deserialize, Serialize)]
struct Remembered {
    version: String,
    endpoints: Endpoints,
}

/// Starts the control plane `name` (by default named after its version) and returns the path of its kubeconfig.
pub(crate) fn up(state: &State, name: Option<&str>, version: Option<&str>) -> Result<PathBuf> {
    let default = default_kubernetes()?;
    let version = version_of(version)?;
    let version = version.as_str();
    let name = name.unwrap_or(if version == default { "default" } else { version });
    check_name(name)?;
    let directory = state.control_planes().join(name);
    let _lock = state.lock(&format!("control-plane-{name}"))?;
    // Before minutes are spent on building it.
    if let Some(remembered) = load(&directory)
        && remembered.version != version
    {
        bail!(
            "the control plane {name} is a Kubernetes {}, not {version}: choose another --name, or take it down first \
             (cargo xtask cluster down --control-plane --name {name})",
            remembered.version
        );
    }
    let (tools, servers) = programs(state, version, &default)?;
    let remembered = remember(state, &directory, version)?;
    let control_plane = ControlPlane::new(&directory, remembered.endpoints)?;
    control_plane.start(&tools, &servers, &format!("coalmine-{name}"), false)?;
    say(format_args!("the control plane {name} (Kubernetes {version}) is ready at {}", control_plane.server()));
    Ok(control_plane.kubeconfig())
}

/// The version that was asked for; else that of the programs which somebody has already; else the pinned one.
pub(crate) fn version_of(asked: Option<&str>) -> Result<String> {
    match (asked, Assets::find()?) {
        (Some(asked), _) => Ok(asked.trim_start_matches('v').to_owned()),
        (None, Some(assets)) => Ok(assets.version().to_owned()),
        (None, None) => default_kubernetes(),
    }
}

/// Those with etcd and kubectl, and those with the servers.
fn programs(state: &State, version: &str, default: &str) -> Result<(Programs, Programs)> {
    match Assets::find()? {
        Some(assets) if assets.version() == version => {
            let all = assets.complete(state, default)?;
            return Ok((all.clone(), all));
        }
        Some(assets) => say(format_args!("KUBEBUILDER_ASSETS names a Kubernetes {}: not used for {version}", assets.version())),
        None => {}
    }
    if version == default {
        let all = Module::kubernetes()?.build(state, &CONTROL_PLANE)?;
        return Ok((all.clone(), all));
    }
    let servers = Module::other_kubernetes(state, version)?.build(state, &["kube-apiserver", "kube-controller-manager"])?;
    Ok((Module::kubernetes()?.build(state, &["etcd", "kubectl"])?, servers))
}

/// Stops the control plane and forgets all that it stored.
pub(crate) fn down(state: &State, name: &str) -> Result<()> {
    check_name(name)?;
    let directory = state.control_planes().join(name);
    if !directory.exists() {
        say(format_args!("there is no control plane {name}"));
        return Ok(());
    }
    let _lock = state.lock(&format!("control-plane-{name}"))?;
    stop(&Processes::new(&directory))?;
    fs::remove_dir_all(&directory).with_context(|| format!("failed to remove {}", directory.display()))?;
    say(format_args!("the control plane {name} is gone"));
    Ok(())
}

/// How the names of control planes begin that live no longer than the process whose id follows.
pub(crate) const TEMPORARY: &str = "test-";

/// Takes down what test runs left that were killed themselves.
pub(crate) fn down_abandoned(state: &State) -> Result<()> {
    for entry in fs::read_dir(state.control_planes()).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix(TEMPORARY).and_then(|pid| pid.parse::<u32>().ok());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            down(state, &name)?;
        }
    }
    Ok(())
}

/// The names of the control planes that were started, each with its version and whether it runs.
pub(crate) fn list(state: &State) -> Vec<String> {
    let Ok(entries) = fs::read_dir(state.control_planes()) else { return Vec::new() };
    let mut lines: Vec<String> = entries
        .flatten()
        .filter_map(|entry| {
            let remembered = load(&entry.path())?;
            let running = Processes::new(&entry.path()).is_running("kube-apiserver");
            Some(format!(
                "{:<20} Kubernetes {:<10} {}  KUBECONFIG={}",
                entry.file_name().to_string_lossy(),
                remembered.version,
                if running { "running" } else { "stopped" },
                entry.path().join("kubeconfig").display()
            ))
        })
        .collect();
    lines.sort();
    lines
}

/// The name becomes a directory and part of a context's name.
fn check_name(name: &str) -> Result<()> {
    let fits = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '.');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(fits) {
        bail!("failed to use the name {name:?}: letters, digits, '-' and '.' are possible");
    }
    Ok(())
}

fn load(directory: &Path) -> Option<Remembered> {
    serde_json::from_slice(&fs::read(directory.join("control-plane.json")).ok()?).ok()
}

/// The same ports again after a restart, so that kubeconfig files stay right; else three that nobody uses or has set aside.
fn remember(state: &State, directory: &Path, version: &str) -> Result<Remembered> {
    if let Some(remembered) = load(directory) {
        return Ok(remembered);
    }
    let _lock = state.lock("ports")?;
    let taken: Vec<u16> = fs::read_dir(state.control_planes())
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| load(&entry.path()))
        .flat_map(|other| [other.endpoints.api, other.endpoints.etcd, other.endpoints.etcd_peer])
        .collect();
    let mut free = (FIRST_PORT..=LAST_PORT)
        .filter(|port| !taken.contains(port))
        .filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
    let (Some(api), Some(etcd), Some(etcd_peer)) = (free.next(), free.next(), free.next()) else {
        bail!("failed to find three free ports between {FIRST_PORT} and {LAST_PORT}");
    };
    let endpoints = Endpoints { address: Ipv4Addr::LOCALHOST, api, etcd, etcd_peer };
    let remembered = Remembered { version: version.to_owned(), endpoints };
    command::write(&directory.join("control-plane.json"), serde_json::to_vec(&remembered)?)?;
    Ok(remembered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("default", true)]
    #[case("1.30.14", true)]
    #[case("hold-3", true)]
    #[case("", false)]
    #[case("..", false)]
    #[case("a/b", false)]
    fn names(#[case] name: &str, #[case] fits: bool) {
        assert_eq!(check_name(name).is_ok(), fits);
    }
}

//! What containers leave on a machine: processes and mounts that belong to a cluster's directory.
//!
//! Ownership is told by paths alone: a container's root file system lies in the cluster's own containerd directory, and its shims
//! were started with the cluster's own socket. Nothing else is touched.

use std::{
    fs,
    io::ErrorKind,
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rustix::{
    mount::{UnmountFlags, unmount},
    process::Signal,
};

use crate::{process::signal, progress::wait_for};

/// Kills the containers of `directory` and the shims that hold them.
pub(crate) fn kill_containers(directory: &Path) -> Result<()> {
    wait_for("the containers to be gone", Duration::from_secs(30), || {
        let owned = processes(directory)?;
        if owned.is_empty() {
            return Ok(ControlFlow::Break(()));
        }
        for pid in &owned {
            signal(*pid, Signal::KILL)?;
        }
        Ok(ControlFlow::Continue(format!("{} processes still run", owned.len())))
    })
}

/// Forgets what runc, the shims and the network's plugins keep of this cluster's containers outside of its directory.
pub(crate) fn forget_containers(directory: &Path) -> Result<()> {
    let bundles = entries(&directory.join("containerd/state/io.containerd.runtime.v2.task/k8s.io"))?;
    let results = entries(Path::new("/var/lib/cni/results"))?;
    for bundle in &bundles {
        let Some(id) = bundle.file_name().and_then(|name| name.to_str()) else { continue };
        let address = fs::read_to_string(bundle.join("address")).unwrap_or_default();
        if let Some(socket) = address.trim().strip_prefix("unix://").filter(|socket| socket.starts_with("/run/containerd/s/")) {
            remove(Path::new(socket))?;
        }
        // `NETWORK-CONTAINER-INTERFACE`
        let of_this = |path: &&PathBuf| path.to_string_lossy().contains(&format!("-{id}-"));
        results.iter().filter(of_this).try_for_each(|path| remove(path))?;
        remove(&Path::new("/run/containerd/runc/k8s.io").join(id))?;
    }
    // The kubelet's links to its containers' logs, which lie in the cluster's directory or are gone.
    for link in entries(Path::new("/var/log/containers"))? {
        if fs::read_link(&link).is_ok_and(|log| log.starts_with(directory)) {
            remove(&link)?;
        }
    }
    Ok(())
}

/// What lies in a directory; nothing when there is none.
fn entries(directory: &Path) -> Result<Vec<PathBuf>> {
    match fs::read_dir(directory) {
        Ok(entries) => Ok(entries.flatten().map(|entry| entry.path()).collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("failed to list {}", directory.display())),
    }
}

fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() && !path.is_symlink() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).with_context(|| format!("failed to remove {}", path.display())),
        _ => Ok(()),
    }
}

fn processes(directory: &Path) -> Result<Vec<i32>> {
    let mut owned = Vec::new();
    for entry in fs::read_dir("/proc").context("failed to list processes")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let mounts = fs::read_to_string(entry.path().join("mountinfo")).unwrap_or_default();
        if is_shim(&command, directory) || is_contained(&mounts, directory) {
            owned.push(pid);
        }
    }
    Ok(owned)
}

/// `containerd-shim-runc-v2 ... -address DIRECTORY/containerd.sock`
fn is_shim(command: &[u8], directory: &Path) -> bool {
    let socket = directory.join("containerd.sock");
    let mut words = command.split(|byte| *byte == 0);
    let program = words.next().unwrap_or_default();
    let is_shim = String::from_utf8_lossy(program).rsplit('/').next().is_some_and(|name| name.starts_with("containerd-shim"));
    is_shim && words.any(|word| word == socket.as_os_str().as_encoded_bytes())
}

/// The process sees as `/` an overlay whose upper directory is below `directory`.
fn is_contained(mounts: &str, directory: &Path) -> bool {
    let upper = format!("upperdir={}/", directory.display());
    mounts.lines().any(|line| line.split(' ').nth(4) == Some("/") && line.contains(&upper))
}

/// Unmounts everything below `directory`, the innermost first.
pub(crate) fn unmount_all(directory: &Path) -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("failed to list mounts")?;
    for point in mount_points(&mounts, directory).iter().rev() {
        // Detached: a network namespace that the kernel still takes apart must not keep the directory.
        unmount(point, UnmountFlags::DETACH).with_context(|| format!("failed to unmount {}", point.display()))?;
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").context("failed to list mounts")?;
    if let Some(point) = mount_points(&mounts, directory).first() {
        bail!("failed to unmount {}: it came back", point.display());
    }
    Ok(())
}

/// In the order in which they were mounted.
fn mount_points(mounts: &str, directory: &Path) -> Vec<PathBuf> {
    let points = mounts.lines().filter_map(|line| line.split(' ').nth(4));
    points.map(|point| PathBuf::from(point.replace("\\040", " "))).filter(|point| point.starts_with(directory)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const MOUNTS: &str = "\
25 1 0:1 / / rw - overlay overlay rw,lowerdir=/a,upperdir=/state/cluster/containerd/root/fs,workdir=/b
26 25 0:2 / /state/cluster/kubelet/pods/1 rw - tmpfs tmpfs rw
27 25 0:2 / /state/cluster/kubelet/pods/1/token rw - tmpfs tmpfs rw
28 25 0:2 / /state/cluster-of-another rw - tmpfs tmpfs rw
";

    #[test]
    fn mounts_are_told_by_their_path() {
        let points = mount_points(MOUNTS, Path::new("/state/cluster"));
        let names: Vec<&str> = points.iter().filter_map(|point| point.to_str()).collect();
        assert_eq!(names, ["/state/cluster/kubelet/pods/1", "/state/cluster/kubelet/pods/1/token"]);
    }

    #[rstest]
    #[case("/state/cluster", true)]
    #[case("/state/clust", false)]
    #[case("/other", false)]
    fn containers_are_told_by_their_root(#[case] directory: &str, #[case] expected: bool) {
        assert_eq!(is_contained(MOUNTS, Path::new(directory)), expected);
    }

    #[rstest]
    #[case("/usr/bin/containerd-shim-runc-v2\0-address\0/state/cluster/containerd.sock\0", true)]
    #[case("/usr/bin/containerd-shim-runc-v2\0-address\0/run/containerd/containerd.sock\0", false)]
    #[case("/usr/bin/ctr\0--address\0/state/cluster/containerd.sock\0", false)]
    fn shims_are_told_by_their_socket(#[case] command: &str, #[case] expected: bool) {
        assert_eq!(is_shim(command.as_bytes(), Path::new("/state/cluster")), expected);
    }
}

//! The cluster's network on this machine: one bridge that pods, API server and DNS share.
//!
//! It makes only what it records, and removes only that.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::{command, progress::say};

pub(crate) const BRIDGE: &str = "cni0";
pub(crate) const ADDRESS: &str = "10.88.0.1";
pub(crate) const PODS: &str = "10.88.0.0/16";
const SERVICES: &str = "10.96.0.0/16";
/// A bridge without an address of its own takes the lowest of its ports' and changes it as pods come and go: packets were lost then.
const HARDWARE_ADDRESS: &str = "02:58:0a:58:00:01";
const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";
const BRIDGE_FILTER: &str = "/proc/sys/net/bridge/bridge-nf-call-iptables";

/// What forwarding was before; the file's presence says that the bridge is ours.
fn record(directory: &Path) -> PathBuf {
    directory.join("forwarding-before")
}

fn present() -> bool {
    Path::new("/sys/class/net").join(BRIDGE).exists()
}

/// Refuses a machine on which the name is taken; to be asked before anything is built, which takes minutes.
pub(crate) fn check(directory: &Path) -> Result<()> {
    if present() && !record(directory).exists() {
        bail!(
            "failed to make the link {BRIDGE}: this machine has one that is not this cluster's (see `ip address show {BRIDGE}`); \
             when nothing needs it, remove it: `ip link delete {BRIDGE}`"
        );
    }
    Ok(())
}

pub(crate) fn up(directory: &Path) -> Result<()> {
    check(directory)?;
    if !record(directory).exists() {
        command::write(&record(directory), fs::read(FORWARDING).with_context(|| format!("failed to read {FORWARDING}"))?)?;
    }
    if !present() {
        ip(&["link", "add", BRIDGE, "type", "bridge"])?;
    }
    ip(&["link", "set", BRIDGE, "address", HARDWARE_ADDRESS])?;
    ip(&["address", "replace", &format!("{ADDRESS}/16"), "dev", BRIDGE])?;
    ip(&["link", "set", BRIDGE, "up"])?;
    // A service address that kube-proxy has not translated dies on the bridge and never leaves the machine.
    ip(&["route", "replace", SERVICES, "dev", BRIDGE])?;
    fs::write(FORWARDING, "1").with_context(|| format!("failed to write {FORWARDING}"))?;
    bridge_filter()
}

/// Answers between two pods cross the bridge only; without this they would not be translated back to the service's address.
fn bridge_filter() -> Result<()> {
    if !Path::new(BRIDGE_FILTER).exists() {
        command::capture(command::program("modprobe")?.arg("br_netfilter")).context("failed to let the bridge be filtered")?;
    }
    if fs::read_to_string(BRIDGE_FILTER).is_ok_and(|value| value.trim() == "1") {
        return Ok(());
    }
    fs::write(BRIDGE_FILTER, "1").with_context(|| format!("failed to write {BRIDGE_FILTER}"))
}

pub(crate) fn down(directory: &Path) -> Result<()> {
    let before = match fs::read(record(directory)) {
        Ok(before) => before,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).context("failed to read what forwarding was"),
    };
    for family in ["ip", "ip6"] {
        // kube-proxy's own table: not there when it never ran.
        if let Err(error) = command::capture(command::program("nft")?.args(["delete", "table", family, "kube-proxy"])) {
            tolerate(&error, "No such file or directory");
        }
    }
    if present() {
        for port in ports()? {
            if let Err(error) = ip(&["link", "delete", &port]) {
                // The other end of a pod's link goes with the pod's namespace, which the kernel removes when it finds the time.
                tolerate(&error, "Cannot find device");
            }
        }
        ip(&["link", "delete", BRIDGE])?;
    }
    fs::write(FORWARDING, before).with_context(|| format!("failed to write {FORWARDING}"))?;
    fs::remove_file(record(directory)).context("failed to forget the network")
}

fn tolerate(error: &anyhow::Error, expected: &str) {
    let text = format!("{error:#}");
    if !text.contains(expected) {
        say(format_args!("going on in spite of this: {text}"));
    }
}

fn ports() -> Result<Vec<String>> {
    let directory = Path::new("/sys/class/net").join(BRIDGE).join("brif");
    let entries = fs::read_dir(&directory).with_context(|| format!("failed to list {}", directory.display()))?;
    Ok(entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}

fn ip(arguments: &[&str]) -> Result<()> {
    command::capture(command::program("ip")?.args(arguments)).map(drop)
}

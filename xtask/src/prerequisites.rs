//! What must be installed before anything can be built or started: Debian's packages and Rust's static target.
//!
//! Only what is missing is installed, and everything that is installed is said.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::{command, progress::say};

/// A program or file that shows that a Debian package is there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Need {
    pub(crate) shown_by: &'static str,
    pub(crate) package: &'static str,
}

/// To build static programs.
const FOR_PROGRAMS: [Need; 1] = [Need { shown_by: "musl-gcc", package: "musl-tools" }];

/// To make images without anything that runs in the background.
const FOR_IMAGES: [Need; 1] = [Need { shown_by: "buildah", package: "buildah" }];

/// To run pods.
const FOR_NODE: [Need; 7] = [
    Need { shown_by: "containerd", package: "containerd" },
    Need { shown_by: "runc", package: "runc" },
    Need { shown_by: "/usr/lib/cni/bridge", package: "containernetworking-plugins" },
    Need { shown_by: "iptables", package: "iptables" },
    Need { shown_by: "nft", package: "nftables" },
    Need { shown_by: "ip", package: "iproute2" },
    Need { shown_by: "conntrack", package: "conntrack" },
];

/// To look at the page, and for the rules of accessibility, which npm fetches.
const FOR_BROWSER: [Need; 3] = [
    Need { shown_by: "chromium", package: "chromium" },
    Need { shown_by: "chromedriver", package: "chromium-driver" },
    Need { shown_by: "npm", package: "npm" },
];

/// The target of everything that goes into an image.
pub(crate) const STATIC_TARGET: &str = "x86_64-unknown-linux-musl";

pub(crate) fn for_static_programs() -> Result<()> {
    install(&FOR_PROGRAMS)?;
    rust_target(STATIC_TARGET)
}

pub(crate) fn for_images() -> Result<()> {
    install(&FOR_IMAGES)
}

pub(crate) fn for_browser() -> Result<()> {
    install(&FOR_BROWSER)
}

pub(crate) fn for_node() -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!("failed to start a node: only root may make network links and mounts (a control plane needs no root: --control-plane)");
    }
    install(&FOR_NODE)
}

pub(crate) fn install(needs: &[Need]) -> Result<()> {
    let missing: Vec<&str> = needs.iter().filter(|need| !is_there(need.shown_by)).map(|need| need.package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    let Some(apt) = command::find_program("apt-get") else {
        bail!("failed to find {packages}: there is no apt-get here; please install them (the names are Debian's)");
    };
    say(format_args!("installing {packages}"));
    let apt = |arguments: &[&str]| {
        command::capture(std::process::Command::new(&apt).args(arguments).env("DEBIAN_FRONTEND", "noninteractive")).map(drop)
    };
    apt(&["update"]).context("failed to update apt's lists")?;
    let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
    arguments.extend(missing);
    apt(&arguments).with_context(|| format!("failed to install {packages} (root is needed)"))
}

fn is_there(shown_by: &str) -> bool {
    if shown_by.starts_with('/') { Path::new(shown_by).exists() } else { command::find_program(shown_by).is_some() }
}

/// `rust-toolchain.toml` names that of the images, so rustup has it; where no rustup manages the toolchain it must be there already.
pub(crate) fn rust_target(target: &str) -> Result<()> {
    let Some(rustup) = command::find_program("rustup") else { return Ok(()) };
    let installed = command::capture(std::process::Command::new(&rustup).args(["target", "list", "--installed"]))?;
    if installed.lines().any(|installed| installed == target) {
        return Ok(());
    }
    say(format_args!("installing the Rust target {target}"));
    command::run(std::process::Command::new(&rustup).args(["target", "add", target]))
}

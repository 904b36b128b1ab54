//! `cargo xtask cluster`: both sizes of the development cluster, up, down and status.
use std::path::Path;

use anyhow::Result;

use crate::{control_plane, directory::State};

pub(crate) fn control_plane_up(name: Option<&str>, version: Option<&str>) -> Result<()> {
    let state = State::open()?;
    let kubeconfig = control_plane::up(&state, name, version)?;
    print_environment(&state, &kubeconfig);
    Ok(())
}

pub(crate) fn control_plane_down(name: Option<&str>) -> Result<()> {
    control_plane::down(&State::open()?, name.unwrap_or("default"))
}
pub(crate) fn up(_context: Option<&str>) -> Result<()> {
    anyhow::bail!("not yet")
}
pub(crate) fn down(_context: Option<&str>) -> Result<()> {
    anyhow::bail!("not yet")
}
pub(crate) fn status(_context: Option<&str>) -> Result<()> {
    let state = State::open()?;
    for line in control_plane::list(&state) {
        println!("{line}");
    }
    Ok(())
}

/// The two lines that a shell needs.
fn print_environment(state: &State, kubeconfig: &Path) {
    println!("export KUBECONFIG={}", kubeconfig.display());
    println!("export PATH={}:$PATH", state.bin().display());
}

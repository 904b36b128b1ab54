//! `demo-app pause`: holds a pod's namespaces until it is told to stop, and buries the orphans that process 1 inherits.

use anyhow::Context;
use rustix::process::{WaitOptions, wait};
use tokio::signal::unix::{SignalKind, signal};

pub(crate) async fn until_stopped() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to listen for SIGINT")?;
    let mut child = signal(SignalKind::child()).context("failed to listen for SIGCHLD")?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            // One signal can stand for several children, so take all that are there; an error means that there are none.
            _ = child.recv() => while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {},
        }
    }
}

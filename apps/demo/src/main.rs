//! The demo's HTTP service: answers every path with its version, counts what it answers, and fails as its environment says.
//!
//! It stands for somebody's real service, so it knows nothing of canaries. `demo-app pause` does nothing but hold a pod's
//! namespaces, which lets one binary serve as both images of the development cluster.

mod dependency;
mod faults;
mod metrics;
mod pause;
mod serve;
mod settings;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::serve::App;
use crate::settings::Settings;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("demo-app: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    // One thread: ten of these share two cores with everything else, and 100 requests/s need no more.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("failed to start the runtime")?;
    match std::env::args().nth(1).as_deref() {
        None => runtime.block_on(service()),
        Some("pause") => runtime.block_on(pause::until_stopped()),
        Some(other) => bail!("unknown argument {other}: give none to serve, or `pause`; everything else is set by environment variables"),
    }
}

async fn service() -> anyhow::Result<()> {
    let settings = Settings::from_lookup(&|name| std::env::var(name).ok())?;
    // As process 1 of its container it would ignore SIGTERM without a handler, so take the signals before anything else.
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to listen for SIGINT")?;
    let listener =
        TcpListener::bind(("0.0.0.0", settings.port)).await.with_context(|| format!("failed to listen on port {}", settings.port))?;
    println!("demo-app {} serves on port {}: {}", settings.version, settings.port, settings.faults);
    serve::serve(listener, Arc::new(App::new(settings)), async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
    .await
}

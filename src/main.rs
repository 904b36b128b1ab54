//! The process: command line, log, TLS provider, runtime, exit code. Everything else is in the library.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;
use coalmine::args::Arguments;
use coalmine::{run, telemetry};

/// See Cargo.toml for why. Elsewhere the system's is good.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    telemetry::start(arguments.log_format);
    match start(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: Arguments) -> anyhow::Result<()> {
    // Named once for the whole process: a library that finds none, or two, panics at its first connection.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // The work is waiting for others: more threads would only cost memory.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(4)
        .enable_all()
        .build()
        .context("failed to start the runtime")?;
    let ended = runtime.block_on(run::run(arguments));
    runtime.shutdown_timeout(Duration::from_secs(1));
    ended
}

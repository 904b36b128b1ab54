//! Load at a fixed rate against one HTTP address, one line per second: what came back, from which version, how late.
//!
//! Open loop: every request has a time at which it is due, and its latency counts from then, so a slow server cannot slow the
//! load down and hide. This file only wires; the loop is in `load.rs`.

mod args;
mod connection;
mod latency;
mod load;
mod report;
mod tally;

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::args::Args;
use crate::load::Load;
use crate::report::Report;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help and version also come as errors, to standard output.
            error.print().ok();
            return if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("client: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    // One thread holds several thousand requests per second, and leaves the other cores to whom it measures.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("failed to start the runtime")?;
    runtime.block_on(async {
        let stop = CancellationToken::new();
        cancel_on_signal(&stop)?;
        let address = args.url.resolve().await?;
        let load = Arc::new(Load::new(args, address, stop));
        let report = Report::new(std::io::stdout().lock(), args);
        load::run(&load, report).await
    })
}

/// The first SIGINT or SIGTERM ends the load, which still prints its summary.
fn cancel_on_signal(stop: &CancellationToken) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt()).context("failed to listen for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("failed to listen for SIGTERM")?;
    let stop = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        stop.cancel();
    });
    Ok(())
}

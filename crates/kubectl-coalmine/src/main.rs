//! `kubectl coalmine`: what the objects say, read for a person, and the few annotations that steer a canary, written for one.
//! Needs no access to Coalmine itself, only Kubernetes' own rights on Deployments. Every sentence about a canary is the core's.

mod args;
mod clock;
mod cluster;
mod commands;
mod kubeconfig;
mod series;
mod terminal;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::Arguments;

/// What a command ends with. Scripts rely on these numbers; `docs/plugin.md` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Promoted, or nothing is held.
    Good = 0,
    /// A mistake in the command, or the API server refused.
    Failed = 1,
    Rejected = 2,
    Inconclusive = 3,
    TimedOut = 4,
    WaitsForApproval = 5,
}

fn main() -> ExitCode {
    let Ok(()) = rustls::crypto::ring::default_provider().install_default() else { return ExitCode::FAILURE };
    let mut typed: Vec<_> = std::env::args_os().collect();
    // kubectl completes a plugin's words by a program of another name: this file under that name, or a script that says so.
    let by_name = typed.first().is_some_and(|program| program.to_string_lossy().ends_with("kubectl_complete-coalmine"));
    if by_name || typed.get(1).is_some_and(|word| word == "__complete") {
        typed.drain(..if by_name { 1 } else { 2 });
        terminal::print(&commands::completion::candidates(&typed));
        return ExitCode::SUCCESS;
    }
    let arguments = match Arguments::try_parse_from(typed) {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            // clap ends with 2, which says "rejected" here.
            return if error.use_stderr() { ExitCode::from(End::Failed as u8) } else { ExitCode::SUCCESS };
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            terminal::complain(&format!("failed to start: {error}"));
            return ExitCode::from(End::Failed as u8);
        }
    };
    match runtime.block_on(commands::run(arguments)) {
        Ok(end) => ExitCode::from(end as u8),
        Err(error) => {
            terminal::complain(&format!("{error:#}"));
            ExitCode::from(End::Failed as u8)
        }
    }
}

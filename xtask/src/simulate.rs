//! `cargo xtask simulate` and `cargo xtask chart`: the verdict on simulated traffic, as tables and as a picture.
//!
//! The simulation is a package of its own; here is only what can be typed and where the results go.

use std::io;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use coalmine_simulate::tables::{self, Only};
use coalmine_simulate::{chart, situation};

#[derive(Args, Debug)]
pub(crate) struct SimulateOptions {
    /// How often each situation is simulated
    #[arg(long, default_value_t = 500, value_name = "COUNT")]
    runs: usize,

    /// Only lines whose names have all of these words, in their order
    #[arg(value_name = "WORD")]
    only: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct ChartOptions {
    /// Where the picture goes
    #[arg(long, default_value = "docs/evidence.svg", value_name = "FILE")]
    output: PathBuf,
}

pub(crate) fn simulate(options: &SimulateOptions) -> Result<()> {
    let begin = Instant::now();
    let broken =
        tables::print_all(options.runs, &Only(options.only.clone()), &mut io::stdout().lock()).context("failed to print the tables")?;
    if broken.is_empty() {
        println!(
            "All bounds hold: false rejections <= {} %, false promotions <= {} % ({} s)",
            situation::FALSE_REJECTS * 100.0,
            situation::FALSE_PROMOTIONS * 100.0,
            begin.elapsed().as_secs()
        );
        return Ok(());
    }
    let lines: Vec<String> = broken.into_iter().map(|broken| broken.0).collect();
    bail!("{} of the bounds broken:\n  {}", lines.len(), lines.join("\n  "));
}

pub(crate) fn chart(options: &ChartOptions) -> Result<()> {
    std::fs::write(&options.output, chart::draw()).with_context(|| format!("failed to write {}", options.output.display()))?;
    println!("{}", options.output.display());
    Ok(())
}

//! The repository's own commands: `cargo xtask help` lists them.
//!
//! This file only says what can be typed; each command lives in the module of its name.

mod bench;
mod cast;
mod cluster;
mod command;
mod control_plane;
mod demo;
mod deploy;
mod directory;
mod images;
mod leftovers;
mod network;
mod node;
mod pki;
mod prerequisites;
mod process;
mod programs;
mod progress;
mod release;
mod simulate;
mod target;
mod test;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::target::Target;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "The repository's own commands", version)]
struct Arguments {
    /// Use the cluster of this kubeconfig context instead of the development cluster
    #[arg(long, global = true, value_name = "NAME")]
    context: Option<String>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Watch a bad version being kept out and a good one let in, on a real cluster with real traffic
    Demo(FromPages),
    /// A real Kubernetes on this machine
    #[command(subcommand)]
    Cluster(ClusterVerb),
    /// Build the images and load them into the cluster
    Images,
    /// Install Coalmine and wait until its webhook answers
    Deploy(FromPages),
    /// Run every test, or a part of them
    Test(test::Options),
    /// Make everything that a release consists of, into dist/
    Release(release::Options),
    /// Measure sizes and times, and print them beside their budgets; fails when one is exceeded
    Bench(bench::Options),
    /// The verdict's own code on simulated traffic, beside the usual rules; fails when an error bound is broken
    Simulate(simulate::SimulateOptions),
    /// Play a day with `kubectl coalmine` on a cluster, and record it as docs/day-two.cast
    Cast,
    /// Draw the evidence over time of a rejected and of a promoted run
    Chart(simulate::ChartOptions),
}

#[derive(Debug, Subcommand)]
enum ClusterVerb {
    /// Start it, or what is missing of it; prints the lines that make kubectl use it
    Up {
        #[command(flatten)]
        which: Which,
        /// The API server's version, such as 1.30.14 (control planes only)
        #[arg(long, requires = "control_plane", value_name = "VERSION")]
        kubernetes: Option<String>,
    },
    /// Build what `up` would start, and start nothing
    Build,
    /// Stop it and remove all that it stored; built programs are kept
    Down {
        #[command(flatten)]
        which: Which,
    },
    /// Say what runs
    Status,
}

#[derive(Args, Debug)]
struct FromPages {
    /// Without a Prometheus: counts are read on the pods' own metrics pages
    #[arg(long)]
    no_prometheus: bool,
}

#[derive(Args, Debug)]
struct Which {
    /// Only etcd, API server and controller-manager on loopback ports; several can run side by side
    #[arg(long)]
    control_plane: bool,
    /// The control plane's name
    #[arg(long, requires = "control_plane")]
    name: Option<String>,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<()> {
    let context = arguments.context.as_deref();
    match arguments.verb {
        Verb::Cluster(ClusterVerb::Up { which, kubernetes }) if which.control_plane => {
            cluster::control_plane_up(which.name.as_deref(), kubernetes.as_deref())
        }
        Verb::Cluster(ClusterVerb::Up { .. }) => cluster::up(&Target::new(context)?, deploy::Counts::Prometheus),
        Verb::Cluster(ClusterVerb::Down { which }) if which.control_plane => cluster::control_plane_down(which.name.as_deref()),
        Verb::Cluster(ClusterVerb::Down { .. }) => cluster::down(&Target::new(context)?),
        Verb::Cluster(ClusterVerb::Build) => cluster::build(&Target::new(context)?),
        Verb::Cluster(ClusterVerb::Status) => cluster::status(&Target::new(context)?),
        Verb::Demo(from) => demo::run(&Target::new(context)?, deploy::Counts::of(from.no_prometheus)),
        Verb::Images => images::images(&Target::new(context)?).map(drop),
        Verb::Deploy(from) => deploy::deploy(&Target::new(context)?, deploy::Counts::of(from.no_prometheus)),
        Verb::Test(options) => test::test(&Target::new(context)?, &options),
        Verb::Release(options) => release::release(&options),
        Verb::Bench(options) => bench::bench(&Target::new(context)?, &options),
        Verb::Simulate(options) => simulate::simulate(&options),
        Verb::Cast => cast::cast(&Target::new(context)?),
        Verb::Chart(options) => simulate::chart(&options),
    }
}

//! `cargo xtask cluster`: both sizes of the development cluster, up, down and status.
//!
//! The order of things is here, and nothing else. Every step finds out by itself what is done already, so that `up` can be run
//! at any time: on a fresh machine, on a running cluster, and after everything was killed.

use std::{fs, net::Ipv4Addr, path::Path, thread};

use anyhow::{Context, Result, bail};

use crate::{
    command,
    control_plane::{self, ControlPlane, Endpoints},
    deploy::{self, Counts},
    directory::State,
    images, leftovers, network,
    node::{self, Node},
    prerequisites,
    process::Processes,
    programs::{CONTROL_PLANE, Module, NODE, Programs},
    progress::say,
    target::Target,
};

const ENDPOINTS: Endpoints = Endpoints { address: Ipv4Addr::new(10, 88, 0, 1), api: 6443, etcd: 20_379, etcd_peer: 20_380 };

const DNS_RIGHTS: &str = include_str!("../assets/coredns.yaml");

/// `cluster up`
pub(crate) fn up(target: &Target, counts: Counts) -> Result<()> {
    match target {
        Target::Development(state) => {
            start(state, counts)?;
            print_environment(state, &state.cluster().join("kubeconfig"));
            Ok(())
        }
        Target::Foreign(context) => {
            target.check()?;
            say(format_args!("the cluster of the context {context} answers; nothing is started here"));
            Ok(())
        }
    }
}

/// `cluster build`: all that `up`, `images` and `deploy` would build, so that they find it done.
pub(crate) fn build(target: &Target) -> Result<()> {
    let Target::Development(state) = target else {
        bail!("failed to build a cluster for a context: `cluster build` is for the development cluster");
    };
    prerequisites::for_node()?;
    programs(state)?;
    images::build(target, state, &images::BASE)?;
    images::build(target, state, &images::OWN).map(drop)
}

/// Kubernetes' programs. Go and cargo each have steps that keep only one core busy, so they work side by side.
fn programs(state: &State) -> Result<Programs> {
    prerequisites::for_static_programs()?;
    thread::scope(|scope| {
        let go = scope.spawn(|| {
            let programs: Vec<&str> = CONTROL_PLANE.iter().chain(&NODE).copied().collect();
            let programs = Module::kubernetes()?.build(state, &programs)?;
            Module::prometheus().build(state, &["prometheus"])?;
            Ok(programs)
        });
        let rust = images::compile();
        let programs = go.join().unwrap_or_else(|_| bail!("failed to build Kubernetes' programs: see above"));
        rust.and(programs)
    })
}

/// Starts what is missing of the whole cluster.
pub(crate) fn start(state: &State, counts: Counts) -> Result<()> {
    prerequisites::for_node()?;
    network::check(&state.cluster())?;
    let programs = programs(state)?;
    let target = Target::Development(state.clone());
    let archives = images::build(&target, state, &images::BASE)?;

    let _lock = state.lock("cluster")?;
    let directory = state.cluster();
    fs::create_dir_all(&directory).with_context(|| format!("failed to create {}", directory.display()))?;
    network::up(&directory)?;
    let control_plane = ControlPlane::new(&directory, ENDPOINTS)?;
    say("starting the control plane");
    control_plane.start(&programs, &programs, "coalmine", true)?;
    command::capture_with_input(&mut target.kubectl(&["apply", "-f", "-"]), DNS_RIGHTS).context("failed to let DNS read services")?;
    say("starting the node");
    let node = Node::new(&directory);
    node.start_runtime(&control_plane)?;
    images::load(state, &archives)?;
    node.start(&control_plane, &programs)?;
    if counts == Counts::Prometheus {
        say("starting Prometheus");
        deploy::prometheus(state, &archives)?;
    }
    say("the cluster is ready");
    Ok(())
}

/// `cluster down`
pub(crate) fn down(target: &Target) -> Result<()> {
    let state = match target {
        Target::Development(state) => state,
        Target::Foreign(context) => {
            say(format_args!("nothing was started here for the context {context}"));
            return Ok(());
        }
    };
    let _lock = state.lock("cluster")?;
    let directory = state.cluster();
    if !directory.exists() {
        say("there is no cluster");
        return Ok(());
    }
    let processes = Processes::new(&directory);
    say("stopping the node");
    Node::stop_order().iter().try_for_each(|name| processes.stop(name))?;
    leftovers::kill_containers(&directory)?;
    leftovers::forget_containers(&directory)?;
    say("stopping the control plane");
    control_plane::stop(&processes)?;
    leftovers::unmount_all(&directory)?;
    node::remove_control_groups();
    network::down(&directory)?;
    fs::remove_dir_all(&directory).with_context(|| format!("failed to remove {}", directory.display()))?;
    say("the cluster is gone");
    Ok(())
}

/// `cluster status`
pub(crate) fn status(target: &Target) -> Result<()> {
    let state = match target {
        Target::Development(state) => state,
        Target::Foreign(_) => return command::run(&mut target.kubectl(&["get", "nodes"])),
    };
    println!("state directory   {}", state.root().display());
    println!("kubectl           {}", target.kubectl_path().display());
    let processes = Processes::new(&state.cluster());
    let mut names = vec!["etcd", "kube-apiserver", "kube-controller-manager"];
    names.extend(Node::stop_order().iter().rev());
    for name in names {
        match processes.pid(name) {
            Some(pid) => println!("{name:<24}  running, process {pid}, log {}", processes.log_path(name).display()),
            None => println!("{name:<24}  stopped"),
        }
    }
    if processes.is_running("kube-apiserver") {
        println!("KUBECONFIG={}", state.cluster().join("kubeconfig").display());
        command::run(&mut target.kubectl(&["get", "nodes,pods", "--all-namespaces"]))?;
    }
    println!("\ncontrol planes:");
    for line in control_plane::list(state) {
        println!("{line}");
    }
    Ok(())
}

/// `cluster up --control-plane`
pub(crate) fn control_plane_up(name: Option<&str>, version: Option<&str>) -> Result<()> {
    let state = State::open()?;
    let kubeconfig = control_plane::up(&state, name, version)?;
    print_environment(&state, &kubeconfig);
    Ok(())
}

/// `cluster down --control-plane`
pub(crate) fn control_plane_down(name: Option<&str>) -> Result<()> {
    control_plane::down(&State::open()?, name.unwrap_or("default"))
}

/// The two lines that a shell needs.
fn print_environment(state: &State, kubeconfig: &Path) {
    println!("export KUBECONFIG={}", kubeconfig.display());
    println!("export PATH={}:$PATH", state.bin().display());
}

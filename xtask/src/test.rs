//! `cargo xtask test`: every test of the repository, in six suites that need more and more of a machine, and a seventh that has to be named.
//!
//! It starts what a suite needs and tells the tests by environment variables where it is; it knows no single test.

mod integration;

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use self::integration::Tests;
use crate::{
    cluster, command, control_plane, deploy,
    directory::{State, repository},
    images, prerequisites,
    programs::{FLUX, Module, assets::Assets, default_kubernetes},
    progress::say,
    target::Target,
};

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Suite {
    /// Format, lints, and all that needs no cluster
    Unit,
    /// Against an API server of its own, which is gone afterwards
    Hold,
    /// The chart, with Helm and an API server of its own
    Chart,
    /// Against a Prometheus of its own, without a Kubernetes
    Prometheus,
    /// The page in a headless Chromium, with an API server of its own
    Browser,
    /// Replicas that lead, on an API server of their own, while both and all around them fail at random
    Faults,
    /// On the whole cluster, or that of --context
    Cluster,
    /// With Flux's controllers on the whole cluster; only by its name, since they take long to build
    Flux,
}

impl fmt::Display for Suite {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Unit => "unit",
            Self::Hold => "hold",
            Self::Chart => "chart",
            Self::Prometheus => "prometheus",
            Self::Browser => "browser",
            Self::Faults => "faults",
            Self::Cluster => "cluster",
            Self::Flux => "flux",
        })
    }
}

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Only this suite
    #[arg(long)]
    suite: Option<Suite>,
    /// The API server's version for the hold suite, such as 1.30.14
    #[arg(long, value_name = "VERSION")]
    kubernetes: Option<String>,
    /// The version of kubectl for the hold suite, such as 1.30.14
    #[arg(long, value_name = "VERSION")]
    kubectl: Option<String>,
    /// How many tests of a suite run at the same time
    #[arg(long, default_value_t = 4, value_name = "COUNT")]
    threads: usize,
    /// The cluster suite with Coalmine installed without Prometheus: counts are read on the pods' own metrics pages
    #[arg(long)]
    no_prometheus: bool,
    /// Only tests whose name contains this
    filter: Option<String>,
}

/// Runs the suites that were asked for; a failed one doesn't keep the next from running.
pub(crate) fn test(target: &Target, options: &Options) -> Result<()> {
    let suites = match options.suite {
        Some(suite) => vec![suite],
        None => vec![Suite::Unit, Suite::Hold, Suite::Chart, Suite::Prometheus, Suite::Browser, Suite::Faults, Suite::Cluster],
    };
    let mut results = Vec::new();
    let mut ahead = None;
    for suite in suites.iter().copied() {
        say(format_args!("suite {suite}"));
        let started = Instant::now();
        let cluster_follows = suites.contains(&Suite::Cluster) && matches!(target, Target::Development(_));
        let result = match suite {
            Suite::Unit => unit(options),
            Suite::Hold => hold(options, || {
                ahead = cluster_follows.then(Ahead::start).flatten();
            }),
            Suite::Chart => chart(options),
            Suite::Prometheus => prometheus(options),
            Suite::Browser => browser(options),
            Suite::Faults => faults(options),
            Suite::Cluster => {
                if let Some(ahead) = ahead.take() {
                    ahead.finish();
                }
                whole_cluster(target, options, "cluster::", |_| {
                    prerequisites::for_browser()?;
                    Ok(Vec::new())
                })
            }
            Suite::Flux => flux(target, options),
        };
        if let Err(error) = &result {
            say(format_args!("suite {suite} failed: {error:#}"));
        }
        results.push((suite, result.is_ok(), started.elapsed()));
    }
    println!();
    for (suite, passed, elapsed) in &results {
        println!("{:<10} {:<7} {:>5} s", suite.to_string(), if *passed { "passed" } else { "FAILED" }, elapsed.as_secs());
    }
    let failed = results.iter().filter(|(_, passed, _)| !passed).count();
    if failed > 0 {
        bail!("{failed} of {} suites failed", results.len());
    }
    Ok(())
}

fn cargo(arguments: &[&str]) -> Result<Command> {
    let mut command = command::cargo()?;
    command.args(arguments).current_dir(repository());
    Ok(command)
}

fn unit(options: &Options) -> Result<()> {
    if let Some(filter) = &options.filter {
        return command::run(&mut cargo(&["test", "--workspace", "--", filter])?);
    }
    command::run(&mut cargo(&["fmt", "--all", "--check"])?)?;
    command::run(&mut cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])?)?;
    command::run(&mut cargo(&["test", "--workspace"])?)
}

/// `waiting` is called when all is built and only the tests are left to be waited for.
fn hold(options: &Options, waiting: impl FnOnce()) -> Result<()> {
    let state = State::open()?;
    let mut tests = Tests::build(&state)?.with_clients(&state)?;
    if let Some(assets) = Assets::find()? {
        tests.kubectl = assets.kubectl();
    }
    let mut clients = String::new();
    if let Some(version) = &options.kubectl {
        tests.kubectl = Module::other_kubectl(&state, version)?.build(&state, &["kubectl"])?.path("kubectl");
        clients = format!(", kubectl {version}");
    }
    let Some(names) = Tests::names("hold::", options.filter.as_deref())? else { return Ok(()) };
    with_control_plane(&state, options, |kubeconfig, version| {
        waiting();
        say(format_args!("{} tests of the hold on Kubernetes {version}{clients}", names.len()));
        let column = format!("{version}{clients}");
        // These start replicas that lead, and so act on every Deployment of the server.
        let (leading, others) = names.into_iter().partition(|name| name.contains("::certificates::"));
        tests.run_in_turn([(others, options.threads), (leading, options.threads)], kubeconfig, &column)
    })
}

fn chart(options: &Options) -> Result<()> {
    let state = State::open()?;
    let tests = Tests::build(&state)?;
    let Some(names) = Tests::names("chart::", options.filter.as_deref())? else { return Ok(()) };
    // These install what the others only ask about.
    let (installing, others) = names.into_iter().partition(|name| name.contains("::life::"));
    with_control_plane(&state, options, |kubeconfig, version| {
        tests.run_in_turn([(others, options.threads), (installing, 1)], kubeconfig, version)
    })
}

/// Runs `work` with the kubeconfig and the version of a control plane that is gone afterwards.
fn with_control_plane(state: &State, options: &Options, work: impl FnOnce(&Path, &str) -> Result<()>) -> Result<()> {
    control_plane::down_abandoned(state)?;
    let name = format!("{}{}", control_plane::TEMPORARY, std::process::id());
    let version = control_plane::version_of(options.kubernetes.as_deref())?;
    let result = control_plane::up(state, Some(&name), Some(&version)).and_then(|kubeconfig| work(&kubeconfig, &version));
    let gone = control_plane::down(state, &name);
    result.and(gone)
}

fn prometheus(options: &Options) -> Result<()> {
    let programs = Module::prometheus().build(&State::open()?, &["prometheus", "promtool"])?;
    command::run(&mut cargo(&["test", "--workspace", "--test", "integration", "--no-run"])?)?;
    let Some(names) = Tests::names("prometheus::", options.filter.as_deref())? else { return Ok(()) };
    let mut command = cargo(&["test", "--workspace", "--test", "integration", "--", "--ignored", "--exact"])?;
    let [prometheus, promtool] = ["prometheus", "promtool"].map(|program| programs.path(program));
    let command = command.args(names).env("COALMINE_PROMETHEUS", prometheus).env("COALMINE_PROMTOOL", promtool);
    let status = command.stdin(Stdio::null()).status().context("failed to start cargo")?;
    if !status.success() {
        bail!("tests failed, see above");
    }
    Ok(())
}

fn browser(options: &Options) -> Result<()> {
    prerequisites::for_browser()?;
    let state = State::open()?;
    let tests = Tests::build(&state)?;
    let Some(names) = Tests::names("browser::", options.filter.as_deref())? else { return Ok(()) };
    // A browser each: two at a time are enough for a small machine.
    with_control_plane(&state, options, |kubeconfig, version| tests.run(&names, options.threads.min(2), kubeconfig, version))
}

fn faults(options: &Options) -> Result<()> {
    let state = State::open()?;
    let mut tests = Tests::build(&state)?;
    tests.paths.push(("COALMINE_PROMETHEUS", Module::prometheus().build(&state, &["prometheus"])?.path("prometheus")));
    // Their seeds, and what came of each, also when all is well.
    tests.paths.push(("RUST_TEST_NOCAPTURE", "1".into()));
    // What they took down they bring back by this program.
    tests.paths.push(("COALMINE_XTASK", std::env::current_exe().context("failed to find this program")?));
    let Some(names) = Tests::names("faults::", options.filter.as_deref())? else { return Ok(()) };
    with_control_plane(&state, options, |kubeconfig, version| tests.run(&names, 1, kubeconfig, version))
}

type Paths = Vec<(&'static str, PathBuf)>;

/// First on a control plane, where the tests give the verdicts, then on the whole cluster.
fn flux(target: &Target, options: &Options) -> Result<()> {
    let state = State::open()?;
    let module = Module::flux();
    let paths = vec![("COALMINE_FLUX_CONTROLLERS", module.build(&state, &FLUX)?.path(""))];
    let mut tests = Tests::build(&state)?;
    tests.paths.clone_from(&paths);
    let kubectl = tests.kubectl.clone();
    if let Some(names) = Tests::names("flux::held::", options.filter.as_deref())? {
        with_control_plane(&state, options, |kubeconfig, version| {
            define(&module, || {
                let mut command = Command::new(&kubectl);
                command.arg("--kubeconfig").arg(kubeconfig);
                command
            })?;
            tests.run(&names, options.threads, kubeconfig, version)
        })?;
    }
    whole_cluster(target, options, "flux::story::", |_| {
        define(&module, || target.kubectl(&[]))?;
        Ok(paths)
    })
}

/// What Flux' controllers read.
fn define(module: &Module, kubectl: impl Fn() -> Command) -> Result<()> {
    for name in FLUX {
        let definitions = module.pinned(&format!("github.com/fluxcd/{name}"))?.join("config/crd/bases");
        command::run(kubectl().args(["apply", "--server-side", "--force-conflicts", "--filename"]).arg(definitions))?;
    }
    command::run(kubectl().args(["wait", "--for=condition=Established", "--timeout=60s", "customresourcedefinitions", "--all"]))
}

/// `more` prepares what only this suite needs.
fn whole_cluster(target: &Target, options: &Options, prefix: &str, more: impl FnOnce(&State) -> Result<Paths>) -> Result<()> {
    let state = State::open()?;
    let mut tests = Tests::build(&state)?.with_plugin()?;
    let Some(names) = Tests::names(prefix, options.filter.as_deref())? else { return Ok(()) };
    if let Target::Development(state) = target {
        cluster::start(state, deploy::Counts::Prometheus)?;
        images::images(target)?;
        tests.paths.push(("COALMINE_KUBELET", state.cluster().join("run/kubelet.json")));
    }
    let counts = deploy::Counts::of(options.no_prometheus);
    deploy::deploy(target, counts)?;
    tests.paths.extend(more(&state)?);
    tests.paths.push(("COALMINE_MANIFESTS", repository().join(counts.manifests())));
    say(format_args!("{} tests on the whole cluster", names.len()));
    // These take something away from all, or need the machine for themselves.
    let (alone, others) = names.into_iter().partition(|name| name.contains("::alone::"));
    let run = |kubeconfig: &Path| tests.run_in_turn([(others, options.threads), (alone, 1)], kubeconfig, &default_kubernetes()?);
    match target {
        Target::Development(state) => run(&state.cluster().join("kubeconfig")),
        Target::Foreign(context) => {
            // A file of its own with that one context: the tests need not know how the cluster was chosen. There only for them.
            let kubeconfig = command::capture(&mut target.kubectl(&["config", "view", "--raw", "--minify", "--flatten"]))?;
            let path = state.root().join(format!("kubeconfig-{}", context.replace('/', "-")));
            command::write_private(&path, kubeconfig)?;
            let result = run(&path);
            let removed = fs::remove_file(&path).with_context(|| format!("failed to remove {}", path.display()));
            result.and(removed)
        }
    }
}

/// What the cluster's suite needs, being built while the hold's tests wait for their servers: by a process of its own, which gives way to them.
struct Ahead(Child);

impl Ahead {
    /// `None` when it cannot be: then the suite builds it itself.
    fn start() -> Option<Self> {
        say("building what the suite cluster needs, meanwhile");
        let own = std::env::current_exe().ok()?;
        let mut command = command::ending_with_us(Path::new("nice"));
        command.args(["-n", "19"]).arg(own).args(["cluster", "build"]);
        // Its progress would stand between the lines of the tests.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().ok().map(Self)
    }

    /// Whether it succeeded is nothing to tell: the suite meets the same error, and tells it.
    fn finish(mut self) {
        if self.0.try_wait().is_ok_and(|ended| ended.is_none()) {
            say("waiting for what is being built for this suite");
        }
        let _ = self.0.wait();
    }
}

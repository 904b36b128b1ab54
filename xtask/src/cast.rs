//! `cargo xtask cast`: a day with Coalmine at a terminal, played on a real cluster and recorded as a text cast (asciicast v2: one line of JSON
//! for each piece of output), for docs/day-two.cast. Needs Coalmine installed and the demo's images loaded; makes a namespace of its own and
//! takes it away again.

use std::{
    fmt::Write as _,
    io::{BufRead as _, BufReader},
    ops::ControlFlow,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::{
    command,
    directory::{cargo_target, repository},
    progress::{say, wait_for},
    target::Target,
};

const NAMESPACE: &str = "day-two";
const WIDTH: usize = 120;

/// What is typed, and how it must end.
const STORY: [(&str, i32); 34] = [
    ("# What would a canary of this be judged by? Nobody has opted in yet.", 0),
    ("kubectl coalmine explain app", 0),
    ("kubectl annotate deploy/app canary.enabled=true", 0),
    ("# A version that fails each request: it is kept out.", 0),
    ("kubectl apply -f examples/app-bad.yaml", 0),
    ("kubectl coalmine watch app", 2),
    ("kubectl coalmine list", 0),
    ("kubectl coalmine diff app", 0),
    ("kubectl coalmine retry app", 0),
    ("kubectl coalmine watch app", 2),
    ("kubectl coalmine history app", 0),
    ("# A good one, which somebody else must agree to.", 0),
    ("kubectl annotate deploy/app canary.approval=other", 0),
    ("kubectl apply -f examples/app-good-v2.yaml", 0),
    ("kubectl coalmine watch app", 5),
    ("kubectl coalmine approve app", 1),
    ("kubectl coalmine approve app --reason 'looks good' --as bob --as-group system:masters", 0),
    ("kubectl coalmine watch app", 0),
    ("# The fair begins in the middle of a trial.", 0),
    ("kubectl set env deploy/app VERSION=3", 0),
    ("kubectl wait deploy/app --for=jsonpath='{.metadata.annotations.canary\\.state/phase}'=Running", 0),
    ("kubectl coalmine freeze --reason 'the fair, until Monday'", 0),
    (
        "kubectl wait deploy/app --timeout=1m --for=jsonpath='{.metadata.annotations.canary\\.state/message}'='namespace is frozen: the fair, until Monday'",
        0,
    ),
    ("kubectl coalmine status app", 0),
    ("kubectl coalmine unfreeze", 0),
    ("kubectl wait deploy/app --timeout=1m --for=jsonpath='{.metadata.annotations.canary\\.state/phase}'=Running", 0),
    ("kubectl coalmine explain app", 0),
    ("kubectl coalmine reject app --reason 'not on a Friday'", 0),
    ("kubectl coalmine watch app", 2),
    ("# From now on at night only.", 0),
    ("kubectl annotate deploy/app canary.window='Sun 03:00-04:00 Europe/Berlin'", 0),
    ("kubectl set env deploy/app VERSION=4", 0),
    ("kubectl coalmine status app", 0),
    ("kubectl coalmine list", 0),
];

pub(crate) fn cast(target: &Target) -> Result<()> {
    target.check()?;
    command::run(command::cargo()?.args(["build", "-p", "kubectl-coalmine"]).current_dir(repository()))?;
    let stage = Stage::set(target)?;
    let mut recording = Recording::begin();
    for (typed, code) in STORY {
        recording.play(&stage, typed, code)?;
    }
    let path = repository().join("docs/day-two.cast");
    command::write(&path, &recording.text)?;
    say(format_args!("written: {}", path.display()));
    command::run(&mut target.kubectl(&["delete", "namespace", NAMESPACE, "--wait=false"]))
}

/// A namespace with the demo's service under load, and what a shell needs to work in it.
struct Stage {
    kubeconfig: PathBuf,
    path: String,
}

impl Stage {
    fn set(target: &Target) -> Result<Self> {
        let kubeconfig = std::env::temp_dir().join("coalmine-day-two.kubeconfig");
        command::write_private(&kubeconfig, command::capture(&mut target.kubectl(&["config", "view", "--raw", "--minify", "--flatten"]))?)?;
        let directories = [target.kubectl_path().parent().map(PathBuf::from), Some(cargo_target().join("debug"))];
        let inherited = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths(directories.into_iter().flatten().chain(std::env::split_paths(&inherited)))?;
        let stage = Self { kubeconfig, path: path.to_string_lossy().into_owned() };
        for typed in [
            format!("kubectl create namespace {NAMESPACE}"),
            format!("kubectl config set-context --current --namespace={NAMESPACE}"),
            "kubectl apply -f examples/app.yaml".to_owned(),
            "kubectl annotate deploy/app canary.enabled-".to_owned(),
            "kubectl rollout status deploy/app --timeout=5m".to_owned(),
            "kubectl run client --image=localhost/client:dev --image-pull-policy=IfNotPresent --restart=Never -- --url http://app/ --rate 200 --duration 1h"
                .to_owned(),
            "kubectl wait pod/client --for=condition=Ready --timeout=2m".to_owned(),
        ] {
            command::run(&mut stage.shell(&typed))?;
        }
        // A minute of counts to compare with.
        let began = Instant::now();
        wait_for("the primary to be counted for a while", Duration::from_mins(2), || {
            Ok(if began.elapsed() > Duration::from_secs(40) { ControlFlow::Break(()) } else { ControlFlow::Continue(String::new()) })
        })?;
        Ok(stage)
    }

    fn shell(&self, typed: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec 2>&1; {typed}")]).current_dir(repository());
        shell.env("KUBECONFIG", &self.kubeconfig).env("PATH", &self.path).env("COLUMNS", WIDTH.to_string());
        shell
    }
}

struct Recording {
    started: Instant,
    text: String,
}

impl Recording {
    fn begin() -> Self {
        let title = "kubectl coalmine: a day with it";
        Self { started: Instant::now(), text: format!("{}\n", json!({"version": 2, "width": WIDTH, "height": 40, "title": title})) }
    }

    fn print(&mut self, text: &str) {
        println!("{text}");
        let at = (self.started.elapsed().as_secs_f64() * 1000.0).round() / 1000.0;
        // Writing into memory can't fail.
        let _ = writeln!(self.text, "{}", json!([at, "o", format!("{text}\r\n")]));
    }

    fn play(&mut self, stage: &Stage, typed: &str, code: i32) -> Result<()> {
        self.print(&format!("$ {typed}"));
        let mut child = stage.shell(typed).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("failed to start a shell")?;
        let output = child.stdout.take().context("a shell has no output")?;
        for line in BufReader::new(output).lines() {
            self.print(&line.context("failed to read what a command says")?);
        }
        let ended = child.wait().context("failed to wait for a command")?.code();
        if code != 0 {
            self.print(&format!("[exit code {code}]"));
        }
        ensure!(ended == Some(code), "{typed} ended with {ended:?}, not {code}");
        Ok(())
    }
}

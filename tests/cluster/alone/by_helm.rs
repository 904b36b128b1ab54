//! Installed by Helm, changed by it in the middle of a trial, and taken away by it in the middle of the next one: nothing blocks, and nothing
//! is lost.

use std::time::Duration;

use coalmine_core::api::annotations::Phase;

use super::reinstalled::Reinstalled;
use crate::chart::{chart, helm};
use crate::cluster::{
    app::App,
    stage::{PATIENCE, Stage},
    traffic::Traffic,
};
use crate::support::{
    control_plane::variable,
    kubectl::{Apply::ClientSide, Kubectl},
    within,
};

const NAMESPACE: &str = "coalmine";

/// Helm on the release, which must succeed within two minutes.
#[track_caller]
fn on_the_release(verb: &str, more: &[&str]) {
    let arguments = [&[verb, "coalmine"], more, &["--namespace", NAMESPACE, "--wait", "--timeout", "120s"]].concat();
    helm(&arguments).unwrap_or_else(|error| panic!("helm {verb}: {error}"));
}

#[test]
#[ignore = "needs a whole cluster"]
fn a_life_by_helm_with_a_template_held() {
    let chart = chart();
    let chart = chart.to_str().unwrap();
    let stage = Stage::with(&App::good("1"));
    let traffic = Traffic::start(&stage, 100);
    let directory = variable("COALMINE_MANIFESTS");
    let back = Reinstalled::at_the_end(stage.control_plane, &directory);
    Kubectl::of(stage.control_plane).run(&["delete", "-k", &directory, "--timeout=120s"]).succeeded();
    on_the_release("install", &[chart, "--create-namespace", "--set=prometheus.url=http://prometheus.monitoring.svc:9090"]);

    // Pods are Ready a moment before the node's proxy knows of them; until then the API server refuses what it can't ask about.
    let said = within(PATIENCE, Duration::from_millis(300), "the webhook to be reached", || {
        let said = stage.kubectl.apply(ClientSide, &App::good("2").canary("duration", "30s").manifest());
        if said.code == 0 { Ok(said) } else { Err(said.stderr) }
    });
    assert!(said.stderr.contains("template held"), "{said:?}");
    stage.await_event("CanaryAnalyzing");
    on_the_release("upgrade", &[chart, "--reuse-values", "--set=extraEnv[0].name=COALMINE_LOG,extraEnv[0].value=debug"]);
    let (phase, message) = stage.await_verdict();
    assert_eq!((phase, stage.live().as_str()), (Phase::Promoted, "2"), "{message}");
    stage.rollout_status().succeeded();

    stage.apply(&App::good("3").canary("duration", "60s"));
    stage.await_canary_ready();
    on_the_release("uninstall", &[]);
    assert_eq!(stage.live(), "2");
    stage.apply(&App::good("4"));
    assert_eq!(stage.live(), "4", "a plain Deployment takes what is applied");
    stage.rollout_status().succeeded();
    stage.kubectl.run(&["delete", "deployments", "--selector=coalmine.dev/role=canary"]).succeeded();
    stage.await_no_canary();

    drop(back);
    let all = traffic.since(0);
    assert_eq!(all.failures(), 0, "{all:?}");
}

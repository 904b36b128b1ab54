//! What the user does while a canary runs: sends a third version, goes back, opts out, turns the service off, or deletes something.

use std::time::Duration;

use coalmine_core::{api::annotations::Phase, manifest::object, run::times};
use rstest::rstest;

use super::{
    app::App,
    stage::{PATIENCE, Stage},
    traffic::Traffic,
};
use crate::support::within;

const PAUSE: Duration = Duration::from_millis(100);

#[test]
#[ignore = "needs a whole cluster"]
fn a_third_version_supersedes_the_second_and_is_tried_from_the_start() {
    let stage = Stage::with(&App::good("1"));
    let traffic = Traffic::start(&stage, 200);
    stage.apply(&App::good("2").canary("duration", "2m").canary("deadline", "3m"));
    stage.await_event("CanaryAnalyzing");
    let second = stage.deployment("app-canary").unwrap();
    let output = stage.apply(&App::good("3"));
    assert!(output.said().contains("the template held before is dropped; the canary starts over"), "{}", output.said());
    stage.await_event("CanarySuperseded");
    stage.await_phase(Phase::Promoted);
    assert_eq!(stage.live(), "3");
    let started = stage.reasons().iter().filter(|reason| *reason == "CanaryStarted").count();
    assert_eq!(started, 2, "{:?}", stage.events());
    stage.rollout_status().succeeded();
    stage.await_no_canary();
    assert!(stage.deployment("app-canary").is_none(), "{second}");
    let all = traffic.since(0);
    assert_eq!(all.failures(), 0, "{all:?}");
}

#[test]
#[ignore = "needs a whole cluster"]
fn going_back_while_the_canary_runs_withdraws_it() {
    let first = App::good("1");
    let stage = Stage::with(&first);
    let pods = stage.primary_pods();
    stage.apply(&App::good("2"));
    stage.await_canary_ready();
    let rollout = stage.start_rollout_status();
    stage.apply(&first);
    stage.await_event("CanaryWithdrawn");
    assert_eq!(stage.phase(), Some(Phase::Withdrawn));
    assert_eq!(rollout.ended().0, 0);
    stage.await_no_canary();
    assert_eq!(stage.primary_pods(), pods);
}

#[test]
#[ignore = "needs a whole cluster"]
fn opting_out_while_the_canary_runs_lets_the_template_pass_and_cancels_it() {
    let stage = Stage::with(&App::good("1"));
    let second = App::good("2");
    stage.apply(&second);
    stage.await_canary_ready();
    stage.apply(&second.canary("enabled", "false"));
    assert_eq!(stage.live(), "2");
    stage.await_no_canary();
    stage.rollout_status().succeeded();
}

#[test]
#[ignore = "needs a whole cluster"]
fn the_canary_goes_with_its_primary() {
    let stage = Stage::on_trial();
    stage.kubectl.run(&["delete", "deployment", "app"]).succeeded();
    stage.await_no_canary();
}

#[rstest]
#[case::is_deleted(&["delete", "deployment", "app-canary"], None)]
#[case::is_changed(&["set", "env", "deployment/app-canary", "ERROR_RATE=0"], Some("CanaryChanged"))]
#[case::is_scaled(&["scale", "deployment/app-canary", "--replicas=3"], Some("CanaryChanged"))]
#[ignore = "needs a whole cluster"]
fn a_canary_that_somebody_lays_hands_on_is_made_again(#[case] command: &[&str], #[case] told: Option<&str>) {
    let stage = Stage::with(&App::good("1"));
    stage.apply(&App::good("2").canary("duration", "2m").canary("deadline", "3m"));
    stage.await_event("CanaryAnalyzing");
    let first = stage.deployment("app-canary").expect("the canary");
    stage.kubectl.run(command).succeeded();
    let second = within(PATIENCE, PAUSE, "another canary that is judged", || match stage.deployment("app-canary") {
        Some(canary) if object::uid(&canary) != object::uid(&first) && times::ready_since(&canary).is_some() => Ok(canary),
        seen => Err(format!("{:?}; {:?}", seen.is_some(), stage.events())),
    });
    assert_eq!(object::template(&second), object::template(&first), "the held template, and nothing else");
    assert_eq!((stage.phase(), stage.live().as_str()), (Some(Phase::Running), "1"));
    assert_eq!(stage.reasons().iter().find(|reason| *reason == "CanaryChanged").map(String::as_str), told);
}

#[test]
#[ignore = "needs a whole cluster"]
fn nothing_is_left_when_the_namespace_is_deleted() {
    let stage = Stage::on_trial();
    stage.kubectl.run(&["delete", "namespace", &stage.name, "--timeout=120s"]).succeeded();
}

//! A day of commits on a whole cluster, with pods and traffic: what each comes to.

use coalmine_core::api::annotations::{self as key, Phase};
use coalmine_core::manifest::object;
use rstest::rstest;

use super::{
    PATIENCE, PAUSE,
    engine::{Engine, Flux, Place, Waiting},
};
use crate::{
    cluster::{app::App, stage::Stage, traffic::Traffic},
    support::{results::row, within},
};

/// What must stay as it is while the same is applied again.
fn attempt(stage: &Stage) -> (Option<Phase>, Option<String>, usize) {
    let app = stage.app();
    let run = object::annotation(&app, key::RUN).map(str::to_owned);
    (stage.phase(), run, stage.reasons().iter().filter(|reason| *reason == "CanaryStarted").count())
}

/// Nothing is tried again, whatever the controller does at each interval.
#[track_caller]
fn assert_the_interval_changes_nothing(stage: &Stage, flux: &mut Flux<'_>) {
    let before = attempt(stage);
    for _ in 0..3 {
        flux.reconcile();
    }
    assert_eq!(attempt(stage), before);
    assert_eq!(stage.deployment("app-canary"), None);
}

#[track_caller]
fn await_live(stage: &Stage, version: &str) {
    within(PATIENCE, PAUSE, &format!("version {version} to be live"), || {
        if stage.live() == version { Ok(()) } else { Err(format!("{}: {:?}", stage.live(), stage.events())) }
    });
}

/// A day of a repository: what each commit comes to.
#[rstest]
#[ignore = "needs a whole cluster and Flux's controllers"]
fn a_day_of_commits(
    #[values(Engine::Kustomization, Engine::HelmRelease)] engine: Engine,
    #[values(Waiting::ForTheRollout, Waiting::ForNothing)] waiting: Waiting,
) {
    let client = format!("{}, {}", engine.words(), waiting.words());
    let stage = Stage::without_app();
    let mut flux = Flux::start(Place { namespace: &stage.name, control_plane: stage.control_plane, meanwhile: &|| () }, engine, waiting);
    flux.commit(&App::good("1").manifest());
    flux.await_ready(true);
    await_live(&stage, "1");
    stage.rollout_status().succeeded();
    let _traffic = Traffic::start(&stage, 200);
    stage.await_counted();
    {
        let _row = row("a bad version is committed; its interval, again and again", &client, "rejected once; stays out; tried once");
        flux.commit(&App::bad().manifest());
        stage.await_phase(Phase::Rejected);
        stage.await_no_canary();
        if waiting == Waiting::ForTheRollout {
            flux.await_ready(false);
        }
        assert_the_interval_changes_nothing(&stage, &mut flux);
        assert_eq!((stage.live(), stage.phase()), ("1".to_owned(), Some(Phase::Rejected)));
    }
    {
        let _row = row("a bad version was rejected, kubectl annotate, its interval", &client, "stays out; tried once");
        for note in ["note=1", "note=2"] {
            stage.kubectl.run(&["annotate", "deployment/app", "--overwrite", note]).succeeded();
            assert_the_interval_changes_nothing(&stage, &mut flux);
        }
        stage.kubectl.run(&["label", "deployment/app", "--overwrite", "team=x"]).succeeded();
        assert_the_interval_changes_nothing(&stage, &mut flux);
        assert_eq!((stage.live(), stage.phase()), ("1".to_owned(), Some(Phase::Rejected)));
    }
    {
        let _row = row("a bad version was rejected, the commit is reverted", &client, "withdrawn; ready again");
        flux.commit(&App::good("1").manifest());
        stage.await_phase(Phase::Withdrawn);
        flux.await_ready(true);
        stage.rollout_status().succeeded();
        assert_the_interval_changes_nothing(&stage, &mut flux);
    }
    {
        let _row = row("a good version is committed", &client, "promoted; ready once it is rolled out; its interval is no write");
        flux.commit(&App::good("2").manifest());
        await_live(&stage, "2");
        flux.await_ready(true);
        stage.rollout_status().succeeded();
        assert_the_interval_changes_nothing(&stage, &mut flux);
        assert_eq!((stage.live(), stage.phase()), ("2".to_owned(), Some(Phase::Promoted)));
    }
    {
        let _row = row("a good version is committed and taken back during its trial", &client, "withdrawn; the canary goes");
        flux.commit(&App::good("3").canary("duration", "5m").canary("deadline", "20m").manifest());
        stage.await_canary_ready();
        let before = attempt(&stage);
        if waiting == Waiting::ForNothing {
            flux.reconcile();
        }
        assert_eq!(attempt(&stage).1, before.1, "the same trial");
        flux.commit(&App::good("2").manifest());
        stage.await_phase(Phase::Withdrawn);
        stage.await_no_canary();
        flux.await_ready(true);
        assert_the_interval_changes_nothing(&stage, &mut flux);
        assert_eq!(stage.live(), "2");
    }
}

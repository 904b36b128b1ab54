//! People beside the canary: one approves what another applied, a namespace is frozen in mid-trial, a trial stands still and is ended by hand.

use coalmine_core::{api::annotations::Phase, manifest::object, state::State};

use super::{
    app::App,
    stage::{PATIENCE, Stage, without_numbers},
    traffic::Traffic,
};
use crate::support::{kubectl::Output, within};

impl Stage {
    fn annotate(&self, what: &str, annotation: &str, more: &[&str]) -> Output {
        let arguments: Vec<&str> = ["annotate", what, "--overwrite", annotation].into_iter().chain(more.iter().copied()).collect();
        self.kubectl.run(&arguments)
    }

    fn state(&self) -> State {
        State::of(&self.app(), self.deployment("app-canary").as_ref())
    }
}

#[test]
#[ignore = "needs a whole cluster"]
fn a_good_version_waits_until_somebody_else_approves_it() {
    let version = |version| App::good(version).canary("approval", "other");
    let stage = Stage::with(&version("1"));
    let _traffic = Traffic::start(&stage, 200);
    stage.apply(&version("2"));
    let rollout = stage.start_rollout_status();
    stage.await_phase(Phase::AwaitingApproval);
    let words = stage.await_event("CanaryAwaitsApproval");
    assert!(words.contains("it waits for approval by somebody else than ") && words.contains("canary.approve="), "{words}");
    let state = within(PATIENCE, std::time::Duration::from_millis(200), "evidence on the canary", || {
        let state = stage.state();
        if state.evidence.is_empty() { Err(format!("{state:?}")) } else { Ok(state) }
    });
    let run = state.run.expect("a run");
    let own = stage.annotate("deploy/app", &format!("canary.approve={run}"), &[]);
    assert!(own.code == 1 && own.stderr.contains("somebody else than"), "{}", own.stderr);
    assert_eq!((stage.phase(), stage.live().as_str()), (Some(Phase::AwaitingApproval), "1"));

    let as_bob = ["--as=bob", "--as-group=system:masters"];
    stage.annotate("deploy/app", &format!("canary.approve={run} looks good"), &as_bob).succeeded();
    stage.await_phase(Phase::Promoted);
    let message = stage.message();
    assert!(message.ends_with("; approved by bob: looks good; template promoted"), "{message}");
    assert_eq!(rollout.ended().0, 0);
    assert_eq!(stage.live(), "2");
    let state = stage.state();
    let verdict = &state.history[0];
    assert_eq!((verdict.phase, verdict.failures), (Phase::Promoted, Some(0.0)));
    assert!(verdict.requests > Some(100.0) && verdict.time.is_some() && !verdict.looks.is_empty(), "{verdict:?}");
}

#[test]
#[ignore = "needs a whole cluster"]
fn a_trial_ends_when_its_namespace_is_frozen_and_begins_anew() {
    let stage = Stage::with(&App::good("1"));
    let _traffic = Traffic::start(&stage, 200);
    stage.apply(&App::good("2").canary("duration", "30s"));
    stage.await_canary_ready();
    let namespace = format!("namespace/{}", stage.name);
    stage.annotate(&namespace, "canary.freeze=the fair", &[]).succeeded();
    stage.await_phase(Phase::Held);
    assert_eq!(stage.await_event("CanaryNotNow"), "template held; namespace is frozen: the fair");
    stage.await_no_canary();
    assert_eq!((stage.live().as_str(), stage.message().as_str()), ("1", "namespace is frozen: the fair"));
    stage.annotate(&namespace, "canary.freeze-", &[]).succeeded();
    assert_eq!(stage.await_verdict().0, Phase::Promoted);
    assert_eq!(stage.live(), "2");
}

#[test]
#[ignore = "needs a whole cluster"]
fn a_trial_stands_still_and_is_ended_by_hand() {
    let version = |version| App::good(version).canary("duration", "60s");
    let stage = Stage::with(&version("1"));
    let _traffic = Traffic::start(&stage, 50);
    stage.apply(&version("2"));
    stage.await_canary_ready();
    stage.annotate("deploy/app", "canary.paused=true", &[]).succeeded();
    stage.await_event("CanaryPaused");
    assert!(stage.state().paused_since.is_some());
    stage.annotate("deploy/app", "canary.paused=false", &[]).succeeded();
    let words = stage.await_event("CanaryResumed");
    assert_eq!(without_numbers(&words), "resumed; judging its traffic anew for Ns");
    assert_eq!(stage.state().paused_since, None);
    stage.annotate("deploy/app", "canary.reject=the fair", &["--as=bob", "--as-group=system:masters"]).succeeded();
    let (phase, message) = stage.await_verdict();
    assert_eq!((phase, message.as_str()), (Phase::Rejected, "bob decided: the fair; template kept out"));
    stage.await_no_canary();
    stage.annotate("deploy/app", "canary.retry=1", &[]).succeeded();
    stage.await_canary_ready();
    stage.annotate("deploy/app", "canary.promote=it is fine", &["--as=bob", "--as-group=system:masters"]).succeeded();
    stage.await_phase(Phase::Promoted);
    assert_eq!((stage.live().as_str(), stage.message().as_str()), ("2", "bob decided: it is fine; template promoted"));
    assert_eq!(object::annotation(&stage.app(), "canary.state/order"), None);
}

//! The node goes silent in the middle of a run, and with it all that is on it. Nothing may be held against the canary for it.

use std::{ffi::OsStr, time::Duration};

use coalmine_core::api::annotations::Phase;
use rustix::process::Signal;
use serde_json::Value;

use crate::{
    cluster::{
        app::App,
        stage::{PATIENCE, Stage},
        traffic::Traffic,
    },
    support::{signal, within},
};

/// The kubelet of the development cluster, stopped: it says nothing, and after a while all pods of its node count as not Ready.
/// Goes on when dropped.
struct Silent(u32);

impl Silent {
    /// The kubelet that `record` is of, as the development cluster has written it.
    fn kubelet(record: &OsStr) -> Self {
        let record: Value = serde_json::from_slice(&std::fs::read(record).expect("the kubelet's record")).expect("the record of a process");
        let silent = Self(record["pid"].as_u64().and_then(|pid| pid.try_into().ok()).expect("its pid"));
        signal(silent.0, Signal::STOP);
        silent
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        signal(self.0, Signal::CONT);
    }
}

/// Coalmine's own pods and Prometheus are on that node, too: for a while nobody reviews anything, and nothing can be counted.
#[test]
#[ignore = "needs a whole cluster"]
fn a_node_that_says_nothing_for_a_while_is_held_against_nobody() {
    // Only of the development cluster; with --context the kubelet is somebody else's, maybe on another machine.
    let Some(record) = std::env::var_os("COALMINE_KUBELET") else { return println!("left out: the kubelet is not ours to stop") };
    let stage = Stage::with(&App::good("1"));
    let _traffic = Traffic::start(&stage, 200);
    stage.apply(&App::good("2").canary("duration", "90s").canary("deadline", "10m"));
    stage.await_event("CanaryAnalyzing");
    let rollout = stage.start_rollout_status();
    let silent = Silent::kubelet(&record);
    let pause = Duration::from_millis(500);
    within(PATIENCE, pause, "the canary to be not Ready through no fault of its own", || {
        let events = stage.events();
        let said = |(reason, note): &(String, String)| reason == "CanaryNotReady" && note.contains("through no fault of the template");
        if events.iter().any(said) { Ok(()) } else { Err(format!("{events:?}")) }
    });
    assert_eq!((stage.phase(), stage.live().as_str()), (Some(Phase::Running), "1"));
    drop(silent);

    let (phase, message) = within(PATIENCE * 2, pause, "a verdict", || match stage.phase() {
        Some(phase) if !phase.is_trying() => Ok((phase, stage.message())),
        phase => Err(format!("{phase:?}, {:?}", stage.events())),
    });
    assert_eq!((phase, stage.live().as_str()), (Phase::Promoted, "2"), "{message}; {:?}", stage.events());
    assert_eq!(rollout.ended(), (0, r#"deployment "app" successfully rolled out"#.to_owned()));
}

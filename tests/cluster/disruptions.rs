//! The canary's pod is taken away through no fault of its own: another takes its place, and the template is judged by that one.

use std::{ffi::OsStr, time::Duration};

use coalmine::{api::annotations::Phase, core::object};
use rstest::rstest;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{
    app::App,
    stage::{PATIENCE, Stage},
    traffic::Traffic,
};
use crate::support::{signal, within};

/// How the pod goes.
#[derive(Clone, Copy, Debug)]
enum By {
    /// As `kubectl drain` does it.
    Eviction,
    Deletion,
}

#[rstest]
#[case::evicted(By::Eviction)]
#[case::deleted(By::Deletion)]
#[ignore = "needs a whole cluster"]
fn a_pod_that_is_taken_away_is_replaced_and_held_against_nobody(#[case] by: By) {
    let stage = Stage::with(&App::good("1"));
    let traffic = Traffic::start(&stage, 200);
    stage.apply(&App::good("2").canary("duration", "15s"));
    stage.await_event("CanaryAnalyzing");
    let canary = stage.deployment("app-canary").expect("the canary");
    let [pod] = stage.canary_pods().try_into().expect("one pod");
    match by {
        By::Eviction => {
            let eviction = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": stage.name}});
            stage.control_plane.post(&format!("/api/v1/namespaces/{}/pods/{pod}/eviction", stage.name), &eviction).expect("an eviction");
        }
        By::Deletion => {
            stage.kubectl.run(&["delete", "pod", &pod, "--wait=false"]).succeeded();
        }
    }

    let (phase, message) = stage.await_verdict();
    assert_eq!((phase, stage.live().as_str()), (Phase::Promoted, "2"), "{message}; {:?}", stage.events());
    let analyzing: Vec<String> =
        stage.events().into_iter().filter(|(reason, _)| reason == "CanaryAnalyzing").map(|(_, note)| note).collect();
    assert_eq!(
        analyzing,
        ["app-canary is Ready; judging its traffic for 15s", "app-canary is Ready again, with another pod; judging its traffic for 15s"]
    );
    if let Some(now) = stage.deployment("app-canary") {
        assert_eq!(object::uid(&now), object::uid(&canary), "no second canary");
    }
    stage.rollout_status().succeeded();
    let all = traffic.since(0);
    assert_eq!(all.failures(), 0, "{all:?}");
}

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
    let stage = Stage::alone_with(&App::good("1"));
    let _traffic = Traffic::start(&stage, 200);
    stage.apply(&App::good("2").canary("duration", "90s").canary("deadline", "10m"));
    stage.await_event("CanaryAnalyzing");
    let rollout = stage.start_rollout_status();
    let silent = Silent::kubelet(&record);
    let pause = Duration::from_millis(500);
    within(PATIENCE, pause, "the canary to be not Ready through no fault of its own", || {
        let events = stage.events();
        let said = |(reason, note): &(String, String)| reason == "CanaryWaiting" && note.contains("through no fault of the template");
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

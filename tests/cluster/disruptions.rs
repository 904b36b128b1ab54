//! The canary's pod is taken away through no fault of its own: another takes its place, and the template is judged by that one.

use coalmine_core::{api::annotations::Phase, manifest::object};
use rstest::rstest;
use serde_json::json;

use super::{app::App, stage::Stage, traffic::Traffic};

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

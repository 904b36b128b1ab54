//! Coalmine is taken away in the middle of a hold: what is left are plain Deployments that work, and coming back it keeps its hands off
//! what was done meanwhile.

use coalmine_core::api::annotations::Phase;

use super::reinstalled::Reinstalled;
use crate::cluster::{app::App, stage::Stage, traffic::Traffic};
use crate::support::{control_plane::variable, kubectl::Kubectl};

#[test]
#[ignore = "needs a whole cluster"]
fn without_coalmine_the_deployment_is_a_plain_one() {
    let stage = Stage::with(&App::good("1"));
    let traffic = Traffic::start(&stage, 100);
    stage.apply(&App::good("2").canary("duration", "40s"));
    stage.await_event("CanaryAnalyzing");

    let directory = variable("COALMINE_MANIFESTS");
    let back = Reinstalled::at_the_end(stage.control_plane, &directory);
    Kubectl::of(stage.control_plane).run(&["delete", "-k", &directory, "--timeout=120s"]).succeeded();
    assert_eq!(stage.live(), "1");
    stage.kubectl.run(&["scale", "deployment/app", "--replicas=3"]).succeeded();
    stage.rollout_status().succeeded();
    stage.apply(&App::good("3").replicas(3));
    assert_eq!(stage.live(), "3", "a plain Deployment takes what is applied");
    stage.rollout_status().succeeded();

    drop(back);
    let (phase, message) = stage.await_verdict();
    assert_eq!((phase, stage.live().as_str()), (Phase::Superseded, "3"), "{message}");
    stage.await_no_canary();
    let all = traffic.since(0);
    assert_eq!(all.failures(), 0, "{all:?}");
}

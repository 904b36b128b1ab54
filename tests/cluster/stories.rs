//! The main job: a bad version is kept out, a good one let in, seen as a user and a pipeline see them.

use coalmine_core::api::annotations::Phase;

use super::{
    app::App,
    stage::{Stage, without_numbers},
    traffic::Traffic,
};
use crate::support::kubectl::assert_said;

#[test]
#[ignore = "needs a whole cluster"]
fn a_bad_version_is_kept_out_and_going_back_is_whole_again() {
    let good = App::good("1").replicas(3);
    let stage = Stage::with(&good);
    let traffic = Traffic::start(&stage, 200);
    stage.await_counted();
    let (pods, mark) = (stage.primary_pods(), traffic.mark());

    let output = stage.apply(&App::bad().replicas(3));
    assert_said!(output, @"Warning: canary: template held; trying it in app-canary for 10s; watch: kubectl events --for deploy/app -w");
    let rollout = stage.start_rollout_status();
    let said = stage.await_event("CanaryRejected");
    // Who is first: the pods' own pages, or the second scrape.
    let said = said.replace("; counted on the pods' own pages", "");
    insta::assert_snapshot!(without_numbers(&said), @"error rate N% (N of N requests) exceeds N% after Ns; primary N%; template kept out; asked for by kubernetes-admin");
    let (code, last) = rollout.ended();
    assert_eq!((code, without_numbers(&last).as_str()), (1, r#"error: deployment "app" exceeded its progress deadline"#));
    assert_eq!(stage.phase(), Some(Phase::Rejected));
    assert_eq!(stage.live(), "1");
    assert_eq!(stage.steps(), ["CanaryHeld", "CanaryStarted", "CanaryAnalyzing", "CanaryMetrics", "CanaryRejected"]);

    stage.await_no_canary();
    let during = traffic.since(mark);
    assert!(during.errors_of("bad") > 0, "the canary took its share: {during:?}");
    assert_eq!(during.failures(), during.errors_of("bad"), "{during:?}");
    let after = traffic.next_seconds(3);
    assert_eq!((after.failures(), after.answers_of("bad")), (0, 0), "{after:?}");
    assert_eq!(stage.primary_pods(), pods, "the same pods, none restarted");

    let output = stage.apply(&App::bad().replicas(3));
    assert_eq!(without_numbers(&output.said()).lines().count(), 2, "says why it stays out, and how to retry: {}", output.said());
    assert_eq!(stage.deployment("app-canary"), None);

    let output = stage.apply(&good);
    assert_said!(output, @"Warning: canary: back to the live template; the held one is withdrawn");
    stage.await_event("CanaryWithdrawn");
    stage.rollout_status().succeeded();
    assert_eq!(stage.primary_pods(), pods, "nothing was rolled out");
}

#[test]
#[ignore = "needs a whole cluster"]
fn a_good_version_is_promoted_and_going_back_is_at_once() {
    let first = App::good("1").replicas(3);
    let stage = Stage::with(&first);
    let traffic = Traffic::start(&stage, 200);
    stage.await_counted();
    let (pods, mark) = (stage.primary_pods(), traffic.mark());

    let second = App::good("2").replicas(3);
    stage.apply(&second);
    assert_eq!(stage.live(), "1");
    let rollout = stage.start_rollout_status();
    let promoted = r"--for=jsonpath={.metadata.annotations.canary\.state/phase}=Promoted";
    stage.kubectl.run(&["wait", "deployment/app", promoted, "--timeout=120s"]).succeeded();
    assert_eq!(stage.live(), "2");
    let said = stage.await_event("CanaryPromoted");
    // Who is first: the pods' own pages, or the second scrape.
    let said = said.replace("; counted on the pods' own pages", "");
    insta::assert_snapshot!(without_numbers(&said), @"error rate N% (N of N requests, at most N%; limit N%); primary N%; template promoted; asked for by kubernetes-admin");
    let (code, last) = rollout.ended();
    assert_eq!((code, last.as_str()), (0, r#"deployment "app" successfully rolled out"#));
    stage.await_event("CanaryRolledOut");
    assert_eq!(stage.steps(), ["CanaryHeld", "CanaryStarted", "CanaryAnalyzing", "CanaryMetrics", "CanaryPromoted", "CanaryRolledOut"]);
    stage.await_no_canary();
    let replaced = stage.primary_pods();
    assert!(replaced.len() == 3 && replaced.iter().all(|pod| pod.restarts == 0 && !pods.contains(pod)), "{replaced:?}");

    let output = stage.apply(&second);
    assert_eq!((output.stdout.trim(), output.stderr.as_str()), ("deployment.apps/app unchanged", ""));

    let output = stage.apply(&first);
    assert_said!(output, @"Warning: canary: this template was live before; let through at once");
    assert_eq!(stage.live(), "1");
    stage.rollout_status().succeeded();
    stage.await_event("CanaryRolledBack");
    // Pods that stop go on serving for a while.
    let last = traffic.next_seconds(1);
    let during = traffic.since(mark);
    assert_eq!(during.failures(), 0, "no request failed in all of this: {during:?}");
    assert!(during.answers_of("2") > 0 && last.answers_of("1") > 0, "{during:?} {last:?}");
}

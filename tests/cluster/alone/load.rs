//! The promises that are made for 1000 requests per second, ten replicas and a scrape every five seconds. Each test has the machine for
//! itself.

use std::time::{Duration, Instant};

use coalmine_core::api::annotations::Phase;
use serde_json::{Value, json};

use crate::cluster::{
    app::{App, service},
    stage::{PATIENCE, Stage, without_numbers},
    traffic::Traffic,
};
use crate::support::{kubectl::Apply::ClientSide, within};

const RATE: u32 = 1000;
const PAUSE: Duration = Duration::from_millis(300);

/// One version of the ten replicas, with the default limit on errors.
fn ten(app: App) -> App {
    app.replicas(10).canary("max-error-rate", "1%")
}

/// Applies it and returns the time from the canary's readiness to its verdict.
#[track_caller]
fn judged(stage: &Stage, app: &App) -> (Duration, Phase, String) {
    stage.apply(app);
    stage.await_canary_ready();
    let ready = Instant::now();
    let (phase, message) = stage.await_verdict();
    (ready.elapsed(), phase, message)
}

#[test]
#[ignore = "needs a whole cluster"]
fn bad_versions_are_found_in_seconds_and_late_faults_before_the_end() {
    let stage = Stage::with(&ten(App::good("1").with("ERROR_RATE", "0.1%")));
    let _traffic = Traffic::start(&stage, RATE);

    let (after, phase, message) = judged(&stage, &ten(App::bad()));
    assert_eq!(phase, Phase::Rejected, "{message}");
    assert!(after <= Duration::from_secs(15), "100 % of errors: {after:?}: {message}");
    stage.await_no_canary();

    let (after, phase, message) = judged(&stage, &ten(App::good("2").with("ERROR_RATE", "2%")).canary("duration", "60s"));
    assert_eq!(phase, Phase::Rejected, "{message}");
    assert!(after <= Duration::from_secs(30), "2 % of errors against 0.1 %: {after:?}: {message}");
    stage.await_no_canary();

    let late = App::good("3").with("ERROR_RATE", "5%").with("ERRORS_AFTER", "40s");
    let (after, phase, message) = judged(&stage, &ten(late).canary("duration", "60s"));
    assert_eq!((phase, stage.live().as_str()), (Phase::Rejected, "1"), "{message}");
    assert!(after > Duration::from_secs(30), "it was good at first: {after:?}");
    assert!(without_numbers(&message).contains("N% is not tolerated") || without_numbers(&message).contains("exceeds N%"), "{message}");
}

#[test]
#[ignore = "needs a whole cluster"]
fn what_prometheus_does_not_know_yet_can_be_rejected_by_the_pods_own_pages_but_never_promoted() {
    let stage = Stage::with(&ten(App::good("1")));
    let _traffic = Traffic::start(&stage, RATE);
    stage.await_counted();

    let (after, phase, message) = judged(&stage, &ten(App::bad().unscraped()));
    assert_eq!((phase, stage.live().as_str()), (Phase::Rejected, "1"), "{message}");
    assert!(after <= Duration::from_secs(15), "{after:?}: {message}");
    let said = "error rate N% (N of N requests) exceeds N% after Ns; primary N%; counted on the pods' own pages; template kept out";
    assert_eq!(without_numbers(&message), said);
    stage.await_no_canary();

    let unseen = ten(App::good("2").unscraped()).canary("duration", "10s").canary("deadline", "30s");
    let (_, phase, message) = judged(&stage, &unseen);
    assert_eq!((phase, stage.live().as_str()), (Phase::Inconclusive, "1"), "{message}");
    assert!(message.starts_with("the source has no scrape of the canary's pod"), "{message}");
}

#[test]
#[ignore = "needs a whole cluster"]
fn the_fix_of_a_failing_primary_is_promoted_and_its_equal_on_time() {
    let stage = Stage::with(&ten(App::good("1").with("ERROR_RATE", "30%")));
    let traffic = Traffic::start(&stage, RATE);

    let (_, phase, message) = judged(&stage, &ten(App::good("2")).canary("duration", "20s"));
    assert_eq!((phase, stage.live().as_str()), (Phase::Promoted, "2"), "{message}");
    stage.rollout_status().succeeded();
    let all = traffic.since(0);
    assert_eq!(all.failures(), all.errors_of("1"), "none but the first version's own: {all:?}");
    // Pods of the first version that stop go on serving for a while.
    within(PATIENCE, PAUSE, "the first version to be gone", || {
        let second = traffic.next_seconds(1);
        if second.answers_of("1") == 0 { Ok(()) } else { Err(format!("{second:?}")) }
    });
    stage.await_no_canary();

    let mark = traffic.mark();
    let (after, phase, message) = judged(&stage, &ten(App::good("3")).canary("duration", "20s"));
    assert_eq!((phase, stage.live().as_str()), (Phase::Promoted, "3"), "{message}");
    assert!(after >= Duration::from_secs(18) && after <= Duration::from_secs(26), "20 s: {after:?}: {message}");
    stage.rollout_status().succeeded();
    let during = traffic.since(mark);
    assert_eq!(during.failures(), 0, "{during:?}");
}

/// Something that all versions need, under the address `http://store/livez`.
fn store(replicas: u32) -> [Value; 2] {
    let (mut deployment, mut service) = (App::good("store").replicas(replicas).manifest(), service());
    for object in [&mut deployment, &mut service] {
        object["metadata"] = json!({"name": "store"});
    }
    deployment["spec"]["selector"]["matchLabels"]["app"] = json!("store");
    deployment["spec"]["template"]["metadata"]["labels"]["app"] = json!("store");
    service["spec"]["selector"]["app"] = json!("store");
    [deployment, service]
}

#[test]
#[ignore = "needs a whole cluster"]
fn an_outage_that_both_share_rejects_nobody() {
    let version =
        |version: &str| ten(App::good(version).with("DEPENDENCY", "http://store/livez")).canary("duration", "30s").canary("deadline", "4m");
    let stage = Stage::with(&version("1"));
    for object in store(1) {
        stage.kubectl.apply(ClientSide, &object).succeeded();
    }
    let traffic = Traffic::start(&stage, RATE);
    let await_traffic = |what: &str, of: &str, failing: bool| {
        within(PATIENCE, PAUSE, what, || {
            let second = traffic.next_seconds(1);
            let reached = second.answers_of(of) > 0 && (second.errors_of(of) > 0) == failing;
            if reached { Ok(()) } else { Err(format!("{second:?}")) }
        });
    };
    await_traffic("the store to answer", "1", false);

    stage.apply(&version("2"));
    stage.await_event("CanaryAnalyzing");
    await_traffic("the canary to serve", "2", false);
    traffic.next_seconds(8);
    let scale = |replicas: &str| stage.kubectl.run(&["scale", "deployment/store", replicas]).succeeded();
    scale("--replicas=0");
    await_traffic("the primary to fail", "1", true);
    await_traffic("the canary to fail", "2", true);
    traffic.next_seconds(20);
    assert_eq!(stage.phase(), Some(Phase::Running), "{}", stage.message());
    scale("--replicas=1");
    await_traffic("the end of the outage", "1", false);

    let (phase, message) = stage.await_verdict();
    assert_eq!((phase, stage.live().as_str()), (Phase::Promoted, "2"), "{message}");
    assert!(message.contains("in which the primary itself was failing"), "{message}");
}

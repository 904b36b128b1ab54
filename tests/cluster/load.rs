//! The promises that are made for 1000 requests per second and ten replicas. Each has the machine for itself.

use std::time::{Duration, Instant};

use coalmine::api::annotations::Phase;

use super::{
    app::App,
    stage::{Stage, without_numbers},
    traffic::Traffic,
};

const RATE: u32 = 1000;

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
fn bad_versions_are_found_in_seconds_and_an_equal_one_is_promoted_on_time() {
    let stage = Stage::alone_with(&ten(App::good("1").with("ERROR_RATE", "0.1%")));
    let traffic = Traffic::start(&stage, RATE);

    let (after, phase, message) = judged(&stage, &ten(App::bad()));
    assert_eq!(phase, Phase::Rejected, "{message}");
    assert!(after <= Duration::from_secs(15), "100 % of errors: {after:?}: {message}");
    stage.await_no_canary();

    let (after, phase, message) = judged(&stage, &ten(App::good("2").with("ERROR_RATE", "2%")).canary("duration", "60s"));
    assert_eq!(phase, Phase::Rejected, "{message}");
    assert!(after <= Duration::from_secs(30), "2 % of errors against 0.1 %: {after:?}: {message}");
    stage.await_no_canary();

    let mark = traffic.mark();
    let (after, phase, message) = judged(&stage, &ten(App::good("3")).canary("duration", "20s"));
    assert_eq!(phase, Phase::Promoted, "{message}");
    assert!(after <= Duration::from_secs(26), "20 s: {after:?}: {message}");
    stage.rollout_status().succeeded();
    let during = traffic.since(mark);
    assert_eq!(during.failures(), during.errors_of("1"), "none but the primary's own: {during:?}");
}

#[test]
#[ignore = "needs a whole cluster"]
fn errors_that_begin_late_are_caught() {
    let stage = Stage::with(&App::good("1"));
    let _traffic = Traffic::start(&stage, 200);
    let (after, phase, message) = judged(&stage, &App::good("2").with("ERRORS_AFTER", "40s").canary("duration", "60s"));
    assert_eq!((phase, stage.live().as_str()), (Phase::Rejected, "1"), "{message}");
    assert!(after > Duration::from_secs(30), "it was good at first: {after:?}");
    assert!(without_numbers(&message).contains("exceeds N%"), "{message}");
}

//! What the metrics say, and what happens when they say nothing: little traffic, no traffic, no Prometheus, slow answers, a primary in
//! trouble.

use coalmine_core::api::annotations::Phase;
use rstest::rstest;

use super::{
    app::App,
    stage::{Stage, without_numbers},
    traffic::Traffic,
};

#[rstest]
#[case::little(Some(3), "N of N canary requests failed (at most N%); N requests are needed to show less than N%, N more")]
#[case::none(None, "")]
#[ignore = "needs a whole cluster"]
fn too_little_traffic_is_inconclusive_or_promoted_as_the_user_chose(#[case] rate: Option<u32>, #[case] words: &str) {
    let stage = Stage::with(&App::good("1"));
    let _traffic = rate.map(|rate| Traffic::start(&stage, rate));
    let quiet = |version| App::good(version).canary("deadline", "20s");
    stage.apply(&quiet("2"));
    let (phase, message) = stage.await_verdict();
    assert_eq!((phase, stage.live().as_str()), (Phase::Inconclusive, "1"), "{message}");
    assert!(without_numbers(&message).contains(words) && message.ends_with("; template kept out"), "{message}");
    stage.await_no_canary();

    stage.apply(&quiet("3").canary("on-inconclusive", "promote"));
    let (phase, message) = stage.await_verdict();
    assert_eq!((phase, stage.live().as_str()), (Phase::Promoted, "3"), "{message}");
    assert!(message.contains("nothing speaks against it, and canary.on-inconclusive is promote"), "{message}");
}

#[test]
#[ignore = "needs a whole cluster"]
fn slow_answers_are_rejected_by_the_limit_on_latency() {
    let limited = |version| App::good(version).canary("max-latency-p99", "100ms");
    let stage = Stage::with(&limited("1"));
    let _traffic = Traffic::start(&stage, 100);
    stage.apply(&limited("2").with("LATENCY", "300ms"));
    let (phase, message) = stage.await_verdict();
    assert_eq!((phase, stage.live().as_str()), (Phase::Rejected, "1"), "{message}");
    assert!(without_numbers(&message).starts_with("share slower than Nms N% (N of N requests) exceeds N%"), "{message}");
}

#[test]
#[ignore = "needs a whole cluster"]
fn a_fault_that_both_have_all_the_time_rejects_nobody() {
    let failing = |version| App::good(version).with("ERROR_RATE", "30%").canary("deadline", "40s");
    let stage = Stage::with(&failing("1"));
    let _traffic = Traffic::start(&stage, 200);
    stage.apply(&failing("2"));
    let (phase, message) = stage.await_verdict();
    assert_eq!((phase, stage.live().as_str()), (Phase::Inconclusive, "1"), "{message}");
    assert!(message.contains("primary"), "{message}");
}

//! Versions that are broken where no counter of errors shows it: what isn't seen must never let one in, not even where the user forgives
//! missing traffic.

use coalmine_core::api::annotations::Phase;
use rstest::rstest;
use serde_json::json;

use super::{
    app::App,
    stage::{Stage, without_numbers},
    traffic::Traffic,
};

/// With all that a user may set in favour of a release, and long enough for a fault to begin in the middle.
fn lenient(version: &str) -> App {
    App::good(version).replicas(3).canary("duration", "30s").canary("deadline", "60s").canary("on-inconclusive", "promote")
}

#[rstest]
#[case::answers_no_more(lenient("2").with("HANG_AFTER", "15s"), &[Phase::Inconclusive, Phase::Rejected], "the canary finished N requests")]
#[case::never_answers(lenient("2").with("HANG_AFTER", "0s"), &[Phase::Inconclusive], "the canary finished N requests, an ordinary pod of the primary N")]
#[case::shows_nothing_before_it_fails(
    lenient("2").with("METRICS_HANG_AFTER", "16s").with("ERRORS_AFTER", "22s"),
    &[Phase::Inconclusive],
    "the canary's metrics page has not answered since N:N:N UTC, Ns after it was Ready; the primary's do"
)]
#[case::says_it_in_other_words(
    lenient("2").with("CODE_LABEL", "status").with("ERROR_RATE", "1"),
    &[Phase::Inconclusive],
    "http_requests_total of the canary has no label code, so nobody can tell which of its requests failed"
)]
#[case::knows_no_path(
    lenient("2").with("NOT_FOUND_RATE", "1"),
    &[Phase::Rejected],
    "N% of the canary's answers are client errors (mostly N: N of N) after Ns, of the primary's N% (N of N); if that is meant: canary.client-errors: \"off\""
)]
#[ignore = "needs a whole cluster"]
fn what_nobody_sees_lets_nobody_in(#[case] broken: App, #[case] phases: &[Phase], #[case] words: &str) {
    let stage = Stage::with(&App::good("1").replicas(3));
    let _traffic = Traffic::start(&stage, 200);
    stage.await_counted();
    stage.apply(&broken);
    let (phase, message) = stage.await_verdict();
    assert!(phases.contains(&phase) && stage.live() == "1", "{phase:?}: {message}");
    assert!(without_numbers(&message).contains(words), "{message}");
    stage.await_no_canary();
}

#[test]
#[ignore = "needs a whole cluster"]
fn client_errors_that_are_meant_reject_nobody() {
    let stage = Stage::with(&App::good("1").replicas(3));
    let _traffic = Traffic::start(&stage, 200);
    stage.await_counted();
    stage.apply(&App::good("2").replicas(3).with("NOT_FOUND_RATE", "1").canary("client-errors", "off"));
    let (phase, message) = stage.await_verdict();
    assert_eq!((phase, stage.live().as_str()), (Phase::Promoted, "2"), "{message}");
}

#[test]
#[ignore = "needs a whole cluster"]
fn a_second_container_that_fails_is_seen() {
    let with_second = |app: App, error_rate: &str| {
        app.replicas(3).unannotated().beside(json!({
            "name": "second",
            "image": "localhost/demo-app:good",
            "imagePullPolicy": "IfNotPresent",
            "env": [{"name": "VERSION", "value": "second"}, {"name": "PORT", "value": "8081"}, {"name": "ERROR_RATE", "value": error_rate}],
            "ports": [{"name": "metrics", "containerPort": 8081}],
        }))
    };
    let stage = Stage::with(&with_second(App::good("1"), "0"));
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "second"},
        "spec": {"selector": {"app": "app"}, "ports": [{"name": "http", "port": 80, "targetPort": 8081}]},
    });
    stage.control_plane.post(&format!("/api/v1/namespaces/{}/services", stage.name), &service).expect("a Service");
    let _first = Traffic::start(&stage, 100);
    let _second = Traffic::start_at(&stage, "second", 100);
    stage.await_counted();
    stage.apply(&with_second(App::good("2").canary("duration", "30s"), "1"));
    let (phase, message) = stage.await_verdict();
    assert_eq!((phase, stage.live().as_str()), (Phase::Rejected, "1"), "{message}");
    assert!(without_numbers(&message).contains("error rate N% (N of N requests) exceeds N%"), "{message}");
}

/// Nobody has counters, so its pod and its checks decide.
#[test]
#[ignore = "needs a whole cluster"]
fn a_worker_is_judged_by_its_pod_alone() {
    let worker = |version: &str| App::good(version).unscraped().canary("metrics", "none");
    let stage = Stage::with(&worker("1"));
    stage.apply(&worker("2"));
    let (phase, message) = stage.await_verdict();
    assert_eq!((phase, stage.live().as_str()), (Phase::Promoted, "2"), "{message}");
    assert_eq!(without_numbers(&message), "its pod stayed Ready for Ns; canary.metrics is none; template promoted");
}

//! Without asking Prometheus: the pods' own metrics pages are the run's source.

use coalmine_core::api::annotations::Phase;

use super::{
    app::App,
    stage::{Stage, without_numbers},
    traffic::Traffic,
};

pub(crate) const BY_PAGES: &str = "{source: pages, requests: http_requests_total, errors: 'http_requests_total{code=~\"5..\"}'}";

#[test]
#[ignore = "needs a whole cluster"]
fn a_bad_version_is_kept_out_and_a_good_one_let_in_by_the_pages_alone() {
    let by_pages = |app: App| app.replicas(3).canary("metrics", BY_PAGES);
    let stage = Stage::with(&by_pages(App::good("1")));
    let _traffic = Traffic::start(&stage, 200);
    stage.apply(&by_pages(App::bad()));
    let reading = stage.await_event("CanaryMetrics");
    assert!(reading.contains(" on the pods' own metrics pages; to fix this choice: "), "{reading}");
    let said = stage.await_event("CanaryRejected");
    insta::assert_snapshot!(without_numbers(&said), @"error rate N% (N of N requests) exceeds N% after Ns; primary N%; template kept out; asked for by kubernetes-admin");
    assert_eq!((stage.phase(), stage.live()), (Some(Phase::Rejected), "1".to_owned()));
    stage.await_no_canary();

    stage.apply(&by_pages(App::good("2")));
    let said = stage.await_event("CanaryPromoted");
    assert!(said.starts_with("error rate 0% (0 of "), "{said}");
    stage.rollout_status().succeeded();
    assert_eq!(stage.live(), "2");
}

#[test]
#[ignore = "needs a whole cluster"]
fn where_no_page_is_nothing_is_promoted_and_it_is_said_what_was_tried() {
    let hidden = |version: &str| App::good(version).unscraped().canary("metrics", BY_PAGES).canary("deadline", "25s");
    let stage = Stage::with(&hidden("1"));
    let _traffic = Traffic::start(&stage, 50);
    stage.apply(&hidden("2"));
    let (phase, said) = stage.await_verdict();
    assert_eq!(phase, Phase::Inconclusive, "{said}");
    assert!(
        said.contains("found no metrics page of app's pods: their containers declare no port, or the template says prometheus.io/scrape"),
        "{said}"
    );
    assert_eq!(stage.live(), "1");
}

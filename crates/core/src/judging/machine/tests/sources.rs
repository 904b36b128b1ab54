//! Whole runs that several sources may be asked for: which one becomes the run's.

use super::stories::{short, story};
use super::world::BROKEN;
use super::*;

/// A short run that Prometheus and the pods' pages may be asked for.
fn of_both() -> Subject {
    let mut subject = Subject { sources: vec![Origin::Prometheus, Origin::Pages], ..short() };
    subject.policy.deadline = Duration::from_mins(1);
    subject
}

/// Who is asked first, and what the rounds come to.
fn first(text: &str) -> String {
    let lines = text.lines().filter(|line| line.starts_with("0s ask present") || !line.contains(" ask "));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_first_source_that_knows_the_pods_is_the_runs() {
    insta::assert_snapshot!(first(&story(of_both(), World { traffic: BROKEN, knowing: &[Origin::Pages], ..World::default() })), @r"
    0s ask present
    0s ask present on the pods' own metrics pages
    0s wait 1s
    1s wait 1s
    2s wait 1s
    3s wait 1s
    4s wait 1s
    5s wait 5s
    10s Reject: error rate 100% (900 of 900 requests) exceeds 1% after 10s; primary 0%
    reading http_requests_total by code on the pods' own metrics pages (Prometheus has no series of app's pods: is it scraping them?); to fix this choice: canary.metrics: http
    ");
    insta::assert_snapshot!(first(&story(of_both(), World { knowing: &[], ..World::default() })), @r"
    0s ask present
    0s ask present on the pods' own metrics pages
    0s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    2s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    4s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    6s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    8s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    10s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    12s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    14s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    16s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    18s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    20s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    22s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    24s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    26s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    28s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    30s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    32s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    34s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    36s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    38s wait 1.8s, blind: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    40s Inconclusive { clean: false }: Prometheus has no series of app's pods: is it scraping them?; found no metrics page of app's pods: tried :8080/metrics (no answer)
    ");
}

/// As Google's managed Prometheus, which takes no pattern of names.
#[test]
fn a_source_that_refuses_the_question_is_not_the_runs() {
    let words =
        "failed to query Prometheus at http://frontend:9090: it refused the query: =~ is an unsupported matchtype for the __name__ label";
    let refusing = |knowing: &'static [Origin]| {
        let broken = Some(("present", 1, Failure::refusal(words)));
        first(&story(of_both(), World { traffic: BROKEN, knowing, broken, ..World::default() }))
    };
    insta::assert_snapshot!(refusing(&[Origin::Pages]), @r"
    0s ask present
    0s ask present on the pods' own metrics pages
    0s wait 1s
    1s wait 1s
    2s wait 1s
    3s wait 1s
    4s wait 1s
    5s wait 5s
    10s Reject: error rate 100% (900 of 900 requests) exceeds 1% after 10s; primary 0%
    reading http_requests_total by code on the pods' own metrics pages (failed to query Prometheus at http://frontend:9090: it refused the query: =~ is an unsupported matchtype for the __name__ label); to fix this choice: canary.metrics: http
    ");
    let alone = Subject { sources: vec![Origin::Prometheus], ..of_both() };
    let broken = Some(("present", 9, Failure::refusal(words)));
    insta::assert_snapshot!(first(&story(alone, World { broken, ..World::default() })), @r"
    0s ask present
    0s wait 60s, blind: failed to query Prometheus at http://frontend:9090: it refused the query: =~ is an unsupported matchtype for the __name__ label
    60s wait 60s, blind: failed to query Prometheus at http://frontend:9090: it refused the query: =~ is an unsupported matchtype for the __name__ label
    120s wait 60s, blind: failed to query Prometheus at http://frontend:9090: it refused the query: =~ is an unsupported matchtype for the __name__ label
    180s wait 60s, blind: failed to query Prometheus at http://frontend:9090: it refused the query: =~ is an unsupported matchtype for the __name__ label
    240s wait 60s, blind: failed to query Prometheus at http://frontend:9090: it refused the query: =~ is an unsupported matchtype for the __name__ label
    300s wait 60s, blind: failed to query Prometheus at http://frontend:9090: it refused the query: =~ is an unsupported matchtype for the __name__ label
    360s wait 60s, blind: failed to query Prometheus at http://frontend:9090: it refused the query: =~ is an unsupported matchtype for the __name__ label
    420s wait 60s, blind: failed to query Prometheus at http://frontend:9090: it refused the query: =~ is an unsupported matchtype for the __name__ label
    480s wait 60s, blind: failed to query Prometheus at http://frontend:9090: it refused the query: =~ is an unsupported matchtype for the __name__ label
    540s Promote: error rate 0% (0 of 48,600 requests, at most 0.01%; limit 1%); primary 0%
    reading http_requests_total by code from Prometheus; to fix this choice: canary.metrics: http
    ");
}

#[test]
fn a_source_that_is_named_or_alone_is_the_runs() {
    let mut named = of_both();
    named.policy.metrics =
        Choice::parse("{source: pages, requests: http_requests_total, errors: 'http_requests_total{code=\"500\"}'}").unwrap();
    insta::assert_snapshot!(first(&story(named, World { traffic: BROKEN, ..World::default() })), @r#"
    0s ask present on the pods' own metrics pages
    0s wait 1s
    1s wait 1s
    2s wait 1s
    3s wait 1s
    4s wait 1s
    5s wait 5s
    10s Reject: error rate 100% (900 of 900 requests) exceeds 1% after 10s; primary 0%
    reading http_requests_total and http_requests_total{code="500"} on the pods' own metrics pages; to fix this choice: canary.metrics: {source: pages, requests: 'http_requests_total', errors: 'http_requests_total{code="500"}'}
    "#);
    let alone = Subject { sources: vec![Origin::Pages], ..short() };
    insta::assert_snapshot!(first(&story(alone, World::default())), @r"
    0s ask present on the pods' own metrics pages
    0s wait 1s
    1s wait 1s
    2s wait 1s
    3s wait 1s
    4s wait 1s
    5s wait 5s
    10s wait 5s
    15s wait 5s
    20s Promote: error rate 0% (0 of 1,800 requests, at most 0.19%; limit 1%); primary 0%
    reading http_requests_total by code on the pods' own metrics pages; to fix this choice: canary.metrics: http
    ");
}

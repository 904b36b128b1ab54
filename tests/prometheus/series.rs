//! Series as they are found in the wild: one page under several targets, other clusters, renamed labels, and codes that are neither good nor the
//! server's error.

use std::collections::BTreeSet;

use coalmine::sources::{Source, Wanted};
use coalmine_core::metrics::counting::{FACTS, Series, Tally};
use coalmine_core::metrics::stores::prometheus::{present, query::Dialect};
use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::*;

async fn seen(world: &World, looks: usize) -> (Found, Counted) {
    world.begin(&PRIMARY);
    let found = world.found().await;
    world.await_counted().await;
    let ready = Instant::now();
    world.begin(&[CANARY]);
    let counted = world.looks(&found, ready, looks).await;
    assert!(counted.canary.requests <= ready.elapsed().as_secs_f64() * REQUESTS_PER_SECOND, "no request counts twice: {counted:?}");
    (found, counted)
}

fn canary(counted: &Counted) -> Tally {
    counted.details.iter().fold(Tally::default(), |mut total, detail| {
        total.add(detail.canary);
        total
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Prometheus: COALMINE_PROMETHEUS names the program"]
async fn one_page_under_several_targets_is_counted_once() {
    let copies = &["container: app", "container: proxy", "service: headless, endpoint: web, receive_replica: one"];
    let world = World::of("copies", Plan { label: Some("pod"), copies, ..Plan::default() }).await;
    let (found, counted) = seen(&world, 6).await;
    assert_eq!(found.description(), "http_requests_total by code");
    let whole = &counted.looks[1..counted.looks.len() - 1];
    let seconds: f64 = whole.iter().map(|look| look.interval.as_secs_f64()).sum();
    let of = |side: fn(&coalmine_core::statistics::Look) -> f64| whole.iter().map(side).sum::<f64>() / seconds;
    assert!(close_to(of(|look| look.canary.requests), REQUESTS_PER_SECOND), "{whole:?}");
    assert!(close_to(of(|look| look.primary.requests), 3.0 * REQUESTS_PER_SECOND), "{whole:?}");
    // Within the first look, which begins with the canary, not every pod may have been scraped.
    let of_whole = &counted.details[1..counted.details.len() - 1];
    assert!(of_whole.iter().all(|detail| detail.primary.len() == 3), "{:?}", counted.details);
    // A store that takes no long questions is asked in parts.
    let names = discovery::wanted(&Choice::Auto, true);
    let known = async |longest: usize| {
        let mut known = BTreeSet::new();
        for question in present::present(&world.scope, &names, Dialect::default(), longest) {
            known.extend(world.client.query(&question).await.unwrap().into_iter().map(|one| one.labels));
        }
        known
    };
    let whole = known(usize::MAX).await;
    assert!(whole.iter().any(|labels| labels.contains_key("code")), "{whole:?}");
    assert_eq!(known(4096).await, whole);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Prometheus: COALMINE_PROMETHEUS names the program"]
async fn pods_of_another_cluster_are_not_counted() {
    let world = World::of("clusters", Plan { label: Some("exported_pod"), has_another_cluster: true, ..Plan::default() }).await;
    world.begin(&[ELSEWHERE]);
    let (found, counted) = seen(&world, 5).await;
    assert_eq!(
        (found.pod_label, counted.primary.errors.to_string()),
        (PodLabel::ExportedPod, "0".to_owned()),
        "what fails there: {counted:?}"
    );
    assert!(close_to(counted.canary.errors / counted.canary.requests, 1.0 / 3.0), "{counted:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Prometheus: COALMINE_PROMETHEUS names the program"]
async fn a_renamed_label_is_no_success() {
    let world = World::of("renamed", Plan { label: Some("pod"), failing: Failing::Renamed, ..Plan::default() }).await;
    let (_, counted) = seen(&world, 4).await;
    let lacking: Vec<String> = counted.lacking.iter().map(ToString::to_string).collect();
    assert_eq!(lacking, ["http_requests_total of the canary has no label code"]);
    assert_eq!(canary(&counted), Tally::default(), "it was scraped, and nothing is known of its requests");
    assert!(counted.primary.requests > 0.0 && counted.looks.len() >= 4, "{counted:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Prometheus: COALMINE_PROMETHEUS names the program"]
async fn what_is_not_found_is_a_clients_error() {
    let world = World::of("notfound", Plan { label: Some("pod"), failing: Failing::NotFound, ..Plan::default() }).await;
    let (_, counted) = seen(&world, 5).await;
    let Tally { requests, errors, clients, .. } = canary(&counted);
    assert!(close_to(clients / requests, 1.0 / 3.0) && errors.total_cmp(&0.0).is_eq(), "{counted:?}");
    let primary = counted.details.iter().map(|detail| detail.primary_total().clients).sum::<f64>();
    assert!(primary.total_cmp(&0.0).is_eq(), "{counted:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Prometheus: COALMINE_PROMETHEUS names the program"]
async fn codes_of_grpc_on_a_counter_of_https_name() {
    let world = World::of("grpc", Plan { label: Some("pod"), failing: Failing::Grpc, ..Plan::default() }).await;
    world.begin(&PRIMARY);
    let found = world.found().await;
    let ready = Instant::now();
    world.begin(&[CANARY]);
    let counted = world.looks(&found, ready, 5).await;
    let Tally { requests, errors, clients, .. } = canary(&counted);
    assert!(close_to(errors / requests, 1.0 / 3.0) && clients.total_cmp(&0.0).is_eq(), "{counted:?}");
    assert!(counted.primary.requests > 0.0 && counted.primary.errors.total_cmp(&0.0).is_eq(), "{counted:?}");
}

/// A store that finds every series of a run too many.
#[derive(Debug)]
struct Crowded<'a>(&'a Prometheus);

impl Source for Crowded<'_> {
    fn present<'a>(&'a self, scope: &'a Scope, metrics: &'a [String]) -> BoxFuture<'a, Result<Vec<Series>, sources::Error>> {
        self.0.present(scope, metrics)
    }

    fn samples<'a>(&'a self, scope: &'a Scope, wanted: &'a Wanted) -> BoxFuture<'a, Result<Vec<Series>, sources::Error>> {
        if wanted.sums.is_some() || wanted.metrics.len() <= FACTS.len() {
            return self.0.samples(scope, wanted);
        }
        let full = sources::Error { target: "a crowded store".to_owned(), problem: Problem::TooManySeries(1) };
        std::future::ready(Err(full)).boxed()
    }

    fn evaluate<'a>(
        &'a self,
        namespace: &'a str,
        query: &'a str,
        since: Duration,
        step: Duration,
    ) -> BoxFuture<'a, Result<Vec<Series>, sources::Error>> {
        self.0.evaluate(namespace, query, since, step)
    }

    fn sums(&self) -> bool {
        true
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Prometheus: COALMINE_PROMETHEUS names the program"]
async fn what_is_summed_up_is_counted_as_it_was_scraped() {
    let copies = &["container: app", "service: headless, endpoint: web"];
    let world = World::of("summed", Plan { label: Some("pod"), copies, ..Plan::default() }).await;
    world.begin(&PRIMARY);
    let found = world.found().await;
    world.await_counted().await;
    let ready = Instant::now();
    world.begin(&[CANARY]);
    let raw = world.looks(&found, ready, 8).await;
    let crowded = Crowded(&world.client);
    let window = Window { elapsed: i64::try_from(ready.elapsed().as_millis()).unwrap(), begun: raw.begun, ..Window::default() };
    let readings = [(found.reading.clone(), window)];
    let interval = Some(Duration::from_secs(1));
    let summed = Reader::default().count(&crowded, &world.scope, found.pod_label, &readings, interval, coalmine::clock::now()).await;
    let summed = summed.unwrap().remove(0);
    let of = |counted: &Counted| counted.ends.iter().copied().zip(counted.looks.clone()).collect::<Vec<_>>();
    let (raw, summed) = (of(&raw), of(&summed));
    // The last may not have been there when the other was asked for, and the first depends on the guess when the canary was Ready.
    assert_eq!(summed[1..raw.len() - 1], raw[1..raw.len() - 1], "{summed:?}");
    let (since, window, past) = (Duration::from_mins(5), Duration::from_secs(2), [found.reading]);
    let past = sources::history(&crowded, &world.scope, found.pod_label, &past, since, window).await.unwrap();
    assert!(past[0].requests() >= 0.0, "the past is asked for in the same way");
}

//! Native histograms of a real Prometheus, of both kinds: with the boundaries of a classic one, and exponential ones that become coarser
//! while the canary runs.

use coalmine_core::metrics::counting::Bound;
use serde_json::{Value, json};

use super::*;

const LIMIT: Duration = Duration::from_millis(300);

/// Counts until the canary was seen so often.
async fn slow(world: &World, found: &Found, since: Instant, looks: usize) -> Counted {
    let reading = found.slower_than(LIMIT).unwrap();
    let reader = tokio::sync::Mutex::new(Reader::default());
    eventually("scrapes of the canary", || async {
        let counted = world.count_with(&mut *reader.lock().await, found, &reading, since).await.map_err(|error| error.to_string())?;
        if counted.looks.len() >= looks { Ok(counted) } else { Err(format!("{counted:?}")) }
    })
    .await
}

fn is_rejected(counted: &Counted) -> bool {
    let parameters = Parameters::default().with_looks(Duration::from_mins(10), Duration::from_secs(1));
    analyse(&counted.looks, parameters, Duration::from_secs(3), Deadline::Ahead).verdict == Verdict::Reject
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Prometheus: COALMINE_PROMETHEUS names the program"]
async fn a_histogram_with_written_boundaries() {
    let world = World::with("nhcb", Some("pod"), "  convert_classic_histograms_to_nhcb: true\n").await;
    world.begin(&PRIMARY);
    let found = world.found_with(true).await;
    assert!(found.latency.as_ref().is_some_and(|histogram| histogram.bounds.is_empty()), "it is a native one: {found:?}");
    let ready = Instant::now();
    world.begin(&[CANARY]);
    let counted = slow(&world, &found, ready, 5).await;
    assert!(close_to(counted.canary.errors / counted.canary.requests, 1.0 / 3.0), "{counted:?}");
    assert!(counted.primary.requests > 0.0 && counted.primary.errors < 1.0, "{counted:?}");
    assert_eq!(found.bound(&counted.bound, LIMIT).unwrap(), Duration::from_millis(250), "what takes up to 500 ms may be too slow");
    assert!(is_rejected(&counted), "{counted:?}");
}

/// What a pod sends that has served so many requests, each third of which took 400 ms and the others 50.
fn request(pod: &str, scale: i32, slow: bool, served: u64, began: i128) -> Value {
    let index = |seconds: f64| -> i64 {
        #[expect(clippy::cast_possible_truncation, reason = "a small number")]
        let index = (seconds.log2() * f64::from(scale).exp2()).ceil() as i64 - 1;
        index
    };
    let (low, high) = (index(0.05), index(0.4));
    let failed = if slow { served / 3 } else { 0 };
    let count = |at: i64| {
        let fast = if at == low { served - failed } else { 0 };
        (fast + if at == high { failed } else { 0 }).to_string()
    };
    let attribute = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
    let resource = [attribute("service.name", "app"), attribute("k8s.pod.name", pod), attribute("k8s.namespace.name", "shop")];
    let point = json!({
        "attributes": [{"key": "http.response.status_code", "value": {"intValue": "200"}}],
        "startTimeUnixNano": began.to_string(), "timeUnixNano": coalmine::clock::now().as_nanosecond().to_string(),
        "count": served.to_string(), "sum": 1.0, "scale": scale, "zeroCount": "0",
        "positive": {"offset": low, "bucketCounts": (low..=high).map(count).collect::<Vec<_>>()},
    });
    let histogram = json!({"aggregationTemporality": 2, "dataPoints": [point]});
    let metric = json!({"name": "http.server.request.duration", "unit": "s", "exponentialHistogram": histogram});
    json!({"resourceMetrics": [{"resource": {"attributes": resource}, "scopeMetrics": [{"metrics": [metric]}]}]})
}

/// Sends for a pod twice a second; after five seconds in coarser buckets.
async fn serve(url: String, pod: &'static str, slow: bool) {
    let (client, began, since) = (reqwest::Client::new(), coalmine::clock::now().as_nanosecond(), Instant::now());
    let mut ticks = tokio::time::interval(Duration::from_millis(500));
    loop {
        ticks.tick().await;
        let scale = if since.elapsed() < Duration::from_secs(5) { 5 } else { 2 };
        let body = request(pod, scale, slow, 1000 + u64::try_from(since.elapsed().as_millis()).unwrap() / 2, began).to_string();
        let sent = client.post(format!("{url}/api/v1/otlp/v1/metrics")).header("Content-Type", "application/json").body(body).send().await;
        // Prometheus may not listen yet; a refusal would leave the test without a counter.
        if let Ok(answer) = sent
            && !answer.status().is_success()
        {
            eprintln!("refused: {}", answer.text().await.unwrap_or_default());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Prometheus: COALMINE_PROMETHEUS names the program"]
async fn an_exponential_histogram_is_counter_and_latency_in_one() {
    let world = World::new("exponential", Some("pod")).await;
    for pod in PRIMARY {
        tokio::spawn(serve(world.client.url().to_owned(), pod, false));
    }
    let found = world.found_with(true).await;
    assert_eq!(
        (found.description().as_str(), found.spelling(), found.pod_label),
        ("http_server_request_duration_seconds_count by http_response_status_code", "otel", PodLabel::K8sPodName)
    );
    let ready = Instant::now();
    tokio::spawn(serve(world.client.url().to_owned(), CANARY, true));
    let before = slow(&world, &found, ready, 4).await;
    let after = slow(&world, &found, ready, 18).await;
    for counted in [&before, &after] {
        assert!(close_to(counted.canary.errors / counted.canary.requests, 1.0 / 3.0), "{counted:?}");
        assert!(counted.primary.requests > 0.0 && counted.primary.errors < 1.0, "{counted:?}");
        assert!(is_rejected(counted), "{counted:?}");
    }
    let bound = |counted: &Counted| found.bound(&counted.bound, LIMIT).unwrap();
    assert_eq!(bound(&before), LIMIT, "no request lies across the limit");
    assert!(matches!(after.bound, Bound::Known(_)) && bound(&after) <= LIMIT, "{:?}", after.bound);
    let all = world.count(&found, ready).await.unwrap();
    assert!(all.canary.requests >= after.canary.requests && all.canary.errors < 1.0, "{all:?}");
}

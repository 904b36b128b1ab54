//! A bad canary is counted and rejected, pods are told apart by their addresses alone, and checks are asked.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Prometheus: COALMINE_PROMETHEUS names the program"]
async fn a_bad_canary_is_counted_and_rejected() {
    let world = World::new("count", Some("pod")).await;
    world.begin(&PRIMARY);
    let found = world.found().await;
    assert_eq!((found.description().as_str(), found.spelling(), found.pod_label), ("http_requests_total by code", "http", PodLabel::Pod));

    world.await_counted().await;

    let ready = Instant::now();
    world.begin(&[CANARY]);
    let counted = world.looks(&found, ready, 6).await;
    assert!(counted.scrape_interval.is_some_and(|interval| close_to(interval as f64, 1000.0)) && counted.primary_pods == 3, "{counted:?}");
    let rate = counted.canary.errors / counted.canary.requests;
    assert!(close_to(rate, 1.0 / 3.0), "{counted:?}");
    assert!(
        counted.canary.requests <= ready.elapsed().as_secs_f64() * REQUESTS_PER_SECOND,
        "scraped once by each job, counted once: {counted:?}"
    );
    // The first look is a part of an interval, and in the last the primary's scrapes may not all be stored yet.
    let whole = &counted.looks[1..counted.looks.len() - 1];
    let seconds: f64 = whole.iter().map(|look| look.interval.as_secs_f64()).sum();
    let canary: f64 = whole.iter().map(|look| look.canary.requests).sum();
    let primary: f64 = whole.iter().map(|look| look.primary.requests).sum();
    assert!(close_to(canary / seconds, REQUESTS_PER_SECOND) && close_to(primary / seconds, 3.0 * REQUESTS_PER_SECOND), "{whole:?}");
    let parameters = Parameters::default().with_looks(Duration::from_mins(10), Duration::from_secs(1));
    assert_eq!(analyse(&counted.looks[..3], parameters, Duration::from_secs(3), Deadline::Ahead).verdict, Verdict::Reject);

    // The process restarts: its counters begin at zero, and what was counted stays counted.
    world.begin(&[CANARY]);
    let after = world.looks(&found, ready, counted.looks.len() + 3).await;
    assert!(
        after.canary.requests > counted.canary.requests && after.canary.requests <= ready.elapsed().as_secs_f64() * REQUESTS_PER_SECOND
    );

    // Prometheus stalls: no numbers, in bounded time; and when it goes on, nothing is lost.
    world.signal(Signal::STOP);
    let error = eventually("Prometheus to stand still", || async {
        let begun = Instant::now();
        let error = world.count(&found, ready).await.err().ok_or("it answered")?;
        assert!(begun.elapsed() < Duration::from_secs(10), "bounded in time");
        Ok(error)
    })
    .await;
    assert!(matches!(error.problem, Problem::Timeout(_)), "{error}");
    world.signal(Signal::CONT);
    let recovered = world.looks(&found, ready, after.looks.len() + 1).await;
    let settled = after.looks.len() - 1;
    assert_eq!(recovered.looks[..settled], after.looks[..settled], "what was seen is seen again");
    let anew = world.count_with(&mut Reader::default(), &found, &found.reading, ready).await.unwrap();
    let settled = recovered.looks.len() - 1;
    assert_eq!(anew.looks[..settled], recovered.looks[..settled], "another replica reads the whole run and sees the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Prometheus: COALMINE_PROMETHEUS names the program"]
async fn pods_are_told_apart_by_address_and_checks_are_asked() {
    let world = World::new("checks", None).await;
    world.begin(&PRIMARY);
    world.begin(&[CANARY]);
    let found = world.found().await;
    assert_eq!(found.pod_label, PodLabel::Instance);
    let ready = Instant::now();
    let counted = world.looks(&found, ready, 8).await;
    assert_eq!(counted.primary_pods, 3, "{counted:?}");

    // The past is read in steps of a usual scrape interval, so it needs some of them.
    let deadline = Instant::now() + Duration::from_mins(2);
    let history = loop {
        let readings = std::slice::from_ref(&found.reading);
        let since = Duration::from_mins(5);
        let history = sources::history(&world.client, &world.scope, found.pod_label, readings, since, Duration::from_secs(2)).await;
        let history = history.unwrap().remove(0);
        if !history.windows.is_empty() {
            break history;
        }
        assert!(Instant::now() < deadline, "no history came");
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    assert!(history.windows.iter().flatten().all(|pods| pods.len() == 3), "{history:?}");

    let sources = |rules: Rules| {
        let metrics = Arc::new(Prometheus::new(Settings::new(world.client.url())).unwrap());
        Sources::new(Some(metrics), None, Pages::new(None, Vec::new(), None).unwrap(), false, Fetcher::new(None).unwrap(), rules)
    };
    // Nothing writes a namespace here.
    let (all, own) = (sources(Rules { see_all_namespaces: true, ..Rules::default() }), sources(Rules::default()));
    let asked = |progress| Asked {
        scope: &world.scope,
        pod_label: found.pod_label,
        primary: "app",
        since: ready.elapsed(),
        interval: Duration::from_secs(1),
        progress,
    };
    let ask = async |check: &str, progress| {
        let probe: Probe = parse_list(&format!("[{{name: a, {check}}}]")).unwrap().remove(0).probe;
        all.check(&probe, asked(progress)).await.map(Option::unwrap)
    };
    let probe: Probe = parse_list("[{name: a, query: max(backlog), max: 10}]").unwrap().remove(0).probe;
    let confined = own.check(&probe, asked(Progress::Over)).await.unwrap().unwrap();
    assert_eq!(confined, Outcome::Unknown(Unknown::NoSeries { namespace: Some(world.scope.namespace.clone()) }));
    let passed = ask(r#"query: 'max(backlog{instance=~"{{pods}}"})', max: 10"#, Progress::Over).await.unwrap();
    assert_eq!(passed, Outcome::Passed(Passed::Query(vec![Amount::Plain(7.0)])));
    let failed = ask(r#"query: 'scalar(max(backlog{instance=~"{{pods}}"}))', max: 5"#, Progress::Late).await.unwrap();
    let Outcome::Failed(Failed::Query(breach)) = &failed else { panic!("{failed:?}") };
    assert_eq!((breach.amount, breach.bound), (Amount::Plain(7.0), Bound::Above(5.0)));
    let alike =
        ask(r#"query: 'avg(rate(http_requests_total{code="200",instance=~"{{pods}}",job="pods"}[5s]))', maxRatio: 1.5"#, Progress::Over)
            .await;
    assert!(
        matches!(&alike, Ok(Outcome::Passed(Passed::Query(amounts))) if matches!(amounts[..], [Amount::TimesThePrimarys(_)])),
        "{alike:?}"
    );
    let nothing = ask("query: nowhere_to_be_found, max: 5", Progress::Over).await.unwrap();
    assert_eq!(nothing, Outcome::Unknown(Unknown::NoSeries { namespace: None }));
    let unknown = ask("query: 'function_of_tomorrow(backlog)', max: 5", Progress::Early).await.unwrap_err();
    assert!(unknown.problem.is_permanent() && unknown.to_string().contains("unknown function"), "{unknown}");
}

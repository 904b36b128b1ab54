//! What is made of the pages of a run.

use super::*;
use crate::api::policy::Policy;
use crate::metrics::counting::{Members, Pods};
use crate::metrics::discovery::{Choice, recognise};
use crate::metrics::pages::Scheme;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn wishes() -> Wishes {
    Wishes::of(&Policy::default(), &[])
}

fn pod(name: &str, address: &str, created: i64) -> Pod {
    let place = |port, path: &str| Place { scheme: Scheme::Http, port, path: path.to_owned() };
    Pod {
        name: name.to_owned(),
        address: Some(address.to_owned()),
        replica_sets: vec![name.rsplit_once('-').unwrap().0.to_owned()],
        created: Some(at(created)),
        is_serving: true,
        places: vec![place(8080, "/metrics"), place(8080, "/stats"), place(9090, "/metrics")],
        ..Pod::default()
    }
}

fn page(text: &str) -> Read {
    let mut page = Page::default();
    page.push(&wishes(), text.as_bytes()).unwrap();
    page.end(&wishes()).unwrap();
    if page.is_metrics { Read::Page(Box::new(page)) } else { Read::Refused("no metrics page".to_owned()) }
}

fn counter(value: i64) -> Read {
    page(&format!("http_requests_total{{code=\"200\"}} {value}\n"))
}

fn round(collected: &mut Collected, second: i64, read: impl Fn(&Target) -> Read) {
    let results = collected.targets().into_iter().map(|target| (target.clone(), read(&target))).collect();
    collected.took(at(second), results, Duration::from_millis(3));
}

fn told(series: &[Series]) -> String {
    let line = |one: &Series| {
        let samples: Vec<String> =
            one.samples.iter().map(|sample| format!("{}@{}", sample.value, sample.at / 1000 - 1_800_000_000)).collect();
        format!("{} {} {} {}", one.name(), one.label("pod"), one.label("instance"), samples.join(" "))
    };
    series.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_run() {
    let mut collected = Collected::new("shop", "app", wishes(), true);
    let primary = [pod("app-6d5f-aaaaa", "10.0.0.1", -50), pod("app-6d5f-bbbbb", "10.0.0.2", -50), pod("other-6d5f-x", "10.0.0.3", -50)];
    collected.aim(&[], &primary);
    assert_eq!(collected.targets().len(), 3, "one pod is looked at everywhere");
    let serving = |target: &Target| match (target.place.port, target.place.path.as_str()) {
        (8080, "/metrics") => counter(100),
        (8080, _) => Read::Refused("status 404".to_owned()),
        _ => page("go_goroutines 1\n"),
    };
    round(&mut collected, 0, serving);
    assert_eq!(collected.targets().len(), 2, "then all that are drawn, where the counters are");
    assert_eq!(collected.next(at(0)), Duration::from_secs(1));
    round(&mut collected, 1, |_| counter(110));
    collected.aim(&[pod("app-canary-77f-ccccc", "10.0.0.9", 1)], &primary[1..]);
    round(&mut collected, 2, serving);
    collected.aim(&[pod("app-canary-77f-ccccc", "10.0.0.9", 1)], &[primary[1].clone(), pod("app-6d5f-eeeee", "10.0.0.5", -9)]);
    round(&mut collected, 3, |target| if target.is_canary { Read::Silent } else { counter(130) });
    insta::assert_snapshot!(told(&collected.samples(&["http_requests_total".to_owned()], &[])), @r"
    http_requests_total app-6d5f-aaaaa 10.0.0.1:8080 100@0 110@1
    http_requests_total app-6d5f-bbbbb 10.0.0.2:8080 110@0 110@1 100@2 130@3
    http_requests_total app-6d5f-eeeee 10.0.0.5:8080 130@0 130@3
    http_requests_total app-canary-77f-ccccc 10.0.0.9:8080 100@2
    up app-6d5f-aaaaa 10.0.0.1:8080 1@0 1@1
    up app-6d5f-bbbbb 10.0.0.2:8080 1@0 1@1 1@2 1@3
    up app-6d5f-eeeee 10.0.0.5:8080 1@0 1@3
    up app-canary-77f-ccccc 10.0.0.9:8080 1@2 0@3
    ");
    let pods =
        Pods { canary: Members::of_names(["app-canary-77f-ccccc"]), primary: Members::of_names(["app-6d5f-aaaaa", "app-6d5f-bbbbb"]) };
    let found = recognise(&Choice::Auto, &collected.present().unwrap(), &pods, "app").unwrap();
    assert_eq!((found.preset, found.pod_label), (Some("http"), PodLabel::Pod));
}

#[test]
fn what_was_looked_for_in_vain() {
    let mut collected = Collected::new("shop", "app", wishes(), true);
    let tried = |collected: &Collected| collected.present().unwrap_err();
    collected.aim(&[], &[]);
    let mut all = vec![tried(&collected)];
    collected.aim(&[], &[Pod { places: Vec::new(), ..pod("app-6d5f-aaaaa", "10.0.0.1", 0) }]);
    all.push(tried(&collected));
    let mut collected = Collected::new("shop", "app", wishes(), true);
    collected.aim(&[], &[pod("app-6d5f-aaaaa", "10.0.0.1", 0)]);
    round(&mut collected, 0, |_| page("<html></html>"));
    all.push(tried(&collected));
    round(&mut collected, 1, |target| if target.place.port == 9090 { Read::Silent } else { Read::Refused("status 404".to_owned()) });
    all.push(tried(&collected));
    insta::assert_snapshot!(all.iter().map(|(words, silent)| format!("{silent} {words}")).collect::<Vec<_>>().join("\n"), @r#"
    false none of them is Ready
    false their containers declare no port, or the template says prometheus.io/scrape: "false"; the annotation prometheus.io/port names one
    false tried :8080/metrics (no metrics page), :8080/stats (no metrics page), :9090/metrics (no metrics page); name port and path by the annotations prometheus.io/port and prometheus.io/path on the template, or give Coalmine a Prometheus
    true tried :8080/metrics (status 404), :8080/stats (status 404), :9090/metrics (no answer); does a NetworkPolicy keep Coalmine out? Else name port and path by the annotations prometheus.io/port and prometheus.io/path
    "#);
}

#[test]
fn one_registry_at_two_ports_is_read_once() {
    let mut collected = Collected::new("shop", "app", wishes(), true);
    collected.aim(&[], &[pod("app-6d5f-aaaaa", "10.0.0.1", 0)]);
    let targets = |starts: [&str; 2], counts: [i64; 2]| {
        let mut collected = collected.clone();
        round(&mut collected, 0, |target| {
            let second = usize::from(target.place.port != 8080);
            page(&format!("{}\nhttp_requests_total{{code=\"200\"}} {}\n", starts[second], counts[second]))
        });
        collected.targets().len()
    };
    let start = "process_start_time_seconds 1.79e9";
    assert_eq!(targets([start; 2], [1000, 1010]), 1);
    assert_eq!(targets([start; 2], [1000, 5000]), 2);
    assert_eq!(targets([start, "process_start_time_seconds 1790000000.3"], [1000, 1010]), 2, "two processes that are asked alike");
    assert_eq!(targets([""; 2], [1000, 1010]), 2, "nobody knows");
}

#[test]
fn other_wishes_need_another_round() {
    let mut collected = Collected::new("shop", "app", wishes(), true);
    collected.aim(&[], &[pod("app-6d5f-aaaaa", "10.0.0.1", 0)]);
    round(&mut collected, 0, |_| counter(1));
    collected.want_all();
    assert!(!collected.needs_a_round(), "nothing is missing");
    collected.samples(&["http_requests_total".to_owned()], &[]);
    collected.want_all();
    assert!(collected.needs_a_round(), "it was narrowed down meanwhile");
    let policy = Policy { max_latency_p99: Some(Duration::from_millis(250)), ..Policy::default() };
    collected.wish(Wishes::of(&policy, &[]));
    assert!(collected.present().unwrap().is_empty());
}

/// One label for a target, whether its page was read or not: else a page that fails would be another one's.
#[test]
fn what_comes_over_tls_from_nobody_known_is_marked() {
    let read = |verifies: bool| {
        let mut collected = Collected::new("shop", "app", wishes(), verifies);
        let place = Place { scheme: Scheme::Https, port: 8443, path: "/metrics".to_owned() };
        collected.aim(&[], &[Pod { places: vec![place], ..pod("app-6d5f-aaaaa", "10.0.0.1", 0) }]);
        round(&mut collected, 0, |_| counter(1));
        round(&mut collected, 1, |_| Read::Silent);
        let line = |one: &Series| format!("{} {} {}", one.name(), one.samples.len(), one.label(UNVERIFIED));
        collected.present().unwrap();
        collected.record.series().iter().map(line).collect::<Vec<_>>().join(", ")
    };
    insta::assert_snapshot!(read(true), @"http_requests_total 1 , up 2");
    insta::assert_snapshot!(read(false), @"http_requests_total 1 true, up 2 true");
}

/// Three pods from the hold on, and a canary that is Ready at second 30, as another replica finds them at second 50.
fn of_a_leader(until: i64) -> Collected {
    let mut collected = Collected::new("shop", "app", wishes(), true);
    let primary = ["a", "b", "c"].map(|name| pod(&format!("app-6d5f-{name}"), &format!("10.0.0.{}", name.as_bytes()[0]), -50));
    for second in 0..=until {
        let canary = (second >= 30).then(|| pod("app-canary-77f-ccccc", "10.0.0.9", 25));
        collected.aim(canary.as_slice(), &primary);
        let ours = |target: &Target| if target.is_canary { counter((second - 30) * 90) } else { counter(1000 + second * 90) };
        let read = |target: &Target| if target.place.path == "/metrics" && target.place.port == 8080 { ours(target) } else { Read::Silent };
        round(&mut collected, second, read);
    }
    collected.samples(&["http_requests_total".to_owned()], &[]);
    collected
}

#[test]
fn another_replica_goes_on_from_what_stands_on_the_canary() {
    let before = of_a_leader(50);
    let text = before.baseline("r1").unwrap();
    let mut after = Collected::new("shop", "app", wishes(), true);
    after.restore(&text, "r1", at(65));
    let samples = after.record.series().iter().map(|one| one.samples.len()).max();
    assert_eq!(samples, Some(24));
    let line = |one: &Series| {
        let ends = [one.samples.first().unwrap(), one.samples.last().unwrap()];
        let ends = ends.map(|sample| format!("{}@{}", sample.value, sample.at / 1000 - 1_800_000_000));
        format!("{} {} {}", one.name(), one.label("pod"), ends.join(" "))
    };
    let lines: Vec<String> = after.record.series().iter().map(line).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    http_requests_total app-6d5f-a 1000@0 5500@50
    http_requests_total app-6d5f-b 1090@0 5500@50
    http_requests_total app-6d5f-c 1090@0 5500@50
    http_requests_total app-canary-77f-ccccc 0@30 1800@50
    up app-6d5f-a 1@0 1@50
    up app-6d5f-b 1@0 1@50
    up app-6d5f-c 1@0 1@50
    up app-canary-77f-ccccc 1@30 1@50
    ");
    assert_eq!((after.began, after.needs_a_round()), (before.began, false), "nobody is there yet to be read");
    assert!(after.present().is_ok());
}

#[test]
fn what_is_not_of_this_run_is_nothing() {
    let text = of_a_leader(50).baseline("r1").unwrap();
    let restored = |text: &str, run: &str, now: i64, wishes: Wishes| {
        let mut after = Collected::new("shop", "app", wishes, true);
        after.restore(text, run, at(now));
        after.record.series().len()
    };
    assert_eq!(restored(&text, "r1", 65, wishes()), 8);
    let others = Wishes::of(&Policy { max_latency_p99: Some(Duration::from_millis(250)), ..Policy::default() }, &[]);
    assert_eq!(restored(&text, "r1", 65, others), 0, "something else is wanted now");
    assert_eq!(restored(&text, "r2", 65, wishes()), 0, "another run");
    assert_eq!(restored(&text, "r1", 40, wishes()), 0, "it knows the future");
    for broken in ["", "anything", &text[1..], &text[..text.len() / 2], &"A".repeat(20_000)] {
        assert_eq!(restored(broken, "r1", 65, wishes()), 0);
    }
    let mut late = of_a_leader(3);
    late.restore(&text, "r1", at(65));
    assert_eq!(late.record.series().len(), 6, "what was read counts for more");
    assert_eq!(late.baseline("r1"), None, "there is no canary yet");
}

#[test]
fn a_run_with_much_to_tell_is_kept_shorter_or_not_at_all() {
    let with_codes = |codes: i64| {
        let mut collected = Collected::new("shop", "app", wishes(), true);
        let primary: Vec<Pod> = (0..8).map(|n| pod(&format!("app-6d5f-{n}"), &format!("10.0.1.{n}"), -50)).collect();
        for second in 0..30 {
            collected.aim(&[pod("app-canary-77f-ccccc", "10.0.0.9", -1)], &primary);
            let line = |code: i64| format!("http_requests_total{{code=\"{code}\"}} {}\n", second * 7919 % 1000 * code);
            let text: String = (100..100 + codes).map(line).collect();
            round(&mut collected, second, |_| page(&text));
        }
        collected.baseline("r1")
    };
    assert!(with_codes(5).is_some_and(|text| text.len() <= 12 << 10));
    assert!(with_codes(30).is_none_or(|text| text.len() <= 12 << 10));
    assert_eq!(with_codes(90), None);
}

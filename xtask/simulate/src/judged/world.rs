//! What the judge can ask about: pods that the API server names, and their series as Prometheus keeps them.

use std::time::Duration;

use coalmine_core::{
    api::{origin::Origin, policy::Policy},
    judging::{Answer, Failure, Pod, Question, Subject},
    metrics::{
        counting::{History, Labels, Sample, Series, count},
        pages::Hints,
    },
};
use jiff::Timestamp;
use serde_json::Value;

use super::scraping::Scraping;
use crate::random::Random;
use crate::setup::Setup;
use crate::traffic::{Drawn, Scrape, Traffic};

const READY: i64 = 1_800_000_000;
/// Every process of the primary that was there at the beginning counted before.
const BEFORE: f64 = 1e6;
/// Prometheus shows the last sample of a series for so long.
const STALE: f64 = 300.0;
/// Samples before the canary was Ready, which its counts are held against.
const LEAD: f64 = 4.0;

/// The series of a counter: how its label is spelled, and what of the requests it counts.
type Part = (&'static str, fn(Drawn) -> f64);

const CODES: [Part; 3] = [
    ("200", |drawn| drawn.pod.requests - drawn.pod.errors - drawn.pod.client_errors),
    ("500", |drawn| drawn.pod.errors),
    ("404", |drawn| drawn.pod.client_errors),
];
const BUCKETS: [Part; 3] = [
    ("0.1", |drawn| drawn.timed.requests - drawn.timed.slower_than_low),
    ("0.25", |drawn| drawn.timed.requests - drawn.timed.slower_than_high),
    ("+Inf", |drawn| drawn.timed.requests),
];

/// One pod's page, and whether it answered.
#[derive(Debug)]
struct Page {
    is_canary: bool,
    /// What it has counted by each scrape; nothing where it did not answer.
    scrapes: Vec<(f64, Option<Drawn>)>,
    counted: Drawn,
    has_restarted: bool,
}

#[derive(Debug)]
pub(super) struct World<'a> {
    setup: &'a Setup,
    scraping: Scraping,
    traffic: Traffic<'a>,
    now: f64,
    pages: Vec<Page>,
}

impl<'a> World<'a> {
    pub(super) fn new(setup: &'a Setup, scraping: Scraping, random: Random) -> Self {
        let mut traffic = Traffic::new(setup, random);
        let past = traffic.start_with_past();
        let mut world = Self { setup, scraping, traffic, now: 0.0, pages: Vec::new() };
        for scrape in past {
            world.write_down(scrape);
        }
        world
    }

    pub(super) fn subject(&self, policy: Policy) -> Subject {
        let source = if self.setup.shape.forgets { Origin::Pages } else { Origin::Prometheus };
        Subject {
            namespace: "shop".to_owned(),
            primary: "app".to_owned(),
            run: "r1".to_owned(),
            version: "7".to_owned(),
            since: time(0.0),
            began: Some(time(0.0)),
            policy,
            page: Hints::default(),
            pod_spec: Value::Null,
            held_pod_spec: Value::Null,
            sources: vec![source],
            reads_pages: false,
            rest: Duration::ZERO,
        }
    }

    /// Seconds since the canary is Ready.
    pub(super) fn now(&self) -> f64 {
        self.now
    }

    pub(super) fn time(&self) -> Timestamp {
        time(self.now)
    }

    pub(super) fn wait(&mut self, seconds: f64) {
        self.now += seconds;
        while self.traffic.now() <= self.now {
            for scrape in self.traffic.next_scraped() {
                self.write_down(scrape);
            }
        }
    }

    /// That the canary answered with, as far as anybody has seen.
    pub(super) fn errors(&self) -> f64 {
        let seen = |page: &Page| page.scrapes.iter().filter(|(at, _)| *at <= self.now).filter_map(|(_, drawn)| *drawn).next_back();
        self.pages.iter().filter(|page| page.is_canary).filter_map(seen).map(|drawn| drawn.pod.errors).sum()
    }

    fn write_down(&mut self, scrape: Scrape) {
        while self.pages.len() <= scrape.pod {
            self.pages.push(Page { is_canary: false, scrapes: Vec::new(), counted: Drawn::default(), has_restarted: false });
        }
        let page = &mut self.pages[scrape.pod];
        page.is_canary = scrape.is_canary;
        if let Some(drawn) = scrape.drawn {
            let restarts = self.scraping.restarts_at.filter(|at| page.is_canary && scrape.at >= *at && !page.has_restarted);
            if restarts.is_some() {
                (page.counted, page.has_restarted) = (Drawn::default(), true);
            }
            page.counted = page.counted.plus(drawn);
        }
        if self.scraping.asks(scrape.is_canary, scrape.at) {
            page.scrapes.push((scrape.at, scrape.drawn.map(|_| page.counted)));
        }
    }

    pub(super) fn answer(&self, question: &Question) -> Answer {
        if self.scraping.is_silent(self.now) && !matches!(question, Question::Pods | Question::Checks(_)) {
            return Answer::Failed(Failure::passing("no answer"));
        }
        let scrape = self.setup.scrape.as_secs_f64();
        match question {
            Question::Pods => {
                let (canary, primary): (Vec<_>, Vec<_>) = self.traffic.pods_at(self.now).partition(|(_, is_canary)| *is_canary);
                let named = |pods: Vec<(usize, bool)>| pods.into_iter().map(|(index, is_canary)| pod(index, is_canary)).collect();
                Answer::Pods { canary: named(canary), primary: named(primary) }
            }
            Question::Present { names, .. } => {
                let mut series = self.series(self.now - STALE);
                series.retain(|series| series.labels.get("__name__").is_some_and(|name| names.contains(name)));
                for series in &mut series {
                    series.samples.drain(..series.samples.len().saturating_sub(1));
                }
                Answer::Present(series)
            }
            Question::History { scope, readings, window, .. } => {
                let series = self.series(f64::NEG_INFINITY);
                let window = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
                Answer::History(readings.iter().map(|reading| History::of(&series, &scope.pods, reading, window)).collect())
            }
            Question::Recent { since, .. } => Answer::Recent(self.series(self.now - since.as_secs_f64())),
            Question::Samples(samples) => {
                let series = self.series(-LEAD * scrape);
                Answer::Samples(
                    samples.readings.iter().map(|(reading, window)| count(&series, &samples.scope.pods, reading, *window)).collect(),
                )
            }
            Question::Checks(_) => Answer::Checks(Vec::new()),
            Question::CheckList { .. } | Question::Places { .. } | Question::Pages { .. } => {
                Answer::Failed(Failure::refusal("nobody is there to ask"))
            }
        }
    }

    /// All that was scraped from some moment on and can be read by now.
    fn series(&self, from: f64) -> Vec<Series> {
        let mut all = Vec::new();
        for (index, page) in self.pages.iter().enumerate() {
            let relabelled = self.scraping.relabelled_at.unwrap_or(f64::INFINITY);
            self.write(index, page, (from, relabelled), ("job", "pods"), &mut all);
            self.write(index, page, (relabelled.max(from), f64::INFINITY), ("job", "services"), &mut all);
            if self.scraping.twins {
                self.write(index, page, (from, f64::INFINITY), ("container", "sidecar"), &mut all);
            }
            if self.scraping.two_ports {
                self.write(index, page, (from, f64::INFINITY), ("instance", &format!("{}:8081", address(index))), &mut all);
            }
        }
        all
    }

    fn write(&self, index: usize, page: &Page, (from, until): (f64, f64), target: (&str, &str), all: &mut Vec<Series>) {
        let last = self.now - self.scraping.lag;
        let seen = || page.scrapes.iter().filter(move |(at, _)| *at >= from && *at < until && *at <= last);
        let labels = |name: &str, label: Option<(&str, &str)>| -> Labels {
            let (instance, pod) = (format!("{}:8080", address(index)), name_of(index, page.is_canary));
            let pod = (!self.scraping.by_address).then_some(("pod", pod.as_str()));
            let own = [("__name__", name), ("instance", &instance), ("job", "pods"), target];
            own.into_iter().chain(label).chain(pod).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
        };
        let mut keep = |labels: Labels, samples: Vec<Sample>| {
            if !samples.is_empty() {
                all.push(Series { labels, samples });
            }
        };
        keep(labels("up", None), seen().map(|(at, drawn)| sample(*at, f64::from(u8::from(drawn.is_some())))).collect());
        let was_there = index < self.setup.primary_pods;
        let base = if was_there { BEFORE } else { 0.0 };
        let mut counter = |name: &str, label: &str, value: &str, of: fn(Drawn) -> f64| {
            let samples: Vec<Sample> = seen().filter_map(|(at, drawn)| Some(sample(*at, of((*drawn)?)))).collect();
            // A series is born with its first event.
            let samples = samples.into_iter().filter(|sample| base > 0.0 || sample.value > 0.0);
            keep(labels(name, Some((label, value))), samples.map(|sample| Sample { value: base + sample.value, ..sample }).collect());
        };
        for (code, of) in CODES {
            counter("http_requests_total", "code", code, of);
        }
        if self.setup.shape.slow.is_some() {
            for (le, of) in BUCKETS {
                counter("http_request_duration_seconds_bucket", "le", le, of);
            }
        }
    }
}

fn time(seconds: f64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds(seconds)).unwrap_or_default()
}

#[expect(clippy::cast_possible_truncation, reason = "some hours")]
fn milliseconds(seconds: f64) -> i64 {
    READY * 1000 + (seconds * 1000.0).floor() as i64
}

fn sample(at: f64, value: f64) -> Sample {
    Sample { at: milliseconds(at), value }
}

fn address(index: usize) -> String {
    format!("10.0.{}.{}", index / 250, index % 250)
}

fn name_of(index: usize, is_canary: bool) -> String {
    if is_canary { format!("app-canary-77f-p{index}") } else { format!("app-6d5f-p{index}") }
}

fn pod(index: usize, is_canary: bool) -> Pod {
    let replica_set = if is_canary { "app-canary-77f" } else { "app-6d5f" };
    Pod {
        name: name_of(index, is_canary),
        address: Some(address(index)),
        replica_sets: vec![replica_set.to_owned()],
        is_serving: true,
        ..Pod::default()
    }
}

//! A world that answers the judge: three pods of the primary and a canary, scraped every five seconds.

use serde_json::Value;

use super::*;
use crate::api::origin::Origin;
use crate::api::policy::Policy;
use crate::judging::scope::Pod;
use crate::message::findings::words;
use crate::metrics::counting::{self, Labels, Reading, Sample, Series as Counter, Tally, UNVERIFIED, Window};
use crate::metrics::pages::Hints;

/// How long after the run began the canary is Ready.
pub(super) const READY: i64 = 20;
pub(super) const CANARY: &str = "app-canary-77f-ccccc";

/// Seconds since the canary is Ready.
pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

pub(super) fn subject() -> Subject {
    Subject {
        namespace: "shop".to_owned(),
        primary: "app".to_owned(),
        run: "r1".to_owned(),
        version: "7".to_owned(),
        since: at(0),
        began: Some(at(-READY)),
        policy: Policy::default(),
        page: Hints::default(),
        pod_spec: Value::Null,
        held_pod_spec: Value::Null,
        sources: vec![Origin::Prometheus],
        reads_pages: false,
        rest: Duration::ZERO,
    }
}

/// In one second, of the canary and of all pods of the primary.
pub(super) type Traffic = fn(i64) -> (Tally, Tally);

const PODS: u8 = 3;

pub(super) const fn tally(requests: f64, errors: f64, clients: f64) -> Tally {
    Tally { requests, errors, clients, redirects: 0.0 }
}

pub(super) const FINE: Tally = tally(90.0, 0.0, 0.0);
pub(super) const FAILING: Tally = tally(90.0, 90.0, 0.0);
pub(super) const NOTHING: Tally = tally(0.0, 0.0, 0.0);
pub(super) const PRIMARY: Tally = tally(270.0, 0.0, 0.0);

pub(super) const GOOD: Traffic = |_| (FINE, PRIMARY);
pub(super) const BROKEN: Traffic = |_| (FAILING, PRIMARY);
pub(super) const NONE: Traffic = |_| (NOTHING, NOTHING);

/// The series of a counter.
type Part = fn(Tally) -> f64;

const CODES: [(&str, Part); 3] =
    [("200", |tally| tally.requests - tally.errors - tally.clients), ("500", |tally| tally.errors), ("404", |tally| tally.clients)];

/// An hour in which every pod had its part in each minute.
pub(super) fn even() -> History {
    let minute = vec![vec![tally(1350.0, 0.0, 0.0); 3]; 20];
    History { windows: vec![minute; 12], shares: vec![vec![5400.0; 3]; 60], interval: Duration::from_secs(15) }
}

#[derive(Debug)]
pub(super) struct World {
    /// Since the canary is Ready.
    pub(super) second: i64,
    /// What was counted in each second.
    pub(super) traffic: Traffic,
    /// Where each pod serves its one registry.
    pub(super) ports: &'static [u16],
    /// Its pages come over TLS, from whomever.
    pub(super) is_unverified: bool,
    /// Until when the canary's page answers.
    pub(super) page_until: i64,
    /// Until when the primary's pages do.
    pub(super) primary_until: i64,
    /// How many of the primary's pods are Ready.
    pub(super) primary_ready: u8,
    /// What the canary's counter calls the code.
    pub(super) label: &'static str,
    pub(super) history: History,
    /// The past is told by the series, and not by that.
    pub(super) remembers: bool,
    /// Two processes answer for the canary's page in turn, each with a counter of its own.
    pub(super) has_workers: bool,
    /// What else is so of the series, told at that second.
    pub(super) writing: fn(&mut Vec<Counter>, i64),
    pub(super) check: Result<Outcome, Failure>,
    /// A kind of question that has no answer so often.
    pub(super) broken: Option<(&'static str, usize, Failure)>,
    /// Who has series of these pods.
    pub(super) knowing: &'static [Origin],
    pub(super) story: Vec<String>,
}

impl Default for World {
    fn default() -> Self {
        let check = Ok(Outcome::Passed(Passed::Job("app-canary-smoke".to_owned())));
        Self {
            second: 0,
            traffic: GOOD,
            ports: &[8080],
            is_unverified: false,
            page_until: i64::MAX,
            primary_until: i64::MAX,
            primary_ready: PODS,
            label: "code",
            history: History::default(),
            remembers: false,
            has_workers: false,
            writing: |_, _| {},
            check,
            broken: None,
            knowing: &[Origin::Prometheus, Origin::Pages],
            story: Vec::new(),
        }
    }
}

fn described(question: &Question) -> String {
    match question {
        Question::Pods => "pods".to_owned(),
        Question::Present { origin: Origin::Prometheus, .. } => "present".to_owned(),
        Question::Present { origin, .. } => format!("present {}", origin.place()),
        Question::History { .. } => "history".to_owned(),
        Question::Recent { .. } => "recent".to_owned(),
        Question::Samples(samples) => format!("samples #{}", samples.epoch),
        Question::CheckList { config_map } => format!("configmap {config_map}"),
        Question::Checks(checks) => {
            let names: Vec<&str> = checks.list.iter().map(|check| check.name.as_str()).collect();
            format!("checks {}", names.join(" ")).trim_end().to_owned()
        }
        Question::Places { addresses, .. } => format!("places of {}", addresses.len()),
        Question::Pages { addresses, place, .. } => format!("pages of {} at :{}{}", addresses.len(), place.port, place.path),
    }
}

impl World {
    pub(super) fn now(&self) -> Timestamp {
        at(self.second)
    }

    /// The questions that were asked.
    pub(super) fn asked(&self) -> Vec<String> {
        self.story.iter().filter_map(|line| Some(line.split_once(" ask ")?.1.to_owned())).collect()
    }

    /// Until it waits or has decided; which of them.
    pub(super) fn round(&mut self, judge: &mut Judge) -> Step {
        loop {
            let step = judge.next(self.now());
            let line = match &step {
                Step::Ask(question) => format!("ask {}", described(question)),
                Step::Wait(waiting) => {
                    let said = words(&waiting.findings);
                    let blind = if waiting.is_blind { ", blind" } else { "" };
                    format!("wait {:?}{blind}{}{said}", waiting.look_again, if said.is_empty() { "" } else { ": " })
                }
                Step::Done(judgement) => format!("{:?}: {}", judgement.decision, words(&judgement.findings)),
            };
            self.story.push(format!("{}s {line}", self.second));
            let Step::Ask(question) = &step else { return step };
            let answer = match &mut self.broken {
                Some((kind, times, failure)) if *times > 0 && described(question).starts_with(*kind) => {
                    *times -= 1;
                    Answer::Failed(failure.clone())
                }
                _ => self.answer(question),
            };
            judge.take(answer, self.now());
        }
    }

    /// Rounds, each when the last one said, until it has decided or it is so late. The story says what happened.
    pub(super) fn until(&mut self, judge: &mut Judge, second: i64) {
        while self.second <= second {
            let Step::Wait(waiting) = self.round(judge) else { return };
            let wait = i64::try_from(waiting.look_again.as_millis().div_ceil(1000)).unwrap();
            self.second += wait.max(1);
        }
    }

    pub(super) fn answer(&self, question: &Question) -> Answer {
        match question {
            Question::Pods => Answer::Pods {
                canary: vec![pod(CANARY, "app-canary-77f", "10.0.0.9")],
                primary: (0..3).map(|n| self.of_primary(n)).collect(),
            },
            Question::Present { origin, .. } if self.knowing.contains(origin) => Answer::Present(self.series()),
            Question::Present { origin: Origin::Pages, .. } => {
                Answer::NoPage { tried: "tried :8080/metrics (no answer)".to_owned(), is_silent: true }
            }
            Question::Present { .. } => Answer::Present(Vec::new()),
            Question::History { scope, readings, window, .. } if self.remembers => {
                let (series, window) = (self.series(), i64::try_from(window.as_millis()).unwrap());
                Answer::History(readings.iter().map(|reading| History::of(&series, &scope.pods, reading, window)).collect())
            }
            Question::History { readings, .. } => Answer::History(vec![self.history.clone(); readings.len()]),
            Question::Recent { .. } => Answer::Recent(self.series()),
            Question::Samples(asked) => {
                let series = self.series();
                let counted = |(reading, window): &(Reading, Window)| counting::count(&series, &asked.scope.pods, reading, *window);
                Answer::Samples(asked.readings.iter().map(counted).collect())
            }
            Question::CheckList { .. } => Answer::CheckList(Some("[{name: smoke, job: smoke}]".to_owned())),
            Question::Checks(checks) => Answer::Checks(checks.list.iter().map(|_| self.check.clone()).collect()),
            Question::Places { addresses, places, .. } => Answer::Places(vec![places.first().cloned(); addresses.len()]),
            Question::Pages { addresses, .. } => {
                let (canary, primary) = self.sum(0, self.second);
                let share = Counts::new(primary.requests / f64::from(PODS), primary.errors / f64::from(PODS));
                let read = |n: usize| if n == 0 { (self.second < self.page_until).then_some(canary.counts()) } else { Some(share) };
                Answer::Pages((0..addresses.len()).map(read).collect())
            }
        }
    }

    fn of_primary(&self, n: u8) -> Pod {
        Pod { is_serving: n < self.primary_ready, ..pod(&format!("app-6d5f-aaaa{n}"), "app-6d5f", &format!("10.0.0.{n}")) }
    }

    fn sum(&self, from: i64, to: i64) -> (Tally, Tally) {
        let mut sums = (Tally::default(), Tally::default());
        for (canary, primary) in (from..to).map(self.traffic) {
            sums.0.add(canary);
            sums.1.add(primary);
        }
        sums
    }

    fn part(&self, at: i64) -> f64 {
        if self.has_workers && at % 10 == 0 { 0.4 } else { 1.0 }
    }

    /// What Prometheus has: scrapes every five seconds, readable at once.
    fn series(&self) -> Vec<Counter> {
        let scrapes = |from: i64| (from..=self.second).step_by(5);
        let mut series = Vec::new();
        for n in 0..PODS {
            let (pod, address) = (format!("app-6d5f-aaaa{n}"), format!("10.0.0.{n}"));
            series.push(up(&pod, &address, scrapes(-60).filter(|at| *at <= self.primary_until).map(|at| (at, true))));
            let scrapes: Vec<i64> = scrapes(-60).filter(|at| *at <= self.primary_until).collect();
            let part = |at: i64, of: fn(Tally) -> f64| (at, 1e6 + of(self.sum(-60, at).1) / f64::from(PODS));
            for (code, of) in CODES {
                series.push(counter(&pod, &address, ("code", code), scrapes.iter().map(|at| part(*at, of)).collect()));
            }
        }
        let scrapes: Vec<i64> = scrapes(5).collect();
        series.push(up(CANARY, "10.0.0.9", scrapes.iter().map(|at| (*at, *at < self.page_until))));
        for (code, of) in CODES {
            let answered = scrapes.iter().filter(|at| **at < self.page_until);
            let samples: Vec<(i64, f64)> = answered.map(|at| (*at, self.part(*at) * of(self.sum(0, *at).0))).collect();
            if samples.iter().any(|(_, value)| *value > 0.0) {
                series.push(counter(CANARY, "10.0.0.9", (self.label, code), samples));
            }
        }
        (self.writing)(&mut series, self.second);
        let at_port = |one: &Counter, port: u16| {
            let mut one = one.clone();
            one.labels.extend(self.is_unverified.then(|| (UNVERIFIED.to_owned(), "true".to_owned())));
            one.labels.entry("instance".to_owned()).and_modify(|instance| *instance = instance.replace("8080", &port.to_string()));
            one
        };
        self.ports.iter().flat_map(|port| series.iter().map(|one| at_port(one, *port))).collect()
    }
}

fn up(pod: &str, address: &str, samples: impl Iterator<Item = (i64, bool)>) -> Counter {
    series("up", pod, address, ("", ""), samples.map(|(at, is_up)| (at, f64::from(u8::from(is_up)))).collect())
}

fn counter(pod: &str, address: &str, code: (&str, &str), samples: Vec<(i64, f64)>) -> Counter {
    series("http_requests_total", pod, address, code, samples)
}

fn series(name: &str, pod: &str, address: &str, (label, code): (&str, &str), samples: Vec<(i64, f64)>) -> Counter {
    let instance = format!("{address}:8080");
    let labels = [("__name__", name), (label, code), ("pod", pod), ("instance", &instance), ("job", "pods")];
    let labels = labels.into_iter().filter(|(name, _)| !name.is_empty());
    let labels: Labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let samples = samples.into_iter().map(|(second, value)| Sample { at: at(second).as_millisecond(), value }).collect();
    Counter { labels, samples }
}

fn pod(name: &str, replica_set: &str, address: &str) -> Pod {
    Pod { name: name.to_owned(), address: Some(address.to_owned()), replica_sets: vec![replica_set.to_owned()], ..Pod::default() }
}

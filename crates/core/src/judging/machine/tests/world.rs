//! A world that answers the judge: three pods of the primary and a canary, scraped every five seconds.

use super::*;
use crate::api::policy::Policy;
use crate::judging::question::Place;
use crate::judging::scope::Pod;
use crate::judging::verdict::words;
use crate::metrics::counting::{Labels, Sample, Series as Counter};
use crate::statistics::Look;

/// How long after the run began the canary is Ready.
pub(super) const READY: i64 = 20;
const CANARY: &str = "app-canary-77f-ccccc";

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
        page_path: None,
        reads_pages: false,
        rest: Duration::ZERO,
    }
}

pub(super) type Traffic = fn(i64) -> (Counts, Counts);

pub(super) const GOOD: Traffic = |_| (Counts::new(90.0, 0.0), Counts::new(270.0, 0.0));
pub(super) const BROKEN: Traffic = |_| (Counts::new(90.0, 90.0), Counts::new(270.0, 0.0));
pub(super) const NONE: Traffic = |_| (Counts::new(0.0, 0.0), Counts::new(0.0, 0.0));

#[derive(Debug)]
pub(super) struct World {
    /// Since the canary is Ready.
    pub(super) second: i64,
    /// What was counted in each second.
    pub(super) traffic: Traffic,
    pub(super) check: Result<Outcome, Failure>,
    /// A kind of question that has no answer so often.
    pub(super) broken: Option<(&'static str, usize, Failure)>,
    pub(super) story: Vec<String>,
}

impl Default for World {
    fn default() -> Self {
        let check = Ok(Outcome::Passed("Job app-canary-smoke succeeded".to_owned()));
        Self { second: 0, traffic: GOOD, check, broken: None, story: Vec::new() }
    }
}

fn described(question: &Question) -> String {
    match question {
        Question::Pods => "pods".to_owned(),
        Question::Present { .. } => "present".to_owned(),
        Question::History { .. } => "history".to_owned(),
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
                primary: (0..3).map(|n| pod(&format!("app-6d5f-aaaa{n}"), "app-6d5f", &format!("10.0.0.{n}"))).collect(),
            },
            Question::Present { .. } => {
                Answer::Present((0..3).map(|n| counter(&format!("app-6d5f-aaaa{n}"), &format!("10.0.0.{n}"))).collect())
            }
            Question::History { .. } => Answer::History(History::default()),
            Question::Samples(samples) => Answer::Samples(samples.readings.iter().map(|_| self.counted()).collect()),
            Question::CheckList { .. } => Answer::CheckList(Some("[{name: smoke, job: smoke}]".to_owned())),
            Question::Checks(checks) => Answer::Checks(checks.list.iter().map(|_| self.check.clone()).collect()),
            Question::Places { addresses, port, .. } => {
                Answer::Places(vec![Some(Place { port: *port, path: "/metrics".to_owned() }); addresses.len()])
            }
            Question::Pages { addresses, .. } => {
                let (canary, primary) = self.sum(0, self.second);
                let share = Counts::new(primary.requests / 3.0, primary.errors / 3.0);
                Answer::Pages((0..addresses.len()).map(|n| Some(if n == 0 { canary } else { share })).collect())
            }
        }
    }

    fn sum(&self, from: i64, to: i64) -> (Counts, Counts) {
        let mut sums = (Counts::default(), Counts::default());
        for (canary, primary) in (from..to).map(self.traffic) {
            sums.0.add(canary);
            sums.1.add(primary);
        }
        sums
    }

    /// Scrapes at 5, 10, ... seconds, readable at once.
    fn counted(&self) -> Counted {
        let mut counted = Counted { scrape_interval: Some(5000), primary_pods: 3, ..Counted::default() };
        for end in (5..=self.second).step_by(5) {
            let (canary, primary) = self.sum(end - 5, end);
            counted.looks.push(Look { canary, primary, warm_up: false, interval: Duration::from_secs(5) });
            counted.canary.add(canary);
            counted.primary.add(primary);
            let end = at(end).as_millisecond();
            counted.ends.push(end);
            counted.first_scrape = counted.first_scrape.or(Some(end));
            (counted.last_scrape, counted.last_sample) = (Some(end), Some(end));
        }
        counted
    }
}

fn pod(name: &str, replica_set: &str, address: &str) -> Pod {
    Pod { name: name.to_owned(), address: Some(address.to_owned()), replica_sets: vec![replica_set.to_owned()], on_host_network: false }
}

fn counter(pod: &str, address: &str) -> Counter {
    let instance = format!("{address}:8080");
    let labels =
        [("__name__", "http_requests_total"), ("method", "GET"), ("code", "200"), ("pod", pod), ("instance", &instance), ("job", "pods")];
    let labels: Labels = labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    Counter { labels, samples: vec![Sample { at: at(0).as_millisecond(), value: 1000.0 }] }
}

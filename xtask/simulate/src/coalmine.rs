//! One run as the product judges it: every counter by all of its tests, joined.

use std::time::Duration;

use coalmine_core::judging::lasting::has_lasted;

use crate::outcome::Outcome;
use crate::random::Random;
use crate::setup::Setup;
use crate::statistics::{
    Buckets, CounterLook, CounterParameters, CounterTest, Counts, Deadline, Dispersion, Joined, Latency, Now, Parameters, PodCounts,
    RunParameters, Sample, TimedLook, Verdict, join, measure, same_counter,
};
use crate::traffic::{Past, Traffic};

pub(crate) struct Coalmine<'a> {
    deadline: Duration,
    limit: f64,
    counters: Vec<Counter<'a>>,
    canary: Counts,
    outcome: Option<Outcome>,
}

struct Counter<'a> {
    traffic: Traffic<'a>,
    test: CounterTest,
    /// As often each request is counted.
    copies: f64,
    /// What is measured of the run itself, where nothing is known of the past.
    own: Option<Own>,
}

/// A run whose dispersion is measured while it goes on.
struct Own {
    run: RunParameters,
    parameters: CounterParameters,
    looks: Vec<CounterLook>,
    timed: Vec<TimedLook>,
}

/// Five minutes of looks, each a second.
const WINDOW: usize = 300;
/// Up to here it is measured at every look, as the product does it at all; then at every so many.
const ALWAYS: usize = 60;
const SELDOM: usize = 10;

impl Own {
    /// The test with what is known by now.
    fn measured(&mut self) -> Option<CounterTest> {
        if self.looks.len() > ALWAYS && !self.looks.len().is_multiple_of(SELDOM) {
            return None;
        }
        let history = |of: fn(&PodCounts) -> Counts| -> Dispersion {
            let scrapes = self.looks.iter().map(|look| look.primary.iter().map(|pod| pod.as_ref().map_or(Counts::default(), of)).collect());
            measure(&scrapes.collect::<Vec<Vec<Counts>>>().chunks(WINDOW).map(<[_]>::to_vec).collect::<Vec<_>>()).of_a_young_past()
        };
        self.parameters.dispersion = history(|pod| Counts::new(pod.requests, pod.errors));
        self.parameters.client_errors = Some(history(|pod| Counts::new(pod.requests, pod.client_errors)));
        let mut test = CounterTest::new(&self.run, self.parameters.clone());
        self.looks.iter().for_each(|look| test.push(look));
        self.timed.iter().for_each(|look| test.push_timed(look));
        Some(test)
    }
}

impl<'a> Coalmine<'a> {
    pub(crate) fn new(setup: &'a Setup, deadline: Duration, random: Random) -> Self {
        let Parameters { alpha, beta, limit, min_requests, bake, .. } = setup.parameters;
        let run = RunParameters {
            alpha,
            beta,
            limit,
            min_requests,
            duration: bake,
            warm_up: setup.warm_up,
            longest: deadline,
            counters: setup.shape.counters,
            idle: 0,
            has_latency: setup.shape.slow.is_some(),
        };
        let mut randoms = random.split(setup.shape.counters);
        let counters = randoms.drain(..).map(|random| Counter::new(setup, &run, random)).collect();
        Self { deadline, limit, counters, canary: Counts::default(), outcome: None }
    }

    /// Seconds since the canary is Ready.
    pub(crate) fn now(&self) -> f64 {
        self.counters.first().map_or(f64::INFINITY, |counter| counter.traffic.now())
    }

    /// The canary's requests by the first counter, whoever saw them.
    pub(crate) fn canary(&self) -> Counts {
        self.canary
    }

    pub(crate) fn outcome(&self) -> Option<Outcome> {
        self.outcome
    }

    pub(crate) fn next_round(&mut self) {
        let is_open = self.outcome.is_none();
        for (index, counter) in self.counters.iter_mut().enumerate() {
            let canary = counter.next_round(is_open);
            if index == 0 {
                self.canary.add(canary);
            }
        }
        if is_open {
            self.judge();
        }
    }

    fn judge(&mut self) {
        let served = Duration::from_secs_f64(self.now().max(0.0));
        let deadline = if served >= self.deadline { Deadline::Reached } else { Deadline::Ahead };
        let verdicts = self.counters.iter().map(|counter| {
            let now = Now { served, deadline, scrapes: counter.traffic.scrapes() };
            Joined { verdict: counter.verdict(&now, self.limit), clean: false }
        });
        let verdict = join::of_counters(verdicts, deadline).verdict;
        if verdict != Verdict::Continue {
            self.outcome = Some(Outcome { verdict, at: self.now(), errors: self.canary.errors });
        }
    }
}

impl<'a> Counter<'a> {
    fn new(setup: &'a Setup, run: &RunParameters, mut random: Random) -> Self {
        let copies = if setup.shape.doubled && !twins_are_found(setup, &mut random) { 2.0 } else { 1.0 };
        let mut traffic = Traffic::new(setup, random);
        let past = if setup.shape.forgets { Past::default() } else { traffic.past() };
        traffic.start_by_pod();
        let both = Buckets { promote_by: Some(0.1), reject_by: Some(0.25) };
        let latency = setup.shape.slow.as_ref().map(|_| Latency {
            buckets: both,
            dispersion_of_low: past.slower_than_low,
            dispersion_of_high: past.slower_than_high,
        });
        let parameters = CounterParameters {
            evenness: past.evenness,
            dispersion: past.errors,
            client_errors: Some(past.client_errors),
            latency,
            ..CounterParameters::new(setup.scrape)
        };
        let own = setup.shape.forgets.then(|| Own { run: *run, parameters: parameters.clone(), looks: Vec::new(), timed: Vec::new() });
        Self { traffic, test: CounterTest::new(run, parameters), copies, own }
    }

    /// What rejects by pages must last.
    fn verdict(&self, now: &Now, limit: f64) -> Verdict {
        let verdict = self.test.verdict(now);
        let has_lasted = self.own.as_ref().is_none_or(|own| has_lasted(&own.looks, Some(limit)));
        if verdict == Verdict::Reject && !has_lasted { Verdict::Continue } else { verdict }
    }

    fn next_round(&mut self, is_open: bool) -> Counts {
        let round = self.traffic.next_round(is_open);
        if let Some((mut look, timed)) = round.look.filter(|_| is_open) {
            for pod in look.primary.iter_mut().flatten().chain([&mut look.canary]) {
                *pod = times(*pod, self.copies);
            }
            self.test.push(&look);
            self.test.push_timed(&timed);
            if let Some(own) = &mut self.own {
                own.looks.push(look);
                own.timed.push(timed);
                if let Some(test) = own.measured() {
                    self.test = test;
                }
            }
        }
        round.canary
    }
}

fn times(pod: PodCounts, copies: f64) -> PodCounts {
    PodCounts { requests: pod.requests * copies, errors: pod.errors * copies, client_errors: pod.client_errors * copies }
}

/// Two targets of one page, by a pod's samples of the hour before: each scrapes at its own moment.
fn twins_are_found(setup: &Setup, random: &mut Random) -> bool {
    let per_second = setup.load(1.0);
    let scrape = setup.scrape.as_secs_f64();
    let phase = random.uniform() * scrape;
    let (mut at, mut value) = (0.0, 0.0);
    let mut targets = [Vec::new(), Vec::new()];
    while at < 3600.0 {
        for (target, wait) in targets.iter_mut().zip([phase, scrape - phase]) {
            value += random.poisson(per_second * wait);
            at += wait;
            target.push(Sample { at: Duration::from_secs_f64(at), value });
        }
    }
    same_counter(&targets[0], &targets[1])
}

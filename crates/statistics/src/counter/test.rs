//! All tests of one counter, fed look by look.

use std::time::Duration;

use super::super::client_errors::ClientParameters;
use super::super::join::{self, Said, Stance};
use super::super::latency::{self, LatencyLook, LatencyParameters, LatencyTrial};
use super::super::silence::{NEARLY_NO_TRAFFIC, Silence, SilenceLook, SilenceParameters, SilenceTest};
use super::super::{
    Budget, ClientErrors, Counts, Coverage, Deadline, LatencyAnalysis, Look, Parameters, Trial, Verdict, coverage, typical,
};
use super::beginning::{Beginning, YOUNG};
use super::clients::Clients;
use super::findings::findings;
use super::lanes::{Lanes, sum};
use super::{CounterLook, CounterParameters, CounterResult, Now, PodCounts, RunParameters, TimedLook};

/// In its first look a canary has no more requests than this number of ordinary pods of the primary, give or take a few.
const MOST_BY_USERS: f64 = 4.0;
const A_FEW: f64 = 20.0;

#[derive(Clone, Debug)]
pub struct CounterTest {
    run: RunParameters,
    counter: CounterParameters,
    budget: Budget,
    lanes: Lanes,
    timed_lanes: Lanes,
    errors: Trial,
    clients: Option<Clients>,
    silence: SilenceTest,
    /// The first look, where no pod of the primary was scraped in it: how much is plausible is told by the next.
    unmeasured: Option<CounterLook>,
    /// Looks in which the only pod of the primary wasn't scraped: they go with the next one.
    unscraped: SilenceLook,
    latency: Option<LatencyTrial>,
    latency_warm_up: Duration,
    ends: Vec<Duration>,
    first_timed: Option<Duration>,
    /// The canary's requests with probes, and without.
    requests: f64,
    real: f64,
    failed: Beginning,
    slow: Beginning,
}

impl CounterTest {
    pub fn new(run: &RunParameters, counter: CounterParameters) -> Self {
        let budget = if counter.is_idle { run.budget_of_idle() } else { run.budget() };
        let bake = run.duration.saturating_sub(run.warm_up);
        let common = Parameters { beta: run.beta, min_requests: run.min_requests, bake, ..Parameters::default() };
        let common = common.with_limit(run.limit).with_looks(run.longest, counter.interval);
        let planned = common.looks;
        let clients = counter.client_errors.map(|dispersion| {
            Clients::new(ClientParameters {
                alpha: budget.client_errors,
                limit: run.limit,
                planned,
                dispersion,
                evenness: counter.evenness,
            })
        });
        let latency_warm_up = latency::warm_up(run.warm_up, run.duration);
        let latency = counter.latency.map(|latency| {
            let bake = run.duration.saturating_sub(latency_warm_up);
            LatencyTrial::new(LatencyParameters {
                common: Parameters { alpha: budget.latency, bake, ..common },
                buckets: latency.buckets,
                dispersion_of_low: latency.dispersion_of_low,
                dispersion_of_high: latency.dispersion_of_high,
            })
        });
        Self {
            run: *run,
            budget,
            lanes: Lanes::new(&counter.canary_probes, &counter.probes),
            timed_lanes: Lanes::new(&counter.canary_probes, &counter.probes),
            errors: Trial::new(Parameters { alpha: budget.errors, dispersion: counter.dispersion, ..common }),
            clients,
            silence: SilenceTest::new(SilenceParameters { alpha: budget.silence, planned, evenness: counter.evenness }),
            unmeasured: None,
            unscraped: SilenceLook::default(),
            latency,
            latency_warm_up,
            ends: Vec::new(),
            first_timed: None,
            requests: 0.0,
            real: 0.0,
            failed: Beginning::default(),
            slow: Beginning::default(),
            counter,
        }
    }

    pub fn push(&mut self, look: &CounterLook) {
        let requests: Vec<f64> = look.primary.iter().flatten().map(|pod| pod.requests).collect();
        match self.unmeasured.take() {
            // What the primary had by then comes with its next scrape.
            Some(unmeasured) => {
                let both = (unmeasured.interval + look.interval).as_secs_f64();
                let part = if both > 0.0 { unmeasured.interval.as_secs_f64() / both } else { 0.0 };
                self.push_one(&unmeasured, (!requests.is_empty()).then(|| part * typical(&requests)));
            }
            None if self.ends.is_empty() && requests.is_empty() => {
                self.unmeasured = Some(look.clone());
                return;
            }
            None => {}
        }
        self.push_one(look, None);
    }

    /// `by_then` is what an ordinary pod of the primary had, where the look doesn't say it.
    fn push_one(&mut self, look: &CounterLook, by_then: Option<f64>) {
        let first = *self.ends.first().unwrap_or(&look.end);
        self.ends.push(look.end);
        self.requests += look.canary.requests.max(0.0);
        let mut look = self.lanes.take_off(look);
        self.real += look.canary.requests;
        self.failed.push(look.canary.errors);
        let requests: Vec<f64> = look.primary.iter().flatten().map(|pod| pod.requests).collect();
        let ordinary = typical(&requests);
        let by_users = by_then.or((!requests.is_empty()).then_some(ordinary)).filter(|_| self.ends.len() == 1);
        let by_users = by_users.filter(|ordinary| is_of_its_own_making(look.canary.requests, *ordinary));
        if let Some(ordinary) = by_users {
            look.canary = look.canary.of_so_many(ordinary);
        }
        let is_of_its_own = by_users.is_some();
        let warm_up = is_of_its_own || is_warm(look.end, first, self.run.warm_up);

        let primary: PodCounts = sum(&look.primary);
        let counts = |pod: PodCounts| Counts::new(pod.requests, pod.errors);
        let interval = look.interval;
        self.errors.push(&Look { canary: counts(look.canary), primary: counts(primary), warm_up, interval });

        if let Some(clients) = &mut self.clients {
            let counts = |pod: PodCounts| Counts::new(pod.requests, pod.client_errors);
            clients.push(&Look { canary: counts(look.canary), primary: counts(primary), warm_up, interval }, ordinary);
        }
        // Who asks one pod alone, in a counter that nobody asked in, leaves the others without requests.
        if !is_of_its_own && !self.is_discovered_late(&look) && !self.counter.is_idle {
            self.push_silence(&look, ordinary, requests.len());
        }
    }

    /// The first look of a canary that was scraped late: it holds all since it was Ready, by a guess at when that was. A rate can't be told from it.
    fn is_discovered_late(&self, look: &CounterLook) -> bool {
        self.ends.len() == 1 && look.interval > self.counter.interval.saturating_mul(2)
    }

    fn push_silence(&mut self, look: &CounterLook, ordinary: f64, pods: usize) {
        let waited = std::mem::take(&mut self.unscraped);
        let look = SilenceLook {
            interval: look.interval.saturating_add(waited.interval),
            canary: look.canary.requests + waited.canary,
            ordinary,
            pods,
        };
        // Beside one pod there is no other that stands for it; what it had by then comes with its next scrape.
        if pods == 0 && self.lanes.pods() <= 1 {
            self.unscraped = look;
        } else {
            self.silence.push(&look);
        }
    }

    /// A look of the histogram.
    pub fn push_timed(&mut self, look: &TimedLook) {
        let Some(latency) = &mut self.latency else { return };
        let first = *self.first_timed.get_or_insert(look.end);
        let warm_up = is_warm(look.end, first, self.latency_warm_up);
        let look = self.timed_lanes.take_off(look);
        self.slow.push(look.canary.slower_than_high);
        latency.push(&LatencyLook { canary: look.canary, primary: sum(&look.primary), warm_up, interval: look.interval });
    }

    /// The verdict alone: what an analysis of every number costs is not needed to know it.
    pub fn verdict(&self, now: &Now) -> Verdict {
        if let Some(whole) = self.with_the_unmeasured() {
            return whole.verdict(now);
        }
        let silence = self.silence.silence();
        let clients = self.client_errors(now.deadline);
        let errors = self.errors.verdict(self.served(now), now.deadline);
        let latency = self.latency.as_ref().map(|latency| self.stand_of_latency(latency.verdict(self.served_warm(now), now.deadline)));
        let said = Said {
            errors: self.stand(errors, self.errors_hold()),
            latency,
            others: others(silence, clients),
            coverage: self.coverage(now),
            clean: false,
        };
        join::of_tests(&said, now.deadline).verdict
    }

    pub fn result(&self, now: &Now) -> CounterResult {
        if let Some(whole) = self.with_the_unmeasured() {
            return whole.result(now);
        }
        let silence = self.silence.silence();
        let client_errors = self.client_errors(now.deadline);
        let errors = self.errors.analysis(self.served(now), now.deadline);
        let latency = self.latency.as_ref().map(|latency| latency.analysis(self.served_warm(now), now.deadline));
        let coverage = self.coverage(now);
        let said = Said {
            errors: self.stand(errors.verdict, self.errors_hold()),
            latency: latency.as_ref().map(|latency| self.stand_of_latency(latency.verdict)),
            others: others(silence, client_errors),
            coverage,
            clean: silence.is_clean() && !errors.speaks_against() && !latency.as_ref().is_some_and(LatencyAnalysis::speaks_against),
        };
        let joined = join::of_tests(&said, now.deadline);
        let may_be_cold = self.may_be_cold(now, errors.verdict, latency.as_ref().map(|latency| latency.verdict));
        let mut result = CounterResult {
            joined,
            findings: Vec::new(),
            must_show: self.counter.must_show,
            coverage,
            errors,
            latency,
            client_errors,
            silence,
            budget: self.budget,
            only_probes: self.only_probes(silence),
            may_be_cold,
        };
        result.findings = findings(&result, &said);
        result
    }

    fn with_the_unmeasured(&self) -> Option<Self> {
        let unmeasured = self.unmeasured.as_ref()?;
        let mut whole = Self { unmeasured: None, ..self.clone() };
        whole.push_one(unmeasured, None);
        Some(whole)
    }

    fn served(&self, now: &Now) -> Duration {
        now.served.saturating_sub(self.run.warm_up)
    }

    fn served_warm(&self, now: &Now) -> Duration {
        now.served.saturating_sub(self.latency_warm_up)
    }

    fn client_errors(&self, deadline: Deadline) -> Option<ClientErrors> {
        self.clients.as_ref().map(|clients| clients.result(deadline))
    }

    /// What is observed at all is told by the busy ones.
    fn coverage(&self, now: &Now) -> Coverage {
        if self.counter.is_idle {
            return Coverage::Covered;
        }
        let outage = self.errors.outage_left_out(self.served(now), now.deadline);
        coverage(&now.scrapes, &self.ends, self.run.duration, outage)
    }

    /// A counter with few requests need not show the limit; what is to be held against it is.
    fn stand(&self, errors: Verdict, holds: bool) -> Verdict {
        match errors {
            Verdict::Reject => Verdict::Reject,
            verdict if self.counter.must_show => verdict,
            _ if holds => Verdict::Continue,
            _ => Verdict::Promote,
        }
    }

    /// Of few requests one that failed is no evidence.
    fn errors_hold(&self) -> bool {
        if self.counter.is_idle { self.errors.has_evidence() } else { self.errors.holds() }
    }

    fn stand_of_latency(&self, verdict: Verdict) -> Verdict {
        let holds = !self.counter.is_idle && self.latency.as_ref().is_some_and(LatencyTrial::holds);
        self.stand(verdict, holds)
    }

    fn only_probes(&self, silence: Silence) -> bool {
        self.lanes.have_probes() && self.requests > 0.0 && self.real <= 0.0 && silence.ordinary > NEARLY_NO_TRAFFIC
    }

    fn may_be_cold(&self, now: &Now, errors: Verdict, latency: Option<Verdict>) -> bool {
        let rejected_by = |verdict: Verdict, beginning: &Beginning| verdict == Verdict::Reject && beginning.has_all();
        now.served <= YOUNG && (rejected_by(errors, &self.failed) || latency.is_some_and(|latency| rejected_by(latency, &self.slow)))
    }
}

fn others(silence: Silence, client_errors: Option<ClientErrors>) -> Stance {
    let of_silence = Stance::of(silence.rejected, silence.holds);
    client_errors.map_or(of_silence, |errors| of_silence.max(Stance::of(errors.rejected_at.is_some(), errors.holds)))
}

/// What the first look holds that no users can have asked: one that warms itself up before it is Ready asks itself, and what it says then is seen with
/// the first scrape. It tells as much as an ordinary pod's look would, nothing but gross failure counts in it, and no rate is told from it.
fn is_of_its_own_making(requests: f64, ordinary: f64) -> bool {
    requests > MOST_BY_USERS * ordinary + A_FEW
}

/// Looks that end within the warm-up after the first scrape.
fn is_warm(end: Duration, first: Duration, warm_up: Duration) -> bool {
    !warm_up.is_zero() && end <= first.saturating_add(warm_up)
}

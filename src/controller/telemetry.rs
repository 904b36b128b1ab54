//! What the controller tells: what it works on, verdicts, and how long they took. Labels are bounded: the namespaces of verdicts get a series each
//! up to a number, and one together beyond that.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{MetricType, counter::Counter, family::Family, gauge::ConstGauge, histogram::Histogram},
    registry::Registry,
};

use crate::clock;
use coalmine_core::api::annotations::Phase;
use coalmine_core::manifest::key::Key;

/// Namespaces with a series of their own. The others share one, `_others`, which no namespace can be called.
const MOST_NAMESPACES: usize = 200;
const OTHERS: &str = "_others";
/// A run that is not over so long after its deadline is stuck.
const OVERDUE: Duration = Duration::from_mins(2);
/// Fewer failures in a row come of an object that somebody else writes, too.
const FAILING: u32 = 5;
/// Those in which the controller has something to do.
const PHASES: [Phase; 4] = [Phase::Held, Phase::Running, Phase::AwaitingApproval, Phase::Promoted];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabel {
    phase: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerdictLabels {
    namespace: String,
    verdict: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerdictLabel {
    verdict: &'static str,
}

#[derive(Debug, Clone)]
pub struct Metrics {
    phases: Family<PhaseLabel, Counter>,
    verdicts: Family<VerdictLabels, Counter>,
    seconds: Family<VerdictLabel, Histogram>,
    namespaces: Arc<Mutex<BTreeSet<String>>>,
    pub(super) work: Arc<Work>,
}

/// What this replica works on while it leads.
#[derive(Debug, Default)]
pub(super) struct Work(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    leads: bool,
    /// By namespace and name: the phase, and the deadline of what runs.
    canaries: HashMap<Key, (Phase, Option<Timestamp>)>,
    /// Steps that failed in a row.
    failures: HashMap<Key, u32>,
    under_way: usize,
}

impl Metrics {
    pub fn register(registry: &mut Registry) -> Self {
        let seconds = Family::new_with_constructor(seconds_histogram as fn() -> Histogram);
        let metrics =
            Self { phases: Family::default(), verdicts: Family::default(), seconds, namespaces: Arc::default(), work: Arc::default() };
        registry.register("coalmine_canary_phases", "Phases that canaries came to", metrics.phases.clone());
        registry.register("coalmine_verdicts", "Verdicts by namespace, of which the first 200 have their own", metrics.verdicts.clone());
        let help = "From the beginning of a trial to its verdict";
        registry.register("coalmine_time_to_verdict_seconds", help, metrics.seconds.clone());
        registry.register_collector(Box::new(Page(Arc::clone(&metrics.work))));
        metrics
    }

    /// A phase was written; `took` since the trial began.
    pub(super) fn phase(&self, namespace: &str, phase: Phase, took: Option<Duration>) {
        self.phases.get_or_create(&PhaseLabel { phase: phase.as_str() }).inc();
        if !phase.is_kept_out() && phase != Phase::Promoted {
            return;
        }
        let verdict = phase.as_str();
        self.verdicts.get_or_create(&VerdictLabels { namespace: self.namespace(namespace), verdict }).inc();
        if let Some(took) = took {
            self.seconds.get_or_create(&VerdictLabel { verdict }).observe(took.as_secs_f64());
        }
    }

    fn namespace(&self, namespace: &str) -> String {
        let mut known = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < MOST_NAMESPACES {
            known.insert(namespace.to_owned());
        }
        if known.contains(namespace) { namespace.to_owned() } else { OTHERS.to_owned() }
    }
}

fn seconds_histogram() -> Histogram {
    Histogram::new([5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14_400.0, 86_400.0])
}

impl Work {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing is known when it begins, and nothing is anybody's when it ends.
    pub(super) fn leads(&self, leads: bool) {
        *self.state() = State { leads, ..State::default() };
    }

    pub(super) fn sees(&self, key: &Key, phase: Option<Phase>, deadline: Option<Timestamp>) {
        if let Some(phase) = phase {
            self.state().canaries.insert(key.clone(), (phase, deadline));
        }
    }

    pub(super) fn forgets(&self, key: &Key) {
        let mut state = self.state();
        state.canaries.remove(key);
        state.failures.remove(key);
    }

    /// One more of a row that a success ends.
    pub(super) fn failed(&self, key: &Key) -> u32 {
        let mut state = self.state();
        let attempts = state.failures.entry(key.clone()).or_insert(0);
        *attempts = attempts.saturating_add(1);
        *attempts
    }

    /// How many in a row.
    pub(super) fn failures(&self, key: &Key) -> u32 {
        self.state().failures.get(key).copied().unwrap_or_default()
    }

    pub(super) fn succeeded(&self, key: &Key) {
        self.state().failures.remove(key);
    }

    /// Steps under way, until what it returns is dropped.
    pub(super) fn step(&self) -> impl Drop + '_ {
        self.state().under_way += 1;
        Step(self)
    }

    #[cfg(test)]
    pub(super) fn is_forgotten(&self) -> bool {
        let state = self.state();
        state.canaries.is_empty() && state.failures.is_empty()
    }
}

struct Step<'a>(&'a Work);

impl Drop for Step<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.under_way = state.under_way.saturating_sub(1);
    }
}

/// Absent where another replica leads: a sum over replicas is right then.
struct Page(Arc<Work>);

impl fmt::Debug for Page {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Page")
    }
}

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let now = clock::now();
        let (by_phase, overdue, failing, under_way) = {
            let state = self.0.state();
            if !state.leads {
                return Ok(());
            }
            let of = |phase| state.canaries.values().filter(|(own, _)| *own == phase).count();
            let is_overdue = |deadline: &Timestamp| now.duration_since(*deadline) > OVERDUE.try_into().unwrap_or_default();
            let overdue =
                state.canaries.values().filter_map(|(_, deadline)| deadline.as_ref()).filter(|deadline| is_overdue(deadline)).count();
            let failing = state.failures.values().filter(|attempts| **attempts >= FAILING).count();
            (PHASES.map(|phase| (phase, of(phase))), overdue, failing, state.under_way)
        };
        let help = "Deployments that the controller has something to do with, by phase";
        let mut family = encoder.encode_descriptor("coalmine_canaries", help, None, MetricType::Gauge)?;
        for (phase, count) in by_phase {
            ConstGauge::new(number(count)).encode(family.encode_family(&PhaseLabel { phase: phase.as_str() })?)?;
        }
        for (name, help, count) in [
            ("coalmine_canaries_overdue", "Runs that are not over two minutes after their deadline", overdue),
            ("coalmine_canaries_failing", "Deployments whose last five steps failed", failing),
            ("coalmine_steps_under_way", "Deployments that are worked on at this moment, of at most 64", under_way),
        ] {
            let gauge = ConstGauge::new(number(count));
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        Ok(())
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(registry: &Registry) -> String {
        let mut page = String::new();
        prometheus_client::encoding::text::encode(&mut page, registry).unwrap();
        let own = |line: &&str| {
            line.starts_with("coalmine_canaries") || line.starts_with("coalmine_verdicts") || line.contains("verdict_seconds_count")
        };
        let mut lines: Vec<&str> = page.lines().filter(own).collect();
        lines.sort_unstable();
        lines.join("\n")
    }

    #[test]
    fn what_it_works_on_is_told_by_the_leader_alone() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        assert_eq!(page(&registry), "");
        metrics.work.leads(true);
        let long_ago = Timestamp::UNIX_EPOCH;
        metrics.work.sees(&Key::new("shop", "app"), Some(Phase::Held), None);
        metrics.work.sees(&Key::new("shop", "app"), Some(Phase::Running), Some(long_ago));
        metrics.work.sees(&Key::new("shop", "other"), Some(Phase::AwaitingApproval), Some(clock::now()));
        for _ in 0..FAILING {
            metrics.work.failed(&Key::new("shop", "other"));
        }
        metrics.phase("shop", Phase::Running, None);
        metrics.phase("shop", Phase::Rejected, Some(Duration::from_secs(12)));
        insta::assert_snapshot!(page(&registry), @r#"
        coalmine_canaries_failing 1
        coalmine_canaries_overdue 1
        coalmine_canaries{phase="AwaitingApproval"} 1
        coalmine_canaries{phase="Held"} 0
        coalmine_canaries{phase="Promoted"} 0
        coalmine_canaries{phase="Running"} 1
        coalmine_time_to_verdict_seconds_count{verdict="Rejected"} 1
        coalmine_verdicts_total{namespace="shop",verdict="Rejected"} 1
        "#);
        metrics.work.forgets(&Key::new("shop", "app"));
        metrics.work.forgets(&Key::new("shop", "other"));
        assert!(metrics.work.is_forgotten());
        metrics.work.leads(false);
        assert!(!page(&registry).contains("canaries"));
    }

    #[test]
    fn however_many_namespaces_there_are_the_series_are_few() {
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        for number in 0..1000 {
            metrics.phase(&format!("team-{number}"), Phase::Promoted, None);
        }
        metrics.phase("team-7", Phase::Promoted, None);
        let page = page(&registry);
        assert_eq!(page.matches("coalmine_verdicts_total{").count(), MOST_NAMESPACES + 1);
        assert!(page.contains("coalmine_verdicts_total{namespace=\"_others\",verdict=\"Promoted\"} 800"), "{page}");
        assert!(page.contains("coalmine_verdicts_total{namespace=\"team-7\",verdict=\"Promoted\"} 2"), "{page}");
    }
}

//! One pod may be scraped twice: by two jobs, as two targets of its containers, or by two Prometheus replicas behind one store. The series of a
//! pod fall into groups that differ in what the scraper wrote, whatever those labels are called: a target's `up` has them and no others. Exactly one
//! group a pod is counted: the same kind for all pods where possible.

mod heirs;

use std::collections::{BTreeMap, BTreeSet};

use super::{Labels, PodLabel, Pods, Reading, Role, Sample, Series, Weight, port};

/// Says when a process began.
pub const PROCESS_START: &str = "process_start_time_seconds";

/// Labels that the scraper writes, not the application; where there is no `up` to say it.
const SCRAPER_LABELS: [&str; 6] = ["job", "prometheus", "prometheus_replica", "replica", "cluster", "receive"];

/// The same for all pods of one job: what the scraper wrote and the port, without the pod's own name and address.
type Signature = Vec<(String, String)>;

/// The series of one pod that count.
#[derive(Debug)]
pub(super) struct Group<'a> {
    pub(super) role: Role,
    pub(super) pod: String,
    pub(super) counters: Vec<Counter<'a>>,
    /// All times at which the pod was scraped.
    pub(super) times: BTreeSet<i64>,
    /// All times at which that failed.
    pub(super) failures: BTreeSet<i64>,
    /// When its process began, as it was told at each scrape.
    pub(super) starts: BTreeMap<i64, f64>,
    /// When the pod was seen first, by whatever labels.
    seen_since: Option<i64>,
}

/// One counter with what it adds.
#[derive(Debug)]
pub(super) struct Counter<'a> {
    pub(super) weight: Weight,
    /// It counts requests and has no label that says how they ended.
    pub(super) is_mute: bool,
    pub(super) samples: Vec<Sample>,
    pub(super) series: &'a Series,
}

impl Group<'_> {
    pub(super) fn first(&self) -> Option<i64> {
        self.times.first().copied()
    }

    pub(super) fn last(&self) -> Option<i64> {
        self.times.last().copied()
    }

    /// Whether the pod came to life after the answer begins, so that its counters began at zero. A pod that is there from the
    /// beginning, give or take a missed scrape, may be older than the answer; so is one that was found late and had counted before.
    pub(super) fn born_after(&self, first_sample: i64, interval: Option<i64>) -> bool {
        let (Some(first), Some(interval)) = (self.seen_since.or(self.first()), interval) else { return false };
        first.saturating_sub(first_sample) > interval.saturating_mul(5) / 2 && !self.is_older_than(first_sample)
    }

    /// By its own words, or by what it had counted when it was seen first.
    fn is_older_than(&self, first_sample: i64) -> bool {
        if let Some(start) = self.starts.values().next() {
            return start * 1000.0 < first_sample as f64;
        }
        let requests = || self.counters.iter().filter(|counter| counter.weight.requests > 0.0);
        let sum = |samples: &mut dyn Iterator<Item = &Sample>| samples.map(|sample| sample.value).sum::<f64>();
        let (Some(first), Some(last)) = (self.first(), self.last()) else { return false };
        let had = sum(&mut requests().filter_map(|counter| counter.samples.first()));
        let added = sum(&mut requests().filter_map(|counter| counter.samples.last())) - had;
        let (seen, before) =
            (last.saturating_sub(first).max(1) as f64, first.saturating_sub(first_sample).saturating_add(FOUND_WITHIN) as f64);
        had > A_LITTLE && had > UNUSUAL * added / seen * before
    }
}

/// How long a pod may serve before it is scraped for the first time.
const FOUND_WITHIN: i64 = 60_000;
/// What was counted while nobody looked may be so many times what is usual, and a little; more was counted by another, or long before.
const UNUSUAL: f64 = 20.0;
const A_LITTLE: f64 = 1000.0;

/// One group for each pod, in order of role and name.
pub(super) fn chosen<'a>(series: &'a [Series], pods: &Pods, reading: &Reading) -> Vec<Group<'a>> {
    let targets = Targets::of(series, pods);
    let mut by_pod: BTreeMap<(Role, String), BTreeMap<Signature, Group<'a>>> = BTreeMap::new();
    for one in series {
        let weight = reading.weigh(&one.labels);
        let is_up = one.name() == "up";
        let is_start = one.name() == PROCESS_START;
        if weight.is_nothing() && !is_up && !is_start {
            continue;
        }
        let Some((role, pod)) = pods.identify(&one.labels) else { continue };
        let samples = one.cleaned();
        let signature = targets.signature(one, &pod);
        let group = by_pod.entry((role, pod.clone())).or_default().entry(signature).or_insert_with(|| Group {
            role,
            pod,
            counters: Vec::new(),
            times: BTreeSet::new(),
            failures: BTreeSet::new(),
            starts: BTreeMap::new(),
            seen_since: None,
        });
        if is_start {
            group.starts.extend(samples.iter().map(|sample| (sample.at, sample.value)));
            continue;
        }
        // A failed scrape (`up` 0) is no scrape.
        for sample in &samples {
            if is_up && sample.value <= 0.0 { &mut group.failures } else { &mut group.times }.insert(sample.at);
        }
        if !is_up {
            group.counters.push(Counter { weight, is_mute: reading.is_mute(&one.labels), samples, series: one });
        }
    }

    for groups in by_pod.values_mut() {
        heirs::join(groups, &targets);
    }
    let ranking = ranking(by_pod.values());
    let mut chosen = Vec::new();
    for groups in by_pod.into_values() {
        let best = groups.into_iter().min_by_key(|(signature, _)| ranking.get(signature).copied().unwrap_or(usize::MAX));
        chosen
            .extend(best.map(|(_, group)| group).filter(|group| !group.times.is_empty() || !group.failures.is_empty()).map(without_twins));
    }
    chosen
}

/// The number of scrapes that may be missing: two jobs need not begin at the same time.
const A_FEW: usize = 2;

/// Best first: has counters at all, still alive, as many scrapes and counters as others of the same pods, give or take a few, and then by name:
/// the choice must not waver between two jobs that take turns in being a scrape ahead.
fn ranking<'a, 'b: 'a>(pods: impl Iterator<Item = &'a BTreeMap<Signature, Group<'b>>> + Clone) -> BTreeMap<Signature, usize> {
    #[derive(Default)]
    struct Seen<'a> {
        scrapes: usize,
        counters: usize,
        last: i64,
        /// All that are there for one of its pods, itself among them. Younger pods of another port are no measure.
        rivals: BTreeSet<&'a Signature>,
    }
    let mut seen: BTreeMap<&Signature, Seen<'_>> = BTreeMap::new();
    let mut newest = i64::MIN;
    for groups in pods {
        for (signature, group) in groups {
            let entry = seen.entry(signature).or_insert_with(|| Seen { last: i64::MIN, ..Seen::default() });
            entry.counters += group.counters.len();
            entry.scrapes += if group.counters.is_empty() { 0 } else { group.times.len() };
            entry.last = entry.last.max(group.last().unwrap_or(i64::MIN));
            entry.rivals.extend(groups.keys());
            newest = newest.max(entry.last);
        }
    }
    // Three of the longest usual intervals: a job that stopped longer ago isn't coming back.
    let alive = |seen: &Seen<'_>| newest.saturating_sub(seen.last) <= 180_000;
    let has_few = |one: &Seen<'_>, give: usize, of: fn(&Seen<'_>) -> usize| {
        let rivals = one.rivals.iter().filter_map(|signature| seen.get(*signature));
        let most = rivals.filter(|seen| alive(seen)).map(of).max().unwrap_or_default();
        (of(one) + give) * 4 < most * 3
    };
    let mut order: Vec<_> = seen.iter().collect();
    order.sort_by_cached_key(|(signature, seen)| {
        let few = (has_few(seen, A_FEW, |seen| seen.scrapes), has_few(seen, 0, |seen| seen.counters));
        (seen.counters == 0, !alive(seen), few, (**signature).clone())
    });
    order.into_iter().enumerate().map(|(position, (signature, _))| ((*signature).clone(), position)).collect()
}

/// Two series of one group that differ in nothing but labels of the scraper that we don't know about would be counted twice; the very
/// same labels can only come from a broken store. Keep the first.
fn without_twins(mut group: Group<'_>) -> Group<'_> {
    let mut seen = BTreeSet::new();
    group.counters.retain(|counter| seen.insert(&counter.series.labels));
    group
}

/// What was scraped of each pod, by the labels of its `up`.
struct Targets<'a> {
    by_pod: BTreeMap<String, BTreeSet<&'a Labels>>,
}

impl<'a> Targets<'a> {
    fn of(series: &'a [Series], pods: &Pods) -> Self {
        let mut by_pod: BTreeMap<String, BTreeSet<&Labels>> = BTreeMap::new();
        for one in series.iter().filter(|one| one.name() == "up") {
            if let Some((_, pod)) = pods.identify(&one.labels) {
                by_pod.entry(pod).or_default().insert(&one.labels);
            }
        }
        Self { by_pod }
    }

    fn signature(&self, series: &Series, pod: &str) -> Signature {
        let is_of = |target: &&&Labels| target.iter().all(|(name, value)| name == "__name__" || series.labels.get(name) == Some(value));
        // Of two that fit, the one that says more.
        let target = self.by_pod.get(pod).into_iter().flatten().filter(is_of).max_by_key(|target| target.len());
        match target {
            Some(labels) => labels.iter().filter_map(|(name, value)| common(name, value, pod)).collect(),
            None => SCRAPER_LABELS.iter().chain(&["instance"]).filter_map(|name| common(name, series.label(name), pod)).collect(),
        }
    }
}

/// What a label of a target says that other pods' targets may say too.
fn common(name: &str, value: &str, pod: &str) -> Option<(String, String)> {
    let is_own = name == "__name__" || value.is_empty() || value.contains(pod);
    let value = if name == PodLabel::Instance.name() { port(value).map(|port| port.to_string())? } else { value.to_owned() };
    (!is_own).then(|| (name.to_owned(), value))
}

/// The interval is told by the last scrapes of each pod, this many: those of a long run's beginning may have been thinned.
const LATEST: usize = 8;

/// The median distance between the latest scrapes.
pub(super) fn interval(groups: &[Group<'_>]) -> Option<i64> {
    let mut distances: Vec<i64> = Vec::new();
    for group in groups {
        let times: Vec<i64> = group.times.iter().rev().take(LATEST + 1).copied().collect();
        distances.extend(times.windows(2).map(|pair| pair[0].saturating_sub(pair[1])));
    }
    distances.sort_unstable();
    distances.get(distances.len() / 2).copied().filter(|distance| *distance > 0)
}

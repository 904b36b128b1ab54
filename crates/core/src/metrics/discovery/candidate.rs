//! One counter that is there, with what it says so far: enough to choose between two, or to explain why not.

use std::collections::{BTreeMap, BTreeSet};

use super::found::{Found, Histogram, Unit, in_full};
use super::presets::{Family, Preset, bucket};
use crate::api::choice::Counters;
use crate::metrics::counting::{self, Failure, Labels, PodLabel, Pods, Reading, Selector, Series};

/// What a name says whose counter counts requests to others.
const OUTBOUND: [&str; 5] = ["client", "outbound", "outgoing", "egress", "upstream"];

/// A family of a preset that the primary's pods have, at one port where they have it at several.
#[derive(Debug)]
pub(super) struct Candidate<'a> {
    preset: &'static Preset,
    family: &'static Family,
    pub(super) metric: String,
    selector: Selector,
    /// Where the metric is at several.
    port: Option<u16>,
    failures: Vec<(String, Failure)>,
    series: Vec<&'a Series>,
    pub(super) requests: f64,
    /// In the past hour, as far as that is known.
    pub(super) recent: f64,
    errors: f64,
}

/// The candidates of one preset: one for each metric that is there, and for each port that has it.
pub(super) fn of_preset<'a>(preset: &'static Preset, own: &[&'a Series], past: &[&'a Series], pods: &Pods) -> Vec<Candidate<'a>> {
    let mut candidates = Vec::new();
    for family in preset.families {
        let metrics: BTreeSet<&str> = own.iter().map(|series| series.name()).filter(|name| family.is_named(name)).collect();
        for metric in metrics {
            let Some(selector) = family.selector(metric) else { continue };
            let of_metric = |all: &[&'a Series]| all.iter().copied().filter(|one| selector.matches(&one.labels)).collect::<Vec<&Series>>();
            let series = of_metric(own);
            let past = of_metric(past);
            let ports = several_ports(&series, pods);
            let parts: Vec<Option<u16>> = if ports.is_empty() { vec![None] } else { ports.into_iter().map(Some).collect() };
            for port in parts {
                let of_port = |all: &[&'a Series]| {
                    all.iter().copied().filter(|one| port.is_none() || port_of(one, pods) == port).collect::<Vec<&Series>>()
                };
                candidates.extend(Candidate::new(preset, family, metric, &selector, port, of_port(&series), &of_port(&past)));
            }
        }
    }
    candidates
}

impl<'a> Candidate<'a> {
    fn new(
        preset: &'static Preset,
        family: &'static Family,
        metric: &str,
        selector: &Selector,
        port: Option<u16>,
        series: Vec<&'a Series>,
        past: &[&'a Series],
    ) -> Option<Self> {
        if series.is_empty() {
            return None;
        }
        // A label that never holds a status would say that nothing ever fails.
        let mut failures: Vec<(String, Failure)> = family
            .failures
            .iter()
            .filter_map(|(label, failure)| {
                let holds = failure.of_values(label, series.iter().map(|series| series.label(label)))?;
                let is_none = *failure == Failure::HttpStatus && holds == Failure::GrpcStatus && is_no_code_of_grpc(label, &series);
                (!is_none).then(|| ((*label).to_owned(), holds))
            })
            .collect();
        // Beside a code, a word says less: what the author calls an error may be the client's.
        if failures.iter().any(|(_, failure)| *failure != Failure::HttpName) {
            failures.retain(|(_, failure)| *failure != Failure::HttpName);
        }
        let selector = port.map_or_else(|| selector.clone(), |port| selector.at_port(port));
        let reading = Reading::Labelled { requests: selector.clone(), failures: failures.clone() };
        let (requests, errors) = totals(&reading, &series);
        Some(Self {
            preset,
            family,
            metric: metric.to_owned(),
            selector,
            port,
            failures,
            recent: recent(&series, past),
            series,
            requests,
            errors,
        })
    }

    /// Whether its labels say what failed.
    pub(super) fn is_usable(&self) -> bool {
        self.failures.iter().any(|(_, failure)| *failure != Failure::BesideCode)
    }

    /// A histogram under any name may be of what the pod asks of others: it counts where nothing else does.
    pub(super) fn is_a_last_resort(&self) -> bool {
        self.family.metric.starts_with('*') && self.family.metric.ends_with("_count")
    }

    pub(super) fn is_outbound(&self) -> bool {
        OUTBOUND.iter().any(|word| self.metric.to_ascii_lowercase().contains(word))
    }

    /// Whether both are sure to be written by one library about the same requests: nothing else makes a counter superfluous, since two that
    /// move together may still fail apart.
    pub(super) fn has_the_same_requests(&self, other: &Self) -> bool {
        if self.port != other.port {
            return false;
        }
        let counts_of_histograms = self.family.latency.iter().map(|(name, _)| format!("{}_count", self.prefixed(name)));
        let is_its_histogram = counts_of_histograms.into_iter().any(|name| name == other.metric);
        is_its_histogram || (self.preset == other.preset && self.preset.is_one_library() && self.family != other.family)
    }

    /// For a person.
    pub(super) fn name(&self) -> String {
        self.selector.to_string()
    }

    /// How to choose this one.
    pub(super) fn spelling(&self) -> String {
        if self.port.is_none() && self.preset.families.first() == Some(self.family) {
            return self.preset.name.to_owned();
        }
        in_full(&self.selector, &self.failures).unwrap_or_else(|| self.preset.name.to_owned())
    }

    /// A library that takes a prefix for its counter takes it for its histogram too.
    fn prefixed(&self, name: &str) -> String {
        let prefix = self.family.metric.strip_prefix('*').and_then(|suffix| self.metric.strip_suffix(suffix));
        prefix.map_or_else(|| name.to_owned(), |prefix| format!("{prefix}_{name}"))
    }

    pub(super) fn found(&self, own: &[&Series], pods: &Pods) -> Found {
        let mut histograms = self.family.latency.iter().map(|(name, unit)| (self.selector.renamed(&bucket(&self.prefixed(name))), *unit));
        Found {
            preset: Some(self.preset.name),
            reading: Reading::Labelled { requests: self.selector.clone(), failures: self.failures.clone() },
            latency: histograms.find_map(|(buckets, unit)| histogram(buckets, unit, own)),
            pod_label: pod_label(&self.series, pods),
            port: self.port.or_else(|| port(&self.series, pods)),
            requests: self.requests,
            recent: self.recent,
            errors: self.errors,
            spelling: self.spelling(),
        }
    }
}

/// Whether most requests say 1, which is no code of anything that works: it stands for yes, and nothing for no. Or 2, where nothing ever said 0: these
/// are the classes of HTTP's codes.
fn is_no_code_of_grpc(label: &str, series: &[&Series]) -> bool {
    let of = |is: fn(&str) -> bool| -> f64 {
        let values = series.iter().filter(|one| is(one.label(label))).filter_map(|one| one.samples.last());
        values.map(|sample| sample.value).filter(|value| value.is_finite()).sum()
    };
    let is_most = |requests: f64| requests * 2.0 > of(|value| !value.is_empty());
    is_most(of(|value| value == "1")) || (is_most(of(|value| value == "2")) && of(|value| value == "0") <= 0.0)
}

/// The ports of pods that have a metric at more than one; pods that differ from each other are no reason to tell ports apart.
fn several_ports(series: &[&Series], pods: &Pods) -> BTreeSet<u16> {
    let mut by_pod: BTreeMap<String, BTreeSet<u16>> = BTreeMap::new();
    for one in series {
        if let (Some((_, pod)), Some(port)) = (pods.identify_by(PodLabel::Instance, &one.labels), port_of(one, pods)) {
            by_pod.entry(pod).or_default().insert(port);
        }
    }
    by_pod.into_values().filter(|ports| ports.len() > 1).flatten().collect()
}

/// What was counted since an hour ago, pod by pod: one that began since has counted all of it since.
fn recent(series: &[&Series], past: &[&Series]) -> f64 {
    let value = |one: &&Series| one.samples.last().map_or(0.0, |sample| sample.value);
    let key = |one: &&Series| -> Labels {
        let mut labels = one.labels.clone();
        labels.remove(super::AGO_LABEL);
        labels
    };
    let before: BTreeMap<Labels, f64> = past.iter().map(|one| (key(one), value(one))).collect();
    let added = |one: &&Series| {
        let (now, before) = (value(one), before.get(&key(one)).copied().unwrap_or_default());
        if now >= before { now - before } else { now }
    };
    series.iter().map(added).filter(|added| added.is_finite()).sum()
}

/// The counters that the user named, if the requests are there. The errors need not be: a counter may be born with the first.
pub(super) fn explicit(Counters { requests, errors, latency, origin }: &Counters, own: &[&Series], pods: &Pods) -> Option<Found> {
    let series: Vec<&Series> = own.iter().copied().filter(|series| requests.matches(&series.labels)).collect();
    if series.is_empty() {
        return None;
    }
    let reading = Reading::Separate { requests: requests.clone(), errors: errors.clone() };
    let (total_requests, total_errors) = totals(&reading, own);
    let source = origin.map(|origin| format!("source: {}, ", origin.key())).unwrap_or_default();
    let buckets = latency.as_ref().map(|selector| format!(", latency: '{selector}'")).unwrap_or_default();
    Some(Found {
        preset: None,
        latency: latency.as_ref().and_then(|selector| histogram(selector.clone(), Unit::of_metric(selector.metric()), own)),
        reading,
        pod_label: pod_label(&series, pods),
        port: port(&series, pods),
        requests: total_requests,
        recent: total_requests,
        errors: total_errors,
        spelling: format!("{{{source}requests: '{requests}', errors: '{errors}'{buckets}}}"),
    })
}

fn totals(reading: &Reading, series: &[&Series]) -> (f64, f64) {
    let (mut requests, mut errors) = (0.0, 0.0);
    for one in series {
        let value = one.samples.last().map_or(0.0, |sample| sample.value);
        if value.is_finite() {
            let weight = reading.weigh(&one.labels);
            requests += weight.requests * value;
            errors += weight.errors * value;
        }
    }
    (requests, errors)
}

fn histogram(buckets: Selector, unit: Unit, own: &[&Series]) -> Option<Histogram> {
    let bounds: BTreeSet<&str> = own.iter().filter(|series| buckets.matches(&series.labels)).map(|series| series.label("le")).collect();
    // A native histogram shows no bound but the one that everything is within.
    let is_there = bounds.contains("+Inf");
    let bounds: Vec<String> = bounds.into_iter().filter(|bound| !bound.is_empty() && *bound != "+Inf").map(str::to_owned).collect();
    (is_there || !bounds.is_empty()).then_some(Histogram { buckets, unit, bounds })
}

/// The label that names the pods of most of these series; of two, the one that is believed first.
fn pod_label(series: &[&Series], pods: &Pods) -> PodLabel {
    let named = |label: PodLabel| series.iter().filter(|series| pods.identify_by(label, &series.labels).is_some()).count();
    PodLabel::ALL.into_iter().rev().max_by_key(|label| named(*label)).unwrap_or(PodLabel::Pod)
}

/// The port at which these pods are scraped, told by `instance`. A collector's address is none of theirs, and of two ports none is known.
fn port(series: &[&Series], pods: &Pods) -> Option<u16> {
    let ports: BTreeSet<u16> = series.iter().filter_map(|one| port_of(one, pods)).collect();
    ports.first().copied().filter(|_| ports.len() == 1)
}

fn port_of(series: &Series, pods: &Pods) -> Option<u16> {
    pods.identify_by(PodLabel::Instance, &series.labels)?;
    counting::port(series.label("instance"))
}

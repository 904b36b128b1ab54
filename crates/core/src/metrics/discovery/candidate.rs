//! One counter that is there, with what it says so far: enough to choose between two, or to explain why not.

use std::collections::BTreeSet;

use super::choice::Counters;
use super::found::{Found, Histogram, Unit, in_full};
use super::presets::{Family, Preset, bucket};
use crate::api::checks::Origin;
use crate::metrics::counting::{self, Failure, PodLabel, Pods, Reading, Selector, Series};

/// A family of a preset that the primary's pods have.
#[derive(Debug)]
pub(super) struct Candidate<'a> {
    preset: &'static Preset,
    family: &'static Family,
    pub(super) metric: String,
    selector: Selector,
    failures: Vec<(String, Failure)>,
    series: Vec<&'a Series>,
    pub(super) requests: f64,
    errors: f64,
}

/// The candidates of one preset: one for each metric that is there.
pub(super) fn of_preset<'a>(preset: &'static Preset, own: &[&'a Series]) -> Vec<Candidate<'a>> {
    let mut candidates = Vec::new();
    for family in preset.families {
        let metrics: BTreeSet<&str> = own.iter().map(|series| series.name()).filter(|name| family.is_named(name)).collect();
        candidates.extend(metrics.into_iter().filter_map(|metric| Candidate::new(preset, family, metric, own)));
    }
    candidates
}

impl<'a> Candidate<'a> {
    fn new(preset: &'static Preset, family: &'static Family, metric: &str, own: &[&'a Series]) -> Option<Self> {
        let selector =
            if family.only.is_empty() { Selector::of(metric) } else { Selector::parse(&format!("{metric}{}", family.only)).ok()? };
        let series: Vec<&Series> = own.iter().copied().filter(|series| selector.matches(&series.labels)).collect();
        if series.is_empty() {
            return None;
        }
        // A label that never holds a status would say that nothing ever fails.
        let failures: Vec<(String, Failure)> = family
            .failures
            .iter()
            .filter_map(|(label, failure)| {
                let holds = failure.of_values(label, series.iter().map(|series| series.label(label)))?;
                Some(((*label).to_owned(), holds))
            })
            .collect();
        let reading = Reading::Labelled { requests: selector.clone(), failures: failures.clone() };
        let (requests, errors) = totals(&reading, &series);
        Some(Self { preset, family, metric: metric.to_owned(), selector, failures, series, requests, errors })
    }

    /// Whether its labels say what failed.
    pub(super) fn is_usable(&self) -> bool {
        !self.failures.is_empty()
    }

    /// Two counters of the same requests: nearly as many, with nearly the same share of errors. They may have been reset apart, and one may
    /// leave probes out.
    pub(super) fn agrees_with(&self, other: &Self) -> bool {
        let most = self.requests.max(other.requests);
        let as_many = (self.requests - other.requests).abs() <= (0.25 * most).max(50.0);
        let share = |candidate: &Self| if candidate.requests > 0.0 { candidate.errors / candidate.requests } else { 0.0 };
        as_many && (share(self) - share(other)).abs() <= 0.02
    }

    pub(super) fn summary(&self) -> String {
        format!("{} ({:.0} requests, {:.0} errors)", self.metric, self.requests, self.errors)
    }

    /// How to choose this one.
    pub(super) fn spelling(&self) -> String {
        if self.preset.families.first() == Some(self.family) {
            return self.preset.name.to_owned();
        }
        in_full(&self.selector, &self.failures).unwrap_or_else(|| self.preset.name.to_owned())
    }

    pub(super) fn found(&self, own: &[&Series], pods: &Pods) -> Found {
        // A library that takes a prefix for its counter takes it for its histogram too.
        let prefix = self.family.metric.strip_prefix('*').and_then(|suffix| self.metric.strip_suffix(suffix));
        let named = |name: &str| prefix.map_or_else(|| name.to_owned(), |prefix| format!("{prefix}_{name}"));
        let mut histograms = self.family.latency.iter().map(|(name, unit)| (self.selector.renamed(&bucket(&named(name))), *unit));
        Found {
            preset: Some(self.preset.name),
            reading: Reading::Labelled { requests: self.selector.clone(), failures: self.failures.clone() },
            latency: histograms.find_map(|(buckets, unit)| histogram(buckets, unit, own)),
            pod_label: pod_label(&self.series, pods),
            port: port(&self.series, pods),
            requests: self.requests,
            errors: self.errors,
            spelling: self.spelling(),
        }
    }
}

/// The counters that the user named, if the requests are there. The errors need not be: a counter may be born with the first.
pub(super) fn explicit(Counters { requests, errors, latency, origin }: &Counters, own: &[&Series], pods: &Pods) -> Option<Found> {
    let series: Vec<&Series> = own.iter().copied().filter(|series| requests.matches(&series.labels)).collect();
    if series.is_empty() {
        return None;
    }
    let reading = Reading::Separate { requests: requests.clone(), errors: errors.clone() };
    let (total_requests, total_errors) = totals(&reading, own);
    let source = if *origin == Origin::Datadog { "source: datadog, " } else { "" };
    let buckets = latency.as_ref().map(|selector| format!(", latency: '{selector}'")).unwrap_or_default();
    Some(Found {
        preset: None,
        latency: latency.as_ref().and_then(|selector| histogram(selector.clone(), Unit::of_metric(selector.metric()), own)),
        reading,
        pod_label: pod_label(&series, pods),
        port: port(&series, pods),
        requests: total_requests,
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
    let own = series.iter().filter(|series| pods.identify_by(PodLabel::Instance, &series.labels).is_some());
    let ports: BTreeSet<u16> = own.filter_map(|series| counting::port(series.label("instance"))).collect();
    ports.first().copied().filter(|_| ports.len() == 1)
}

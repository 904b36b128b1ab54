//! What discovery found: how to read it, and how to spell it in `canary.metrics` so that it stays so.

use std::time::Duration;

use crate::core::counting::{Failure, PodLabel, Reading, Selector};

/// What a histogram's bounds are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Seconds,
    Milliseconds,
}

impl Unit {
    pub(super) fn of_metric(metric: &str) -> Self {
        let stem = metric.trim_end_matches("_bucket");
        let is_milliseconds = ["_milliseconds", "_millis", "_ms"].iter().any(|ending| stem.ends_with(ending));
        if is_milliseconds { Self::Milliseconds } else { Self::Seconds }
    }

    fn seconds(self, value: f64) -> f64 {
        match self {
            Self::Seconds => value,
            Self::Milliseconds => value / 1000.0,
        }
    }
}

/// A classic histogram of latency with the bounds that it really has.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    pub buckets: Selector,
    pub unit: Unit,
    /// The values of `le` as the series spell them, without `+Inf`.
    pub bounds: Vec<String>,
}

/// Why latency can't be judged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LatencyError {
    #[error("found no latency histogram beside {metric}; name its buckets in canary.metrics under latency")]
    NoHistogram { metric: String },
    #[error(
        "no bucket of {metric} ends at or below {limit_ms} ms (the smallest ends at {smallest}); raise canary.max-latency-p99 or add a bucket"
    )]
    NoBucket { metric: String, limit_ms: u128, smallest: String },
}

/// The counters to read.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// The preset, unless the user named the counters.
    pub preset: Option<&'static str>,
    pub reading: Reading,
    pub latency: Option<Histogram>,
    /// The label that tells the pods apart in these series.
    pub pod_label: PodLabel,
    /// What they counted so far on the primary's pods.
    pub requests: f64,
    pub errors: f64,
    pub(super) spelling: String,
}

impl Found {
    /// For an Event: the counter, and how a failure is told.
    pub fn description(&self) -> String {
        match &self.reading {
            Reading::Labelled { requests, failures } => {
                let labels: Vec<&str> = failures.iter().map(|(label, _)| label.as_str()).collect();
                format!("{requests} by {}", labels.join(" and "))
            }
            Reading::Separate { requests, errors } => format!("{requests} and {errors}"),
            Reading::Slower { buckets, .. } => buckets.to_string(),
        }
    }

    /// The value of `canary.metrics` that fixes this choice by hand.
    pub fn spelling(&self) -> &str {
        &self.spelling
    }

    /// Reads what is slower than `limit` as failed. The bound is the largest bucket that ends at or below the limit: a canary that passes
    /// has shown at least what was asked. Also returns the bound really used.
    pub fn slower_than(&self, limit: Duration) -> Result<(Reading, Duration), LatencyError> {
        let metric = self.reading.metrics().first().map(|metric| (*metric).to_owned()).unwrap_or_default();
        let histogram = self.latency.as_ref().ok_or(LatencyError::NoHistogram { metric })?;
        let seconds = |bound: &String| bound.parse().map(|value: f64| histogram.unit.seconds(value)).ok().filter(|value| value.is_finite());
        let mut bounds: Vec<(f64, &String)> = histogram.bounds.iter().filter_map(|bound| Some((seconds(bound)?, bound))).collect();
        bounds.sort_by(|one, other| one.0.total_cmp(&other.0));
        // `0.3` read as a float may lie a hair above 300 ms.
        let fits = |value: f64| value > 0.0 && value <= limit.as_secs_f64() * (1.0 + 1e-9);
        match bounds.iter().rev().find(|(value, _)| fits(*value)) {
            Some((value, le)) => {
                let reading = Reading::Slower { buckets: histogram.buckets.clone(), le: (*le).clone() };
                Ok((reading, Duration::try_from_secs_f64(*value).unwrap_or(limit)))
            }
            None => Err(LatencyError::NoBucket {
                metric: histogram.buckets.metric().to_owned(),
                limit_ms: limit.as_millis(),
                smallest: bounds.first().map_or_else(|| "+Inf".to_owned(), |(_, le)| (*le).clone()),
            }),
        }
    }
}

/// What `Failure::GrpcStatus` holds, as a regular expression.
const GRPC_FAILURES: &str = "(?i)unknown|deadline_?exceeded|unimplemented|internal|unavailable|data_?loss|2|4|12|13|14|15";

/// The YAML that says the same in full, when two selectors can say it.
pub(super) fn in_full(requests: &Selector, failures: &[(String, Failure)]) -> Option<String> {
    let [(label, failure)] = failures else { return None };
    let condition = match failure {
        Failure::HttpStatus => format!("{label}=~\"5.*\""),
        Failure::GrpcStatus => format!("{label}=~\"{GRPC_FAILURES}\""),
        Failure::Is(value) => format!("{label}=\"{value}\""),
    };
    let errors = match requests.text().strip_suffix('}') {
        Some(open) => format!("{open},{condition}}}"),
        None => format!("{requests}{{{condition}}}"),
    };
    // Names with dots can't be written as plain selectors.
    Selector::parse(&errors).ok()?;
    Some(format!("{{requests: '{requests}', errors: '{errors}'}}"))
}

//! What discovery found: how to read it, and how to spell it in `canary.metrics` so that it stays so.

use std::time::Duration;

use crate::metrics::counting::{Bound, Failure, PodLabel, Reading, Selector, native};

/// What a histogram's bounds are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
}

/// What names of metrics end with. Others are in seconds, as they ought to be.
const ENDINGS: [(&str, Unit); 11] = [
    ("_milliseconds", Unit::Milliseconds),
    ("_millis", Unit::Milliseconds),
    ("_msec", Unit::Milliseconds),
    ("_ms", Unit::Milliseconds),
    ("_microseconds", Unit::Microseconds),
    ("_micros", Unit::Microseconds),
    ("_usec", Unit::Microseconds),
    ("_us", Unit::Microseconds),
    ("_nanoseconds", Unit::Nanoseconds),
    ("_nanos", Unit::Nanoseconds),
    ("_ns", Unit::Nanoseconds),
];

impl Unit {
    pub(super) fn of_metric(metric: &str) -> Self {
        let stem = metric.trim_end_matches("_bucket");
        ENDINGS.iter().find(|(ending, _)| stem.ends_with(ending)).map_or(Self::Seconds, |(_, unit)| *unit)
    }

    fn of_a_second(self) -> f64 {
        match self {
            Self::Seconds => 1.0,
            Self::Milliseconds => 1e3,
            Self::Microseconds => 1e6,
            Self::Nanoseconds => 1e9,
        }
    }

    fn parsed(self, le: &str) -> Option<f64> {
        let value: f64 = le.parse().ok().filter(|value: &f64| value.is_finite())?;
        Some(value / self.of_a_second())
    }

    fn in_own_unit(self, seconds: f64) -> f64 {
        seconds * self.of_a_second()
    }
}

/// A histogram of latency with the bounds that it really has.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    pub buckets: Selector,
    pub unit: Unit,
    /// The values of `le` as the series spell them, without `+Inf`. Of a native histogram none is known beforehand.
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
    #[error("no bucket of {metric} that all pods have ends at or below {limit_ms} ms; give both versions the same buckets")]
    NoCommonBucket { metric: String, limit_ms: u128 },
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
    /// Where these pods themselves serve them, when all say the same.
    pub port: Option<u16>,
    /// What they counted so far on the primary's pods.
    pub requests: f64,
    /// How many of these in the past hour, as far as that is known.
    pub recent: f64,
    pub errors: f64,
    pub(in crate::metrics) spelling: String,
}

impl Found {
    /// For an Event: the counter, and how a failure is told.
    pub fn description(&self) -> String {
        match &self.reading {
            Reading::Labelled { requests, failures } => {
                let codes = failures.iter().filter(|(_, failure)| *failure != Failure::BesideCode);
                format!("{requests} by {}", codes.map(|(label, _)| label.as_str()).collect::<Vec<_>>().join(" and "))
            }
            Reading::Separate { requests, errors } => format!("{requests} and {errors}"),
            Reading::Slower { buckets, .. } => buckets.to_string(),
        }
    }

    /// The name of what counts the requests.
    pub fn metric(&self) -> &str {
        match &self.reading {
            Reading::Labelled { requests, .. } | Reading::Separate { requests, .. } => requests.metric(),
            Reading::Slower { buckets, .. } => buckets.metric(),
        }
    }

    /// What a person may ask Prometheus to see the same series, each pod's by itself.
    pub fn queries(&self, namespace: &str) -> Vec<String> {
        let pod = self.pod_label.name();
        let query = |selector: &Selector, labels: &[&str]| {
            let labels = [&[pod], labels].concat().join(", ");
            format!("sum by ({labels}) (rate({}[1m]))", selector.text_in(namespace))
        };
        match &self.reading {
            Reading::Labelled { requests, failures } => {
                let labels: Vec<&str> = failures.iter().map(|(label, _)| label.as_str()).collect();
                vec![query(requests, &labels)]
            }
            Reading::Separate { requests, errors } => vec![query(requests, &[]), query(errors, &[])],
            Reading::Slower { buckets, .. } => vec![query(buckets, &["le"])],
        }
    }

    /// The value of `canary.metrics` that fixes this choice by hand.
    pub fn spelling(&self) -> &str {
        &self.spelling
    }

    /// Reads what is slower than `limit` as failed. The bound is the largest bucket that ends at or below the limit: a canary that passes
    /// has shown at least what was asked. Which one that is, the count says, and [`Found::bound`] in time.
    pub fn slower_than(&self, limit: Duration) -> Result<Reading, LatencyError> {
        let histogram = self.histogram()?;
        let mut bounds: Vec<(f64, &String)> =
            histogram.bounds.iter().filter_map(|bound| Some((histogram.unit.parsed(bound)?, bound))).collect();
        bounds.sort_by(|one, other| one.0.total_cmp(&other.0));
        let bounds = if bounds.is_empty() {
            native::bounds(histogram.unit.in_own_unit(limit.as_secs_f64())).iter().map(f64::to_string).collect()
        } else {
            // `0.3` read as a float may lie a hair above 300 ms.
            let fits = |value: f64| value > 0.0 && value <= limit.as_secs_f64() * (1.0 + 1e-9);
            let below = bounds.iter().rev().find(|(value, _)| fits(*value)).ok_or_else(|| LatencyError::NoBucket {
                metric: histogram.buckets.metric().to_owned(),
                limit_ms: limit.as_millis(),
                smallest: bounds.first().map_or_else(|| "+Inf".to_owned(), |(_, le)| (*le).clone()),
            })?;
            vec![below.1.clone()]
        };
        Ok(Reading::Slower { buckets: histogram.buckets.clone(), bounds })
    }

    /// Reads what is slower than the nearest bound at or above `limit`: a request that is, is slower than the limit too. Nothing where there is no
    /// such bound.
    pub fn slower_for_certain(&self, limit: Duration) -> Option<Reading> {
        let histogram = self.histogram().ok()?;
        let bounds = if histogram.bounds.is_empty() {
            native::bounds_above(histogram.unit.in_own_unit(limit.as_secs_f64())).iter().map(f64::to_string).collect()
        } else {
            let above = |bound: &String| histogram.unit.parsed(bound).filter(|value| *value >= limit.as_secs_f64() * (1.0 - 1e-9));
            let known = histogram.bounds.iter().filter_map(|bound| Some((above(bound)?, bound)));
            vec![known.min_by(|one, other| one.0.total_cmp(&other.0))?.1.clone()]
        };
        Some(Reading::Slower { buckets: histogram.buckets.clone(), bounds })
    }

    /// What was really held against, when that much was asked for.
    pub fn bound(&self, bound: &Bound, limit: Duration) -> Result<Duration, LatencyError> {
        let histogram = self.histogram()?;
        match bound {
            Bound::NotAsked => Ok(limit),
            Bound::Known(le) => Ok(histogram.unit.parsed(le).and_then(|value| Duration::try_from_secs_f64(value).ok()).unwrap_or(limit)),
            Bound::Unknown => {
                Err(LatencyError::NoCommonBucket { metric: histogram.buckets.metric().to_owned(), limit_ms: limit.as_millis() })
            }
        }
    }

    /// The same where another template serves it at another port.
    #[must_use]
    pub fn also_at_port(&self, other: u16) -> Self {
        let (Some(port), Reading::Labelled { requests, failures }) = (self.port, &self.reading) else { return self.clone() };
        let at_both = |selector: &Selector| selector.also_at_port(port, other);
        let latency = self.latency.clone().map(|histogram| Histogram { buckets: at_both(&histogram.buckets), ..histogram });
        Self { reading: Reading::Labelled { requests: at_both(requests), failures: failures.clone() }, latency, ..self.clone() }
    }

    fn histogram(&self) -> Result<&Histogram, LatencyError> {
        let metric = || self.reading.metrics().first().map(|metric| (*metric).to_owned()).unwrap_or_default();
        self.latency.as_ref().ok_or_else(|| LatencyError::NoHistogram { metric: metric() })
    }
}

/// What `Failure::GrpcStatus` holds, as a regular expression.
const GRPC_FAILURES: &str = "(?i)unknown|deadline_?exceeded|unimplemented|internal|unavailable|data_?loss|2|4|12|13|14|15";
/// The same for `Failure::HttpName`.
const NAMED_FAILURES: &str = "(?i)5.+|errors?|err|errored|fail(ed|ure)?|unsuccessful|not.?successful|no.?success|ko|nok|not.?ok|fault|exception|timed?.?out|deadline|panic(ked)?|crash(ed)?|fatal|unknown|deadline.?exceeded|unimplemented|internal|unavailable|data.?loss|\
                              (.+[.:])?(server.?error|internal.?(server.?)?error|bad.?gateway|service.?unavailable|gateway.?timeout|not.?implemented)";

/// The YAML that says the same in full, when two selectors can say it.
pub(super) fn in_full(requests: &Selector, failures: &[(String, Failure)]) -> Option<String> {
    let mut codes = failures.iter().filter(|(_, failure)| *failure != Failure::BesideCode);
    let (Some((label, failure)), None) = (codes.next(), codes.next()) else { return None };
    let condition = match failure {
        // A 5 alone is a class, or gRPC's "not found".
        Failure::HttpStatus if label.to_ascii_lowercase().contains("class") => format!("{label}=~\"5.*\""),
        Failure::HttpStatus => format!("{label}=~\"5.+\""),
        Failure::HttpName => format!("{label}=~\"{NAMED_FAILURES}\""),
        Failure::GrpcStatus => format!("{label}=~\"{GRPC_FAILURES}\""),
        Failure::Is(value) => format!("{label}=\"{value}\""),
        Failure::BesideCode => return None,
    };
    let errors = match requests.text().strip_suffix('}') {
        Some(open) => format!("{open},{condition}}}"),
        None => format!("{requests}{{{condition}}}"),
    };
    // Names with dots can't be written as plain selectors.
    Selector::parse(&errors).ok()?;
    Some(format!("{{requests: '{requests}', errors: '{errors}'}}"))
}

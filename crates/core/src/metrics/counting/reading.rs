//! What a series means: which counters are requests, and which of those are errors. A reading is made by discovery or from the user's
//! own words; it weighs labels and knows nothing about samples.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::selector::Selector;
use super::{Labels, Pods, Sample, Series};

/// How a label's value says that a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// 500 to 599, as a number or as a class (`5xx`, `5`).
    HttpStatus,
    /// The gRPC codes that are the server's fault, by name or by number.
    GrpcStatus,
    /// Exactly this value.
    Is(&'static str),
}

/// gRPC codes that speak against the server; the others are the caller's or normal.
const GRPC_FAILURES: [(&str, &str); 6] =
    [("UNKNOWN", "2"), ("DEADLINEEXCEEDED", "4"), ("UNIMPLEMENTED", "12"), ("INTERNAL", "13"), ("UNAVAILABLE", "14"), ("DATALOSS", "15")];

impl Failure {
    pub fn holds(self, value: &str) -> bool {
        match self {
            Self::HttpStatus => is_http_failure(value),
            Self::GrpcStatus => {
                let plain: String = value.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_uppercase()).collect();
                GRPC_FAILURES.iter().any(|(name, number)| plain == *name || plain == *number)
            }
            Self::Is(expected) => value == expected,
        }
    }

    /// Whether a value is one of those that this label is known for, failed or not.
    pub fn understands(self, value: &str) -> bool {
        match self {
            Self::HttpStatus => is_http_status(value),
            Self::GrpcStatus | Self::Is(_) => !value.is_empty(),
        }
    }
}

/// `200`, `200.0`, `2xx` or `2`.
fn is_http_status(value: &str) -> bool {
    let value = value.trim();
    matches!(value.as_bytes().first(), Some(b'1'..=b'5'))
        && match value.len() {
            1 => true,
            3 => value.get(1..).is_some_and(|rest| rest.eq_ignore_ascii_case("xx")) || value.bytes().all(|byte| byte.is_ascii_digit()),
            _ => value.strip_suffix(".0").is_some_and(|whole| whole.len() == 3 && whole.bytes().all(|byte| byte.is_ascii_digit())),
        }
}

fn is_http_failure(value: &str) -> bool {
    value.trim().starts_with('5') && is_http_status(value)
}

/// What one unit of a series' increase adds to the counts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Weight {
    pub requests: f64,
    pub errors: f64,
}

impl Weight {
    pub const NOTHING: Self = Self { requests: 0.0, errors: 0.0 };

    pub fn is_nothing(self) -> bool {
        self == Self::NOTHING
    }
}

/// The bucket that holds everything.
pub(super) const UNBOUNDED: &str = "+Inf";

/// Which series count, and how.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// One counter; any of these labels may say that a request failed.
    Labelled { requests: Selector, failures: Vec<(String, Failure)> },
    /// Two counters: the second counts those requests of the first that failed.
    Separate { requests: Selector, errors: Selector },
    /// A histogram: "failed" means slower than a bucket's bound, the first of these that all pods have. They are spelled as the series'
    /// `le` spells them.
    Slower { buckets: Selector, bounds: Vec<String> },
}

impl Reading {
    /// What a series with these labels adds.
    pub fn weigh(&self, labels: &Labels) -> Weight {
        match self {
            Self::Labelled { requests, failures } => {
                if !requests.matches(labels) {
                    return Weight::NOTHING;
                }
                let failed = failures.iter().any(|(label, failure)| labels.get(label).is_some_and(|value| failure.holds(value)));
                Weight { requests: 1.0, errors: f64::from(u8::from(failed)) }
            }
            Self::Separate { requests, errors } => {
                Weight { requests: f64::from(u8::from(requests.matches(labels))), errors: f64::from(u8::from(errors.matches(labels))) }
            }
            // Slower than the bound = all of them, less those within the bound.
            Self::Slower { buckets, bounds } => match labels.get("le") {
                Some(bound) if buckets.matches(labels) && bound == UNBOUNDED => Weight { requests: 1.0, errors: 1.0 },
                Some(bound) if buckets.matches(labels) && bounds.contains(bound) => Weight { requests: 0.0, errors: -1.0 },
                _ => Weight::NOTHING,
            },
        }
    }

    /// With one bound only, and which that is: the first that is known wherever something was counted. `None` when there is none: a canary
    /// whose buckets are other ones must not be taken for slow.
    pub(super) fn resolved(&self, series: &[Series], pods: &Pods) -> Option<(Cow<'_, Self>, Option<String>)> {
        let Self::Slower { buckets, bounds } = self else { return Some((Cow::Borrowed(self), None)) };
        // What differs in nothing but the bound.
        let mut histograms: BTreeMap<Labels, BTreeMap<&str, &[Sample]>> = BTreeMap::new();
        for one in series.iter().filter(|one| buckets.matches(&one.labels) && pods.identify(&one.labels).is_some()) {
            let mut labels = one.labels.clone();
            labels.remove("le");
            histograms.entry(labels).or_default().insert(one.label("le"), &one.samples);
        }
        let knows = |histogram: &BTreeMap<&str, &[Sample]>, bound: &String| {
            let Some(all) = histogram.get(UNBOUNDED) else { return true };
            let within = histogram.get(bound.as_str()).copied().unwrap_or_default();
            // Of two counters that are thinned, one may keep a few samples more.
            let ends = |samples: &[Sample]| (samples.first().map(|sample| sample.at), samples.last().map(|sample| sample.at));
            ends(all) == ends(within) && all.len() <= within.len() + 4
        };
        let bound = bounds.iter().find(|bound| histograms.values().all(|histogram| knows(histogram, bound)))?;
        Some((Cow::Owned(Self::Slower { buckets: buckets.clone(), bounds: vec![bound.clone()] }), Some(bound.clone())))
    }

    /// The metrics to ask for.
    pub fn metrics(&self) -> Vec<&str> {
        match self {
            Self::Labelled { requests, .. } => vec![requests.metric()],
            Self::Separate { requests, errors } if requests.metric() == errors.metric() => vec![requests.metric()],
            Self::Separate { requests, errors } => vec![requests.metric(), errors.metric()],
            Self::Slower { buckets, .. } => vec![buckets.metric()],
        }
    }

    /// The bounds to ask for; the other buckets of a histogram need not travel.
    pub fn bounds(&self) -> Vec<&str> {
        match self {
            Self::Slower { bounds, .. } => bounds.iter().map(String::as_str).chain([UNBOUNDED]).collect(),
            Self::Labelled { .. } | Self::Separate { .. } => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(Failure::HttpStatus, "500", true)]
    #[case(Failure::HttpStatus, "503", true)]
    #[case(Failure::HttpStatus, "5xx", true)]
    #[case(Failure::HttpStatus, "5XX", true)]
    #[case(Failure::HttpStatus, "5", true)]
    #[case(Failure::HttpStatus, "500.0", true)]
    #[case(Failure::HttpStatus, "200", false)]
    #[case(Failure::HttpStatus, "404", false)]
    #[case(Failure::HttpStatus, "50", false)]
    #[case(Failure::HttpStatus, "5000", false)]
    #[case(Failure::HttpStatus, "5é", false)]
    #[case(Failure::HttpStatus, "", false)]
    #[case(Failure::GrpcStatus, "Internal", true)]
    #[case(Failure::GrpcStatus, "DeadlineExceeded", true)]
    #[case(Failure::GrpcStatus, "DEADLINE_EXCEEDED", true)]
    #[case(Failure::GrpcStatus, "13", true)]
    #[case(Failure::GrpcStatus, "OK", false)]
    #[case(Failure::GrpcStatus, "NotFound", false)]
    #[case(Failure::GrpcStatus, "5", false)]
    #[case(Failure::Is("failure"), "failure", true)]
    #[case(Failure::Is("failure"), "success", false)]
    fn failures(#[case] failure: Failure, #[case] value: &str, #[case] expected: bool) {
        assert_eq!(failure.holds(value), expected);
    }
}

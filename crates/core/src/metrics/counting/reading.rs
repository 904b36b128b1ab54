//! What a series means: which counters are requests, and which of those are errors. A reading is made by discovery or from the user's
//! own words; it weighs labels and knows nothing about samples.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::codes::{Answer, Failure};
use super::names;
use super::{Labels, Pods, Sample, Selector, Series};

/// What one unit of a series' increase adds to the counts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Weight {
    pub requests: f64,
    pub errors: f64,
    /// Answers that are neither good nor the server's error.
    pub clients: f64,
    /// Good answers that send whoever asked elsewhere.
    pub redirects: f64,
}

impl Weight {
    pub const NOTHING: Self = Self { requests: 0.0, errors: 0.0, clients: 0.0, redirects: 0.0 };

    fn of(answer: Answer) -> Self {
        let is = |wanted: Answer| f64::from(u8::from(answer == wanted));
        Self { requests: 1.0, errors: is(Answer::ServerError), clients: is(Answer::ClientError), redirects: 0.0 }
    }

    pub fn is_nothing(self) -> bool {
        self == Self::NOTHING
    }
}

/// The value of a label that is there; an empty one is none.
fn said<'a>(labels: &'a Labels, label: &str) -> Option<&'a str> {
    labels.get(label).map(String::as_str).filter(|value| !value.is_empty())
}

/// What went wrong, where labels say so beside a code or without one.
fn went_wrong<'a>(failures: &[(String, Failure)], labels: &'a Labels) -> Option<&'a str> {
    let beside = failures.iter().filter(|(_, failure)| *failure == Failure::BesideCode);
    beside.filter_map(|(label, _)| said(labels, label)).find(|value| !names::is_nothing(value))
}

/// A whole number is written with a point by some libraries, and by others without.
fn spellings(bound: &str) -> Vec<String> {
    let value: Option<f64> = bound.parse().ok().filter(|value: &f64| value.is_finite() && value.fract() == 0.0 && value.abs() < 1e6);
    let mut all = vec![bound.to_owned()];
    all.extend(value.into_iter().flat_map(|value| [format!("{value}"), format!("{value:.1}")]));
    all.sort();
    all.dedup();
    all
}

/// The same bound, however it is written.
fn is_same_bound(one: &str, other: &str) -> bool {
    let value = |bound: &str| bound.parse::<f64>().ok();
    one == other || value(one).is_some_and(|one| value(other) == Some(one))
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
                let codes = failures.iter().filter(|(_, failure)| *failure != Failure::BesideCode);
                let by_code = codes.filter_map(|(label, failure)| Some(failure.answer(label, said(labels, label)?))).max();
                let answer = match (by_code, went_wrong(failures, labels)) {
                    (None, Some(_)) => Answer::ServerError,
                    // What broke off after its code was sent didn't end well; whose fault that was, nobody says. And beside series that say how a request
                    // ended, one that doesn't is a request that ended otherwise.
                    (Some(Answer::Good), Some(_)) | (None, None) => Answer::ClientError,
                    (Some(answer), _) => answer,
                };
                let redirects = answer == Answer::Good && self.redirect(labels).is_some();
                Weight { redirects: f64::from(u8::from(redirects)), ..Weight::of(answer) }
            }
            Self::Separate { requests, errors } => {
                let is = |selector: &Selector| f64::from(u8::from(selector.matches(labels)));
                Weight { requests: is(requests), errors: is(errors), ..Weight::NOTHING }
            }
            // Slower than the bound = all of them, less those within the bound.
            Self::Slower { buckets, bounds } => match labels.get("le") {
                Some(bound) if buckets.matches(labels) && bound == UNBOUNDED => Weight { requests: 1.0, errors: 1.0, ..Weight::NOTHING },
                Some(bound) if buckets.matches(labels) && bounds.iter().any(|known| is_same_bound(known, bound)) => {
                    Weight { errors: -1.0, ..Weight::NOTHING }
                }
                _ => Weight::NOTHING,
            },
        }
    }

    /// The same, for a page that a pod serves: who scrapes it is what adds its address.
    #[must_use]
    pub(in crate::metrics) fn on_a_page(&self) -> Self {
        let plain = |selector: &Selector| selector.without("instance");
        match self {
            Self::Labelled { requests, failures } => Self::Labelled { requests: plain(requests), failures: failures.clone() },
            Self::Separate { requests, errors } => Self::Separate { requests: plain(requests), errors: plain(errors) },
            Self::Slower { buckets, bounds } => Self::Slower { buckets: plain(buckets), bounds: bounds.clone() },
        }
    }

    /// All labels that say what a series means.
    pub fn labels(&self) -> BTreeSet<&str> {
        match self {
            Self::Labelled { requests, failures } => requests.labels().chain(failures.iter().map(|(label, _)| label.as_str())).collect(),
            Self::Separate { requests, errors } => requests.labels().chain(errors.labels()).collect(),
            Self::Slower { buckets, .. } => buckets.labels().chain(["le"]).collect(),
        }
    }

    /// The labels of which a counted series must have one, or nobody can say how its requests ended.
    pub fn outcome_labels(&self) -> Vec<&str> {
        match self {
            Self::Labelled { failures, .. } => failures.iter().map(|(label, _)| label.as_str()).collect(),
            Self::Separate { requests, errors } if requests.metric() == errors.metric() => errors.labels_beyond(requests),
            Self::Separate { .. } | Self::Slower { .. } => Vec::new(),
        }
    }

    /// What a series' label says of its requests, where that is a client's error.
    pub(super) fn client_error<'a>(&self, labels: &'a Labels) -> Option<&'a str> {
        let Self::Labelled { requests, failures } = self else { return None };
        if !requests.matches(labels) || self.weigh(labels).clients <= 0.0 {
            return None;
        }
        let codes = failures.iter().filter(|(_, failure)| *failure != Failure::BesideCode);
        let mut said = codes.filter_map(|(label, failure)| Some((failure.answer(label, said(labels, label)?), said(labels, label)?)));
        let by_code = said.find(|(answer, _)| *answer == Answer::ClientError).map(|(_, value)| value);
        by_code.or_else(|| went_wrong(failures, labels)).or(Some("no code"))
    }

    /// What a series' label says of its requests, where those were sent elsewhere.
    pub(super) fn redirect<'a>(&self, labels: &'a Labels) -> Option<&'a str> {
        let Self::Labelled { failures, .. } = self else { return None };
        failures.iter().find_map(|(label, failure)| said(labels, label).filter(|value| failure.is_redirect(label, value)))
    }

    /// Whether a series counts requests and says nothing about how they ended.
    pub(in crate::metrics) fn is_mute(&self, labels: &Labels) -> bool {
        let says = |label: &&str| said(labels, label).is_some();
        match self {
            Self::Labelled { requests, failures } => {
                let mut codes = failures.iter().filter(|(_, failure)| *failure != Failure::BesideCode).map(|(label, _)| label.as_str());
                let says_nothing = !codes.any(|label| says(&label)) && went_wrong(failures, labels).is_none();
                !failures.is_empty() && requests.matches(labels) && says_nothing
            }
            Self::Separate { requests, .. } => {
                let outcome = self.outcome_labels();
                !outcome.is_empty() && requests.matches(labels) && !outcome.iter().any(says)
            }
            Self::Slower { .. } => false,
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
            let spelled = || histogram.iter().find(|(le, _)| is_same_bound(le, bound)).map(|(_, samples)| *samples);
            let within = histogram.get(bound.as_str()).copied().or_else(spelled).unwrap_or_default();
            // Of two counters that are thinned, one may keep a few samples more.
            let ends = |samples: &[Sample]| (samples.first().map(|sample| sample.at), samples.last().map(|sample| sample.at));
            ends(all) == ends(within) && all.len() <= within.len() + 4
        };
        let bound = bounds.iter().find(|bound| histograms.values().all(|histogram| knows(histogram, bound)))?;
        Some((Cow::Owned(Self::Slower { buckets: buckets.clone(), bounds: vec![bound.clone()] }), Some(bound.clone())))
    }

    /// Whether an answer that is neither good nor the server's error can be told from a good one.
    pub fn tells_client_errors(&self) -> bool {
        matches!(self, Self::Labelled { failures, .. } if failures.iter().any(|(_, failure)| !matches!(failure, Failure::Is(_))))
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
    pub fn bounds(&self) -> Vec<String> {
        match self {
            Self::Slower { bounds, .. } => bounds.iter().flat_map(|bound| spellings(bound)).chain([UNBOUNDED.to_owned()]).collect(),
            Self::Labelled { .. } | Self::Separate { .. } => Vec::new(),
        }
    }
}

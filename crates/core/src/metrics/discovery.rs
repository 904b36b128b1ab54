//! Which counters to read: recognised from the series that the primary's pods really have, or said by the user in `canary.metrics`.
//! Where the primary's have none, since it never came to serve, the canary's own count: the way to repair it must not be shut.
//!
//! Pure: it says which metrics to ask for (`wanted`) and judges the answer (`recognise`). It never guesses: where two counters disagree,
//! or none is known, it says so in one sentence that names the way out.

mod candidate;
mod choice;
mod found;
mod presets;

pub use choice::first_line;
pub use choice::{Choice, ChoiceError, Counters};
pub use found::{Found, Histogram, LatencyError, Unit};
pub use presets::{PRESETS, Preset};

use self::candidate::Candidate;
use crate::api::checks::Origin;
use crate::metrics::counting::{Pods, Role, Series, escaped};

/// No verdict can be given, and why. Each is one sentence for an Event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotFound {
    #[error("Prometheus has no series of {primary}'s pods: is it scraping them?")]
    NotScraped { primary: String },
    #[error(
        "found no request counter that is known on {primary}'s pods (some appear with the first request); else name it in canary.metrics, as in {EXAMPLE}"
    )]
    NothingKnown { primary: String },
    #[error(
        "found {metric} on {primary}'s pods, but none of its labels says whether a request failed; name the counters in canary.metrics, as in {EXAMPLE}"
    )]
    NoOutcome { primary: String, metric: String },
    #[error("{metric} of {primary}'s pods has counted no request yet")]
    NoRequest { primary: String, metric: String },
    #[error("canary.metrics asks for {wanted}, but {primary}'s pods have no such series")]
    NotThere { primary: String, wanted: String },
    #[error(
        "{proxy} counts for a whole Service and can't tell the canary's pod from {primary}'s; name a counter of the pods themselves in canary.metrics, as in {EXAMPLE}"
    )]
    NoPods { primary: String, proxy: &'static str },
    #[error("{first} and {second} disagree on {primary}'s pods; set canary.metrics to {choices}")]
    Ambiguous { primary: String, first: String, second: String, choices: String },
}

const EXAMPLE: &str = "{requests: my_requests_total, errors: 'my_requests_total{code=~\"5..\"}'}";

/// The metrics to ask for, as alternatives of a regular expression over `__name__`. `up` tells pods without traffic from pods that
/// nobody scrapes.
pub fn wanted(choice: &Choice, latency: bool) -> Vec<String> {
    let mut names = vec!["up".to_owned()];
    match choice {
        Choice::Auto => PRESETS.iter().for_each(|preset| preset.names(latency, &mut names)),
        Choice::Preset(preset) => preset.names(latency, &mut names),
        Choice::Counters(counters) => {
            names.extend([escaped(counters.requests.metric()), escaped(counters.errors.metric())]);
            names.extend(counters.latency.iter().filter(|_| latency).map(|selector| escaped(selector.metric())));
        }
    }
    names.sort();
    names.dedup();
    names
}

/// Judge what is there. `series` hold the last sample of each series that `wanted` named; `primary` is the name of the Deployment, for the
/// sentences.
pub fn recognise(choice: &Choice, series: &[Series], pods: &Pods, primary: &str) -> Result<Found, NotFound> {
    let of = |wanted: Role| recognise_of(wanted, choice, series, pods, primary);
    of(Role::Primary).or_else(|nothing| match nothing {
        NotFound::Ambiguous { .. } | NotFound::NoOutcome { .. } | NotFound::NoPods { .. } => Err(nothing),
        _ => of(Role::Canary).map_err(|_| nothing),
    })
}

fn recognise_of(wanted: Role, choice: &Choice, series: &[Series], pods: &Pods, primary: &str) -> Result<Found, NotFound> {
    let own: Vec<&Series> = series.iter().filter(|one| pods.identify(&one.labels).is_some_and(|(role, _)| role == wanted)).collect();
    let is_of_proxy = |preset: &'static Preset| !candidate::of_preset(preset, &own).iter().any(Candidate::is_usable);
    if let Choice::Preset(preset) = choice
        && preset.is_a_proxy()
        && is_of_proxy(preset)
    {
        return Err(NotFound::NoPods { primary: primary.to_owned(), proxy: preset.name });
    }
    // Who named the counters of another source gets the names back.
    if own.is_empty() && choice.origin() == Origin::Prometheus {
        return Err(NotFound::NotScraped { primary: primary.to_owned() });
    }
    let candidates = match choice {
        Choice::Counters(counters) => {
            let not_there = || NotFound::NotThere { primary: primary.to_owned(), wanted: counters.requests.text().to_owned() };
            return candidate::explicit(counters, &own, pods).ok_or_else(not_there);
        }
        Choice::Preset(preset) => candidate::of_preset(preset, &own),
        Choice::Auto => PRESETS.iter().flat_map(|preset| candidate::of_preset(preset, &own)).collect(),
    };
    let (usable, mute): (Vec<Candidate<'_>>, Vec<Candidate<'_>>) = candidates.into_iter().partition(Candidate::is_usable);
    if usable.is_empty() {
        let metric = |candidate: &Candidate<'_>| (primary.to_owned(), candidate.metric.clone());
        let busy = mute.iter().find(|candidate| candidate.requests > 0.0).map(metric);
        return Err(match (busy, mute.first().map(metric), choice) {
            (Some((primary, metric)), _, _) => NotFound::NoOutcome { primary, metric },
            // Labels may come with the first request.
            (None, Some((primary, metric)), _) => NotFound::NoRequest { primary, metric },
            (None, None, Choice::Preset(preset)) => {
                NotFound::NotThere { primary: primary.to_owned(), wanted: format!("the preset {}", preset.name) }
            }
            (None, None, _) => NotFound::NothingKnown { primary: primary.to_owned() },
        });
    }
    // A counter without traffic can't be the one that counts the traffic.
    let busy: Vec<&Candidate<'_>> = usable.iter().filter(|candidate| candidate.requests > 0.0).collect();
    let candidates = if busy.is_empty() { usable.iter().collect() } else { busy };
    let Some((first, others)) = candidates.split_first() else {
        return Err(NotFound::NothingKnown { primary: primary.to_owned() });
    };
    // Asked for by name, a preset's first family is what was asked for.
    if let (Choice::Auto, Some(other)) = (choice, others.iter().find(|other| !first.agrees_with(other))) {
        return Err(NotFound::Ambiguous {
            primary: primary.to_owned(),
            first: first.summary(),
            second: other.summary(),
            choices: format!("{} or {}", first.spelling(), other.spelling()),
        });
    }
    Ok(first.found(&own, pods))
}

#[cfg(test)]
mod tests;

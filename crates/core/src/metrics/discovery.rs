//! Which counters to read: recognised from the series that the primary's pods really have, or said by the user in `canary.metrics`.
//! Where the primary's have none, since it never came to serve, the canary's own count: the way to repair it must not be shut.
//!
//! Pure: it says which metrics to ask for (`wanted`) and judges the answer (`recognise`). It never guesses: where two counters disagree,
//! or none is known, it says so in one sentence that names the way out.

mod candidate;
mod found;
mod newcomers;
mod presets;

pub use found::{Found, Histogram, LatencyError, Unit};
pub use newcomers::{newcomers, shown};
pub use presets::{PRESETS, Preset, kept_labels};

use std::collections::BTreeSet;

use self::candidate::Candidate;
pub use crate::api::choice::{Choice, ChoiceError, Counters, MOST_COUNTERS};
use crate::api::origin::Origin;
use crate::metrics::counting::{PodLabel, Pods, Role, Selector, Series, escaped};

/// On series that tell what was counted an hour ago.
pub const AGO_LABEL: &str = "coalmine_ago";
/// How long ago that is.
pub const AGO: &str = "1h";
/// A counter with fewer requests of the primary in the past hour says nothing.
const BUSY: f64 = 20.0;

/// No verdict can be given, and why. Each is one sentence for an Event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotFound {
    #[error("{} no series of {primary}'s pods: is it scraping them?", origin.has())]
    NotScraped { origin: Origin, primary: String },
    /// The source was asked, and does not answer such a question: another may.
    #[error("{words}")]
    Refused { words: String },
    #[error("found no metrics page of {primary}'s pods: {tried}")]
    NoPage {
        primary: String,
        /// What was tried, what came of it, and what would help.
        tried: String,
        /// Somebody may be there who doesn't answer.
        is_silent: bool,
    },
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
    #[error(
        "found only {metric} on {primary}'s pods, which counts what they ask of others by its name; to read it: canary.metrics: {spelling}"
    )]
    OnlyOutbound { primary: String, metric: String, spelling: String },
    #[error("canary.metrics asks for {wanted}, but {} no such series of {primary}'s pods", origin.has())]
    NotThere { origin: Origin, primary: String, wanted: String },
    #[error(
        "{proxy} counts for a whole Service and can't tell the canary's pod from {primary}'s; name a counter of the pods themselves in canary.metrics, as in {EXAMPLE}"
    )]
    NoPods { primary: String, proxy: &'static str },
}

const EXAMPLE: &str = "{requests: my_requests_total, errors: 'my_requests_total{code=~\"5..\"}'}";

/// The counters that a run is judged by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chosen {
    /// Each must be read, and none may reject; the one that counts most of what `auto` prefers is the first. At least one.
    pub counters: Vec<Found>,
    /// Those that were idle, beside these: they may have traffic by the time of the trial. Nothing but failures is looked for in them.
    pub idle: Vec<Found>,
    /// Busy ones beyond [`MOST_COUNTERS`], by name.
    pub not_judged: Vec<String>,
}

/// The metrics to ask for, as alternatives of a regular expression over `__name__`. `up` tells pods without traffic from pods that
/// nobody scrapes.
pub fn wanted(choice: &Choice, latency: bool) -> Vec<String> {
    let mut names = vec!["up".to_owned()];
    for part in choice.parts() {
        match part {
            Choice::Auto => PRESETS.iter().for_each(|preset| preset.names(latency, &mut names)),
            Choice::Preset(name) => Preset::named(name).into_iter().for_each(|preset| preset.names(latency, &mut names)),
            Choice::Counters(counters) => {
                names.extend([escaped(counters.requests.metric()), escaped(counters.errors.metric())]);
                names.extend(counters.latency.iter().filter(|_| latency).map(|selector| escaped(selector.metric())));
            }
            // A list holds no list.
            Choice::Nothing | Choice::Several(_) => {}
        }
    }
    names.sort();
    names.dedup();
    names
}

/// The labels that tell series apart for what is wanted; of all others series may be summed up.
pub fn labels(choice: &Choice) -> BTreeSet<String> {
    let mut labels = presets::labels();
    for part in choice.parts() {
        let Choice::Counters(counters) = part else { continue };
        let selectors = [Some(&counters.requests), Some(&counters.errors), counters.latency.as_ref()];
        labels.extend(selectors.into_iter().flatten().flat_map(Selector::labels).map(str::to_owned));
    }
    labels.insert("le".to_owned());
    labels
}

/// Judge what is there. `series` hold the last sample of each series that `wanted` named, and perhaps that of an hour ago; `primary` is the name
/// of the Deployment, for the sentences.
pub fn choose(choice: &Choice, origin: Origin, series: &[Series], pods: &Pods, primary: &str) -> Result<Chosen, NotFound> {
    let of = |wanted: Role| {
        let of_role = |one: &&Series| pods.identify(&one.labels).is_some_and(|(role, _)| role == wanted);
        let (past, own) = series.iter().filter(of_role).partition(|one| !one.label(AGO_LABEL).is_empty());
        Discovery { origin, own, past, pods, primary }.choose(choice)
    };
    of(Role::Primary).or_else(|nothing| match nothing {
        NotFound::NoOutcome { .. } | NotFound::NoPods { .. } => Err(nothing),
        _ => of(Role::Canary).map_err(|_| nothing),
    })
}

/// The first of those that [`choose`] chooses.
pub fn recognise(choice: &Choice, series: &[Series], pods: &Pods, primary: &str) -> Result<Found, NotFound> {
    let mut counters = choose(choice, choice.origin().unwrap_or_default(), series, pods, primary)?.counters;
    if counters.is_empty() { Err(NotFound::NothingKnown { primary: primary.to_owned() }) } else { Ok(counters.remove(0)) }
}

/// What is there of one side.
struct Discovery<'a> {
    origin: Origin,
    own: Vec<&'a Series>,
    /// As it was an hour ago.
    past: Vec<&'a Series>,
    pods: &'a Pods,
    primary: &'a str,
}

impl<'a> Discovery<'a> {
    fn choose(&self, choice: &Choice) -> Result<Chosen, NotFound> {
        let origin = self.origin;
        // Where nothing is discovered, whoever named the counters gets the names back.
        let is_named = |part: &Choice| matches!(part, Choice::Counters(_)) && !origin.abilities().discovery;
        if self.own.is_empty() && !choice.parts().iter().all(|part| is_named(part) || Self::is_a_proxy(part)) {
            return Err(NotFound::NotScraped { origin, primary: self.primary.to_owned() });
        }
        let mut chosen = Chosen::default();
        for part in choice.parts() {
            let mut one = self.part(part)?;
            chosen.counters.append(&mut one.counters);
            chosen.idle.append(&mut one.idle);
            chosen.not_judged.append(&mut one.not_judged);
        }
        self.name_pods_alike(&mut chosen);
        let beyond = chosen.counters.split_off(chosen.counters.len().min(MOST_COUNTERS));
        chosen.not_judged.extend(beyond.iter().map(Found::description));
        chosen.idle.truncate(MOST_COUNTERS - chosen.counters.len());
        Ok(chosen)
    }

    /// One question has one label for pods: one that all the counters have, if there is such a label. What the others count can't be asked for then, and
    /// is told.
    fn name_pods_alike(&self, chosen: &mut Chosen) {
        let names = |label: PodLabel, found: &Found| self.names(label, found);
        let Some(first) = chosen.counters.first().map(|found| found.pod_label) else { return };
        let is_all = |label: &PodLabel| chosen.counters.iter().all(|found| names(*label, found));
        let label = std::iter::once(first).chain(PodLabel::ALL).find(is_all).unwrap_or(first);
        let (judged, others) =
            std::mem::take(&mut chosen.counters).into_iter().partition(|found| found.pod_label == first || names(label, found));
        let others: Vec<Found> = others;
        chosen.counters = judged;
        chosen.idle.retain(|found| names(label, found));
        chosen.counters.iter_mut().chain(&mut chosen.idle).for_each(|found| found.pod_label = label);
        chosen
            .not_judged
            .extend(others.iter().map(|found| format!("{}, whose pods the label {} names", found.description(), found.pod_label.name())));
    }

    /// Whether this label names the pods of all that a counter reads.
    fn names(&self, label: PodLabel, found: &Found) -> bool {
        let mut series = self.own.iter().filter(|one| !found.reading.weigh(&one.labels).is_nothing());
        series.all(|one| self.pods.identify_by(label, &one.labels).is_some())
    }

    fn part(&self, choice: &Choice) -> Result<Chosen, NotFound> {
        let origin = self.origin;
        let primary = || self.primary.to_owned();
        let candidates: Vec<Candidate<'a>> = match choice {
            Choice::Counters(counters) => {
                let found = candidate::explicit(counters, &self.own, self.pods);
                let wanted = || counters.requests.text().to_owned();
                let found = found.ok_or_else(|| NotFound::NotThere { origin, primary: primary(), wanted: wanted() })?;
                return Ok(Chosen { counters: vec![found], ..Chosen::default() });
            }
            Choice::Preset(name) => self.of_presets(Preset::named(name).as_slice()),
            Choice::Auto => self.of_presets(PRESETS.iter().collect::<Vec<_>>().as_slice()),
            Choice::Nothing | Choice::Several(_) => Vec::new(),
        };
        let (usable, mute): (Vec<Candidate<'_>>, Vec<Candidate<'_>>) = candidates.into_iter().partition(Candidate::is_usable);
        // A library's names for what it asks of others end like those for what it is asked.
        let (outbound, mut usable): (Vec<_>, Vec<_>) = usable.into_iter().partition(|one| *choice == Choice::Auto && one.is_outbound());
        if usable.iter().any(|one| !one.is_a_last_resort()) {
            usable.retain(|one| !one.is_a_last_resort());
        }
        if let Choice::Preset(name) = choice
            && Self::is_a_proxy(choice)
            && usable.is_empty()
        {
            return Err(NotFound::NoPods { primary: primary(), proxy: name });
        }
        if usable.is_empty() {
            let metric = |candidate: &Candidate<'_>| candidate.metric.clone();
            let busy = mute.iter().find(|candidate| candidate.requests > 0.0).map(metric);
            return Err(match (busy, mute.first().map(metric), choice, outbound.first()) {
                (Some(metric), _, _, _) => NotFound::NoOutcome { primary: primary(), metric },
                // Labels may come with the first request.
                (None, Some(metric), _, _) => NotFound::NoRequest { primary: primary(), metric },
                (None, None, Choice::Preset(name), _) => {
                    NotFound::NotThere { origin, primary: primary(), wanted: format!("the preset {name}") }
                }
                (None, None, _, Some(one)) => {
                    NotFound::OnlyOutbound { primary: primary(), metric: one.metric.clone(), spelling: one.spelling() }
                }
                (None, None, _, None) => NotFound::NothingKnown { primary: primary() },
            });
        }
        Ok(self.busiest(usable, choice))
    }

    /// Every busy one that isn't a duplicate; where all are idle, the one that counted most.
    fn busiest(&self, usable: Vec<Candidate<'_>>, choice: &Choice) -> Chosen {
        let usable = without_duplicates(usable);
        let mut counters: Vec<&Candidate<'_>> = usable.iter().filter(|one| one.recent >= BUSY).collect();
        if counters.is_empty() {
            // Of as many the one that is preferred.
            counters.extend(usable.iter().rev().max_by(|one, other| one.requests.total_cmp(&other.requests)));
        }
        // Asked for by name, a preset's first family is what was asked for.
        if matches!(choice, Choice::Preset(_)) {
            let first = counters.first().map(|first| first.metric.clone());
            counters.retain(|one| Some(&one.metric) == first.as_ref());
        }
        let mut by_traffic: Vec<f64> = counters.iter().map(|one| one.recent).collect();
        by_traffic.sort_by(|one, other| other.total_cmp(one));
        let least = by_traffic.get(MOST_COUNTERS - 1).copied().unwrap_or(f64::NEG_INFINITY);
        let (judged, beyond): (Vec<&Candidate<'_>>, Vec<&Candidate<'_>>) = counters.into_iter().partition(|one| one.recent >= least);
        let found = |one: &Candidate<'_>| one.found(&self.own, self.pods);
        let is_judged = |one: &Candidate<'_>| judged.iter().any(|other| std::ptr::eq(*other, one));
        let is_idle = |one: &&Candidate<'_>| *choice == Choice::Auto && one.recent < BUSY && !is_judged(one);
        let idle = usable.iter().filter(is_idle).map(found).collect();
        let not_judged = beyond.iter().map(|one| one.name()).collect();
        Chosen { counters: judged.iter().map(|one| found(one)).collect(), idle, not_judged }
    }

    fn of_presets(&self, presets: &[&'static Preset]) -> Vec<Candidate<'a>> {
        presets.iter().flat_map(|preset| candidate::of_preset(preset, &self.own, &self.past, self.pods)).collect()
    }

    fn is_a_proxy(choice: &Choice) -> bool {
        matches!(choice, Choice::Preset(name) if Preset::named(name).is_some_and(Preset::is_a_proxy))
    }
}

/// The number of samples beside a counter, in a histogram of the same library, counts the same requests; so do two spellings of one library's.
fn without_duplicates(usable: Vec<Candidate<'_>>) -> Vec<Candidate<'_>> {
    let mut kept: Vec<Candidate<'_>> = Vec::new();
    for one in usable {
        if !kept.iter().any(|other| other.has_the_same_requests(&one)) {
            kept.push(one);
        }
    }
    kept
}

#[cfg(test)]
mod tests;

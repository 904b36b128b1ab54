//! From raw counter samples to looks: requests and errors of canary and primary between one scrape of the canary and the next.
//!
//! A pure function of the samples since the run began, so a controller that starts anew counts the same; [`Record`] keeps them between two
//! answers. `rate()` and `increase()` are never used: they extrapolate, and they lose the first errors of a series that is born with them.
//! What is known of our own clock is how long ago counting began; when that was is believed only as far as clocks and stores agree.

mod anew;
mod codes;
mod groups;
mod history;
mod increments;
mod lacking;
mod names;
pub mod native;
pub mod page;
mod part;
mod pods;
mod reading;
mod record;
mod series;
mod shared;
mod start;
mod tally;
pub mod twins;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

pub use anew::Anew;
pub use codes::{Answer, Failure};
pub use groups::PROCESS_START;
pub use history::History;
pub use increments::Fall;
pub use lacking::Lacking;
pub use part::Part;
pub use pods::{Members, PodLabel, Pods, Role, Scope, bracketed, escaped, port};
pub use reading::{Reading, Weight};
pub use record::Record;
pub use series::{Labels, Sample, Series};
pub use shared::Shared;
pub use tally::{Detail, Tally};

use self::groups::Group;
use self::increments::Increment;
pub use crate::api::selector::{Selector, SelectorError};
use crate::statistics::{Counts, Look};

/// What is asked for beside the counters: whether a pod was scraped, and when its process began.
pub const FACTS: [&str; 2] = ["up", PROCESS_START];

/// On series of which it isn't known who wrote them.
pub const UNVERIFIED: &str = "coalmine_unverified";

/// When counting began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// How long ago counting began, in milliseconds of the asker's clock.
    pub elapsed: i64,
    /// When that was by the asker's clock.
    pub ready: Option<i64>,
    /// When that was by the source's clock, as an earlier count of the same run had it.
    pub begun: Option<i64>,
    /// How long from the first scrape on looks are marked as warming up, in milliseconds.
    pub warm_up: i64,
}

/// The counts of a run so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counted {
    /// One for each scrape of the canary.
    pub looks: Vec<Look>,
    /// When each look ended, in milliseconds of the source's clock.
    pub ends: Vec<i64>,
    /// What each look saw, pod by pod.
    pub details: Vec<Detail>,
    /// When counting began, by the source's clock.
    pub begun: Option<i64>,
    /// Learned from the newest samples, in milliseconds.
    pub scrape_interval: Option<i64>,
    pub canary: Counts,
    pub primary: Counts,
    /// The first scrape of the canary that counts.
    pub first_scrape: Option<i64>,
    pub last_scrape: Option<i64>,
    /// The newest sample of any pod.
    pub last_sample: Option<i64>,
    /// The newest scrape of the canary that failed.
    pub canary_failed: Option<i64>,
    /// The newest scrape of any pod of the primary.
    pub primary_scrape: Option<i64>,
    /// What the canary's series lack, so that they can't be read.
    pub lacking: Vec<Lacking>,
    /// As most of the canary's client errors are spelled.
    pub client_error: Option<String>,
    /// The same of its redirects.
    pub redirect: Option<String>,
    /// The canary's process began anew in its container.
    pub anew: Option<Anew>,
    /// What the canary's page says is what all pods' pages say.
    pub shared: Option<Shared>,
    /// Nobody knows whether the pods themselves said all of this.
    pub is_unverified: bool,
    /// What is read is no counter at all.
    pub no_counter: Option<Fall>,
    /// Pods of the primary that were seen since counting began.
    pub primary_pods: usize,
    /// Of a reading of what is slower than some bound: whether there is one.
    pub bound: Bound,
}

/// What a reading of latency could be held against.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Bound {
    #[default]
    NotAsked,
    /// As the bucket's `le` spells it.
    Known(String),
    /// The pods' histograms have no bound in common.
    Unknown,
}

impl Counted {
    /// How long the canary has been counted, in milliseconds: up to its last scrape.
    pub fn observed(&self) -> i64 {
        match (self.first_scrape, self.last_scrape) {
            (Some(first), Some(last)) => last.saturating_sub(first).saturating_add(self.scrape_interval.unwrap_or_default()),
            _ => 0,
        }
    }
}

/// Count. `series` are the answer to one query: the counters of the reading, and `up` where the source has it, which tells scrapes and
/// pods apart from silence.
pub fn count(series: &[Series], pods: &Pods, reading: &Reading, window: Window) -> Counted {
    let (reading, bound) = match reading.resolved(series, pods) {
        Some((reading, le)) => (reading, le.map_or(Bound::NotAsked, Bound::Known)),
        None => return Counted { bound: Bound::Unknown, ..Counted::default() },
    };
    let counted = Counted { bound, ..Counted::default() };
    let mut groups = groups::chosen(series, pods, &reading);
    let lacking = lacking::leave_out(&mut groups, &reading);
    let of = |role: Role| groups.iter().filter(move |group| group.role == role);
    let counted = Counted {
        lacking,
        is_unverified: series.iter().any(|one| !one.label(UNVERIFIED).is_empty()),
        canary_failed: of(Role::Canary).filter_map(|group| group.failures.last().copied()).max(),
        primary_scrape: of(Role::Primary).filter_map(Group::last).max(),
        shared: shared::registry(&groups),
        ..counted
    };
    let Some(last_sample) = groups.iter().filter_map(Group::last).max() else { return counted };
    let first_sample = groups.iter().filter_map(Group::first).min().unwrap_or(last_sample);
    let scrape_interval = groups::interval(&groups);
    let interval = scrape_interval.unwrap_or(0);
    let first_of_primary = of(Role::Primary).filter_map(Group::first).min();
    let start = start::of(window, last_sample, first_of_primary, interval);

    let scrapes = canary_scrapes(&groups, interval);
    let boundaries = boundaries(&scrapes, start, interval);
    let mut counted = Counted { begun: Some(start), scrape_interval, last_sample: Some(last_sample), ..counted };
    let [open, ends @ ..] = boundaries.as_slice() else { return counted };

    let primaries = groups.iter().filter(|group| group.role == Role::Primary).count();
    let mut looks: Vec<Detail> = vec![Detail::default(); ends.len()];
    let mut falls: Vec<(Role, Fall)> = Vec::new();
    let mut primary_pods = BTreeSet::new();
    for group in &groups {
        let born = group.role == Role::Canary || group.born_after(first_sample, scrape_interval);
        if group.role == Role::Primary && group.last().is_some_and(|last| last > *open) {
            primary_pods.insert(group.pod.as_str());
        }
        falls.extend(add(group, born, interval, &boundaries, &mut looks).map(|fall| (group.role, fall)));
    }
    counted.primary_pods = primary_pods.len();
    counted.client_error = commonest(of(Role::Canary), |labels| reading.client_error(labels));
    counted.redirect = commonest(of(Role::Canary), |labels| reading.redirect(labels));
    // What had its address before is no process of its own.
    counted.anew = ends.first().and_then(|first| anew::of_the_canary(&groups, *first));
    counted.no_counter = no_counter(falls, primaries);
    counted.first_scrape = ends.first().copied();
    counted.last_scrape = ends.last().copied();
    let warm = ends.first().map_or(i64::MIN, |first| first.saturating_add(window.warm_up.max(0)));
    let mut begin = *open;
    for (end, Detail { canary, primary }) in ends.iter().copied().zip(looks) {
        // Pods are summed before they are put right: two counters of one pod may be written apart in either order.
        let sides = [canary.sane(), Detail { primary: primary.clone(), ..Detail::default() }.primary_total().sane()];
        let [canary, total] = sides.map(Tally::counts);
        counted.canary.add(canary);
        counted.primary.add(total);
        let interval = Duration::from_millis(end.saturating_sub(begin).unsigned_abs());
        begin = end;
        counted.ends.push(end);
        counted.looks.push(Look { canary, primary: total, warm_up: window.warm_up > 0 && end <= warm, interval });
        counted.details.push(Detail { canary: sides[0], primary: primary.into_iter().map(Tally::sane).collect() });
    }
    counted
}

/// What the primary's pods counted between the first and the last of these samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Past {
    pub counts: Counts,
    pub pods: usize,
    pub over: Duration,
}

/// The same counting for a primary alone, for who asks before there is a canary: no verdict rests on it. Nothing where the reading can't be
/// read.
pub fn of_primary(series: &[Series], pods: &Pods, reading: &Reading) -> Option<Past> {
    let (reading, _) = reading.resolved(series, pods)?;
    let groups = groups::chosen(series, pods, &reading);
    let interval = groups::interval(&groups).unwrap_or(0);
    let mut tally = Tally::default();
    let mut past = Past::default();
    for group in groups.iter().filter(|group| group.role == Role::Primary) {
        for one in increments::of(group, false, interval) {
            tally.add(one.tally);
        }
        let over = group.last().zip(group.first()).map_or(0, |(last, first)| last.saturating_sub(first));
        past.over = past.over.max(Duration::from_millis(over.unsigned_abs()));
        past.pods += 1;
    }
    past.counts = tally.sane().counts();
    Some(past)
}

/// Adds what a group counted to the looks between these boundaries. What falls again and again is no counter.
fn add(group: &Group<'_>, born: bool, interval: i64, boundaries: &[i64], looks: &mut [Detail]) -> Option<Fall> {
    let [open, ends @ ..] = boundaries else { return None };
    // What came before the first look is the past; what came after the last belongs to a look that hasn't ended.
    let look = |at: i64| Some(ends.partition_point(|end| *end < at)).filter(|position| at > *open && *position < ends.len());
    // What was counted before the first scrape of an older pod is unknown, and not nothing.
    let is_unknown = |at: &&i64| group.role == Role::Primary && !born && group.first() == Some(**at);
    let times = group.times.iter().filter(|at| !is_unknown(at));
    let mut seen: BTreeMap<usize, Tally> = times.filter_map(|at| Some((look(*at)?, Tally::default()))).collect();
    let added = increments::added(group, born, interval);
    // Of the primary's pods the others speak for it; of the canary nobody does.
    if added.fall.is_some() && group.role == Role::Primary {
        return added.fall;
    }
    for Increment { at, tally } in added.increments {
        if let Some(position) = look(at) {
            seen.entry(position).or_default().add(tally);
        }
    }
    for (position, tally) in seen {
        match group.role {
            Role::Canary => looks[position].canary.add(tally),
            Role::Primary => looks[position].primary.push(tally),
        }
    }
    added.fall
}

/// By what the counters say in the end: it is said beside counts, and is none.
fn commonest<'a>(canary: impl Iterator<Item = &'a Group<'a>>, of: impl Fn(&'a Labels) -> Option<&'a str>) -> Option<String> {
    let mut by_code: BTreeMap<&str, f64> = BTreeMap::new();
    for counter in canary.flat_map(|group| &group.counters) {
        let last = counter.samples.last().map(|sample| sample.value).filter(|value| *value > 0.0);
        if let (Some(code), Some(value)) = (of(&counter.series.labels), last) {
            *by_code.entry(code).or_default() += value;
        }
    }
    by_code.into_iter().max_by(|(_, one), (_, other)| one.total_cmp(other)).map(|(code, _)| code.to_owned())
}

/// The series that shows that this is no counter: of the canary, or of half of the primary's pods.
fn no_counter(falls: Vec<(Role, Fall)>, primaries: usize) -> Option<Fall> {
    let of_primary = falls.iter().filter(|(role, _)| *role == Role::Primary).count();
    let speaks = |role: Role| role == Role::Canary || of_primary * 2 >= primaries;
    falls.into_iter().find(|(role, _)| speaks(*role)).map(|(_, fall)| fall)
}

/// When the canary was scraped. Samples of one scrape may carry slightly different times of their own.
fn canary_scrapes(groups: &[Group<'_>], interval: i64) -> Vec<i64> {
    let times: BTreeSet<i64> =
        groups.iter().filter(|group| group.role == Role::Canary).flat_map(|group| group.times.iter().copied()).collect();
    let near = interval / 5 * 2;
    let mut scrapes: Vec<i64> = Vec::new();
    for at in times {
        match scrapes.last_mut() {
            Some(last) if at.saturating_sub(*last) < near => *last = at,
            _ => scrapes.push(at),
        }
    }
    scrapes
}

/// The ends of the looks, and before them the time at which the first look opens: the canary's last scrape before counting began, or one
/// interval before its first. A canary that the source discovers late brings all that it has counted since it was Ready, and so must the others.
fn boundaries(scrapes: &[i64], start: i64, interval: i64) -> Vec<i64> {
    let first = scrapes.partition_point(|at| *at <= start);
    let Some(first_end) = scrapes.get(first) else { return Vec::new() };
    let open = match first.checked_sub(1) {
        Some(before) => scrapes[before],
        None => first_end.saturating_sub(interval.max(1)).min(start),
    };
    std::iter::once(open).chain(scrapes[first..].iter().copied()).collect()
}

#[cfg(test)]
mod tests;

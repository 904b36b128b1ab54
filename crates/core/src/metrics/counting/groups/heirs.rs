//! A pod's target may be known by other labels from some moment on: a job that is renamed, a monitor that comes in another's place, a shard that takes
//! over. What was scraped before and after is one registry, and is read as one.
//!
//! Only where one ends before the other begins, and what it counts goes on where it was. Says nothing of targets that stand beside each other.

use std::collections::{BTreeMap, BTreeSet};

use super::{A_LITTLE, Counter, Group, PodLabel, SCRAPER_LABELS, Signature, Targets, UNUSUAL};
use crate::metrics::counting::Labels;

/// A target that was away for longer may be of another process.
const LONGEST_GAP: i64 = 180_000;

/// Joins what belongs together of one pod.
pub(super) fn join(groups: &mut BTreeMap<Signature, Group<'_>>, targets: &Targets<'_>) {
    if groups.len() < 2 {
        return;
    }
    let mut by_time: Vec<(Option<i64>, Signature)> = groups.iter().map(|(signature, group)| (group.first(), signature.clone())).collect();
    by_time.sort();
    let Some(pod) = groups.values().next().map(|group| group.pod.clone()) else { return };
    let scrapers = scrapers(targets, &pod);
    for later in 1..by_time.len() {
        let earlier = by_time[..later].iter().rev().map(|(_, signature)| signature);
        let found =
            earlier.filter(|signature| goes_on(groups, signature, &by_time[later].1, &scrapers)).max_by_key(|one| groups[*one].last());
        let Some(before) = found.cloned().and_then(|signature| groups.remove(&signature)) else { continue };
        if let Some(group) = groups.get_mut(&by_time[later].1) {
            take_over(group, before, &scrapers);
        }
    }
    let seen_since = groups.values().filter_map(Group::first).min();
    for group in groups.values_mut() {
        group.seen_since = seen_since;
    }
}

/// Labels that are the scraper's, and may be others than before.
fn scrapers<'a>(targets: &Targets<'a>, pod: &str) -> BTreeSet<&'a str> {
    let mut names: BTreeSet<&'a str> = PodLabel::ALL.into_iter().map(PodLabel::name).chain(SCRAPER_LABELS).collect();
    for labels in targets.by_pod.get(pod).into_iter().flatten() {
        names.extend(labels.keys().map(String::as_str).filter(|name| *name != "__name__"));
    }
    names
}

fn own(counter: &Counter<'_>, scrapers: &BTreeSet<&str>) -> Labels {
    let labels = counter.series.labels.iter().filter(|(name, _)| !scrapers.contains(name.as_str()));
    labels.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn goes_on(groups: &BTreeMap<Signature, Group<'_>>, earlier: &Signature, later: &Signature, scrapers: &BTreeSet<&str>) -> bool {
    let (Some(earlier), Some(later)) = (groups.get(earlier), groups.get(later)) else { return false };
    let (Some(last), Some(first)) = (earlier.last(), later.first()) else { return false };
    let gap = first.saturating_sub(last);
    if gap <= 0 || gap > LONGEST_GAP {
        return false;
    }
    let before: BTreeMap<Labels, &Counter<'_>> = earlier.counters.iter().map(|counter| (own(counter, scrapers), counter)).collect();
    let pairs = later.counters.iter().filter_map(|counter| Some((*before.get(&own(counter, scrapers))?, counter)));
    let mut pairs = pairs.filter(|(_, counter)| counter.weight.requests > 0.0).peekable();
    pairs.peek().is_some() && pairs.all(|(before, after)| is_continued(before, after))
}

/// Whether the second says what the first would say by then.
fn is_continued(before: &Counter<'_>, after: &Counter<'_>) -> bool {
    let (Some(begin), Some(end), Some(next)) = (before.samples.first(), before.samples.last(), after.samples.first()) else { return true };
    let time = |from: i64, to: i64| to.saturating_sub(from).max(1) as f64;
    let rate = (end.value - begin.value).max(0.0) / time(begin.at, end.at);
    let added = next.value - end.value;
    added >= 0.0 && added <= A_LITTLE + UNUSUAL * rate * time(end.at, next.at)
}

fn take_over<'a>(group: &mut Group<'a>, before: Group<'a>, scrapers: &BTreeSet<&str>) {
    group.times.extend(before.times);
    group.failures.extend(before.failures);
    group.starts.extend(before.starts);
    let mut left: BTreeMap<Labels, Counter<'a>> = before.counters.into_iter().map(|counter| (own(&counter, scrapers), counter)).collect();
    for counter in &mut group.counters {
        if let Some(mut earlier) = left.remove(&own(counter, scrapers)) {
            earlier.samples.append(&mut counter.samples);
            counter.samples = earlier.samples;
        }
    }
    group.counters.extend(left.into_values());
}

//! Counters of the canary that no pod of the primary had shown when the run's were chosen: of a server that the new version adds, or of one that had
//! never been asked. All that goes through them could fail, and nothing else would tell. Pure.

use std::collections::BTreeSet;

use super::candidate::Candidate;
use super::{Discovery, Found, PRESETS};
use crate::api::origin::Origin;
use crate::metrics::counting::{PodLabel, Pods, Role, Series};

/// The names of the series that the primary's pods show.
pub fn shown(series: &[Series], pods: &Pods) -> BTreeSet<String> {
    of(Role::Primary, series, pods).map(|one| one.name().to_owned()).collect()
}

/// Those among `series` whose names the primary had not `shown`, which count other requests than the counters it had shown, and whose pods this label
/// names. Whoever names counters is not to be asked for others.
pub fn newcomers(series: &[Series], shown: &BTreeSet<String>, label: PodLabel, pods: &Pods) -> Vec<Found> {
    let own: Vec<&Series> = of(Role::Canary, series, pods).collect();
    let discovery = Discovery { origin: Origin::default(), own, past: Vec::new(), pods, primary: "" };
    let all = discovery.of_presets(&PRESETS.iter().collect::<Vec<_>>());
    let (known, new): (Vec<Candidate<'_>>, Vec<Candidate<'_>>) = all.into_iter().partition(|one| shown.contains(&one.metric));
    let counts_others =
        |one: &Candidate<'_>| !known.iter().any(|other| other.has_the_same_requests(one) || one.has_the_same_requests(other));
    let speaks = |one: &Candidate<'_>| one.is_usable() && one.requests > 0.0 && !one.is_outbound() && !one.is_a_last_resort();
    let new = super::without_duplicates(new.into_iter().filter(|one| speaks(one) && counts_others(one)).collect());
    let found = new.iter().map(|one| one.found(&discovery.own, pods)).filter(|found| discovery.names(label, found));
    found.map(|found| Found { pod_label: label, ..found }).collect()
}

fn of<'a>(wanted: Role, series: &'a [Series], pods: &'a Pods) -> impl Iterator<Item = &'a Series> {
    series.iter().filter(move |one| pods.identify(&one.labels).is_some_and(|(role, _)| role == wanted))
}

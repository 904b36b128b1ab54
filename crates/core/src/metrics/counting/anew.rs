//! Whether the canary's process ended and was started again while its container went on, as under a supervisor. Kubernetes doesn't show it.

use super::Role;
use super::groups::Group;
use super::increments::starts;

/// How often, and when that was seen last, in milliseconds of the source's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anew {
    pub times: usize,
    pub last: i64,
}

/// Since that moment. Where half of the primary's pods do the same, it is what such pods do.
pub(super) fn of_the_canary(groups: &[Group<'_>], since: i64) -> Option<Anew> {
    let of = |wanted: Role| groups.iter().filter(move |group| group.role == wanted).map(move |group| times(group, since));
    let last = of(Role::Canary).max_by_key(Vec::len).filter(|times| !times.is_empty())?;
    let (pods, alike) = of(Role::Primary).fold((0, 0), |(pods, alike), times| (pods + 1, alike + usize::from(!times.is_empty())));
    let is_usual = alike > 0 && alike * 2 >= pods;
    last.last().filter(|_| !is_usual).map(|at| Anew { times: last.len(), last: *at })
}

fn times(group: &Group<'_>, since: i64) -> Vec<i64> {
    let starts: Vec<(i64, f64)> = starts(group).into_iter().collect();
    let changes = starts.windows(2).filter(|pair| pair[1].1 > pair[0].1 && pair[1].0 > since);
    changes.map(|pair| pair[1].0).collect()
}

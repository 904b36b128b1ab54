//! One registry that a process serves at two ports is one counter, and must not be judged twice. Two counters that merely move together are
//! two: one of them may be the failing one. So the samples must follow each other as those of one counter do, and one process must have
//! written both.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::groups::{self, Group};
use super::{Labels, Pods, Reading, Role, Sample, Series};
use crate::statistics::{evenness, same_counter};

/// A start is told with fractions of a second, and two processes seldom begin within one of these.
pub const ONE_START: f64 = 0.005;
/// A counter that rose less often is no proof.
const FEWEST_RISES: usize = 4;

/// Which of two readings of one metric at two ports is superfluous, if they are of one registry. `is_one_container` says that the template
/// gives both ports to one container, for pages that don't tell when their process began.
pub fn superfluous(series: &[Series], pods: &Pods, readings: [&Reading; 2], is_one_container: bool) -> Option<usize> {
    let read: BTreeSet<&str> = readings.iter().flat_map(|reading| reading.labels()).collect();
    let [one, other] = readings.map(|reading| by_pod(groups::chosen(series, pods, reading)));
    let mut is_shown = false;
    for (pod, left) in &one {
        let Some(right) = other.get(pod) else { continue };
        if !are_of_one_process(left, right, is_one_container) {
            return None;
        }
        is_shown |= follow_each_other(left, right, &read)?;
    }
    let scrapes = |groups: &BTreeMap<_, Group<'_>>| groups.values().map(|group| group.times.len()).sum::<usize>();
    is_shown.then(|| usize::from(scrapes(&one) >= scrapes(&other)))
}

fn by_pod(groups: Vec<Group<'_>>) -> BTreeMap<(Role, String), Group<'_>> {
    groups.into_iter().map(|group| ((group.role, group.pod.clone()), group)).collect()
}

fn are_of_one_process(left: &Group<'_>, right: &Group<'_>, is_one_container: bool) -> bool {
    match [left, right].map(|group| group.starts.values().next_back()) {
        [Some(left), Some(right)] => (left - right).abs() < ONE_START,
        [None, None] => is_one_container,
        _ => false,
    }
}

/// Whether that is shown of one pod; nothing if the contrary is.
fn follow_each_other(left: &Group<'_>, right: &Group<'_>, read: &BTreeSet<&str>) -> Option<bool> {
    let [left, right] = [left, right].map(|group| {
        let counters = group.counters.iter().filter(|counter| rises(&counter.samples) >= FEWEST_RISES);
        counters.map(|counter| (own(&counter.series.labels), counter.samples.as_slice())).collect::<Vec<_>>()
    });
    // What tells the targets apart is one value for all of one and another for all of the other, and nothing that is read.
    let values =
        |side: &[(Labels, &[Sample])], name: &str| side.iter().map(|(labels, _)| labels.get(name).cloned()).collect::<BTreeSet<_>>();
    let is_of_targets = |name: &str| {
        let (left, right) = (values(&left, name), values(&right, name));
        !read.contains(name) && left.len() == 1 && right.len() == 1 && left != right
    };
    let names = left.iter().chain(&right).flat_map(|(labels, _)| labels.keys().map(String::as_str)).collect::<BTreeSet<&str>>();
    let shared: BTreeSet<&str> = names.into_iter().filter(|name| !is_of_targets(name)).collect();
    let keyed = |side: &[(Labels, &[Sample])]| -> BTreeMap<Labels, Vec<evenness::Sample>> {
        let of = |labels: &Labels| {
            labels.iter().filter(|(name, _)| shared.contains(name.as_str())).map(|(n, v)| (n.clone(), v.clone())).collect()
        };
        side.iter().map(|(labels, samples)| (of(labels), moments(samples))).collect()
    };
    let (left, right) = (keyed(&left), keyed(&right));
    if left.is_empty() && right.is_empty() {
        return Some(false);
    }
    let all = left.len() == right.len() && left.iter().all(|(labels, one)| right.get(labels).is_some_and(|other| same_counter(one, other)));
    all.then_some(true)
}

/// Without the address, which is another one at each port.
fn own(labels: &Labels) -> Labels {
    let mut labels = labels.clone();
    labels.remove("instance");
    labels
}

fn rises(samples: &[Sample]) -> usize {
    samples.windows(2).filter(|pair| pair[1].value > pair[0].value).count()
}

fn moments(samples: &[Sample]) -> Vec<evenness::Sample> {
    samples.iter().map(|sample| evenness::Sample { at: Duration::from_millis(sample.at.unsigned_abs()), value: sample.value }).collect()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::metrics::counting::{Failure, Members, PodLabel, Selector};

    const PORTS: [u16; 2] = [8080, 9090];

    fn reading(port: u16) -> Reading {
        let requests = Selector::of("http_requests_total").at_port(port);
        Reading::Labelled { requests, failures: vec![("code".to_owned(), Failure::HttpStatus)] }
    }

    fn series(name: &str, pod: usize, port: u8, labels: &[(&str, &str)], value: impl Fn(i64) -> f64) -> Series {
        let own = [
            ("__name__", name.to_owned()),
            ("pod", format!("app-6d5f-aaaa{pod}")),
            ("instance", format!("10.0.0.{pod}:{}", PORTS[usize::from(port)])),
        ];
        let named = own
            .into_iter()
            .chain([("endpoint", format!("port-{port}"))])
            .chain(labels.iter().map(|(name, value)| (*name, (*value).to_owned())));
        // Each target is scraped at its own moment.
        let times = (0..20).map(|n| 5000 * n + 1700 * i64::from(port));
        Series {
            labels: named.map(|(name, value)| (name.to_owned(), value)).collect(),
            samples: times.map(|at| Sample { at, value: value(at) }).collect(),
        }
    }

    /// Both ports of two pods; what the second serves is `lag` milliseconds of traffic beside the first, and its process began so much later.
    fn both(lag: i64, starts: Option<f64>) -> Vec<Series> {
        let mut all = Vec::new();
        for pod in 0..2 {
            for port in 0..2 {
                let lag = lag * i64::from(port);
                let of = |per_second: f64| move |at: i64| ((at + 100_000 + lag) as f64 * per_second / 1000.0).floor();
                all.push(series("up", pod, port, &[], |_| 1.0));
                all.push(series("http_requests_total", pod, port, &[("code", "200")], of(90.0)));
                all.push(series("http_requests_total", pod, port, &[("code", "500")], of(1.0)));
                all.push(series("http_requests_total", pod, port, &[("code", "404")], |_| 3.0));
                all.extend(
                    starts.map(|later| series("process_start_time_seconds", pod, port, &[], move |_| 1.79e9 + later * f64::from(port))),
                );
            }
        }
        all
    }

    fn told(series: &[Series], is_one_container: bool) -> Option<usize> {
        let names = ["app-6d5f-aaaa0", "app-6d5f-aaaa1"];
        let members =
            names.iter().enumerate().fold(Members::of_names(names), |members, (n, pod)| members.with_address(format!("10.0.0.{n}"), *pod));
        let pods = Pods { primary: members, ..Pods::default() };
        assert!(pods.identify_by(PodLabel::Instance, &series[0].labels).is_some());
        superfluous(series, &pods, [&reading(PORTS[0]), &reading(PORTS[1])], is_one_container)
    }

    #[rstest]
    #[case::one_process(both(0, Some(0.0)), false, Some(1))]
    #[case::one_container(both(0, None), true, Some(1))]
    #[case::two_containers_that_are_called_in_pairs(both(0, None), false, None)]
    #[case::two_processes_that_are_called_in_pairs(both(0, Some(0.4)), true, None)]
    #[case::two_registries_of_one_process(both(60_000, Some(0.0)), true, None)]
    // Less than the time from one target's scrape to the other's can't be told.
    #[case::a_little_apart(both(4000, Some(0.0)), true, None)]
    fn one_registry_is_known_by_its_samples_and_its_process(
        #[case] series: Vec<Series>,
        #[case] is_one_container: bool,
        #[case] expected: Option<usize>,
    ) {
        assert_eq!(told(&series, is_one_container), expected);
    }

    #[test]
    fn the_one_that_is_scraped_more_often_is_kept() {
        let mut series = both(0, Some(0.0));
        series.iter_mut().filter(|one| one.label("instance").ends_with("8080")).for_each(|one| one.samples.truncate(12));
        assert_eq!(told(&series, false), Some(0));
    }

    /// The second port may be of a listener that fails, or that nobody asks.
    #[test]
    fn what_one_of_them_alone_counts_makes_them_two() {
        let mut series = both(0, Some(0.0));
        series.retain(|one| !(one.label("code") == "500" && one.label("instance").ends_with("9090")));
        assert_eq!(told(&series, true), None);
        let mut series = both(0, Some(0.0));
        let idle = |one: &&mut Series| one.name() == "http_requests_total" && one.label("instance") == "10.0.0.1:9090";
        series.iter_mut().filter(idle).for_each(|one| one.samples.iter_mut().for_each(|sample| sample.value = 7.0));
        assert_eq!(told(&series, true), None);
        series.iter_mut().filter(|one| one.name() == "http_requests_total").for_each(|one| one.samples.truncate(3));
        assert_eq!(told(&series, true), None, "nothing is shown by three samples");
    }
}

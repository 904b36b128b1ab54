//! How evenly requests fell on the primary's pods in the past hour (statistics, sections 3.1 and 3.2).
//!
//! Where shares were even, a canary that gets nothing is at fault; where they never were, it may be chance.

use std::time::Duration;

/// A window is at least this long.
const WINDOW: Duration = Duration::from_mins(1);
/// And so long that an average pod has as many requests in it.
const REQUESTS_PER_WINDOW: f64 = 50.0;
/// But at most this part of the history.
const LONGEST_PART: u32 = 10;
/// Fewer tell nothing.
const FEWEST_WINDOWS: usize = 10;
const FEWEST_RATIOS: usize = 60;

/// Below this many requests a pod the median says nothing; nor where it is below this part of the mean.
const QUIET_POD: f64 = 5.0;
const FEW_SERVE: f64 = 10.0;

/// Known from at least ten windows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evenness {
    /// The smallest part of an equal share that any pod had in any window.
    pub smallest: f64,
    /// The squared coefficient of variation of the pods' requests, beyond chance.
    pub variation: f64,
}

/// A counter's value by then, of a pod.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// The source's clock, since any moment.
    pub at: Duration,
    pub value: f64,
}

/// `windows` hold the requests of each pod of the primary that was scraped before and after the window. Nothing if that is too little to tell.
pub fn evenness<W: AsRef<[f64]>>(windows: impl IntoIterator<Item = W>) -> Option<Evenness> {
    let (mut smallest, mut ratios) = (f64::INFINITY, 0);
    let mut variations = Vec::new();
    for window in windows {
        let requests: Vec<f64> = window.as_ref().iter().copied().filter(|requests| requests.is_finite() && *requests >= 0.0).collect();
        let pods = requests.len() as f64;
        let mean = requests.iter().sum::<f64>() / pods;
        if requests.len() < 2 || mean <= 0.0 {
            continue;
        }
        // Pearson's X² over its degrees of freedom: one by chance alone.
        let squares: f64 = requests.iter().map(|requests| (requests - mean).powi(2) / mean).sum();
        variations.push(((squares / (pods - 1.0) - 1.0) / mean).max(0.0));
        smallest = requests.iter().fold(smallest, |smallest, requests| smallest.min(requests / mean));
        ratios += requests.len();
    }
    if variations.len() < FEWEST_WINDOWS || ratios < FEWEST_RATIOS {
        return None;
    }
    variations.sort_by(f64::total_cmp);
    Some(Evenness { smallest, variation: variations[variations.len() / 2] })
}

/// The windows of a history between two moments: requests of each pod, its counter (that only grows) interpolated at the windows' bounds.
pub fn windows(pods: &[Vec<Sample>], from: Duration, to: Duration) -> Vec<Vec<f64>> {
    let history = to.saturating_sub(from);
    let Some(length) = window_length(pods, history) else { return Vec::new() };
    let mut windows = Vec::new();
    let mut begin = from;
    while begin + length <= to {
        let end = begin + length;
        windows.push(pods.iter().filter_map(|samples| Some((value_at(samples, end)? - value_at(samples, begin)?).max(0.0))).collect());
        begin = end;
    }
    windows
}

fn window_length(pods: &[Vec<Sample>], history: Duration) -> Option<Duration> {
    let rates = pods.iter().filter_map(|samples| {
        let (first, last) = (samples.first()?, samples.last()?);
        let seconds = last.at.saturating_sub(first.at).as_secs_f64();
        (seconds > 0.0).then(|| (last.value - first.value) / seconds)
    });
    let (pods, sum) = rates.fold((0.0, 0.0), |(pods, sum), rate| (pods + 1.0, sum + rate));
    let longest = history / LONGEST_PART;
    if sum <= 0.0 || longest.is_zero() {
        return None;
    }
    let enough = Duration::try_from_secs_f64(REQUESTS_PER_WINDOW * pods / sum).unwrap_or(longest);
    Some(enough.max(WINDOW).min(longest))
}

fn value_at(samples: &[Sample], at: Duration) -> Option<f64> {
    let after = samples.partition_point(|sample| sample.at < at);
    let next = samples.get(after)?;
    if next.at == at {
        return Some(next.value);
    }
    let before = samples.get(after.checked_sub(1)?)?;
    let part = at.saturating_sub(before.at).as_secs_f64() / next.at.saturating_sub(before.at).as_secs_f64();
    Some(before.value + part * (next.value - before.value))
}

/// Requests of an ordinary pod of the primary in a look, from those of each pod that was scraped in it.
///
/// The lower median, which a client that sticks to one pod doesn't move; the mean where pods are quiet, or where so few of them have
/// requests that the median says nothing.
pub fn typical(requests: &[f64]) -> f64 {
    if requests.is_empty() {
        return 0.0;
    }
    let mean = requests.iter().sum::<f64>() / requests.len() as f64;
    let mut sorted = requests.to_vec();
    sorted.sort_by(f64::total_cmp);
    let median = sorted[(sorted.len() - 1) / 2];
    if mean >= QUIET_POD && median >= mean / FEW_SERVE { median } else { mean }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A counter that grows by `rate` a second, scraped every 15 seconds from `first` on.
    fn counter(first: u64, last: u64, rate: f64) -> Vec<Sample> {
        let at = |seconds| Sample { at: Duration::from_secs(seconds), value: rate * (seconds - first) as f64 };
        (first..=last).step_by(15).map(at).collect()
    }

    #[test]
    fn an_hour_of_busy_pods_is_sixty_windows() {
        let pods = [counter(3, 3700, 10.0), counter(7, 3700, 20.0)];
        let windows = windows(&pods, Duration::from_secs(10), Duration::from_secs(3610));
        assert_eq!(windows.len(), 60);
        assert!(windows.iter().all(|window| (window[0] - 600.0).abs() < 1e-6 && (window[1] - 1200.0).abs() < 1e-6));
        let even = evenness(&windows).unwrap();
        assert!((even.smallest - 2.0 / 3.0).abs() < 1e-9, "{even:?}");
    }

    #[test]
    fn windows_of_quiet_pods_are_longer_but_there_are_still_ten() {
        let hour = |rate| windows(&[counter(0, 3600, rate), counter(0, 3600, rate)], Duration::ZERO, Duration::from_hours(1));
        assert_eq!(hour(0.5).len(), 36);
        assert_eq!(hour(0.01).len(), 10);
        assert!(hour(0.0).is_empty());
    }

    #[test]
    fn a_pod_counts_in_the_windows_that_it_was_scraped_around() {
        let pods = [counter(0, 3600, 10.0), counter(600, 1800, 10.0)];
        let windows = windows(&pods, Duration::ZERO, Duration::from_hours(1));
        let both = windows.iter().filter(|window| window.len() == 2).count();
        assert_eq!((windows.len(), both), (60, 20));
    }

    #[test]
    fn nothing_is_known_of_nothing() {
        assert_eq!(evenness(Vec::<Vec<f64>>::new()), None);
        assert!(windows(&[], Duration::ZERO, Duration::from_hours(1)).is_empty());
        assert!(windows(&[counter(0, 600, 10.0)], Duration::from_secs(5), Duration::from_secs(5)).is_empty());
    }
}

//! The dispersion of one reading, from the past hour of the primary (statistics, section 5).
//!
//! Between the pods where there are several, over time where there are one or two: clusters that one pod has can't be seen beside others. An
//! incident of ten minutes is left out, since it says nothing of an ordinary hour; regular bursts keep their whole dispersion, since without
//! it they would be rejections.

use super::super::Counts;
use super::Dispersion;

/// What a single incident may make of a dispersion at most.
const INCIDENT: f64 = 4.0;
/// It is one only if the dispersion without it is smaller by this factor.
const MORE_THAN_DOUBLE: f64 = 2.0;
/// Each of two windows in a row has at least this number.
const FEWEST_WINDOWS: usize = 6;
/// Fewer errors measure nothing.
const FEWEST_ERRORS: f64 = 20.0;
/// Then the comparison with few pods is taken to have this much.
const UNMEASURED: f64 = 2.0;
/// With this number of pods, or fewer, a pod is also compared with itself.
const FEW_PODS: usize = 2;
/// From here on a person is told.
const BURSTS: f64 = 3.0;

/// One window of five minutes: scrapes in order, each with one entry per pod, the pods always in the same order.
pub type Window = Vec<Vec<Counts>>;

/// What an hour says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    pub dispersion: Dispersion,
    /// Errors of the whole hour.
    pub errors: f64,
    /// The first of two windows in a row that were left out, wholly or in part.
    pub incident: Option<usize>,
}

/// How a dispersion is told to a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clustering {
    /// Too few errors to see whether they cluster.
    Unmeasured,
    Incident,
    Bursts,
    Ordinary,
}

/// Where the past is as young as the run, so few errors may all be of one burst.
const UNMEASURED_YET: f64 = 4.0;

impl Measured {
    /// For a past that began with the run: until there are enough errors, the comparison is taken to be blurred. From then on what shows the limit
    /// is as blurred as whole windows are: readings follow each other so closely that one burst is cut into several.
    #[must_use]
    pub fn of_a_young_past(self) -> Dispersion {
        let Dispersion { scrape, window } = self.dispersion;
        if self.errors < FEWEST_ERRORS {
            return Dispersion { scrape, window: window.max(UNMEASURED_YET) };
        }
        Dispersion { scrape: scrape.max(window), window }
    }

    pub fn clustering(&self) -> Clustering {
        if self.errors < FEWEST_ERRORS {
            Clustering::Unmeasured
        } else if self.incident.is_some() {
            Clustering::Incident
        } else if self.dispersion.scrape.max(self.dispersion.window) >= BURSTS {
            Clustering::Bursts
        } else {
            Clustering::Ordinary
        }
    }
}

/// Windows of five minutes of the past hour, in order.
pub fn measure(history: &[Window]) -> Measured {
    let hour = Hour::new(history);
    if hour.pods == 0 {
        return Measured { dispersion: Dispersion::default(), errors: 0.0, incident: None };
    }
    let everything: Vec<usize> = (0..hour.windows.len()).collect();
    let all = hour.dispersion(&everything);
    let worst = hour.worst_pair();
    let rest = worst.map_or(all, |worst| {
        let kept: Vec<usize> = everything.iter().copied().filter(|window| *window != worst && *window != worst + 1).collect();
        hour.dispersion(&kept)
    });
    let scrape = settle(rest.scrape, all.scrape);
    // What clusters within a scrape clusters within its window, and of scrapes there are many more.
    let mut window = settle(rest.window, all.window).max(scrape);
    let errors = hour.errors();
    if hour.pods <= FEW_PODS && errors < FEWEST_ERRORS {
        window = window.max(UNMEASURED);
    }
    let is_incident = all.scrape > scrape || all.window > window;
    Measured { dispersion: Dispersion { scrape, window }, errors, incident: worst.filter(|_| is_incident) }
}

fn settle(rest: f64, all: f64) -> f64 {
    if all <= MORE_THAN_DOUBLE * rest.max(1.0) { all.max(1.0) } else { rest.max(all.min(INCIDENT)) }
}

/// By window, scrape and pod; and the same summed over a window's scrapes.
struct Hour {
    windows: Vec<Window>,
    totals: Vec<Vec<Counts>>,
    pods: usize,
}

impl Hour {
    fn new(history: &[Window]) -> Self {
        let windows: Vec<Window> = history.iter().filter(|window| !window.is_empty()).cloned().collect();
        let pods = windows.iter().flatten().map(Vec::len).max().unwrap_or(0);
        let total = |window: &Window| (0..pods).map(|pod| sum(window.iter().filter_map(|scrape| scrape.get(pod)))).collect();
        let totals = windows.iter().map(total).collect();
        Self { windows, totals, pods }
    }

    fn errors(&self) -> f64 {
        sum(self.totals.iter().flatten()).errors
    }

    fn dispersion(&self, windows: &[usize]) -> Dispersion {
        let mut between = [Average::default(), Average::default()];
        let mut over_time = between;
        if self.pods > 1 {
            for &window in windows {
                between[1].add(Pearson::of(self.totals[window].iter().copied()));
                self.windows[window].iter().for_each(|scrape| between[0].add(Pearson::of(scrape.iter().copied())));
            }
        }
        if self.pods <= FEW_PODS {
            for pod in 0..self.pods {
                over_time[1].add(Pearson::of(windows.iter().map(|window| self.totals[*window][pod])));
                for &window in windows {
                    over_time[0].add(Pearson::of(self.windows[window].iter().filter_map(|scrape| scrape.get(pod).copied())));
                }
            }
        }
        let [scrape, window] = [0, 1].map(|of| between[of].value().max(over_time[of].value()));
        Dispersion { scrape, window }
    }

    /// The first of the two windows in a row in which the pods differ most, or few pods differ most from their own hour.
    fn worst_pair(&self) -> Option<usize> {
        if self.windows.len() < FEWEST_WINDOWS {
            return None;
        }
        let hours: Vec<Counts> = (0..self.pods).map(|pod| sum(self.totals.iter().map(|total| &total[pod]))).collect();
        let unevenness = |total: &Vec<Counts>| {
            let between = Pearson::of(total.iter().copied()).squares;
            if self.pods > FEW_PODS { between } else { between.max(from_own_hour(total, &hours)) }
        };
        let scores: Vec<f64> = self.totals.iter().map(unevenness).collect();
        let mut worst = (0, f64::NEG_INFINITY);
        for (first, pair) in scores.windows(2).enumerate() {
            let score = pair.iter().sum();
            if score > worst.1 {
                worst = (first, score);
            }
        }
        Some(worst.0)
    }
}

fn from_own_hour(window: &[Counts], hours: &[Counts]) -> f64 {
    let told = window.iter().zip(hours).filter(|(window, hour)| hour.errors > 0.0 && window.requests > 0.0);
    told.map(|(window, hour)| {
        let expected = hour.errors * window.requests / hour.requests;
        (window.errors - expected).powi(2) / expected
    })
    .sum()
}

fn sum<'a>(counts: impl Iterator<Item = &'a Counts>) -> Counts {
    let mut sum = Counts::default();
    counts.for_each(|counts| sum.add(counts.sane()));
    sum
}

/// Pearson's X² of cells that share a rate.
#[derive(Clone, Copy, Debug, Default)]
struct Pearson {
    squares: f64,
    degrees: f64,
    errors: f64,
}

impl Pearson {
    fn of(cells: impl Iterator<Item = Counts> + Clone) -> Self {
        let live = cells.map(Counts::sane).filter(|cell| cell.requests > 0.0);
        let (mut total, mut count) = (Counts::default(), 0.0);
        for cell in live.clone() {
            total.add(cell);
            count += 1.0;
        }
        if total.errors <= 0.0 || count < 2.0 {
            return Self::default();
        }
        let squares = live
            .map(|cell| {
                let expected = total.errors * cell.requests / total.requests;
                (cell.errors - expected).powi(2) / expected
            })
            .sum();
        Self { squares, degrees: count - 1.0, errors: total.errors }
    }
}

/// The larger of the plain and the error-weighted average: see [`super::dispersion()`].
#[derive(Clone, Copy, Debug, Default)]
struct Average {
    plain: super::Average,
    weighted: super::Average,
}

impl Average {
    fn add(&mut self, Pearson { squares, degrees, errors }: Pearson) {
        self.plain.add(squares, degrees, 1.0);
        self.weighted.add(squares, degrees, errors);
    }

    fn value(&self) -> f64 {
        let of = |average: &super::Average| average.known().unwrap_or(0.0);
        of(&self.plain).max(of(&self.weighted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(windows: usize, counts: impl Fn(usize, usize) -> Vec<(f64, f64)>) -> Measured {
        let scrape = |window, scrape| counts(window, scrape).into_iter().map(|(requests, errors)| Counts::new(requests, errors)).collect();
        let history: Vec<Window> = (0..windows).map(|window| (0..20).map(|index| scrape(window, index)).collect()).collect();
        measure(&history)
    }

    #[test]
    fn an_hour_of_even_errors_is_one() {
        let measured = hour(12, |_, _| vec![(100.0, 2.0); 10]);
        assert_eq!((measured.dispersion, measured.clustering()), (Dispersion::default(), Clustering::Ordinary));
    }

    #[test]
    fn one_pod_of_ten_that_failed_for_five_minutes_leaves_four_at_most() {
        let measured = hour(12, |window, scrape| {
            let mut pods = vec![(100.0, f64::from(u8::from(scrape % 2 == 0))); 10];
            if window == 5 {
                pods[3] = (100.0, 100.0);
            }
            pods
        });
        assert!(measured.dispersion.scrape <= INCIDENT && measured.dispersion.window <= INCIDENT, "{measured:?}");
        assert_eq!((measured.clustering(), measured.incident), (Clustering::Incident, Some(4)));
    }

    #[test]
    fn bursts_in_every_window_are_no_incident() {
        let measured = hour(12, |window, scrape| {
            let mut pods = vec![(100.0, 0.0); 10];
            pods[(window + scrape) % 10].1 = 12.0;
            pods
        });
        assert!(measured.dispersion.scrape > 10.0, "{measured:?}");
        assert_eq!(measured.clustering(), Clustering::Bursts);
    }

    #[test]
    fn one_pod_is_compared_with_itself() {
        let measured = hour(12, |_, scrape| vec![(100.0, if scrape % 10 == 0 { 10.0 } else { 0.0 })]);
        assert!(measured.dispersion.scrape > 5.0, "{measured:?}");
    }

    #[test]
    fn of_one_quiet_pod_too_little_is_known() {
        let measured = hour(12, |_, scrape| vec![(100.0, f64::from(u8::from(scrape == 0)))]);
        assert_eq!(measured.clustering(), Clustering::Unmeasured);
        assert!(measured.dispersion.window >= UNMEASURED);
        assert_eq!(hour(0, |_, _| vec![]).clustering(), Clustering::Unmeasured);
    }
}

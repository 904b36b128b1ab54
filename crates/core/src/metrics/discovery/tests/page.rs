//! Pages in the text format of metrics, as libraries write them, made into the series that a scrape of a pod leaves in Prometheus. The words
//! GOOD, BAD, ALL, FAST and HALF on a page stand for the traffic of that pod so far.

use crate::metrics::counting::page::sample;
use crate::metrics::counting::{Labels, Sample, Series};

/// What a pod has served at some time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Traffic {
    pub(super) good: u32,
    pub(super) bad: u32,
    /// How many of the good ones took longer than 250 ms.
    pub(super) slow: u32,
}

/// The series of one pod from its pages: `(milliseconds, what it had served by then)`.
pub(super) fn scraped(page: &str, pod: &str, scrapes: &[(i64, Traffic)]) -> Vec<Series> {
    let mut series: Vec<Series> = vec![];
    for (at, traffic) in scrapes {
        let filled = filled(page, *traffic);
        for (mut labels, value) in filled.lines().filter_map(sample).chain([(name("up"), 1.0)]) {
            labels.extend(
                [("pod", pod), ("namespace", "default"), ("job", "pods")].map(|(label, value)| (label.to_owned(), value.to_owned())),
            );
            let sample = Sample { at: *at, value };
            match series.iter_mut().find(|one| one.labels == labels) {
                Some(known) => known.samples.push(sample),
                None => series.push(Series { labels, samples: vec![sample] }),
            }
        }
    }
    series
}

fn filled(page: &str, Traffic { good, bad, slow }: Traffic) -> String {
    let fast = good - slow;
    // Where a page has one histogram for all, failures are quick.
    let all_fast = if page.contains(" ALL") { fast + bad } else { fast };
    let replaced = page.replace(" GOOD", &format!(" {good}")).replace(" ALL", &format!(" {}", good + bad));
    let replaced = replaced.replace(" FAST", &format!(" {all_fast}")).replace(" HALF", &format!(" {}", all_fast / 2));
    // A failure's counter is born with the first failure.
    let born = |line: &&str| bad > 0 || !line.ends_with(" BAD");
    replaced.lines().filter(born).map(|line| line.replace(" BAD", &format!(" {bad}")) + "\n").collect()
}

fn name(name: &str) -> Labels {
    Labels::from([("__name__".to_owned(), name.to_owned())])
}

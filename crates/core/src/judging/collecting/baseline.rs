//! What was read so far, as one short annotation on the canary: another replica that takes over goes on from there. What stands there and can't be
//! read, or is of another run, or of another version of Coalmine, is as if nothing stood there. Fewer moments are kept than were read; a counter's
//! increase from one to the next is whole all the same.

use std::{collections::BTreeSet, error::Error};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Collected;
use crate::metrics::counting::{Labels, Record, Sample, Series};
use crate::{names::digest, packed};

/// On the canary.
pub const ANNOTATION: &str = "coalmine.dev/baseline";

const VERSION: u8 = 1;
/// The longest annotation, in bytes. Where a run has so much to tell that a few moments are longer, it isn't kept.
const LONGEST: usize = 12 << 10;
const LARGEST_UNPACKED: u64 = 512 << 10;
const MOST_SERIES: usize = 400;
/// The number of moments.
const MOST: usize = 24;
const FEWEST: usize = 4;

#[derive(Serialize, Deserialize)]
struct Kept {
    version: u8,
    run: String,
    /// What was wanted of the pages, and by which words.
    of: String,
    began: [Option<Timestamp>; 2],
    /// The moments, in milliseconds.
    at: Vec<i64>,
    /// One value for each of them.
    series: Vec<(Labels, Vec<Option<f64>>)>,
}

impl Collected {
    /// `None` before the canary's page was read, and where it is too much.
    pub fn baseline(&self, run: &str) -> Option<String> {
        self.began[1].filter(|_| self.record.series().len() <= MOST_SERIES)?;
        let times: BTreeSet<i64> = self.record.series().iter().flat_map(|one| &one.samples).map(|sample| sample.at).collect();
        let mut at: Vec<i64> = times.into_iter().collect();
        let mut most = MOST;
        while most >= FEWEST {
            thin(&mut at, most);
            let text = self.kept(run, &at)?;
            if text.len() <= LONGEST {
                return Some(text);
            }
            most /= 2;
        }
        None
    }

    /// Goes on from what stands on the canary, before anything was read.
    pub fn restore(&mut self, text: &str, run: &str, now: Timestamp) {
        let Some(kept) = read(text).filter(|kept| kept.version == VERSION && kept.run == run && kept.of == self.wanted()) else { return };
        let is_past = |at: &i64| *at <= now.as_millisecond();
        if self.rounds > 0 || !kept.at.iter().all(is_past) || kept.at.len() > MOST {
            return;
        }
        let mut record = Record::default();
        record.add(
            kept.series
                .into_iter()
                .map(|(labels, values)| {
                    let samples = kept.at.iter().zip(values).filter_map(|(at, value)| Some(Sample { at: *at, value: value? }));
                    Series { labels, samples: samples.collect() }
                })
                .collect(),
        );
        (self.record, self.began) = (record, kept.began);
    }

    fn kept(&self, run: &str, at: &[i64]) -> Option<String> {
        let place = |one: &Series, at: &i64| one.samples.binary_search_by_key(at, |sample| sample.at);
        let value = |one: &Series, at: &i64| place(one, at).ok().map(|place| one.samples[place].value);
        let values = |one: &Series| (one.labels.clone(), at.iter().map(|at| value(one, at)).collect::<Vec<_>>());
        let series = self.record.series().iter().map(values).filter(|(_, values)| values.iter().any(Option::is_some)).collect();
        let kept = Kept { version: VERSION, run: run.to_owned(), of: self.wanted(), began: self.began, at: at.to_vec(), series };
        packed::pack(&serde_json::to_vec(&kept).ok()?).ok()
    }

    /// Labels that are left out, and series that are summed up, are others where this is another.
    fn wanted(&self) -> String {
        digest(&[format!("{:?}", self.all).as_bytes()], 8)
    }
}

fn read(text: &str) -> Option<Kept> {
    let text = Some(text).filter(|text| text.len() <= LONGEST)?;
    serde_json::from_slice(&packed::unpack::<Box<dyn Error>>(text, LARGEST_UNPACKED).ok()?).ok()
}

/// Takes away what lies closest to its neighbours, until no more than `most` are left. The first and the last stay.
fn thin(at: &mut Vec<i64>, most: usize) {
    while at.len() > most {
        let gap = |index: &usize| at[index + 1] - at[index - 1];
        let Some(closest) = (1..at.len() - 1).min_by_key(gap) else { return };
        at.remove(closest);
    }
}

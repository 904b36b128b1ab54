//! What a source has answered about one run so far, so that it need only be asked for what is new. Adding an answer twice changes nothing,
//! and what was counted once stays counted when the source forgets it.
//!
//! It is a memory and no more: counting reads it as it would read one answer to the whole question.

use super::{Labels, Sample, Series};

/// A series with more samples than this is thinned: as many looks tell no more.
const MOST_OF_ONE: usize = 1440;
/// All samples together: about a megabyte a run.
const MOST_OF_ALL: usize = 60_000;
/// What is as new as this keeps every sample.
const WHOLE: i64 = 600_000;

/// All samples of one run, by series.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// In order of their labels.
    series: Vec<Series>,
    /// Older samples are kept at this distance, in milliseconds.
    step: i64,
}

impl Record {
    pub fn series(&self) -> &[Series] {
        &self.series
    }

    /// When the newest sample was made, by the source's clock.
    pub fn newest(&self) -> Option<i64> {
        self.series.iter().filter_map(|one| one.samples.last()).map(|sample| sample.at).max()
    }

    /// Whether nothing can lie between what is known and this answer, which says all about some time up to now.
    pub fn meets(&self, answer: &[Series]) -> bool {
        let Some(newest) = self.newest() else { return false };
        answer.iter().flat_map(|one| &one.samples).any(|sample| sample.at <= newest)
    }

    /// Adds what an answer says; of two values for one time the later told one is believed.
    pub fn add(&mut self, answer: Vec<Series>) {
        for Series { labels, mut samples } in answer {
            samples.sort_by_key(|sample| sample.at);
            samples.dedup_by_key(|sample| sample.at);
            match self.position(&labels) {
                Ok(position) => merge(&mut self.series[position].samples, samples),
                Err(position) => self.series.insert(position, Series { labels, samples }),
            }
        }
        self.thin();
    }

    /// Forgets all other series.
    pub fn retain(&mut self, is_kept: impl Fn(&Series) -> bool) {
        self.series.retain(is_kept);
    }

    fn position(&self, labels: &Labels) -> Result<usize, usize> {
        self.series.binary_search_by(|one| one.labels.cmp(labels))
    }

    /// Bounds the memory of a long run, as a longer step would: for all series alike, so that both sides' samples stay beside each other.
    fn thin(&mut self) {
        let Some(whole_from) = self.newest().map(|newest| newest.saturating_sub(WHOLE)) else { return };
        if !self.is_larger_than(MOST_OF_ONE, MOST_OF_ALL) {
            return;
        }
        self.step = self.step.max(2000);
        loop {
            for one in &mut self.series {
                thin(&mut one.samples, self.step, whole_from);
            }
            // Some room, so that not every answer ends here. A step longer than any run leaves only what is new, and that is kept.
            if !self.is_larger_than(MOST_OF_ONE / 4 * 3, MOST_OF_ALL / 4 * 3) || self.step > i64::from(u32::MAX) {
                return;
            }
            self.step *= 2;
        }
    }

    fn is_larger_than(&self, one: usize, all: usize) -> bool {
        let lengths = || self.series.iter().map(|one| one.samples.len());
        lengths().any(|length| length > one) || lengths().sum::<usize>() > all
    }
}

/// Both in order of time.
fn merge(known: &mut Vec<Sample>, new: Vec<Sample>) {
    let Some(first) = new.first() else { return };
    let overlap = known.split_off(known.partition_point(|sample| sample.at < first.at));
    let mut old = overlap.into_iter().peekable();
    for sample in new {
        while let Some(earlier) = old.next_if(|earlier| earlier.at < sample.at) {
            known.push(earlier);
        }
        old.next_if(|same| same.at == sample.at);
        known.push(sample);
    }
    known.extend(old);
}

/// Keeps the last sample of each step, the very first one, and whatever lies beside a fall: a counter that is reset loses nothing.
fn thin(samples: &mut Vec<Sample>, step: i64, whole_from: i64) {
    let mut kept: Vec<Sample> = Vec::with_capacity(samples.len());
    for (position, sample) in samples.iter().enumerate() {
        let next = samples.get(position + 1);
        let ends_step = next.is_none_or(|next| next.at.div_euclid(step) != sample.at.div_euclid(step));
        let rises = |earlier: Option<&Sample>, later: Option<&Sample>| match (earlier, later) {
            (Some(earlier), Some(later)) => earlier.value <= later.value,
            _ => false,
        };
        let is_inside = rises(kept.last(), Some(sample)) && rises(Some(sample), next);
        if sample.at >= whole_from || ends_step || !is_inside {
            kept.push(*sample);
        }
    }
    kept.shrink_to_fit();
    *samples = kept;
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn series(name: &str, samples: &[(i64, f64)]) -> Series {
        let samples = samples.iter().map(|(at, value)| Sample { at: *at, value: *value }).collect();
        Series { labels: Labels::from([("__name__".to_owned(), name.to_owned())]), samples }
    }

    #[test]
    fn answers_that_overlap_become_one() {
        let mut record = Record::default();
        assert!(!record.meets(&[series("a", &[(1, 1.0)])]), "nothing is known yet");
        record.add(vec![series("b", &[(10, 1.0), (20, 2.0), (30, 3.0)])]);
        let late = vec![series("a", &[(5, 0.5)]), series("b", &[(20, 2.0), (25, 2.5), (30, 3.0), (40, 4.0)])];
        assert!(record.meets(&late));
        record.add(late.clone());
        let whole = [series("a", &[(5, 0.5)]), series("b", &[(10, 1.0), (20, 2.0), (25, 2.5), (30, 3.0), (40, 4.0)])];
        assert_eq!(record.series(), whole);
        record.add(late);
        assert_eq!(record.series(), whole, "the same again changes nothing");
        assert!(!record.meets(&[series("b", &[(50, 5.0)])]), "there may be something between 40 and 50");
        assert!(!record.meets(&[]));
        assert_eq!(record.newest(), Some(40));
    }

    #[test]
    fn a_long_run_is_kept_in_bounded_memory() {
        let mut record = Record::default();
        for second in (0..86_400).step_by(5) {
            let sample = [(second * 1000, second as f64)];
            record.add(vec![series("a", &sample), series("b", &sample)]);
            assert!(record.series().iter().all(|one| one.samples.len() <= MOST_OF_ONE));
        }
        let [a, b] = record.series() else { panic!("two series") };
        assert_eq!(a.samples, b.samples);
        let distance = |pair: &[Sample]| pair[1].at - pair[0].at;
        assert_eq!(a.samples.windows(2).map(distance).max(), Some(130_000), "no gap");
        assert!(a.samples.windows(2).rev().take(100).all(|pair| distance(pair) == 5000), "what is new is whole");
        assert_eq!((a.samples[0].value, a.samples.last().unwrap().value), (0.0, 86_395.0));
    }

    /// What the samples say was counted.
    fn total(samples: &[Sample]) -> f64 {
        let added = |pair: &[Sample]| if pair[1].value >= pair[0].value { pair[1].value - pair[0].value } else { pair[1].value };
        samples.windows(2).map(added).sum()
    }

    proptest! {
        /// In whichever pieces, in whichever order and how often answers come.
        #[test]
        fn pieces_are_the_whole(
            values in prop::collection::vec(0_u32..100, 1..60),
            pieces in prop::collection::vec((0_usize..60, 1_usize..30), 0..12),
        ) {
            let all: Vec<_> = values.iter().zip(0_i64..).map(|(value, at)| (at, f64::from(*value))).collect();
            let mut record = Record::default();
            for (start, length) in pieces.into_iter().chain((0..all.len()).step_by(7).map(|start| (start, 8))) {
                let end = (start + length).min(all.len());
                record.add(vec![series("a", all.get(start..end).unwrap_or_default())]);
            }
            prop_assert_eq!(record.series(), [series("a", &all)]);
        }

        #[test]
        fn thinning_loses_no_count(steps in prop::collection::vec((1_i64..9000, 0_u32..50, 0_u32..20), 1..200), step in 1_i64..100_000) {
            let (mut at, mut value) = (0, 0.0);
            let mut samples = Vec::new();
            for (later, more, restart) in steps {
                at += later;
                value = if restart == 0 { f64::from(more) } else { value + f64::from(more) };
                samples.push(Sample { at, value });
            }
            let (before, last) = (total(&samples), samples.last().copied());
            thin(&mut samples, step, at / 2);
            prop_assert!((total(&samples) - before).abs() < 0.5);
            prop_assert_eq!(samples.last().copied(), last);
        }
    }
}

//! What samples of a counter add: restarts, scrapers that overtake each other, registries per worker, series that come late
//! (statistics, section 9).

/// A fall of at most this multiple of the largest recent increment is two scrapers that overtake each other.
const SKEW: f64 = 2.0;
const RECENT: usize = 8;
/// More than one fall that nothing explains, and more than one in this many samples, is no counter.
const SAMPLES_PER_BREAK: usize = 50;
/// A late series adds as much, or this multiple of the pod's other requests in the look.
const LATE_BIRTH: f64 = 10.0;
const LATE_BIRTH_OF_OTHERS: f64 = 2.0;

/// What one more sample of a counter means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    Grew(f64),
    /// The process began anew, and has counted this since.
    Restarted(f64),
    /// A little less than before: two scrapers, or a page that was read late. Adds nothing.
    Skew,
    /// Fell without a known restart. Adds what was counted since, if it may have been one.
    Break(f64),
}

impl Step {
    pub fn adds(self) -> f64 {
        match self {
            Self::Grew(added) | Self::Restarted(added) | Self::Break(added) => added,
            Self::Skew => 0.0,
        }
    }
}

/// One counter of one process, sample by sample.
#[derive(Clone, Debug)]
pub struct HighWater {
    high: f64,
    start: Option<f64>,
    /// The newest increments.
    recent: [f64; RECENT],
    next: usize,
}

impl HighWater {
    /// `start` is when the process began, by any number that differs from process to process; nothing if it isn't known.
    pub fn new(value: f64, start: Option<f64>) -> Self {
        Self { high: value, start, recent: [0.0; RECENT], next: 0 }
    }

    pub fn push(&mut self, value: f64, start: Option<f64>) -> Step {
        let before = std::mem::replace(&mut self.start, start);
        let is_known = before.is_some() && start.is_some();
        if is_known && before != start {
            self.begin_anew(value);
            return Step::Restarted(value);
        }
        if value >= self.high {
            let added = value - self.high;
            self.recent[self.next % RECENT] = added;
            self.next += 1;
            self.high = value;
            return Step::Grew(added);
        }
        let largest = self.recent.iter().copied().fold(0.0, f64::max);
        if self.high - value <= SKEW * largest {
            return Step::Skew;
        }
        self.begin_anew(value);
        Step::Break(if is_known { 0.0 } else { value })
    }

    fn begin_anew(&mut self, value: f64) {
        *self = Self::new(value, self.start);
    }
}

/// Whether a series with this number of [`Step::Break`]s is a counter at all; else it is a registry per worker process, read in turn.
pub fn is_counter(breaks: usize, samples: usize) -> bool {
    breaks <= 1 || breaks * SAMPLES_PER_BREAK <= samples
}

/// What a series adds that appears on a pod which was there before. `others` are the pod's other requests in the look: what can't have come
/// with them is the past of a series that was away.
pub fn late_birth(value: f64, others: f64) -> f64 {
    if value <= LATE_BIRTH.max(LATE_BIRTH_OF_OTHERS * others) { value } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_process_that_grew_past_its_former_value_still_began_anew() {
        let mut counter = HighWater::new(20.0, Some(1.0));
        assert_eq!(counter.push(25.0, Some(2.0)), Step::Restarted(25.0));
    }

    #[test]
    fn a_start_that_becomes_known_is_no_restart() {
        let mut counter = HighWater::new(20.0, None);
        assert_eq!(counter.push(25.0, Some(2.0)), Step::Grew(5.0));
        assert_eq!(counter.push(30.0, None), Step::Grew(5.0));
    }

    #[test]
    fn workers_that_answer_in_turn_are_no_counter() {
        let mut counter = HighWater::new(1000.0, None);
        let steps = (0..40).map(|index| counter.push(if index % 2 == 0 { 400.0 + f64::from(index) } else { 100.0 }, None));
        let breaks = steps.filter(|step| matches!(step, Step::Break(_))).count();
        assert!(!is_counter(breaks, 41), "{breaks} breaks");
    }

    proptest! {
        #[test]
        fn a_counter_of_one_process_adds_what_it_counted(increments in prop::collection::vec(0.0..1e6_f64, 1..50)) {
            let (mut value, mut counter, mut added) = (5.0, HighWater::new(5.0, None), 0.0);
            for increment in &increments {
                value += increment;
                added += counter.push(value, None).adds();
            }
            prop_assert!((added - (value - 5.0)).abs() <= 1e-6 * value);
        }

        #[test]
        fn nothing_is_ever_taken_away(values in prop::collection::vec(0.0..1e6_f64, 1..50), starts in prop::collection::vec(prop::option::of(0..3_u8), 50)) {
            let start = |index: usize| starts[index].map(f64::from);
            let mut counter = HighWater::new(values[0], start(0));
            for (index, value) in values.iter().enumerate().skip(1) {
                prop_assert!(counter.push(*value, start(index)).adds() >= 0.0);
            }
        }
    }
}

//! Joins scrapes into the blocks that the test looks at.
//!
//! Those of a quiet service: at less than a few requests per scrape, frequent looks would cost half the power. And the first scrape at
//! which the primary fails with the two after it. A block closes by time, by the canary's requests or by the primary's errors, never by
//! the canary's errors, so the choice of where to look tells nothing.

use std::time::Duration;

use super::{Look, sequential::is_outage};

const LONGEST: Duration = Duration::from_secs(15);
const ENOUGH_REQUESTS: f64 = 3.0;
/// How many looks follow the one at which the primary began to fail, in the same block.
const AFTER_ONSET: u32 = 2;

/// Looks on their way to becoming blocks.
#[derive(Clone, Debug)]
pub struct Blocks {
    limit: f64,
    open: Option<Look>,
    /// The primary was failing in the block before, or has begun to in the open one.
    is_outage: bool,
    /// The number of further looks that go into the open block, whatever is in it already.
    to_join: u32,
}

impl Blocks {
    /// `limit` is the error rate above which the primary itself counts as failing.
    pub fn new(limit: f64) -> Self {
        Self { limit, open: None, is_outage: false, to_join: 0 }
    }

    /// The block that this look closes, if it does.
    pub fn push(&mut self, look: &Look) -> Option<Look> {
        let look = look.sane();
        let mut block = self.open.take().unwrap_or(Look { warm_up: look.warm_up, ..Look::default() });
        block.canary.add(look.canary);
        block.primary.add(look.primary);
        block.interval = block.interval.saturating_add(look.interval);
        // What came before the end of the warm-up must not count in the canary's favour; at most one block loses a few requests by it.
        block.warm_up |= look.warm_up;
        let is_full = block.interval >= LONGEST || block.canary.requests >= ENOUGH_REQUESTS;
        let was_outage = std::mem::replace(&mut self.is_outage, is_outage(block.primary, self.limit));
        // A look ends with the canary's scrape, and each pod of the primary was scraped somewhat earlier: at the onset of an outage that
        // both share, two looks in a row would show the canary up to twice as bad. What is late by a scrape is in with the next ones.
        let begins = self.is_outage && !was_outage;
        self.to_join = if begins { AFTER_ONSET } else { self.to_join.saturating_sub(1) };
        if is_full && self.to_join == 0 {
            return Some(block);
        }
        self.open = Some(block);
        None
    }

    /// The block that isn't full yet.
    pub fn open(&self) -> Option<&Look> {
        self.open.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Counts;
    use super::*;

    fn look(requests: f64) -> Look {
        Look { canary: Counts::new(requests, 0.0), primary: Counts::new(10.0, 1.0), warm_up: false, interval: Duration::from_secs(5) }
    }

    #[test]
    fn a_busy_service_is_looked_at_after_every_scrape() {
        let mut blocks = Blocks::new(0.2);
        assert_eq!(blocks.push(&look(450.0)), Some(look(450.0)));
        assert_eq!(blocks.open(), None);
    }

    #[test]
    fn a_quiet_service_is_looked_at_every_fifteen_seconds() {
        let mut blocks = Blocks::new(0.2);
        assert_eq!(blocks.push(&look(1.0)), None);
        assert_eq!(blocks.push(&look(0.0)), None);
        assert_eq!(blocks.open().map(|block| block.interval), Some(Duration::from_secs(10)));
        let block = blocks.push(&look(1.0)).unwrap();
        assert_eq!((block.canary, block.primary, block.interval), (Counts::new(2.0, 0.0), Counts::new(30.0, 3.0), Duration::from_secs(15)));
    }

    #[test]
    fn the_first_look_of_an_outage_is_joined_with_the_next_two() {
        let failing = |errors: f64| Look { primary: Counts::new(4500.0, errors), ..look(450.0) };
        let mut blocks = Blocks::new(0.01);
        assert_eq!(blocks.push(&failing(4.0)), Some(failing(4.0)));
        assert_eq!(blocks.push(&failing(2000.0)), None);
        assert_eq!(blocks.push(&failing(4500.0)), None);
        let joined = blocks.push(&failing(4500.0)).unwrap();
        assert_eq!((joined.canary.requests, joined.primary), (1350.0, Counts::new(13_500.0, 11_000.0)));
        assert_eq!(blocks.push(&failing(4500.0)), Some(failing(4500.0)), "only the first");
        assert_eq!(blocks.push(&failing(0.0)), Some(failing(0.0)));
        assert_eq!(blocks.push(&failing(2000.0)), None, "the next outage");
    }
}

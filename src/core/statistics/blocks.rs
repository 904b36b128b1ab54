//! Joins scrapes of a quiet service: at less than a few requests per scrape, frequent looks would cost half the power.
//!
//! A block closes by time or by the canary's requests, never by its errors, so the choice of where to look tells nothing.

use std::time::Duration;

use super::Look;

const LONGEST: Duration = Duration::from_secs(15);
const ENOUGH_REQUESTS: f64 = 3.0;

/// Looks on their way to becoming blocks.
#[derive(Clone, Debug, Default)]
pub struct Blocks {
    open: Option<Look>,
}

impl Blocks {
    /// The block that this look closes, if it does.
    pub fn push(&mut self, look: &Look) -> Option<Look> {
        let look = look.sane();
        let mut block = self.open.take().unwrap_or(Look { warm_up: look.warm_up, ..Look::default() });
        block.canary.add(look.canary);
        block.primary.add(look.primary);
        block.interval = block.interval.saturating_add(look.interval);
        // What came before the end of the warm-up must not count in the canary's favour; at most one block loses a few requests by it.
        block.warm_up |= look.warm_up;
        if block.interval >= LONGEST || block.canary.requests >= ENOUGH_REQUESTS {
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
        let mut blocks = Blocks::default();
        assert_eq!(blocks.push(&look(450.0)), Some(look(450.0)));
        assert_eq!(blocks.open(), None);
    }

    #[test]
    fn a_quiet_service_is_looked_at_every_fifteen_seconds() {
        let mut blocks = Blocks::default();
        assert_eq!(blocks.push(&look(1.0)), None);
        assert_eq!(blocks.push(&look(0.0)), None);
        assert_eq!(blocks.open().map(|block| block.interval), Some(Duration::from_secs(10)));
        let block = blocks.push(&look(1.0)).unwrap();
        assert_eq!((block.canary, block.primary, block.interval), (Counts::new(2.0, 0.0), Counts::new(30.0, 3.0), Duration::from_secs(15)));
    }
}

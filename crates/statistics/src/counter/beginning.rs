//! Whether all errors lie at the canary's beginning: then it may only start cold.

use std::time::Duration;

/// A canary that is older does not start cold any more.
pub(super) const YOUNG: Duration = Duration::from_mins(2);
/// One part in this many of its looks is the beginning.
const BEGINNING: usize = 3;

/// In which looks there were errors.
#[derive(Clone, Debug, Default)]
pub(super) struct Beginning {
    looks: usize,
    /// The last one with an error, from 1 on.
    last: usize,
}

impl Beginning {
    pub(super) fn push(&mut self, errors: f64) {
        self.looks += 1;
        if errors > 0.0 {
            self.last = self.looks;
        }
    }

    /// Whether all of them lie in the beginning.
    pub(super) fn has_all(&self) -> bool {
        self.last > 0 && BEGINNING * self.last <= self.looks
    }
}

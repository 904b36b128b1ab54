//! The clocks, in one place. Edges ask them and hand the time on as an argument; the pure parts never import this.

use std::time::Duration;

use coalmine_core::lease::Moment;
use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock: everything else takes `now` as an argument")]
pub fn now() -> Timestamp {
    Timestamp::now()
}

/// What nobody can set, and what also goes on while the machine sleeps: a claim must not outlive that.
pub fn moment() -> Moment {
    let time = clock_gettime(ClockId::Boottime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or_default(), u32::try_from(time.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_go_forward() {
        let first = moment();
        std::thread::sleep(Duration::from_millis(2));
        assert!(moment() >= first + Duration::from_millis(2));
    }
}

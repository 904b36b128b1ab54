//! The chance of a false rejection, spread over all tests of a run (statistics, section 1).
//!
//! Fixed by configuration and discovery, never by what the canary shows. The shares sum to one, so by the union bound a canary that is no
//! worse is ever rejected, by whichever test, with probability at most the whole. A share that no test uses is left unused. The chance of a
//! false promotion is not spread: a canary at a limit of any counter must pass that very test.

/// More counters than this are not judged.
pub const MOST_COUNTERS: usize = 4;

const ERRORS: f64 = 0.6;
/// The part of the errors' share that latency gets where it is judged too.
const LATENCY: f64 = 0.2;
const CLIENT_ERRORS: f64 = 0.2;
const SILENCE: f64 = 0.1;
const PAGES: f64 = 0.1;
/// The part of what the busy counters have that the idle ones get, where there are any.
const IDLE: f64 = 0.1;

/// Chances of a false rejection, by test. All but the pages' are those of one counter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    pub errors: f64,
    /// Zero when no latency limit is set.
    pub latency: f64,
    pub client_errors: f64,
    pub silence: f64,
    /// The pods' own metrics pages, read early. Not split by counters.
    pub pages: f64,
}

impl Budget {
    /// Of a run's whole `alpha`. `counters` is how many request counters are judged.
    pub fn new(alpha: f64, counters: usize, has_latency: bool) -> Self {
        let part = alpha / counters.clamp(1, MOST_COUNTERS) as f64;
        let latency = if has_latency { LATENCY } else { 0.0 };
        Self {
            errors: part * (ERRORS - latency),
            latency: part * latency,
            client_errors: part * CLIENT_ERRORS,
            silence: part * SILENCE,
            pages: alpha * PAGES,
        }
    }

    /// The same beside so many counters that are idle: what these need is a small part, since only gross failure is looked for in them.
    pub fn beside_idle(alpha: f64, counters: usize, idle: usize, has_latency: bool) -> Self {
        let busy = if idle > 0 { 1.0 - IDLE } else { 1.0 };
        Self { pages: alpha * PAGES, ..Self::new(alpha * busy, counters, has_latency) }
    }

    /// Of one of so many counters that are idle.
    pub fn of_idle(alpha: f64, idle: usize, has_latency: bool) -> Self {
        Self { pages: 0.0, ..Self::new(alpha * IDLE, idle, has_latency) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_spent_twice() {
        for counters in 0..9 {
            for has_latency in [false, true] {
                let Budget { errors, latency, client_errors, silence, pages } = Budget::new(0.01, counters, has_latency);
                let judged = counters.clamp(1, MOST_COUNTERS) as f64;
                assert!((judged * (errors + latency + client_errors + silence) + pages - 0.01).abs() < 1e-15);
            }
        }
    }

    #[test]
    fn nothing_is_spent_twice_beside_idle_ones() {
        let all = |counters: usize, budget: Budget| {
            counters as f64 * (budget.errors + budget.latency + budget.client_errors + budget.silence) + budget.pages
        };
        for (counters, idle) in [(1, 1), (1, 3), (3, 1), (2, 2)] {
            let busy = all(counters, Budget::beside_idle(0.01, counters, idle, true));
            let spent = busy + all(idle, Budget::of_idle(0.01, idle, true));
            assert!(spent <= 0.01 + 1e-15 && spent > 0.009, "{spent}");
        }
        assert_eq!(Budget::beside_idle(0.01, 2, 0, true), Budget::new(0.01, 2, true));
    }
}

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
}

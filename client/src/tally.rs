//! What came of the requests of one second, or of the whole run: pure counting.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::latency::Latencies;

/// A server that makes up versions must not fill our memory; what comes after this many is counted as `other`.
const MOST_VERSIONS: usize = 50;

/// What came of one request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    Answered {
        code: u16,
        version: String,
    },
    /// No connection, so the request never left.
    NotConnected,
    /// The connection was lost before the whole answer was there, or the answer was not HTTP.
    Broken,
    TimedOut,
    /// Too late to be sent at all: the rate could not be kept.
    NotSent,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Answers by version, then by code.
    pub(crate) versions: BTreeMap<String, BTreeMap<u16, u64>>,
    pub(crate) not_connected: u64,
    pub(crate) broken: u64,
    pub(crate) timed_out: u64,
    pub(crate) not_sent: u64,
    /// Sent, but clearly after they were due.
    pub(crate) late: u64,
    /// Repeated on a fresh connection because a kept one had been closed by the server.
    pub(crate) retried: u64,
    pub(crate) latencies: Latencies,
}

impl Tally {
    /// Counts one request; `latency` is the time since it was due.
    pub(crate) fn record(&mut self, outcome: Outcome, latency: Duration) {
        match outcome {
            Outcome::Answered { code, version } => {
                let known = self.versions.contains_key(&version) || self.versions.len() < MOST_VERSIONS;
                let version = if known { version } else { "other".to_owned() };
                *self.versions.entry(version).or_default().entry(code).or_default() += 1;
                self.latencies.record(latency);
            }
            Outcome::NotConnected => self.not_connected += 1,
            Outcome::Broken => self.broken += 1,
            Outcome::TimedOut => self.timed_out += 1,
            Outcome::NotSent => self.not_sent += 1,
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (version, codes) in &other.versions {
            for (code, count) in codes {
                *self.versions.entry(version.clone()).or_default().entry(*code).or_default() += count;
            }
        }
        self.not_connected += other.not_connected;
        self.broken += other.broken;
        self.timed_out += other.timed_out;
        self.not_sent += other.not_sent;
        self.late += other.late;
        self.retried += other.retried;
        self.latencies.add(&other.latencies);
    }

    pub(crate) fn codes(&self) -> BTreeMap<u16, u64> {
        let mut codes = BTreeMap::new();
        for (code, count) in self.versions.values().flatten() {
            *codes.entry(*code).or_default() += count;
        }
        codes
    }

    pub(crate) fn answered(&self) -> u64 {
        self.codes().values().sum()
    }

    /// Requests that were tried, whatever came of them.
    pub(crate) fn sent(&self) -> u64 {
        self.answered() + self.not_connected + self.broken + self.timed_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(code: u16, version: &str) -> Outcome {
        Outcome::Answered { code, version: version.to_owned() }
    }

    #[test]
    fn answers_are_counted_by_version_and_code() {
        let mut tally = Tally::default();
        for outcome in [answered(200, "good"), answered(500, "bad"), answered(200, "bad"), Outcome::NotConnected, Outcome::NotSent] {
            tally.record(outcome, Duration::from_millis(1));
        }
        let mut total = tally.clone();
        total.add(&tally);
        assert_eq!(total.codes(), BTreeMap::from([(200, 4), (500, 2)]));
        assert_eq!(total.versions["bad"], BTreeMap::from([(200, 2), (500, 2)]));
        assert_eq!((total.answered(), total.sent(), total.not_connected, total.not_sent), (6, 8, 2, 2));
    }

    #[test]
    fn made_up_versions_share_one_place() {
        let mut tally = Tally::default();
        (0..1000).for_each(|number| tally.record(answered(200, &number.to_string()), Duration::ZERO));
        assert_eq!((tally.versions.len(), tally.answered()), (MOST_VERSIONS + 1, 1000));
        assert_eq!(tally.versions["other"][&200], 950);
    }
}

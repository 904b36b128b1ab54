//! Who may act for all replicas: what to do about the shared lease, given what was read of it and the time. Pure.
//!
//! Leadership is data with an expiry ([`Claim`]), looked at again right before each write: a process that was stalled
//! must not believe what was true before it stalled.

use jiff::{SignedDuration, Timestamp};

/// How long a claim lasts without being renewed.
pub const DURATION: SignedDuration = SignedDuration::from_secs(15);
/// How often the holder renews: two renewals may fail before the claim is lost.
pub const RENEW_EVERY: SignedDuration = SignedDuration::from_secs(5);
/// How often the others look: with a released lease this is how long nobody holds it.
pub const LOOK_EVERY: SignedDuration = SignedDuration::from_secs(2);

/// The lease as it was last read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// None when released.
    pub holder: Option<String>,
    pub duration: SignedDuration,
    pub renewed: Option<Timestamp>,
    /// When *this* process first saw this holder with this renewal. Expiry counts from here, since the holder's
    /// clock may differ from ours.
    pub first_seen: Timestamp,
}

impl Observed {
    /// The same lease read again later: a renewal that was seen before keeps the time at which it was first seen.
    #[must_use]
    pub fn or_seen_before(self, before: Option<&Self>) -> Self {
        match before {
            Some(before) if before.holder == self.holder && before.renewed == self.renewed => {
                Self { first_seen: before.first_seen, ..self }
            }
            _ => self,
        }
    }
}

/// What to do about the lease now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nobody holds it, or the holder let it run out: take it.
    Acquire,
    /// It is ours: write a new renewal.
    Renew,
    /// Another process holds it until then, as far as we know.
    Yield { holder: String, until: Timestamp },
}

/// Decides about a lease; `None` when it does not exist yet.
pub fn evaluate(lease: Option<&Observed>, me: &str, now: Timestamp) -> Step {
    let Some(lease) = lease else { return Step::Acquire };
    let Some(holder) = lease.holder.as_deref().filter(|holder| !holder.is_empty()) else { return Step::Acquire };
    if holder == me {
        return Step::Renew;
    }
    let until = lease.first_seen.saturating_add(lease.duration).unwrap_or(Timestamp::MAX);
    if now >= until { Step::Acquire } else { Step::Yield { holder: holder.to_owned(), until } }
}

/// What is known of the leadership, published to everything that writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Claim {
    /// Nothing is known: before the first answer of the API server, or after the lease was given back.
    #[default]
    Nobody,
    /// This process may write until then.
    Mine { expiry: Timestamp },
    /// Another process may.
    Theirs { holder: String, expiry: Timestamp },
}

impl Claim {
    /// May this process write now? Ask right before each write.
    pub fn is_current(&self, now: Timestamp) -> bool {
        matches!(self, Self::Mine { expiry } if now < *expiry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn held(holder: &str, renewed: i64, first_seen: i64) -> Observed {
        Observed { holder: Some(holder.to_owned()), duration: DURATION, renewed: Some(at(renewed)), first_seen: at(first_seen) }
    }

    fn theirs(until: i64) -> Step {
        Step::Yield { holder: "other".to_owned(), until: at(until) }
    }

    #[rstest]
    #[case::absent(None, 0, Step::Acquire)]
    #[case::released(Some(Observed { holder: None, ..held("", 0, 0) }), 1, Step::Acquire)]
    #[case::released_as_empty(Some(held("", 0, 0)), 1, Step::Acquire)]
    #[case::mine(Some(held("me", 0, 0)), 3, Step::Renew)]
    #[case::mine_from_before_a_restart(Some(held("me", -900, 0)), 0, Step::Renew)]
    #[case::theirs(Some(held("other", 0, 0)), 14, theirs(15))]
    #[case::theirs_run_out(Some(held("other", 0, 0)), 15, Step::Acquire)]
    #[case::their_clock_is_behind(Some(held("other", -3600, 0)), 5, theirs(15))]
    #[case::their_clock_is_ahead(Some(held("other", 3600, 0)), 15, Step::Acquire)]
    fn decides(#[case] lease: Option<Observed>, #[case] now: i64, #[case] expected: Step) {
        assert_eq!(evaluate(lease.as_ref(), "me", at(now)), expected);
    }

    #[test]
    fn a_renewal_seen_before_keeps_its_time_and_a_new_one_starts_anew() {
        let first = held("other", 0, 0);
        let same = held("other", 0, 7).or_seen_before(Some(&first));
        assert_eq!(same.first_seen, at(0));
        let renewed = held("other", 5, 7).or_seen_before(Some(&first));
        assert_eq!(renewed.first_seen, at(7));
        let taken = held("third", 0, 7).or_seen_before(Some(&first));
        assert_eq!(taken.first_seen, at(7));
    }

    #[test]
    fn a_claim_ends_by_itself() {
        let claim = Claim::Mine { expiry: at(15) };
        assert!(claim.is_current(at(14)));
        assert!(!claim.is_current(at(15)));
        assert!(!Claim::Theirs { holder: "other".to_owned(), expiry: at(15) }.is_current(at(1)));
        assert!(!Claim::Nobody.is_current(at(1)));
    }
}

//! Which replica may act for all: what to do about the shared lease, given what was read of it and the time. It reads and writes nothing.
//!
//! Leadership is data with an expiry ([`Claim`]), looked at again right before each write: a process that was stalled
//! must not believe what was true before it stalled.

use std::time::Duration;

use jiff::Timestamp;

/// A time on a clock that nobody can move: since this machine started, the time asleep included. It says nothing about any other machine's.
pub type Moment = Duration;

/// How long a claim lasts without being renewed. Whoever looks on sees the last renewal up to [`LOOK_EVERY`] after it was made, and looks
/// again when it runs out: a leader that is killed leaves nobody leading for at most the two together, and the time of a request.
pub const DURATION: Duration = Duration::from_secs(6);
/// How often the holder renews: one renewal may fail, and another be late, before the claim is lost.
pub const RENEW_EVERY: Duration = Duration::from_secs(2);
/// How often the others look: with a released lease this is how long nobody holds it.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);

/// The lease as it was last read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// None when released.
    pub holder: Option<String>,
    pub duration: Duration,
    /// By the holder's clock: it tells one renewal from another, and nothing else.
    pub renewed: Option<Timestamp>,
    /// When *this* process first saw this holder with this renewal. Expiry counts from here, since the holder's
    /// clock may differ from ours.
    pub first_seen: Moment,
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
    Yield { holder: String, until: Moment },
}

/// Decides about a lease; `None` when it does not exist yet.
pub fn evaluate(lease: Option<&Observed>, me: &str, now: Moment) -> Step {
    let Some(lease) = lease else { return Step::Acquire };
    let Some(holder) = lease.holder.as_deref().filter(|holder| !holder.is_empty()) else { return Step::Acquire };
    if holder == me {
        return Step::Renew;
    }
    let until = lease.first_seen.saturating_add(lease.duration);
    if now >= until { Step::Acquire } else { Step::Yield { holder: holder.to_owned(), until } }
}

/// What is known of the leadership, published to everything that writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Claim {
    /// Nothing is known: before the first answer of the API server, or after the lease was given back.
    #[default]
    Nobody,
    /// This process may write until then.
    Mine { expiry: Moment },
    /// Another process may.
    Theirs { holder: String, expiry: Moment },
}

impl Claim {
    /// May this process write now? Ask right before each write.
    pub fn is_current(&self, now: Moment) -> bool {
        matches!(self, Self::Mine { expiry } if now < *expiry)
    }
}

/// How long to wait before the next look at the lease, given what the last one said.
pub fn pause(claim: &Claim, failing: bool, now: Moment) -> Duration {
    match claim {
        Claim::Mine { .. } if !failing => RENEW_EVERY,
        Claim::Theirs { expiry, .. } => expiry.saturating_sub(now).clamp(Duration::from_millis(50), LOOK_EVERY),
        _ => LOOK_EVERY,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn at(second: u64) -> Moment {
        Moment::from_secs(1_000_000 + second)
    }

    fn clock(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn held(holder: &str, renewed: i64, first_seen: u64) -> Observed {
        Observed { holder: Some(holder.to_owned()), duration: DURATION, renewed: Some(clock(renewed)), first_seen: at(first_seen) }
    }

    fn theirs(until: u64) -> Step {
        Step::Yield { holder: "other".to_owned(), until: at(until) }
    }

    const MONTHS: i64 = 100 * 24 * 3600;

    #[rstest]
    #[case::absent(None, 0, Step::Acquire)]
    #[case::released(Some(Observed { holder: None, ..held("", 0, 0) }), 1, Step::Acquire)]
    #[case::released_as_empty(Some(held("", 0, 0)), 1, Step::Acquire)]
    #[case::mine(Some(held("me", 0, 0)), 3, Step::Renew)]
    #[case::mine_from_before_a_restart(Some(held("me", -900, 0)), 0, Step::Renew)]
    #[case::theirs(Some(held("other", 0, 0)), 5, theirs(6))]
    #[case::theirs_run_out(Some(held("other", 0, 0)), 6, Step::Acquire)]
    #[case::their_clock_is_behind(Some(held("other", -MONTHS, 0)), 5, theirs(6))]
    #[case::their_clock_is_ahead(Some(held("other", MONTHS, 0)), 6, Step::Acquire)]
    fn decides(#[case] lease: Option<Observed>, #[case] now: u64, #[case] expected: Step) {
        assert_eq!(evaluate(lease.as_ref(), "me", at(now)), expected);
    }

    #[test]
    fn a_renewal_seen_before_keeps_its_time_and_a_new_one_starts_anew() {
        let first = held("other", 0, 0);
        let same = held("other", 0, 7).or_seen_before(Some(&first));
        assert_eq!(same.first_seen, at(0));
        let renewed = held("other", 5, 7).or_seen_before(Some(&first));
        assert_eq!(renewed.first_seen, at(7));
        let set_back = held("other", -MONTHS, 7).or_seen_before(Some(&first));
        assert_eq!(set_back.first_seen, at(7), "a renewal by a clock that was set back is one");
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

    #[test]
    fn the_others_look_when_it_may_be_theirs() {
        let theirs = |expiry| Claim::Theirs { holder: "other".to_owned(), expiry };
        assert_eq!(pause(&theirs(at(9)), false, at(4)), LOOK_EVERY);
        assert_eq!(pause(&theirs(at(9)), false, at(8) + Duration::from_millis(700)), Duration::from_millis(300));
        assert_eq!(pause(&theirs(at(9)), false, at(12)), Duration::from_millis(50), "never without any");
        assert_eq!(pause(&Claim::Mine { expiry: at(9) }, false, at(4)), RENEW_EVERY);
        assert_eq!(pause(&Claim::Mine { expiry: at(9) }, true, at(4)), LOOK_EVERY);
    }

    /// A leader that is killed: the last renewal is seen late, and the end of the claim at once.
    #[test]
    fn nobody_leads_for_at_most_eight_seconds() {
        let request = Duration::from_millis(500);
        assert!(LOOK_EVERY + DURATION + request < Duration::from_secs(8));
        assert!(RENEW_EVERY * 2 + LOOK_EVERY < DURATION, "one renewal may fail");
    }
}

//! From what each test says to one verdict of a counter, and from the counters to one of the run (statistics, section 12).

use super::{Coverage, Deadline, Verdict};

/// What the tests of silence and of client errors say. They never promote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stance {
    NothingAgainst,
    /// Nothing is promoted at present.
    Holds,
    Rejects,
}

impl Stance {
    pub(crate) fn of(rejects: bool, holds: bool) -> Self {
        match (rejects, holds) {
            (true, _) => Self::Rejects,
            (false, true) => Self::Holds,
            (false, false) => Self::NothingAgainst,
        }
    }
}

/// What the tests of one counter say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Said {
    /// Of a counter that need not show the limit: a promotion unless something is to be held against it.
    pub errors: Verdict,
    /// Nothing if it isn't judged.
    pub latency: Option<Verdict>,
    /// The gravest of silence and client errors.
    pub others: Stance,
    pub coverage: Coverage,
    /// No error speaks against the canary, and it has had requests wherever the primary had.
    pub clean: bool,
}

/// A verdict, and whether `on-inconclusive: promote` may forgive it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joined {
    pub verdict: Verdict,
    pub clean: bool,
}

impl Joined {
    /// A counter that can't be read as one: it is in the way of a promotion, and not forgiven.
    pub fn unusable(deadline: Deadline) -> Self {
        Self::undecided(deadline, false)
    }

    fn undecided(deadline: Deadline, clean: bool) -> Self {
        match deadline {
            Deadline::Ahead => Self { verdict: Verdict::Continue, clean: false },
            Deadline::Reached => Self { verdict: Verdict::Inconclusive, clean },
        }
    }
}

/// The tests of one counter: one that rejects is enough, all must promote, and nothing may hold.
pub fn of_tests(said: &Said, deadline: Deadline) -> Joined {
    let verdicts = || std::iter::once(said.errors).chain(said.latency);
    if said.others == Stance::Rejects || verdicts().any(|verdict| verdict == Verdict::Reject) {
        return Joined { verdict: Verdict::Reject, clean: false };
    }
    if verdicts().all(|verdict| verdict == Verdict::Promote) && said.coverage.is_covered() && said.others == Stance::NothingAgainst {
        return Joined { verdict: Verdict::Promote, clean: true };
    }
    let clean = said.clean && said.others == Stance::NothingAgainst && said.coverage.is_clean();
    Joined::undecided(deadline, clean)
}

/// The counters of a run. No counter at all is like one that was never seen on either side: nothing decides, and nothing is to be forgiven.
pub fn of_counters(counters: impl IntoIterator<Item = Joined>, deadline: Deadline) -> Joined {
    let counters: Vec<Joined> = counters.into_iter().collect();
    if counters.iter().any(|joined| joined.verdict == Verdict::Reject) {
        return Joined { verdict: Verdict::Reject, clean: false };
    }
    if !counters.is_empty() && counters.iter().all(|joined| joined.verdict == Verdict::Promote) {
        return Joined { verdict: Verdict::Promote, clean: true };
    }
    Joined::undecided(deadline, counters.iter().all(|joined| joined.clean))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn verdict() -> impl Strategy<Value = Verdict> {
        prop_oneof![Just(Verdict::Continue), Just(Verdict::Reject), Just(Verdict::Promote), Just(Verdict::Inconclusive)]
    }

    fn stance() -> impl Strategy<Value = Stance> {
        prop_oneof![Just(Stance::NothingAgainst), Just(Stance::Holds), Just(Stance::Rejects)]
    }

    fn coverage() -> impl Strategy<Value = Coverage> {
        let (last, ago) = (std::time::Duration::from_secs(5), std::time::Duration::from_secs(60));
        prop_oneof![
            Just(Coverage::Unseen),
            Just(Coverage::Never),
            Just(Coverage::Stale { last, ago }),
            Just(Coverage::PrimaryStale { last, ago }),
            Just(Coverage::OneLook),
            Just(Coverage::Short { observed: last, missing: ago }),
            Just(Coverage::Covered),
        ]
    }

    fn deadline() -> impl Strategy<Value = Deadline> {
        prop_oneof![Just(Deadline::Ahead), Just(Deadline::Reached)]
    }

    prop_compose! {
        fn said()(errors in verdict(), latency in prop::option::of(verdict()), others in stance(),
                  coverage in coverage(), clean in any::<bool>()) -> Said {
            Said { errors, latency, others, coverage, clean }
        }
    }

    prop_compose! {
        fn joined()(verdict in verdict(), clean in any::<bool>()) -> Joined {
            Joined { verdict, clean }
        }
    }

    proptest! {
        #[test]
        fn any_reject_rejects_and_nothing_else_does(said in said(), deadline in deadline()) {
            let rejects = said.others == Stance::Rejects || said.errors == Verdict::Reject || said.latency == Some(Verdict::Reject);
            prop_assert_eq!(of_tests(&said, deadline).verdict == Verdict::Reject, rejects);
        }

        #[test]
        fn a_promotion_needs_everything(said in said(), deadline in deadline()) {
            if of_tests(&said, deadline).verdict == Verdict::Promote {
                prop_assert!(said.others == Stance::NothingAgainst && said.coverage == Coverage::Covered && said.errors == Verdict::Promote);
                prop_assert!(said.latency.is_none_or(|latency| latency == Verdict::Promote));
            }
        }

        #[test]
        fn what_is_held_or_not_observed_is_never_forgiven(said in said()) {
            let joined = of_tests(&said, Deadline::Reached);
            if joined.verdict == Verdict::Inconclusive && joined.clean {
                prop_assert!(said.others == Stance::NothingAgainst && said.clean);
                let is_observed = !matches!(said.coverage, Coverage::Never | Coverage::Stale { .. } | Coverage::PrimaryStale { .. });
                prop_assert!(is_observed);
            }
        }

        #[test]
        fn one_more_counter_never_turns_a_rejection_or_lets_more_in(
            counters in prop::collection::vec(joined(), 1..4), one in joined(), deadline in deadline(),
        ) {
            let fewer = of_counters(counters.iter().copied(), deadline).verdict;
            let more = of_counters(counters.iter().copied().chain([one]), deadline).verdict;
            prop_assert!(fewer != Verdict::Reject || more == Verdict::Reject);
            prop_assert!(more != Verdict::Promote || fewer == Verdict::Promote);
            prop_assert_eq!(of_counters(counters.iter().copied().chain([Joined::unusable(deadline)]), deadline).verdict == Verdict::Promote, false);
        }

        #[test]
        fn the_deadline_ends_it(counters in prop::collection::vec(joined(), 0..4), said in said()) {
            prop_assert_ne!(of_tests(&said, Deadline::Reached).verdict, Verdict::Continue);
            prop_assert_ne!(of_counters(counters, Deadline::Reached).verdict, Verdict::Continue);
        }
    }
}

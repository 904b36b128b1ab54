//! What must hold whatever the counts are: no number that isn't one, no promotion without its evidence, no rejection by one scrape.

use std::time::Duration;

use proptest::prelude::*;

use super::{Counts, Deadline, Dispersion, Look, Parameters, SequentialTest, Verdict, analyse, requests_needed, upper_bound};

fn counts(most: f64) -> impl Strategy<Value = Counts> {
    (0.0..most, prop_oneof![Just(0.0), 0.0..0.01, 0.0..1.0]).prop_map(|(requests, rate): (f64, f64)| {
        let requests = requests.round();
        Counts::new(requests, (requests * rate).round())
    })
}

fn look() -> impl Strategy<Value = Look> {
    let traffic = prop_oneof![Just(3.0), Just(500.0), Just(100_000.0)];
    traffic.prop_flat_map(|most| (counts(most), counts(10.0 * most), any::<bool>())).prop_map(|(canary, primary, warm_up)| Look {
        canary,
        primary,
        warm_up,
        interval: Duration::from_secs(5),
    })
}

fn parameters() -> impl Strategy<Value = Parameters> {
    (1e-4..0.5, 1.0..30.0, 1.0..30.0, 1_usize..150).prop_map(|(limit, scrape, window, looks)| {
        Parameters { dispersion: Dispersion { scrape, window }, looks, ..Parameters::default() }.with_limit(limit)
    })
}

fn absurd() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(-1.0),
        Just(0.0),
        Just(f64::MAX),
        Just(f64::MIN_POSITIVE),
        0.0..1e6,
        any::<f64>()
    ]
}

fn absurd_look() -> impl Strategy<Value = Look> {
    (absurd(), absurd(), absurd(), absurd(), any::<bool>(), any::<u64>()).prop_map(|(nc, kc, np, kp, warm_up, interval)| Look {
        canary: Counts::new(nc, kc),
        primary: Counts::new(np, kp),
        warm_up,
        interval: Duration::from_millis(interval),
    })
}

fn fold(looks: &[Look], parameters: Parameters) -> SequentialTest {
    let mut test = SequentialTest::new(parameters);
    for look in looks {
        test.push(look);
    }
    test
}

const LONG: Duration = Duration::from_hours(24);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn absurd_counts_give_numbers_and_no_panic(
        looks in prop::collection::vec(absurd_look(), 0..30),
        values in prop::collection::vec(absurd(), 9),
        planned in any::<usize>(),
    ) {
        let parameters = Parameters {
            alpha: values[0],
            beta: values[1],
            limit: values[2],
            ratio: values[3],
            floor: values[4],
            warm_up_floor: values[5],
            looks: planned,
            bake: Duration::from_mins(1),
            min_requests: values[6],
            dispersion: Dispersion { scrape: values[7], window: values[8] },
            may_reject: true,
        };
        for deadline in [Deadline::Ahead, Deadline::Reached] {
            let analysis = analyse(&looks, parameters, LONG, deadline);
            let evidence = analysis.evidence;
            for value in [
                evidence.ln_floor, evidence.ln_ratio, evidence.ln_harm, evidence.ln_safe, evidence.ln_safe_healthy,
                analysis.lower, analysis.upper, analysis.tolerated, analysis.effective_requests, analysis.evidence_ratio(),
            ] {
                prop_assert!(!value.is_nan(), "{analysis:?}");
            }
            prop_assert!((0.0..=1.0).contains(&analysis.lower) && (0.0..=1.0).contains(&analysis.upper));
        }
    }

    #[test]
    fn promoted_only_with_the_evidence_and_the_time(
        looks in prop::collection::vec(look(), 0..60), parameters in parameters(), served in 0_u64..120, reached in any::<bool>(),
    ) {
        let deadline = if reached { Deadline::Reached } else { Deadline::Ahead };
        let analysis = analyse(&looks, parameters, Duration::from_secs(served), deadline);
        if analysis.verdict == Verdict::Promote {
            let evidence = analysis.evidence;
            prop_assert!(evidence.ln_safe.max(evidence.ln_safe_healthy) >= 20.0_f64.ln());
            prop_assert!(analysis.upper <= parameters.limit);
            prop_assert!(served >= 60);
            prop_assert!(analysis.canary.requests >= parameters.min_requests);
            prop_assert_eq!(analysis.reason, None);
        } else {
            prop_assert!(analysis.reason.is_some());
        }
        prop_assert_eq!(analysis.verdict == Verdict::Continue && reached, false);
    }

    #[test]
    fn one_scrape_never_rejects(looks in prop::collection::vec(look(), 0..2), parameters in parameters()) {
        prop_assert_ne!(analyse(&looks, parameters, LONG, Deadline::Reached).verdict, Verdict::Reject);
    }

    #[test]
    fn a_canary_without_errors_is_never_rejected_and_nothing_speaks_against_it(
        mut looks in prop::collection::vec(look(), 0..60), parameters in parameters(),
    ) {
        for look in &mut looks {
            look.canary.errors = 0.0;
        }
        let analysis = analyse(&looks, parameters, LONG, Deadline::Reached);
        prop_assert_ne!(analysis.verdict, Verdict::Reject);
        prop_assert!(!analysis.speaks_against());
    }

    #[test]
    fn a_canary_without_requests_is_inconclusive_forever(mut looks in prop::collection::vec(look(), 0..60), parameters in parameters()) {
        for look in &mut looks {
            look.canary = Counts::default();
        }
        prop_assert_eq!(analyse(&looks, parameters, LONG, Deadline::Reached).verdict, Verdict::Inconclusive);
    }

    #[test]
    fn the_order_of_looks_does_not_change_what_is_known_of_the_rate(
        (looks, shuffled) in prop::collection::vec(look(), 1..30).prop_flat_map(|looks| (Just(looks.clone()), Just(looks).prop_shuffle())),
        parameters in parameters(),
    ) {
        let (one, other) = (fold(&looks, parameters), fold(&shuffled, parameters));
        prop_assert_eq!(one.judged, other.judged);
        prop_assert_eq!(one.evidence().ln_safe.to_bits(), other.evidence().ln_safe.to_bits());
        prop_assert_eq!(one.evidence().ln_safe_healthy.to_bits(), other.evidence().ln_safe_healthy.to_bits());
    }

    #[test]
    fn a_recomputation_gives_the_same_answer_and_a_rejection_stays(
        looks in prop::collection::vec(look(), 2..60), more in look(), parameters in parameters(),
    ) {
        let first = analyse(&looks, parameters, LONG, Deadline::Ahead);
        prop_assert_eq!(first, analyse(&looks, parameters, LONG, Deadline::Ahead));
        if first.verdict == Verdict::Reject {
            let mut longer = looks;
            longer.push(more);
            prop_assert_eq!(analyse(&longer, parameters, LONG, Deadline::Ahead).verdict, Verdict::Reject);
        }
    }

    #[test]
    fn another_error_of_the_canary_never_helps_it(looks in prop::collection::vec(look(), 1..30), parameters in parameters(), at in any::<prop::sample::Index>()) {
        let at = at.index(looks.len());
        let mut worse = looks.clone();
        worse[at].canary.errors = (worse[at].canary.errors + 1.0).min(worse[at].canary.requests);
        let (before, after) = (fold(&looks, parameters).evidence(), fold(&worse, parameters).evidence());
        let tolerance = 1e-9 * before.ln_safe.abs().max(1.0);
        prop_assert!(after.ln_safe <= before.ln_safe + tolerance);
        prop_assert!(after.ln_floor >= before.ln_floor - 1e-9 * before.ln_floor.abs().max(1.0));
        prop_assert!(after.ln_ratio >= before.ln_ratio - 1e-9 * before.ln_ratio.abs().max(1.0));
    }

    #[test]
    fn another_clean_request_never_harms(counts in counts(50_000.0), more in 1.0..1000.0_f64) {
        let further = Counts::new(counts.requests + more.round(), counts.errors);
        prop_assert!(upper_bound(further, 0.05, 1.0) <= upper_bound(counts, 0.05, 1.0) + 1e-12);
    }

    #[test]
    fn the_requests_needed_are_enough_and_just_so(limit in 1e-3..0.9_f64, errors in 0_u32..40, dispersion in 1.0..20.0_f64) {
        let errors = f64::from(errors);
        let needed = requests_needed(limit, errors, 0.05, dispersion).unwrap();
        prop_assert!(upper_bound(Counts::new(needed, errors), 0.05, dispersion) <= limit);
        prop_assert!(upper_bound(Counts::new(needed - 1.0, errors), 0.05, dispersion) > limit);
        prop_assert!(requests_needed(limit, errors + 1.0, 0.05, dispersion).unwrap() >= needed);
    }
}

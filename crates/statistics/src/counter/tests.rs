//! Whole runs of one counter, by the story that each tells.

use proptest::prelude::*;
use rstest::rstest;

use super::super::{ClientErrors, Joined, Reason, Verdict, buckets, join};
use super::*;

const SCRAPE: u64 = 5;
const PODS: usize = 10;

/// What an ordinary pod of each side counts in five seconds, for some looks.
#[derive(Clone, Copy)]
struct Part {
    looks: u64,
    canary: (f64, f64, f64),
    primary: (f64, f64, f64),
}

const GOOD: (f64, f64, f64) = (450.0, 0.0, 0.0);
const FEW: (f64, f64, f64) = (25.0, 0.0, 0.0);

const fn part(looks: u64, canary: (f64, f64, f64), primary: (f64, f64, f64)) -> Part {
    Part { looks, canary, primary }
}

fn counter(parts: &[Part]) -> Counter {
    let pod = |(requests, errors, client_errors)| PodCounts { requests, errors, client_errors };
    let sides = parts.iter().flat_map(|part| (0..part.looks).map(move |_| (pod(part.canary), pod(part.primary))));
    let look = |(index, (canary, primary)): (u64, (PodCounts, PodCounts))| CounterLook {
        end: at(SCRAPE * (index + 1)),
        interval: at(SCRAPE),
        canary,
        primary: vec![Some(primary); PODS],
    };
    let looks = (0..).zip(sides).map(look).collect();
    let evenness = Some(Evenness { smallest: 0.9, variation: 0.0004 });
    Counter { parameters: CounterParameters { evenness, ..CounterParameters::new(at(SCRAPE)) }, looks, timed: Vec::new() }
}

const fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The last look is the newest scrape of both sides.
fn now(counter: &Counter, deadline: Deadline) -> Now {
    let newest = counter.looks.last().map_or(Duration::ZERO, |look| look.end);
    let scrapes = Scrapes { interval: Some(at(SCRAPE)), primary_last: Some(newest), ..Scrapes::default() };
    Now { served: newest, deadline, scrapes }
}

fn judged(counter: &Counter, deadline: Deadline) -> CounterResult {
    let (run, now) = (RunParameters::default(), now(counter, deadline));
    let result = judge(&run, counter, &now);
    let mut test = CounterTest::new(&run, counter.parameters.clone());
    counter.looks.iter().for_each(|look| test.push(look));
    assert_eq!(test.verdict(&now), result.verdict(), "the short way and the long one");
    result
}

/// A finding's name, for a table.
fn name(finding: &Finding) -> &'static str {
    match finding {
        Finding::NotObserved(_) => "not observed",
        Finding::OnlyProbes => "only probes",
        Finding::Silent(_) => "silent",
        Finding::ClientErrors(_) => "client errors",
        Finding::Errors(_) => "errors",
        Finding::Latency(_) => "latency",
        Finding::LatencyHasNoBucket => "no bucket",
        Finding::ObservedTooShort(_) => "short",
    }
}

#[rstest]
#[case::good(&[part(12, GOOD, GOOD)], Verdict::Promote, &[])]
#[case::good_but_early(&[part(9, GOOD, GOOD)], Verdict::Continue, &["errors", "short"])]
#[case::fails(&[part(2, (450.0, 450.0, 0.0), GOOD)], Verdict::Reject, &["errors"])]
#[case::hangs_after_fifteen_seconds(&[part(3, GOOD, GOOD), part(3, (0.0, 0.0, 0.0), GOOD)], Verdict::Reject, &["silent"])]
#[case::hangs_at_the_end(&[part(10, GOOD, GOOD), part(2, (0.0, 0.0, 0.0), GOOD)], Verdict::Continue, &["silent"])]
#[case::never_answers(&[part(12, (0.0, 0.0, 0.0), GOOD)], Verdict::Continue, &["silent", "errors"])]
#[case::not_found(&[part(2, (450.0, 0.0, 450.0), (450.0, 0.0, 9.0))], Verdict::Reject, &["client errors"])]
#[case::every_third_not_found(&[part(12, (450.0, 0.0, 150.0), (450.0, 0.0, 4.0))], Verdict::Reject, &["client errors"])]
#[case::every_tenth_may_be_one_clients(&[part(12, (450.0, 0.0, 45.0), (450.0, 0.0, 4.0))], Verdict::Continue, &["client errors"])]
#[case::a_crawler_finds_the_canary(&[part(12, (600.0, 0.0, 150.0), GOOD)], Verdict::Continue, &["client errors"])]
#[case::both_not_found(&[part(12, (450.0, 0.0, 200.0), (450.0, 0.0, 200.0))], Verdict::Promote, &[])]
#[case::nobody_has_traffic(&[part(12, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))], Verdict::Continue, &["errors"])]
#[case::asked_itself_before_it_was_ready(&[part(1, (20_000.0, 0.0, 0.0), GOOD), part(11, GOOD, GOOD)], Verdict::Promote, &[])]
#[case::the_same_and_fails_a_few(&[part(1, (20_000.0, 0.0, 0.0), FEW), part(11, (25.0, 0.25, 0.0), FEW)], Verdict::Continue, &["errors"])]
#[case::the_same_and_has_no_clients(&[part(1, (20_000.0, 0.0, 0.0), GOOD), part(11, (0.0, 0.0, 0.0), GOOD)], Verdict::Continue, &["silent", "errors"])]
fn stories(#[case] parts: &[Part], #[case] verdict: Verdict, #[case] findings: &[&str]) {
    let result = judged(&counter(parts), Deadline::Ahead);
    assert_eq!((result.verdict(), result.findings.iter().map(name).collect::<Vec<_>>().as_slice()), (verdict, findings), "{result:?}");
    assert!(verdict != Verdict::Reject || result.against()[0].is_enough());
}

/// Beside one pod, which is scraped a moment after the canary.
#[rstest]
#[case::asked_itself_before_it_was_ready(20_000.0, 0.0, Verdict::Promote, &[])]
#[case::the_same_and_fails_a_few(20_000.0, 4.0, Verdict::Reject, &["errors"])]
#[case::did_not(450.0, 0.0, Verdict::Promote, &[])]
fn a_first_look_that_nobody_else_has(#[case] first: f64, #[case] errors: f64, #[case] verdict: Verdict, #[case] findings: &[&str]) {
    let mut counter = counter(&[part(1, (first, 0.0, 0.0), GOOD), part(11, (450.0, errors, 0.0), GOOD)]);
    counter.parameters.evenness = None;
    counter.looks.iter_mut().for_each(|look| look.primary = vec![Some(look.primary[0].unwrap_or_default())]);
    counter.looks[0].primary = vec![None];
    let result = judged(&counter, Deadline::Ahead);
    assert_eq!((result.verdict(), result.findings.iter().map(name).collect::<Vec<_>>().as_slice()), (verdict, findings), "{result:?}");
}

#[rstest]
#[case::nobody_has_traffic(&[part(120, (0.0, 0.0, 0.0), (0.05, 0.0, 0.0))], true)]
#[case::the_canary_alone_has_none(&[part(120, (0.0, 0.0, 0.0), (0.5, 0.0, 0.0))], false)]
#[case::both_have_little(&[part(120, (0.5, 0.0, 0.0), (0.5, 0.0, 0.0))], true)]
#[case::little_and_an_error(&[part(119, (0.5, 0.0, 0.0), (0.5, 0.0, 0.0)), part(1, (1.0, 1.0, 0.0), (0.5, 0.0, 0.0))], false)]
fn what_is_forgiven_at_the_deadline(#[case] parts: &[Part], #[case] clean: bool) {
    let result = judged(&counter(parts), Deadline::Reached);
    assert_eq!(result.joined, Joined { verdict: Verdict::Inconclusive, clean }, "{result:?}");
    assert!(!result.findings.is_empty());
}

#[test]
fn a_page_that_died_promotes_nothing_and_is_not_forgiven() {
    let counter = counter(&[part(11, GOOD, GOOD)]);
    let mut now = now(&counter, Deadline::Reached);
    now.scrapes.primary_last = Some(at(90));
    let result = judge(&RunParameters::default(), &counter, &Now { served: at(600), ..now });
    assert_eq!(result.joined, Joined { verdict: Verdict::Inconclusive, clean: false });
    assert_eq!(result.findings, [Finding::NotObserved(Coverage::Stale { last: at(55), ago: at(35) })]);
}

#[test]
fn a_canary_that_was_never_scraped_is_told_so() {
    let empty = counter(&[]);
    let never = Scrapes { primary_last: Some(at(60)), ..Scrapes::default() };
    let said = |scrapes| {
        let result = judge(&RunParameters::default(), &empty, &Now { served: at(600), deadline: Deadline::Reached, scrapes });
        (result.findings.first().map(name), result.joined.clean)
    };
    assert_eq!(said(never), (Some("not observed"), false));
    assert_eq!(said(Scrapes::default()), (Some("not observed"), true), "a worker has no counters on either side");
}

/// Its first look holds half a minute that nobody knows the length of: no rate to fall from.
#[test]
fn a_canary_that_is_discovered_late_has_not_fallen_since() {
    let mut counter = counter(&[part(1, (2700.0, 0.0, 0.0), GOOD), part(12, GOOD, GOOD)]);
    counter.looks[0].interval = at(30);
    let result = judged(&counter, Deadline::Ahead);
    assert_eq!((result.verdict(), result.silence.holds, result.silence.rejected), (Verdict::Promote, false, false), "{result:?}");
}

#[test]
fn probes_are_no_traffic() {
    let mut counter = counter(&[part(24, (5.0, 0.0, 0.0), (455.0, 0.0, 0.0))]);
    let promoted = |counter: &Counter| judged(counter, Deadline::Reached).verdict() == Verdict::Promote;
    counter.parameters.probes = vec![1.0];
    counter.parameters.canary_probes = vec![1.0];
    let result = judged(&counter, Deadline::Reached);
    assert_eq!(result.findings.first(), Some(&Finding::OnlyProbes), "{result:?}");
    assert!(!result.joined.clean && !promoted(&counter));
    assert!((result.silence.finished, result.silence.ordinary) < (1.0, 11_000.0), "{:?}", result.silence);
}

#[test]
fn a_small_counter_need_not_show_the_limit_but_holds_and_rejects() {
    let verdict = |parts: &[Part]| {
        let mut counter = counter(parts);
        counter.parameters.must_show = false;
        judged(&counter, Deadline::Ahead).verdict()
    };
    let few = (5.0, 0.0, 0.0);
    assert_eq!(verdict(&[part(12, few, few)]), Verdict::Promote);
    assert_eq!(verdict(&[part(11, few, few), part(1, (5.0, 1.0, 0.0), few)]), Verdict::Continue);
    assert_eq!(verdict(&[part(12, (5.0, 5.0, 0.0), few)]), Verdict::Reject);
    assert_eq!(verdict(&[part(6, few, few)]), Verdict::Continue, "not observed for long enough");
}

#[test]
fn latency_has_its_own_findings() {
    let mut counter = counter(&[part(12, GOOD, GOOD)]);
    let run = RunParameters { has_latency: true, ..RunParameters::default() };
    let timed = |low: f64, high: f64| Timed { requests: 450.0, slower_than_low: low, slower_than_high: high };
    let mut said = |limit: f64, canary: Timed, primary: Timed| {
        let (dispersion_of_low, dispersion_of_high) = Default::default();
        counter.parameters.latency =
            Some(Latency { buckets: buckets(&[0.1, 0.25, f64::INFINITY], limit), dispersion_of_low, dispersion_of_high });
        let look = |index| TimedLook { end: at(SCRAPE * index), interval: at(SCRAPE), canary, primary: vec![Some(primary); PODS] };
        counter.timed = (1..=12).map(look).collect();
        let result = judge(&run, &counter, &now(&counter, Deadline::Ahead));
        (result.verdict(), result.findings.first().map(name))
    };
    let quick = timed(0.0, 0.0);
    assert_eq!(said(0.1, quick, quick), (Verdict::Promote, None));
    assert_eq!(said(0.1, timed(450.0, 450.0), quick), (Verdict::Reject, Some("latency")));
    assert_eq!(said(0.2, timed(45.0, 0.0), timed(22.0, 0.0)), (Verdict::Continue, Some("latency")), "nobody who may keep it is rejected");
    assert_eq!(said(0.05, quick, quick), (Verdict::Continue, Some("no bucket")));
    assert_eq!(said(1.0, timed(0.0, 450.0), quick), (Verdict::Promote, None), "no bucket above, nothing rejects");
}

#[test]
fn a_cold_start_is_recognised() {
    let cold = |parts: &[Part]| judged(&counter(parts), Deadline::Ahead);
    let late = cold(&[part(2, (450.0, 450.0, 0.0), GOOD), part(6, GOOD, GOOD)]);
    assert!(late.verdict() == Verdict::Reject && late.may_be_cold);
    let lasting = cold(&[part(8, (450.0, 45.0, 0.0), GOOD)]);
    assert!(lasting.verdict() == Verdict::Reject && !lasting.may_be_cold);
}

#[test]
fn a_warm_up_forgives_a_cold_start() {
    let counter = counter(&[part(4, (450.0, 45.0, 0.0), GOOD), part(10, GOOD, GOOD)]);
    let run = RunParameters { warm_up: at(20), ..RunParameters::default() };
    assert_eq!(judge(&run, &counter, &now(&counter, Deadline::Ahead)).verdict(), Verdict::Promote);
    assert_eq!(judge(&RunParameters::default(), &counter, &now(&counter, Deadline::Ahead)).verdict(), Verdict::Reject);
}

#[test]
fn of_two_counters_one_that_fails_is_enough() {
    let good = judged(&counter(&[part(12, GOOD, GOOD)]), Deadline::Ahead);
    let bad = judged(&counter(&[part(12, (450.0, 450.0, 0.0), GOOD)]), Deadline::Ahead);
    let verdict = |results: &[&CounterResult]| join::of_counters(results.iter().map(|result| result.joined), Deadline::Ahead).verdict;
    assert_eq!(verdict(&[&good, &bad]), Verdict::Reject);
    assert_eq!(verdict(&[&good, &good]), Verdict::Promote);
}

fn pod(most: f64) -> impl Strategy<Value = PodCounts> {
    (0.0..most, 0.0..=1.0_f64, 0.0..=1.0_f64).prop_map(|(requests, errors, client_errors): (f64, f64, f64)| {
        let requests = requests.round();
        let errors = (requests * errors * errors).round();
        PodCounts { requests, errors, client_errors: ((requests - errors) * client_errors).round() }
    })
}

fn looks() -> impl Strategy<Value = Vec<(PodCounts, Vec<Option<PodCounts>>)>> {
    let primary = prop::collection::vec(prop::option::weighted(0.9, pod(500.0)), 0..4);
    prop::collection::vec((pod(500.0), primary), 0..30)
}

fn anything(looks: Vec<(PodCounts, Vec<Option<PodCounts>>)>, smallest: Option<f64>, probes: Vec<f64>) -> Counter {
    let mut counter = counter(&[]);
    counter.parameters.evenness = smallest.map(|smallest| Evenness { smallest, variation: 0.001 });
    counter.parameters.canary_probes = probes.iter().rev().skip(1).copied().collect();
    counter.parameters.probes = probes;
    counter.looks = (1..)
        .zip(looks)
        .map(|(index, (canary, primary))| CounterLook { end: at(SCRAPE * index), interval: at(SCRAPE), canary, primary })
        .collect();
    counter
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_is_promoted_that_holds_or_was_not_covered(
        looks in looks(), smallest in prop::option::of(0.0..1.0_f64), probes in prop::collection::vec(0.1..2.0_f64, 0..3), reached in any::<bool>(),
    ) {
        let counter = anything(looks, smallest, probes);
        let result = judged(&counter, if reached { Deadline::Reached } else { Deadline::Ahead });
        if result.verdict() == Verdict::Promote {
            prop_assert!(result.coverage.is_covered() && !result.silence.holds && result.findings.is_empty());
            prop_assert!(!result.client_errors.is_some_and(|errors| errors.holds));
            prop_assert!(result.in_favour().is_enough());
        } else {
            prop_assert!(!result.findings.is_empty(), "{:?}", result);
        }
        prop_assert!(result.verdict() != Verdict::Reject || counter.looks.len() >= 2, "one look rejects nobody");
        for strength in result.against() {
            prop_assert!(!strength.ln_evidence.is_nan());
        }
    }

    #[test]
    fn a_rejection_stays(looks in looks(), more in looks()) {
        let counter = anything(looks.clone(), Some(0.9), Vec::new());
        if judged(&counter, Deadline::Ahead).verdict() == Verdict::Reject {
            let longer = anything(looks.into_iter().chain(more).collect(), Some(0.9), Vec::new());
            prop_assert_eq!(judged(&longer, Deadline::Ahead).verdict(), Verdict::Reject);
        }
    }

    #[test]
    fn taking_one_clients_requests_off_only_lowers_the_evidence(looks in looks(), smallest in prop::option::of(0.0..1.0_f64)) {
        let counter = anything(looks, smallest, Vec::new());
        if let Some(ClientErrors { ln_harm, ln_plain, left_out, .. }) = judged(&counter, Deadline::Ahead).client_errors {
            prop_assert!(ln_harm <= ln_plain + 1e-9 * ln_plain.abs().max(1.0), "{ln_harm} {ln_plain}, left out {left_out}");
        }
    }

    #[test]
    fn absurd_looks_are_no_panic(values in prop::collection::vec(prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(-1.0), any::<f64>()], 60), smallest in any::<f64>()) {
        let pod = |at: usize| PodCounts { requests: values[at], errors: values[at + 1], client_errors: values[at + 2] };
        let looks = (0..54).step_by(6).map(|at| (pod(at), vec![Some(pod(at + 3)), None])).collect();
        let result = judged(&anything(looks, Some(smallest), values[54..].to_vec()), Deadline::Reached);
        prop_assert!(!result.against().iter().any(|strength| strength.ln_evidence.is_nan()), "{:?}", result);
        prop_assert_ne!(result.verdict(), Verdict::Continue);
    }
}

#[test]
fn reasons_come_with_their_numbers() {
    let result = judged(&counter(&[part(9, GOOD, GOOD)]), Deadline::Ahead);
    assert_eq!(
        result.findings,
        [
            Finding::Errors(Reason::ServingTooShort { served: at(45), needed: at(60) }),
            Finding::ObservedTooShort(Coverage::Short { observed: at(45), missing: at(10) })
        ]
    );
}

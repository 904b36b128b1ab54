//! Whole analyses, by the story that each tells.

use rstest::rstest;

use super::*;

type Row = (usize, (f64, f64), (f64, f64));

fn looks(rows: &[Row]) -> Vec<Look> {
    let look = |&(_, canary, primary): &Row| Look {
        canary: Counts::new(canary.0, canary.1),
        primary: Counts::new(primary.0, primary.1),
        warm_up: false,
        interval: Duration::from_secs(5),
    };
    rows.iter().flat_map(|row| std::iter::repeat_n(look(row), row.0)).collect()
}

#[rstest]
#[case::bad(&[(2, (450.0, 450.0), (4550.0, 4.0))], 10, Deadline::Ahead, Verdict::Reject, Some(Reason::WorseThanPrimary))]
#[case::bad_and_nothing_to_compare(&[(2, (450.0, 450.0), (0.0, 0.0))], 10, Deadline::Ahead, Verdict::Reject, Some(Reason::AboveLimit))]
#[case::good(&[(12, (450.0, 0.0), (4550.0, 4.0))], 60, Deadline::Ahead, Verdict::Promote, None)]
#[case::good_but_early(&[(11, (450.0, 0.0), (4550.0, 4.0))], 55, Deadline::Ahead, Verdict::Continue,
    Some(Reason::ServingTooShort { served: Duration::from_secs(55), needed: Duration::from_mins(1) }))]
#[case::no_looks(&[], 600, Deadline::Reached, Verdict::Inconclusive, Some(Reason::NoRequests))]
#[case::primary_alone_gets_requests(&[(120, (0.0, 0.0), (5000.0, 4.0))], 600, Deadline::Reached, Verdict::Inconclusive, Some(Reason::NoRequests))]
#[case::little_traffic(&[(18, (3.0, 0.0), (30.0, 0.0))], 600, Deadline::Reached, Verdict::Inconclusive,
    Some(Reason::TooFewRequests { needed: 338.0, seen: 54.0 }))]
#[case::very_little_traffic(&[(100, (0.1, 0.0), (1.0, 0.0))], 600, Deadline::Ahead, Verdict::Continue,
    Some(Reason::TooFewRequests { needed: 338.0, seen: 10.0 }))]
#[case::both_bad(&[(120, (450.0, 13.0), (4550.0, 136.0))], 600, Deadline::Reached, Verdict::Inconclusive,
    Some(Reason::LimitNotAbovePrimary { primary_rate: 136.0 / 4550.0 }))]
#[case::mends_the_primary(&[(12, (450.0, 0.0), (4550.0, 136.0))], 60, Deadline::Ahead, Verdict::Promote, None)]
#[case::outage_that_goes_on(&[(12, (450.0, 0.0), (4550.0, 4.0)), (6, (450.0, 225.0), (4550.0, 2275.0))], 90, Deadline::Ahead, Verdict::Continue,
    Some(Reason::PrimaryFailing { primary_rate: 0.5 }))]
#[case::outage_just_over(&[(6, (450.0, 0.0), (4550.0, 4.0)), (6, (450.0, 225.0), (4550.0, 2275.0)), (1, (450.0, 0.0), (4550.0, 4.0))], 65,
    Deadline::Ahead, Verdict::Continue,
    Some(Reason::ServingTooShort { served: Duration::from_secs(35), needed: Duration::from_mins(1) }))]
#[case::a_little_worse(&[(120, (450.0, 1.0), (4550.0, 6.0))], 60, Deadline::Ahead, Verdict::Continue,
    Some(Reason::Suspicion { rate: 1.0 / 450.0, tolerated: 1.5 * 6.0 / 4550.0 }))]
fn verdicts(
    #[case] rows: &[Row],
    #[case] served: u64,
    #[case] deadline: Deadline,
    #[case] verdict: Verdict,
    #[case] reason: Option<Reason>,
) {
    let analysis = analyse(&looks(rows), Parameters::default(), Duration::from_secs(served), deadline);
    assert_eq!(analysis.verdict, verdict, "{analysis:?}");
    match (analysis.reason, reason) {
        (Some(Reason::TooFewRequests { needed, seen }), Some(Reason::TooFewRequests { needed: wanted_needed, seen: wanted_seen })) => {
            assert!((needed - wanted_needed).abs() < 1e-6 && (seen - wanted_seen).abs() < 1e-6, "{needed} {seen}");
        }
        (Some(Reason::Suspicion { rate, tolerated }), Some(Reason::Suspicion { rate: wanted_rate, tolerated: wanted_tolerated })) => {
            assert!((rate - wanted_rate).abs() < 1e-12 && (tolerated - wanted_tolerated).abs() < 1e-12);
        }
        (Some(Reason::LimitNotAbovePrimary { primary_rate }), Some(Reason::LimitNotAbovePrimary { primary_rate: wanted })) => {
            assert!((primary_rate - wanted).abs() < 1e-12);
        }
        (found, wanted) => assert_eq!(found, wanted),
    }
}

#[test]
fn an_impossible_limit_is_called_so() {
    let clean = looks(&[(120, (450.0, 0.0), (4550.0, 0.0))]);
    let analysis = analyse(&clean, Parameters::default().with_limit(0.0), Duration::from_mins(10), Deadline::Reached);
    assert_eq!((analysis.verdict, analysis.reason), (Verdict::Inconclusive, Some(Reason::LimitNotAbovePrimary { primary_rate: 0.0 })));
}

#[test]
fn the_numbers_of_a_rejection_include_the_warm_up() {
    let mut failing = looks(&[(2, (1364.0, 1364.0), (13_636.0, 14.0))]);
    for look in &mut failing {
        look.warm_up = true;
    }
    let analysis = analyse(&failing, Parameters::default(), Duration::ZERO, Deadline::Ahead);
    assert_eq!((analysis.verdict, analysis.basis), (Verdict::Reject, Basis::Everything));
    assert_eq!(analysis.canary, Counts::new(2728.0, 2728.0));
    assert!(analysis.lower > 0.99 && analysis.upper > 0.999);
    let share = |of: fn(&Counts) -> f64| of(&analysis.canary) / (of(&analysis.canary) + of(&analysis.primary));
    assert!(share(|counts| counts.errors) > 0.98 && share(|counts| counts.requests) < 0.1);
    assert!(analysis.evidence_ratio() >= 100.0);
}

#[test]
fn an_outage_is_left_out_of_the_numbers_of_a_promotion() {
    let rows = looks(&[(6, (450.0, 0.0), (4550.0, 4.0)), (4, (450.0, 225.0), (4550.0, 2275.0)), (6, (450.0, 0.0), (4550.0, 4.0))]);
    let analysis = analyse(&rows, Parameters::default(), Duration::from_secs(80), Deadline::Ahead);
    assert_eq!((analysis.verdict, analysis.basis), (Verdict::Promote, Basis::PrimaryHealthy));
    assert_eq!((analysis.canary, analysis.outage), (Counts::new(5400.0, 0.0), Duration::from_secs(20)));
    assert!(analysis.upper < analysis.limit);
}

/// Scraped last, the canary shows the outage of both one scrape earlier: a delay by as much, and not until the deadline.
#[test]
fn the_onset_of_an_outage_that_only_the_canary_s_scrape_saw_is_part_of_it() {
    let clean = (450.0, 0.0);
    let outage = [(1, (450.0, 300.0), (4550.0, 0.0)), (4, (450.0, 450.0), (4550.0, 4550.0))];
    let rows = looks(&[(6, clean, (4550.0, 0.0)), outage[0], outage[1], (6, clean, (4550.0, 0.0))]);
    let at = |served| analyse(&rows, Parameters::default(), Duration::from_secs(served), Deadline::Ahead);
    assert_eq!(at(84).verdict, Verdict::Continue);
    assert_eq!((at(85).verdict, at(85).outage), (Verdict::Promote, Duration::from_secs(25)));
    assert_eq!(at(85).canary, Counts::new(5400.0, 0.0));
}

/// What fails before the primary does, while the canary then answers, was the canary's own.
#[test]
fn errors_before_an_outage_that_is_not_the_canary_s_count() {
    let rows = looks(&[
        (6, (450.0, 0.0), (4550.0, 0.0)),
        (1, (450.0, 40.0), (4550.0, 0.0)),
        (4, (450.0, 0.0), (4550.0, 4550.0)),
        (6, (450.0, 0.0), (4550.0, 0.0)),
    ]);
    let analysis =
        analyse(&rows, Parameters { bake: Duration::from_secs(30), ..Parameters::default() }, Duration::from_mins(2), Deadline::Ahead);
    assert_eq!(
        (analysis.outage, analysis.verdict),
        (Duration::from_secs(20), Verdict::Promote),
        "by all looks: it is better than the primary"
    );
    assert_eq!(analysis.canary, Counts::new(7650.0, 40.0));
}

#[test]
fn an_error_in_the_open_block_holds_promotion_back_but_does_not_reject() {
    let parameters = Parameters { min_requests: 1.0, ..Parameters::default() }.with_limit(0.2);
    let mut quiet = looks(&[(9, (2.0, 0.0), (20.0, 0.0))]);
    quiet.extend(looks(&[(1, (1.0, 0.0), (20.0, 0.0))]));
    let served = Duration::from_mins(1);
    assert_eq!(analyse(&quiet, parameters, served, Deadline::Ahead).verdict, Verdict::Promote);
    let mut failing = quiet;
    failing.extend(looks(&[(1, (1.0, 1.0), (20.0, 0.0))]));
    let analysis = analyse(&failing, parameters, served, Deadline::Ahead);
    assert_eq!(analysis.verdict, Verdict::Continue);
    assert!(analysis.speaks_against());
}

#[rstest]
#[case(&[], Verdict::Continue)]
#[case(&[Verdict::Promote, Verdict::Promote], Verdict::Promote)]
#[case(&[Verdict::Promote, Verdict::Inconclusive], Verdict::Inconclusive)]
#[case(&[Verdict::Inconclusive, Verdict::Continue, Verdict::Promote], Verdict::Continue)]
#[case(&[Verdict::Promote, Verdict::Reject, Verdict::Continue], Verdict::Reject)]
fn several_metrics(#[case] verdicts: &[Verdict], #[case] expected: Verdict) {
    assert_eq!(overall(verdicts.iter().copied()), expected);
}

/// Each look ends with the canary's scrape; the ten pods of the primary were scraped up to an interval earlier, most of them long before.
#[rstest]
#[case::at_once(0.0)]
#[case::a_moment_before_the_scrape(0.05)]
#[case::shortly_before_the_scrape(0.15)]
#[case::before_most_scrapes_of_the_primary(0.4)]
#[case::long_before_the_scrape(0.8)]
fn an_outage_that_both_share_rejects_nobody_wherever_between_the_scrapes_it_begins(#[case] before_the_scrape: f64) {
    // In intervals since the outage began: how much of the one that ends `now` was in it.
    let share = |now: f64| now.clamp(0.0, 1.0);
    let look = |index: i32| {
        let now = before_the_scrape + f64::from(index);
        let errors = (0..10).map(|pod| 450.0 * share(now - 1.0 + f64::from(pod * pod) / 100.0)).sum::<f64>();
        Look {
            canary: Counts::new(450.0, 450.0 * share(now)),
            primary: Counts::new(4500.0, errors),
            warm_up: false,
            interval: Duration::from_secs(5),
        }
    };
    let looks: Vec<Look> = (-3..20).map(look).collect();
    for seen in 1..=looks.len() {
        let served = Duration::from_secs(5) * u32::try_from(seen).unwrap();
        let analysis = analyse(&looks[..seen], Parameters::default(), served, Deadline::Ahead);
        assert_eq!(analysis.verdict, Verdict::Continue, "after {seen} looks: {analysis:?}");
    }
}

//! The sentences of every outcome, and each special value.

use rstest::rstest;

use super::*;
use crate::metrics::counting::Sample;

fn series(values: &[f64]) -> Series {
    let samples = (0..).zip(values).map(|(step, value)| Sample { at: step * 5000, value: *value }).collect();
    Series { labels: Labels::new(), samples }
}

const MAX_100: Bounds = Bounds { min: None, max: Some(100.0), min_ratio: None, max_ratio: None };
const WITHIN_HALF_AGAIN: Bounds = Bounds { min: None, max: None, min_ratio: None, max_ratio: Some(1.5) };

fn over(bounds: &Bounds, canary: &[f64]) -> Outcome {
    judge(bounds, &[series(canary)], &[], canary.len(), Progress::Over)
}

const NAN: f64 = f64::NAN;
const INF: f64 = f64::INFINITY;

#[rstest]
#[case::within(&[50.0, 60.0, 55.0, 52.0], Ok("55"))]
#[case::one_odd_sample(&[50.0, 5000.0, 60.0, 55.0, 50.0, 60.0], Ok("60"))]
#[case::at_the_bound(&[100.0, 100.0], Ok("100"))]
#[case::gaps_and_nan(&[NAN, 50.0, NAN, 60.0, 55.0], Ok("55"))]
#[case::small(&[0.000_123, 0.000_123], Ok("0.000123"))]
#[case::outside(&[150.0, 160.0, 155.5, 152.0], Err("155.5 exceeds 100 (middle of 4 values)"))]
#[case::grows(&[10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 200.0, 300.0], Err("200 exceeds 100 (middle of 9 values), in the last third of the run"))]
#[case::recovers_late(&[500.0, 500.0, 500.0, 500.0, 500.0, 50.0, 50.0], Err("500 exceeds 100 (middle of 7 values)"))]
#[case::infinite(&[INF, INF, INF], Err("infinity exceeds 100 (middle of 3 values)"))]
#[case::minus_infinite(&[-INF, -INF, -INF], Ok("-infinity"))]
fn at_the_end(#[case] values: &[f64], #[case] expected: Result<&str, &str>) {
    let expected = expected.map_or_else(|failed| Outcome::Failed(failed.to_owned()), |passed| Outcome::Passed(passed.to_owned()));
    assert_eq!(over(&MAX_100, values), expected);
}

#[rstest]
#[case::empty(&[], "the query gave a number in 0 of 0 steps")]
#[case::one(&[5000.0], "the query gave a number in 1 of 1 steps")]
#[case::mostly_missing(&[NAN, NAN, NAN, NAN, NAN, NAN, 50.0, 50.0], "the query gave a number in 2 of 8 steps")]
fn too_little_is_unknown(#[case] values: &[f64], #[case] reason: &str) {
    assert_eq!(over(&MAX_100, values), Outcome::Unknown(reason.to_owned()));
    assert_eq!(judge(&MAX_100, &[series(values)], &[], values.len(), Progress::Late), Outcome::Waiting);
}

#[test]
fn nothing_found_is_unknown_at_the_end() {
    assert_eq!(judge(&MAX_100, &[], &[], 12, Progress::Late), Outcome::Waiting);
    assert_eq!(judge(&MAX_100, &[], &[], 12, Progress::Over), Outcome::Unknown("the query found no series".to_owned()));
}

#[test]
fn it_fails_early_only_when_nothing_speaks_for_it() {
    let bad = series(&[500.0; 6]);
    let recovering = series(&[500.0, 500.0, 500.0, 500.0, 50.0, 50.0]);
    let failed = Outcome::Failed("500 exceeds 100 (middle of 6 values)".to_owned());
    assert_eq!(judge(&MAX_100, std::slice::from_ref(&bad), &[], 6, Progress::Early), Outcome::Waiting);
    assert_eq!(judge(&MAX_100, &[bad], &[], 6, Progress::Late), failed);
    assert_eq!(judge(&MAX_100, &[recovering], &[], 6, Progress::Late), Outcome::Waiting);
}

#[test]
fn each_of_several_series_must_keep_to_it() {
    let named = |name: &str, values: &[f64]| Series { labels: Labels::from([("queue".to_owned(), name.to_owned())]), ..series(values) };
    let queues = [named("mail", &[1.0, 1.0, 1.0]), named("bills", &[101.0, 102.0, 103.0])];
    assert_eq!(
        judge(&MAX_100, &queues, &[], 3, Progress::Over),
        Outcome::Failed("102 of {queue=bills} exceeds 100 (middle of 3 values)".to_owned())
    );
}

#[rstest]
#[case::within(0.42, 0.4, Ok("1.05 times the primary's"))]
#[case::above(0.8, 0.4, Err("2 times the primary's exceeds 1.5 (middle of 3 values)"))]
#[case::both_idle(0.0, 0.0, Ok("1 times the primary's"))]
#[case::only_the_primary_idle(0.1, 0.0, Err("infinity times the primary's exceeds 1.5 (middle of 3 values)"))]
#[case::both_infinite(INF, INF, Ok("1 times the primary's"))]
fn ratios(#[case] canary: f64, #[case] primary: f64, #[case] expected: Result<&str, &str>) {
    let outcome = judge(&WITHIN_HALF_AGAIN, &[series(&[canary; 3])], &[series(&[primary; 3])], 3, Progress::Over);
    let expected = expected.map_or_else(|failed| Outcome::Failed(failed.to_owned()), |passed| Outcome::Passed(passed.to_owned()));
    assert_eq!(outcome, expected);
}

#[rstest]
#[case(vec![vec![1.0, 1.0]; 2], vec![vec![1.0, 1.0]], "a ratio needs one series on each side, found 2 series of the canary and 1 of the primary; use sum, avg or max")]
#[case(vec![vec![1.0, 1.0]], vec![], "a ratio needs one series on each side, found 1 series of the canary and 0 of the primary; use sum, avg or max")]
#[case(vec![vec![1.0, 1.0]], vec![vec![1.0]], "the query gave a number in 1 of 2 steps for the primary")]
#[case(vec![vec![-1.0, -1.0]], vec![vec![1.0, 1.0]], "a ratio of negative values says nothing (-1 and 1)")]
fn ratios_of_what_has_none(#[case] canary: Vec<Vec<f64>>, #[case] primary: Vec<Vec<f64>>, #[case] reason: &str) {
    let all = |values: &[Vec<f64>]| values.iter().map(|values| series(values)).collect::<Vec<_>>();
    assert_eq!(judge(&WITHIN_HALF_AGAIN, &all(&canary), &all(&primary), 2, Progress::Over), Outcome::Unknown(reason.to_owned()));
}

proptest::proptest! {
    #[test]
    fn whatever_the_values_nothing_panics_and_nan_never_passes(values in proptest::collection::vec(proptest::prelude::any::<f64>(), 0..20)) {
        let outcome = over(&MAX_100, &values);
        if values.iter().all(|value| value.is_nan()) {
            proptest::prop_assert!(matches!(outcome, Outcome::Unknown(_)), "{:?}", outcome);
        }
    }
}

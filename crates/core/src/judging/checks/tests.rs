//! Every outcome, told in its sentence, and each special value.

use std::time::Duration;

use rstest::rstest;

use super::*;
use crate::facts::judgement::Finding;
use crate::message::findings::words;
use crate::metrics::counting::Sample;

fn series(values: &[f64]) -> Series {
    let samples = (0..).zip(values).map(|(step, value)| Sample { at: step * 5000, value: *value }).collect();
    Series { labels: Labels::new(), samples }
}

const MAX_100: Bounds = Bounds { min: None, max: Some(100.0), min_ratio: None, max_ratio: None, ignore_below: None };
const WITHIN_HALF_AGAIN: Bounds = Bounds { min: None, max: None, min_ratio: None, max_ratio: Some(1.5), ignore_below: None };

fn over(bounds: &Bounds, canary: &[f64]) -> Outcome {
    judge(bounds, &[series(canary)], &[], canary.len(), Progress::Over)
}

/// As it is told after no time; what failed is an error.
fn told(outcome: Outcome) -> Result<String, String> {
    let failed = matches!(outcome, Outcome::Failed(_));
    let words = words(&[Finding::Check { name: "c".to_owned(), outcome, served: Duration::ZERO }]);
    let sentence = |start| words.strip_prefix(start).map(str::to_owned).ok_or(words.clone());
    if failed { sentence("check c after 0ms: ").and_then(Err) } else { sentence("check c: ") }
}

fn unknown(outcome: Outcome) -> String {
    assert!(matches!(outcome, Outcome::Unknown(_)), "{outcome:?}");
    told(outcome).unwrap()
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
    assert_eq!(told(over(&MAX_100, values)), expected.map(str::to_owned).map_err(str::to_owned));
}

#[rstest]
#[case::empty(&[], "the query gave a number in 0 of 0 steps")]
#[case::one(&[5000.0], "the query gave a number in 1 of 1 steps")]
#[case::it_ended(&[50.0, 55.0, 50.0, NAN, NAN, NAN], "the query gave no number in the last 3 steps")]
#[case::mostly_missing(&[NAN, NAN, NAN, NAN, NAN, NAN, 50.0, 50.0], "the query gave a number in 2 of 8 steps")]
fn too_little_is_unknown(#[case] values: &[f64], #[case] reason: &str) {
    assert_eq!(unknown(over(&MAX_100, values)), reason);
    assert_eq!(judge(&MAX_100, &[series(values)], &[], values.len(), Progress::Late), Outcome::Waiting);
}

#[test]
fn nothing_found_is_unknown_at_the_end() {
    assert_eq!(judge(&MAX_100, &[], &[], 12, Progress::Late), Outcome::Waiting);
    assert_eq!(unknown(judge(&MAX_100, &[], &[], 12, Progress::Over)), "the query found no series");
}

#[test]
fn it_fails_early_only_when_nothing_speaks_for_it() {
    let bad = series(&[500.0; 6]);
    let recovering = series(&[500.0, 500.0, 500.0, 500.0, 50.0, 50.0]);
    assert_eq!(judge(&MAX_100, std::slice::from_ref(&bad), &[], 6, Progress::Early), Outcome::Waiting);
    let late = judge(&MAX_100, &[bad], &[], 6, Progress::Late);
    assert_eq!(told(late), Err("500 exceeds 100 (middle of 6 values)".to_owned()));
    assert_eq!(judge(&MAX_100, &[recovering], &[], 6, Progress::Late), Outcome::Waiting);
}

#[test]
fn each_of_several_series_must_keep_to_it() {
    let named = |name: &str, values: &[f64]| Series { labels: Labels::from([("queue".to_owned(), name.to_owned())]), ..series(values) };
    let queues = [named("mail", &[1.0, 1.0, 1.0]), named("bills", &[101.0, 102.0, 103.0])];
    let end = judge(&MAX_100, &queues, &[], 3, Progress::Over);
    assert_eq!(told(end), Err("102 of {queue=bills} exceeds 100 (middle of 3 values)".to_owned()));
}

#[rstest]
#[case::within(0.42, 0.4, Ok("1.05 times the primary's"))]
#[case::above(0.8, 0.4, Err("2 times the primary's exceeds 1.5 (middle of 3 values)"))]
#[case::both_idle(0.0, 0.0, Ok("1 times the primary's"))]
#[case::both_infinite(INF, INF, Ok("1 times the primary's"))]
fn ratios(#[case] canary: f64, #[case] primary: f64, #[case] expected: Result<&str, &str>) {
    let outcome = judge(&WITHIN_HALF_AGAIN, &[series(&[canary; 3])], &[series(&[primary; 3])], 3, Progress::Over);
    assert_eq!(told(outcome), expected.map(str::to_owned).map_err(str::to_owned));
}

#[rstest]
#[case(vec![vec![1.0, 1.0]; 2], vec![vec![1.0, 1.0]], "a ratio needs one series on each side, found 2 series of the canary and 1 of the primary; use sum, avg or max")]
#[case(vec![vec![1.0, 1.0]], vec![], "a ratio needs one series on each side, found 1 series of the canary and 0 of the primary; use sum, avg or max")]
#[case(vec![vec![1.0, 1.0]], vec![vec![1.0]], "the query gave a number in 1 of 2 steps for the primary")]
#[case(vec![vec![0.1, 0.1]], vec![vec![0.0, 0.0]], "the primary was 0 all the time: a ratio says nothing; set ignoreBelow or max")]
#[case(vec![vec![-1.0, -1.0]], vec![vec![1.0, 1.0]], "a ratio of negative values says nothing (-1 and 1)")]
fn ratios_of_what_has_none(#[case] canary: Vec<Vec<f64>>, #[case] primary: Vec<Vec<f64>>, #[case] reason: &str) {
    let all = |values: &[Vec<f64>]| values.iter().map(|values| series(values)).collect::<Vec<_>>();
    assert_eq!(unknown(judge(&WITHIN_HALF_AGAIN, &all(&canary), &all(&primary), 2, Progress::Over)), reason);
}

#[rstest]
#[case::small_on_both_sides(0.04, 0.001, Ok("1 times the primary's"))]
#[case::above_it(0.2, 0.001, Err("4 times the primary's exceeds 1.5 (middle of 3 values)"))]
#[case::above_it_beside_nothing(0.06, 0.0, Ok("1.2 times the primary's"))]
#[case::beside_much(0.04, 0.4, Ok("0.1 times the primary's"))]
fn what_is_small_is_no_reason(#[case] canary: f64, #[case] primary: f64, #[case] expected: Result<&str, &str>) {
    let bounds = Bounds { ignore_below: Some(0.05), ..WITHIN_HALF_AGAIN };
    let outcome = judge(&bounds, &[series(&[canary; 3])], &[series(&[primary; 3])], 3, Progress::Over);
    assert_eq!(told(outcome), expected.map(str::to_owned).map_err(str::to_owned));
}

#[test]
fn a_primary_that_was_mostly_idle_is_what_it_was_when_it_was_not() {
    let primary = series(&[0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 4.0, 4.0]);
    let outcome = judge(&WITHIN_HALF_AGAIN, &[series(&[6.0; 10])], &[primary], 10, Progress::Over);
    assert_eq!(told(outcome), Ok("1.5 times the primary's".to_owned()));
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

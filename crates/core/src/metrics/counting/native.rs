//! A native histogram, read as the classic one that it stands for: how many were counted in all, and how many within some bounds.
//!
//! The boundaries of its buckets may be of any width, become fewer while it grows, and those of empty ones are not told. So only what a
//! sample says for certain about a bound is handed on; which bound is known everywhere is `Reading::resolved`'s to find out.

use super::{Labels, Sample, Series};

/// The finest and the coarsest resolution of exponential buckets that Prometheus stores: at `s`, 2 to the power of `s` buckets a doubling.
const FINEST: i32 = 8;
const COARSEST: i32 = -4;
/// Boundaries that are the same but for the last digits of their decimal form.
const SAME: f64 = 1e-6;

/// One bucket that isn't empty.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    pub left: f64,
    pub right: f64,
    pub count: f64,
}

/// One sample: everything counted so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Native {
    /// Milliseconds, as of a [`Sample`].
    pub at: i64,
    pub count: f64,
    pub buckets: Vec<Bucket>,
}

impl Native {
    /// How many were within this bound; nothing where a bucket that isn't empty lies across it. Boundaries that someone wrote down stay
    /// what they are, so there the bound may stand for the boundary below it.
    fn within(&self, bound: f64) -> Option<f64> {
        let across = self.buckets.iter().find(|bucket| bucket.left < bound * (1.0 - SAME) && bucket.right > bound * (1.0 + SAME));
        if across.is_some_and(|bucket| is_exponential(*bucket)) {
            return None;
        }
        Some(self.buckets.iter().filter(|bucket| bucket.right <= bound * (1.0 + SAME)).map(|bucket| bucket.count).sum())
    }
}

fn is_exponential(Bucket { left, right, .. }: Bucket) -> bool {
    let steps = |schema: i32, boundary: f64| boundary.log2() * f64::from(schema).exp2();
    left > 0.0
        && (COARSEST..=FINEST).any(|schema| {
            let (left, right) = (steps(schema, left), steps(schema, right));
            (right - left - 1.0).abs() < 1e-3 && (left - left.round()).abs() < 1e-3
        })
}

/// The boundaries at or below a limit to ask about, the nearest first: one of each resolution, since buckets are joined in pairs when
/// there are too many. The limit itself comes first, for boundaries that someone wrote down.
pub fn bounds(limit: f64) -> Vec<f64> {
    rounded(limit, |steps| (steps + 1e-9).floor())
}

/// The same at or above it.
pub fn bounds_above(limit: f64) -> Vec<f64> {
    rounded(limit, |steps| (steps - 1e-9).ceil())
}

fn rounded(limit: f64, round: fn(f64) -> f64) -> Vec<f64> {
    let mut bounds = vec![limit];
    for schema in (COARSEST..=FINEST).rev() {
        let width = f64::from(-schema).exp2();
        let bound = (round(limit.log2() / width) * width).exp2();
        if bounds.iter().all(|known| (known - bound).abs() > known * SAME) {
            bounds.push(bound);
        }
    }
    bounds
}

/// As series of a classic histogram named by `labels`: the count, the bucket without a bound, and those of `bounds` that are known.
pub fn classic(labels: &Labels, samples: &[Native], bounds: &[String]) -> Vec<Series> {
    let named = |ending: &str, le: Option<&str>| {
        let mut labels = labels.clone();
        labels.entry("__name__".to_owned()).or_default().push_str(ending);
        labels.extend(le.map(|le| ("le".to_owned(), le.to_owned())));
        labels
    };
    let all: Vec<Sample> = samples.iter().map(|native| Sample { at: native.at, value: native.count }).collect();
    let mut series = vec![
        Series { labels: named("_count", None), samples: all.clone() },
        Series { labels: named("_bucket", Some("+Inf")), samples: all },
    ];
    let mut known: Vec<f64> = Vec::new();
    for le in bounds {
        // One bound may be asked for in two spellings.
        let is_new = |bound: &f64| bound.is_finite() && known.iter().all(|one| one.total_cmp(bound).is_ne());
        let Some(bound) = le.parse().ok().filter(is_new) else { continue };
        known.push(bound);
        let known = samples.iter().filter_map(|native| Some(Sample { at: native.at, value: native.within(bound)? }));
        series.push(Series { labels: named("_bucket", Some(le)), samples: known.collect() });
    }
    series
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn native(buckets: &[(f64, f64, f64)]) -> Native {
        let buckets: Vec<Bucket> =
            buckets.iter().map(|(left, right, count)| Bucket { left: *left, right: *right, count: *count }).collect();
        Native { at: 0, count: buckets.iter().map(|bucket| bucket.count).sum(), buckets }
    }

    #[rstest]
    #[case::at_a_boundary(0.25, Some(7.0))]
    #[case::between_empty_buckets(0.3, Some(7.0))]
    #[case::inside_a_bucket(0.9, None)]
    #[case::below_all(0.001, Some(0.0))]
    #[case::above_all(3.0, Some(12.0))]
    fn exponential_buckets(#[case] bound: f64, #[case] expected: Option<f64>) {
        assert_eq!(native(&[(0.125, 0.25, 7.0), (0.5, 1.0, 5.0)]).within(bound), expected);
    }

    #[rstest]
    #[case::inside_a_bucket(0.3, 7.0)]
    #[case::in_the_lowest(0.001, 0.0)]
    #[case::in_the_last(60.0, 12.0)]
    fn written_buckets(#[case] bound: f64, #[case] expected: f64) {
        let buckets = [(f64::NEG_INFINITY, 0.1, 3.0), (0.1, 0.25, 4.0), (0.25, 0.6, 2.0), (0.6, 10.0, 3.0), (10.0, f64::INFINITY, 1.0)];
        assert_eq!(native(&buckets).within(bound), Some(expected));
    }

    #[test]
    fn bounds_to_ask_about() {
        let asked = bounds(0.3);
        assert_eq!((asked[0], *asked.last().unwrap()), (0.3, 2.0_f64.powi(-16)));
        assert!(asked.windows(2).all(|pair| pair[0] > pair[1]) && asked.contains(&0.25), "{asked:?}");
        assert!(asked[1] > 0.299 && asked.len() <= 14, "{asked:?}");
        assert_eq!(bounds(0.25), [0.25, 0.0625, 2.0_f64.powi(-8), 2.0_f64.powi(-16)]);
    }

    #[test]
    fn it_reads_as_a_classic_one() {
        let labels = Labels::from([("__name__", "latency_seconds"), ("pod", "a")].map(|(name, value)| (name.to_owned(), value.to_owned())));
        let samples = [native(&[(0.125, 0.25, 7.0)]), Native { at: 5000, ..native(&[(0.125, 0.25, 7.0), (0.25, 0.5, 2.0)]) }];
        let asked = ["0.3", "0.25", "0.250", "+Inf"].map(str::to_owned);
        let series = classic(&labels, &samples, &asked);
        let said: Vec<String> = series
            .iter()
            .map(|one| {
                let values: Vec<f64> = one.samples.iter().map(|sample| sample.value).collect();
                format!("{} {:?} {values:?}", one.name(), one.label("le"))
            })
            .collect();
        assert_eq!(
            said,
            [
                r#"latency_seconds_count "" [7.0, 9.0]"#,
                r#"latency_seconds_bucket "+Inf" [7.0, 9.0]"#,
                r#"latency_seconds_bucket "0.3" [7.0]"#,
                r#"latency_seconds_bucket "0.25" [7.0, 7.0]"#
            ]
        );
    }

    proptest! {
        /// Whatever the resolution, and however often it is halved: the coarsest that was seen has a bound, it is known in all samples, and
        /// what it says is what was observed.
        #[test]
        fn one_bound_is_known_at_every_resolution(
            observed in prop::collection::vec(0.0001_f64..50.0, 1..80), limit in 0.001_f64..20.0, schemas in prop::collection::vec(-4_i32..=8, 1..4)
        ) {
            let bucket = |schema: i32, value: f64| (value.log2() * f64::from(schema).exp2()).ceil();
            let at = |schema: i32| {
                let mut buckets: Vec<Bucket> = Vec::new();
                for value in &observed {
                    let boundary = |index: f64| (index * f64::from(-schema).exp2()).exp2();
                    let right = bucket(schema, *value);
                    buckets.push(Bucket { left: boundary(right - 1.0), right: boundary(right), count: 1.0 });
                }
                Native { at: 0, count: observed.len() as f64, buckets }
            };
            let samples: Vec<Native> = schemas.iter().map(|schema| at(*schema)).collect();
            let known = bounds(limit).into_iter().find_map(|bound| {
                let within: Option<Vec<f64>> = samples.iter().map(|sample| sample.within(bound)).collect();
                Some((bound, within?))
            });
            let Some((bound, within)) = known else { return Err(TestCaseError::fail("no bound")) };
            let truth = observed.iter().filter(|value| **value <= bound).count() as f64;
            // An observation at the very edge may fall to either side by the last digit.
            let at_edge = observed.iter().filter(|value| (**value - bound).abs() < bound * 1e-4).count() as f64;
            prop_assert!(bound <= limit && within.iter().all(|within| (within - truth).abs() <= at_edge), "{bound} {within:?} {truth}");
        }
    }
}

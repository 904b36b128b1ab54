//! Raw samples of one time series, as a metrics source hands them over. Times are the source's own, in milliseconds since the epoch;
//! nothing here may be compared with our clock. Values may be garbage: `Series::cleaned` says what is kept.

use std::collections::BTreeMap;

/// Labels of a series, `__name__` among them.
pub type Labels = BTreeMap<String, String>;

/// Counters above this aren't counts any more: integers stop being exact.
const LARGEST_COUNT: f64 = 9_007_199_254_740_992.0;

/// One value at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Milliseconds since the epoch, by the clock of the source.
    pub at: i64,
    pub value: f64,
}

/// One series with its samples since some time before the run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    pub labels: Labels,
    pub samples: Vec<Sample>,
}

impl Series {
    /// The metric's name, empty when the series has none.
    pub fn name(&self) -> &str {
        self.label("__name__")
    }

    /// The value of a label; a missing label is the empty one, as in PromQL.
    pub fn label(&self, name: &str) -> &str {
        self.labels.get(name).map_or("", String::as_str)
    }

    /// The series with its newest sample alone.
    #[must_use]
    pub fn newest(&self) -> Self {
        Self { labels: self.labels.clone(), samples: self.samples.last().copied().into_iter().collect() }
    }

    /// What a counter can have said: finite, not negative, one sample a time, in order of time. Staleness markers are NaN and go too.
    pub fn cleaned(&self) -> Vec<Sample> {
        let mut samples: Vec<Sample> =
            self.samples.iter().copied().filter(|sample| (0.0..=LARGEST_COUNT).contains(&sample.value)).collect();
        samples.sort_by_key(|sample| sample.at);
        samples.dedup_by_key(|sample| sample.at);
        samples
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn garbage_is_left_out() {
        let values = [(3, 5.0), (1, 2.0), (1, 2.0), (2, f64::NAN), (4, -1.0), (5, f64::INFINITY), (6, 1e300)];
        let series = Series { labels: Labels::new(), samples: values.map(|(at, value)| Sample { at, value }).to_vec() };
        assert_eq!(series.cleaned(), [Sample { at: 1, value: 2.0 }, Sample { at: 3, value: 5.0 }]);
    }
}

//! Judges a user's own check over a whole run. One odd sample decides nothing: the middle value (median) of the run, and of its last third, must
//! keep to the bounds. A check fails early only from the middle of the run on, when both are outside; it passes only at the end.
//!
//! Not a number, and a step without a value, are missing values. Infinities are values. Of several series each must keep to the bounds. What has too
//! few values is neither passed nor failed.

use crate::api::checks::Bounds;
use crate::facts::checked::{Amount, Bound, Breach, Failed, Outcome, Passed, Side, Unknown};
use crate::metrics::counting::{Labels, Series};
use crate::statistics;

/// Where the run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Before the middle of the duration.
    Early,
    Late,
    /// The duration is over: the check must be decided.
    Over,
}

/// Fewer values than this say nothing about a run.
const FEWEST: usize = 2;

/// Judges the answers of one query: about the canary's pods, and when a ratio is wanted, about the primary's. `steps` is how many values each series
/// could have.
pub fn judge(bounds: &Bounds, canary: &[Series], primary: &[Series], steps: usize, progress: Progress) -> Outcome {
    match middles(bounds, canary, primary, steps) {
        Err(_) if progress != Progress::Over => Outcome::Waiting,
        Err(reason) => Outcome::Unknown(reason),
        Ok(middles) => verdict(&middles, progress),
    }
}

/// One number to be judged: its middle value over the run and over the last third.
struct Middle {
    series: Vec<(String, String)>,
    unit: fn(f64) -> Amount,
    low: Option<f64>,
    high: Option<f64>,
    whole: f64,
    recent: f64,
    values: usize,
}

fn middles(bounds: &Bounds, canary: &[Series], primary: &[Series], steps: usize) -> Result<Vec<Middle>, Unknown> {
    if canary.is_empty() {
        return Err(Unknown::NoSeries { namespace: None });
    }
    let mut middles = Vec::new();
    if bounds.min.is_some() || bounds.max.is_some() {
        for one in canary {
            let Values { whole, recent, count, .. } = values(one, Side::Canary, steps)?;
            let series = if canary.len() > 1 { described(&one.labels) } else { Vec::new() };
            middles.push(Middle { series, unit: Amount::Plain, low: bounds.min, high: bounds.max, whole, recent, values: count });
        }
    }
    if bounds.needs_primary() {
        let ([canary], [primary]) = (canary, primary) else {
            return Err(Unknown::SeveralSeries { canary: canary.len(), primary: primary.len() });
        };
        let (canary, primary) = (values(canary, Side::Canary, steps)?, values(primary, Side::Primary, steps)?);
        let ignore_below = bounds.ignore_below.unwrap_or(0.0);
        let whole = ratio(canary.whole, primary.whole, primary.usual_most, ignore_below)?;
        let recent = ratio(canary.recent, primary.recent, primary.recent_most, ignore_below)?;
        let (unit, low, high) = (Amount::TimesThePrimarys as fn(f64) -> Amount, bounds.min_ratio, bounds.max_ratio);
        middles.push(Middle { series: Vec::new(), unit, low, high, whole, recent, values: canary.count });
    }
    Ok(middles)
}

fn verdict(middles: &[Middle], progress: Progress) -> Outcome {
    let failed = middles.iter().find_map(|middle| {
        let (whole, recent) = (middle.breach(middle.whole), middle.breach(middle.recent));
        match progress {
            Progress::Early => None,
            Progress::Late => whole.filter(|_| recent.is_some()),
            Progress::Over => whole.or_else(|| recent.map(|breach| Breach { in_the_last_third: true, ..breach })),
        }
    });
    match (failed, progress) {
        (Some(breach), _) => Outcome::Failed(Failed::Query(breach)),
        (None, Progress::Early | Progress::Late) => Outcome::Waiting,
        (None, Progress::Over) => Outcome::Passed(Passed::Query(middles.iter().map(|middle| (middle.unit)(middle.whole)).collect())),
    }
}

impl Middle {
    /// How a value breaks a bound, if it does.
    fn breach(&self, value: f64) -> Option<Breach> {
        let bound = Bound::broken(value, self.low, self.high)?;
        let (amount, series) = ((self.unit)(value), self.series.clone());
        Some(Breach { amount, series, bound, values: self.values, in_the_last_third: false })
    }
}

struct Values {
    whole: f64,
    recent: f64,
    /// Nine of ten values are not above it: over the run, and in its last third.
    usual_most: f64,
    recent_most: f64,
    count: usize,
}

fn values(series: &Series, side: Side, steps: usize) -> Result<Values, Unknown> {
    let values: Vec<f64> = series.samples.iter().map(|sample| sample.value).filter(|value| !value.is_nan()).collect();
    if values.len() < FEWEST || values.len() * 3 < steps {
        return Err(Unknown::TooFewValues { side, values: values.len(), steps: steps.max(values.len()) });
    }
    // What ended is not what is: a page may have died with the last good value on it.
    let ended = series.samples.iter().rev().take_while(|sample| sample.value.is_nan()).count();
    if ended * 3 > series.samples.len().max(steps) {
        return Err(Unknown::Ended { side, steps: ended });
    }
    let last_third = (values.len() / 3).max(FEWEST);
    let last = &values[values.len() - last_third..];
    let count = values.len();
    Ok(Values { whole: middle(&values), recent: middle(last), usual_most: ninth_tenth(&values), recent_most: ninth_tenth(last), count })
}

/// The median; of two in the middle the one that speaks up, since an average of infinities is no number.
fn middle(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

/// By the nearest rank.
fn ninth_tenth(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get((sorted.len() * 9).div_ceil(10).saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// Nothing over nothing is as it should be; something over nothing says nothing, unless the user said from where on it counts.
fn ratio(canary: f64, primary: f64, primary_most: f64, ignore_below: f64) -> Result<f64, Unknown> {
    if canary < 0.0 || primary < 0.0 {
        return Err(Unknown::Negative { canary, primary });
    }
    // Two infinities are alike, and their quotient would be no number.
    if canary.is_infinite() && primary.is_infinite() {
        return Ok(1.0);
    }
    statistics::ratio(canary, primary, primary_most, ignore_below).ok_or(Unknown::PrimaryWasZero)
}

/// The first labels of a series tell it from the others.
fn described(labels: &Labels) -> Vec<(String, String)> {
    let own = labels.iter().filter(|(name, _)| *name != "__name__");
    own.take(3).map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests;

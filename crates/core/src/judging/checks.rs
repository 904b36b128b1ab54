//! Judges a user's own check over a whole run. One odd sample decides nothing: the middle value (median) of the run, and of its last third, must
//! keep to the bounds. A check fails early only from the middle of the run on, when both are outside; it passes only at the end.
//!
//! Not a number, and a step without a value, are missing values. Infinities are values. Of several series each must keep to the bounds. What has too
//! few values is neither passed nor failed.

use crate::api::checks::Bounds;
pub use crate::facts::judgement::Outcome;
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
    of: String,
    unit: Unit,
    low: Option<f64>,
    high: Option<f64>,
    whole: f64,
    recent: f64,
    values: usize,
}

#[derive(Clone, Copy)]
enum Unit {
    Plain,
    /// Times the primary's value.
    Ratio,
}

fn middles(bounds: &Bounds, canary: &[Series], primary: &[Series], steps: usize) -> Result<Vec<Middle>, String> {
    if canary.is_empty() {
        return Err("the query found no series".to_owned());
    }
    let mut middles = Vec::new();
    if bounds.min.is_some() || bounds.max.is_some() {
        for series in canary {
            let Values { whole, recent, count, .. } = values(series, steps)?;
            let of = if canary.len() > 1 { described(&series.labels) } else { String::new() };
            middles.push(Middle { of, unit: Unit::Plain, low: bounds.min, high: bounds.max, whole, recent, values: count });
        }
    }
    if bounds.needs_primary() {
        let ([canary], [primary]) = (canary, primary) else {
            let sides = format!("{} series of the canary and {} of the primary", canary.len(), primary.len());
            return Err(format!("a ratio needs one series on each side, found {sides}; use sum, avg or max"));
        };
        let (canary, primary) = (values(canary, steps)?, values(primary, steps).map_err(|reason| format!("{reason} for the primary"))?);
        let ignore_below = bounds.ignore_below.unwrap_or(0.0);
        let whole = ratio(canary.whole, primary.whole, primary.usual_most, ignore_below)?;
        let recent = ratio(canary.recent, primary.recent, primary.recent_most, ignore_below)?;
        let (low, high) = (bounds.min_ratio, bounds.max_ratio);
        middles.push(Middle { of: String::new(), unit: Unit::Ratio, low, high, whole, recent, values: canary.count });
    }
    Ok(middles)
}

fn verdict(middles: &[Middle], progress: Progress) -> Outcome {
    let failed = middles.iter().find_map(|middle| {
        let (whole, recent) = (middle.breach(middle.whole), middle.breach(middle.recent));
        match progress {
            Progress::Early => None,
            Progress::Late => whole.filter(|_| recent.is_some()),
            Progress::Over => whole.or_else(|| recent.map(|sentence| format!("{sentence}, in the last third of the run"))),
        }
    });
    match (failed, progress) {
        (Some(sentence), _) => Outcome::Failed(sentence),
        (None, Progress::Early | Progress::Late) => Outcome::Waiting,
        (None, Progress::Over) => Outcome::Passed(middles.iter().map(Middle::said).collect::<Vec<_>>().join(", ")),
    }
}

impl Middle {
    /// How a value breaks a bound, if it does.
    fn breach(&self, value: f64) -> Option<String> {
        let (word, bound) = match (self.low, self.high) {
            (Some(low), _) if value < low => ("is below", low),
            (_, Some(high)) if value > high => ("exceeds", high),
            _ => return None,
        };
        let what = match self.unit {
            Unit::Plain => number(value),
            Unit::Ratio => format!("{} times the primary's", number(value)),
        };
        let of = if self.of.is_empty() { String::new() } else { format!(" of {}", self.of) };
        Some(format!("{what}{of} {word} {} (middle of {} values)", number(bound), self.values))
    }

    fn said(&self) -> String {
        match self.unit {
            Unit::Plain => number(self.whole),
            Unit::Ratio => format!("{} times the primary's", number(self.whole)),
        }
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

fn values(series: &Series, steps: usize) -> Result<Values, String> {
    let values: Vec<f64> = series.samples.iter().map(|sample| sample.value).filter(|value| !value.is_nan()).collect();
    if values.len() < FEWEST || values.len() * 3 < steps {
        return Err(format!("the query gave a number in {} of {} steps", values.len(), steps.max(values.len())));
    }
    // What ended is not what is: a page may have died with the last good value on it.
    let ended = series.samples.iter().rev().take_while(|sample| sample.value.is_nan()).count();
    if ended * 3 > series.samples.len().max(steps) {
        return Err(format!("the query gave no number in the last {ended} steps"));
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
fn ratio(canary: f64, primary: f64, primary_most: f64, ignore_below: f64) -> Result<f64, String> {
    if canary < 0.0 || primary < 0.0 {
        return Err(format!("a ratio of negative values says nothing ({} and {})", number(canary), number(primary)));
    }
    // Two infinities are alike, and their quotient would be no number.
    if canary.is_infinite() && primary.is_infinite() {
        return Ok(1.0);
    }
    statistics::ratio(canary, primary, primary_most, ignore_below)
        .ok_or_else(|| "the primary was 0 all the time: a ratio says nothing; set ignoreBelow or max".to_owned())
}

/// Which of two bounds a value breaks, in words; the value itself is not told.
pub fn exceeds(value: f64, min: Option<f64>, max: Option<f64>) -> Option<String> {
    let above = max.filter(|max| value > *max).map(|max| format!("exceeds {}", number(max)));
    above.or_else(|| min.filter(|min| value < *min).map(|min| format!("is below {}", number(min))))
}

/// As short as a person would write it.
pub(super) fn number(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "infinity".to_owned() } else { "-infinity".to_owned() };
    }
    let size = value.abs();
    if value.fract().abs() < f64::EPSILON && size < 1e15 {
        return format!("{value:.0}");
    }
    let digits = if size >= 100.0 {
        1
    } else if size >= 0.1 {
        3
    } else {
        6
    };
    let text = format!("{value:.digits$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn described(labels: &Labels) -> String {
    let pairs: Vec<String> =
        labels.iter().filter(|(name, _)| *name != "__name__").take(3).map(|(name, value)| format!("{name}={value}")).collect();
    format!("{{{}}}", pairs.join(","))
}

#[cfg(test)]
mod tests;

//! What Datadog answers, made into series: one sample for each point, tags as labels.

use serde::Deserialize;

use crate::metrics::counting::{Labels, Sample, Series};
use crate::metrics::stores::{Problem, brief, few::Few};

/// More is no answer to a question of ours, and small texts of a large answer would be large in memory.
const MOST_SERIES: usize = 1000;
const MOST_TAGS: usize = 50;
const MOST_POINTS: usize = 3000;

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    status: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    series: Few<Row, MOST_SERIES>,
}

#[derive(Deserialize)]
struct Row {
    #[serde(default)]
    metric: String,
    /// Which of the queries of one request it answers.
    #[serde(default)]
    query_index: usize,
    #[serde(default)]
    tag_set: Few<String, MOST_TAGS>,
    /// Milliseconds and a value; a bucket without points has none.
    #[serde(default)]
    pointlist: Few<(f64, Option<f64>), MOST_POINTS>,
}

#[derive(Deserialize)]
struct Refusal {
    errors: Vec<String>,
}

pub fn parse(body: &[u8]) -> Result<Vec<(usize, Series)>, Problem> {
    let answer: Answer = serde_json::from_slice(body).map_err(|error| {
        let starts_html = body.trim_ascii_start().starts_with(b"<");
        if starts_html { Problem::NotJson("HTML") } else { Problem::Unexpected(brief(&error.to_string())) }
    })?;
    if answer.status != "ok" || !answer.error.is_empty() {
        let reason = if answer.error.is_empty() { &answer.status } else { &answer.error };
        return Err(Problem::Refused(brief(reason)));
    }
    Ok(answer.series.0.into_iter().map(|row| (row.query_index, series(row))).collect())
}

/// What an answer with an error status says.
pub fn refusal(body: &[u8]) -> Option<String> {
    let refusal: Refusal = serde_json::from_slice(body).ok()?;
    Some(refusal.errors.join(", "))
}

fn series(row: Row) -> Series {
    let mut labels = Labels::from([("__name__".to_owned(), row.metric)]);
    labels.extend(row.tag_set.0.iter().filter_map(|tag| tag.split_once(':')).map(|(name, value)| (name.to_owned(), value.to_owned())));
    #[expect(clippy::cast_possible_truncation, reason = "a time beyond the range is as wrong as its end")]
    let samples = row.pointlist.0.into_iter().filter_map(|(at, value)| Some(Sample { at: at as i64, value: value? })).collect();
    Series { labels, samples }
}

/// Counts in buckets summed up, under the name that was asked for: what a counter would have said.
pub fn counter(mut series: Series, metric: &str) -> Series {
    series.labels.insert("__name__".to_owned(), metric.to_owned());
    let mut total = 0.0;
    for sample in &mut series.samples {
        total += sample.value.max(0.0);
        sample.value = total;
    }
    series
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three bytes each, which would be eighty in memory.
    #[test]
    fn many_small_series_are_no_answer() {
        let rows = |count: usize| format!(r#"{{"status":"ok","series":[{}]}}"#, vec!["{}"; count].join(","));
        assert_eq!(parse(rows(MOST_SERIES).as_bytes()).unwrap().len(), MOST_SERIES);
        assert!(matches!(parse(rows(MOST_SERIES + 1).as_bytes()), Err(Problem::Unexpected(_))));
    }
}

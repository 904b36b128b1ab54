//! What Datadog answers, made into series: one sample for each point, tags as labels.

use serde::Deserialize;

use super::super::Problem;
use super::super::error::brief;
use coalmine_core::metrics::counting::{Labels, Sample, Series};

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    status: String,
    #[serde(default)]
    error: String,
    #[serde(default)]
    series: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    #[serde(default)]
    metric: String,
    /// Which of the queries of one request it answers.
    #[serde(default)]
    query_index: usize,
    #[serde(default)]
    tag_set: Vec<String>,
    /// Milliseconds and a value; a bucket without points has none.
    #[serde(default)]
    pointlist: Vec<(f64, Option<f64>)>,
}

#[derive(Deserialize)]
struct Refusal {
    errors: Vec<String>,
}

pub(super) fn parse(body: &[u8]) -> Result<Vec<(usize, Series)>, Problem> {
    let answer: Answer = serde_json::from_slice(body).map_err(|error| {
        let starts_html = body.trim_ascii_start().starts_with(b"<");
        if starts_html { Problem::NotJson("HTML") } else { Problem::Unexpected(brief(&error.to_string())) }
    })?;
    if answer.status != "ok" || !answer.error.is_empty() {
        let reason = if answer.error.is_empty() { &answer.status } else { &answer.error };
        return Err(Problem::Refused(brief(reason)));
    }
    Ok(answer.series.into_iter().map(|row| (row.query_index, series(row))).collect())
}

/// What an answer with an error status says.
pub(super) fn refusal(body: &[u8]) -> Option<String> {
    let refusal: Refusal = serde_json::from_slice(body).ok()?;
    Some(refusal.errors.join(", "))
}

fn series(row: Row) -> Series {
    let mut labels = Labels::from([("__name__".to_owned(), row.metric)]);
    labels.extend(row.tag_set.iter().filter_map(|tag| tag.split_once(':')).map(|(name, value)| (name.to_owned(), value.to_owned())));
    #[expect(clippy::cast_possible_truncation, reason = "a time beyond the range is as wrong as its end")]
    let samples = row.pointlist.into_iter().filter_map(|(at, value)| Some(Sample { at: at as i64, value: value? })).collect();
    Series { labels, samples }
}

/// Counts in buckets summed up, under the name that was asked for: what a counter would have said.
pub(super) fn counter(mut series: Series, metric: &str) -> Series {
    series.labels.insert("__name__".to_owned(), metric.to_owned());
    let mut total = 0.0;
    for sample in &mut series.samples {
        total += sample.value.max(0.0);
        sample.value = total;
    }
    series
}

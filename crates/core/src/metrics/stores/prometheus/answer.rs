//! What the query API answers, checked and made into series. Tolerant of members it doesn't know, strict about those it needs.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::metrics::counting::native::{self, Bucket, Native};
use crate::metrics::counting::{Labels, Sample, Series};
use crate::metrics::stores::{Problem, brief};

/// Thousands of pods with a histogram each; rows of nothing would be sixty times as large in memory as they are sent.
pub const MOST_ROWS: usize = 200_000;

#[derive(Deserialize)]
struct Envelope<'a> {
    status: &'a str,
    #[serde(borrow)]
    data: Option<Data<'a>>,
    error: Option<String>,
    warnings: Option<Vec<String>>,
    /// `VictoriaMetrics` says it so.
    #[serde(rename = "isPartial")]
    is_partial: Option<bool>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(rename = "resultType")]
    result_type: &'a str,
    #[serde(borrow)]
    result: &'a RawValue,
}

/// `[1790000000.123, "12.5"]`
#[derive(Deserialize)]
struct Point<'a>(f64, #[serde(borrow)] Cow<'a, str>);

/// `[1790000000.123, {"count": "12", "sum": "3.4", "buckets": [[0, "0.25", "0.5", "12"]]}]`
#[derive(Deserialize)]
struct HistogramPoint<'a>(f64, #[serde(borrow)] Histogram<'a>);

/// How a bucket is written.
type Written<'a> = (u8, Cow<'a, str>, Cow<'a, str>, Cow<'a, str>);

#[derive(Deserialize)]
struct Histogram<'a> {
    #[serde(borrow)]
    count: Cow<'a, str>,
    /// Which boundaries belong to the bucket, where it begins and ends, and its count. The empty ones are left out.
    #[serde(borrow, default)]
    buckets: Vec<Written<'a>>,
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(default)]
    metric: Labels,
    #[serde(borrow)]
    value: Option<Point<'a>>,
    #[serde(borrow, default)]
    values: Option<Vec<Point<'a>>>,
    #[serde(borrow)]
    histogram: Option<HistogramPoint<'a>>,
    #[serde(borrow, default)]
    histograms: Option<Vec<HistogramPoint<'a>>>,
}

/// The series of a successful and whole answer: vector and scalar with one sample each, matrix with all. Native histograms
/// become the series of classic ones with these bounds, where bounds are given.
pub fn parse(body: &[u8], bounds: Option<&[String]>, most: usize) -> Result<Vec<Series>, Problem> {
    let envelope: Envelope<'_> = serde_json::from_slice(body).map_err(|error| not_json(body, &error))?;
    if envelope.status != "success" {
        return Err(Problem::Refused(brief(envelope.error.as_deref().unwrap_or(envelope.status))));
    }
    if envelope.is_partial == Some(true) {
        return Err(Problem::Partial("isPartial".to_owned()));
    }
    // What the language has to say of a query and of what it was about comes the same way ("PromQL info", "PromQL warning"), and all stores were asked.
    if let Some(warning) = envelope.warnings.iter().flatten().find(|warning| !warning.starts_with("PromQL ")) {
        return Err(Problem::Partial(brief(warning)));
    }
    let data = envelope.data.ok_or_else(|| Problem::Unexpected("without data".to_owned()))?;
    let unexpected = |error: serde_json::Error| Problem::Unexpected(brief(&error.to_string()));
    match data.result_type {
        "matrix" | "vector" => {
            // Counted before they are kept.
            if rows(data.result.get()).map_err(unexpected)? > most {
                return Err(Problem::TooManySeries(most));
            }
            // Some say `null` where there is nothing.
            let rows: Option<Vec<Row<'_>>> = serde_json::from_str(data.result.get()).map_err(unexpected)?;
            let rows = rows.unwrap_or_default();
            let mut natives = Vec::new();
            for row in rows.iter().filter(|_| bounds.is_some()) {
                natives.extend(classic(row, bounds.unwrap_or_default())?);
            }
            let mut all = rows.into_iter().map(series).collect::<Result<Vec<_>, _>>()?;
            all.retain(|series| !series.samples.is_empty());
            // A histogram may be scraped in both forms at once.
            let known: HashSet<Labels> =
                if natives.is_empty() { HashSet::new() } else { all.iter().map(|one| one.labels.clone()).collect() };
            all.extend(natives.into_iter().filter(|native| !native.samples.is_empty() && !known.contains(&native.labels)));
            Ok(all)
        }
        "scalar" => {
            let point: Point<'_> = serde_json::from_str(data.result.get()).map_err(unexpected)?;
            Ok(vec![Series { labels: Labels::new(), samples: vec![sample(&point)?] }])
        }
        other => Err(Problem::WrongType { expected: "numbers", found: brief(other) }),
    }
}

/// How many series there are.
fn rows(result: &str) -> serde_json::Result<usize> {
    let rows: Option<Vec<IgnoredAny>> = serde_json::from_str(result)?;
    Ok(rows.map_or(0, |rows| rows.len()))
}

/// What an answer with an error status says, if it is the API's.
pub fn refusal(body: &[u8]) -> Option<String> {
    let envelope: Envelope<'_> = serde_json::from_slice(body).ok()?;
    envelope.error
}

fn series(row: Row<'_>) -> Result<Series, Problem> {
    let samples = row.values.iter().flatten().chain(&row.value).map(sample).collect::<Result<_, _>>()?;
    Ok(Series { labels: row.metric, samples })
}

fn classic(row: &Row<'_>, bounds: &[String]) -> Result<Vec<Series>, Problem> {
    let natives: Vec<Native> = row.histograms.iter().flatten().chain(&row.histogram).map(native_sample).collect::<Result<_, _>>()?;
    Ok(if natives.is_empty() { Vec::new() } else { native::classic(&row.metric, &natives, bounds) })
}

fn native_sample(HistogramPoint(seconds, histogram): &HistogramPoint<'_>) -> Result<Native, Problem> {
    let bucket = |(_, left, right, count): &Written<'_>| {
        Ok::<_, Problem>(Bucket { left: number(left)?, right: number(right)?, count: number(count)? })
    };
    let buckets = histogram.buckets.iter().map(bucket).collect::<Result<_, _>>()?;
    Ok(Native { at: milliseconds(*seconds), count: number(&histogram.count)?, buckets })
}

fn number(text: &str) -> Result<f64, Problem> {
    text.parse().map_err(|_| Problem::Unexpected(format!("{:?} is no number", brief(text))))
}

#[expect(clippy::cast_possible_truncation, reason = "a float beyond the range becomes its end, which is as wrong as the float")]
fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}

fn sample(Point(seconds, text): &Point<'_>) -> Result<Sample, Problem> {
    Ok(Sample { at: milliseconds(*seconds), value: number(text)? })
}

fn not_json(body: &[u8], error: &serde_json::Error) -> Problem {
    let start = body.trim_ascii_start();
    if error.is_eof() && start.starts_with(b"{") {
        return Problem::Truncated;
    }
    match start.first() {
        None => Problem::NotJson("empty"),
        Some(b'<') => Problem::NotJson("HTML"),
        Some(b'{' | b'[') => Problem::Unexpected(brief(&error.to_string())),
        Some(_) => Problem::NotJson("text"),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn matrix_vector_and_scalar() {
        let matrix = br#"{"status":"success","data":{"resultType":"matrix","result":[
            {"metric":{"__name__":"up","pod":"a"},"values":[[1790000000.5,"1"],[1790000005,"NaN"],[1790000010,"+Inf"]]}]},"infos":["x"]}"#;
        let series = parse(matrix, None, MOST_ROWS).unwrap();
        assert_eq!((series.len(), series[0].name(), series[0].label("pod")), (1, "up", "a"));
        assert_eq!(series[0].samples[0], Sample { at: 1_790_000_000_500, value: 1.0 });
        assert!(series[0].samples[1].value.is_nan() && series[0].samples[2].value.is_infinite());

        let vector = br#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1790000000,"2.5e3"]}]}}"#;
        assert_eq!(parse(vector, None, MOST_ROWS).unwrap()[0].samples, [Sample { at: 1_790_000_000_000, value: 2500.0 }]);
        let scalar = br#"{"data":{"result":[1790000000,"7"],"resultType":"scalar"},"status":"success"}"#;
        assert_eq!(parse(scalar, None, MOST_ROWS).unwrap()[0].samples, [Sample { at: 1_790_000_000_000, value: 7.0 }]);
        let empty =
            br#"{"status":"success","data":{"resultType":"vector","result":[]},"warnings":["PromQL info: metric might not be a counter","PromQL warning: encountered a mix of histograms and floats for aggregation"]}"#;
        assert_eq!(parse(empty, None, MOST_ROWS).unwrap(), []);
    }

    /// Gateways and stores written with other libraries say it so.
    #[test]
    fn nothing_may_be_null() {
        let nothing = br#"{"status":"success","data":{"resultType":"matrix","result":null},"warnings":null,"isPartial":null,"error":null}"#;
        assert_eq!(parse(nothing, None, MOST_ROWS).unwrap(), []);
        let row = br#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"7"],"values":null,"histograms":null}]}}"#;
        assert_eq!(parse(row, None, MOST_ROWS).unwrap()[0].samples.len(), 1);
    }

    #[test]
    fn native_histograms_become_classic_ones() {
        let matrix =
            br#"{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"latency","pod":"a"},"histograms":[
            [1790000000,{"count":"9","sum":"3.5","buckets":[[3,"-0.001","0.001","1"],[0,"0.25","0.5","8"]]}],
            [1790000005,{"count":"0","sum":"0"}]]}]}}"#;
        let values = |series: &Series| series.samples.iter().map(|sample| sample.value).collect::<Vec<_>>();
        let series = parse(matrix, Some(&["0.25".to_owned()]), MOST_ROWS).unwrap();
        let said: Vec<_> = series.iter().map(|one| (one.name(), one.label("le"), values(one))).collect();
        let all = vec![9.0, 0.0];
        assert_eq!(said, [("latency_count", "", all.clone()), ("latency_bucket", "+Inf", all), ("latency_bucket", "0.25", vec![1.0, 0.0])]);
        assert_eq!(parse(matrix, None, MOST_ROWS).unwrap(), [], "to a query of the user's own they are no numbers");
        let vector = br#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"latency"},"histogram":[1,{"count":"9","sum":"1"}]}]}}"#;
        assert_eq!(parse(vector, Some(&[]), MOST_ROWS).unwrap().len(), 2);
        let both = br#"{"status":"success","data":{"resultType":"vector","result":[
            {"metric":{"__name__":"latency"},"histogram":[1,{"count":"9","sum":"1"}]},
            {"metric":{"__name__":"latency_count"},"value":[1,"9"]}]}}"#;
        let counts = parse(both, Some(&[]), MOST_ROWS).unwrap().into_iter().filter(|one| one.name() == "latency_count").count();
        assert_eq!(counts, 1, "scraped in both forms, counted once");
        let wrong =
            br#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"histogram":[1,{"count":"many","sum":"1"}]}]}}"#;
        assert!(matches!(parse(wrong, Some(&[]), MOST_ROWS), Err(Problem::Unexpected(_))));
    }

    #[test]
    fn series_are_counted_before_they_are_kept() {
        let row = r#"{"metric":{"a":"b"},"value":[1,"7"]}"#;
        let vector = format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{}]}}}}"#, [row; 3].join(","));
        assert_eq!(parse(vector.as_bytes(), None, 3).unwrap().len(), 3);
        assert_eq!(parse(vector.as_bytes(), None, 2).unwrap_err(), Problem::TooManySeries(2));
    }

    #[rstest]
    #[case::html("<html>login</html>", "the answer is HTML instead of JSON; is the address right?")]
    #[case::text("upstream error", "the answer is text instead of JSON; is the address right?")]
    #[case::empty("", "the answer is empty instead of JSON; is the address right?")]
    #[case::truncated(r#"{"status":"success","data":{"resultTy"#, "connection lost in the middle of the answer")]
    #[case::refused(
        r#"{"status":"error","errorType":"bad_data","error":"parse error:\n at 1"}"#,
        "it refused the query: parse error: at 1"
    )]
    #[case::no_data(r#"{"status":"success"}"#, "the answer isn't what its API promises (without data)")]
    #[case::string(r#"{"status":"success","data":{"resultType":"string","result":[1,"a"]}}"#, "expected numbers, got string")]
    #[case::partial(
        r#"{"status":"success","data":{"resultType":"vector","result":[]},"warnings":["store-1: timeout"]}"#,
        "it answered in part only: store-1: timeout"
    )]
    #[case::victoria(
        r#"{"status":"success","isPartial":true,"data":{"resultType":"vector","result":[]}}"#,
        "it answered in part only: isPartial"
    )]
    #[case::value(
        r#"{"status":"success","data":{"resultType":"scalar","result":[1,"many"]}}"#,
        "the answer isn't what its API promises (\"many\" is no number)"
    )]
    fn what_is_no_answer(#[case] body: &str, #[case] sentence: &str) {
        assert_eq!(parse(body.as_bytes(), None, MOST_ROWS).unwrap_err().to_string(), sentence);
    }

    #[rstest]
    #[case(r#"{"status":5}"#)]
    #[case(r#"{"status":"success","data":{"resultType":"matrix","result":{"a":1}}}"#)]
    #[case(r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":1},"value":[1,"1"]}]}}"#)]
    #[case(r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":["1","1"]}]}}"#)]
    #[case("[1,2]")]
    fn wrong_types_are_told(#[case] body: &str) {
        assert!(
            matches!(parse(body.as_bytes(), None, MOST_ROWS), Err(Problem::Unexpected(_))),
            "{:?}",
            parse(body.as_bytes(), None, MOST_ROWS)
        );
    }

    proptest::proptest! {
        #[test]
        fn garbage_is_refused_without_a_panic(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = parse(&body, None, MOST_ROWS).unwrap_err();
        }
    }
}

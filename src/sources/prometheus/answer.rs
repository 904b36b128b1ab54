//! What the query API answers, checked and made into series. Tolerant of members it doesn't know, strict about those it needs.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::Problem;
use super::super::error::brief;
use crate::core::counting::{Labels, Sample, Series};

#[derive(Deserialize)]
struct Envelope<'a> {
    status: &'a str,
    #[serde(borrow)]
    data: Option<Data<'a>>,
    error: Option<String>,
    #[serde(default)]
    warnings: Vec<String>,
    /// `VictoriaMetrics` says it so.
    #[serde(default, rename = "isPartial")]
    is_partial: bool,
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
struct Point<'a>(f64, #[serde(borrow)] std::borrow::Cow<'a, str>);

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(default)]
    metric: Labels,
    #[serde(borrow)]
    value: Option<Point<'a>>,
    #[serde(borrow, default)]
    values: Vec<Point<'a>>,
}

/// The series of a successful and whole answer: vector and scalar with one sample each, matrix with all.
pub(super) fn parse(body: &[u8]) -> Result<Vec<Series>, Problem> {
    let envelope: Envelope<'_> = serde_json::from_slice(body).map_err(|error| not_json(body, &error))?;
    if envelope.status != "success" {
        return Err(Problem::Refused(brief(envelope.error.as_deref().unwrap_or(envelope.status))));
    }
    if envelope.is_partial {
        return Err(Problem::Partial("isPartial".to_owned()));
    }
    // Notes on a query's style come the same way and are no reason to doubt the numbers.
    if let Some(warning) = envelope.warnings.iter().find(|warning| !warning.starts_with("PromQL info")) {
        return Err(Problem::Partial(brief(warning)));
    }
    let data = envelope.data.ok_or_else(|| Problem::Unexpected("without data".to_owned()))?;
    let unexpected = |error: serde_json::Error| Problem::Unexpected(brief(&error.to_string()));
    match data.result_type {
        "matrix" | "vector" => {
            let rows: Vec<Row<'_>> = serde_json::from_str(data.result.get()).map_err(unexpected)?;
            rows.into_iter().map(series).collect()
        }
        "scalar" => {
            let point: Point<'_> = serde_json::from_str(data.result.get()).map_err(unexpected)?;
            Ok(vec![Series { labels: Labels::new(), samples: vec![sample(&point)?] }])
        }
        other => Err(Problem::WrongType { expected: "numbers", found: brief(other) }),
    }
}

/// What an answer with an error status says, if it is the API's.
pub(super) fn refusal(body: &[u8]) -> Option<String> {
    let envelope: Envelope<'_> = serde_json::from_slice(body).ok()?;
    envelope.error
}

fn series(row: Row<'_>) -> Result<Series, Problem> {
    let samples = row.values.iter().chain(&row.value).map(sample).collect::<Result<_, _>>()?;
    Ok(Series { labels: row.metric, samples })
}

fn sample(Point(seconds, text): &Point<'_>) -> Result<Sample, Problem> {
    let value = text.parse().map_err(|_| Problem::Unexpected(format!("{:?} is no number", brief(text))))?;
    #[expect(clippy::cast_possible_truncation, reason = "a float beyond the range becomes its end, which is as wrong as the float")]
    Ok(Sample { at: (seconds * 1000.0).round() as i64, value })
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
        let series = parse(matrix).unwrap();
        assert_eq!((series.len(), series[0].name(), series[0].label("pod")), (1, "up", "a"));
        assert_eq!(series[0].samples[0], Sample { at: 1_790_000_000_500, value: 1.0 });
        assert!(series[0].samples[1].value.is_nan() && series[0].samples[2].value.is_infinite());

        let vector = br#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1790000000,"2.5e3"]}]}}"#;
        assert_eq!(parse(vector).unwrap()[0].samples, [Sample { at: 1_790_000_000_000, value: 2500.0 }]);
        let scalar = br#"{"data":{"result":[1790000000,"7"],"resultType":"scalar"},"status":"success"}"#;
        assert_eq!(parse(scalar).unwrap()[0].samples, [Sample { at: 1_790_000_000_000, value: 7.0 }]);
        let empty =
            br#"{"status":"success","data":{"resultType":"vector","result":[]},"warnings":["PromQL info: metric might not be a counter"]}"#;
        assert_eq!(parse(empty).unwrap(), []);
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
        assert_eq!(parse(body.as_bytes()).unwrap_err().to_string(), sentence);
    }

    #[rstest]
    #[case(r#"{"status":5}"#)]
    #[case(r#"{"status":"success","data":{"resultType":"matrix","result":{"a":1}}}"#)]
    #[case(r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{"a":1},"value":[1,"1"]}]}}"#)]
    #[case(r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":["1","1"]}]}}"#)]
    #[case("[1,2]")]
    fn wrong_types_are_told(#[case] body: &str) {
        assert!(matches!(parse(body.as_bytes()), Err(Problem::Unexpected(_))), "{:?}", parse(body.as_bytes()));
    }

    proptest::proptest! {
        #[test]
        fn garbage_is_refused_without_a_panic(body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
            let _ = parse(&body).unwrap_err();
        }
    }
}

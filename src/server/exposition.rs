//! The metrics page in the format that who asks can read: `OpenMetrics` for those who say so, the older text format of Prometheus for all others, whose
//! parsers refuse a whole page for a type that they don't know. What is counted is the parts' own.

use std::fmt::Write as _;

use axum::http::{HeaderMap, header};

const OPEN: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Whoever asks says what they can read.
pub(super) fn is_open(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted.flat_map(|list| list.split(',')).any(|kind| {
        let mut parts = kind.split(';').map(str::trim);
        let is_meant = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("application/openmetrics-text"));
        is_meant && !parts.any(|part| part.strip_prefix("q=").is_some_and(|weight| weight.parse() == Ok(0.0)))
    })
}

/// The type of the page, and the page.
pub(super) fn page(open_metrics: String, is_open: bool) -> (&'static str, String) {
    if is_open { (OPEN, open_metrics) } else { (TEXT, text(&open_metrics)) }
}

/// The samples are the same; what is said of them has their name, and a type that was known.
fn text(open_metrics: &str) -> String {
    let mut page = String::with_capacity(open_metrics.len());
    let mut help = "";
    for line in open_metrics.lines() {
        // Writing to a string cannot fail.
        if let Some(said) = line.strip_prefix("# HELP ") {
            help = said.split_once(' ').map_or("", |(_, help)| help);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|said| said.split_once(' ')) {
            let (end, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                kind => ("", kind),
            };
            let _ = writeln!(page, "# HELP {name}{end} {help}\n# TYPE {name}{end} {kind}");
        } else if !line.starts_with('#') {
            let _ = writeln!(page, "{line}");
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::{
        encoding::text::encode,
        metrics::{counter::Counter, gauge::Gauge, histogram::Histogram, info::Info},
        registry::{Registry, Unit},
    };
    use rstest::rstest;

    #[test]
    fn the_older_format_knows_every_type() {
        let mut registry = Registry::default();
        registry.register("build", "Version", Info::new(vec![("version", "1")]));
        registry.register("reviews", "Reviews", Counter::<u64>::default());
        registry.register_with_unit("memory", "Memory", Unit::Bytes, Gauge::<i64>::default());
        registry.register("took_seconds", "Times", Histogram::new([1.0]));
        let mut open = String::new();
        encode(&mut open, &registry).unwrap();
        insta::assert_snapshot!(text(&open), @r#"
        # HELP build_info Version.
        # TYPE build_info gauge
        build_info{version="1"} 1
        # HELP reviews_total Reviews.
        # TYPE reviews_total counter
        reviews_total 0
        # HELP memory_bytes Memory.
        # TYPE memory_bytes gauge
        memory_bytes 0
        # HELP took_seconds Times.
        # TYPE took_seconds histogram
        took_seconds_sum 0.0
        took_seconds_count 0
        took_seconds_bucket{le="1.0"} 0
        took_seconds_bucket{le="+Inf"} 0
        "#);
        assert_eq!(page(open.clone(), true), (OPEN, open));
    }

    #[rstest]
    #[case::prometheus(&["application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1"], true)]
    #[case::in_two_headers(&["text/plain", "application/OpenMetrics-Text"], true)]
    #[case::the_older_alone(&["text/plain;version=0.0.4"], false)]
    #[case::refused(&["application/openmetrics-text; q=0, text/plain"], false)]
    #[case::a_person(&["*/*"], false)]
    #[case::silent(&[], false)]
    fn who_asks_says_what_they_read(#[case] accept: &[&str], #[case] expected: bool) {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(header::ACCEPT, value.parse().unwrap());
        }
        assert_eq!(is_open(&headers), expected);
    }
}

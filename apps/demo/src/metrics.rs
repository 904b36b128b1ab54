//! The page that Prometheus reads: counters kept in atomics and written by hand, because a request must cost next to nothing.
//!
//! As with the usual client libraries a series of `http_requests_total` appears with its first request, not before.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const CODES: [&str; 3] = ["200", "404", "500"];
/// Methods outside this list share the last place: a client must not be able to make up label values.
const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "OTHER"];
/// The default buckets of the Prometheus client libraries: label, and bound in microseconds.
const BUCKETS: [(&str, u64); 11] = [
    ("0.005", 5_000),
    ("0.01", 10_000),
    ("0.025", 25_000),
    ("0.05", 50_000),
    ("0.1", 100_000),
    ("0.25", 250_000),
    ("0.5", 500_000),
    ("1", 1_000_000),
    ("2.5", 2_500_000),
    ("5", 5_000_000),
    ("10", 10_000_000),
];

/// Counts of user traffic since start.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    requests: [[AtomicU64; METHODS.len()]; CODES.len()],
    /// Requests by the first bucket that holds them; the last place is above every bound.
    durations: [AtomicU64; BUCKETS.len() + 1],
    total_microseconds: AtomicU64,
}

impl Metrics {
    /// `code` is the status as a number; an unknown one counts as 500.
    pub(crate) fn record(&self, code: u16, method: &str, duration: Duration) {
        let method = METHODS.iter().position(|known| *known == method).unwrap_or(METHODS.len() - 1);
        let microseconds = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let code = CODES.iter().position(|known| known.parse() == Ok(code)).unwrap_or(CODES.len() - 1);
        self.requests[code][method].fetch_add(1, Relaxed);
        self.durations[BUCKETS.partition_point(|(_, bound)| *bound < microseconds)].fetch_add(1, Relaxed);
        self.total_microseconds.fetch_add(microseconds, Relaxed);
    }

    /// The page in Prometheus' text format.
    pub(crate) fn page(&self, version: &str, code_label: &str) -> String {
        let mut page = String::with_capacity(2048);
        self.write(&mut page, version, code_label).map_or_else(|_| String::new(), |()| page)
    }

    fn write(&self, page: &mut String, version: &str, code_label: &str) -> std::fmt::Result {
        page.push_str("# HELP http_requests_total Requests answered, by code and method.\n# TYPE http_requests_total counter\n");
        for (code, by_method) in CODES.iter().zip(&self.requests) {
            for (method, requests) in METHODS.iter().zip(by_method) {
                let requests = requests.load(Relaxed);
                if requests > 0 {
                    writeln!(page, "http_requests_total{{{code_label}=\"{code}\",method=\"{method}\"}} {requests}")?;
                }
            }
        }
        page.push_str("# HELP http_request_duration_seconds Time from a request to its answer.\n");
        page.push_str("# TYPE http_request_duration_seconds histogram\n");
        let mut count = 0;
        for ((label, _), requests) in BUCKETS.iter().zip(&self.durations) {
            count += requests.load(Relaxed);
            writeln!(page, "http_request_duration_seconds_bucket{{le=\"{label}\"}} {count}")?;
        }
        count += self.durations[BUCKETS.len()].load(Relaxed);
        writeln!(page, "http_request_duration_seconds_bucket{{le=\"+Inf\"}} {count}")?;
        writeln!(page, "http_request_duration_seconds_sum {}", self.total_microseconds.load(Relaxed) as f64 / 1e6)?;
        writeln!(page, "http_request_duration_seconds_count {count}")?;
        page.push_str("# HELP demo_app_info Always 1; the label says which version runs.\n# TYPE demo_app_info gauge\n");
        writeln!(page, "demo_app_info{{version=\"{version}\"}} 1")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_counted_before_the_first_request() {
        let page = Metrics::default().page("good", "code");
        assert!(!page.contains("http_requests_total{"), "{page}");
        assert!(page.contains("http_request_duration_seconds_count 0\n"), "{page}");
    }

    #[test]
    fn the_page_counts_what_was_recorded() {
        let metrics = Metrics::default();
        metrics.record(200, "GET", Duration::from_millis(5));
        metrics.record(200, "GET", Duration::from_micros(5001));
        metrics.record(200, "BREW", Duration::from_millis(300));
        metrics.record(500, "POST", Duration::from_secs(11));
        insta::assert_snapshot!(metrics.page("1.0", "code"), @r#"
        # HELP http_requests_total Requests answered, by code and method.
        # TYPE http_requests_total counter
        http_requests_total{code="200",method="GET"} 2
        http_requests_total{code="200",method="OTHER"} 1
        http_requests_total{code="500",method="POST"} 1
        # HELP http_request_duration_seconds Time from a request to its answer.
        # TYPE http_request_duration_seconds histogram
        http_request_duration_seconds_bucket{le="0.005"} 1
        http_request_duration_seconds_bucket{le="0.01"} 2
        http_request_duration_seconds_bucket{le="0.025"} 2
        http_request_duration_seconds_bucket{le="0.05"} 2
        http_request_duration_seconds_bucket{le="0.1"} 2
        http_request_duration_seconds_bucket{le="0.25"} 2
        http_request_duration_seconds_bucket{le="0.5"} 3
        http_request_duration_seconds_bucket{le="1"} 3
        http_request_duration_seconds_bucket{le="2.5"} 3
        http_request_duration_seconds_bucket{le="5"} 3
        http_request_duration_seconds_bucket{le="10"} 3
        http_request_duration_seconds_bucket{le="+Inf"} 4
        http_request_duration_seconds_sum 11.310001
        http_request_duration_seconds_count 4
        # HELP demo_app_info Always 1; the label says which version runs.
        # TYPE demo_app_info gauge
        demo_app_info{version="1.0"} 1
        "#);
    }
}

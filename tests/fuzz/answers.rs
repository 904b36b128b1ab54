//! What stores of metrics answer: whatever it is, nothing ends.

use coalmine_core::metrics::stores::{datadog, prometheus};

use super::texts::{fuzz, of_parts};

#[test]
fn of_prometheus() {
    let parts = &[
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"status\"",
        "\"success\"",
        "\"error\"",
        "\"data\"",
        "\"resultType\"",
        "\"matrix\"",
        "\"vector\"",
        "\"scalar\"",
        "\"result\"",
        "\"metric\"",
        "\"value\"",
        "\"values\"",
        "\"histogram\"",
        "\"histograms\"",
        "\"buckets\"",
        "\"count\"",
        "\"warnings\"",
        "\"NaN\"",
        "\"1e999\"",
        "\"-1\"",
        "[1790000000,\"1\"]",
        "{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[",
        "{\"metric\":{\"a\":\"b\"},\"values\":[",
        "{\"metric\":{},\"histograms\":[[1,{\"count\":\"9\",\"buckets\":[[3,\"-1\",\"NaN\",\"1\"]]}]]}",
        "]}]}}",
        "null",
        "true",
        "1e999",
        "\"\\ud800\"",
        "\n",
    ];
    fuzz(of_parts(parts, 30), |text| {
        for bounds in [None, Some(&["0.25".to_owned(), "+Inf".to_owned()][..])] {
            let _ = prometheus::answer::parse(text.as_bytes(), bounds, prometheus::answer::MOST_ROWS);
        }
        let _ = prometheus::answer::refusal(text.as_bytes());
    });
}

#[test]
fn of_datadog() {
    let parts = &[
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"status\"",
        "\"ok\"",
        "\"error\"",
        "\"series\"",
        "\"metric\"",
        "\"query_index\"",
        "\"tag_set\"",
        "\"pointlist\"",
        "\"a:b\"",
        "{\"status\":\"ok\",\"series\":[",
        "{\"metric\":\"m\",\"pointlist\":[",
        "[1e300,-1e300]",
        "[1,null]",
        "]}",
        "]}]}",
        "1e999",
        "-1",
        "null",
        "\"errors\"",
    ];
    fuzz(of_parts(parts, 30), |text| {
        for (_, series) in datadog::parse(text.as_bytes()).unwrap_or_default() {
            datadog::counter(series, "m");
        }
        let _ = datadog::refusal(text.as_bytes());
    });
}

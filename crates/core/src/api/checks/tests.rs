//! What is accepted, and the sentence for everything that isn't.

use rstest::rstest;

use super::*;

#[test]
fn the_contracts_own_example() {
    let checks = parse_list(
        r#"
- name: backlog
  query: max(queue_backlog{namespace="{{namespace}}", pod=~"{{pods}}"})
  max: 100
- name: cpu                     # the same query over the primary's pods is the baseline
  query: avg(rate(container_cpu_usage_seconds_total{pod=~"{{pods}}"}[1m]))
  maxRatio: 1.5
- name: smoke
  job: checkout-smoke
- name: page
  url: http://status.default.svc/health
  json: /database/state
  equals: up
- name: apdex
  source: datadog
  query: avg:trace.http.request.apdex{service:app}
  min: 0.9
- name: usage
  cpuMaxRatio: 1.5
  memoryMaxRatio: 2
"#,
    )
    .unwrap();
    let names: Vec<&str> = checks.iter().map(|check| check.name.as_str()).collect();
    assert_eq!(names, ["backlog", "cpu", "smoke", "page", "apdex", "usage"]);
    assert!(
        matches!(&checks[0].probe, Probe::Query { origin: Origin::Prometheus, bounds, .. } if bounds.max == Some(100.0) && !bounds.needs_primary())
    );
    assert!(matches!(&checks[1].probe, Probe::Query { bounds, .. } if bounds.needs_primary()));
    assert_eq!(checks[2].probe, Probe::Job { cron_job: "checkout-smoke".to_owned() });
    assert!(
        matches!(&checks[3].probe, Probe::Page { pointer, expected: Expected::Equals(value), .. } if pointer == "/database/state" && value == "up")
    );
    assert!(matches!(&checks[4].probe, Probe::Query { origin: Origin::Datadog, .. }));
    assert_eq!(checks[5].probe, Probe::Usage(MaxRatios { cpu: Some(1.5), memory: Some(2.0) }));
    assert_eq!(Checks::parse(" configmap/app-checks ").unwrap(), Checks::ConfigMap("app-checks".to_owned()));
}

#[rstest]
#[case("[]", "the list is empty; leave the annotation out")]
#[case("configmap/Not_A_Name", "configmap/Not_A_Name isn't the name of a ConfigMap")]
#[case("[{name: Bad Name, job: a}]", "check 1 has the name \"Bad Name\"; expected up to 40 lower case letters, digits and dashes")]
#[case("[{name: a, job: x}, {name: a, job: y}]", "two checks have the name a")]
#[case("[{name: a}]", "check a: expected exactly one of query, job, url, and cpuMaxRatio or memoryMaxRatio or both")]
#[case(
    "[{name: a, query: b, job: c, max: 1}]",
    "check a: expected exactly one of query, job, url, and cpuMaxRatio or memoryMaxRatio or both"
)]
#[case("[{name: a, query: b}]", "check a: a query needs a bound: min, max, minRatio or maxRatio")]
#[case("[{name: a, job: b, max: 1}]", "check a: max doesn't belong to a job")]
#[case("[{name: a, job: B/C}]", "check a: job: \"B/C\" isn't the name of a CronJob")]
#[case("[{name: a, query: b, max: .inf}]", "check a: max: inf is no bound; expected a finite number")]
#[case("[{name: a, query: b, maxRatio: 0}]", "check a: maxRatio: 0 is no bound; expected a finite number above 0")]
#[case("[{name: a, query: b, min: 2, max: 1}]", "check a: min is above max")]
#[case("[{name: a, cpuMaxRatio: 0}]", "check a: cpuMaxRatio: 0 is no bound; expected a finite number above 0")]
#[case("[{name: a, cpuMaxRatio: 2, memoryMaxRatio: .inf}]", "check a: memoryMaxRatio: inf is no bound; expected a finite number above 0")]
#[case("[{name: a, cpuMaxRatio: 2, ignoreBelow: 1}]", "check a: ignoreBelow doesn't belong to cpuMaxRatio and memoryMaxRatio")]
#[case(
    "[{name: a, cpuMaxRatio: 2, job: b}]",
    "check a: expected exactly one of query, job, url, and cpuMaxRatio or memoryMaxRatio or both"
)]
#[case(
    "[{name: a, query: b, maxRatio: 2}]",
    "check a: a query must ask for {{pods}} when it has minRatio or maxRatio, or it says the same of both sides"
)]
#[case(
    "[{name: a, url: 'http://127.0.0.1/', json: /a, equals: b}]",
    "check a: url: loopback, link-local and metadata addresses and the API server aren't asked"
)]
#[case(
    "[{name: a, url: 'http://b/'}]",
    "check a: a url needs json, the place in the answer, such as /status, and equals, the value there, or min or max"
)]
#[case(
    "[{name: a, query: 'b{c=~\"{{pod}}\"}', max: 1}]",
    "check a: query, column 7: unknown placeholder \"pod\"; known are {{namespace}}, {{pods}} and {{primary}}"
)]
#[case("[{name: a, query: 'b[5m]', max: 1}]", "check a: query: gives a range of samples; expected an instant vector or a scalar")]
#[case("[{name: a, query: '\"b\"', max: 1}]", "check a: query: gives a string; expected an instant vector or a scalar")]
#[case("[{name: a, query: 'rate(b)', max: 1}]", "check a: query, column 1: expected type matrix in call to function 'rate', got vector")]
#[case("[{name: a, query: 'max(b) max(c)', max: 1}]", "check a: query, column 8: invalid promql query")]
#[case("[{name: a, query: 'max(b', max: 1}]", "check a: query, column 4: unclosed left parenthesis")]
#[case("[{name: a, query: 'b{c=\"{{pods}}\"} ? 1', max: 1}]", "check a: query, column 17: unexpected character: '?'")]
#[case("[{name: a, query: 'maxx(b)', max: 1}]", "check a: query, column 1: unknown function with name 'maxx'")]
#[case("[{name: a, query: '', max: 1}]", "check a: query: no expression found in input")]
fn what_is_refused(#[case] yaml: &str, #[case] sentence: &str) {
    assert_eq!(Checks::parse(yaml).unwrap_err().to_string(), sentence);
}

#[rstest]
#[case("{name: a}")]
#[case("- name: a\n  qurey: b\n  max: 1")]
#[case("- name: a\n  query: b\n  max: many")]
#[case("- name: [")]
#[case("just words")]
fn yaml_mistakes_are_one_line_with_the_position(#[case] yaml: &str) {
    let message = Checks::parse(yaml).unwrap_err().to_string();
    assert!(message.starts_with("not a YAML list of checks: ") && message.contains("line ") && !message.contains('\n'), "{message}");
}

#[test]
fn too_many_are_refused() {
    let list: Vec<String> = (0..21).map(|number| format!("{{name: check-{number}, job: a}}")).collect();
    assert_eq!(parse_list(&format!("[{}]", list.join(","))), Err(ChecksError::TooMany(21)));
}

#[test]
fn a_function_of_a_newer_server_is_let_through() {
    parse_list("[{name: a, query: 'histogram_of_tomorrow(b{pod=~\"{{pods}}\"})', max: 1}]").unwrap();
}

#[test]
fn placeholders_are_filled() {
    let names = Names { namespace: "shop".to_owned(), pods: "app-canary-77f-[a-z0-9]+".to_owned(), primary: "app".to_owned() };
    let filled = names.fill(r#"sum(x{namespace="{{namespace}}",pod=~"{{pods}}",app="{{primary}}"})"#);
    assert_eq!(filled, r#"sum(x{namespace="shop",pod=~"app-canary-77f-[a-z0-9]+",app="app"})"#);
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".{0,80}", query in "[a-z0-9{}()\\[\\]\"'~=, é]{0,40}") {
        let _ = Checks::parse(&text);
        let _ = promql::check(&query, Origin::Prometheus);
    }
}

//! What the user asks for in the `canary.*` annotations, parsed once into types that cannot be wrong.
//! Admission denies what this refuses; the controller reads admitted objects with the same function.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value};

use super::{
    annotations as key,
    checks::Checks,
    choice::{Choice, ChoiceError},
    gates::Gates,
    notify::Notify,
    quantity::{format_duration, parse_duration, parse_percentage},
    reader::{InvalidAnnotation, Reader, shown},
};

/// How one Deployment wants its templates judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// How long the canary takes traffic before it may be promoted.
    pub duration: Duration,
    /// Absolute limit on the canary's error rate, as a share.
    pub max_error_rate: f64,
    /// Absolute limit on the canary's 99th percentile latency.
    pub max_latency_p99: Option<Duration>,
    /// Which series to read.
    pub metrics: Choice,
    /// Further questions about the canary.
    pub checks: Option<Checks>,
    /// For so long after the first scrape only gross failure counts, and nothing counts in the canary's favour.
    pub warm_up: Duration,
    pub client_errors: ClientErrors,
    /// Paths whose requests are no traffic. A star at the end stands for anything.
    pub ignore_paths: Vec<String>,
    /// Give up this long after the canary was created.
    pub deadline: Duration,
    pub on_inconclusive: OnInconclusive,
    pub mode: Mode,
    /// Two versions may run at once, although the Deployment's strategy says that they must not.
    pub overlap: bool,
    /// What people reserve to themselves.
    pub gates: Gates,
    /// Who is told of verdicts.
    pub notify: Notify,
}

/// What a verdict against a template does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It keeps the template out.
    Enforce,
    /// It is told, and the template is let in all the same.
    Report,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnInconclusive {
    Reject,
    Promote,
}

/// What becomes of answers that are neither good nor the server's error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientErrors {
    /// Compared with the primary's.
    Compare,
    /// Meant: the release answers so on purpose.
    Off,
}

const SHORTEST_DURATION: Duration = Duration::from_secs(10);
const LONGEST_DURATION: Duration = Duration::from_hours(24);
const LONGEST_DEADLINE: Duration = Duration::from_hours(48);
const MOST_PATHS: usize = 20;

/// What holds where nothing is written.
impl Default for Policy {
    fn default() -> Self {
        Self {
            duration: Duration::from_mins(1),
            max_error_rate: 0.01,
            max_latency_p99: None,
            metrics: Choice::Auto,
            checks: None,
            warm_up: Duration::ZERO,
            client_errors: ClientErrors::Compare,
            ignore_paths: Vec::new(),
            deadline: Duration::from_mins(10),
            on_inconclusive: OnInconclusive::Reject,
            mode: Mode::Enforce,
            overlap: false,
            gates: Gates::default(),
            notify: Notify::default(),
        }
    }
}

impl Policy {
    /// Reads the annotations of a Deployment. Keys that do not begin with `canary.` are not looked at.
    pub fn parse(annotations: &BTreeMap<&str, &str>) -> Result<Self, InvalidAnnotation> {
        for name in annotations.keys() {
            if *name != key::FREEZE && key::is_of_user(name) && !key::USER_KEYS.contains(name) {
                return Err(InvalidAnnotation::UnknownKey { key: shown(name) });
            }
        }
        let defaults = Self::default();
        let reader = Reader { annotations };
        reader.read(key::ENABLED, "\"true\" or \"false\"", |text| matches!(text, "true" | "false" | "held").then_some(()))?;
        let duration = reader
            .read(key::DURATION, "a duration from 10s to 24h, such as 60s or 5m", |text| {
                parse_duration(text).filter(|duration| (SHORTEST_DURATION..=LONGEST_DURATION).contains(duration))
            })?
            .unwrap_or(defaults.duration);
        let max_error_rate = reader
            .read(key::MAX_ERROR_RATE, "a percentage above 0% and below 100%, such as 1% or 0.5%", parse_percentage)?
            .unwrap_or(defaults.max_error_rate);
        let max_latency_p99 = reader.read(key::MAX_LATENCY_P99, "a duration from 1ms to 10m, such as 250ms or 2s", |text| {
            parse_duration(text).filter(|duration| (Duration::from_millis(1)..=Duration::from_mins(10)).contains(duration))
        })?;
        let expected = format!("a duration from canary.duration ({}) to 48h, such as 10m", format_duration(duration));
        let deadline = reader
            .read(key::DEADLINE, &expected, |text| parse_duration(text).filter(|d| (duration..=LONGEST_DEADLINE).contains(d)))?
            .unwrap_or_else(|| defaults.deadline.max(duration * 2));
        let on_inconclusive = reader
            .read(key::ON_INCONCLUSIVE, "\"reject\" or \"promote\"", |text| match text {
                "reject" => Some(OnInconclusive::Reject),
                "promote" => Some(OnInconclusive::Promote),
                _ => None,
            })?
            .unwrap_or(defaults.on_inconclusive);
        let expected = format!("a duration up to half of canary.duration ({}), such as 20s", format_duration(duration));
        let warm_up = reader.read(key::WARM_UP, &expected, |text| parse_duration(text).filter(|warm_up| *warm_up <= duration / 2))?;
        let client_errors = reader.read(key::CLIENT_ERRORS, "\"compare\" or \"off\"", |text| match text {
            "compare" => Some(ClientErrors::Compare),
            "off" => Some(ClientErrors::Off),
            _ => None,
        })?;
        let ignore_paths = reader.read(key::IGNORE_PATHS, "up to 20 paths, such as /healthz, /status/*", paths)?;
        let mode = reader.read(key::MODE, "\"enforce\" or \"report\"", |text| match text {
            "enforce" => Some(Mode::Enforce),
            "report" => Some(Mode::Report),
            _ => None,
        })?;
        let overlap = reader.read(key::OVERLAP, "\"true\" or \"false\"", |text| text.parse::<bool>().ok())?;
        let mode = mode.unwrap_or(defaults.mode);
        let gates = Gates::read(&reader, duration, mode == Mode::Report)?;
        let notify = Notify::read(&reader)?;
        let metrics = metrics(annotations, max_latency_p99)?.unwrap_or(defaults.metrics);
        let checks = annotations.get(key::CHECKS).map(|text| Checks::parse(text)).transpose();
        let checks = checks.map_err(|error| InvalidAnnotation::Problem { key: key::CHECKS.to_owned(), problem: error.to_string() })?;
        Ok(Self {
            duration,
            max_error_rate,
            max_latency_p99,
            metrics,
            checks,
            warm_up: warm_up.unwrap_or(defaults.warm_up),
            client_errors: client_errors.unwrap_or(defaults.client_errors),
            ignore_paths: ignore_paths.unwrap_or(defaults.ignore_paths),
            deadline,
            on_inconclusive,
            mode,
            overlap: overlap.unwrap_or(defaults.overlap),
            gates,
            notify,
        })
    }

    /// The policy of an object's annotations, as they stand in its metadata.
    pub fn of(annotations: &Map<String, Value>) -> Result<Self, InvalidAnnotation> {
        Self::parse(&annotations.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))).collect())
    }
}

/// What is counted, which must be able to tell a latency where one is asked.
fn metrics(annotations: &BTreeMap<&str, &str>, max_latency_p99: Option<Duration>) -> Result<Option<Choice>, InvalidAnnotation> {
    let problem = |key: &str, error: &ChoiceError| InvalidAnnotation::Problem { key: key.to_owned(), problem: error.to_string() };
    let Some(text) = annotations.get(key::METRICS) else { return Ok(None) };
    let metrics = Choice::parse(text).map_err(|error| problem(key::METRICS, &error))?;
    if max_latency_p99.is_some() && metrics.origin().is_some_and(|origin| !origin.abilities().latency) {
        return Err(problem(key::MAX_LATENCY_P99, &ChoiceError::NoLatency));
    }
    Ok(Some(metrics))
}

/// Between commas, semicolons or blanks.
fn paths(text: &str) -> Option<Vec<String>> {
    let paths: Vec<String> = text
        .split(|character: char| matches!(character, ',' | ';') || character.is_whitespace())
        .filter(|path| !path.is_empty())
        .map(str::to_owned)
        .collect();
    let is_path = |path: &String| path.starts_with('/') && path.len() <= 200 && !path.strip_suffix('*').unwrap_or(path).contains('*');
    ((1..=MOST_PATHS).contains(&paths.len()) && paths.iter().all(is_path)).then_some(paths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn parse(pairs: &[(&str, &str)]) -> Result<Policy, InvalidAnnotation> {
        Policy::parse(&pairs.iter().copied().collect())
    }

    #[test]
    fn only_the_first_annotation_is_needed() {
        let policy = parse(&[("canary.enabled", "true")]).unwrap();
        assert_eq!(policy.duration, Duration::from_mins(1));
        assert_eq!(policy.deadline, Duration::from_mins(10));
        assert!((policy.max_error_rate - 0.01).abs() < 1e-12);
        assert_eq!(policy.on_inconclusive, OnInconclusive::Reject);
        assert_eq!(policy.metrics, Choice::Auto);
    }

    #[test]
    fn what_is_no_traffic_and_what_is_meant() {
        let policy = parse(&[
            ("canary.duration", "4m"),
            ("canary.warm-up", "2m"),
            ("canary.client-errors", "off"),
            ("canary.ignore-paths", "/healthz,/status/*;\n/ping"),
        ])
        .unwrap();
        assert_eq!((policy.warm_up, policy.client_errors), (Duration::from_mins(2), ClientErrors::Off));
        assert_eq!(policy.ignore_paths, ["/healthz", "/status/*", "/ping"]);
    }

    #[test]
    fn the_default_deadline_leaves_room_for_a_long_duration() {
        let policy = parse(&[("canary.duration", "1h")]).unwrap();
        assert_eq!(policy.deadline, Duration::from_hours(2));
    }

    #[rstest]
    #[case("canary.duration", "5s", r#"canary.duration: "5s" is not accepted; expected a duration from 10s to 24h, such as 60s or 5m"#)]
    #[case("canary.enabled", "yes", r#"canary.enabled: "yes" is not accepted; expected "true" or "false""#)]
    #[case(
        "canary.max-error-rate",
        "1",
        r#"canary.max-error-rate: "1" is not accepted; expected a percentage above 0% and below 100%, such as 1% or 0.5%"#
    )]
    #[case(
        "canary.deadline",
        "30s",
        r#"canary.deadline: "30s" is not accepted; expected a duration from canary.duration (60s) to 48h, such as 10m"#
    )]
    #[case("canary.mode", "audit", r#"canary.mode: "audit" is not accepted; expected "enforce" or "report""#)]
    #[case("canary.overlap", "yes", r#"canary.overlap: "yes" is not accepted; expected "true" or "false""#)]
    #[case("canary.on-inconclusive", "ignore", r#"canary.on-inconclusive: "ignore" is not accepted; expected "reject" or "promote""#)]
    #[case(
        "canary.max-latency-p99",
        "fast\nnow",
        r#"canary.max-latency-p99: "fast\nnow" is not accepted; expected a duration from 1ms to 10m, such as 250ms or 2s"#
    )]
    #[case(
        "canary.metrics",
        "htp",
        "canary.metrics: unknown preset \"htp\"; accepted are auto, none, http, otel, micrometer, aspnet, flask, django, fastapi, rails, go, express, grpc, istio, linkerd, envoy, nginx-ingress, traefik, YAML with requests and errors, or a list of these"
    )]
    #[case(
        "canary.metrics",
        "{requests: a}",
        "canary.metrics: not the YAML expected (line 1 column 2: missing field `errors`); accepted are the keys requests, errors and latency, each with a selector, and source"
    )]
    #[case(
        "canary.checks",
        "[{name: backlog, query: max(, max: 1}]",
        "canary.checks: check backlog: query, column 4: unclosed left parenthesis"
    )]
    #[case(
        "canary.warm-up",
        "31s",
        r#"canary.warm-up: "31s" is not accepted; expected a duration up to half of canary.duration (60s), such as 20s"#
    )]
    #[case("canary.client-errors", "ignore", r#"canary.client-errors: "ignore" is not accepted; expected "compare" or "off""#)]
    #[case(
        "canary.ignore-paths",
        "healthz",
        r#"canary.ignore-paths: "healthz" is not accepted; expected up to 20 paths, such as /healthz, /status/*"#
    )]
    #[case(
        "canary.ignore-paths",
        "/*/x",
        r#"canary.ignore-paths: "/*/x" is not accepted; expected up to 20 paths, such as /healthz, /status/*"#
    )]
    #[case("canary.bypass", " ", r#"canary.bypass: " " is not accepted; expected a reason in words, up to 300 characters"#)]
    #[case(
        "canary.durration",
        "60s",
        "canary.durration: unknown annotation; known are canary.enabled, canary.duration, canary.max-error-rate, canary.max-latency-p99, canary.metrics, canary.checks, canary.warm-up, canary.client-errors, canary.ignore-paths, canary.deadline, canary.on-inconclusive, canary.mode, canary.overlap, canary.approval, canary.approval-timeout, canary.window, canary.paused, canary.notify, canary.notify-info, canary.approve, canary.promote, canary.reject, canary.retry, canary.bypass"
    )]
    fn refused_in_one_line(#[case] key: &str, #[case] value: &str, #[case] sentence: &str) {
        assert_eq!(parse(&[(key, value)]).unwrap_err().to_string(), sentence);
    }

    #[test]
    fn latency_is_not_read_from_datadog() {
        let metrics = "{source: datadog, requests: shop.hits, errors: shop.errors}";
        let error = parse(&[("canary.metrics", metrics), ("canary.max-latency-p99", "250ms")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "canary.max-latency-p99: latency can't be read from Datadog; write a check with source: datadog instead"
        );
    }

    #[test]
    fn a_stranger_is_not_looked_at() {
        parse(&[
            ("canaries.example/x", "1"),
            ("canary.flagger.app/primary", "app"),
            ("canary.state/phase", "Held"),
            ("prometheus.io/scrape", "true"),
        ])
        .unwrap();
    }
}

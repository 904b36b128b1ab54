//! What may stand in `canary.metrics`: `auto`, a preset, or the counters themselves. The same parser serves admission and controller.

use serde::Deserialize;

use super::{PRESETS, Preset};
use crate::api::checks::Origin;
use crate::metrics::counting::{Selector, SelectorError};

/// Which counters the user wants read.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    Auto,
    Preset(&'static Preset),
    Counters(Box<Counters>),
}

/// The counters in the user's own words.
#[derive(Clone, Debug, PartialEq)]
pub struct Counters {
    pub requests: Selector,
    pub errors: Selector,
    pub latency: Option<Selector>,
    /// Whose words they are.
    pub origin: Origin,
}

/// Why a value of `canary.metrics` isn't accepted; one line each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    #[error("unknown preset {value:?}; accepted are auto, {}, or YAML with requests and errors", names())]
    UnknownPreset { value: String },
    #[error("not the YAML expected ({message}); accepted are the keys requests, errors and latency, each with a selector, and source")]
    Yaml { message: String },
    #[error("{key}: {problem}")]
    Selector { key: &'static str, problem: SelectorError },
    #[error("latency: must name the buckets of a histogram, as in http_request_duration_seconds_bucket")]
    NotAHistogram,
    #[error("{key}: must be a metric of Datadog with tags, as in shop.http.errors{{service:shop,env:prod}}, without sum: or functions")]
    NotATaggedMetric { key: &'static str },
    #[error("latency can't be read from Datadog; write a check with source: datadog instead")]
    NoLatency,
}

fn names() -> String {
    PRESETS.iter().map(|preset| preset.name).collect::<Vec<_>>().join(", ")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    requests: String,
    errors: String,
    latency: Option<String>,
    #[serde(default)]
    source: Origin,
}

impl Choice {
    /// Who is to be asked.
    pub fn origin(&self) -> Origin {
        match self {
            Self::Auto | Self::Preset(_) => Origin::Prometheus,
            Self::Counters(counters) => counters.origin,
        }
    }

    pub fn parse(value: &str) -> Result<Self, ChoiceError> {
        let value = value.trim();
        if value == "auto" {
            return Ok(Self::Auto);
        }
        if let Some(preset) = Preset::named(value) {
            return Ok(Self::Preset(preset));
        }
        if !value.contains(':') {
            return Err(ChoiceError::UnknownPreset { value: value.chars().take(60).collect() });
        }
        let written: Written =
            serde_saphyr::from_str(value).map_err(|error| ChoiceError::Yaml { message: first_line(&error.to_string()) })?;
        let origin = written.source;
        if origin == Origin::Datadog {
            if written.latency.is_some() {
                return Err(ChoiceError::NoLatency);
            }
            let (requests, errors) = (tagged("requests", &written.requests)?, tagged("errors", &written.errors)?);
            return Ok(Self::Counters(Box::new(Counters { requests, errors, latency: None, origin })));
        }
        let selector = |key, text: &str| Selector::parse(text).map_err(|problem| ChoiceError::Selector { key, problem });
        let requests = selector("requests", &written.requests)?;
        let errors = selector("errors", &written.errors)?;
        let latency = written.latency.as_deref().map(|text| selector("latency", text)).transpose()?;
        if latency.as_ref().is_some_and(|latency| !latency.metric().ends_with("_bucket")) {
            return Err(ChoiceError::NotAHistogram);
        }
        Ok(Self::Counters(Box::new(Counters { requests, errors, latency, origin })))
    }
}

/// A metric of Datadog, with tags behind it or not. To the counting it is a name: the source says what has it.
fn tagged(key: &'static str, text: &str) -> Result<Selector, ChoiceError> {
    let text = text.trim();
    let (metric, tags) = text.split_once('{').map_or((text, Some("")), |(metric, rest)| (metric, rest.strip_suffix('}')));
    let is_metric = metric.starts_with(|first: char| first.is_ascii_alphabetic())
        && metric.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_'));
    let are_tags = tags.is_some_and(|tags| !tags.contains(['{', '}', '"', '\n']));
    if is_metric && are_tags { Ok(Selector::of(text)) } else { Err(ChoiceError::NotATaggedMetric { key }) }
}

/// The YAML library explains with an excerpt over several lines; the first says what is wrong and where.
pub fn first_line(message: &str) -> String {
    let line = message.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn what_is_accepted() {
        assert_eq!(Choice::parse(" auto ").unwrap(), Choice::Auto);
        assert!(matches!(Choice::parse("istio").unwrap(), Choice::Preset(preset) if preset.name == "istio"));
        let written = Choice::parse("requests: my_total\nerrors: my_total{code=~\"5..\"}").unwrap();
        let selector = |text| Selector::parse(text).unwrap();
        let counters = Counters {
            requests: selector("my_total"),
            errors: selector("my_total{code=~\"5..\"}"),
            latency: None,
            origin: Origin::Prometheus,
        };
        assert_eq!(written, Choice::Counters(Box::new(counters)));
    }

    #[test]
    fn counters_of_datadog() {
        let written = Choice::parse("{source: datadog, requests: 'shop.hits{service:shop,env:prod}', errors: shop.errors}").unwrap();
        let Choice::Counters(counters) = &written else { panic!("{written:?}") };
        assert_eq!((counters.requests.metric(), counters.errors.metric()), ("shop.hits{service:shop,env:prod}", "shop.errors"));
        assert_eq!((written.origin(), Choice::Auto.origin()), (Origin::Datadog, Origin::Prometheus));
    }

    #[rstest]
    #[case(
        "{source: datadog, requests: 'sum:shop.hits{*}', errors: shop.errors}",
        "requests: must be a metric of Datadog with tags, as in shop.http.errors{service:shop,env:prod}, without sum: or functions"
    )]
    #[case(
        "{source: datadog, requests: shop.hits, errors: shop.errors, latency: shop.duration}",
        "latency can't be read from Datadog; write a check with source: datadog instead"
    )]
    #[case("{source: graphite, requests: a, errors: b}", "")]
    #[case(
        "",
        "unknown preset \"\"; accepted are auto, http, otel, micrometer, aspnet, flask, django, fastapi, rails, go, express, grpc, istio, linkerd, envoy, nginx-ingress, traefik, or YAML with requests and errors"
    )]
    #[case(
        "requests: rate(a[1m])\nerrors: b",
        "requests: must be a plain selector such as http_requests_total{code=~\"5..\"}, without functions, offset or range"
    )]
    #[case(
        "requests: a\nerrors: b\nlatency: c_seconds",
        "latency: must name the buckets of a histogram, as in http_request_duration_seconds_bucket"
    )]
    #[case("requests: a", "")]
    #[case("request: a\nerrors: b", "")]
    #[case("requests: {a\nerrors: b", "")]
    fn what_is_refused(#[case] value: &str, #[case] sentence: &str) {
        let message = Choice::parse(value).unwrap_err().to_string();
        assert!(!message.contains('\n'), "{message}");
        if sentence.is_empty() {
            assert!(message.contains("accepted are the keys requests, errors and latency"), "{message}");
        } else {
            assert_eq!(message, sentence);
        }
    }
}

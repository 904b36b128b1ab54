//! What may stand in `canary.metrics`: `auto`, `none`, a preset, the counters themselves, or a list of the last two. The same parser serves
//! admission and controller. What a preset reads is `metrics::discovery`'s to know; here are the names alone.

use serde::Deserialize;

use super::checks::Origin;
use super::foreign;
use super::selector::{Selector, SelectorError};
use crate::words;

/// The presets that a user may name, in the order in which they are preferred.
pub const PRESETS: [&str; 16] = [
    "http",
    "otel",
    "micrometer",
    "aspnet",
    "flask",
    "django",
    "fastapi",
    "rails",
    "go",
    "express",
    "grpc",
    "istio",
    "linkerd",
    "envoy",
    "nginx-ingress",
    "traefik",
];

/// No more counters of one Deployment are judged.
pub const MOST_COUNTERS: usize = 4;

/// Which counters the user wants read.
#[derive(Clone, Debug, PartialEq)]
pub enum Choice {
    /// Every busy one that is known.
    Auto,
    /// None: a worker, judged by its pods and its checks.
    Nothing,
    /// One of [`PRESETS`].
    Preset(&'static str),
    Counters(Box<Counters>),
    /// Each of these must pass.
    Several(Vec<Self>),
}

/// The counters in the user's own words.
#[derive(Clone, Debug, PartialEq)]
pub struct Counters {
    pub requests: Selector,
    pub errors: Selector,
    pub latency: Option<Selector>,
    /// Whose words they are, if that is said.
    pub origin: Option<Origin>,
}

/// Why a value of `canary.metrics` isn't accepted; one line each.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    #[error("unknown preset {value:?}; accepted are auto, none, {}, YAML with requests and errors, or a list of these", PRESETS.join(", "))]
    UnknownPreset { value: String },
    #[error("not the YAML expected ({message}); accepted are the keys requests, errors and latency, each with a selector, and source")]
    Yaml { message: String },
    #[error("{key}: {problem}")]
    Selector { key: &'static str, problem: SelectorError },
    #[error("latency: must name the buckets of a histogram, as in http_request_duration_seconds_bucket")]
    NotAHistogram,
    #[error("{key}: must be a metric of Datadog with tags, as in shop.http.errors{{service:shop,env:prod}}, without sum: or functions")]
    NotATaggedMetric { key: &'static str },
    #[error("{value} can't stand in a list")]
    NotInAList { value: &'static str },
    #[error("{value} stands in the list twice")]
    Twice { value: String },
    #[error("{0} counters are too many; at most {MOST_COUNTERS}")]
    TooMany(usize),
    #[error("all counters of a list must come from one source")]
    SeveralSources,
    #[error("latency can't be read from Datadog; write a check with source: datadog instead")]
    NoLatency,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    requests: String,
    errors: String,
    latency: Option<String>,
    source: Option<Origin>,
}

/// One entry of a list in YAML.
#[derive(Deserialize)]
#[serde(untagged)]
enum Entry {
    Preset(String),
    Counters(Written),
}

impl Choice {
    /// Who is to be asked, where the user says so.
    pub fn origin(&self) -> Option<Origin> {
        match self {
            Self::Auto | Self::Nothing | Self::Preset(_) => None,
            Self::Counters(counters) => counters.origin,
            Self::Several(all) => all.first().and_then(Self::origin),
        }
    }

    /// Its parts, one for each counter that is named; itself if it is no list.
    pub fn parts(&self) -> &[Self] {
        match self {
            Self::Several(all) => all,
            one => std::slice::from_ref(one),
        }
    }

    pub fn parse(value: &str) -> Result<Self, ChoiceError> {
        let value = value.trim();
        if value.starts_with(['[', '-']) {
            let entries: Vec<Entry> = yaml(value)?;
            return Self::list(entries.into_iter().map(|entry| match entry {
                Entry::Preset(name) => Self::named(&name),
                Entry::Counters(written) => written.choice(),
            }));
        }
        match split(value).as_slice() {
            [] => Self::one(value),
            [one] => Self::one(one),
            // Before each is read.
            several if several.len() > MOST_COUNTERS => Err(ChoiceError::TooMany(several.len())),
            several => Self::list(several.iter().map(|part| Self::one(part))),
        }
    }

    fn list(parts: impl Iterator<Item = Result<Self, ChoiceError>>) -> Result<Self, ChoiceError> {
        let mut all: Vec<Self> = Vec::new();
        for part in parts {
            let part = part?;
            match &part {
                Self::Auto => return Err(ChoiceError::NotInAList { value: "auto" }),
                Self::Nothing => return Err(ChoiceError::NotInAList { value: "none" }),
                _ if all.contains(&part) => return Err(ChoiceError::Twice { value: part.words() }),
                _ if all.first().is_some_and(|first| first.origin() != part.origin()) => return Err(ChoiceError::SeveralSources),
                _ => all.push(part),
            }
        }
        match all.len() {
            0 => Err(ChoiceError::UnknownPreset { value: String::new() }),
            1 => Ok(all.remove(0)),
            many if many > MOST_COUNTERS => Err(ChoiceError::TooMany(many)),
            _ => Ok(Self::Several(all)),
        }
    }

    fn one(value: &str) -> Result<Self, ChoiceError> {
        if value.contains(':') { yaml::<Written>(value)?.choice() } else { Self::named(value) }
    }

    fn named(value: &str) -> Result<Self, ChoiceError> {
        match value.trim() {
            "auto" => Ok(Self::Auto),
            "none" => Ok(Self::Nothing),
            value => match PRESETS.iter().find(|name| **name == value) {
                Some(name) => Ok(Self::Preset(name)),
                None => Err(ChoiceError::UnknownPreset { value: words::start(value, 60) }),
            },
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Auto => "auto".to_owned(),
            Self::Nothing => "none".to_owned(),
            Self::Preset(name) => (*name).to_owned(),
            Self::Counters(counters) => counters.requests.text().to_owned(),
            Self::Several(all) => all.iter().map(Self::words).collect::<Vec<_>>().join(", "),
        }
    }
}

impl Written {
    fn choice(self) -> Result<Choice, ChoiceError> {
        let origin = self.source;
        if self.latency.is_some() && origin.is_some_and(|origin| !origin.abilities().latency) {
            return Err(ChoiceError::NoLatency);
        }
        if origin == Some(Origin::Datadog) {
            let (requests, errors) = (tagged("requests", &self.requests)?, tagged("errors", &self.errors)?);
            return Ok(Choice::Counters(Box::new(Counters { requests, errors, latency: None, origin })));
        }
        let selector = |key, text: &str| Selector::parse(text).map_err(|problem| ChoiceError::Selector { key, problem });
        let requests = selector("requests", &self.requests)?;
        let errors = selector("errors", &self.errors)?;
        let latency = self.latency.as_deref().map(|text| selector("latency", text)).transpose()?;
        if latency.as_ref().is_some_and(|latency| !latency.metric().ends_with("_bucket")) {
            return Err(ChoiceError::NotAHistogram);
        }
        Ok(Choice::Counters(Box::new(Counters { requests, errors, latency, origin })))
    }
}

fn yaml<T: serde::de::DeserializeOwned>(value: &str) -> Result<T, ChoiceError> {
    foreign::yaml(value).map_err(|message| ChoiceError::Yaml { message })
}

/// The parts between commas and semicolons, outside of braces and quotes.
fn split(value: &str) -> Vec<&str> {
    let (mut parts, mut begin, mut depth, mut quote) = (Vec::new(), 0, 0_usize, None);
    let mut is_escaped = false;
    for (at, character) in value.char_indices() {
        match (quote, character) {
            (Some(_), _) if is_escaped => is_escaped = false,
            (Some('"'), '\\') => is_escaped = true,
            (Some(open), _) if open == character => quote = None,
            (None, '"' | '\'') => quote = Some(character),
            (None, '{' | '[') => depth += 1,
            (None, '}' | ']') => depth = depth.saturating_sub(1),
            (None, ',' | ';') if depth == 0 => {
                parts.push(value[begin..at].trim());
                begin = at + 1;
            }
            (_, _) => {}
        }
    }
    parts.push(value[begin..].trim());
    parts.retain(|part| !part.is_empty());
    parts
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

#[cfg(test)]
mod tests;

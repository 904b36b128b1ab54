//! What may stand in `canary.checks`: a YAML list of questions about the canary. Parsed once, by admission and by the controller alike; what
//! is refused is refused in one line that names the check, the key and the position. Pure: a `ConfigMap` is fetched by others.

mod address;
mod confine;
mod datadog;
mod error;
mod promql;
mod rules;

use serde::Deserialize;
use serde_json::Value;

pub use self::address::{is_allowed, target};
pub use self::confine::View;
pub use self::error::{CheckProblem, ChecksError};
pub use self::promql::{Names, QueryError};
pub use self::rules::Rules;
use super::foreign;
pub use super::origin::Origin;
use super::reader::plain;

/// More would be a load on the source, and no verdict could name them all.
const MOST_CHECKS: usize = 20;

/// Where the list of checks is.
#[derive(Clone, Debug, PartialEq)]
pub enum Checks {
    Inline(Vec<Check>),
    /// In the key `checks` of this `ConfigMap`, in the Deployment's own namespace.
    ConfigMap(String),
}

/// One question.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    pub name: String,
    pub probe: Probe,
    /// What it says is told, and decides nothing.
    pub warn: bool,
}

/// How it is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Probe {
    /// A number over time, from a source of metrics.
    Query { origin: Origin, query: String, bounds: Bounds },
    /// A `CronJob` of the same namespace whose Job template is run; success passes.
    Job { cron_job: String },
    /// A JSON page, and what must stand at one place of it.
    Page { url: String, pointer: String, expected: Expected },
    /// What its pod uses, by the cluster's resource metrics.
    Usage(MaxRatios),
}

/// Multiples of what an average pod of the primary uses. At least one is there.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MaxRatios {
    pub cpu: Option<f64>,
    pub memory: Option<f64>,
}

/// What a page is to say.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    Equals(Value),
    /// A number, not below and not above.
    Within {
        min: Option<f64>,
        max: Option<f64>,
    },
}

/// What the number must keep to. At least one is there.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bounds {
    pub min: Option<f64>,
    pub max: Option<f64>,
    /// Multiples of what the same query says about the primary's pods.
    pub min_ratio: Option<f64>,
    pub max_ratio: Option<f64>,
    /// Values of the canary below this are nothing to take a ratio of; so is a primary's: its baseline is at least this.
    pub ignore_below: Option<f64>,
}

impl Bounds {
    /// Whether the primary must be asked too.
    pub fn needs_primary(&self) -> bool {
        self.min_ratio.is_some() || self.max_ratio.is_some()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Written {
    name: String,
    query: Option<String>,
    source: Option<Origin>,
    min: Option<f64>,
    max: Option<f64>,
    min_ratio: Option<f64>,
    max_ratio: Option<f64>,
    job: Option<String>,
    url: Option<String>,
    json: Option<String>,
    equals: Option<Value>,
    ignore_below: Option<f64>,
    cpu_max_ratio: Option<f64>,
    memory_max_ratio: Option<f64>,
    #[serde(default)]
    warn: bool,
}

impl Checks {
    /// The annotation's value.
    pub fn parse(value: &str) -> Result<Self, ChecksError> {
        if let Some(name) = value.trim().strip_prefix("configmap/") {
            let name = name.trim();
            return if is_object_name(name) { Ok(Self::ConfigMap(name.to_owned())) } else { Err(ChecksError::ConfigMap(plain(name))) };
        }
        parse_list(value).map(Self::Inline)
    }
}

/// The list itself, from the annotation or from a `ConfigMap`.
pub fn parse_list(yaml: &str) -> Result<Vec<Check>, ChecksError> {
    let written: Vec<Written> = foreign::yaml(yaml).map_err(ChecksError::Yaml)?;
    match written.len() {
        0 => return Err(ChecksError::Empty),
        many if many > MOST_CHECKS => return Err(ChecksError::TooMany(many)),
        _ => {}
    }
    let mut checks: Vec<Check> = Vec::with_capacity(written.len());
    for (number, written) in (1..).zip(written) {
        let name = written.name.clone();
        if name.is_empty() || name.len() > 40 || !is_object_name(&name) {
            return Err(ChecksError::Name { number, name: plain(&name) });
        }
        if checks.iter().any(|check| check.name == name) {
            return Err(ChecksError::Twice(name));
        }
        let warn = written.warn;
        let probe = probe(written).map_err(|problem| ChecksError::Check { name: name.clone(), problem })?;
        checks.push(Check { name, probe, warn });
    }
    Ok(checks)
}

fn probe(written: Written) -> Result<Probe, CheckProblem> {
    let usage = written.cpu_max_ratio.or(written.memory_max_ratio);
    match (&written.query, &written.job, &written.url, usage) {
        (Some(_), None, None, None) => {
            written.only("a query", &["query", "source", "min", "max", "minRatio", "maxRatio", "ignoreBelow"])?;
            query(written)
        }
        (None, Some(cron_job), None, None) => {
            written.only("a job", &["job"])?;
            if is_object_name(cron_job) { Ok(Probe::Job { cron_job: cron_job.clone() }) } else { Err(CheckProblem::Job(plain(cron_job))) }
        }
        (None, None, Some(_), None) => {
            written.only("a url", &["url", "json", "equals", "min", "max"])?;
            page(written)
        }
        (None, None, None, Some(_)) => {
            written.only("cpuMaxRatio and memoryMaxRatio", &[])?;
            let ratios = MaxRatios { cpu: written.cpu_max_ratio, memory: written.memory_max_ratio };
            above_zero(&[("cpuMaxRatio", ratios.cpu), ("memoryMaxRatio", ratios.memory)])?;
            Ok(Probe::Usage(ratios))
        }
        _ => Err(CheckProblem::Kind),
    }
}

fn query(written: Written) -> Result<Probe, CheckProblem> {
    let Written { query, source, min, max, min_ratio, max_ratio, ignore_below, .. } = written;
    let bounds = bounds(Bounds { min, max, min_ratio, max_ratio, ignore_below })?;
    let (query, origin) = (query.unwrap_or_default(), source.unwrap_or_default());
    if !origin.abilities().queries {
        return Err(CheckProblem::NoQueries(origin.name()));
    }
    promql::check(&query, origin).map_err(CheckProblem::Query)?;
    if bounds.needs_primary() && !query.contains("{{pods}}") {
        return Err(CheckProblem::SameForBoth);
    }
    Ok(Probe::Query { origin, query, bounds })
}

fn page(written: Written) -> Result<Probe, CheckProblem> {
    let Written { url, json, equals, min, max, .. } = written;
    let (Some(url), Some(pointer)) = (url, json.filter(|pointer| pointer.is_empty() || pointer.starts_with('/'))) else {
        return Err(CheckProblem::NoExpectation);
    };
    let expected = match (equals, min.or(max)) {
        (Some(_), Some(_)) => return Err(CheckProblem::TwoExpectations),
        (Some(value), None) => Expected::Equals(value),
        (None, Some(_)) => {
            let Bounds { min, max, .. } = bounds(Bounds { min, max, ..Bounds::default() })?;
            Expected::Within { min, max }
        }
        (None, None) => return Err(CheckProblem::NoExpectation),
    };
    address::check(&url).map_err(CheckProblem::Url)?;
    Ok(Probe::Page { url, pointer, expected })
}

impl Written {
    /// Whether nothing is there but what belongs to this kind of check.
    fn only(&self, kind: &'static str, keys: &[&str]) -> Result<(), CheckProblem> {
        let all = [
            ("source", self.source.is_some()),
            ("min", self.min.is_some()),
            ("max", self.max.is_some()),
            ("minRatio", self.min_ratio.is_some()),
            ("maxRatio", self.max_ratio.is_some()),
            ("ignoreBelow", self.ignore_below.is_some()),
            ("json", self.json.is_some()),
            ("equals", self.equals.is_some()),
        ];
        match all.into_iter().find(|(key, is_there)| *is_there && !keys.contains(key)) {
            Some((key, _)) => Err(CheckProblem::Stray { key, kind }),
            None => Ok(()),
        }
    }
}

/// A query as it goes to its source.
pub fn question(origin: Origin, query: &str, names: &Names, view: View<'_>) -> Result<String, QueryError> {
    match (origin, view) {
        // The last of them answers none, and none is admitted.
        (Origin::Prometheus | Origin::Pages, _) => confine::asked(query, names, view),
        (Origin::Datadog, View::Own { .. }) => datadog::confined(&names.fill(query), &names.namespace),
        (Origin::Datadog, View::All) => Ok(names.fill(query)),
    }
}

fn bounds(bounds: Bounds) -> Result<Bounds, CheckProblem> {
    let Bounds { min, max, min_ratio, max_ratio, ignore_below } = bounds;
    for (key, value) in [("min", min), ("max", max)] {
        if let Some(value) = value.filter(|value| !value.is_finite()) {
            return Err(CheckProblem::Bound { key, value: value.to_string(), more: "" });
        }
    }
    above_zero(&[("minRatio", min_ratio), ("maxRatio", max_ratio), ("ignoreBelow", ignore_below)])?;
    for (low, high, names) in [(min, max, ("min", "max")), (min_ratio, max_ratio, ("minRatio", "maxRatio"))] {
        if low.zip(high).is_some_and(|(low, high)| low > high) {
            return Err(CheckProblem::Crossed { low: names.0, high: names.1 });
        }
    }
    if [min, max, min_ratio, max_ratio].iter().all(Option::is_none) {
        return Err(CheckProblem::NoBound);
    }
    if ignore_below.is_some() && !bounds.needs_primary() {
        return Err(CheckProblem::NothingToIgnore);
    }
    Ok(bounds)
}

fn above_zero(values: &[(&'static str, Option<f64>)]) -> Result<(), CheckProblem> {
    let wrong = |value: &f64| !value.is_finite() || *value <= 0.0;
    let found = values.iter().find_map(|(key, value)| Some((*key, value.filter(wrong)?)));
    found.map_or(Ok(()), |(key, value)| Err(CheckProblem::Bound { key, value: value.to_string(), more: " above 0" }))
}

/// What Kubernetes allows in the name of an object.
fn is_object_name(name: &str) -> bool {
    let is_end = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let bytes = name.as_bytes();
    let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    bytes.len() <= 253 && is_end(bytes.first()) && is_end(bytes.last()) && bytes.iter().all(inner)
}

#[cfg(test)]
mod tests;

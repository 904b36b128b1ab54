//! What may stand in `canary.checks`: a YAML list of questions about the canary. Parsed once, by admission and by the controller alike; what
//! is refused is refused in one line that names the check, the key and the position. Pure: a `ConfigMap` is fetched by others.

mod address;
mod confine;
mod datadog;
mod promql;
mod rules;

use serde::Deserialize;
use serde_json::Value;

pub use self::address::{is_allowed, target};
pub use self::confine::View;
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

/// Why a list of checks isn't accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChecksError {
    #[error("not a YAML list of checks: {0}")]
    Yaml(String),
    #[error("the list is empty; leave the annotation out")]
    Empty,
    #[error("{0} checks are too many; at most {MOST_CHECKS}")]
    TooMany(usize),
    #[error("configmap/{0} isn't the name of a ConfigMap")]
    ConfigMap(String),
    #[error("check {number} has the name {name:?}; expected up to 40 lower case letters, digits and dashes")]
    Name { number: usize, name: String },
    #[error("two checks have the name {0}")]
    Twice(String),
    #[error("check {name}: {problem}")]
    Check { name: String, problem: CheckProblem },
}

/// What is wrong with one check.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckProblem {
    #[error("expected exactly one of query, job and url")]
    Kind,
    #[error("a query needs a bound: min, max, minRatio or maxRatio")]
    NoBound,
    #[error("{key} doesn't belong to {kind}")]
    Stray { key: &'static str, kind: &'static str },
    #[error("{key}: {value} is no bound; expected a finite number{more}")]
    Bound { key: &'static str, value: String, more: &'static str },
    #[error("a value is compared by equals or by min and max, not by both")]
    TwoExpectations,
    #[error("{low} is above {high}")]
    Crossed { low: &'static str, high: &'static str },
    #[error("a query must ask for {{{{pods}}}} when it has minRatio or maxRatio, or it says the same of both sides")]
    SameForBoth,
    #[error("ignoreBelow is about minRatio and maxRatio, and neither is there")]
    NothingToIgnore,
    #[error("query{0}")]
    Query(QueryError),
    #[error("source: {0} answer no queries; expected prometheus or datadog")]
    NoQueries(&'static str),
    #[error("{0}, so that nobody could answer")]
    NoSource(&'static str),
    #[error("job: {0:?} isn't the name of a CronJob")]
    Job(String),
    #[error("url: {0}")]
    Url(&'static str),
    #[error("a url needs json, the place in the answer, such as /status, and equals, the value there, or min or max")]
    NoExpectation,
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
    match (&written.query, &written.job, &written.url) {
        (Some(_), None, None) => {
            written.only("a query", &["query", "source", "min", "max", "minRatio", "maxRatio", "ignoreBelow"])?;
            query(written)
        }
        (None, Some(_), None) => {
            written.only("a job", &["job"])?;
            let cron_job = written.job.unwrap_or_default();
            if is_object_name(&cron_job) { Ok(Probe::Job { cron_job }) } else { Err(CheckProblem::Job(plain(&cron_job))) }
        }
        (None, None, Some(_)) => {
            written.only("a url", &["url", "json", "equals", "min", "max"])?;
            page(written)
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
    for (key, value) in [("minRatio", min_ratio), ("maxRatio", max_ratio), ("ignoreBelow", ignore_below)] {
        if let Some(value) = value.filter(|value| !value.is_finite() || *value <= 0.0) {
            return Err(CheckProblem::Bound { key, value: value.to_string(), more: " above 0" });
        }
    }
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

/// What Kubernetes allows in the name of an object.
fn is_object_name(name: &str) -> bool {
    let is_end = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let bytes = name.as_bytes();
    let inner = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    bytes.len() <= 253 && is_end(bytes.first()) && is_end(bytes.last()) && bytes.iter().all(inner)
}

#[cfg(test)]
mod tests;

//! Why a list of checks isn't accepted: a line for each mistake, which names the check and the key. Finds none of them.

use super::{MOST_CHECKS, QueryError};

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
    #[error("expected exactly one of query, job, url, and cpuMaxRatio or memoryMaxRatio or both")]
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

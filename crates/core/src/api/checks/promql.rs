//! A user's query: its placeholders, its syntax and its type, judged before anything runs, with the position of the mistake.

use promql_parser::parser::value::ValueType;

use super::Origin;
use crate::api::promql::{self, ParseError};
use crate::words;

/// A longer query is a mistake.
const LONGEST_QUERY: usize = 2000;

/// What the placeholders stand for in one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    pub namespace: String,
    /// A regular expression that matches the pods asked about: the canary's, or the primary's for the baseline.
    pub pods: String,
    /// The name of the primary Deployment.
    pub primary: String,
}

impl Names {
    const PLACEHOLDERS: [&'static str; 3] = ["namespace", "pods", "primary"];

    /// The query with names in it.
    pub fn fill(&self, query: &str) -> String {
        query.replace("{{namespace}}", &self.namespace).replace("{{pods}}", &self.pods).replace("{{primary}}", &self.primary)
    }
}

/// What is wrong with a query. Reads as the rest of a sentence that begins with "query".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    #[error(", column {column}: unknown placeholder {name:?}; known are {{{{namespace}}}}, {{{{pods}}}} and {{{{primary}}}}")]
    Placeholder { column: usize, name: String },
    #[error("{}: {message}", at(*.column))]
    Syntax { column: Option<usize>, message: String },
    #[error(": gives a {found}; expected an instant vector or a scalar")]
    Type { found: &'static str },
    #[error(": placeholders stand between quotes, as in pod=~\"{{{{pods}}}}\"")]
    Bare,
    #[error(": asks for {label}={value:?}; a check sees the series of its own namespace alone")]
    OtherNamespace { label: String, value: String },
    #[error(": {message}; what isn't known can't be kept to its own namespace (an operator may allow it with --checks-see-all-namespaces)")]
    UnknownFunction { message: String },
    #[error(": can't be kept to its own namespace as it is written; write it more simply")]
    Unconfined,
    #[error(": the braces can't be read, so that it can't be kept to its own namespace")]
    Braces,
    #[error(": each metric needs a scope, as in avg:trace.http.request.apdex{{service:shop}}")]
    NoScope,
}

fn at(column: Option<usize>) -> String {
    column.map(|column| format!(", column {column}")).unwrap_or_default()
}

pub(super) fn check(query: &str, origin: Origin) -> Result<(), QueryError> {
    let plain = with_placeholders_filled(query)?;
    match origin {
        Origin::Datadog => check_datadog(query),
        Origin::Prometheus | Origin::Pages => check_promql(&plain),
    }
}

fn check_promql(plain: &str) -> Result<(), QueryError> {
    match promql::parse(plain) {
        Ok(expression) => match expression.value_type() {
            ValueType::Vector | ValueType::Scalar => Ok(()),
            ValueType::Matrix => Err(QueryError::Type { found: "range of samples" }),
            ValueType::String => Err(QueryError::Type { found: "string" }),
        },
        // Newer servers know functions that this parser doesn't.
        Err(ParseError::Syntax(message)) if unknown_function(plain, &message) => Ok(()),
        Err(ParseError::Syntax(message)) => Err(QueryError::Syntax { column: promql::position(plain, &message), message }),
        Err(ParseError::OutOfBounds(problem)) => Err(QueryError::Syntax { column: problem.column(), message: problem.to_string() }),
    }
}

/// Another language; the source itself says what is wrong with it.
fn check_datadog(query: &str) -> Result<(), QueryError> {
    let refused = |message: &str| Err(QueryError::Syntax { column: None, message: message.to_owned() });
    if query.trim().is_empty() {
        return refused("empty");
    }
    if query.chars().count() > LONGEST_QUERY { refused("longer than 2000 characters") } else { Ok(()) }
}

/// Every placeholder replaced by as many letters, so that positions stay.
fn with_placeholders_filled(query: &str) -> Result<String, QueryError> {
    let mut plain = String::with_capacity(query.len());
    let mut rest = query;
    while let Some(start) = rest.find("{{") {
        let Some(length) = rest[start..].find("}}") else { break };
        let name = &rest[start + 2..start + length];
        if !Names::PLACEHOLDERS.contains(&name) {
            let column = query.len() - rest.len() + start;
            let column = query.get(..column).map_or(0, |before| before.chars().count()) + 1;
            return Err(QueryError::Placeholder { column, name: words::start(name, 40) });
        }
        plain.push_str(&rest[..start]);
        plain.extend(std::iter::repeat_n('a', length + 2));
        rest = &rest[start + length + 2..];
    }
    plain.push_str(rest);
    Ok(plain)
}

/// Whether it complains about a name that looks like a function's: a typing error among the known ones is told apart by nobody.
pub(super) fn unknown_function(query: &str, message: &str) -> bool {
    message.starts_with("unknown function")
        && promql::quoted(message).is_some_and(|name| name.contains('_') && query.contains(&format!("{name}(")))
}

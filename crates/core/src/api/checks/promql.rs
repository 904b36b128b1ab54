//! A user's query: its placeholders, its syntax and its type, judged before anything runs, with the position of the mistake.

use promql_parser::parser::{self, value::ValueType};

use super::Origin;

/// A longer query is a mistake, and would make the search for the mistake's position slow.
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
    #[error(": longer than {LONGEST_QUERY} characters")]
    TooLong,
    #[error(", column {column}: unknown placeholder {name:?}; known are {{{{namespace}}}}, {{{{pods}}}} and {{{{primary}}}}")]
    Placeholder { column: usize, name: String },
    #[error("{}: {message}", at(*.column))]
    Syntax { column: Option<usize>, message: String },
    #[error(": gives a {found}; expected an instant vector or a scalar")]
    Type { found: &'static str },
}

fn at(column: Option<usize>) -> String {
    column.map(|column| format!(", column {column}")).unwrap_or_default()
}

pub(super) fn check(query: &str, origin: Origin) -> Result<(), QueryError> {
    if query.chars().count() > LONGEST_QUERY {
        return Err(QueryError::TooLong);
    }
    let plain = with_placeholders_filled(query)?;
    if origin == Origin::Datadog {
        // Another language; the source itself says what is wrong with it.
        return if query.trim().is_empty() { Err(QueryError::Syntax { column: None, message: "empty".to_owned() }) } else { Ok(()) };
    }
    match parser::parse(&plain) {
        Ok(expression) => match expression.value_type() {
            ValueType::Vector | ValueType::Scalar => Ok(()),
            ValueType::Matrix => Err(QueryError::Type { found: "range of samples" }),
            ValueType::String => Err(QueryError::Type { found: "string" }),
        },
        // Newer servers know functions that this parser doesn't.
        Err(message) if message.starts_with("unknown function") && is_called(&plain, &message) => Ok(()),
        Err(message) => Err(QueryError::Syntax { column: position(&plain, &message), message: brief(&message) }),
    }
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
            return Err(QueryError::Placeholder { column, name: name.chars().take(40).collect() });
        }
        plain.push_str(&rest[..start]);
        plain.extend(std::iter::repeat_n('a', length + 2));
        rest = &rest[start + length + 2..];
    }
    plain.push_str(rest);
    Ok(plain)
}

/// Whether the unknown name looks like a function's: a typing error among the known ones is told apart by nobody.
fn is_called(query: &str, message: &str) -> bool {
    quoted(message).is_some_and(|name| name.contains('_') && query.contains(&format!("{name}(")))
}

/// The column, from 1. The parser gives none, so: where the name that it complains about stands; or where the complaint begins when the
/// query is read letter by letter; or where what could be read ends.
fn position(query: &str, message: &str) -> Option<usize> {
    if let Some(name) = quoted(message).filter(|name| name.len() > 1)
        && let Some(start) = query.find(name)
    {
        return Some(query[..start].chars().count() + 1);
    }
    let prefixes: Vec<&str> = query.char_indices().map(|(start, character)| &query[..start + character.len_utf8()]).collect();
    let is_general = message.starts_with("invalid promql query");
    if !is_general && let Some(first) = prefixes.iter().position(|prefix| parser::parse(prefix).is_err_and(|other| other == message)) {
        return Some(first + 1);
    }
    let good = prefixes.iter().rposition(|prefix| parser::parse(prefix).is_ok())?;
    // Blanks after what could be read aren't the mistake.
    let rest = query.chars().skip(good + 1);
    Some(good + 2 + rest.take_while(|character| character.is_whitespace()).count())
}

fn quoted(message: &str) -> Option<&str> {
    message.split('\'').nth(1).filter(|name| !name.is_empty())
}

fn brief(message: &str) -> String {
    let words = message.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().take(200).collect()
}

//! The one way to the PromQL parser. Its author checks what a query means; what a query may be at all is bounded here before, since it
//! ends the process on numbers that no `Duration` holds, and compiles each regular expression up to ten megabytes.

mod scan;
mod tokens;

use promql_parser::parser::value::ValueType;
use promql_parser::parser::{self, Expr};

pub use self::scan::OutOfBounds;
use self::{scan::scan, tokens::split};
use super::foreign::survived;

/// Why a text can't be read as PromQL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// Before anybody tried.
    #[error(transparent)]
    OutOfBounds(#[from] OutOfBounds),
    /// In the parser's words, on one line.
    #[error("{0}")]
    Syntax(String),
}

/// Reads an expression.
pub fn parse(text: &str) -> Result<Expr, ParseError> {
    scan(text)?;
    parse_bounded(text)
}

/// Reads what this process wrote itself, from a query that was within bounds.
pub fn parse_own(text: &str) -> Result<Expr, ParseError> {
    parse_bounded(text)
}

/// Whether it says one number, without labels. What the parser doesn't know may say anything.
pub fn is_scalar(text: &str) -> bool {
    parse_own(text).is_ok_and(|expression| expression.value_type() == ValueType::Scalar)
}

/// A text without what is quoted in it.
pub fn outside_of_strings(text: &str) -> String {
    split(text).without_strings(text)
}

/// The column (from 1) of what the parser complained about with `message`. It gives none, so: where the name that it names stands; or where
/// the complaint begins when the query is read token by token; or where what could be read ends.
pub fn position(text: &str, message: &str) -> Option<usize> {
    if let Some(name) = quoted(message).filter(|name| name.len() > 1)
        && let Some(start) = text.find(name)
    {
        return Some(text[..start].chars().count() + 1);
    }
    let tokens = scan(text).ok()?;
    // What stands in strings is of no interest here, and would be compiled again and again.
    let plain = tokens.without_strings(text);
    let prefixes: Vec<&str> = tokens.ends().filter_map(|end| plain.get(..end)).collect();
    let is_general = message.starts_with("invalid promql query");
    let says_the_same = |prefix: &&str| matches!(parse_bounded(prefix), Err(ParseError::Syntax(other)) if other == message);
    if !is_general && let Some(first) = prefixes.iter().find(|prefix| says_the_same(prefix)) {
        return Some(first.chars().count());
    }
    let good = prefixes.iter().rfind(|prefix| parse_bounded(prefix).is_ok())?;
    // Blanks after what could be read aren't the mistake.
    let rest = plain[good.len()..].chars();
    Some(good.chars().count() + 1 + rest.take_while(|character| character.is_whitespace()).count())
}

/// The name in a message, as in `unknown function with name 'maxx'`.
pub fn quoted(message: &str) -> Option<&str> {
    message.split('\'').nth(1).filter(|name| !name.is_empty())
}

fn parse_bounded(text: &str) -> Result<Expr, ParseError> {
    let read = survived(|| parser::parse(text)).unwrap_or_else(|| Err("it can't be read".to_owned()));
    read.map_err(|message| ParseError::Syntax(one_line(&message)))
}

/// The parser explains over several lines; an `apply` has one.
fn one_line(message: &str) -> String {
    let words = message.split(|character: char| character.is_whitespace() || character.is_control()).filter(|word| !word.is_empty());
    crate::words::start(&words.collect::<Vec<_>>().join(" "), 200)
}

#[cfg(test)]
mod tests;

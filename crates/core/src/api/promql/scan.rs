//! What a query may be, before anybody parses it: its length, its depth, the times in it, and its regular expressions. What is no PromQL at all
//! is left to the parser, which says so.

use std::ops::RangeInclusive;

use regex::RegexBuilder;

use super::tokens::{Kind, Token, Tokens, split};
use crate::api::foreign::survived;
use crate::api::reader::plain;

/// A longer query is a mistake.
const LONGEST: usize = 2000;
const DEEPEST: usize = 32;
/// Each is a step deeper for whoever walks through what was parsed.
const MOST_OPERATORS: usize = 200;
/// In a row, as in `- - - x`.
const MOST_SIGNS: usize = 4;
const MOST_EXPRESSIONS: usize = 20;
/// Of one compiled regular expression, in bytes.
const LARGEST_EXPRESSION: usize = 128 << 10;
/// Of ranges and offsets: a year and some, in seconds. Nobody keeps a canary waiting for more.
const LONGEST_TIME: f64 = 400.0 * 86_400.0;
/// In the year 5138. A time of the query's own, in seconds.
const LATEST: f64 = 1e11;

/// What is too much about a query. Reads as the rest of a sentence that begins with the key's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutOfBounds {
    #[error("longer than {LONGEST} characters")]
    Long,
    #[error("nested more than {DEEPEST} deep")]
    Deep { column: usize },
    #[error("more than {MOST_OPERATORS} operators")]
    Operators { column: usize },
    #[error("more than {MOST_SIGNS} signs in a row")]
    Signs { column: usize },
    #[error("more than {MOST_EXPRESSIONS} regular expressions")]
    Expressions { column: usize },
    #[error("the regular expression {text:?} is too large")]
    Expression { column: usize, text: String },
    #[error("{text:?} isn't a regular expression that can be read; a brace of its own is written \\\\{{")]
    NoExpression { column: usize, text: String },
    #[error("{text} is no time that can be asked for; expected 1ms to 400d")]
    Time { column: usize, text: String },
    #[error("{text} is no time; expected Unix seconds up to 1e11")]
    Timestamp { column: usize, text: String },
}

impl OutOfBounds {
    /// Where it is, from 1.
    pub fn column(&self) -> Option<usize> {
        match self {
            Self::Long => None,
            Self::Deep { column }
            | Self::Operators { column }
            | Self::Signs { column }
            | Self::Expressions { column }
            | Self::Expression { column, .. }
            | Self::NoExpression { column, .. }
            | Self::Time { column, .. }
            | Self::Timestamp { column, .. } => Some(*column),
        }
    }
}

pub(super) fn scan(text: &str) -> Result<Tokens, OutOfBounds> {
    if text.chars().count() > LONGEST {
        return Err(OutOfBounds::Long);
    }
    let tokens = split(text);
    let column = |token: &Token| text[..token.at.start].chars().count() + 1;
    let (mut depth, mut operators, mut signs, mut expressions) = (0_usize, 0, 0, 0);
    let mut in_brackets = false;
    for (index, token) in tokens.0.iter().enumerate() {
        let word = &text[token.at.clone()];
        let before = tokens.0[..index].iter().rfind(|before| before.kind != Kind::Sign);
        match token.kind {
            Kind::Opens => {
                depth += 1;
                in_brackets |= word == "[";
                if depth > DEEPEST {
                    return Err(OutOfBounds::Deep { column: column(token) });
                }
            }
            Kind::Closes => {
                depth = depth.saturating_sub(1);
                in_brackets &= word != "]";
            }
            Kind::Sign | Kind::Operator => {
                operators += 1;
                if operators > MOST_OPERATORS {
                    return Err(OutOfBounds::Operators { column: column(token) });
                }
            }
            Kind::Number => {
                let follows = |is: &dyn Fn(&Token) -> bool| before.is_some_and(is);
                let is_range = in_brackets || follows(&|before| text[before.at.clone()].eq_ignore_ascii_case("offset"));
                let is_within = |range: RangeInclusive<f64>| seconds(word).is_none_or(|time| range.contains(&time));
                if follows(&|before| before.kind == Kind::At) && !is_within(0.0..=LATEST) {
                    return Err(OutOfBounds::Timestamp { column: column(token), text: plain(word) });
                }
                if is_range && !is_within(if in_brackets { 0.001 } else { 0.0 }..=LONGEST_TIME) {
                    return Err(OutOfBounds::Time { column: column(token), text: plain(word) });
                }
            }
            Kind::Text if before.is_some_and(|before| before.kind == Kind::Matches) => {
                expressions += 1;
                if expressions > MOST_EXPRESSIONS {
                    return Err(OutOfBounds::Expressions { column: column(token) });
                }
                check_expression(word, column(token))?;
            }
            _ => {}
        }
        signs = if token.kind == Kind::Sign { signs + 1 } else { 0 };
        if signs > MOST_SIGNS {
            return Err(OutOfBounds::Signs { column: column(token) });
        }
    }
    Ok(tokens)
}

/// What a label is matched against, compiled once with a bound; the parser would take ten megabytes for each.
fn check_expression(literal: &str, column: usize) -> Result<(), OutOfBounds> {
    // A literal that can't be unquoted is the parser's to refuse, before it compiles anything.
    // But for an escaped letter of more than one byte, on which the parser's own reading ends.
    let escapes_more_than_a_byte = literal.split('\\').skip(1).any(|rest| rest.chars().next().is_some_and(|next| !next.is_ascii()));
    let unquoted = if escapes_more_than_a_byte { None } else { survived(|| promql_parser::util::unquote_string(literal)) };
    let expression = match unquoted {
        Some(Ok(expression)) => expression,
        Some(Err(_)) => return Ok(()),
        None => return Err(OutOfBounds::NoExpression { column, text: plain(literal) }),
    };
    match RegexBuilder::new(&format!("^(?:{expression})$")).size_limit(LARGEST_EXPRESSION).nest_limit(20).build() {
        Ok(_) => Ok(()),
        Err(regex::Error::CompiledTooBig(_)) => Err(OutOfBounds::Expression { column, text: plain(&expression) }),
        Err(_) => Err(OutOfBounds::NoExpression { column, text: plain(&expression) }),
    }
}

/// A number, or a duration in seconds. `None` for what is neither: the parser says so.
fn seconds(word: &str) -> Option<f64> {
    let lower = word.to_ascii_lowercase();
    if let Some(hexadecimal) = lower.strip_prefix("0x") {
        // Beyond the range it isn't read at all.
        return u64::from_str_radix(hexadecimal, 16).ok().map(|number| number as f64);
    }
    if let Ok(number) = lower.parse() {
        return Some(number);
    }
    let (mut total, mut rest) = (0.0, lower.as_str());
    while !rest.is_empty() {
        let digits = rest.find(|character: char| !character.is_ascii_digit())?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|character: char| character.is_ascii_digit()).unwrap_or(rest.len());
        total += number
            * match &rest[..unit] {
                "ms" => 0.001,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                "d" => 86_400.0,
                "w" => 604_800.0,
                "y" => 31_536_000.0,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    Some(total)
}

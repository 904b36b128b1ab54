//! Parsers that others wrote, and texts that strangers wrote, kept apart from the process: a panic is an answer, a YAML document is bounded
//! before it is read. PromQL has bounds of its own, in `promql`.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::de::DeserializeOwned;
use serde_saphyr::{Budget, Options};

use crate::words::is_hidden;

/// As much as twenty checks of the longest queries need, twice.
const LONGEST_YAML: usize = 96 << 10;
/// Twenty checks with ten keys each, and one with a list to compare a page's value with.
const MOST_NODES: usize = 2000;
const DEEPEST: usize = 12;

/// The second line behind the bounds of the first: a text that a parser doesn't survive is refused like any other. Whatever `read` was about
/// to build is dropped with it, so that nothing is seen half made.
pub fn survived<T>(read: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(read)).ok()
}

/// Reads one small YAML document that a user wrote. The error is one line.
pub fn yaml<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    if text.len() > LONGEST_YAML {
        return Err(format!("{} bytes are too long; at most {LONGEST_YAML}", text.len()));
    }
    let read = survived(|| serde_saphyr::from_str_with_options(text, options()));
    match read {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => Err(in_our_words(first_line(&error.to_string()))),
        None => Err("it can't be read".to_owned()),
    }
}

fn options() -> Options {
    let mut budget = Budget::default();
    budget.max_events = MOST_NODES * 4;
    budget.max_nodes = MOST_NODES;
    budget.max_depth = DEEPEST;
    budget.max_documents = 1;
    // What is written once and meant a million times has no place in a list of checks.
    budget.max_aliases = 0;
    budget.max_anchors = 0;
    budget.max_merge_keys = 0;
    budget.max_total_scalar_bytes = LONGEST_YAML;
    let mut options = Options::default();
    options.budget = Some(budget);
    options
}

/// The YAML library explains with an excerpt over several lines; the first says what is wrong and where.
fn first_line(message: &str) -> String {
    let line = message.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let line = line.strip_prefix("error: ").unwrap_or(line);
    line.chars().filter(|character| !is_hidden(*character)).take(300).collect()
}

/// What the library says to programmers, and what a person does about it.
const WORDS: [(&str, &str); 10] = [
    ("budget breached: Anchors", "anchors are not read; write out what they stand for"),
    ("budget breached: Aliases", "anchors are not read; write out what they stand for"),
    ("budget breached: MergeKeys", "merge keys are not read; write out what they stand for"),
    ("budget breached: Documents", "a second document begins, and one is read"),
    ("budget breached: ", "too many fields and items, or too deep"),
    ("invalid floating point", "expected a number, such as 0.5"),
    ("cannot deserialize null into string", "expected a text"),
    ("expected string scalar", "expected a text"),
    ("expected sequence start", "expected a list, whose items begin with a dash"),
    ("expected mapping start", "expected fields, as in name: a"),
];

fn in_our_words(line: String) -> String {
    let (place, problem) = match line.split_once(": ") {
        Some((place, problem)) if place.starts_with("line ") => (format!("{place}: "), problem),
        _ => (String::new(), line.as_str()),
    };
    if let Some((key, _)) = problem.strip_prefix("duplicate mapping key: ").and_then(|rest| rest.rsplit_once(", set DuplicateKeyPolicy")) {
        return format!("{place}{key} stands twice");
    }
    WORDS.iter().find(|(theirs, _)| problem.starts_with(theirs)).map_or_else(|| line.clone(), |(_, ours)| format!("{place}{ours}"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::Value;

    use super::*;

    #[test]
    fn what_people_write_is_read() {
        assert_eq!(yaml::<Value>("a: [1, {b: c}]").unwrap(), serde_json::json!({"a": [1, {"b": "c"}]}));
    }

    #[rstest]
    #[case::anchors("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]".to_owned())]
    #[case::an_anchor_alone("a: &a x".to_owned())]
    #[case::a_merge("a: {b: c}\nd: {<<: {e: f}}".to_owned())]
    #[case::deep("[".repeat(13) + &"]".repeat(13))]
    #[case::deeper("[".repeat(5000))]
    #[case::deep_by_blocks((0..40).fold(String::new(), |text, depth| format!("{text}{}a:\n", " ".repeat(depth))))]
    #[case::wide(format!("[{}]", "1,".repeat(2001)))]
    #[case::long(format!("a: {}", "b".repeat(100_000)))]
    #[case::several_documents("a: b\n---\nc: d".to_owned())]
    #[case::nothing("a: [".to_owned())]
    #[case::a_tag("!!binary '%'".to_owned())]
    fn what_nobody_means_is_one_line(#[case] text: String) {
        let message = yaml::<Value>(&text).unwrap_err();
        assert!(!message.contains('\n') && !message.is_empty() && message.chars().count() <= 300, "{message}");
    }

    #[rstest]
    #[case("- &a 1", "line 1 column 6: anchors are not read; write out what they stand for")]
    #[case("- 1\n---\n- 2", "line 2 column 1: a second document begins, and one is read")]
    #[case("- yes", "line 1 column 3: expected a number, such as 0.5")]
    #[case("{a: 1}", "line 1 column 1: expected a list, whose items begin with a dash")]
    fn the_librarys_words_are_put_into_ours(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(yaml::<Vec<f64>>(text).unwrap_err(), expected);
    }

    #[rstest]
    #[case("a: x\na: y", "line 2 column 1: a stands twice")]
    #[case("a:", "line 1 column 2: expected a text")]
    #[case("a: [b]", "line 1 column 4: expected a text")]
    #[case("- a", "line 1 column 1: expected fields, as in name: a")]
    fn of_fields_too(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(yaml::<std::collections::BTreeMap<String, String>>(text).unwrap_err(), expected);
    }

    #[test]
    fn a_bound_is_told_without_its_name() {
        let message = yaml::<Value>(&("[".repeat(13) + &"]".repeat(13))).unwrap_err();
        assert_eq!(message, "line 1 column 13: too many fields and items, or too deep");
    }

    #[test]
    fn a_parser_that_ends_is_an_answer() {
        let panics = || -> u8 { panic!("on purpose") };
        assert_eq!(survived(panics), None);
    }
}

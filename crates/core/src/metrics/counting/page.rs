//! A line of a metrics page in Prometheus' text format, as a pod serves it.
//!
//! Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>, with the quoted names of
//! <https://prometheus.io/docs/specs/om/open_metrics_spec/> that newer libraries write. A line that fits neither is left out, not guessed at.

use super::Labels;

/// No library writes a longer one, and its labels would be large in memory.
const LONGEST_LINE: usize = 16 << 10;

/// The series and the value of one line; nothing for comments and what can't be read.
pub fn sample(line: &str) -> Option<(Labels, f64)> {
    let line = line.trim();
    if line.len() > LONGEST_LINE {
        return None;
    }
    let end = line.find(|character: char| character == '{' || character.is_ascii_whitespace())?;
    let (name, mut rest) = line.split_at(end);
    if name.starts_with('#') {
        return None;
    }
    let mut labels = Labels::new();
    if !name.is_empty() {
        labels.insert("__name__".to_owned(), name.to_owned());
    }
    rest = rest.trim_start();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = read_labels(inside, &mut labels)?;
    }
    // A time may follow, and an exemplar.
    let value = rest.split_ascii_whitespace().next()?.parse().ok()?;
    // An empty label is the same as none.
    labels.retain(|_, value| !value.is_empty());
    Some((labels, value))
}

/// Up to the closing brace. Returns what comes behind it.
fn read_labels<'a>(mut text: &'a str, labels: &mut Labels) -> Option<&'a str> {
    loop {
        text = text.trim_start_matches(|character: char| character == ',' || character.is_ascii_whitespace());
        if let Some(rest) = text.strip_prefix('}') {
            return Some(rest);
        }
        let (name, rest) = if text.starts_with('"') {
            quoted(text)?
        } else {
            let end = text.find(|character: char| character == '=' || character.is_ascii_whitespace())?;
            (text[..end].to_owned(), &text[end..])
        };
        let rest = rest.trim_start();
        let Some(rest) = rest.strip_prefix('=') else {
            // A quoted name without a value is the metric's.
            if !text.starts_with('"') || labels.insert("__name__".to_owned(), name).is_some() {
                return None;
            }
            text = rest;
            continue;
        };
        let (value, rest) = quoted(rest.trim_start())?;
        labels.insert(name, value);
        text = rest;
    }
}

/// A text in quotes, and what comes behind it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let text = text.strip_prefix('"')?;
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                escaped @ ('"' | '\\') => value.push(escaped),
                other => value.extend(['\\', other]),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[rstest]
    #[case::plain("up 1", &[("__name__", "up")], 1.0)]
    #[case::empty_braces("up{} 1", &[("__name__", "up")], 1.0)]
    #[case::labels(r#"requests_total{code="200",method="GET"} 17"#, &[("__name__", "requests_total"), ("code", "200"), ("method", "GET")], 17.0)]
    #[case::comma_at_the_end(r#"requests_total{code="200",} 1e3"#, &[("__name__", "requests_total"), ("code", "200")], 1000.0)]
    #[case::spaces("\t requests_total { code = \"200\" , a=\"b\" }\t3 1790000000000", &[("__name__", "requests_total"), ("code", "200"), ("a", "b")], 3.0)]
    #[case::escapes(r#"x{a="say \"}\" \\ \n",b="é"} 2"#, &[("__name__", "x"), ("a", "say \"}\" \\ \n"), ("b", "é")], 2.0)]
    #[case::quoted_names(r#"{"http.requests","http.code"="500"} 4"#, &[("__name__", "http.requests"), ("http.code", "500")], 4.0)]
    #[case::exemplar(r#"x_total{a="b"} 5 # {trace_id="7"} 1.0"#, &[("__name__", "x_total"), ("a", "b")], 5.0)]
    #[case::an_empty_label_is_none(r#"x{a=""} 1"#, &[("__name__", "x")], 1.0)]
    #[case::no_bound("x_bucket{le=\"+Inf\"} +Inf", &[("__name__", "x_bucket"), ("le", "+Inf")], f64::INFINITY)]
    fn lines(#[case] line: &str, #[case] expected: &[(&str, &str)], #[case] value: f64) {
        assert_eq!(sample(line), Some((labels(expected), value)));
    }

    #[rstest]
    #[case("# HELP x y")]
    #[case("#x 1")]
    #[case("")]
    #[case("x")]
    #[case("x one")]
    #[case("x{a=\"b\" 1")]
    #[case("x{a=\"b} 1")]
    #[case("x{a=b} 1")]
    #[case("x{a} 1")]
    #[case("x{\"a\"} 1")]
    #[case("<html>")]
    fn what_is_no_sample(#[case] line: &str) {
        assert_eq!(sample(line), None);
    }

    #[test]
    fn a_line_of_a_thousand_labels_is_left_out() {
        let labels = (0..3000).map(|number| format!("a{number}=\"b\",")).collect::<Vec<_>>().concat();
        assert_eq!(sample(&format!("x{{{labels}}} 1")), None);
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "\\PC*") {
            sample(&text);
        }

        #[test]
        fn what_is_written_is_read(value in any::<String>(), count in 0_u32..) {
            let written = value.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"");
            let expected = if value.is_empty() { labels(&[("__name__", "x")]) } else { labels(&[("__name__", "x"), ("a", &value)]) };
            prop_assert_eq!(sample(&format!("x{{a=\"{written}\"}} {count}")), Some((expected, f64::from(count))));
        }
    }
}

//! The live template beside the held one, as a unified diff of their YAML.

use serde_json::Value;
use similar::TextDiff;

use crate::{manifest::template::WithoutNulls, words::is_hidden};

/// Lines of context around a change.
const CONTEXT: usize = 3;

/// Empty where the two say the same.
pub fn unified(live: &Value, held: &Value) -> Result<String, serde_saphyr::ser::Error> {
    let (live, held) = (yaml(live)?, yaml(held)?);
    let diff = TextDiff::from_lines(&live, &held);
    Ok(seen(&diff.unified_diff().context_radius(CONTEXT).header("live", "held").to_string()))
}

/// What hides, turns a line or moves a cursor is shown as what it is.
fn seen(text: &str) -> String {
    let shown = |c: char| if is_hidden(c) && !matches!(c, '\n' | '\t') { c.escape_unicode().to_string() } else { c.to_string() };
    text.chars().map(shown).collect()
}

fn yaml(value: &Value) -> Result<String, serde_saphyr::ser::Error> {
    serde_saphyr::to_string(&WithoutNulls(value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_hides_is_seen() {
        let env = |value: &str| json!({"env": [{"name": "A", "value": value}]});
        let shown = unified(&env("plain"), &env("a\u{1b}[2J\u{202e}b\r")).unwrap();
        assert!(!shown.contains(|c| is_hidden(c) && c != '\n') && shown.contains("202"), "{shown:?}");
    }

    #[test]
    fn what_older_servers_write_as_null_is_no_difference() {
        let metadata = |stored: Value| json!({"metadata": stored, "spec": {}});
        assert_eq!(unified(&metadata(json!({"creationTimestamp": null})), &metadata(json!({}))).unwrap(), "");
    }
}

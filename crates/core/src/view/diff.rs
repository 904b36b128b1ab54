//! The live template beside the held one, as a unified diff of their YAML.

use serde_json::Value;
use similar::TextDiff;

use crate::manifest::template::WithoutNulls;

/// Lines of context around a change.
const CONTEXT: usize = 3;

/// Empty where the two say the same.
pub fn unified(live: &Value, held: &Value) -> Result<String, serde_saphyr::ser::Error> {
    let (live, held) = (yaml(live)?, yaml(held)?);
    let diff = TextDiff::from_lines(&live, &held);
    Ok(diff.unified_diff().context_radius(CONTEXT).header("live", "held").to_string())
}

fn yaml(value: &Value) -> Result<String, serde_saphyr::ser::Error> {
    serde_saphyr::to_string(&WithoutNulls(value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_older_servers_write_as_null_is_no_difference() {
        let metadata = |stored: Value| json!({"metadata": stored, "spec": {}});
        assert_eq!(unified(&metadata(json!({"creationTimestamp": null})), &metadata(json!({}))).unwrap(), "");
    }
}

//! The live template beside the held one, as a unified diff of their YAML.

use serde_json::Value;
use similar::TextDiff;

/// Lines of context around a change.
const CONTEXT: usize = 3;

/// Empty where the two say the same.
pub fn unified(live: &Value, held: &Value) -> Result<String, serde_saphyr::ser::Error> {
    let (live, held) = (yaml(live)?, yaml(held)?);
    let diff = TextDiff::from_lines(&live, &held);
    Ok(diff.unified_diff().context_radius(CONTEXT).header("live", "held").to_string())
}

fn yaml(value: &Value) -> Result<String, serde_saphyr::ser::Error> {
    serde_saphyr::to_string(value)
}

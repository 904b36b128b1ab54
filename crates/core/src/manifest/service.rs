//! What is true of Services alone: whose pods one sends to.

use serde_json::{Map, Value};

/// Whether it sends to pods of these labels. Without a selector others say where it sends to; an `ExternalName` is another name for a host, and
/// nobody looks at its selector.
pub fn sends_to(service: &Value, labels: &Map<String, Value>) -> bool {
    let spec = |name: &str| service.get("spec").and_then(|spec| spec.get(name));
    let selector = spec("selector").and_then(Value::as_object).filter(|selector| !selector.is_empty());
    spec("type").and_then(Value::as_str) != Some("ExternalName")
        && selector.is_some_and(|selector| selector.iter().all(|(name, value)| labels.get(name) == Some(value)))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    #[rstest]
    #[case(json!({"selector": {"app": "app"}}), true)]
    #[case(json!({"selector": {"app": "app", "team": "red"}}), true)]
    #[case(json!({"selector": {"app": "app", "team": "blue"}}), false)]
    #[case::others_say_where(json!({"selector": {}}), false)]
    #[case::nothing(json!({}), false)]
    #[case::a_host(json!({"type": "ExternalName", "selector": {"app": "app"}}), false)]
    fn pods_of_these_labels(#[case] spec: Value, #[case] expected: bool) {
        let labels = json!({"app": "app", "team": "red"});
        assert_eq!(sends_to(&json!({"spec": spec}), labels.as_object().unwrap()), expected);
    }
}

//! Does the canary get traffic? It does when every Service that selects the primary's pods selects the canary's too.

use serde_json::{Map, Value};

use crate::manifest::object;

/// The words for the user when a Service selects the primary's pods but not the canary's, or none selects any.
pub fn unreached(services: &[Value], primary: &Value, canary: &Value) -> Option<String> {
    let labels = |deployment: &Value| object::metadata_map(object::template(deployment), "labels").clone();
    let (primary_labels, canary_labels) = (labels(primary), labels(canary));
    let reaches = |service: &Value, labels: &Map<String, Value>| {
        let selector = service.pointer("/spec/selector").and_then(Value::as_object);
        selector.is_some_and(|selector| !selector.is_empty() && selector.iter().all(|(name, value)| labels.get(name) == Some(value)))
    };
    let of_primary: Vec<&Value> = services.iter().filter(|service| reaches(service, &primary_labels)).collect();
    if of_primary.is_empty() {
        return Some(format!("no Service selects the pods of {}: the canary may get no traffic", object::name(primary)));
    }
    let missing = of_primary.into_iter().find(|service| !reaches(service, &canary_labels))?;
    Some(format!("Service {} selects the primary's pods but not the canary's: it gets no traffic from there", object::name(missing)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn service(name: &str, selector: Value) -> Value {
        json!({"metadata": {"name": name}, "spec": {"selector": selector}})
    }

    fn deployment(labels: Value) -> Value {
        json!({"metadata": {"name": "app"}, "spec": {"template": {"metadata": {"labels": labels}}}})
    }

    #[test]
    fn services_are_compared_by_what_they_select() {
        let primary = deployment(json!({"app": "app", "tier": "web"}));
        let canary = deployment(json!({"app": "app", "tier": "canary"}));
        assert_eq!(unreached(&[service("app", json!({"app": "app"}))], &primary, &canary), None);
        let missed = unreached(&[service("app", json!({"app": "app"})), service("web", json!({"tier": "web"}))], &primary, &canary);
        insta::assert_snapshot!(missed.unwrap(), @"Service web selects the primary's pods but not the canary's: it gets no traffic from there");
        let none = unreached(&[service("other", json!({"app": "other"})), service("headless", json!({}))], &primary, &canary);
        insta::assert_snapshot!(none.unwrap(), @"no Service selects the pods of app: the canary may get no traffic");
    }
}

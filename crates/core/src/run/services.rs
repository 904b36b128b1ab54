//! Does the canary get traffic? It does when every Service that selects the primary's pods selects the canary's too. And does the primary still: a
//! Service that was changed together with the template is live at once.

use serde_json::{Map, Value};

use crate::{
    api::annotations::{ROLE_LABEL, RUN_LABEL},
    facts::event::Unreached,
    manifest::{object, service::sends_to},
};

/// Whether a Service selects the primary's pods but not the canary's, or the other way round, or none selects any.
pub fn unreached(services: &[Value], primary: &Value, canary: &Value) -> Option<Unreached> {
    let labels = |deployment: &Value| object::metadata_map(object::template(deployment), "labels").clone();
    let (primary_labels, canary_labels) = (labels(primary), labels(canary));
    let of_primary: Vec<&Value> = services.iter().filter(|service| sends_to(service, &primary_labels)).collect();
    let held = held_labels(primary, canary);
    if let Some(ahead) = services.iter().find(|service| sends_to(service, &held) && !sends_to(service, &primary_labels)) {
        return Some(Unreached::Ahead { service: object::name(ahead).to_owned() });
    }
    if of_primary.is_empty() {
        return Some(Unreached::NoService { primary: object::name(primary).to_owned() });
    }
    if let Some(missing) = of_primary.iter().find(|service| !sends_to(service, &canary_labels)) {
        return Some(Unreached::NotSelected { service: object::name(missing).to_owned() });
    }
    let (live, held) = (object::template(primary), object::template(canary));
    of_primary.into_iter().find_map(|service| {
        let only = |one: &Value, other: &Value| targets(service).find(|port| opens(one, port) && !opens(other, port));
        let words = |port: &Value| port.as_str().map_or_else(|| port.to_string(), str::to_owned);
        let name = || object::name(service).to_owned();
        let lacking = only(live, held).map(|port| Unreached::NoPort { service: name(), port: words(port) });
        lacking.or_else(|| only(held, live).map(|port| Unreached::PortAhead { service: name(), port: words(port) }))
    })
}

/// The labels that the held template has of its own: a Service may be there for canaries, by the labels that make them such.
fn held_labels(primary: &Value, canary: &Value) -> Map<String, Value> {
    let selected =
        |deployment: &Value| deployment.pointer("/spec/selector/matchLabels").and_then(Value::as_object).cloned().unwrap_or_default();
    let of_primary = selected(primary);
    let added: Vec<String> = selected(canary).into_iter().map(|(name, _)| name).filter(|name| !of_primary.contains_key(name)).collect();
    let mut labels = object::metadata_map(object::template(canary), "labels").clone();
    labels.retain(|name, _| !added.contains(name) && ![ROLE_LABEL, RUN_LABEL].contains(&name.as_str()));
    labels
}

/// The pods' ports that a Service sends to, by name or number.
fn targets(service: &Value) -> impl Iterator<Item = &Value> {
    let ports = service.pointer("/spec/ports").and_then(Value::as_array).into_iter().flatten();
    ports.filter_map(|port| port.get("targetPort").or_else(|| port.get("port")))
}

/// As far as the template says: a port need not be listed to be open, so only what one template lists and the other doesn't tells anything.
fn opens(template: &Value, port: &Value) -> bool {
    // Init containers that go on may serve, too.
    let lists = ["/spec/containers", "/spec/initContainers"].into_iter().filter_map(|list| template.pointer(list));
    let containers = lists.filter_map(Value::as_array).flatten();
    let mut ports = containers.filter_map(|container| container.get("ports")?.as_array()).flatten();
    let field = if port.is_string() { "name" } else { "containerPort" };
    ports.any(|listed| listed.get(field) == Some(port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::events::unreached as words;
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
        insta::assert_snapshot!(words(&missed.unwrap()), @"Service web selects the primary's pods but not the canary's: it gets no traffic from there");
        let open = |mut deployment: Value, ports: Value| {
            deployment["spec"]["template"]["spec"] = json!({"containers": [{"name": "app", "ports": ports}]});
            deployment
        };
        let serving = |target: Value| {
            let mut service = service("app", json!({"app": "app"}));
            service["spec"]["ports"] = json!([{"port": 80, "targetPort": target}]);
            let live = open(primary.clone(), json!([{"name": "http", "containerPort": 8080}]));
            let renamed = open(canary.clone(), json!([{"name": "web", "containerPort": 8081}]));
            assert_eq!(
                unreached(std::slice::from_ref(&service), &live, &open(canary.clone(), json!([{"name": "http", "containerPort": 8080}]))),
                None
            );
            unreached(&[service], &live, &renamed)
        };
        insta::assert_snapshot!(words(&serving(json!("http")).unwrap()), @"Service app sends requests to port http, which no container of the held template opens: they fail there, or go elsewhere");
        assert!(words(&serving(json!(8080)).unwrap()).contains("to port 8080"));
        assert_eq!(serving(json!(9090)), None, "the primary's don't list it either");
        let live = open(primary.clone(), json!([{"name": "http", "containerPort": 8080}]));
        let mut in_a_sidecar = open(canary.clone(), json!([]));
        in_a_sidecar["spec"]["template"]["spec"]["initContainers"] =
            json!([{"name": "proxy", "restartPolicy": "Always", "ports": [{"name": "http", "containerPort": 8080}]}]);
        let mut to_the_proxy = service("app", json!({"app": "app"}));
        to_the_proxy["spec"]["ports"] = json!([{"port": 80, "targetPort": "http"}]);
        assert_eq!(unreached(&[to_the_proxy], &live, &in_a_sidecar), None);
        let mut name = service("app", json!({"app": "app", "tier": "web"}));
        name["spec"]["type"] = json!("ExternalName");
        assert_eq!(unreached(&[name.clone(), service("app", json!({"app": "app"}))], &primary, &canary), None);
        assert!(matches!(unreached(&[name], &primary, &canary), Some(Unreached::NoService { .. })));
        let moved = deployment(json!({"app": "app", "version": "2", "tier": "canary"}));
        let after = service("app", json!({"app": "app", "version": "2"}));
        insta::assert_snapshot!(words(&unreached(&[after], &primary, &moved).unwrap()), @"Service app selects pods of the held template and none of the live one: until that is promoted, the canary alone serves what it sends");
        let mut made = deployment(json!({"app": "app", "tier": "canary"}));
        made["spec"]["selector"] = json!({"matchLabels": {"app": "app", "tier": "canary"}});
        let own = service("canaries", json!({"app": "app", "tier": "canary"}));
        assert_eq!(unreached(&[own, service("app", json!({"app": "app"}))], &deployment(json!({"app": "app"})), &made), None);
        let mut renamed = service("app", json!({"app": "app"}));
        renamed["spec"]["ports"] = json!([{"port": 80, "targetPort": "web"}]);
        let (live, held) = (open(primary.clone(), json!([])), open(canary.clone(), json!([{"name": "web", "containerPort": 8081}])));
        insta::assert_snapshot!(words(&unreached(&[renamed], &live, &held).unwrap()), @"Service app sends requests to port web, which the held template opens and the live one doesn't: they fail at its pods until the promotion");
        let none = unreached(&[service("other", json!({"app": "other"})), service("headless", json!({}))], &primary, &canary);
        insta::assert_snapshot!(words(&none.unwrap()), @"no Service selects the pods of app: the canary may get no traffic");
    }
}

//! Annotations for Coalmine where nobody reads them: on the pod template, as labels, under another name, or on a Deployment that is not opted in.
//! They do nothing, and silently so; whoever writes them is told once, when they come. Changes nothing and refuses nothing.

use serde_json::{Map, Value};

use super::{Admission, Request};
use crate::{
    api::annotations as key,
    manifest::{object, template},
    message,
};

pub(super) fn with_advice(mut admission: Admission, request: &Request<'_>) -> Admission {
    admission.warnings.extend(advice(request));
    admission
}

fn advice(request: &Request<'_>) -> Option<String> {
    let annotations = object::annotations(request.new);
    let comes = |part: &str, is_meant: fn(&str) -> bool| -> Option<&str> {
        let before = |name: &str| request.old.is_some_and(|old| object::metadata_map(old, part).contains_key(name));
        names(object::metadata_map(request.new, part)).find(|name| is_meant(name) && !before(name))
    };
    if let Some(name) = comes("labels", |name| key::USER_KEYS.contains(&name) || is_near(name)) {
        return Some(message::label(name));
    }
    if annotations.contains_key(key::ENABLED) {
        return None;
    }
    if let Some(name) = comes("annotations", |name| key::is_of_user(name) || is_near(name)) {
        return Some(message::not_opted_in(name));
    }
    let template_comes = request.old.is_none_or(|old| !template::same(object::template(old), object::template(request.new)));
    let in_template = names(object::annotations(object::template(request.new))).find(|name| key::is_of_user(name));
    in_template.filter(|_| template_comes && !names(annotations).any(key::is_of_user)).map(message::misplaced)
}

fn names(map: &Map<String, Value>) -> impl Iterator<Item = &str> {
    map.keys().map(String::as_str)
}

/// `canary/enabled`, `canary-enabled`, `coalmine.dev/enabled`, `Canary.Enable`: what people write who remember it nearly. The webhook's condition in
/// `deploy/base/webhook.yaml` is the same in CEL.
fn is_near(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let rest = ["canary", "coalmine.dev", "coalmine"].iter().find_map(|prefix| name.strip_prefix(prefix));
    rest.and_then(|rest| rest.strip_prefix(['-', '_', '/', '.'])).is_some_and(|rest| matches!(rest, "enable" | "enabled"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    fn said(old: Option<&Value>, new: &Value) -> Option<String> {
        let request =
            Request { username: "ann", groups: &[], field_manager: "kubectl", name: "app", old, new, dry_run: false, held_merged: None };
        advice(&request)
    }

    #[rstest]
    #[case::typo(json!({"annotations": {"canary.enable": "true"}}), Some("canary: canary.enable does nothing: the Deployment has no annotation canary.enabled: \"true\""))]
    #[case::alone(json!({"annotations": {"canary.max-latency-p99": "5m"}}), Some("canary: canary.max-latency-p99 does nothing: the Deployment has no annotation canary.enabled: \"true\""))]
    #[case::slash(json!({"annotations": {"canary/enabled": "true"}}), Some("canary: canary/enabled does nothing: the Deployment has no annotation canary.enabled: \"true\""))]
    #[case::capital(json!({"annotations": {"Canary.enabled": "true"}}), Some("canary: Canary.enabled does nothing: the Deployment has no annotation canary.enabled: \"true\""))]
    #[case::domain(json!({"annotations": {"coalmine.dev/enabled": "true"}}), Some("canary: coalmine.dev/enabled does nothing: the Deployment has no annotation canary.enabled: \"true\""))]
    #[case::label(json!({"labels": {"canary.enabled": "true"}}), Some("canary: canary.enabled does nothing as a label; write it as an annotation of the Deployment"))]
    #[case::label_beside(json!({"annotations": {"canary.enabled": "true"}, "labels": {"canary.duration": "5m"}}), Some("canary: canary.duration does nothing as a label; write it as an annotation of the Deployment"))]
    #[case::opted_in(json!({"annotations": {"canary.enabled": "true", "canary.duration": "5m"}}), None)]
    #[case::opted_out(json!({"annotations": {"canary.enabled": "false", "canary.duration": "5m"}}), None)]
    #[case::of_others(json!({"annotations": {"canary.flagger.app/enabled": "true", "canaryenabled": "", "coalmine.dev/team": "x"}, "labels": {"canary": "true"}}), None)]
    fn what_does_nothing_is_told_when_it_comes(#[case] metadata: Value, #[case] words: Option<&str>) {
        let (new, plain) = (json!({"metadata": metadata}), json!({"metadata": {}}));
        assert_eq!(said(None, &new).as_deref(), words);
        assert_eq!(said(Some(&plain), &new).as_deref(), words);
        assert_eq!(said(Some(&new), &new), None, "it was told");
    }

    #[test]
    fn it_is_said_in_one_line_that_fits() {
        let long = format!("canary.{}", "x".repeat(300));
        assert!(said(None, &json!({"metadata": {"annotations": {long: ""}}})).unwrap().chars().count() <= message::LONGEST_WARNING);
    }
}

//! What the live template needs to start another pod. Tools that name `ConfigMap`s and Secrets after their content prune the old ones with the
//! manifest that made the new: the live template then runs on, and its next pod does not start. Names only; looking them up is the
//! controller's. It may read no Secret: of those the pods themselves tell.
//!
//! And what a canary's pod lacks that a next pod of the live template would lack as well: that is no fault of the held one.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{pods, shared};
use crate::manifest::{object, template};

/// The `ConfigMaps` that a pod of this template can't be started without.
pub fn config_maps(template: &Value) -> BTreeSet<&str> {
    let containers = || ["/spec/containers", "/spec/initContainers"].into_iter().flat_map(|all| items(template, all));
    let variables = containers().flat_map(|container| items(container, "/env")).filter_map(|env| env.pointer("/valueFrom/configMapKeyRef"));
    let all_of = containers().flat_map(|container| items(container, "/envFrom")).filter_map(|from| from.get("configMapRef"));
    let volumes = items(template, "/spec/volumes").filter_map(|volume| volume.get("configMap"));
    let projected = items(template, "/spec/volumes").flat_map(|volume| items(volume, "/projected/sources"));
    let projected = projected.filter_map(|source| source.get("configMap"));
    let needed = variables.chain(all_of).chain(volumes).chain(projected);
    let needed = needed.filter(|reference| reference.get("optional").and_then(Value::as_bool) != Some(true));
    needed.filter_map(|reference| reference.get("name")?.as_str()).collect()
}

fn items<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default().iter()
}

/// What pods of the primary's wait for, in kubelet's words.
pub fn waited_for(primary: &Value, of_namespace: &[Value]) -> BTreeSet<String> {
    let own = of_namespace.iter().filter(|pod| shared::is_of(pod, object::name(primary)) && !pods::is_lost(pod));
    own.filter_map(pods::missing).collect()
}

/// Whether this template names as well what a container misses, in kubelet's words.
pub fn misses(template: &Value, words: &str) -> bool {
    let said: Vec<&str> = words.split(|one: char| !(one.is_ascii_alphanumeric() || "-._".contains(one))).collect();
    let is_said = |text: Option<&str>| text.is_some_and(|text| said.contains(&text));
    let is_key = words.contains("find key");
    let named = |reference: &Value| is_said(reference["name"].as_str()) && (!is_key || is_said(reference["key"].as_str()));
    let containers = || ["/spec/containers", "/spec/initContainers"].into_iter().flat_map(|all| items(template, all));
    let variables = || containers().flat_map(|container| items(container, "/env")).filter_map(|env| env.get("valueFrom"));
    let all_of = || containers().flat_map(|container| items(container, "/envFrom"));
    let of_kind =
        |one: &str, all: &str| variables().filter_map(|from| from.get(one)).chain(all_of().filter_map(|from| from.get(all))).any(named);
    if words.to_ascii_lowercase().contains("configmap") {
        of_kind("configMapKeyRef", "configMapRef")
    } else {
        of_kind("secretKeyRef", "secretRef")
    }
}

/// Whether an image that can't be pulled, in kubelet's words, is one that the live template pulls in the same way.
pub fn pulls(live: &Value, held: &Value, words: &str) -> bool {
    let alike = |path: &str| live.pointer(path) == held.pointer(path);
    let is_named = || template::images(live).values().any(|image| words.contains(&format!("\"{image}\"")));
    words.contains(PULL_FAILS) && is_named() && alike("/spec/imagePullSecrets") && alike("/spec/serviceAccountName")
}

/// Kubelet's reason, once it has tried.
const PULL_FAILS: &str = "ImagePullBackOff";

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[test]
    fn what_a_pod_can_t_be_started_without() {
        let template = json!({"spec": {
            "initContainers": [{"envFrom": [{"configMapRef": {"name": "init"}}]}],
            "containers": [{
                "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "key", "key": "a"}}},
                        {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "perhaps", "key": "a", "optional": true}}},
                        {"name": "C", "valueFrom": {"secretKeyRef": {"name": "secret", "key": "a"}}}, {"name": "D", "value": "d"}],
                "envFrom": [{"configMapRef": {"name": "all"}}, {"secretRef": {"name": "secret"}}],
            }],
            "volumes": [{"configMap": {"name": "files"}}, {"configMap": {"name": "perhaps", "optional": true}}, {"emptyDir": {}},
                        {"projected": {"sources": [{"configMap": {"name": "projected"}}, {"secret": {"name": "secret"}}]}}],
        }});
        assert_eq!(config_maps(&template).into_iter().collect::<Vec<_>>(), ["all", "files", "init", "key", "projected"]);
        assert!(config_maps(&json!(null)).is_empty());
    }

    #[rstest]
    #[case::a_secret(r#"container app CreateContainerConfigError: secret "token" not found"#, true)]
    #[case::a_key("container app CreateContainerConfigError: couldn't find key a in Secret shop/token", true)]
    #[case::another_key("container app CreateContainerConfigError: couldn't find key b in Secret shop/token", false)]
    #[case::another("container app CreateContainerConfigError: secret \"token-2\" not found", false)]
    #[case::of_another_kind(r#"container app CreateContainerConfigError: configmap "token" not found"#, false)]
    #[case::all_of_one(r#"container app CreateContainerConfigError: configmap "all" not found"#, true)]
    #[case::something_else("container app CreateContainerConfigError: container has runAsNonRoot and image will run as root", false)]
    fn what_the_live_template_would_miss(#[case] words: &str, #[case] expected: bool) {
        let template = json!({"spec": {"containers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": "token", "key": "a"}}}],
            "envFrom": [{"configMapRef": {"name": "all"}}]}]}});
        assert_eq!(misses(&template, words), expected);
    }

    #[rstest]
    #[case::the_same(json!({"containers": [{"name": "app", "image": "r/app:1"}]}), "r/app:1", true)]
    #[case::of_a_sidecar(json!({"containers": [{"name": "app", "image": "r/app:2"}, {"name": "proxy", "image": "r/app:1"}]}), "r/app:1", true)]
    #[case::the_new_one(json!({"containers": [{"name": "app", "image": "r/app:2"}]}), "r/app:2", false)]
    #[case::one_that_begins_alike(json!({"containers": [{"name": "app", "image": "r/app:1.2"}]}), "r/app:1.2", false)]
    #[case::without_the_secret(json!({"containers": [{"name": "app", "image": "r/app:1"}], "imagePullSecrets": []}), "r/app:1", false)]
    fn an_image_that_the_live_template_pulls(#[case] held: Value, #[case] image: &str, #[case] expected: bool) {
        let live = json!({"spec": {"containers": [{"name": "app", "image": "r/app:1"}]}});
        let words = format!("container app ImagePullBackOff: Back-off pulling image \"{image}\": ErrImagePull: 503");
        assert_eq!(pulls(&live, &json!({"spec": held}), &words), expected);
        assert!(!pulls(&live, &live, "container app InvalidImageName: \"r/app:1\""));
    }

    #[test]
    fn what_pods_wait_for_is_told_once_in_kubelet_s_words() {
        let pod = |set: &str| {
            json!({"metadata": {"ownerReferences": [{"kind": "ReplicaSet", "name": set}]}, "status": {"containerStatuses": [
                {"name": "app", "state": {"waiting": {"reason": "CreateContainerConfigError", "message": "secret \"key\" not found"}}}]}})
        };
        let waited = waited_for(&json!({"metadata": {"name": "app"}}), &[pod("app-1"), pod("app-1"), pod("other-1")]);
        assert_eq!(waited.into_iter().collect::<Vec<_>>(), [r#"container app CreateContainerConfigError: secret "key" not found"#]);
    }
}

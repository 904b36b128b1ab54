//! What the live template needs to start another pod. Tools that name `ConfigMap`s and Secrets after their content prune the old ones with the
//! manifest that made the new: the live template then runs on, and its next pod does not start. Names only; looking them up is the
//! controller's. It may read no Secret: of those the pods themselves tell.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{pods, shared};
use crate::manifest::object;

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

#[cfg(test)]
mod tests {
    use super::*;
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

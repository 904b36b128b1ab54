//! Patches that say how a list or a map is meant (`$patch: replace`, `$setElementOrder`, `$retainKeys`, `move`, `copy`, `test`), and commands one
//! after the other while something is on trial. A table beside that of `twins`.

use rstest::rstest;

use super::twins::{
    Do::{Apply, ApplySet, Edit, EditBy, GetAndReplace, Patch, Promote, Replace, Run},
    play,
};
use crate::support::{
    kubectl::Apply::{self as How, ClientSide, ServerSide},
    results::row,
};

use super::twins::Do;

const ENV_REPLACED: Do = Patch(
    "strategic",
    r#"{"spec":{"template":{"spec":{"containers":[{"name":"app","env":[{"$patch":"replace"},{"name":"X","value":"1"}]}]}}}}"#,
);

#[rstest]
#[case::env_replaced(&[ENV_REPLACED])]
#[case::env_replaced_in_a_trial(&[Apply("B"), ENV_REPLACED])]
#[case::env_stated_by_a_merge_patch_in_a_trial(&[Apply("B"), Patch("json", r#"[{"op":"replace","path":"/spec/template/spec/containers/0/env","value":[{"name":"X","value":"1"},{"name":"Y","value":"2"}]}]"#)])]
#[case::one_variable_deleted_and_one_put_in(&[Apply("B"), Patch("strategic", r#"{"spec":{"template":{"spec":{"containers":[{"name":"app","env":[{"name":"SECOND","$patch":"delete"},{"name":"X","value":"1"}]}]}}}}"#)])]
#[case::env_of_all_stated_anew_in_a_trial(&[Apply("B"), Patch("merge", r#"{"spec":{"template":{"metadata":{"annotations":{"checksum/config":null,"other":"1"}},"spec":{"imagePullSecrets":[{"name":"two"},{"name":"three"}],"hostAliases":[{"ip":"10.0.0.3","hostnames":["c"]}]}}}}"#)])]
#[case::labels_replaced_in_a_trial(&[Apply("B"), Patch("strategic", r#"{"spec":{"template":{"metadata":{"labels":{"$patch":"replace","app":"app","x":"1"}}}}}"#)])]
#[case::annotations_replaced_in_a_trial(&[Apply("B"), Patch("strategic", r#"{"spec":{"template":{"metadata":{"annotations":{"$patch":"replace","x":"1"}}}}}"#)])]
#[case::order_of_variables_in_a_trial(&[Apply("C"), Patch("strategic", r#"{"spec":{"template":{"spec":{"containers":[{"name":"app","$setElementOrder/env":[{"name":"SECOND"},{"name":"FIRST"}],"env":[{"name":"FIRST","value":"z"}]}]}}}}"#)])]
#[case::order_of_containers_in_a_trial(&[Apply("B"), Patch("strategic", r#"{"spec":{"template":{"spec":{"$setElementOrder/containers":[{"name":"side"},{"name":"app"}],"containers":[{"name":"side","image":"y"}]}}}}"#)])]
#[case::retained_strategy_in_a_trial(&[Apply("B"), Patch("strategic", r#"{"spec":{"strategy":{"$retainKeys":["type","rollingUpdate"],"rollingUpdate":{"maxUnavailable":0}}}}"#)])]
#[case::copied_container_in_a_trial(&[Apply("C"), Patch("json", r#"[{"op":"copy","from":"/spec/template/spec/containers/1","path":"/spec/template/spec/containers/-"},{"op":"replace","path":"/spec/template/spec/containers/2/name","value":"third"}]"#)])]
#[case::tested_and_replaced_in_a_trial(&[Apply("C"), Patch("json", r#"[{"op":"test","path":"/spec/template/spec/containers/1/name","value":"side"},{"op":"replace","path":"/spec/template/spec/containers/1/image","value":"y"}]"#)])]
#[case::edited_twice(&[Edit("/image:.registry/s/side:1/side:2/"), Edit("/image:.registry/s/app:a/app:z/")])]
#[case::edited_and_back(&[Edit("/image:.registry/s/side:1/side:2/"), Edit("/nothing/d")])]
#[case::resources_in_a_trial(&[Apply("B"), Run(&["set", "resources", "deployment/app", "-c=app", "--limits=cpu=1", "--requests=cpu=100m"])])]
#[case::resources_away_in_a_trial(&[Apply("B"), Run(&["set", "resources", "deployment/app", "-c=app", "--requests=cpu=0"])])]
#[case::service_account_in_a_trial(&[Apply("B"), Run(&["set", "serviceaccount", "deployment/app", "other"]), Run(&["set", "sa", "deployment/app", "third"])])]
#[case::all_images_in_a_trial(&[Apply("B"), Run(&["set", "image", "deployment/app", "*=registry.example/all:1"])])]
#[case::scaled_by_apply(&[Apply("B"), Patch("merge", r#"{"spec":{"replicas":3}}"#), Apply("B")])]
#[case::hostnames_and_network_in_a_trial(&[Apply("B"), Patch("merge", r#"{"spec":{"template":{"spec":{"hostNetwork":true,"dnsPolicy":"None","dnsConfig":{"nameservers":["10.0.0.1"],"options":[{"name":"ndots","value":"2"}]}}}}}"#), Patch("merge", r#"{"spec":{"template":{"spec":{"dnsConfig":{"options":[{"name":"ndots","value":"3"}]}}}}}"#)])]
#[case::affinity_and_spread_in_a_trial(&[Apply("B"), Patch("strategic", r#"{"spec":{"template":{"spec":{"nodeSelector":{"a":"1"},"affinity":{"podAntiAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[{"weight":1,"podAffinityTerm":{"topologyKey":"zone","labelSelector":{"matchLabels":{"app":"app"}}}}]}}}}}}"#), Patch("strategic", r#"{"spec":{"template":{"spec":{"nodeSelector":{"b":"2"},"affinity":{"podAntiAffinity":{"preferredDuringSchedulingIgnoredDuringExecution":[{"weight":2,"podAffinityTerm":{"topologyKey":"host","labelSelector":{"matchLabels":{"app":"app"}}}}]}}}}}}"#)])]
#[case::ephemeral_claim_in_a_trial(&[Apply("B"), Patch("strategic", r#"{"spec":{"template":{"spec":{"volumes":[{"name":"scratch","ephemeral":{"volumeClaimTemplate":{"spec":{"accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Gi"}}}}}}]}}}}"#), Run(&["rollout", "restart", "deployment/app"])])]
#[case::projected_volume_in_a_trial(&[Apply("B"), Patch("strategic", r#"{"spec":{"template":{"spec":{"volumes":[{"name":"all","projected":{"sources":[{"configMap":{"name":"a"}},{"secret":{"name":"b"}}]}}]}}}}"#), Patch("json", r#"[{"op":"add","path":"/spec/template/spec/readinessGates","value":[{"conditionType":"example.com/lb"}]}]"#)])]
#[case::sidecar_in_a_trial(&[Apply("B"), Patch("strategic", r#"{"spec":{"template":{"spec":{"initContainers":[{"name":"proxy","image":"proxy:1","restartPolicy":"Always"}]}}}}"#), Patch("strategic", r#"{"spec":{"template":{"spec":{"initContainers":[{"name":"proxy","image":"proxy:2"}]}}}}"#)])]
#[case::scheduling_gates_and_overhead(&[Apply("B"), Patch("merge", r#"{"spec":{"template":{"spec":{"schedulingGates":[{"name":"example.com/x"}],"runtimeClassName":null,"enableServiceLinks":false,"shareProcessNamespace":true}}}}"#)])]
#[case::security_context_in_a_trial(&[Apply("B"), Patch("strategic", r#"{"spec":{"template":{"spec":{"securityContext":{"runAsNonRoot":true,"sysctls":[{"name":"net.core.somaxconn","value":"1024"}]},"containers":[{"name":"app","securityContext":{"capabilities":{"drop":["ALL"],"add":["NET_BIND_SERVICE"]}}}]}}}}"#), Patch("strategic", r#"{"spec":{"template":{"spec":{"containers":[{"name":"app","securityContext":{"capabilities":{"add":["CHOWN"]}}}]}}}}"#)])]
#[case::hooks_and_probes_in_a_trial(&[Apply("B"), Patch("strategic", r#"{"spec":{"template":{"spec":{"containers":[{"name":"app","lifecycle":{"preStop":{"exec":{"command":["sleep","5"]}}},"livenessProbe":{"httpGet":{"path":"/live","port":8080,"httpHeaders":[{"name":"A","value":"1"}]}}}]}}}}"#), Patch("strategic", r#"{"spec":{"template":{"spec":{"containers":[{"name":"app","lifecycle":{"preStop":{"exec":{"command":["sleep","9"]}}},"livenessProbe":{"httpGet":{"path":"/alive","port":8080}}}]}}}}"#)])]
#[case::env_from_in_a_trial(&[Apply("B"), Patch("strategic", r#"{"spec":{"template":{"spec":{"containers":[{"name":"app","envFrom":[{"configMapRef":{"name":"one"}}]}]}}}}"#), Patch("strategic", r#"{"spec":{"template":{"spec":{"containers":[{"name":"side","envFrom":[{"secretRef":{"name":"two"}}]}]}}}}"#)])]
#[case::pull_secrets_in_a_trial(&[Apply("B"), Patch("strategic", r#"{"spec":{"template":{"spec":{"imagePullSecrets":[{"name":"two"}]}}}}"#), Patch("strategic", r#"{"spec":{"template":{"spec":{"imagePullSecrets":[{"name":"three"}]}}}}"#)])]
#[case::resize_policy_in_a_trial(&[Apply("B"), Patch("strategic", r#"{"spec":{"template":{"spec":{"containers":[{"name":"app","resizePolicy":[{"resourceName":"cpu","restartPolicy":"RestartContainer"}]}]}}}}"#), Patch("strategic", r#"{"spec":{"template":{"spec":{"containers":[{"name":"app","resizePolicy":[{"resourceName":"memory","restartPolicy":"NotRequired"}]}]}}}}"#)])]
#[case::replaced_after_promotion(&[Apply("B"), Promote, GetAndReplace("/image:.registry/s/side:1/side:2/"), Promote, Apply("A")])]
#[case::replaced_by_a_file_in_a_trial_of_another(&[Apply("B"), Run(&["set", "env", "deployment/app", "-c=app", "NEW=1"]), Replace("C", &[])])]
#[case::last_applied_edited_and_promoted(&[Apply("B"), EditBy(&["apply", "edit-last-applied", "deployment/app"], "s/side:1/side:2/")])]
#[case::last_applied_edited_and_applied(&[Apply("C"), EditBy(&["apply", "edit-last-applied", "deployment/app"], "s/side:1/side:2/"), Apply("F")])]
#[case::last_applied_edited_and_back(&[Apply("C"), EditBy(&["apply", "edit-last-applied", "deployment/app"], "s/side:1/side:2/"), Apply("A")])]
#[case::by_a_set(&[ApplySet("A"), ApplySet("B"), Promote, ApplySet("C")])]
#[case::by_a_set_and_back(&[ApplySet("A"), ApplySet("B"), ApplySet("A"), ApplySet("C")])]
#[case::last_applied_edited_in_a_trial(&[Apply("C"), EditBy(&["apply", "edit-last-applied", "deployment/app"], "s/side:1/side:2/"), Promote, Apply("A")])]
#[case::created_with_save_config(&[Run(&["delete", "deployment/app"]), Do::Create("A"), Run(&["annotate", "deployment/app", "later=1"]), Apply("B")])]
#[ignore = "needs a control plane"]
fn ends_as_its_twin(#[case] steps: &[Do], #[values(ClientSide, ServerSide)] how: How) {
    let _row = row("patches with directives, in and out of a trial", how.words(), "as without Coalmine");
    play(steps, how);
}

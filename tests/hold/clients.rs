//! Clients that are known by what they send and not by a name: commands by other names, programs without a field manager, files that were
//! made of what `get` shows. A table beside that of `twins`.

use coalmine_core::{api::annotations as key, manifest::object};
use rstest::rstest;
use serde_json::{Value, json};

use super::twins::{
    Body,
    Do::{self, Apply, ApplyOtherwise, ByClientSide, Create, Edit, EditBy, GetAndApply, Patch, Promote, Replace, Run, RunAs, Send},
    manifest, play,
};
use crate::support::{
    kubectl::Apply::{self as How, ClientSide, ServerSide},
    namespace::{Namespace, held},
    results::row,
};

const UNDO: &[&str] = &["rollout", "undo", "deployment/app", "--to-revision=1"];
const DELETE: Do = Run(&["delete", "deployment/app"]);

#[rstest]
#[case::undo(&[Apply("F"), Promote, Apply("C"), RunAs("kubectl", UNDO)])]
#[case::undo_on_windows(&[Apply("F"), Promote, Apply("C"), RunAs("kubectl.exe", UNDO)])]
#[case::undo_by_oc(&[Apply("F"), Promote, Apply("C"), RunAs("oc", UNDO)])]
#[case::undo_in_k9s(&[Apply("F"), Promote, Apply("C"), RunAs("k9s", UNDO)])]
#[case::undo_in_rancher(&[Apply("F"), Promote, Apply("C"), Send("Mozilla/5.0", Body::Revision { annotations: true })])]
#[case::undo_in_headlamp(&[Apply("F"), Promote, Apply("C"), Send("Mozilla/5.0", Body::Revision { annotations: false })])]
#[case::undo_by_a_client_library(&[Apply("F"), Promote, Apply("C"), Send("OpenAPI-Generator/29.0.0/python", Body::Revision { annotations: true })])]
#[case::shown_and_applied(&[GetAndApply("/image:.registry/s/side:1/side:2/")])]
#[case::shown_and_applied_in_a_trial(&[Apply("C"), GetAndApply("/image:.registry/s/side:1/side:2/")])]
#[case::shown_and_applied_as_it_is_in_a_trial(&[Apply("C"), GetAndApply("")])]
#[case::shown_and_applied_after(&[Apply("B"), GetAndApply("/image:.registry/s/side:1/side:2/"), Promote, Apply("C")])]
#[case::file_by_another_name_over_none(&[DELETE, Create("A"), ByClientSide("C", &["--field-manager=ci"]), ByClientSide("A", &["--field-manager=ci"])])]
#[case::file_by_other_names(&[ByClientSide("C", &["--field-manager=ci-1"]), ByClientSide("A", &["--field-manager=ci-2"])])]
#[case::a_name_for_each_run(&[ApplyOtherwise("B", &["--field-manager=ci-1", "--force-conflicts"]), ApplyOtherwise("A", &["--field-manager=ci-2", "--force-conflicts"])])]
#[case::a_name_for_each_run_and_on(&[ApplyOtherwise("B", &["--field-manager=ci-1", "--force-conflicts"]), ApplyOtherwise("C", &["--field-manager=ci-2", "--force-conflicts"])])]
#[case::a_name_for_each_run_after(&[ApplyOtherwise("B", &["--field-manager=ci-1", "--force-conflicts"]), Promote, ApplyOtherwise("C", &["--field-manager=ci-2", "--force-conflicts"])])]
#[case::a_name_with_separators(&[Run(&["set", "image", "deployment/app", "--field-manager=ci|prod|x", "app=registry.example/app:c"]), Promote, ApplyOtherwise("B", &["--field-manager=a|b", "--force-conflicts"])])]
#[case::argos_page_twice(&[Run(&["set", "image", "deployment/app", "--field-manager=argocd-server", "app=registry.example/app:c"]), Run(&["patch", "deployment/app", "--field-manager=argocd-server", r#"--patch={"spec":{"template":{"metadata":{"annotations":{"restarted":"1"}}}}}"#])])]
#[case::oc_twice(&[Send("oc/4.16.0 (linux/amd64)", Body::Patch("strategic-merge", r#"{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"x"}]}}}}"#)), Send("oc/4.16.0 (linux/amd64)", Body::Patch("strategic-merge", r#"{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"y"}]}}}}"#))])]
#[case::curl_twice(&[Send("curl/8.5.0", Body::Patch("strategic-merge", r#"{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"x"}]}}}}"#)), Send("curl/8.5.0", Body::Patch("strategic-merge", r#"{"spec":{"template":{"spec":{"containers":[{"name":"side","image":"y"}]}}}}"#))])]
#[case::terraforms_whole_spec_in_a_trial(&[Apply("B"), Send("HashiCorp/1.0 Terraform/1.9", Body::Spec { replicas: 2, image: "x" })])]
#[case::terraforms_whole_spec_with_the_live_template(&[Apply("B"), Send("HashiCorp/1.0 Terraform/1.9", Body::Spec { replicas: 5, image: "registry.example/app:a" })])]
#[case::terraforms_whole_spec_over_changes(&[Run(&["set", "env", "deployment/app", "-c=app", "NEW=1"]), Send("HashiCorp/1.0 Terraform/1.9", Body::Spec { replicas: 2, image: "x" }), Promote, Apply("C")])]
#[case::terraforms_labels_alone(&[Apply("B"), Send("HashiCorp/1.0 Terraform/1.9", Body::Patch("json", r#"[{"op":"add","path":"/metadata/labels/z","value":"1"}]"#))])]
#[case::two_config_maps_by_reloader(&[Run(&["set", "env", "deployment/app", "-c=app", "--field-manager=Reloader", "STAKATER_A=1"]), Run(&["set", "env", "deployment/app", "-c=app", "--field-manager=Reloader", "STAKATER_B=1"])])]
#[case::two_images_by_keel(&[Send("keel/v0.0.0", Body::Put("/spec/template/spec/containers/0/image", "x")), Send("keel/v0.0.0", Body::Put("/spec/template/spec/containers/1/image", "y"))])]
#[case::two_operators_of_one_name(&[
    Run(&["set", "image", "deployment/app", "--field-manager=manager", "--as=system:serviceaccount:one:operator", "--as-group=system:masters", "app=x"]),
    Run(&["set", "image", "deployment/app", "--field-manager=manager", "--as=system:serviceaccount:two:operator", "--as-group=system:masters", "side=y"]),
])]
#[case::an_operator_reads_and_writes(&[Apply("B"), Send("manager/v0.0.0", Body::Put("/spec/template/spec/containers/1/image", "y"))])]
#[case::annotations_of_an_operators_own(&[Apply("B"), Send("manager/v0.0.0", Body::PutAnnotations)])]
#[case::our_lines_edited_away(&[Apply("B"), Edit("-e /^[[:space:]]*canary.state/d -e /image:.registry/s/side:1/side:2/")])]
#[case::our_lines_edited_away_and_no_more(&[Apply("B"), Edit("/^[[:space:]]*canary.state/d")])]
#[case::annotations_replaced(&[Apply("B"), Patch("json", r#"[{"op":"replace","path":"/metadata/annotations","value":{"canary.enabled":"true"}}]"#)])]
#[case::put_raw(&[Apply("B"), Replace("C", &["--field-manager=kubectl"])])]
#[case::edited_and_saved_in_a_trial(&[Apply("C"), EditBy(&["edit", "deployment/app", "--save-config"], "/image:.registry/s/side:1/side:2/")])]
#[case::put_and_saved(&[Replace("C", &["--save-config"]), Promote, ByClientSide("F", &[])])]
#[case::put_and_saved_and_back(&[Replace("C", &["--save-config"]), Replace("A", &["--save-config"])])]
#[case::said_again_that_it_is_enabled(&[
    Send("Mozilla/5.0", Body::Patch("strategic-merge", r#"{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"x"}]}}}}"#)),
    Send("Mozilla/5.0", Body::Patch("merge", r#"{"metadata":{"annotations":{"canary.enabled":"true"}}}"#)),
])]
#[case::one_more_toleration_in_a_trial(&[Patch("merge", r#"{"spec":{"template":{"spec":{"tolerations":[{"key":"x","operator":"Exists"},{"key":"y","operator":"Exists"}]}}}}"#), Patch("json", r#"[{"op":"add","path":"/spec/template/spec/tolerations/-","value":{"key":"z","operator":"Exists"}}]"#)])]
#[case::one_more_argument_in_a_trial(&[Apply("B"), Patch("json", r#"[{"op":"add","path":"/spec/template/spec/containers/0/command/-","value":"--verbose"}]"#)])]
#[case::one_argument_less_in_a_trial(&[Patch("json", r#"[{"op":"add","path":"/spec/template/spec/containers/0/command/-","value":"--verbose"}]"#), Patch("json", r#"[{"op":"remove","path":"/spec/template/spec/containers/0/command/1"}]"#)])]
#[case::spread_constraints(&[
    Patch("merge", r#"{"spec":{"template":{"spec":{"topologySpreadConstraints":[{"maxSkew":1,"topologyKey":"zone","whenUnsatisfiable":"DoNotSchedule"},{"maxSkew":1,"topologyKey":"zone","whenUnsatisfiable":"ScheduleAnyway"}]}}}}"#),
    Patch("strategic", r#"{"spec":{"template":{"spec":{"topologySpreadConstraints":[{"maxSkew":2,"topologyKey":"host","whenUnsatisfiable":"ScheduleAnyway"}]}}}}"#),
])]
#[case::a_key_of_a_config_map(&[
    Patch("strategic", r#"{"spec":{"template":{"spec":{"containers":[{"name":"app","env":[{"name":"FROM","valueFrom":{"configMapKeyRef":{"name":"one","key":"a"}}}]}]}}}}"#), Promote,
    Patch("strategic", r#"{"spec":{"template":{"spec":{"containers":[{"name":"app","env":[{"name":"FROM","valueFrom":{"configMapKeyRef":{"name":"two"}}}]}]}}}}"#),
    Patch("strategic", r#"{"spec":{"template":{"spec":{"containers":[{"name":"app","env":[{"name":"FROM","valueFrom":{"configMapKeyRef":{"key":"b"}}}]}]}}}}"#),
])]
#[case::a_probe_of_another_kind(&[
    Patch("strategic", r#"{"spec":{"template":{"spec":{"containers":[{"name":"app","readinessProbe":{"httpGet":{"path":"/","port":8080}}}]}}}}"#), Promote,
    Patch("merge", r#"{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"x","readinessProbe":{"tcpSocket":{"port":8080}}}]}}}}"#),
    Patch("json", r#"[{"op":"add","path":"/spec/template/spec/containers/0/readinessProbe/periodSeconds","value":3}]"#),
])]
#[case::aliases_and_mounts(&[
    Apply("B"),
    Patch("strategic", r#"{"spec":{"template":{"spec":{"hostAliases":[{"ip":"10.0.0.2","hostnames":["b"]}],"containers":[{"name":"app","volumeMounts":[{"name":"config","mountPath":"/etc/other"}]}]}}}}"#),
    Edit("s/mountPath:..etc.app$/mountPath: \\/etc\\/a/"),
])]
#[ignore = "needs a control plane"]
fn ends_as_its_twin(#[case] steps: &[Do], #[values(ClientSide, ServerSide)] how: How) {
    let _row = row("clients known by what they send", how.words(), "as without Coalmine");
    play(steps, how);
}

/// What `get` showed while something was on trial, kept as a file: our annotations came into a repository, and are those of another time.
fn exported(version: &str) -> Value {
    let mut file = manifest(version);
    let state = [(key::HELD, "another"), (key::MARKER, "held"), (key::PHASE, "Running"), (key::RUN, "r"), ("canary.enabled", "held")];
    for (name, value) in state {
        file["metadata"]["annotations"][name] = json!(value);
    }
    file["metadata"]["labels"][key::ACTIVE_LABEL] = json!("true");
    file
}

#[rstest]
#[ignore = "needs a control plane"]
fn a_file_that_was_exported_in_a_trial_is_a_file(#[values(ClientSide, ServerSide)] how: How) {
    let _row = row("a file with our annotations of another time", how.words(), "held; withdrawn; tried as it says");
    let namespace = Namespace::new();
    let apply = |file: &Value| namespace.kubectl.apply_with(how, file, if how == ServerSide { &["--force-conflicts"] } else { &[] });
    let image = |template: &Value| template["spec"]["containers"][0]["image"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
    let on_trial = || held(&namespace.app()).map(|held| image(&held.template));
    apply(&manifest("A")).succeeded();
    namespace.await_revision(1);
    apply(&manifest("C")).succeeded();
    apply(&exported("A")).succeeded();
    assert_eq!(on_trial(), None, "gone back");
    apply(&exported("C")).succeeded();
    assert_eq!(on_trial().as_deref(), Some("c"));
    apply(&manifest("F")).succeeded();
    namespace.promote();
    let app = namespace.app();
    let names: Vec<&str> = template_environment(&app);
    assert_eq!(names, ["FIRST", "SECOND", "ONLY_F"], "nothing of the others is left");
    assert_eq!(object::annotation(&app, key::HELD), None);
    namespace.assert_no_write(|| apply(&manifest("F")).succeeded());
}

fn template_environment(app: &Value) -> Vec<&str> {
    let list = app["spec"]["template"]["spec"]["containers"][0]["env"].as_array().unwrap();
    list.iter().map(|variable| variable["name"].as_str().unwrap()).collect()
}

/// The API server writes times by the second: who names no field manager is known by what is theirs.
#[rstest]
#[ignore = "needs a control plane"]
fn a_program_that_goes_back_within_the_second(#[values("HashiCorp/1.0 Terraform/1.9", "OpenAPI-Generator/29.0.0/python")] program: &str) {
    let _row = row("B and what differs from A, within a second", program, "withdrawn");
    let namespace = Namespace::new();
    let send = |method: &str, path: &str, kind: &str, body: &Value| namespace.control_plane.send_by(program, method, path, kind, body);
    let list = format!("/apis/apps/v1/namespaces/{}/deployments", namespace.name);
    send("POST", &list, "application/json", &manifest("A")).unwrap();
    let patch = |body: &Value| send("PATCH", &namespace.path("app"), "application/json-patch+json", body).unwrap();
    for _ in 0..3 {
        patch(&json!([{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "registry.example/app:b"}]));
        assert!(held(&namespace.app()).is_some());
        patch(&json!([{"op": "replace", "path": "/metadata/annotations/canary.enabled", "value": "true"}]));
        assert!(held(&namespace.app()).is_none());
    }
    patch(&json!([{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "registry.example/app:b"}]));
    patch(&json!([{"op": "replace", "path": "/spec/template/spec/containers/1/image", "value": "registry.example/side:b"}]));
    let held = held(&namespace.app()).unwrap();
    assert_eq!(held.template["spec"]["containers"][0]["image"], "registry.example/app:a", "its whole wish");
    assert!(program.starts_with(&held.manager), "{}", held.manager);
}

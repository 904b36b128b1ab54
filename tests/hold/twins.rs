//! One command after another by the real kubectl, to an opted-in Deployment and to its twin that no Coalmine knows: once what is held is
//! promoted, both are the same. A table of commands that people really send; random sequences are `differential`'s.

mod send;

use coalmine_core::{
    api::annotations::{self as key, Phase},
    manifest::object,
};
use rstest::rstest;
use serde_json::{Value, json};

pub(super) use self::send::{Body, Do};
use self::send::{
    Do::{ApplyOtherwise, ByClientSide, Edit, EditBy, GetAndApply, GetAndReplace, Patch, Promote, Replace, Run, RunAs, Send},
    send,
};
use crate::support::{
    kubectl::Apply::{self, ClientSide, ServerSide},
    namespace::{Namespace, held, records},
    results::row,
};

/// Something of everything that clients merge by keys of its own.
pub(super) fn manifest(version: &str) -> Value {
    let is_b = version == "B";
    let lower = version.to_lowercase();
    let mut env = vec![json!({"name": "FIRST", "value": version}), json!({"name": "SECOND", "value": "$(FIRST)"})];
    env.push(json!({"name": format!("ONLY_{version}"), "value": "1"}));
    if is_b {
        env.swap(0, 1);
    }
    if version == "E" {
        env.push(json!({"name": "FIRST", "value": "again"}));
    }
    let mut ports = vec![json!({"name": "http", "containerPort": 8080}), json!({"name": "dns", "containerPort": 53, "protocol": "UDP"})];
    if is_b {
        ports.push(json!({"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"}));
    }
    if version == "D" {
        ports.push(json!({"name": "admin", "containerPort": 8080, "hostPort": 8080}));
    }
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "app", "labels": {"app": "app", "version": lower}, "annotations": {"canary.enabled": "true", "note": version}},
        "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": "app"}},
            "strategy": {"rollingUpdate": {"maxSurge": if is_b { "50%" } else { "25%" }}},
            "template": {
                "metadata": {"labels": {"app": "app", "version": lower}, "annotations": {"checksum/config": version}},
                "spec": {
                    "serviceAccountName": "default",
                    "containers": [
                        {"name": "app", "image": format!("registry.example/app:{lower}"), "env": env, "ports": ports,
                         "command": ["/app", version], "resources": {"requests": {"cpu": "10m"}},
                         "volumeMounts": [{"name": "config", "mountPath": "/etc/app"}]},
                        {"name": "side", "image": "registry.example/side:1"},
                    ],
                    "initContainers": [{"name": "init", "image": format!("registry.example/init:{lower}")}],
                    "volumes": [{"name": "config", "configMap": {"name": format!("config-{lower}"), "optional": true}}],
                    "imagePullSecrets": [{"name": "one"}], "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a"]}],
                    "tolerations": [{"key": "x", "operator": "Exists"}],
                },
            },
        },
    })
}

/// Everything but Coalmine's own.
pub(super) fn compared(world: &Namespace) -> Value {
    let app = world.app();
    let records = records(&app);
    let mut annotations = object::annotations(&app).clone();
    annotations.retain(|name, _| !name.starts_with(key::STATE_PREFIX) && name != key::REVISION && name != key::LAST_APPLIED);
    let mut labels = object::metadata_map(&app, "labels").clone();
    labels.remove(key::ACTIVE_LABEL);
    // A hash of the namespace's name, too.
    let set = labels
        .remove("applyset.kubernetes.io/part-of")
        .and_then(|set| Some(set.as_str()?.to_owned()))
        .unwrap_or_else(|| "NAMESPACE".to_owned());
    let last_applied = records.last_applied.map(|text| text.replace(&world.name, "NAMESPACE").replace(&set, "NAMESPACE"));
    let mut spec = records.spec;
    if let Some(time) = spec.pointer_mut("/template/metadata/annotations/kubectl.kubernetes.io~1restartedAt") {
        time.take();
    }
    json!({"spec": spec, "annotations": annotations, "labels": labels, "lastApplied": last_applied, "owners": records.template_owners})
}

pub(super) fn promote(world: &Namespace) {
    let app = world.app();
    if held(&app).is_some() && object::phase(object::annotations(&app)).is_some_and(Phase::is_trying) {
        world.promote();
    }
}

const SET_IMAGE: Do = Run(&["set", "image", "deployment/app", "app=registry.example/app:c"]);

#[rstest]
#[case::file_b(&[Do::Apply("B")])]
#[case::file_b_then_a_then_b(&[Do::Apply("B"), Do::Apply("A"), Do::Apply("B")])]
#[case::paused_changes(&[Run(&["rollout", "pause", "deployment/app"]), SET_IMAGE, Run(&["set", "resources", "deployment/app", "-c=app", "--limits=cpu=1,memory=64Mi"]), Run(&["rollout", "resume", "deployment/app"])])]
#[case::pause_in_a_trial(&[Do::Apply("B"), Run(&["rollout", "pause", "deployment/app"]), Promote, Run(&["rollout", "resume", "deployment/app"])])]
#[case::resources_of_all(&[Run(&["set", "resources", "deployment/app", "--limits=cpu=1", "--requests=cpu=100m"])])]
#[case::resources_away(&[Run(&["set", "resources", "deployment/app", "-c=app", "--limits=cpu=0", "--requests=cpu=0"])])]
#[case::service_account(&[Run(&["set", "serviceaccount", "deployment/app", "other"])])]
#[case::env_away(&[Run(&["set", "env", "deployment/app", "-c=app", "FIRST-", "NEW=x"])])]
#[case::env_in_a_trial(&[Do::Apply("B"), Run(&["set", "env", "deployment/app", "-c=app", "NEW=x"])])]
#[case::image_of_all(&[Run(&["set", "image", "deployment/app", "*=registry.example/all:1"])])]
#[case::image_of_init(&[Run(&["set", "image", "deployment/app", "init=registry.example/init:c"])])]
#[case::image_in_a_trial(&[Do::Apply("B"), Run(&["set", "image", "deployment/app", "side=registry.example/side:2"])])]
#[case::restart_in_a_trial(&[Do::Apply("B"), Run(&["rollout", "restart", "deployment/app"])])]
#[case::scale_in_a_trial(&[Do::Apply("B"), Run(&["scale", "deployment/app", "--replicas=3"])])]
#[case::label_and_annotate_in_a_trial(&[Do::Apply("B"), Run(&["label", "deployment/app", "team=x"]), Run(&["annotate", "deployment/app", "x=y", "note-"])])]
#[case::json_append(&[Patch("json", r#"[{"op":"add","path":"/spec/template/spec/containers/0/env/-","value":{"name":"LAST","value":"1"}}]"#)])]
#[case::json_insert_first(&[Patch("json", r#"[{"op":"add","path":"/spec/template/spec/containers/0/env/0","value":{"name":"ZERO","value":"1"}}]"#)])]
#[case::json_insert_first_in_a_trial(&[Do::Apply("B"), Patch("json", r#"[{"op":"add","path":"/spec/template/spec/containers/0/env/-","value":{"name":"LAST","value":"1"}}]"#)])]
#[case::json_move(&[Patch("json", r#"[{"op":"move","from":"/spec/template/spec/containers/1","path":"/spec/template/spec/containers/0"}]"#)])]
#[case::json_copy(&[Patch("json", r#"[{"op":"copy","from":"/spec/template/metadata/labels/version","path":"/spec/template/metadata/annotations/was"}]"#)])]
#[case::json_replace_spec(&[Patch("json", r#"[{"op":"replace","path":"/spec/template/spec/containers/0/command","value":["/other"]},{"op":"remove","path":"/spec/template/spec/tolerations"}]"#)])]
#[case::json_same_value(&[Patch("json", r#"[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"registry.example/app:a"}]"#)])]
#[case::merge_containers(&[Patch("merge", r#"{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"registry.example/app:c"}]}}}}"#)])]
#[case::merge_null(&[Patch("merge", r#"{"spec":{"template":{"spec":{"tolerations":null,"volumes":null,"containers":[{"name":"app","image":"x"}],"initContainers":null}}}}"#)])]
#[case::merge_annotations_null_in_a_trial(&[Do::Apply("B"), Patch("merge", r#"{"spec":{"template":{"metadata":{"annotations":null}}}}"#)])]
#[case::strategic_delete(&[Patch("strategic", r#"{"spec":{"template":{"spec":{"containers":[{"name":"side","$patch":"delete"}]}}}}"#)])]
#[case::strategic_delete_in_a_trial(&[Do::Apply("B"), Patch("strategic", r#"{"spec":{"template":{"spec":{"containers":[{"name":"side","$patch":"delete"}]}}}}"#)])]
#[case::strategic_replace(&[Patch("strategic", r#"{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"x"},{"$patch":"replace"}],"initContainers":null,"volumes":null}}}}"#)])]
#[case::strategic_order(&[Patch("strategic", r#"{"spec":{"template":{"spec":{"$setElementOrder/containers":[{"name":"side"},{"name":"app"}],"containers":[{"name":"app","image":"x"}]}}}}"#)])]
#[case::strategic_retain_keys(&[Patch("strategic", r#"{"spec":{"template":{"spec":{"volumes":[{"name":"config","$retainKeys":["name","emptyDir"],"emptyDir":{}}]}}}}"#)])]
#[case::strategic_retain_keys_in_a_trial(&[Do::Apply("B"), Patch("strategic", r#"{"spec":{"template":{"spec":{"volumes":[{"name":"config","$retainKeys":["name","emptyDir"],"emptyDir":{}}]}}}}"#)])]
#[case::strategic_primitive(&[Patch("strategic", r#"{"metadata":{"$deleteFromPrimitiveList/finalizers":["x"]},"spec":{"template":{"spec":{"hostAliases":[{"ip":"10.0.0.2","hostnames":["b"]}]}}}}"#)])]
#[case::strategic_strategy_recreate_is_denied_only_here(&[Patch("strategic", r#"{"spec":{"minReadySeconds":1,"template":{"spec":{"terminationGracePeriodSeconds":5}}}}"#)])]
#[case::replace_b(&[Replace("B", &[])])]
#[case::replace_b_again(&[Replace("B", &[]), Replace("B", &[])])]
#[case::replace_by_force(&[Do::Apply("B"), Replace("C", &["--force", "--grace-period=0"])])]
#[case::migrating(&[ApplyOtherwise("B", &["--force-conflicts"])])]
#[case::migrating_in_a_trial(&[Do::Apply("B"), ApplyOtherwise("B", &["--force-conflicts"])])]
#[case::migrating_with_c_in_a_trial(&[Do::Apply("B"), ApplyOtherwise("C", &["--force-conflicts"])])]
#[case::migrating_and_back(&[ApplyOtherwise("B", &["--force-conflicts"]), Promote, Do::Apply("C"), Promote, ApplyOtherwise("A", &["--force-conflicts"])])]
#[case::set_last_applied_in_a_trial(&[Do::Apply("B"), Run(&["annotate", "deployment/app", "--overwrite", "kubectl.kubernetes.io/last-applied-configuration={}"])])]
#[case::edit_renames_a_container(&[Edit("/^.*name:.side$/s/side/other/")])]
#[case::edit_in_a_trial(&[Do::Apply("B"), Edit("/image:.registry/s/side:1/side:2/")])]
#[case::edit_records_away(&[Do::Apply("B"), Patch("merge", r#"{"metadata":{"managedFields":[{}]}}"#)])]
#[case::finalizer_in_a_trial(&[Do::Apply("B"), Patch("merge", r#"{"metadata":{"finalizers":["example.com/keep"]}}"#), Promote, Patch("merge", r#"{"metadata":{"finalizers":null}}"#)])]
#[case::a_wrong_precondition(&[Patch("json", r#"[{"op":"test","path":"/spec/template/spec/containers/0/image","value":"other"},{"op":"remove","path":"/spec/template/spec/tolerations"}]"#)])]
#[case::an_old_resource_version(&[Patch("merge", r#"{"metadata":{"resourceVersion":"1"},"spec":{"template":{"spec":{"tolerations":null}}}}"#)])]
#[case::another_applier(&[Run(&["label", "--field-manager=other", "deployment/app", "z=1"]), ApplyOtherwise("B", &["--field-manager=ci", "--force-conflicts"])])]
#[case::two_ports_of_one_number(&[Do::Apply("D"), Promote, Do::Apply("A")])]
#[case::a_variable_twice(&[Do::Apply("E"), Promote, Do::Apply("A")])]
#[case::a_variable_twice_in_a_trial(&[Do::Apply("E"), Run(&["set", "env", "deployment/app", "-c=app", "NEW=x"])])]
#[case::pruning(&[Run(&["create", "configmap", "other"]), ApplyOtherwise("B", &["--force-conflicts"]), Run(&["label", "deployment/app", "pruned=no"])])]
#[case::there_already(&[Do::Apply("B"), Run(&["create", "deployment", "app", "--image=x"])])]
#[case::the_scale_by_a_patch(&[Do::Apply("B"), Run(&["patch", "deployment/app", "--subresource=scale", "--type=merge", r#"--patch={"spec":{"replicas":4}}"#])])]
#[case::made_anew(&[Do::Apply("B"), Run(&["delete", "deployment/app", "--cascade=orphan"]), Do::Apply("C")])]
#[case::autoscaled(&[Do::Apply("B"), Run(&["autoscale", "deployment/app", "--min=1", "--max=5"])])]
#[case::get_and_replace(&[GetAndReplace("/image:.registry/s/side:1/side:2/")])]
#[case::get_and_replace_in_a_trial(&[Do::Apply("B"), GetAndReplace("/image:.registry/s/side:1/side:2/")])]
#[case::get_and_replace_as_it_is_in_a_trial(&[Do::Apply("B"), GetAndReplace("")])]
#[case::an_empty_patch_in_a_trial(&[Do::Apply("B"), Patch("merge", "{}")])]
#[case::replicas_and_template_in_a_trial(&[Do::Apply("B"), Patch("merge", r#"{"spec":{"replicas":5,"template":{"spec":{"priorityClassName":"system-cluster-critical"}}}}"#)])]
#[case::json_insert_at_first_in_a_trial(&[Do::Apply("B"), Patch("json", r#"[{"op":"add","path":"/spec/template/spec/containers/0/env/0","value":{"name":"ZERO","value":"1"}}]"#)])]
#[case::json_remove_in_a_trial(&[Do::Apply("B"), Patch("json", r#"[{"op":"remove","path":"/spec/template/spec/tolerations"}]"#)])]
#[case::merge_containers_in_a_trial(&[Do::Apply("B"), Patch("merge", r#"{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"registry.example/app:c"}],"volumes":null}}}}"#)])]
#[case::in_a_browser_twice(&[Run(&["patch", "deployment/app", "--field-manager=Mozilla", "--type=json", r#"--patch=[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"registry.example/app:c"}]"#]), Run(&["patch", "deployment/app", "--field-manager=Mozilla", r#"--patch={"spec":{"template":{"spec":{"containers":[{"name":"side","image":"registry.example/side:2"}]}}}}"#])])]
#[case::in_k9s_twice(&[Run(&["set", "image", "deployment/app", "--field-manager=k9s", "app=registry.example/app:c"]), Run(&["set", "image", "deployment/app", "--field-manager=k9s", "side=registry.example/side:2"])])]
#[case::an_image_and_a_restart(&[SET_IMAGE, Run(&["rollout", "restart", "deployment/app"]), Run(&["set", "env", "deployment/app", "NEW=1"])])]
#[case::env_from_a_config_map(&[Run(&["create", "configmap", "settings", "--from-literal=A=1"]), Run(&["set", "env", "deployment/app", "-c=app", "--from=configmap/settings", "--prefix=P_"])])]
#[case::env_from_a_config_map_in_a_trial(&[Do::Apply("B"), Run(&["create", "configmap", "settings", "--from-literal=A=1"]), Run(&["set", "env", "deployment/app", "--from=configmap/settings"])])]
#[case::dry_runs_in_a_trial(&[Do::Apply("B"), Run(&["set", "image", "deployment/app", "app=x", "--dry-run=server"]), Run(&["set", "env", "deployment/app", "X=1", "--dry-run=server"]), Run(&["scale", "deployment/app", "--replicas=9", "--dry-run=server"]), Run(&["annotate", "deployment/app", "canary.enabled=false", "--overwrite", "--dry-run=server"]), Run(&["label", "deployment/app", "x=y", "--dry-run=server"]), Run(&["delete", "deployment/app", "--dry-run=server"]), Run(&["patch", "deployment/app", "--dry-run=server", "--type=merge", r#"--patch={"spec":{"template":{"spec":{"tolerations":null}}}}"#]), ApplyOtherwise("C", &["--force-conflicts", "--dry-run=server"])])]
#[case::template_taken_away(&[Patch("merge", r#"{"spec":{"template":null}}"#)])]
#[case::template_taken_away_in_a_trial(&[Do::Apply("B"), Patch("merge", r#"{"spec":{"template":null}}"#)])]
#[case::another_selector(&[Do::Apply("B"), Patch("merge", r#"{"spec":{"selector":{"matchLabels":{"app":"other"}}}}"#)])]
#[case::labels_beside_the_selector(&[Patch("merge", r#"{"spec":{"template":{"metadata":{"labels":{"app":"other"}}}}}"#)])]
#[case::labels_beside_the_selector_in_a_trial(&[Do::Apply("B"), Patch("strategic", r#"{"spec":{"template":{"metadata":{"labels":{"app":"other"}}}}}"#)])]
#[case::a_precondition_of_scale(&[Do::Apply("B"), Run(&["scale", "deployment/app", "--current-replicas=2", "--replicas=4"]), Run(&["scale", "deployment/app", "--current-replicas=2", "--replicas=6"])])]
#[case::restarted_twice_in_a_trial(&[Do::Apply("B"), Run(&["rollout", "restart", "deployment/app"]), Run(&["rollout", "restart", "deployment/app"])])]
#[case::undo_of_a_paused_one(&[Do::Apply("B"), Promote, Run(&["rollout", "pause", "deployment/app"]), Run(&["rollout", "undo", "deployment/app"]), Run(&["rollout", "resume", "deployment/app"])])]
#[case::deleted_in_the_background_in_a_trial(&[Do::Apply("B"), Run(&["delete", "deployment/app", "--cascade=background"]), Do::Apply("C")])]
#[case::the_whole_template_replaced(&[Patch("strategic", r#"{"spec":{"template":{"$patch":"replace","metadata":{"labels":{"app":"app"}},"spec":{"containers":[{"name":"app","image":"x"}]}}}}"#)])]
#[case::the_whole_template_replaced_in_a_trial(&[Do::Apply("B"), Patch("json", r#"[{"op":"replace","path":"/spec/template","value":{"metadata":{"labels":{"app":"app"}},"spec":{"containers":[{"name":"app","image":"x"}]}}}]"#)])]
#[case::by_the_name_of_client_side_apply(&[ApplyOtherwise("B", &["--field-manager=kubectl-client-side-apply", "--force-conflicts"])])]
#[case::status_by_a_patch(&[Do::Apply("B"), Run(&["patch", "deployment/app", "--subresource=status", "--type=merge", r#"--patch={"metadata":{"annotations":{"a":"b"}},"status":{"conditions":[{"type":"X","status":"True"}]}}"#])])]
#[case::edit_last_applied_in_a_trial(&[Do::Apply("B"), Run(&["apply", "view-last-applied", "deployment/app"])])]
#[case::nothing_to_set(&[Run(&["set", "image", "deployment/app", "nosuch=x"]), Run(&["set", "env", "deployment/app", "-c=nosuch", "A=1"])])]
#[case::duration_in_a_trial(&[Do::Apply("B"), Run(&["annotate", "deployment/app", "canary.duration=30s"]), Run(&["annotate", "deployment/app", "canary.duration=2m", "--overwrite"]), Run(&["annotate", "deployment/app", "canary.duration-"])])]
#[case::ephemeral_strategy_fields_in_a_trial(&[Do::Apply("B"), Patch("merge", r#"{"spec":{"strategy":{"rollingUpdate":{"maxSurge":0,"maxUnavailable":"100%"}},"minReadySeconds":7,"progressDeadlineSeconds":30,"revisionHistoryLimit":0}}"#)])]
#[case::strategy_and_template_at_once(&[Patch("merge", r#"{"spec":{"revisionHistoryLimit":0,"minReadySeconds":3,"template":{"spec":{"priorityClassName":"system-cluster-critical","containers":[{"name":"app","image":"x"}]}}}}"#)])]
#[case::in_place_by_a_json_patch_of_two_things(&[Do::Apply("B"), Patch("json", r#"[{"op":"replace","path":"/spec/replicas","value":3},{"op":"add","path":"/metadata/labels/z","value":"1"},{"op":"replace","path":"/spec/template/spec/containers/1/image","value":"side:3"}]"#)])]
#[case::undo(&[Do::Apply("B"), Promote, Do::Apply("C"), Promote, Run(&["rollout", "undo", "deployment/app", "--to-revision=1"])])]
#[case::undo_and_patch(&[Do::Apply("B"), Promote, Run(&["rollout", "undo", "deployment/app"]), Do::Apply("C")])]
#[ignore = "needs a control plane"]
fn ends_as_its_twin(#[case] steps: &[Do], #[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("commands of the table of twins", how.words(), "as without Coalmine");
    play(steps, how);
}

/// Both of them, from file A on.
#[track_caller]
pub(super) fn play(steps: &[Do], how: Apply) {
    let worlds = [Namespace::new(), Namespace::without_coalmine()];
    for world in &worlds {
        world.kubectl.apply(how, &manifest("A")).succeeded();
        world.await_revision(1);
    }
    for step in steps {
        if worlds.iter().all(|world| world.control_plane.find(&world.path("app")).is_some()) {
            worlds.iter().for_each(Namespace::await_seen);
        }
        if matches!(step, Promote) {
            promote(&worlds[0]);
            continue;
        }
        let outputs = [&worlds[0], &worlds[1]].map(|world| send(world, how, *step));
        assert_eq!(outputs[0].code, outputs[1].code, "{step:?}: {}{}", outputs[0].stderr, outputs[1].stderr);
    }
    promote(&worlds[0]);
    let [held, plain] = [&worlds[0], &worlds[1]].map(compared);
    // A revision has the annotations that the Deployment had while it was live, and others pass at once; what is shown has names and times.
    let undoes = steps.iter().any(|step| matches!(step, Run(words) if words.contains(&"undo")));
    let undoes = undoes || steps.iter().any(|step| matches!(step, RunAs(..) | Send(_, Body::Revision { .. })));
    let shows = steps.iter().any(|step| matches!(step, GetAndReplace(_) | GetAndApply(_) | EditBy([_, _, "--save-config"], _)));
    // An undo in a trial leaves what was applied last, which was never live.
    let in_a_trial = steps.windows(2).any(|two| matches!(two, [Do::Apply(_), RunAs(..) | Send(_, Body::Revision { .. })]));
    // What was never live leaves no record of who applied it.
    let puts = matches!(steps.last(), Some(Send(_, Body::Spec { .. })));
    let differs = |part: &&str| match *part {
        "annotations" => undoes,
        "lastApplied" => shows || puts || (undoes && in_a_trial),
        // Whoever goes back owns, without Coalmine, what was another's in between.
        "owners" => {
            (shows && steps.len() > 1 && how == ServerSide)
                || matches!(steps.last(), Some(ByClientSide("A", _) | Replace("A", _) | Send(_, Body::Spec { .. })))
        }
        _ => false,
    };
    for part in ["spec", "annotations", "labels", "lastApplied", "owners"].into_iter().filter(|part| !differs(part)) {
        assert_eq!(held[part], plain[part], "{part}\n{}\n{}", held[part], plain[part]);
    }
}

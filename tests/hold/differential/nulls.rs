//! Sequences with files that say `null` of what others fill: who owns the map or list is told by who said so last.

use serde_json::{Value, json};

use super::{
    files::{app, ends_as_without_coalmine, template, variable, variables},
    step::Step::{ClientSideApply, Merge, Promote, Put, Reject, Restart, SecondApply, ServerSideApply, Strategic},
};

/// An applier that states `null` where the API server has a default takes it from its owner, although the value stays as it is.
#[test]
#[ignore = "needs a control plane"]
fn a_null_takes_what_is_a_default_from_its_owner() {
    let of = |image: &str, grace: &Value, container: Value| {
        let mut container = container;
        container["name"] = json!("app");
        container["image"] = json!(format!("registry.example/app:{image}"));
        json!({"metadata": {"labels": {"app": "app"}}, "spec": {"containers": [container], "terminationGracePeriodSeconds": grace}})
    };
    let first = ClientSideApply(of("b", &json!(5), json!({"resources": null, "env": [{"name": "VA", "value": "2"}]})));
    let container = SecondApply(json!({"spec": {"containers": [{"name": "second", "image": "registry.example/second:1"}]}}));
    let nulls =
        ServerSideApply(of("a", &Value::Null, json!({"resources": null, "env": [{"name": "VD", "value": "1"}], "readinessProbe": null})));
    let (created, part) = (ClientSideApply(of("b", &Value::Null, json!({}))), ServerSideApply(of("a", &Value::Null, json!({}))));
    let restarted = Merge(json!({"spec": {"template": {"metadata": {"annotations": {"restartedAt": "3"}}}}}));
    let annotation = SecondApply(json!({"metadata": {"annotations": {"second": "1"}}}));
    ends_as_without_coalmine(&[created, part, annotation, restarted, container.clone()]);
    ends_as_without_coalmine(&[first.clone(), container.clone(), nulls.clone(), Promote, nulls.clone(), container.clone()]);
    ends_as_without_coalmine(&[first, container.clone(), nulls.clone(), container, nulls]);
}

/// The last key of a map goes with another applier's next part. Who states `null` for the map owned it all the time, and by stating it
/// again, while that part is held, owns it again.
#[test]
#[ignore = "needs a control plane"]
fn a_null_stated_again_while_what_was_there_goes() {
    let file = ServerSideApply(json!({
        "metadata": {"annotations": null, "labels": {"app": "app"}},
        "spec": {"containers": [{"name": "app", "image": "registry.example/app:a", "readinessProbe": null}]},
    }));
    let annotation = SecondApply(json!({"metadata": {"annotations": {"second": "1"}}}));
    let container = SecondApply(json!({"spec": {"containers": [{"name": "second", "image": "registry.example/second:1"}]}}));
    ends_as_without_coalmine(&[file.clone(), annotation, Promote, container, file]);
}

/// Who states `null` for a map, beside another applier's key in it, owns the map if its statement is the later one.
#[test]
#[ignore = "needs a control plane"]
fn a_null_stated_before_and_after_another_fills_the_map() {
    let file = |annotations: Value, image: &str| {
        ServerSideApply(json!({
            "metadata": {"annotations": annotations, "labels": {"app": "app"}},
            "spec": {"containers": [{"name": "app", "image": format!("registry.example/app:{image}")}]},
        }))
    };
    let second = SecondApply(json!({"metadata": {"annotations": {"second": "1"}}}));
    for a in [file(json!({"a": "1"}), "a"), file(Value::Null, "a")] {
        let b = file(Value::Null, "b");
        ends_as_without_coalmine(&[a.clone(), b.clone(), second.clone()]);
        ends_as_without_coalmine(&[a.clone(), second.clone(), b.clone()]);
        ends_as_without_coalmine(&[a.clone(), b.clone(), second.clone(), b.clone()]);
        ends_as_without_coalmine(&[a, second.clone(), b, second.clone()]);
    }
}

/// Who states `null` for a map, or nothing in a list, owns it if nobody said anything of it later, whatever others have put there.
#[test]
#[ignore = "needs a control plane"]
fn a_null_stated_last_owns_what_others_fill() {
    let of = |image: &str| ServerSideApply(app(image, &json!([]), &Value::Null));
    let (a, b) = (of("a"), of("b"));
    let second = |value: &str| SecondApply(json!({"metadata": {"annotations": {"second": value}}}));
    let in_list =
        |value: &str| SecondApply(json!({"spec": {"containers": [{"name": "app", "env": [{"name": "SECOND", "value": value}]}]}}));
    ends_as_without_coalmine(&[a.clone(), b.clone(), Restart(1), a.clone(), Promote]);
    ends_as_without_coalmine(&[a.clone(), b.clone(), Restart(1), Reject, a.clone()]);
    ends_as_without_coalmine(&[a.clone(), Restart(1), Promote, a.clone(), b.clone(), a.clone()]);
    ends_as_without_coalmine(&[a.clone(), b.clone(), Restart(1), b.clone(), a.clone()]);
    for part in [second, in_list] {
        ends_as_without_coalmine(&[a.clone(), part("1"), a.clone(), Promote]);
        ends_as_without_coalmine(&[a.clone(), part("1"), a.clone(), a.clone()]);
        ends_as_without_coalmine(&[a.clone(), part("1"), a.clone(), part("1"), Promote, a.clone()]);
        ends_as_without_coalmine(&[a.clone(), part("1"), a.clone(), part("2"), b.clone(), Promote]);
        ends_as_without_coalmine(&[a.clone(), b.clone(), part("1"), a.clone(), part("2"), Promote]);
        ends_as_without_coalmine(&[a.clone(), part("1"), a.clone(), Restart(1), Promote, b.clone()]);
    }
}

/// A file that says `null` of a map, once more after another one put something there: by client-side apply it takes that away, by server-side
/// apply it owns the map.
#[test]
#[ignore = "needs a control plane"]
fn a_null_stated_again_after_a_change() {
    let (a, b) = (app("a", &json!([]), &json!({"a": "2"})), app("b", &variables(&["VA"]), &Value::Null));
    let restarted = Merge(json!({"spec": {"template": {"metadata": {"annotations": {"restartedAt": "3"}}}}}));
    for how in [ServerSideApply, ClientSideApply] {
        let (a, b) = (how(a.clone()), how(b.clone()));
        ends_as_without_coalmine(&[a.clone(), b.clone(), restarted.clone(), b.clone()]);
        ends_as_without_coalmine(&[a, b.clone(), restarted.clone(), variable("STAKATER"), b.clone(), Restart(1), b, Promote]);
    }
    ends_as_without_coalmine(&[ClientSideApply(a), Put(b.clone()), restarted, ClientSideApply(b)]);
    let nothing = ServerSideApply(app("a", &json!([]), &Value::Null));
    let something = ServerSideApply(app("b", &json!([]), &Value::Null));
    ends_as_without_coalmine(&[nothing, something.clone(), Restart(1), something]);
}

/// The same where others change things and then state another part than before: what was said in between is not forgotten with their old part.
#[test]
#[ignore = "needs a control plane"]
fn a_null_stated_again_between_a_change_and_anothers_part() {
    let file = |image: &str| ServerSideApply(app(image, &json!([]), &Value::Null));
    let (a, b) = (file("a"), file("b"));
    let restarted = Merge(json!({"spec": {"template": {"metadata": {"annotations": {"restartedAt": "1"}}}}}));
    let annotation = |value: &str| SecondApply(json!({"metadata": {"annotations": {"second": value}}}));
    let in_list =
        |value: &str| SecondApply(json!({"spec": {"containers": [{"name": "app", "env": [{"name": "SECOND", "value": value}]}]}}));
    let (annotations, in_lists) = ([annotation("3"), annotation("1")], [in_list("3"), in_list("1")]);
    for [first, second] in [annotations, in_lists] {
        for change in [restarted.clone(), variable("STAKATER")] {
            // Of the live template, which it has no part in the trial beside.
            ends_as_without_coalmine(&[a.clone(), first.clone(), change.clone(), a.clone(), second.clone(), Promote]);
            ends_as_without_coalmine(&[a.clone(), change.clone(), first.clone(), a.clone(), second.clone(), Promote]);
            ends_as_without_coalmine(&[a.clone(), change.clone(), first.clone(), a.clone(), change.clone(), a.clone(), second.clone()]);
            // Of a part.
            ends_as_without_coalmine(&[a.clone(), b.clone(), first.clone(), change.clone(), b.clone(), second.clone(), Promote]);
            ends_as_without_coalmine(&[a.clone(), b.clone(), change.clone(), b.clone(), first.clone(), second.clone(), b.clone()]);
            ends_as_without_coalmine(&[a.clone(), b.clone(), change.clone(), first.clone(), b.clone(), a.clone(), second.clone()]);
        }
    }
}

/// A node selector is one value to those who apply by the server's side, and none is one, too; to others it is a map.
#[test]
#[ignore = "needs a control plane"]
fn a_map_that_is_one_value() {
    let file = |image: &str, nodes: Value| {
        let mut file = app(image, &json!([]), &json!({"a": "1"}));
        file["spec"]["nodeSelector"] = nodes;
        file
    };
    let slow = Merge(json!({"spec": {"template": {"spec": {"nodeSelector": {"disk": "hdd", "arch": "arm"}}}}}));
    for (of_a, of_b) in [(Value::Null, json!({"disk": "ssd"})), (json!({"disk": "ssd"}), Value::Null), (json!({}), json!({}))] {
        let (a, b) = (file("a", of_a), file("b", of_b));
        for how in [ServerSideApply, ClientSideApply] {
            let (a, b) = (how(a.clone()), how(b.clone()));
            ends_as_without_coalmine(&[a.clone(), b.clone(), slow.clone(), b.clone(), Promote]);
            ends_as_without_coalmine(&[a.clone(), b.clone(), slow.clone(), a.clone(), Promote]);
        }
    }
}

/// Two clients own what one of them then empties, beside another applier's part on trial: maps whose last field went stay the other's.
#[test]
#[ignore = "needs a control plane"]
fn a_map_is_emptied_beside_another_part() {
    let file = |image: &str, resources: &Value| {
        template(&json!([{"name": "app", "image": format!("registry.example/app:{image}"), "resources": resources}]))
    };
    let (a, b) = (file("a", &json!({"limits": {"cpu": "0.5"}})), file("b", &json!({})));
    let second = SecondApply(json!({"spec": {"containers": [{"name": "second", "image": "registry.example/second:1"}]}}));
    ends_as_without_coalmine(&[ClientSideApply(a.clone()), ServerSideApply(a.clone()), second.clone(), ServerSideApply(b.clone())]);
    ends_as_without_coalmine(&[ClientSideApply(a.clone()), ServerSideApply(a), ServerSideApply(b), second]);
}

/// Who states the live template takes back a part of what is on trial when it states that once more. It owns a `null` from then on.
#[test]
#[ignore = "needs a control plane"]
fn the_live_template_comes_again_beside_a_change_of_it() {
    let a = ServerSideApply(json!({
        "metadata": {"annotations": null, "labels": {"app": "app"}},
        "spec": {"containers": [{"name": "app", "image": "registry.example/app:a", "env": variables(&["VA", "VC"])}]},
    }));
    let label = SecondApply(json!({"metadata": {"labels": {"second": "3"}}}));
    let change =
        Strategic(json!({"spec": {"template": {"spec": {"containers": [{"name": "app", "env": [{"name": "VC", "value": "2"}]}]}}}}));
    ends_as_without_coalmine(&[a.clone(), Restart(1), Promote, label.clone(), change.clone(), a.clone()]);
    ends_as_without_coalmine(&[a.clone(), label, change, a]);
}

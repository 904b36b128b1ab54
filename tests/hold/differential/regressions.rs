//! Sequences that once ended otherwise than without Coalmine, each by the name of what was wrong.

use rstest::rstest;
use serde_json::{Value, json};

use super::{
    files::{app, emptied, ends_as_without_coalmine, template, variable, variables},
    step::Step::{self, CleanUp, ClientSideApply, Json, Merge, Promote, Put, Restart, Scale, SecondApply, ServerSideApply},
};

/// Two clients own the limits of one container, and one of them lets them go. When the same file comes again, the API server forgets
/// who owned `resources` besides what is in it: a difference, if it comes again to one of the two Deployments only.
#[test]
#[ignore = "needs a control plane"]
fn the_owner_of_a_map_goes_when_the_same_file_comes_again() {
    let limited = json!({"limits": {"cpu": "0.5", "memory": "1024Mi"}});
    let a = template(&json!([
        {"name": "side", "image": "registry.example/side:a", "resources": limited},
        {"name": "app", "image": "registry.example/app:a", "resources": null},
    ]));
    let b = template(&json!([
        {"name": "app", "image": "registry.example/app:b", "resources": null},
        {"name": "side", "image": "registry.example/side:b", "resources": null},
    ]));
    let b = ServerSideApply(b);
    ends_as_without_coalmine(&[ClientSideApply(a.clone()), ServerSideApply(a), b.clone(), b]);
}

/// A client puts the records in order while something is on trial: what one of them owned is nobody's, of what is on trial neither, and what
/// others own of that stays theirs.
#[test]
#[ignore = "needs a control plane"]
fn records_are_put_in_order_in_a_trial() {
    let limited = json!({"limits": {"cpu": "0.5", "memory": "1024Mi"}});
    let file = |side: &str, resources: &Value| {
        template(&json!([
            {"name": "side", "image": format!("registry.example/side:{side}"), "resources": resources, "env": variables(&[side])},
            {"name": "app", "image": "registry.example/app:a"},
        ]))
    };
    let (a, b) = (file("a", &limited), ServerSideApply(file("b", &Value::Null)));
    let clean_up = CleanUp("kubectl-client-side-apply");
    let second = SecondApply(json!({"metadata": {"annotations": {"second": "2"}}}));
    ends_as_without_coalmine(&[ClientSideApply(a.clone()), ServerSideApply(a.clone()), b.clone(), second, clean_up.clone()]);
    ends_as_without_coalmine(&[ClientSideApply(a.clone()), ServerSideApply(a.clone()), b.clone(), clean_up.clone(), Promote, b]);
    ends_as_without_coalmine(&[ClientSideApply(a.clone()), Scale(2), variable("STAKATER"), clean_up.clone()]);
    ends_as_without_coalmine(&[
        ClientSideApply(a.clone()),
        Scale(2),
        variable("STAKATER"),
        clean_up,
        CleanUp("Reloader"),
        ClientSideApply(a),
    ]);
}

/// What one applier adds is on trial together with what another one changed; both again are nothing new.
#[test]
#[ignore = "needs a control plane"]
fn two_appliers_whose_parts_are_on_trial_together() {
    let app =
        |image: &str| json!({"name": "app", "image": format!("registry.example/app:{image}"), "env": [{"name": "VA", "value": image}]});
    let (a, b) = (ServerSideApply(template(&json!([app("a")]))), ServerSideApply(template(&json!([app("b")]))));
    let side = |version: &str| {
        SecondApply(json!({"spec": {"containers": [{"name": "second", "image": format!("registry.example/second:{version}")}]}}))
    };
    let variable =
        |value: &str| SecondApply(json!({"spec": {"containers": [{"name": "app", "env": [{"name": "SECOND", "value": value}]}]}}));
    ends_as_without_coalmine(&[
        a.clone(),
        b.clone(),
        side("1"),
        b.clone(),
        side("1"),
        Promote,
        b.clone(),
        side("2"),
        variable("1"),
        a.clone(),
    ]);
    ends_as_without_coalmine(&[a.clone(), side("1"), b.clone(), variable("1"), b, Promote, a, variable("2"), side("3"), Promote]);
}

/// An update by the name of an applier is no statement of its part: kubectl's patches may go by the name of its applies.
#[test]
#[ignore = "needs a control plane"]
fn an_update_by_an_appliers_name_takes_no_part_away() {
    let app = |image: &str| template(&json!([{"name": "app", "image": format!("registry.example/app:{image}")}]));
    let second = SecondApply(json!({"metadata": {"annotations": {"second": "1"}}}));
    let (a, b) = (ServerSideApply(app("a")), ServerSideApply(app("b")));
    ends_as_without_coalmine(&[a.clone(), b.clone(), Scale(2), Scale(3), Scale(2)]);
    ends_as_without_coalmine(&[a, b, second, Scale(2), Scale(3), Scale(2)]);
}

/// One part drops all variables of a container, another one adds one, in both orders.
#[test]
#[ignore = "needs a control plane"]
fn a_part_that_drops_a_list_and_one_that_adds_to_it() {
    let app = |env: &Value| ServerSideApply(template(&json!([{"name": "app", "image": "registry.example/app:a", "env": env}])));
    let (a, b) = (app(&json!([{"name": "VA", "value": "1"}])), app(&json!([])));
    let second = SecondApply(json!({"spec": {"containers": [{"name": "app", "env": [{"name": "SECOND", "value": "1"}]}]}}));
    ends_as_without_coalmine(&[a.clone(), b.clone(), second.clone()]);
    ends_as_without_coalmine(&[a, second, b]);
}

/// Who goes back to the live template gives the others back what its part had taken from them, although another's part stays on trial.
#[test]
#[ignore = "needs a control plane"]
fn an_applier_that_leaves_its_part_gives_back_what_it_took() {
    let file = |image: &str, command: Value, annotation: &str| {
        json!({
            "metadata": {"annotations": {"a": annotation}, "labels": {"app": "app"}},
            "spec": {"containers": [{"name": "app", "image": format!("registry.example/app:{image}"), "command": command}]},
        })
    };
    let (a, b) = (file("a", json!(["serve"]), "1"), file("b", Value::Null, "2"));
    let c = file("c", json!(["serve", "--fast"]), "1");
    let second = SecondApply(json!({"spec": {"containers": [{"name": "second", "image": "registry.example/second:1"}]}}));
    let first = ClientSideApply(a.clone());
    ends_as_without_coalmine(&[first.clone(), ServerSideApply(b.clone()), second.clone(), ServerSideApply(a.clone())]);
    ends_as_without_coalmine(&[first.clone(), second.clone(), ServerSideApply(b.clone()), ServerSideApply(a.clone()), Promote]);
    ends_as_without_coalmine(&[first, ServerSideApply(b), second, ServerSideApply(c), Promote, ServerSideApply(a)]);
}

/// An applier that states its template again after something of it was taken away owns that as an applier does.
#[test]
#[ignore = "needs a control plane"]
fn what_was_taken_away_is_stated_again() {
    let file = |image: &str| {
        ServerSideApply(json!({
            "metadata": {"annotations": {"a": "1"}, "labels": {"app": "app"}},
            "spec": {"containers": [{"name": "app", "image": format!("registry.example/app:{image}")}]},
        }))
    };
    let taken = Merge(json!({"spec": {"template": {"metadata": {"annotations": null}}}}));
    ends_as_without_coalmine(&[file("a"), file("b"), taken.clone(), file("b")]);
    ends_as_without_coalmine(&[file("a"), file("b"), variable("STAKATER"), taken, file("b")]);
}

/// Who goes back leaves the others' part on trial, to which later changes are made.
#[test]
#[ignore = "needs a control plane"]
fn a_change_after_one_of_two_appliers_went_back() {
    let file = |image: &str, resources: Value, grace: Value| {
        let container = json!({"name": "app", "image": format!("registry.example/app:{image}"), "env": [], "resources": resources});
        json!({"metadata": {"annotations": {"a": "1"}, "labels": {"app": "app"}},
               "spec": {"containers": [container], "terminationGracePeriodSeconds": grace}})
    };
    let (a, b) = (file("a", json!({}), json!(5)), file("b", json!({"limits": {"cpu": "0.5"}}), Value::Null));
    let second = SecondApply(json!({"metadata": {"annotations": {"second": "2"}}}));
    let (by_server, back) = (ServerSideApply(a.clone()), ServerSideApply(a.clone()));
    ends_as_without_coalmine(&[by_server, ClientSideApply(a), ServerSideApply(b), second, back, variable("STAKATER")]);
}

/// A file that is put in the object's place leaves nothing of what was changed before, although it is what the changes were made to.
#[test]
#[ignore = "needs a control plane"]
fn a_file_put_over_changes_of_the_same_file() {
    let (a, b) = (app("a", &json!([]), &json!({"a": "1"})), app("b", &variables(&["VA"]), &json!({"a": "1"})));
    let first = [ClientSideApply(a.clone()), ServerSideApply(a)];
    for first in first {
        ends_as_without_coalmine(&[first.clone(), Put(b.clone()), Restart(1), Put(b.clone()), Promote]);
        ends_as_without_coalmine(&[first, Put(b.clone()), ServerSideApply(b.clone()), Restart(1), Put(b.clone()), Promote]);
    }
}

/// One applier states its part again after a change, and another one then states another part than before.
#[test]
#[ignore = "needs a control plane"]
fn a_part_stays_its_appliers_when_another_is_stated_again() {
    let (a, b) = (ServerSideApply(app("a", &json!([]), &Value::Null)), ServerSideApply(app("b", &variables(&["VA", "VC"]), &Value::Null)));
    let c = ServerSideApply(app("c", &variables(&["VC"]), &Value::Null));
    let label = SecondApply(json!({"metadata": {"labels": {"second": "1"}}}));
    let second = SecondApply(json!({"spec": {"containers": [{"name": "app", "env": [{"name": "SECOND", "value": "2"}]}]}}));
    let labels = Merge(json!({"spec": {"template": {"metadata": {"labels": {"second": null}}}}}));
    ends_as_without_coalmine(&[a.clone(), b.clone(), emptied(), label.clone(), b.clone(), second.clone()]);
    ends_as_without_coalmine(&[a.clone(), b.clone(), emptied(), label.clone(), b.clone(), c.clone(), second.clone(), Promote]);
    ends_as_without_coalmine(&[a.clone(), b.clone(), emptied(), b.clone(), c.clone()]);
    ends_as_without_coalmine(&[a.clone(), b.clone(), label.clone(), labels.clone(), label.clone(), Promote]);
    ends_as_without_coalmine(&[a.clone(), b.clone(), label.clone(), labels, label.clone(), second.clone(), b.clone()]);
    ends_as_without_coalmine(&[a, b.clone(), emptied(), b.clone(), emptied(), variable("STAKATER"), b, label]);
}

/// Whoever goes back by server-side apply after a change takes back what they state, and no more.
#[test]
#[ignore = "needs a control plane"]
fn who_goes_back_after_a_change_states_all_that_they_state() {
    let (a, b) = (app("b", &variables(&["VB"]), &json!({"a": "1"})), app("b", &variables(&["VD"]), &json!({"a": "2"})));
    let c = app("c", &variables(&["VD"]), &json!({"a": "1"}));
    let none = Merge(json!({"spec": {"template": {"metadata": {"annotations": null}}}}));
    let image = Json(json!([{"op": "replace", "path": "/spec/template/spec/containers/app/image", "value": "registry.example/app:a"}]));
    let by = |how: fn(Value) -> Step| (how(a.clone()), how(b.clone()), how(c.clone()));
    for (a, b, c) in [by(ServerSideApply), by(ClientSideApply)] {
        for change in [none.clone(), image.clone()] {
            ends_as_without_coalmine(&[a.clone(), b.clone(), change.clone(), a.clone(), Promote]);
            ends_as_without_coalmine(&[a.clone(), b.clone(), change.clone(), c.clone(), Promote]);
            ends_as_without_coalmine(&[a.clone(), b.clone(), change.clone(), variable("STAKATER"), a.clone(), Promote]);
            ends_as_without_coalmine(&[a.clone(), b.clone(), change.clone(), a.clone(), change.clone(), b.clone(), Promote]);
        }
    }
    ends_as_without_coalmine(&[ClientSideApply(a.clone()), ClientSideApply(b.clone()), image, ServerSideApply(a.clone())]);
    ends_as_without_coalmine(&[ClientSideApply(a.clone()), ClientSideApply(b), none, ServerSideApply(a)]);
}

/// What was changed of a part that its applier then left is owned as if that part had never been there, and is nothing that the API server
/// would refuse to make of it.
#[test]
#[ignore = "needs a control plane"]
fn a_change_of_a_part_that_is_left() {
    let with = |mut file: Value, probe: Value| {
        file["spec"]["containers"][0]["readinessProbe"] = probe;
        ServerSideApply(file)
    };
    let a = with(app("b", &variables(&["VB", "VC"]), &json!({"a": "1"})), Value::Null);
    let b = with(app("a", &json!([]), &json!({"a": "1"})), json!({"httpGet": {"path": "/", "port": 8080}}));
    let c = with(app("c", &variables(&["VD"]), &Value::Null), Value::Null);
    ends_as_without_coalmine(&[a.clone(), b.clone(), variable("STAKATER"), a.clone()]);
    ends_as_without_coalmine(&[a.clone(), b.clone(), variable("STAKATER"), c.clone(), Promote]);
    ends_as_without_coalmine(&[a.clone(), b.clone(), Restart(1), variable("STAKATER"), c, a]);
}

/// A file that comes again by client-side apply states all that it says, also what it has in common with the live template and what others
/// own there; and where things stand in a list.
#[test]
#[ignore = "needs a control plane"]
fn a_file_that_comes_again_after_changes_states_all_of_it() {
    let (a, b) = (app("a", &variables(&["VA", "VB"]), &json!({"a": "1"})), app("a", &variables(&["VA", "VB"]), &json!({"a": "2"})));
    let set = |path: &str, value: Value| Json(json!([{"op": "replace", "path": format!("/spec/template/{path}"), "value": value}]));
    let image = set("spec/containers/app/image", json!("registry.example/app:c"));
    let annotation = set("metadata/annotations/a", json!("3"));
    let another_order = set("spec/containers/app/env", variables(&["VB", "VX", "VA"]));
    for first in [ClientSideApply(a.clone()), ServerSideApply(a.clone())] {
        let b = ClientSideApply(b.clone());
        ends_as_without_coalmine(&[first.clone(), b.clone(), image.clone(), annotation.clone(), b.clone(), Promote]);
        ends_as_without_coalmine(&[first.clone(), b.clone(), emptied(), variable("STAKATER"), b.clone(), Promote]);
        ends_as_without_coalmine(&[first.clone(), b.clone(), variable("STAKATER"), emptied(), variable("VB"), b.clone(), Promote]);
        ends_as_without_coalmine(&[first.clone(), b.clone(), another_order.clone(), b.clone(), image.clone(), b.clone(), Promote]);
    }
}

/// An applier takes away a variable that somebody has changed since, beside another applier's part: it goes, for who takes it away owned it.
#[rstest]
#[case::alone("acx")]
#[case::changed_before("axc")]
#[case::beside_another_part("asxc")]
#[case::after_an_earlier_part("abxc")]
#[case::after_both("absxc")]
#[ignore = "needs a control plane"]
fn what_an_applier_takes_away_goes_although_it_was_changed(#[case] order: &str) {
    let [a, b, c] = [("a", ["VD", "VC"]), ("b", ["VC", "VB"]), ("c", ["VA", "VC"])]
        .map(|(image, env)| ServerSideApply(app(image, &variables(&env), &Value::Null)));
    let second = SecondApply(json!({"spec": {"containers": [{"name": "app", "env": [{"name": "SECOND", "value": "1"}]}]}}));
    let change = json!({"spec": {"template": {"spec": {"containers": [{"name": "app", "env": [{"name": "VD", "value": "3"}]}]}}}});
    let change = Step::Strategic(change);
    let steps = order.chars().map(|letter| match letter {
        'a' => a.clone(),
        'b' => b.clone(),
        'c' => c.clone(),
        's' => second.clone(),
        _ => change.clone(),
    });
    ends_as_without_coalmine(&steps.collect::<Vec<Step>>());
}

//! Who a client is, by what it sends: commands by other names, several programs of one name, what is made of the object as it is shown.

use rstest::rstest;

use super::{
    changes::{container, entry, fields, flux, image, live, record},
    *,
};

const STATUS: &str = "observedGeneration";

/// A is live, B is on trial, and the Deployment controller has seen it.
fn on_trial() -> Value {
    let mut seen = live();
    seen["status"] = json!({STATUS: 1});
    seen["metadata"]["annotations"][key::REVISION] = json!("1");
    flux(&seen, "b", &["A"]).0
}

/// By a program that names no field manager.
fn put(stored: &Value, program: &str, edit: impl FnOnce(&mut Value)) -> (Value, Admission) {
    let mut new = stored.clone();
    edit(&mut new);
    new["metadata"]["managedFields"].as_array_mut().unwrap().push(entry(program, "Update", &fields(&["A"])));
    let answer = ask(stored, &new, "bob", "");
    (answer.stored(&new).unwrap(), answer)
}

fn back_to_z(object: &mut Value) {
    object["spec"]["template"] = container("z", &["A"]);
    object["metadata"]["annotations"] = json!({"canary.enabled": "true", "canary.duration": "30s", key::REVISION: "1"});
}

#[rstest]
#[case::kubectl("kubectl")]
#[case::on_windows("kubectl.exe")]
#[case::of_a_version("kubectl-1.31")]
#[case::of_a_version_by_its_letter("kubectl_v1.31.2.exe")]
#[case::a_page("Mozilla")]
#[case::another("oc")]
fn an_undo_is_known_by_what_it_sends(#[case] program: &str) {
    let (stored, answer) = put(&on_trial(), program, back_to_z);
    assert_eq!(answer.effect, Effect::Held, "it is not proven here");
    // Alone, and with nothing of the annotations that it brought.
    assert_eq!(record(&stored).template, container("z", &["A"]));
    assert_eq!(object::annotation(&stored, "canary.duration"), None);
}

#[test]
fn a_file_is_no_undo() {
    let (stored, _) = put(&on_trial(), "kubectl", |object| {
        back_to_z(object);
        object["metadata"]["annotations"].as_object_mut().unwrap().remove(key::REVISION);
    });
    assert_eq!(object::annotation(&stored, "canary.duration"), Some("30s"));
    let (stored, answer) = put(&on_trial(), "Mozilla", |object| {
        back_to_z(object);
        object["metadata"]["annotations"][key::ENABLED] = json!("false");
    });
    assert_eq!((answer.effect, object::annotation(&stored, key::ENABLED)), (Effect::Cancelled, Some("false")));
}

#[rstest]
#[case::another_account("system:serviceaccount:one:manager", "system:serviceaccount:two:manager", &["a", "x"])]
#[case::the_same("system:serviceaccount:one:manager", "system:serviceaccount:one:manager", &["a"])]
#[case::another_person("ann", "bob", &["a"])]
fn two_programs_of_one_name(#[case] first: &str, #[case] second: &str, #[case] expected: &[&str]) {
    let write = |stored: &Value, user: &str, edit: &dyn Fn(&mut Value)| {
        let mut new = stored.clone();
        edit(&mut new["spec"]["template"]["spec"]);
        let owned = json!({"f:spec": {"f:template": {"f:spec": {"f:nodeName": {}, "f:hostname": {}}}}});
        new["metadata"]["managedFields"].as_array_mut().unwrap().push(entry("manager", "Update", &owned));
        let answer = ask(stored, &new, user, "manager");
        answer.stored(&new).unwrap()
    };
    let held = write(&live(), first, &|spec| spec["nodeName"] = json!("x"));
    let held = write(&held, second, &|spec| spec["hostname"] = json!("a"));
    let template = record(&held).template;
    let found: Vec<&str> = ["hostname", "nodeName"].iter().filter_map(|name| template["spec"][*name].as_str()).collect();
    assert_eq!(found, expected);
}

/// The status is there, so it was read and not written anew; kapp copies it into its files.
#[rstest]
#[case::an_operator(json!({"canary.enabled": "true"}), json!({STATUS: 1}), Effect::Kept)]
#[case::a_file(json!({"canary.enabled": "true"}), json!({}), Effect::Withdrawn)]
#[case::kapp(json!({"canary.enabled": "true", "kapp.k14s.io/original": "{}"}), json!({STATUS: 1}), Effect::Withdrawn)]
fn our_annotations_are_taken_away(#[case] annotations: Value, #[case] status: Value, #[case] effect: Effect) {
    let (_, answer) = put(&on_trial(), "manager", |object| {
        object["metadata"]["annotations"] = annotations;
        object["status"] = status;
    });
    assert_eq!(answer.effect, effect);
}

/// With its times by the second, a record may be the same although the request changed what is its own.
#[test]
fn who_names_no_field_manager_is_known_by_what_is_theirs() {
    let mut stored = live();
    stored["metadata"]["managedFields"].as_array_mut().unwrap().push(entry("Terraform", "Update", &fields(&["A"])));
    let mut new = stored.clone();
    new["spec"]["template"] = container("b", &["A"]);
    let answer = ask(&stored, &new, "bob", "");
    assert_eq!(record(&answer.stored(&new).unwrap()).manager, "Terraform");
}

/// What people change piece by piece is no whole wish, nor is what these programs change.
#[rstest]
fn a_change_after_another(#[values("Mozilla", "argocd-server", "Reloader", "keel", "curl", "kubectl-edit")] manager: &str) {
    let (held, _) = image(&live(), manager, "b");
    let mut new = held.clone();
    new["spec"]["template"]["spec"]["hostname"] = json!("h");
    let owned = json!({"f:spec": {"f:template": {"f:spec": {"f:hostname": {}}}}});
    new["metadata"]["managedFields"].as_array_mut().unwrap().push(entry(manager, "Update", &owned));
    let held = ask(&held, &new, "bob", manager).stored(&new).unwrap();
    let template = record(&held).template;
    assert_eq!((&template["spec"]["hostname"], &template["spec"]["containers"][0]["image"]), (&json!("h"), &json!("b")));
}

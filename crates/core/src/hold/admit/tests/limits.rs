//! What is refused or undone: what nobody may write, what nobody can read, and what does not fit.

use super::*;

#[test]
fn opting_in_with_a_new_template_holds_it() {
    let mut a = deployment("VX");
    a["metadata"]["annotations"] = json!({});
    let mut new = applied(&a, "VY");
    new["metadata"]["annotations"] = json!({"canary.enabled": "true"});
    assert_eq!(ask(&a, &new, "ann", "kubectl").effect, Effect::Held);
}

#[test]
fn forged_state_is_undone() {
    let a = deployment("VX");
    let (held, _) = apply(&a, "VY");
    let hash = crate::manifest::template::hash(&template("VY"));
    let mut forged = applied(&a, "VY");
    forged["metadata"]["annotations"][key::PROVEN] = json!(hash);
    let answer = ask(&a, &forged, "mallory", "kubectl");
    assert_eq!(answer.effect, Effect::Held);
    insta::assert_snapshot!(answer.warnings.join("\n"), @r#"
canary: template held; trying it in app-canary for 60s; watch: kubectl events --for deploy/app -w
canary: canary.state/proven is Coalmine's own; the change to it was undone
"#);
    let mut forged = held.clone();
    forged["metadata"]["annotations"][key::PHASE] = json!("Rejected");
    assert_eq!(ask(&held, &forged, "mallory", "kubectl-edit").stored(&forged), Some(held));
}

#[test]
fn malformed_annotations_are_denied() {
    let a = deployment("VX");
    let mut new = applied(&a, "VY");
    new["metadata"]["annotations"][key::DURATION] = json!("soon");
    assert_eq!(
        ask(&a, &new, "ann", "kubectl").outcome,
        Outcome::Denied(
            "canary: canary.duration: \"soon\" is not accepted; expected a duration from 10s to 24h, such as 60s or 5m".to_owned()
        )
    );
}

#[test]
fn a_copy_brings_no_state() {
    let (held, _) = apply(&deployment("VX"), "VY");
    let answer = admit(
        &settings(),
        &Request {
            username: "ann",
            groups: &[],
            field_manager: "kubectl",
            name: "copy",
            old: None,
            new: &held,
            dry_run: false,
            held_merged: None,
        },
    );
    let changed = answer.stored(&held).unwrap();
    assert_eq!(changed["metadata"]["annotations"], json!({"canary.enabled": "true"}));
    assert_eq!(changed["metadata"]["labels"], json!({}));
}

#[test]
fn too_large_is_denied_with_the_sizes() {
    let a = deployment("VX");
    let mut new = applied(&a, "VY");
    new["metadata"]["annotations"]["big"] = json!("x".repeat(262_000));
    let Outcome::Denied(message) = ask(&a, &new, "ann", "kubectl").outcome else { panic!() };
    assert!(message.contains("more than the 262,144 that an object may have"), "{message}");
}

#[test]
fn the_patch_touches_only_what_changed() {
    let a = deployment("VX");
    let sent = applied(&a, "VY");
    let Outcome::Changed(held) = ask(&a, &sent, "ann", "kubectl").outcome else { panic!("not held") };
    let patch = patch(&sent, &held);
    let paths: Vec<_> = patch.iter().map(|operation| operation.path).collect();
    assert_eq!(paths, ["/spec/template", "/metadata/annotations", "/metadata/labels", "/metadata/managedFields"]);
    assert_eq!(held["spec"]["template"], a["spec"]["template"]);
}

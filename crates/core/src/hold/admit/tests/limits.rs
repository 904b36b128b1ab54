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

/// After a downgrade, or by an older replica while a newer one leads.
#[test]
fn what_a_newer_version_holds_stays_as_that_one_wrote_it() {
    let mut held = apply(&deployment("VX"), "VY").0;
    held["metadata"]["annotations"][key::HELD] = json!("2:of-tomorrow");
    held["metadata"]["annotations"]["canary.state/of-tomorrow"] = json!("x");
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut new = held.clone();
        change(&mut new);
        let answer = ask(&held, &new, "ann", "kubectl");
        (answer.stored(&new), answer)
    };
    for template in ["VY", "VZ"] {
        let (_, answer) = changed(&|new| new["spec"]["template"] = self::template(template));
        insta::allow_duplicates!(
            insta::assert_snapshot!(format!("{:?}", answer.outcome), @r#"Denied("canary: this Deployment's template is held by a newer Coalmine, whose state 2 this version (1) can't read, so it takes no other template meanwhile; upgrade Coalmine again, or let the template through with canary.bypass")"#)
        );
    }
    let (stored, answer) = changed(&|new| new["spec"]["replicas"] = json!(5));
    assert_eq!((stored.unwrap()["spec"]["replicas"].clone(), answer.outcome), (json!(5), Outcome::Unchanged));
    let (stored, _) = changed(&|new| {
        new["metadata"]["annotations"] = json!({"canary.enabled": "true", "canary.state/phase": "Promoted"});
        new["metadata"]["labels"] = Value::Null;
    });
    assert_eq!(stored, Some(held.clone()), "a file without what is Coalmine's, or somebody who forges it");
    // Whoever wants no canary any more needs nobody who reads the record.
    for word in ["false", "true"] {
        let (stored, answer) = changed(&|new| {
            new["spec"]["template"] = self::template("VZ");
            new["metadata"]["annotations"][key::ENABLED] = json!(word);
            if word == "true" {
                new["metadata"]["annotations"][key::BYPASS] = json!("down again");
            }
        });
        let stored = stored.unwrap();
        assert_eq!(stored["spec"]["template"], self::template("VZ"));
        assert_eq!(object::annotation(&stored, key::HELD), None, "{:?}", answer.effect);
    }
    // The newer one's controller, by way of this replica.
    let mut new = held.clone();
    new["spec"]["template"] = self::template("VY");
    assert_eq!(ask(&held, &new, &settings().controller, FIELD_MANAGER).outcome, Outcome::Unchanged);
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

//! What was rejected stays out, whatever came in between.

use super::*;

const VERDICT: &str = "error rate 100%; template kept out";

/// Writes the verdict as the controller does.
pub(super) fn rejected(held: &Value) -> Value {
    let mut new = held.clone();
    new["metadata"]["annotations"][key::PHASE] = json!("Rejected");
    new["metadata"]["annotations"][key::MESSAGE] = json!(VERDICT);
    ask(held, &new, &settings().controller, "coalmine").stored(&new).unwrap()
}

fn b_rejected() -> Value {
    rejected(&apply(&deployment("VX"), "VY").0)
}

/// What another client's patch makes of the stored object.
fn patched(stored: &Value, manager: &str, annotation: &str) -> (Value, Admission) {
    patched_with(stored, manager, annotation, "1")
}

fn patched_with(stored: &Value, manager: &str, annotation: &str, value: &str) -> (Value, Admission) {
    let mut new = stored.clone();
    new["spec"]["template"]["metadata"]["annotations"] = json!({annotation: value});
    let answer = ask(stored, &new, "ann", manager);
    (answer.stored(&new).unwrap(), answer)
}

#[test]
fn zero_replicas_do_not_let_it_in() {
    for back in [false, true] {
        let mut stored = b_rejected();
        if back {
            stored = apply(&stored, "VX").0;
            assert_eq!(phase(&stored), "Withdrawn");
        }
        stored["spec"]["replicas"] = json!(0);
        let (asleep, answer) = apply(&stored, "VY");
        assert_eq!((answer.effect, phase(&asleep)), (Effect::Kept, "Rejected"));
        assert_eq!(asleep["spec"]["template"], template("VX"));
        assert_eq!(object::annotation(&asleep, key::MESSAGE), Some(VERDICT));
        // Another one is not tried there.
        assert_eq!(apply(&asleep, "VZ").1.effect, Effect::Skipped);
    }
    // On trial, it waits.
    let mut held = apply(&deployment("VX"), "VY").0;
    held["spec"]["replicas"] = json!(0);
    assert_eq!(apply(&held, "VY"), (held.clone(), apply(&held, "VY").1));
}

#[test]
fn after_others_it_stays_out_and_says_why() {
    let (other, _) = apply(&b_rejected(), "VZ");
    assert_eq!(phase(&other), "Held");
    let (out, answer) = apply(&other, "VY");
    assert_eq!((phase(&out), answer.effect, answer.unchecked), ("Rejected", Effect::Kept, None));
    insta::assert_snapshot!(answer.warnings.join("\n"), @r#"
    canary: this template stays out: error rate 100%; template kept out
    canary: to try it again: kubectl annotate deploy/app --overwrite canary.retry=$(date +%s)
    "#);
    let record = Held::decode(object::annotation(&out, key::HELD).unwrap()).unwrap();
    assert_eq!(record.template, template("VY"));
    assert_eq!(apply(&out, "VY").0, out, "again: no write");
    // Asked for again, it is tried.
    let mut again = applied(&other, "VY");
    again["metadata"]["annotations"][key::RETRY] = json!("1");
    assert_eq!(ask(&other, &again, "ann", "kubectl").effect, Effect::Held);
}

#[test]
fn what_somebody_else_has_on_trial_goes_on() {
    let (restarted, answer) = patched(&b_rejected(), "kubectl-rollout", "kubectl.kubernetes.io/restartedAt");
    assert_eq!((answer.effect, phase(&restarted)), (Effect::Held, "Held"));
    let (kept, answer) = apply(&restarted, "VY");
    assert_eq!((answer.effect, kept), (Effect::Kept, restarted));
    assert!(answer.warnings[0].contains("stays out"), "{:?}", answer.warnings);
}

/// As where an image is pulled anew by a tag that stays, or a store was away: what failed was that start.
#[test]
fn a_restart_that_failed_is_no_verdict_on_the_live_template() {
    let restart = |stored: &Value, time: &str| patched_with(stored, "kubectl-rollout", "kubectl.kubernetes.io/restartedAt", time);
    let first = rejected(&restart(&deployment("VX"), "1").0);
    let (same, answer) = restart(&first, "1");
    assert_eq!((answer.effect, same), (Effect::Kept, first.clone()), "the same one stays out");
    let (second, answer) = restart(&first, "2");
    assert_eq!((answer.effect, phase(&second)), (Effect::Held, "Held"));
    assert_eq!(restart(&rejected(&second), "3").1.effect, Effect::Held);
    // Who goes on to another and back isn't kept from it.
    let other = promote(&apply(&first, "VY").0);
    let (back, answer) = apply(&other, "VX");
    assert_eq!((answer.effect, phase(&back)), (Effect::RolledBack, "RolledBack"));
}

/// It came in while no Coalmine was asked.
#[test]
fn what_runs_although_it_was_rejected_may_be_started_again() {
    let mut stored = b_rejected();
    stored["spec"]["template"] = template("VY");
    let (restarted, answer) = patched(&stored, "kubectl-rollout", "kubectl.kubernetes.io/restartedAt");
    assert_eq!((answer.effect, phase(&restarted)), (Effect::Held, "Held"));
    assert_eq!(restarted["spec"]["template"], template("VY"));
}

#[test]
fn nobody_but_admission_writes_the_memory() {
    let stored = b_rejected();
    let mut forged = stored.clone();
    forged["metadata"]["annotations"].as_object_mut().unwrap().remove(key::REJECTED);
    assert_eq!(ask(&stored, &forged, "ann", "kubectl-edit").stored(&forged), Some(stored.clone()));
    assert_eq!(ask(&stored, &forged, &settings().controller, "coalmine").effect, Effect::Denied);
}

#[test]
fn who_lets_it_through_clears_it() {
    let stored = b_rejected();
    let mut bypass = applied(&stored, "VY");
    bypass["metadata"]["annotations"][key::BYPASS] = json!("it was the store");
    let passed = ask(&stored, &bypass, "ann", "kubectl").stored(&bypass).unwrap();
    assert_eq!((phase(&passed), object::annotation(&passed, key::REJECTED)), ("Bypassed", None));
}

#[test]
fn an_edit_of_managed_fields_alone_is_no_statement() {
    let mut stored = b_rejected();
    let annotated = json!({"manager": "kubectl-annotate", "operation": "Update", "apiVersion": "apps/v1", "fieldsType": "FieldsV1",
                           "fieldsV1": {"f:metadata": {"f:annotations": {"f:note": {}}}}});
    stored["metadata"]["managedFields"].as_array_mut().unwrap().push(annotated);
    stored["metadata"]["annotations"][key::LAST_APPLIED] = json!("{}");
    let mut cleaned = stored.clone();
    cleaned["metadata"]["managedFields"].as_array_mut().unwrap().pop();
    cleaned["metadata"]["managedFields"][0]["fieldsV1"]["f:metadata"] = json!({"f:annotations": {"f:note": {}}});
    cleaned["metadata"]["annotations"].as_object_mut().unwrap().remove(key::LAST_APPLIED);
    let answer = ask(&stored, &cleaned, "flux", "kubectl");
    assert_eq!((answer.effect, phase(&answer.stored(&cleaned).unwrap())), (Effect::Kept, "Rejected"));
    // The same by who applies the live template.
    let mut back = stored.clone();
    back["metadata"]["annotations"]["note"] = json!("1");
    assert_eq!(ask(&stored, &back, "flux", "kubectl").effect, Effect::Withdrawn);
}

#[test]
fn a_rejected_template_stays_out_until_it_is_retried() {
    let (mut rejected, _) = apply(&deployment("VX"), "VY");
    rejected["metadata"]["annotations"][key::PHASE] = json!("Rejected");
    rejected["metadata"]["annotations"][key::MESSAGE] = json!("error rate 100%");
    let (again, answer) = apply(&rejected, "VY");
    assert_eq!(again, rejected);
    insta::assert_snapshot!(answer.warnings.join("\n"), @r#"
canary: this template stays out: error rate 100%
canary: to try it again: kubectl annotate deploy/app --overwrite canary.retry=$(date +%s)
"#);
    let mut retried = rejected.clone();
    retried["metadata"]["annotations"]["canary.retry"] = json!("1");
    let changed = ask(&rejected, &retried, "ann", "kubectl-annotate").stored(&retried).unwrap();
    assert_eq!(phase(&changed), "Held");
    assert_ne!(object::annotation(&changed, key::RUN), object::annotation(&rejected, key::RUN));
}

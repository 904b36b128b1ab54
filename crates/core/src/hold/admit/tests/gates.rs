//! Who may say what about the template on trial, and what the record of it is worth.

use rstest::rstest;

use super::*;

/// B is held in a Deployment with these annotations besides; applied by ann.
fn b_held(annotations: &[(&str, &str)]) -> Value {
    let mut a = deployment("VX");
    for (name, value) in annotations {
        a["metadata"]["annotations"][*name] = json!(value);
    }
    apply(&a, "VY").0
}

fn in_phase(held: &Value, phase: Phase) -> Value {
    let mut new = held.clone();
    new["metadata"]["annotations"][key::PHASE] = json!(phase.as_str());
    ask(held, &new, &settings().controller, "coalmine").stored(&new).unwrap()
}

fn waiting(approval: &str) -> Value {
    in_phase(&in_phase(&b_held(&[("canary.approval", approval)]), Phase::Running), Phase::AwaitingApproval)
}

/// What `kubectl annotate` does.
fn annotated(stored: &Value, user: &str, name: &str, value: Option<&str>) -> (Value, Admission) {
    let mut new = stored.clone();
    match value {
        Some(value) => new["metadata"]["annotations"][name] = json!(value),
        None => drop(new["metadata"]["annotations"].as_object_mut().unwrap().remove(name)),
    }
    let answer = ask(stored, &new, user, "kubectl-annotate");
    (answer.stored(&new).unwrap_or_else(|| stored.clone()), answer)
}

fn run(stored: &Value) -> &str {
    object::annotation(stored, key::RUN).unwrap()
}

fn promoted(stored: &Value) -> Admission {
    let mut new = stored.clone();
    new["spec"]["template"] = template("VY");
    ask(stored, &new, &settings().controller, "coalmine")
}

fn words(answer: &Admission) -> String {
    match &answer.outcome {
        Outcome::Denied(words) => words.clone(),
        _ => answer.warnings.join("\n"),
    }
}

#[test]
fn the_controller_promotes_nothing_that_nobody_approved() {
    let stored = waiting("required");
    insta::assert_snapshot!(words(&promoted(&stored)), @"canary: nobody has approved the template on trial, and canary.approval asks for it");
    let (approved, answer) = annotated(&stored, "bob", key::APPROVE, Some(run(&stored)));
    assert_eq!(answer.effect, Effect::Approved);
    insta::assert_snapshot!(words(&answer), @"canary: approved; the template is let in");
    let answer = promoted(&approved);
    assert_eq!(answer.effect, Effect::Promoted);
    let Outcome::Changed(changed) = answer.outcome else { panic!("changes") };
    let left: Vec<&String> = object::annotations(&changed).keys().filter(|name| name.starts_with(key::STATE_PREFIX)).collect();
    assert_eq!(left, [key::PHASE, key::PROVEN, key::REQUESTED_BY, key::REQUESTED_BY_GROUPS, key::RUN]);
}

#[rstest]
#[case::who_applied_it("other", "ann", None)]
#[case::somebody_else("other", "bob", Some(Effect::Approved))]
#[case::anybody("required", "ann", Some(Effect::Approved))]
fn who_may_approve(#[case] approval: &str, #[case] user: &str, #[case] effect: Option<Effect>) {
    let stored = waiting(approval);
    let (_, answer) = annotated(&stored, user, key::APPROVE, Some(run(&stored)));
    assert_eq!(answer.effect, effect.unwrap_or(Effect::Denied), "{}", words(&answer));
}

#[test]
fn each_refusal_says_what_to_do() {
    let stored = waiting("other");
    let plain = in_phase(&b_held(&[]), Phase::Running);
    let rejected = in_phase(&plain, Phase::Rejected);
    let all = [
        annotated(&stored, "ann", key::APPROVE, Some(run(&stored))),
        annotated(&stored, "bob", key::APPROVE, Some("0123456789 looks good")),
        annotated(&stored, "ann", key::PROMOTE, Some("now")),
        annotated(&stored, "bob", key::APPROVE, Some(&"x".repeat(200 << 10))),
        annotated(&stored, "ann", key::APPROVAL, Some("required")),
        annotated(&stored, "ann", key::APPROVAL, None),
        annotated(&plain, "ann", key::APPROVE, Some(run(&plain))),
        annotated(&b_held(&[]), "ann", key::PROMOTE, Some("now")),
        annotated(&rejected, "ann", key::PROMOTE, Some("now")),
        annotated(&deployment("VX"), "ann", key::REJECT, Some("now")),
    ];
    assert!(all.iter().all(|(_, answer)| answer.effect == Effect::Denied), "{all:?}");
    insta::assert_snapshot!(all.map(|(_, answer)| words(&answer)).join("\n").replace(run(&stored), "RUN"), @r#"
    canary: canary.approval is "other": somebody else than ann, who applied this template, must approve it
    canary: canary.approve: "0123456789" is not on trial; look at what is, then approve RUN
    canary: canary.approval is "other": somebody else than ann, who applied this template, must approve it
    canary: canary.approve: "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…" is not accepted; expected what canary.state/run says of the template on trial, and a reason if you like
    canary: canary.approval can't ask for less while a template is on trial; approve it, or let it in with canary.bypass
    canary: canary.approval can't ask for less while a template is on trial; approve it, or let it in with canary.bypass
    canary: canary.approve: there is nothing to approve, since canary.approval is not set; to let the template in now: canary.promote
    canary: canary.promote: its trial has not begun; to let the template in without one, apply it with canary.bypass
    canary: canary.promote: no template is on trial (Rejected); to let one in without a trial, apply it with canary.bypass
    canary: canary.reject: no template is on trial; to let one in without a trial, apply it with canary.bypass
    "#);
}

#[test]
fn a_record_that_a_user_forges_is_undone() {
    let stored = waiting("other");
    for forged in [
        (key::APPROVED, json!({"run": run(&stored), "by": "bob"})),
        (key::ORDER, json!({"verb": "promote", "run": run(&stored), "by": "bob"})),
    ] {
        let (after, answer) = annotated(&stored, "ann", forged.0, Some(&forged.1.to_string()));
        assert_eq!((after, words(&answer).contains("was undone")), (stored.clone(), true));
        // Nor does the controller speak for a person.
        let mut new = stored.clone();
        new["metadata"]["annotations"][forged.0] = forged.1.to_string().into();
        let answer = ask(&stored, &new, &settings().controller, "coalmine");
        assert_eq!(answer.effect, Effect::Denied);
    }
}

#[test]
fn an_approval_is_of_one_attempt() {
    let stored = waiting("required");
    let (approved, _) = annotated(&stored, "bob", key::APPROVE, Some(run(&stored)));
    // Another template, and the same again after it was kept out: nobody has agreed to that.
    let (other, _) = apply(&approved, "VZ");
    assert_eq!(object::annotation(&other, key::APPROVED), None);
    let kept_out = in_phase(&approved, Phase::Inconclusive);
    let (again, answer) = annotated(&kept_out, "ann", key::RETRY, Some("1"));
    assert_eq!((phase(&again), object::annotation(&again, key::APPROVED)), ("Held", None), "{answer:?}");
    assert_eq!(promoted(&in_phase(&again, Phase::Running)).effect, Effect::Denied);
    // The same template again is the same attempt.
    let (again, answer) = apply(&approved, "VY");
    assert_eq!((answer.effect, again), (Effect::Kept, approved));
}

#[test]
fn who_had_a_part_in_it_is_not_somebody_else() {
    let stored = waiting("other");
    let mut part = stored.clone();
    part["spec"]["template"]["spec"]["containers"][0]["image"] = json!("app:2");
    part["metadata"]["managedFields"] = json!([
        stored["metadata"]["managedFields"][0],
        {"manager": "images", "operation": "Apply", "apiVersion": "apps/v1", "fieldsType": "FieldsV1",
         "fieldsV1": {"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {"f:image": {}}}}}}}},
    ]);
    let answer = ask(&stored, &part, "bob", "images");
    let together = answer.stored(&part).unwrap();
    assert_eq!((answer.effect, object::annotation(&together, key::REQUESTED_BY)), (Effect::Held, Some("ann, bob")));
    let effects = ["ann", "bob", "eve"].map(|user| annotated(&together, user, key::APPROVE, Some(run(&together))).1.effect);
    assert_eq!(effects, [Effect::Denied, Effect::Denied, Effect::Approved]);
}

#[test]
fn by_hand() {
    let running = in_phase(&b_held(&[]), Phase::Running);
    let (ordered, answer) = annotated(&running, "bob", key::REJECT, Some("the fair"));
    assert_eq!(answer.effect, Effect::RejectedByHand);
    assert_eq!(
        object::annotation(&ordered, key::ORDER),
        Some(json!({"verb": "reject", "run": run(&running), "by": "bob", "reason": "the fair"}).to_string().as_str())
    );
    let (_, answer) = annotated(&running, "ann", key::PROMOTE, Some("it is fine"));
    insta::assert_snapshot!(words(&answer), @"canary: the template on trial is promoted, as you ask; an Event records it");
    // With the manifest of another template it means nothing.
    let mut new = applied(&running, "VZ");
    new["metadata"]["annotations"][key::PROMOTE] = json!("it is fine");
    let answer = ask(&running, &new, "ann", "kubectl");
    assert_eq!(answer.effect, Effect::Held);
    assert_eq!(object::annotation(&answer.stored(&new).unwrap(), key::ORDER), None);
    insta::assert_snapshot!(words(&answer), @r"
    canary: template held; trying it in app-canary for 60s; watch: kubectl events --for deploy/app -w
    canary: the template held before is dropped; the canary starts over
    canary: canary.promote counts while this template is on trial, in a request of its own; nothing was done
    ");
}

#[test]
fn what_stands_there_already_is_said_no_more() {
    let running = in_phase(&b_held(&[("canary.promote", "always"), ("canary.approve", "r0")]), Phase::Running);
    let (_, answer) = annotated(&running, "ann", "team", Some("shop"));
    assert_eq!((answer.effect, object::annotation(&running, key::ORDER)), (Effect::Kept, None));
}

/// `kubectl annotate --overwrite` with what stands there already says that it annotated, and changes nothing.
#[rstest]
#[case::reject(key::REJECT, "no")]
#[case::promote(key::PROMOTE, "fine")]
fn the_same_words_as_in_an_earlier_trial_are_told_to_be_unheard(#[case] name: &str, #[case] reason: &str) {
    let stored = in_phase(&b_held(&[(name, reason)]), Phase::Running);
    let (after, answer) = annotated(&stored, "bob", name, Some(reason));
    assert_eq!(words(&answer), format!("canary: {name} said the same before this trial, and counts when it changes: give another reason"));
    assert_eq!(after, stored);
    let (after, answer) = annotated(&stored, "bob", name, Some("another"));
    assert!(!words(&answer).contains("before this trial"), "{}", words(&answer));
    // It is heard now: to say it again says nothing more.
    assert_eq!(words(&annotated(&after, "bob", name, Some("another")).1), "");
}

/// Its run has the name of the earlier one.
#[test]
fn an_approval_of_the_same_template_in_an_earlier_trial_is_told_to_be_unheard() {
    let held = b_held(&[("canary.approval", "required")]);
    let (approved, _) = annotated(&held, "bob", key::APPROVE, Some(run(&held)));
    let (back, answer) = apply(&approved, "VX");
    assert_eq!(answer.effect, Effect::Withdrawn);
    let again = apply(&back, "VY").0;
    assert_eq!((run(&again), Standing::of(&again).approved()), (run(&held), None));
    let told = words(&annotated(&again, "bob", key::APPROVE, Some(run(&held))).1);
    assert_eq!(told, "canary: canary.approve said the same before this trial, and counts when it changes: give another reason");
}

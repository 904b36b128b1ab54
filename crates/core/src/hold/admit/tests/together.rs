//! Several server-side appliers of one template, each with its part.

use super::*;

/// What one applier states: a container of its own, or another's image.
fn part(containers: &Value) -> Value {
    json!({"spec": {"containers": containers}})
}

fn fields(names: &[&str]) -> Value {
    let item = |name: &&str| (format!("k:{{\"name\":\"{name}\"}}"), json!({".": {}, "f:image": {}, "f:name": {}}));
    let containers: serde_json::Map<String, Value> = names.iter().map(item).collect();
    json!({"f:spec": {"f:template": {"f:spec": {"f:containers": containers}}}})
}

/// What server-side apply makes of the stored object when this manager states these fields of this template.
fn stated(stored: &Value, manager: &str, owned: &[&str], template: &Value) -> Value {
    let mut new = stored.clone();
    new["spec"]["template"] = template.clone();
    let entries = new["metadata"]["managedFields"].as_array_mut().unwrap();
    entries.retain(|entry| entry["manager"] != manager);
    entries.push(json!({"manager": manager, "operation": "Apply", "apiVersion": "apps/v1", "fieldsType": "FieldsV1",
                        "fieldsV1": fields(owned)}));
    new
}

fn send(stored: &Value, manager: &str, owned: &[&str], template: &Value) -> (Value, Admission) {
    let new = stated(stored, manager, owned, template);
    let answer = ask(stored, &new, manager, manager);
    assert!(matches!(answer.outcome, Outcome::Changed(_)), "{answer:?}");
    (answer.stored(&new).unwrap(), answer)
}

fn live() -> Value {
    let template = part(&json!([{"name": "app", "image": "app:a"}]));
    let stored = json!({"metadata": {"name": "app", "uid": "u", "annotations": {"canary.enabled": "true"}, "managedFields": []},
                        "spec": {"replicas": 2, "template": template}});
    stated(&stored, "flux", &["app"], &template)
}

fn record(object: &Value) -> Held {
    Held::decode(object::annotation(object, key::HELD).unwrap()).unwrap()
}

fn b() -> Value {
    part(&json!([{"name": "app", "image": "app:b"}]))
}

/// The second applier's container beside the live one.
fn with_side(version: &str) -> Value {
    part(&json!([{"name": "app", "image": "app:a"}, {"name": "side", "image": format!("side:{version}")}]))
}

fn both(version: &str) -> Value {
    part(&json!([{"name": "app", "image": "app:b"}, {"name": "side", "image": format!("side:{version}")}]))
}

#[test]
fn what_is_held_is_what_comes_of_both_and_neither_changes_it_again() {
    let (held, _) = send(&live(), "flux", &["app"], &b());
    let (together, answer) = send(&held, "kubectl", &["side"], &with_side("1"));
    assert_eq!(answer.effect, Effect::Held);
    insta::assert_snapshot!(answer.warnings.join("\n"), @r#"
canary: template held; trying it in app-canary for 60s; watch: kubectl events --for deploy/app -w
canary: the canary starts over, with what comes from "flux" and "kubectl" together
"#);
    assert_eq!(together["spec"], live()["spec"]);
    let joined = record(&together);
    assert_eq!(joined.template, both("1"));
    let owners = |manager: &str| joined.owners.get(&owner(&format!("{manager}|Apply|apps/v1|"))).cloned();
    assert_eq!(owners("flux"), fields(&["app"]).pointer("/f:spec/f:template").cloned());
    assert_eq!(owners("kubectl"), fields(&["side"]).pointer("/f:spec/f:template").cloned());
    // Each again, as often as it likes.
    for (manager, owned, template) in [("flux", "app", b()), ("kubectl", "side", with_side("1")), ("flux", "app", b())] {
        let (again, answer) = send(&together, manager, &[owned], &template);
        assert_eq!(again["metadata"]["annotations"], together["metadata"]["annotations"], "{manager}");
        assert_eq!(answer.effect, Effect::Kept);
        assert_eq!(answer.warnings, ["canary: this template is already held; app-canary is trying it"]);
    }
}

#[test]
fn a_new_part_takes_the_place_of_the_old_one() {
    let (held, _) = send(&live(), "flux", &["app"], &b());
    let (together, _) = send(&held, "kubectl", &["side"], &with_side("1"));
    let (changed, answer) = send(&together, "kubectl", &["side"], &with_side("2"));
    assert_eq!((record(&changed).template, answer.effect), (both("2"), Effect::Held));
    assert_ne!(object::annotation(&changed, key::RUN), object::annotation(&together, key::RUN));
}

#[test]
fn who_goes_back_takes_its_part_away_and_the_last_one_withdraws() {
    let (held, _) = send(&live(), "flux", &["app"], &b());
    let (together, _) = send(&held, "kubectl", &["side"], &with_side("1"));
    let (alone, answer) = send(&together, "flux", &["app"], object::template(&live()));
    assert_eq!((record(&alone).template, answer.effect), (with_side("1"), Effect::Held));
    assert_eq!((record(&alone).manager, record(&alone).contributions), ("kubectl".to_owned(), Vec::new()));
    insta::assert_snapshot!(answer.warnings.join("\n"), @r#"
canary: template held; trying it in app-canary for 60s; watch: kubectl events --for deploy/app -w
canary: the canary starts over, with what comes from "kubectl" alone
"#);
    let (back, answer) = send(&alone, "kubectl", &[], object::template(&live()));
    assert_eq!(answer.effect, Effect::Withdrawn);
    assert_eq!(object::annotation(&back, key::HELD), None);
}

/// Who states nothing any more has no entry among the owners, by which its request could be told.
#[test]
fn who_states_nothing_any_more_takes_its_part_away_too() {
    let nothing = |stored: &Value| {
        let mut new = stored.clone();
        new["metadata"]["managedFields"].as_array_mut().unwrap().retain(|entry| entry["manager"] != "kubectl");
        let answer = ask(stored, &new, "kubectl", "kubectl");
        assert!(matches!(answer.outcome, Outcome::Changed(_)), "{answer:?}");
        (answer.stored(&new).unwrap(), answer.effect)
    };
    let (held, _) = send(&live(), "flux", &["app"], &b());
    let (together, _) = send(&held, "kubectl", &["side"], &with_side("1"));
    let (alone, effect) = nothing(&together);
    assert_eq!((record(&alone).template, effect), (b(), Effect::Held));
    let (only, _) = send(&live(), "kubectl", &["side"], &with_side("1"));
    assert_eq!(nothing(&only).1, Effect::Withdrawn);
}

#[test]
fn a_rejected_template_stays_out_for_each_of_them() {
    let (held, _) = send(&live(), "flux", &["app"], &b());
    let (mut rejected, _) = send(&held, "kubectl", &["side"], &with_side("1"));
    rejected["metadata"]["annotations"][key::PHASE] = json!("Rejected");
    rejected["metadata"]["annotations"][key::MESSAGE] = json!("error rate 100%");
    let (again, answer) = send(&rejected, "flux", &["app"], &b());
    assert_eq!((phase(&again), answer.effect), ("Rejected", Effect::Kept));
    assert_eq!(answer.warnings[0], "canary: this template stays out: error rate 100%");
    // Another part makes another template, which has not been tried yet.
    let (changed, _) = send(&rejected, "kubectl", &["side"], &with_side("2"));
    assert_eq!((phase(&changed), record(&changed).template), ("Held", both("2")));
}

#[test]
fn where_both_change_one_thing_the_later_one_counts_and_owns_it() {
    let (held, _) = send(&live(), "flux", &["app"], &b());
    let (together, _) = send(&held, "kubectl", &["app"], &part(&json!([{"name": "app", "image": "app:c"}])));
    let joined = record(&together);
    assert_eq!(joined.template, part(&json!([{"name": "app", "image": "app:c"}])));
    assert_eq!(
        joined.owners[&owner("flux|Apply|apps/v1|")],
        json!({"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {".": {}, "f:name": {}}}}})
    );
}

/// Who states `null` for a map owns it, if that was stated last, whatever another part puts there.
#[test]
fn a_null_stated_again_beside_another_part_is_owned() {
    let file = json!({"metadata": {}, "spec": {"containers": [{"name": "app", "image": "app:a"}]}});
    let owning = |stored: &Value, manager: &str, owned: &Value, template: &Value| {
        let mut new = stated(stored, manager, &[], template);
        let entries = new["metadata"]["managedFields"].as_array_mut().unwrap();
        entries.last_mut().unwrap()["fieldsV1"] = json!({"f:spec": {"f:template": owned}});
        new
    };
    let null = json!({"f:metadata": {"f:annotations": {}}, "f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {".": {}, "f:image": {}}}}});
    let without = json!({"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {".": {}, "f:image": {}}}}});
    let live = owning(&live(), "flux", &null, &file);
    let mut filled = file.clone();
    filled["metadata"] = json!({"annotations": {"second": "1"}});
    // The API server takes the map from who had it empty.
    let second =
        owning(&owning(&live, "flux", &without, &file), "platform", &json!({"f:metadata": {"f:annotations": {"f:second": {}}}}), &filled);
    let held = ask(&live, &second, "platform", "platform").stored(&second).unwrap();
    assert_eq!(record(&held).owners.get(&owner("flux|Apply|apps/v1|")), Some(&without));
    let again = ask(&held, &held, "flux", "flux").stored(&held).unwrap();
    assert_eq!(record(&again).owners.get(&owner("flux|Apply|apps/v1|")), Some(&null));
}

/// Who applies the live template at an interval takes back, without the hold too, what others set of it meanwhile.
#[test]
fn the_live_template_stated_again_takes_back_what_another_one_set() {
    let (held, _) = send(&live(), "kubectl", &["app"], &b());
    let a = live()["spec"]["template"].clone();
    let (back, answer) = send(&held, "flux", &["app"], &a);
    assert_eq!((answer.effect, object::phase(object::annotations(&back))), (Effect::Withdrawn, Some(Phase::Withdrawn)));
    // What leaves something is for later: after the promotion it states all again.
    let (more, _) = send(&live(), "kubectl", &["app", "side"], &both("1"));
    let again = stated(&more, "flux", &["app"], &a);
    let answer = ask(&more, &again, "flux", "flux");
    assert!(answer.stored(&again).is_none_or(|stored| stored == more));
    insta::assert_snapshot!(answer.warnings.join("\n"), @"canary: what is on trial differs at spec.template.spec.containers[app].image; apply this again when that has ended");
    // What is kept out is tried no more by that.
    let mut rejected = held;
    rejected["metadata"]["annotations"][key::PHASE] = "Rejected".into();
    let again = stated(&rejected, "flux", &["app"], &a);
    assert!(ask(&rejected, &again, "flux", "flux").stored(&again).is_none_or(|stored| stored == rejected));
}

/// Neither states it whole, and it comes again by a part.
#[test]
fn what_was_rejected_stays_out_when_it_comes_of_several_again() {
    let together = send(&send(&live(), "flux", &["app"], &b()).0, "kubectl", &["side"], &with_side("1")).0;
    let rejected = super::rejected::rejected(&together);
    let (side, answer) = send(&rejected, "flux", &["app"], object::template(&live()));
    assert_eq!((answer.effect, record(&side).template), (Effect::Held, with_side("1")), "the other part is tried alone");
    let (again, answer) = send(&side, "flux", &["app"], &b());
    assert_eq!((answer.effect, object::phase(object::annotations(&again))), (Effect::Kept, Some(Phase::Rejected)));
    assert_eq!(record(&again).template, both("1"));
    assert!(answer.warnings[0].contains("stays out"), "{:?}", answer.warnings);
    assert_eq!(send(&again, "flux", &["app"], &b()).0, again, "no write");
    // And the other part is left to be tried, as before.
    let (side, answer) = send(&again, "flux", &["app"], object::template(&live()));
    assert_eq!((answer.effect, record(&side).template), (Effect::Held, with_side("1")));
}

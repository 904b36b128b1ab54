//! From the hold to a canary that is judged, and what stands in its way.

use super::*;

#[test]
fn from_held_to_a_canary() {
    insta::assert_snapshot!(Given::new("Held").plan(), @r#"
Write { phase: Running, message: None }
look again: Some(1s)
"#);
    insta::assert_snapshot!(Given::new("Running").plan(), @r#"
CanaryHeld template held; trying it in app-canary for 60s
Create "app-canary"
CanaryStarted created app-canary with one replica of the held template
look again: Some(5s)
"#);
    insta::assert_snapshot!(Given::new("Running").canary("r1", false).plan(), @"look again: Some(5s)");
    insta::assert_snapshot!(Given::new("Running").canary("r1", false).ready().plan(), @r#"
MarkReady { pod: "p" }
CanaryAnalyzing app-canary is Ready; judging its traffic for 60s
look again: Some(1s)
"#);
}

#[test]
fn whose_changes_are_on_trial_is_told_when_it_begins() {
    let mut given = Given::new("Held");
    given.primary["metadata"]["annotations"][key::MERGED] = json!("a change by \"Reloader\" was made to it");
    insta::assert_snapshot!(given.plan(), @r#"
    CanaryMerged a change by "Reloader" was made to it
    Write { phase: Running, message: None }
    look again: Some(1s)
    "#);
}

#[test]
fn a_superseded_canary_goes_first() {
    insta::assert_snapshot!(Given::new("Running").canary("r0", true).plan(), @r#"
CanarySuperseded app-canary tried a template that was superseded; starting over
Delete { uid: "canary-uid", with_pods: false }
look again: Some(1s)
"#);
}

#[test]
fn a_canary_that_somebody_changed_proves_nothing() {
    let mut given = Given::new("Running").canary("r1", true).ready().judged(promotes("error rate 0%"));
    given.namesake.as_mut().unwrap()["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = json!("2");
    insta::assert_snapshot!(given.plan(), @r#"
    CanaryChanged app-canary was changed, and no longer runs the held template alone; starting over
    CountRemade("r1 1")
    Delete { uid: "canary-uid", with_pods: false }
    look again: Some(1s)
    "#);
}

#[test]
fn a_template_that_came_past_coalmine_is_not_overwritten() {
    let promotable = Given::new("Running").canary("r1", true).ready().judged(promotes("error rate 0%"));
    insta::assert_snapshot!(Given { held: Some(OnTrial::Outdated), ..promotable }.plan(), @r#"
    Write { phase: Superseded, message: Some("another template became the live one past Coalmine; the held one is dropped: apply it again to try it") }
    look again: Some(1s)
    "#);
}

#[test]
fn who_opted_out_past_coalmine_has_no_trial_any_more() {
    for value in ["false", "no"] {
        let promotable = Given::new("Running").canary("r1", true).ready().judged(promotes("error rate 0%")).saying("canary.enabled", value);
        insta::allow_duplicates! {
            insta::assert_snapshot!(promotable.plan(), @r#"
            Write { phase: Superseded, message: Some("opted out past Coalmine; the held template is dropped: apply it again to have it") }
            look again: Some(1s)
            "#);
        }
    }
}

#[test]
fn a_stranger_with_the_canarys_name_is_never_touched() {
    let mut given = Given::new("Running");
    given.namesake = Some(json!({"metadata": {"name": "app-canary", "uid": "other"}}));
    insta::assert_snapshot!(given.plan(), @r#"
Write { phase: Inconclusive, message: Some("a Deployment app-canary exists that is not Coalmine's; rename or delete it, then set canary.retry; template kept out") }
look again: Some(1s)
"#);
}

#[test]
fn a_trial_that_is_scaled_to_zero_waits_and_begins_anew() {
    let zero = |given: Given| {
        let mut given = given;
        given.primary["spec"]["replicas"] = json!(0);
        given
    };
    let promotable = || Given::new("Running").canary("r1", true).ready().judged(promotes("error rate 0%"));
    insta::assert_snapshot!(zero(promotable().old()).plan(), @r#"
    Write { phase: Held, message: Some("scaled to zero, so there is no traffic to judge by; the template is tried anew when it is scaled up") }
    look again: Some(1s)
    "#);
    insta::assert_snapshot!(zero(Given::new("Held").canary("r1", true)).plan(), @r#"
    CanaryScaledToZero scaled to zero, so there is no traffic to judge by; the template is tried anew when it is scaled up
    Delete { uid: "canary-uid", with_pods: false }
    look again: Some(60s)
    "#);
    insta::assert_snapshot!(zero(Given::new("Held")).plan(), @r"
    CanaryScaledToZero scaled to zero, so there is no traffic to judge by; the template is tried anew when it is scaled up
    look again: Some(60s)
    ");
    // Scaled up before the canary was gone: what it proved was of the trial before.
    insta::assert_snapshot!(Given::new("Held").canary("r1", true).plan(), @r#"
    Delete { uid: "canary-uid", with_pods: false }
    Write { phase: Running, message: None }
    look again: Some(1s)
    "#);
}

#[test]
fn a_canary_is_one_pod() {
    let mut given = Given::new("Running").canary("r1", true).ready().judged(promotes("error rate 0%"));
    given.namesake.as_mut().unwrap()["spec"] = json!({"replicas": 5});
    insta::assert_snapshot!(given.plan(), @r#"
    CanaryChanged app-canary was scaled to 5 replicas, and is to be one pod beside the primary's; starting over
    CountRemade("r1 1")
    Delete { uid: "canary-uid", with_pods: false }
    look again: Some(1s)
    "#);
}

#[test]
fn a_canary_that_something_keeps_changing_is_given_up() {
    let changed = |remade: Option<&str>| {
        let mut given = Given::new("Running").canary("r1", true).ready();
        let metadata = &mut given.namesake.as_mut().unwrap()["metadata"];
        metadata["annotations"]["deployment.kubernetes.io/revision"] = json!("2");
        metadata["managedFields"] =
            json!([{"manager": "Reloader", "time": "2026-01-01T00:00:07Z", "fieldsV1": {"f:spec": {"f:template": {}}}}]);
        if let Some(remade) = remade {
            given.primary["metadata"]["annotations"]["canary.state/remade"] = json!(remade);
        }
        given
    };
    insta::assert_snapshot!(changed(None).plan(), @r#"
    CanaryChanged app-canary was changed by "Reloader", and no longer runs the held template alone; starting over
    CountRemade("r1 1")
    Delete { uid: "canary-uid", with_pods: false }
    look again: Some(1s)
    "#);
    assert!(changed(Some("r1 2")).plan().contains("CountRemade(\"r1 3\")"));
    assert!(changed(Some("r0 3")).plan().contains("CountRemade(\"r1 1\")"), "of an earlier run");
    insta::assert_snapshot!(changed(Some("r1 3")).plan(), @r#"
    Write { phase: Inconclusive, message: Some("app-canary was changed 4 times, last by \"Reloader\", so the held template was never tried alone; keep others off it; template kept out") }
    look again: Some(1s)
    "#);
}

#[test]
fn a_run_that_a_clock_months_ahead_began_begins_now() {
    let mut given = Given::new("Running");
    given.primary["metadata"]["annotations"]["canary.state/since"] = json!("2026-06-01T00:00:00Z");
    insta::assert_snapshot!(given.plan(), @"
    Write { phase: Running, message: None }
    look again: Some(1s)
    ");
}

#[test]
fn a_pod_that_a_clock_hours_ahead_saw_ready_is_seen_ready_now() {
    let ahead = || {
        let mut given = Given::new("Running").canary("r1", true).ready();
        given.namesake.as_mut().unwrap()["metadata"]["annotations"][crate::run::times::READY_ANNOTATION] = json!("2026-01-01T03:00:00Z");
        given
    };
    insta::assert_snapshot!(ahead().plan(), @r#"
    MarkReady { pod: "p" }
    CanaryAnalyzing app-canary is Ready; judging its traffic for 60s
    look again: Some(1s)
    "#);
    let mut paused = ahead().saying(key::PAUSED_SINCE, "2026-01-01T00:00:59Z");
    paused.policy = &[("canary.paused", "true")];
    assert!(!paused.plan().contains("MarkReady"), "its clock stands still");
}

#[test]
fn an_abandoned_canary_makes_room() {
    let mut given = Given::new("Running").canary("r0", true);
    given.namesake.as_mut().unwrap()["metadata"].as_object_mut().unwrap().remove("ownerReferences");
    insta::assert_snapshot!(given.plan(), @r#"
    Delete { uid: "canary-uid", with_pods: false }
    look again: Some(1s)
    "#);
    let mut given = Given::new("Running").canary("r0", true);
    given.namesake.as_mut().unwrap()["metadata"]["ownerReferences"][0]["uid"] = json!("of the one before");
    insta::assert_snapshot!(given.plan(), @r#"
    Delete { uid: "canary-uid", with_pods: false }
    look again: Some(1s)
    "#);
}

//! What the pods tell, the canary's and the primary's.

use rstest::rstest;

use super::*;
use crate::run::pods::Tries;

#[test]
fn trouble_that_the_primary_shares_rejects_nobody() {
    let ended = Trouble::Ended { at: Some("2026-01-01T00:00:50Z".parse().unwrap()), perhaps_by_a_probe: false, tries: Tries::default() };
    let given = |trouble: Trouble| {
        let mut given = Given::new("Running").canary("r1", true);
        given.health = failed(trouble);
        given.shared = Some(Shared { troubled: 2, of: 3 });
        given
    };
    insta::assert_snapshot!(given(Trouble::Unready).plan(), @r"
    CanarySharedTrouble container app CrashLoopBackOff; 2 of 3 pods of the primary's are in the same trouble, so the template is not blamed; waiting for it to be over
    look again: Some(2s)
    ");
    insta::assert_snapshot!(given(ended).plan(), @r"
    CanarySharedTrouble container app CrashLoopBackOff; 2 of 3 pods of the primary's are in the same trouble, so the template is not blamed; waiting for it to be over
    Excuse(2026-01-01T00:00:50Z)
    look again: Some(2s)
    ");
    insta::assert_snapshot!(given(ended).old().plan(), @r#"
    Write { phase: Inconclusive, message: Some("container app CrashLoopBackOff; 2 of 3 pods of the primary's are in the same trouble, so the template is not blamed; still so at the deadline of 10m; template kept out") }
    look again: Some(1s)
    "#);
    // Its probes may fail a moment before the primary's.
    let alone = |seconds: u64| {
        let mut given = Given { shared: None, alone_for: Duration::from_secs(seconds), ..given(Trouble::Unready) };
        given.namesake.as_mut().unwrap()["spec"]["template"]["spec"]["containers"] = json!([{"readinessProbe": {"periodSeconds": 2}}]);
        given
    };
    insta::assert_snapshot!(alone(8).plan(), @"look again: Some(1s)");
    insta::assert_snapshot!(alone(9).plan(), @r#"
    Write { phase: Rejected, message: Some("container app CrashLoopBackOff (after 1s); template kept out") }
    look again: Some(1s)
    "#);
    // A primary that never served shares nothing.
    let mut never = given(ended);
    never_served(&mut never);
    insta::assert_snapshot!(never.plan(), @r#"
    Write { phase: Rejected, message: Some("container app CrashLoopBackOff (after 1s); template kept out") }
    look again: Some(1s)
    "#);
}

#[test]
fn what_the_live_template_misses_is_named() {
    let missing = || vec!["ConfigMap app-5m7t not found".to_owned()];
    let given = |given: Given| Given { missing_live: missing(), ..given };
    insta::assert_snapshot!(given(Given::new("Running").canary("r1", false).ready()).plan(), @r#"
    MarkReady { pod: "p" }
    CanaryAnalyzing app-canary is Ready; judging its traffic for 60s
    CanaryLiveBroken the live template can't start another pod: ConfigMap app-5m7t not found; put it back, or let the held template in with canary.bypass
    look again: Some(1s)
    "#);
    assert!(given(Given::new("Rejected")).plan().contains("CanaryLiveBroken "));
}

#[test]
fn the_pods_own_evidence() {
    let mut given = Given::new("Running").canary("r1", false);
    given.health = failed(Trouble::Own);
    insta::assert_snapshot!(given.plan(), @r#"
Write { phase: Rejected, message: Some("container app CrashLoopBackOff (after 1s); template kept out") }
look again: Some(1s)
"#);
    let mut given = Given::new("Running").canary("r1", false).old();
    given.health = Health::Starting(Some("Unschedulable: 0/1 nodes are available".to_owned()));
    insta::assert_snapshot!(given.plan(), @r#"
Write { phase: Inconclusive, message: Some("not Ready within 10m: Unschedulable: 0/1 nodes are available; template kept out") }
look again: Some(1s)
"#);
}

#[test]
fn what_keeps_a_pod_from_starting_is_told_while_somebody_can_act_on_it() {
    let given = || Given::new("Running").canary("r1", false).starting("FailedMount: configmap \"app-4f2a\" not found");
    insta::assert_snapshot!(given().plan(), @"look again: Some(5s)");
    insta::assert_snapshot!(given().saying("canary.state/since", "2025-12-31T23:59:00Z").plan(), @r#"
    CanaryNotReady app-canary is not Ready after 30s: FailedMount: configmap "app-4f2a" not found; given up after 10m
    look again: Some(5s)
    "#);
}

#[test]
fn what_is_missing_is_waited_for_a_while() {
    let given = || {
        let mut given = Given::new("Running").canary("r1", false);
        given.health =
            Health::Missing { words: "container app CreateContainerConfigError: secret \"key\" not found".to_owned(), never_ran: true };
        given
    };
    insta::assert_snapshot!(given().plan(), @r#"
    CanaryConfigMissing container app CreateContainerConfigError: secret "key" not found; waiting 30s for it to be there
    look again: Some(2s)
    "#);
    insta::assert_snapshot!(given().old().plan(), @r#"
    Write { phase: Rejected, message: Some("container app CreateContainerConfigError: secret \"key\" not found (after 1h1m); template kept out") }
    look again: Some(1s)
    "#);
}

/// The registry is away, or somebody deleted the Secret: the live template's next pod would not start either.
#[rstest]
#[case::an_image(Health::Failed { reason: r#"container app ImagePullBackOff: Back-off pulling image "proxy:1": ErrImagePull: 503"#.to_owned(), trouble: Trouble::NeverRan })]
#[case::a_secret(Health::Missing { words: r#"container app CreateContainerConfigError: secret "key" not found"#.to_owned(), never_ran: true })]
fn what_the_live_template_lacks_as_well_rejects_nobody(#[case] health: Health) {
    let given = |held: &str| {
        let mut given = Given::new("Running").canary("r1", false).saying("canary.state/since", "2025-12-31T23:59:00Z");
        given.health = health.clone();
        let template = |image: &str, secret: &str| json!({"spec": {"containers": [{"name": "app", "image": image, "envFrom": [{"secretRef": {"name": secret}}]}, {"name": "proxy", "image": "proxy:1"}]}});
        given.primary["spec"]["template"] = template("app:1", if held == "another" { "other" } else { "key" });
        if held == "another" {
            given.primary["spec"]["template"]["spec"]["containers"][1]["image"] = json!("proxy:0");
        }
        given.held = Some(OnTrial::Template(Box::leak(Box::new(template("app:2", "key")))));
        given
    };
    let told = given("the same").plan();
    assert!(told.starts_with("CanaryNotReady app-canary is not Ready after 30s: container app "), "{told}");
    let told = given("the same").old().plan();
    assert!(told.starts_with("Write { phase: Inconclusive"), "{told}");
    let told = given("another").plan();
    assert!(told.starts_with("Write { phase: Rejected"), "{told}");
    // It had what it needs, and ended.
    let mut ran = given("the same");
    ran.health = match health {
        Health::Missing { words, .. } => Health::Missing { words, never_ran: false },
        Health::Failed { reason, .. } => Health::Failed { reason, trouble: Trouble::Own },
        other => other,
    };
    let told = ran.plan();
    assert!(told.starts_with("Write { phase: Rejected"), "{told}");
}

#[test]
fn a_pod_that_is_lost_is_waited_for_and_judged_anew() {
    let lost = "pod app-canary-1-x is lost: EvictionByEvictionAPI: Eviction API: evicting";
    insta::assert_snapshot!(Given::new("Running").canary("r1", true).starting(lost).plan(), @"
    CanaryNotReady app-canary is not Ready any more, through no fault of the template (pod app-canary-1-x is lost: EvictionByEvictionAPI: Eviction API: evicting); waiting for it
    look again: Some(5s)
    ");
    insta::assert_snapshot!(Given::new("Running").canary("r1", true).starting(lost).old().plan(), @r#"
    Write { phase: Inconclusive, message: Some("not Ready any more at the deadline of 10m: pod app-canary-1-x is lost: EvictionByEvictionAPI: Eviction API: evicting; template kept out") }
    look again: Some(1s)
    "#);
    let promotable = || Given::new("Running").canary("r1", true).judged(promotes("error rate 0%"));
    insta::assert_snapshot!(promotable().ready_with("another").plan(), @r#"
    MarkReady { pod: "another" }
    CanaryAnalyzing app-canary is Ready again, with another pod; judging its traffic for 60s
    look again: Some(1s)
    "#);
    insta::assert_snapshot!(promotable().ready().plan(), @r#"
    Promote { message: "error rate 0%; template promoted" }
    look again: Some(1s)
    "#);
}

/// Each time for less than its probes need to fail for good.
#[test]
fn readiness_that_comes_and_goes_is_no_success() {
    let again = |known: &str, again: Option<&str>, judgement: Round| {
        let mut given = Given::new("Running").canary("r1", true).ready().judged(judgement);
        given.ready_condition = Some("2026-01-01T00:00:40Z");
        let annotations = &mut given.namesake.as_mut().unwrap()["metadata"]["annotations"];
        annotations[READY_CONDITION_ANNOTATION] = json!(known);
        if let Some(again) = again {
            annotations[READY_AGAIN_ANNOTATION] = json!(again);
        }
        given
    };
    let promote = || promotes("fine");
    let clean = || done(Decision::Inconclusive { clean: true }, "too few requests");
    let (before, same) = ("2026-01-01T00:00:09Z", "2026-01-01T00:00:40Z");
    insta::assert_snapshot!(again(before, None, promote()).plan(), @r#"
    MarkCondition { condition: "2026-01-01T00:00:40Z", again: true }
    CanaryUnsteady its pod was not Ready at times; it must stay Ready for 60s
    look again: Some(5s)
    "#);
    insta::assert_snapshot!(again(same, Some("2026-01-01T00:00:41Z"), promote()).plan(), @r"
    CanaryUnsteady its pod was not Ready at times; it must stay Ready for 60s
    look again: Some(5s)
    ");
    insta::assert_snapshot!(again(same, Some("2026-01-01T00:00:41Z"), clean()).old().plan(), @r#"
    Write { phase: Inconclusive, message: Some("its pod was not Ready at times; it must stay Ready for 60s, and did for 19s; template kept out") }
    look again: Some(1s)
    "#);
    insta::assert_snapshot!(again(same, Some("2026-01-01T00:00:00Z"), promote()).plan(), @r#"
    Promote { message: "fine; template promoted" }
    look again: Some(1s)
    "#);
    insta::assert_snapshot!(again(before, None, rejects("bad")).plan(), @r#"
    MarkCondition { condition: "2026-01-01T00:00:40Z", again: true }
    Write { phase: Rejected, message: Some("bad; template kept out") }
    look again: Some(1s)
    "#);
    // What the primary shared is forgotten.
    insta::assert_snapshot!(again("", None, promote()).plan(), @r#"
    MarkCondition { condition: "2026-01-01T00:00:40Z", again: false }
    Promote { message: "fine; template promoted" }
    look again: Some(1s)
    "#);
    let mut shared = again(before, None, promote());
    (shared.health, shared.shared) = (failed(Trouble::Unready), Some(Shared { troubled: 2, of: 3 }));
    insta::assert_snapshot!(shared.plan(), @r#"
    CanarySharedTrouble container app CrashLoopBackOff; 2 of 3 pods of the primary's are in the same trouble, so the template is not blamed; waiting for it to be over
    MarkCondition { condition: "", again: false }
    look again: Some(2s)
    "#);
    let mut first = Given::new("Running").canary("r1", false).ready();
    first.ready_condition = Some(before);
    insta::assert_snapshot!(first.plan(), @r#"
    MarkReady { pod: "p" }
    MarkCondition { condition: "2026-01-01T00:00:09Z", again: false }
    CanaryAnalyzing app-canary is Ready; judging its traffic for 60s
    look again: Some(1s)
    "#);
}

//! How a run ends: by verdict, by time, without traffic, and what is done after.

use super::*;

#[test]
fn where_nothing_ever_served_a_canary_that_stays_ready_is_let_in() {
    let given = |judgement: Round| {
        let mut given = Given::new("Running").canary("r1", true).ready().judged(judgement);
        never_served(&mut given);
        given
    };
    let silent = || given(unavailable("no counters"));
    insta::assert_snapshot!(Given { policy: &[("canary.duration", "50s")], ..silent() }.plan(), @r#"
    Promote { message: "no pod of the primary's was ever available, and app-canary stayed Ready for 50s; template promoted" }
    look again: Some(1s)
    "#);
    insta::assert_snapshot!(Given { policy: &[("canary.duration", "52s")], ..silent() }.plan(), @"look again: Some(2s)");
    insta::assert_snapshot!(given(rejects("error rate 100%")).plan(), @r#"
    Write { phase: Rejected, message: Some("error rate 100%; template kept out") }
    look again: Some(1s)
    "#);
    insta::assert_snapshot!(Given { policy: &[("canary.duration", "10m")], ..silent().old() }.plan(), @r#"
    Write { phase: Inconclusive, message: Some("no answer from the metrics until the deadline: no counters; template kept out") }
    look again: Some(1s)
    "#);
}

#[test]
fn in_report_mode_the_verdict_is_told_and_the_template_let_in() {
    let report = |given: Given| Given { policy: &[("canary.mode", "report"), ("canary.deadline", "5m")], ..given };
    let ready = || Given::new("Running").canary("r1", true).ready();
    insta::assert_snapshot!(report(ready().judged(rejects("error rate 100%"))).plan(), @r#"
    Promote { message: "canary.mode is report; it would have been rejected: error rate 100%; template promoted" }
    look again: Some(1s)
    "#);
    insta::assert_snapshot!(report(Given::new("Running").old()).plan(), @r#"
    Promote { message: "canary.mode is report; it would have been inconclusive: app-canary could not be created within 5m; template promoted" }
    look again: Some(1s)
    "#);
    let promote = Action::Promote(proven("error rate 0%"));
    let refused = report(ready().old().refused(promote)).plan();
    assert!(refused.starts_with("Write { phase: Inconclusive"), "what can't be let in is not tried for ever: {refused}");
}

#[test]
fn every_run_ends_at_the_deadline_whatever_it_waits_for() {
    let leaving = |finalizer: bool| {
        let mut given = Given::new("Running").canary("r0", true);
        let canary = given.namesake.as_mut().unwrap();
        canary["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        if finalizer {
            canary["metadata"]["finalizers"] = json!(["example.com/audit"]);
        }
        given
    };
    insta::assert_snapshot!(leaving(false).plan(), @"look again: Some(1s)");
    insta::assert_snapshot!(leaving(true).plan(), @r#"
    Delete { uid: "canary-uid", with_pods: true }
    look again: Some(1s)
    "#);
    insta::assert_snapshot!(leaving(true).old().plan(), @r#"
    Write { phase: Inconclusive, message: Some("an earlier app-canary was not gone within 10m, which waits for its finalizer example.com/audit; template kept out") }
    look again: Some(1s)
    "#);
    insta::assert_snapshot!(Given::new("Running").canary("r0", true).old().plan(), @r#"
    Write { phase: Inconclusive, message: Some("an earlier app-canary was not gone within 10m; template kept out") }
    look again: Some(1s)
    "#);
    insta::assert_snapshot!(Given::new("Running").canary("r1", true).ready_with("another").old().plan(), @r#"
    Write { phase: Inconclusive, message: Some("Ready only at the deadline of 10m, so there was no time to judge it; template kept out") }
    look again: Some(1s)
    "#);
    let endless = || waits(Some("12 requests are needed"));
    insta::assert_snapshot!(Given::new("Running").canary("r1", true).ready().judged(endless()).old().plan(), @r#"
    Write { phase: Inconclusive, message: Some("undecided at the deadline: 12 requests are needed; template kept out") }
    look again: Some(1s)
    "#);
    insta::assert_snapshot!(Given::new("Running").canary("r1", true).ready().old().plan(), @r#"
    Write { phase: Inconclusive, message: Some("nothing was said about it until the deadline; template kept out") }
    look again: Some(1s)
    "#);
    // Whatever the state: at the deadline there is a verdict, or a step towards one that the API server refused.
    for given in [
        Given::new("Running"),
        Given::new("Running").canary("r0", false),
        Given::new("Running").canary("r1", false),
        Given::new("Running").canary("r1", true).starting("a probe fails"),
        Given::new("Running").canary("r1", true).ready(),
        Given::new("Running").canary("r1", false).ready(),
        Given::new("Running").canary("r1", true).ready().judged(unavailable("nonsense")),
    ] {
        let plan = given.old().plan();
        assert!(plan.starts_with("Write { phase: Inconclusive"), "{plan}");
    }
}

#[test]
fn verdicts() {
    let ready = || Given::new("Running").canary("r1", true).ready();
    insta::assert_snapshot!(ready().judged(rejects("error rate 100%")).plan(), @r#"
Write { phase: Rejected, message: Some("error rate 100%; template kept out") }
look again: Some(1s)
"#);
    insta::assert_snapshot!(ready().judged(promotes("error rate 0%")).plan(), @r#"
Promote { message: "error rate 0%; template promoted" }
look again: Some(1s)
"#);
    insta::assert_snapshot!(ready().judged(waits(None)).plan(), @"look again: Some(5s)");
    insta::assert_snapshot!(ready().judged(unavailable("connection refused")).plan(), @r"
CanaryMetricsUnavailable metrics can't be read: connection refused; nothing is promoted or rejected for it
look again: Some(2s)
");
    insta::assert_snapshot!(ready().old().judged(unavailable("connection refused")).plan(), @r#"
Write { phase: Inconclusive, message: Some("no answer from the metrics until the deadline: connection refused; template kept out") }
look again: Some(1s)
"#);
    let few = |clean| done(Decision::Inconclusive { clean }, "0 of 3 requests failed");
    insta::assert_snapshot!(ready().judged(few(true)).plan(), @r#"
Write { phase: Inconclusive, message: Some("0 of 3 requests failed; template kept out") }
look again: Some(1s)
"#);
    for (clean, expected) in [(true, "Promote"), (false, "Inconclusive")] {
        let mut given = ready().judged(few(clean));
        given.policy = &[("canary.on-inconclusive", "promote")];
        assert!(given.plan().contains(expected));
    }
}

#[test]
fn after_the_verdict() {
    insta::assert_snapshot!(Given::new("Rejected").canary("r1", true).plan(), @r#"
CanaryRejected error rate 100%; template kept out
Delete { uid: "canary-uid", with_pods: false }
Release
look again: None
"#);
    insta::assert_snapshot!(Given::new("Rejected").plan(), @r#"
CanaryRejected error rate 100%; template kept out
Release
look again: None
"#);
    insta::assert_snapshot!(Given::new("Withdrawn").canary("r1", true).plan(), @r#"
CanaryWithdrawn error rate 100%; template kept out
Delete { uid: "canary-uid", with_pods: false }
Condition { phase: Withdrawn, message: "error rate 100%; template kept out" }
CleanReplicaSets
Release
look again: None
"#);
    insta::assert_snapshot!(Given::new("Promoted").canary("r1", true).plan(), @r#"
CanaryPromoted error rate 100%; template kept out
Condition { phase: Promoted, message: "error rate 100%; template kept out" }
Delete { uid: "canary-uid", with_pods: false }
look again: Some(1s)
"#);
    insta::assert_snapshot!(Given::new("Promoted").plan(), @r"
CanaryRolledOut the primary runs the promoted template on all replicas
CleanReplicaSets
Release
look again: None
");
    let mut rolling = Given::new("Promoted");
    rolling.primary["status"]["updatedReplicas"] = json!(1);
    insta::assert_snapshot!(rolling.plan(), @"look again: Some(10s)");
    let mut failed = Given::new("Promoted");
    failed.primary["status"]["conditions"] =
        json!([{"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "it has timed out"}]);
    insta::assert_snapshot!(failed.plan(), @r"
CanaryRolloutFailed the promoted template does not roll out: it has timed out; go back with `kubectl rollout undo deploy/app`
CleanReplicaSets
Release
look again: None
");
}

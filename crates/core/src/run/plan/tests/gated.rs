//! People and their clocks: every state in which a controller can find a trial that somebody spoke about.

use super::*;

const APPROVED: &str = r#"{"run":"r1","by":"bob","reason":"looks good"}"#;

fn promotable(phase: &str) -> Given {
    Given::new(phase).canary("r1", true).ready().judged(promotes("error rate 0%"))
}

fn with(mut given: Given, policy: &'static [(&'static str, &'static str)]) -> Given {
    given.policy = policy;
    given
}

fn frozen(mut given: Given) -> Given {
    given.freeze = Some("the fair");
    given
}

const REQUIRED: &[(&str, &str)] = &[("canary.approval", "required")];
const OTHER: &[(&str, &str)] = &[("canary.approval", "other")];
const PAUSED: &[(&str, &str)] = &[("canary.paused", "true")];
/// It is a Thursday.
const WEEKEND: &[(&str, &str)] = &[("canary.window", "Sat,Sun 09:00-17:00 Europe/Berlin")];

#[test]
fn a_good_template_waits_for_somebody_to_agree() {
    insta::assert_snapshot!(with(promotable("Running"), REQUIRED).plan(), @r#"
    Write { phase: AwaitingApproval, message: Some("error rate 0%; it waits for approval") }
    look again: Some(1s)
    "#);
    insta::assert_snapshot!(with(promotable("Running"), OTHER).plan(), @r#"
    Write { phase: AwaitingApproval, message: Some("error rate 0%; it waits for approval by somebody else than ann") }
    look again: Some(1s)
    "#);
    insta::assert_snapshot!(with(promotable("AwaitingApproval").saying(key::MESSAGE, "error rate 0%; it waits for approval"), REQUIRED).plan(), @r"
    CanaryAwaitsApproval error rate 0%; it waits for approval: kubectl annotate deploy/app --overwrite canary.approve=r1
    look again: Some(10s)
    ");
    // Whenever it was said.
    for phase in ["Running", "AwaitingApproval"] {
        assert_eq!(
            with(promotable(phase).saying(key::APPROVED, APPROVED), OTHER).plan(),
            "Promote { message: \"error rate 0%; approved by bob: looks good; template promoted\" }\nlook again: Some(1s)"
        );
    }
    // What is said of another attempt, or by who applied it, is said of nothing.
    for said in [r#"{"run":"r0","by":"bob"}"#, r#"{"run":"r1","by":"ann"}"#] {
        let plan = with(promotable("AwaitingApproval").saying(key::APPROVED, said), OTHER).plan();
        assert!(plan.starts_with("CanaryAwaitsApproval"), "{plan}");
    }
}

#[test]
fn while_it_waits_it_can_still_be_rejected() {
    let rejected = Given::new("AwaitingApproval").canary("r1", true).ready().judged(rejects("error rate 100%"));
    insta::assert_snapshot!(with(rejected, REQUIRED).plan(), @r#"
    Write { phase: Rejected, message: Some("error rate 100%; template kept out") }
    look again: Some(1s)
    "#);
    let crashed = || {
        let mut given = Given::new("AwaitingApproval").canary("r1", true);
        given.health = Health::Failed { reason: "container app CrashLoopBackOff".to_owned(), trouble: Trouble::Own };
        given
    };
    insta::assert_snapshot!(with(crashed(), REQUIRED).plan(), @r#"
    Write { phase: Rejected, message: Some("container app CrashLoopBackOff (after 1s); template kept out") }
    look again: Some(1s)
    "#);
    // Approved or not, nothing goes in that doesn't say good now.
    let given = Given::new("AwaitingApproval").canary("r1", true).ready().saying(key::APPROVED, APPROVED);
    let judgement = waits(None);
    assert_eq!(with(given.judged(judgement), REQUIRED).plan(), "look again: Some(5s)");
}

#[test]
fn an_approval_has_a_deadline_of_its_own() {
    let hours = |given: Given| given.saying("canary.state/since", "2025-12-31T20:00:00Z");
    assert!(with(hours(promotable("AwaitingApproval")), REQUIRED).plan().starts_with("CanaryAwaitsApproval"), "not that of the trial");
    let days = |given: Given| given.saying("canary.state/since", "2025-12-31T00:00:00Z");
    insta::assert_snapshot!(with(days(promotable("AwaitingApproval")), REQUIRED).plan(), @r#"
    Write { phase: Inconclusive, message: Some("it proved itself, and was not let in within 24h (canary.approval-timeout); template kept out") }
    look again: Some(1s)
    "#);
    // Too late is too late, also for who would rather promote what is inconclusive.
    let lax = &[("canary.approval", "required"), ("canary.on-inconclusive", "promote")];
    assert!(with(days(promotable("AwaitingApproval").saying(key::APPROVED, APPROVED)), lax).plan().contains("Inconclusive"));
}

#[test]
fn a_leader_that_is_new_goes_on_waiting() {
    // Its canary is gone with a node: another is made, and judged before anything goes in.
    insta::assert_snapshot!(with(Given::new("AwaitingApproval"), REQUIRED).plan().lines().last().unwrap(), @"look again: Some(5s)");
    let plan = with(promotable("AwaitingApproval").ready_with("another").saying(key::APPROVED, APPROVED), REQUIRED).plan();
    insta::assert_snapshot!(plan, @r#"
    MarkReady { pod: "another" }
    CanaryAnalyzing app-canary is Ready again, with another pod; judging its traffic for 60s
    look again: Some(1s)
    "#);
}

#[test]
fn nothing_is_tried_while_the_namespace_is_frozen() {
    insta::assert_snapshot!(frozen(Given::new("Held")).plan(), @r#"
    CanaryNotNow template held; namespace is frozen: the fair
    Write { phase: Held, message: Some("namespace is frozen: the fair") }
    look again: Some(10s)
    "#);
    let told = frozen(Given::new("Held").saying(key::MESSAGE, "namespace is frozen: the fair"));
    insta::assert_snapshot!(told.plan(), @r"
    CanaryNotNow template held; namespace is frozen: the fair
    look again: Some(10s)
    ");
    // In mid-trial, and at its end.
    for phase in ["Running", "AwaitingApproval"] {
        let all = [promotable(phase), promotable(phase).saying(key::APPROVED, APPROVED), promotable(phase).old()];
        for given in all.into_iter().chain([promotable(phase).saying(key::ORDER, r#"{"verb":"promote","run":"r1","by":"bob"}"#)]) {
            assert_eq!(
                frozen(given).plan(),
                "Write { phase: Held, message: Some(\"namespace is frozen: the fair\") }\nlook again: Some(1s)"
            );
        }
    }
    insta::assert_snapshot!(frozen(Given::new("Held").canary("r1", true)).plan(), @r#"
    CanaryNotNow template held; namespace is frozen: the fair
    Delete { uid: "canary-uid", with_pods: false }
    Write { phase: Held, message: Some("namespace is frozen: the fair") }
    look again: Some(10s)
    "#);
    // What is over stays over.
    assert!(frozen(Given::new("Rejected")).plan().starts_with("CanaryRejected"));
}

#[test]
fn outside_of_the_window() {
    insta::assert_snapshot!(with(Given::new("Held"), WEEKEND).plan(), @r#"
    CanaryNotNow template held; outside of canary.window; tried from Sat 09:00 Europe/Berlin
    Write { phase: Held, message: Some("outside of canary.window; tried from Sat 09:00 Europe/Berlin") }
    look again: Some(10s)
    "#);
    insta::assert_snapshot!(with(promotable("Running"), WEEKEND).plan(), @r#"
    Write { phase: Held, message: Some("outside of canary.window; tried from Sat 09:00 Europe/Berlin") }
    look again: Some(1s)
    "#);
    assert!(with(Given::new("Held"), &[("canary.window", "Thu 00:00-24:00")]).plan().starts_with("Write { phase: Running"));
}

#[test]
fn by_hand() {
    let order = |verb: &str, run: &str| format!(r#"{{"verb":"{verb}","run":"{run}","by":"bob","reason":"the fair"}}"#);
    let ordered = |phase: &str, verb: &str, run: &str| Given::new(phase).canary("r1", true).saying(key::ORDER, &order(verb, run)).plan();
    insta::assert_snapshot!(ordered("Running", "promote", "r1"), @r#"
    Promote { message: "bob decided: the fair; template promoted" }
    look again: Some(1s)
    "#);
    insta::assert_snapshot!(ordered("Running", "reject", "r1"), @r#"
    Write { phase: Rejected, message: Some("bob decided: the fair; template kept out") }
    look again: Some(1s)
    "#);
    insta::assert_snapshot!(ordered("Held", "reject", "r1"), @r#"
    Write { phase: Rejected, message: Some("bob decided: the fair; template kept out") }
    look again: Some(1s)
    "#);
    assert!(ordered("AwaitingApproval", "promote", "r1").starts_with("Promote"));
    assert!(!ordered("Held", "promote", "r1").contains("Promote"), "nobody may order that");
    assert!(ordered("Running", "promote", "r0").starts_with("CanaryNotReady"), "of an earlier attempt");
}

#[test]
fn a_trial_that_stands_still() {
    let paused = |given: Given| with(given.saying(key::PAUSED_SINCE, "2026-01-01T00:00:30Z"), PAUSED);
    insta::assert_snapshot!(with(promotable("Running"), PAUSED).plan(), @r#"
    Pause
    CanaryPaused paused: the clock stands still, and nothing but a gross failure counts; to go on: canary.paused: "false"
    look again: Some(1s)
    "#);
    insta::assert_snapshot!(with(Given::new("Held"), PAUSED).plan(), @r#"
    CanaryPaused template held; paused before it began; to go on: canary.paused: "false"
    Write { phase: Held, message: Some("paused before it began; to go on: canary.paused: \"false\"") }
    look again: Some(10s)
    "#);
    assert_eq!(paused(promotable("Running")).plan(), "look again: Some(2s)");
    // Its deadline stands still with it: it began at 00:00:00, and ten minutes are long over.
    let late = promotable("Running").saying("canary.state/since", "2026-01-01T00:00:00Z");
    assert_eq!(paused(late).plan(), "look again: Some(2s)");
    let gross = Given::new("Running").canary("r1", true).ready().judged(rejects("error rate 100%"));
    insta::assert_snapshot!(paused(gross).plan(), @r#"
    Write { phase: Rejected, message: Some("error rate 100%; template kept out") }
    look again: Some(1s)
    "#);
    let resumed = promotable("Running").saying(key::PAUSED_SINCE, "2026-01-01T00:00:30Z");
    insta::assert_snapshot!(resumed.plan(), @r#"
    MarkReady { pod: "p" }
    Resume
    CanaryResumed resumed; judging its traffic anew for 60s
    look again: Some(1s)
    "#);
    let days = with(promotable("Running").saying(key::PAUSED_SINCE, "2025-12-31T00:00:30Z"), PAUSED);
    insta::assert_snapshot!(days.plan(), @r#"
    Write { phase: Inconclusive, message: Some("paused for 24h; template kept out") }
    look again: Some(1s)
    "#);
}

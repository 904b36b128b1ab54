//! What the API server, a fault, or another template keep from being done.

use super::*;

#[test]
fn what_nobody_can_try_is_held_no_longer() {
    for phase in ["Running", "Rejected"] {
        let unreadable = Given { held: Some(OnTrial::Unreadable), ..Given::new(phase).canary("r1", true) };
        assert!(unreadable.plan().starts_with("Write { phase: Superseded"), "{phase}");
    }
    insta::assert_snapshot!(Given { held: Some(OnTrial::Unreadable), ..Given::new("Held") }.plan(), @r#"
    Write { phase: Superseded, message: Some("the held template can't be read back, and is dropped: apply it again to try it") }
    look again: Some(1s)
    "#);
    insta::assert_snapshot!(Given { held: Some(OnTrial::Nothing), ..Given::new("Superseded").canary("r1", true) }.plan(), @r#"
    CanarySuperseded error rate 100%; template kept out
    Delete { uid: "canary-uid", with_pods: false }
    Condition { phase: Superseded, message: "error rate 100%; template kept out" }
    CleanReplicaSets
    Release
    look again: None
    "#);
}

#[test]
fn what_a_newer_version_holds_is_left_to_it() {
    for phase in ["Running", "Rejected", "ALaterPhase"] {
        let newer = Given { held: Some(OnTrial::Newer(2)), ..Given::new(phase).canary("r1", true) };
        insta::allow_duplicates!(insta::assert_snapshot!(newer.plan(), @r"
        CanaryNewerState this Deployment's template is held by a newer Coalmine, whose state 2 this version (1) can't read
        look again: Some(60s)
        "));
    }
}

#[test]
fn what_only_tells_of_a_run_holds_nothing_up() {
    let refused = |action| dispensable(&Refused { action, words: "not on\na Friday".to_owned() });
    let condition = Action::Condition { phase: Phase::Promoted, message: "error rate 0%".to_owned() };
    insta::assert_snapshot!(note(&refused(condition).unwrap()), @"something that only tells of it can't be written: not on a Friday; going on without");
    assert!(refused(Action::Remember("h".to_owned())).is_some() && refused(Action::CleanReplicaSets).is_some());
    for needed in [Action::Release, Action::Delete { uid: "u".to_owned(), with_pods: false }, Action::MarkReady { pod: "p".to_owned() }] {
        assert_eq!(refused(needed), None);
    }
}

#[test]
fn what_the_api_server_refuses_is_told_in_its_words() {
    let write = || Action::Write { phase: Phase::Running, why: None };
    let promote = || Action::Promote(proven("error rate 0%"));
    let given = || Given::new("Running").canary("r1", true).ready();
    insta::assert_snapshot!(Given::new("Running").refused(Action::Create(Value::Null)).plan(), @r#"
    CanaryCreateRefused the canary can't be created: admission webhook "digests" denied the request:  no; trying until the deadline (10m)
    look again: Some(5s)
    "#);
    insta::assert_snapshot!(given().refused(promote()).plan(), @r#"
    CanaryPromotionRefused the template can't be promoted: admission webhook "digests" denied the request:  no; trying until the deadline (10m)
    look again: Some(5s)
    "#);
    insta::assert_snapshot!(given().old().refused(promote()).plan(), @r#"
    Write { phase: Inconclusive, message: Some("proved itself, but can't be promoted: admission webhook \"digests\" denied the request:  no; template kept out") }
    look again: Some(1s)
    "#);
    insta::assert_snapshot!(given().refused(Action::Delete { uid: "u".to_owned(), with_pods: false }).plan(), @r#"
    CanaryDeleteRefused app-canary can't be deleted: admission webhook "digests" denied the request:  no; trying again
    look again: Some(5s)
    "#);
    insta::assert_snapshot!(Given::new("Held").refused(write()).plan(), @r#"
    CanaryWriteRefused the Deployment can't be written to: admission webhook "digests" denied the request:  no; writing to its status
    WriteAside { phase: Running, message: None }
    look again: Some(1s)
    "#);
    insta::assert_snapshot!(Given::new("Held").refused(Action::WriteAside { phase: Phase::Running, why: None }).plan(), @r#"
    CanaryWriteRefused the Deployment can't be written to: admission webhook "digests" denied the request:  no; trying again
    look again: Some(5s)
    "#);
    insta::assert_snapshot!(given().refused(Action::MarkReady { pod: "p".to_owned() }).plan(), @r#"
    CanaryWriteRefused the Deployment can't be written to: admission webhook "digests" denied the request:  no; trying again
    look again: Some(5s)
    "#);
}

#[test]
fn a_fault_of_our_own_ends_at_the_deadline_too() {
    let policy = Policy::default();
    let end = |given: Given| after_a_failure(&given.primary, given.held.unwrap_or(OnTrial::Nothing), &policy, now(), Verdict::Fault);
    assert_eq!(end(Given::new("Running")), None);
    assert_eq!(end(Given::new("Rejected").old()), None);
    assert_eq!(end(Given { held: Some(OnTrial::Newer(9)), ..Given::new("Running").old() }), None, "the newer version ends it");
    let ended = end(Given::new("Running").old()).unwrap();
    insta::assert_snapshot!(written(&ended), @r#"Write { phase: Inconclusive, message: Some("a fault of Coalmine's own kept it from being judged; its log has the place; template kept out") }"#);
    // Unless the Deployment only wants to be told.
    let template = template();
    let in_report = |with: &[(&str, &str)]| {
        let policy = Policy::parse(&with.iter().copied().collect()).unwrap();
        let primary = Given::new("Running").old().primary;
        written(&after_a_failure(&primary, OnTrial::Template(&template), &policy, now(), Verdict::Fault).unwrap())
    };
    insta::assert_snapshot!(in_report(&[("canary.mode", "report")]), @r#"Promote { message: "canary.mode is report; it would have been inconclusive: a fault of Coalmine's own kept it from being judged; its log has the place; template promoted" }"#);
    assert!(in_report(&[]).starts_with("Write { phase: Inconclusive"));
}

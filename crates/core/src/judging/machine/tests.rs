//! The judge without a cluster: what takes away what, answers in any order, and whole runs as questions and answers.

use rstest::rstest;

use std::time::Duration;

use super::*;
use crate::api::checks::Checks as List;
use crate::facts::checked::{Failed, Outcome, Passed};
use crate::judging::question::Answer;
use crate::judging::question::Failure;
use crate::metrics::counting::History;
use crate::metrics::discovery::Choice;
use crate::statistics::Counts;

mod changing;
mod ends;
mod moved;
mod newcomers;
mod opponent;
mod probed;
mod quiet;
mod sources;
mod stories;
mod takeover;
mod world;

use world::{READY, World, at, subject};

/// A judge that has come so far that it waits for the next scrape.
fn waiting() -> (Judge, World) {
    let mut world = World::default();
    let mut judge = Judge::new(subject());
    world.round(&mut judge);
    (judge, world)
}

/// What is asked at the same moment, now that something else is so.
fn asked_after(change: impl FnOnce(&mut Subject)) -> Vec<String> {
    let (mut judge, mut world) = waiting();
    let mut subject = subject();
    change(&mut subject);
    judge.about(subject);
    world.story.clear();
    world.round(&mut judge);
    world.asked()
}

#[rstest]
#[case::nothing(asked_after(|_| {}), &[])]
#[case::the_object(asked_after(|subject| subject.version = "8".to_owned()), &["samples #0"])]
#[case::the_limit(asked_after(|subject| subject.policy.max_error_rate = 0.05), &["samples #0"])]
#[case::a_check(asked_after(|subject| subject.policy.checks = Some(List::ConfigMap("more".to_owned()))), &["samples #0", "configmap more", "checks smoke"])]
#[case::another_pod(asked_after(|subject| subject.since = at(1)), &["pods", "samples #1"])]
#[case::other_series(asked_after(|subject| subject.policy.metrics = Choice::parse("http").unwrap()), &["present", "history", "samples #1"])]
#[case::latency_too(
    asked_after(|subject| subject.policy.max_latency_p99 = Some(Duration::from_millis(250))),
    &["present", "history", "samples #1"]
)]
#[case::another_run(asked_after(|subject| subject.run = "r2".to_owned()), &["pods", "present", "history", "samples #1"])]
fn what_changes_takes_away_what_rests_on_it(#[case] asked: Vec<String>, #[case] expected: &[&str]) {
    assert_eq!(asked, expected);
}

#[test]
fn time_takes_away_the_pods_and_the_answer() {
    let (mut judge, mut world) = waiting();
    world.until(&mut judge, 9);
    world.story.clear();
    world.until(&mut judge, 20);
    // One question a scrape; the pods every 15 s, and at a quarter of the duration what else the canary counts.
    assert_eq!(world.asked(), ["samples #0", "pods", "present", "samples #0", "samples #0"]);
}

#[test]
fn the_deadline_ends_any_wait() {
    let (mut judge, mut world) = waiting();
    world.broken = Some(("samples", 1, Failure::refusal("too many series")));
    let deadline = 600 - READY;
    for (second, expected) in
        [(deadline - 5, vec!["pods", "present", "samples #0"]), (deadline - 1, vec![]), (deadline, vec!["samples #0"])]
    {
        world.second = second;
        world.story.clear();
        world.round(&mut judge);
        assert_eq!(world.asked(), expected, "after {second} s");
    }
}

/// Every question in its turn, and every answer to it but the right one.
#[test]
fn an_answer_to_something_else_changes_nothing() {
    let answers = || {
        [
            Answer::Pods { canary: Vec::new(), primary: Vec::new() },
            Answer::Present(Vec::new()),
            Answer::History(Vec::new()),
            Answer::Samples(Vec::new()),
            Answer::CheckList(None),
            Answer::Checks(Vec::new()),
            Answer::Places(Vec::new()),
            Answer::Pages(Vec::new()),
            Answer::Recent(Vec::new()),
        ]
    };
    let world = World::default();
    let mut subject = subject();
    subject.policy.checks = Some(List::ConfigMap("more".to_owned()));
    subject.reads_pages = true;
    let mut judge = Judge::new(subject);
    let mut kinds = 0;
    while let Step::Ask(question) = judge.next(world.now()) {
        kinds += 1;
        for (position, answer) in answers().into_iter().enumerate() {
            if position != question.kind() as usize {
                judge.take(answer, world.now());
                assert_eq!(judge.next(world.now()), Step::Ask(question.clone()), "after answer {position}");
            }
        }
        let answer = world.answer(&question);
        judge.take(answer.clone(), world.now());
        judge.take(answer, world.now());
    }
    assert_eq!(kinds, 8, "every kind of question but that about counters at two ports");
}

#[test]
fn an_answer_about_another_pod_comes_too_late() {
    let mut judge = Judge::new(subject());
    let world = World::default();
    assert!(matches!(judge.next(world.now()), Step::Ask(Question::Pods)));
    judge.about(Subject { since: at(1), ..subject() });
    judge.take(world.answer(&Question::Pods), world.now());
    assert!(matches!(judge.next(world.now()), Step::Ask(Question::Pods)));
}

#[rstest]
#[case::passing(Failure::passing("no connection"), 1, 2)]
#[case::refused(Failure::refusal("bad matcher"), 59, 60)]
fn a_question_without_an_answer_waits_its_time(#[case] failure: Failure, #[case] quiet: i64, #[case] again: i64) {
    let mut judge = Judge::new(subject());
    let mut world = World { broken: Some(("present", 1, failure.clone())), ..World::default() };
    world.round(&mut judge);
    let Step::Wait(waiting) = judge.next(at(quiet)) else { panic!("it waits") };
    assert!(waiting.is_blind);
    assert_eq!(waiting.findings, [Finding::NoAnswer(failure.words)]);
    assert!(matches!(judge.next(at(again)), Step::Ask(_)));
}

#[test]
fn a_refused_check_is_unknown_and_does_not_keep_the_metrics_from_judging() {
    let mut subject = subject();
    subject.policy.checks = Some(List::ConfigMap("more".to_owned()));
    let mut judge = Judge::new(subject.clone());
    let mut world = World { check: Err(Failure::refusal("unknown function")), ..World::default() };
    world.until(&mut judge, 75);
    let asked = world.asked().iter().filter(|asked| *asked == "checks smoke").count();
    assert_eq!(asked, 2, "a minute apart");
    insta::assert_snapshot!(world.story.last().unwrap(), @"75s wait 1s: check smoke: unknown function");
    let mut judge = Judge::new(subject);
    let mut world = World { check: Err(Failure::refusal("unknown function")), traffic: world::BROKEN, ..World::default() };
    world.until(&mut judge, 75);
    insta::assert_snapshot!(world.story.last().unwrap(), @"10s Reject: error rate 100% (900 of 900 requests) exceeds 1% after 10s; primary 0%");
}

#[rstest]
#[case::it_fails_twice(2, Failure::passing("timed out"), &["history", "history", "history", "samples #0"])]
#[case::it_always_fails(9, Failure::passing("timed out"), &["history", "history", "history", "samples #0"])]
#[case::it_is_refused(9, Failure::refusal("too many samples"), &["history", "samples #0"])]
fn history_is_not_waited_for_for_ever(#[case] times: usize, #[case] failure: Failure, #[case] expected: &[&str]) {
    let mut judge = Judge::new(subject());
    let mut world = World { broken: Some(("history", times, failure)), ..World::default() };
    world.until(&mut judge, 6);
    let asked: Vec<String> =
        world.asked().into_iter().filter(|asked| asked.starts_with("history") || asked.starts_with("samples")).collect();
    assert_eq!(asked.get(..expected.len()).unwrap(), expected);
}

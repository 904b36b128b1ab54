//! The last verdicts, as they are written down and read back.

use super::*;
use crate::run::evidence::Counted;
use serde_json::json;

fn now() -> Timestamp {
    "2026-11-27T12:01:00Z".parse().unwrap()
}

fn primary() -> Value {
    json!({
        "metadata": {"name": "app", "annotations": {"canary.state/since": "2026-11-27T12:00:00Z"}},
        "spec": {"template": {"spec": {"containers": [{"name": "app", "image": "app:a"}, {"name": "side", "image": "side:1"}]}}},
    })
}

fn b() -> Value {
    json!({"spec": {"containers": [{"name": "app", "image": "app:b"}, {"name": "side", "image": "side:1"}]}})
}

fn evidence() -> Evidence {
    let mut evidence = Evidence::default();
    for second in 0..60 {
        let counted = |requests| Counted { requests, failures: 0.0 };
        let time = now() + std::time::Duration::from_secs(second);
        let look = Look { time, canary: counted(second as f64), primary: counted(9.0), against: 0.5, in_favour: 3.0, needed: Some(338.0) };
        evidence.push(look);
    }
    evidence
}

fn verdict<'a>(phase: Phase, message: &'a str, template: &'a Value) -> Verdict<'a> {
    Verdict { phase, message, template, user: "ann" }
}

fn remembered(primary: &mut Value, count: usize) {
    for number in 0..count {
        let message = format!("verdict {number}");
        let text = after(primary, verdict(Phase::Rejected, &message, &b()), &evidence(), 0, now()).unwrap();
        primary["metadata"]["annotations"][key::HISTORY] = text.into();
    }
}

#[test]
fn one_verdict_is_one_short_line() {
    let text = after(&primary(), verdict(Phase::Promoted, "error rate 0%", &b()), &Evidence::default(), 0, now()).unwrap();
    insta::assert_snapshot!(text, @r#"[{"t":1795780860,"p":"Promoted","i":{"app":["app:a","app:b"]},"s":60,"u":"ann","m":"error rate 0%"}]"#);
    assert_eq!(after(&primary(), verdict(Phase::Held, "scaled to zero", &b()), &Evidence::default(), 0, now()), None);
}

#[test]
fn ten_are_kept_and_the_looks_of_three() {
    let mut primary = primary();
    remembered(&mut primary, 14);
    let entries = of(object::annotations(&primary));
    let messages: Vec<&str> = entries.iter().map(|entry| entry.message.as_str()).collect();
    assert_eq!((messages.len(), messages[0], messages[9]), (10, "verdict 13", "verdict 4"));
    let looks: Vec<usize> = entries.iter().map(|entry| entry.looks.len()).collect();
    assert_eq!(looks, [12, 12, 12, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!((entries[0].requests, entries[0].failures, entries[0].seconds), (Some(59.0), Some(0.0), Some(60)));
}

#[test]
fn whatever_is_said_it_stays_small() {
    let mut primary = primary();
    let message = "\u{10ffff}".repeat(200_000);
    for _ in 0..12 {
        let text = after(&primary, verdict(Phase::Rejected, &message, &b()), &evidence(), 0, now()).unwrap();
        assert!(text.len() <= LONGEST, "{}", text.len());
        primary["metadata"]["annotations"][key::HISTORY] = text.into();
    }
    assert!(!of(object::annotations(&primary)).is_empty());
}

#[test]
fn where_there_is_no_room_the_oldest_go_first() {
    let mut primary = primary();
    remembered(&mut primary, 10);
    let whole = object::annotation(&primary, key::HISTORY).unwrap().len();
    let annotations = primary["metadata"]["annotations"].as_object_mut().unwrap();
    let filled = object::MOST_ANNOTATION_BYTES - object::size(annotations) + whole / 2 - "big".len() + 100;
    annotations.insert("big".to_owned(), "x".repeat(filled).into());
    make_room(annotations, 0);
    assert!(object::size(annotations) <= object::MOST_ANNOTATION_BYTES);
    let left = of(annotations);
    assert!(left.len() < 10 && left[0].message == "verdict 9", "{}", left.len());
    annotations.insert("bigger".to_owned(), "x".repeat(whole).into());
    make_room(annotations, 0);
    assert_eq!(object::text(annotations, key::HISTORY), Some("[]"));
}

#[test]
fn what_was_let_through_gets_its_time_later() {
    let mut primary = primary();
    let was = primary.clone();
    let annotations = primary["metadata"]["annotations"].as_object_mut().unwrap();
    let_through(annotations, &was, verdict(Phase::Bypassed, "hotfix", &b()));
    assert_eq!(of(annotations)[0].time, None);
    let text = dated(annotations, now()).unwrap();
    annotations.insert(key::HISTORY.to_owned(), text.into());
    assert_eq!((of(annotations)[0].time, dated(annotations, now())), (Some(now()), None));
}

#[test]
fn garbage_is_nothing() {
    for text in ["", "{}", "[1]", r#"[{"t":1}]"#, r#"[{"p":"Nonsense"}]"#] {
        assert_eq!(of(json!({key::HISTORY: text}).as_object().unwrap()), [], "{text}");
    }
}

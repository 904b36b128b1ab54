//! The last verdicts on one Deployment, as one compact annotation on it, newest first. It takes room that a template may need: it is bounded,
//! and when there is too little, the oldest go first. Nothing is decided by it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::evidence::{self, Evidence, Look};
use super::times::{began, elapsed};
use crate::{
    api::annotations::{self as key, Phase},
    manifest::{object, template},
    words::within,
};

/// How many verdicts are kept, and of how many of them the looks.
const MOST: usize = 10;
const WITH_LOOKS: usize = 3;
/// Of one verdict: enough for a curve.
const MOST_LOOKS: usize = 12;
/// In characters.
const LONGEST_MESSAGE: usize = 240;
const LONGEST_NAME: usize = 120;
/// Of the whole annotation, in bytes.
const LONGEST: usize = 8 << 10;
/// Left free for the phase and its message.
const SPARE: usize = 2 << 10;

/// One verdict.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    /// Absent for some seconds where admission let a template through: it has no clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    #[serde(serialize_with = "as_word")]
    pub phase: Phase,
    /// The images that change, old and new, by container.
    pub images: BTreeMap<String, (String, String)>,
    /// Counted on the canary.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failures: Option<f64>,
    /// From the beginning of the trial to the verdict.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    /// Who applied the template.
    pub user: String,
    pub message: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub looks: Vec<Look>,
}

/// The same with one letter for each name.
#[derive(Serialize, Deserialize)]
struct Packed {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    t: Option<i64>,
    p: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    i: BTreeMap<String, (String, String)>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    n: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    f: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    s: Option<u64>,
    #[serde(skip_serializing_if = "String::is_empty", default)]
    u: String,
    #[serde(skip_serializing_if = "String::is_empty", default)]
    m: String,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    e: Vec<evidence::Packed>,
}

/// A verdict that is about to be written.
#[derive(Debug, Clone, Copy)]
pub struct Verdict<'a> {
    pub phase: Phase,
    pub message: &'a str,
    /// The template that it is about, and who applied it.
    pub template: &'a Value,
    pub user: &'a str,
}

/// What stands on a Deployment; nothing where nobody can read it.
pub fn of(annotations: &Map<String, Value>) -> Vec<Entry> {
    let packed: Vec<Packed> = object::text(annotations, key::HISTORY).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    packed.into_iter().take(MOST).filter_map(Packed::entry).collect()
}

/// The annotation once this verdict is written. `None` where it is no verdict.
pub fn after(primary: &Value, verdict: Verdict<'_>, evidence: &Evidence, now: Timestamp) -> Option<String> {
    if !verdict.phase.is_kept_out() && verdict.phase != Phase::Promoted {
        return None;
    }
    let last = evidence.looks.last();
    let mut looks = evidence.looks.clone();
    evidence::thin(&mut looks, MOST_LOOKS);
    let entry = Entry {
        time: Some(now),
        requests: last.map(|look| look.canary.requests),
        failures: last.map(|look| look.canary.failures),
        seconds: began(primary).map(|began| elapsed(began, now).as_secs()),
        looks,
        ..entry(primary, verdict)
    };
    let annotations = object::annotations(primary);
    Some(text(with(annotations, entry), room(annotations, SPARE)))
}

/// Adds what admission lets through without a verdict.
pub fn let_through(annotations: &mut Map<String, Value>, primary: &Value, verdict: Verdict<'_>) {
    let text = text(with(annotations, entry(primary, verdict)), room(annotations, SPARE));
    annotations.insert(key::HISTORY.to_owned(), text.into());
}

/// The annotation with the time of its newest entry, where that has none.
pub fn dated(annotations: &Map<String, Value>, now: Timestamp) -> Option<String> {
    let mut entries = of(annotations);
    let newest = entries.first_mut().filter(|newest| newest.time.is_none())?;
    newest.time = Some(now);
    Some(text(entries, room(annotations, SPARE)))
}

/// Forgets as much as it must for all annotations together to fit, and so much to spare.
pub fn make_room(annotations: &mut Map<String, Value>, spare: usize) {
    if annotations.contains_key(key::HISTORY) && object::size(annotations) + spare > object::MOST_ANNOTATION_BYTES {
        let text = text(of(annotations), room(annotations, spare));
        annotations.insert(key::HISTORY.to_owned(), text.into());
    }
}

fn entry(primary: &Value, verdict: Verdict<'_>) -> Entry {
    let (old, new) = (template::images(object::template(primary)), template::images(verdict.template));
    let changed = new.into_iter().filter(|(name, image)| old.get(name) != Some(image));
    let pair = |(name, image): (String, String)| {
        let before = old.get(&name).cloned().unwrap_or_default();
        (within(&name, LONGEST_NAME), (within(&before, LONGEST_NAME), within(&image, LONGEST_NAME)))
    };
    Entry {
        time: None,
        phase: verdict.phase,
        images: changed.map(pair).take(3).collect(),
        requests: None,
        failures: None,
        seconds: None,
        user: within(verdict.user, LONGEST_NAME),
        message: within(verdict.message, LONGEST_MESSAGE),
        looks: Vec::new(),
    }
}

fn with(annotations: &Map<String, Value>, entry: Entry) -> Vec<Entry> {
    std::iter::once(entry).chain(of(annotations)).collect()
}

/// What is left for it beside all others, and beside what is written with it.
fn room(annotations: &Map<String, Value>, spare: usize) -> usize {
    let others = object::size(annotations) - object::text(annotations, key::HISTORY).map_or(0, str::len);
    object::MOST_ANNOTATION_BYTES.saturating_sub(others + spare).min(LONGEST)
}

/// As many of them as there is room for, from the newest.
fn text(mut entries: Vec<Entry>, room: usize) -> String {
    entries.truncate(MOST);
    for entry in entries.iter_mut().skip(WITH_LOOKS) {
        entry.looks.clear();
    }
    loop {
        let packed: Vec<Packed> = entries.iter().map(Packed::of).collect();
        let text = serde_json::to_string(&packed).unwrap_or_default();
        if text.len() <= room || entries.pop().is_none() {
            return text;
        }
    }
}

impl Packed {
    fn of(entry: &Entry) -> Self {
        Self {
            t: entry.time.map(Timestamp::as_second),
            p: entry.phase.as_str().to_owned(),
            i: entry.images.clone(),
            n: entry.requests,
            f: entry.failures,
            s: entry.seconds,
            u: entry.user.clone(),
            m: entry.message.clone(),
            e: evidence::packed(&entry.looks),
        }
    }

    fn entry(self) -> Option<Entry> {
        Some(Entry {
            time: self.t.and_then(|second| Timestamp::from_second(second).ok()),
            phase: Phase::parse(&self.p)?,
            images: self.i,
            requests: self.n,
            failures: self.f,
            seconds: self.s,
            user: self.u,
            message: self.m,
            looks: evidence::unpacked(&self.e),
        })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference to the field")]
fn as_word<S: serde::Serializer>(phase: &Phase, serializer: S) -> Result<S::Ok, S::Error> {
    phase.as_str().serialize(serializer)
}

#[cfg(test)]
mod tests {
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
            let look =
                Look { time, canary: counted(second as f64), primary: counted(9.0), against: 0.5, in_favour: 3.0, needed: Some(338.0) };
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
            let text = after(primary, verdict(Phase::Rejected, &message, &b()), &evidence(), now()).unwrap();
            primary["metadata"]["annotations"][key::HISTORY] = text.into();
        }
    }

    #[test]
    fn one_verdict_is_one_short_line() {
        let text = after(&primary(), verdict(Phase::Promoted, "error rate 0%", &b()), &Evidence::default(), now()).unwrap();
        insta::assert_snapshot!(text, @r#"[{"t":1795780860,"p":"Promoted","i":{"app":["app:a","app:b"]},"s":60,"u":"ann","m":"error rate 0%"}]"#);
        assert_eq!(after(&primary(), verdict(Phase::Held, "scaled to zero", &b()), &Evidence::default(), now()), None);
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
            let text = after(&primary, verdict(Phase::Rejected, &message, &b()), &evidence(), now()).unwrap();
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
}

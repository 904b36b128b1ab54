//! The last verdicts on one Deployment, as one compact annotation on it, newest first. It takes room that a template may need: it is bounded,
//! and when there is too little, the oldest go first. Nothing is decided by it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::evidence::{self, Evidence, Look};
use super::times::elapsed;
use crate::{
    api::annotations::{self as key, Phase},
    manifest::{object, template},
    standing::Standing,
    words::within,
};

/// How many verdicts are kept, and of how many of them the looks.
const MOST: usize = 10;
const WITH_LOOKS: usize = 3;
/// The maximum number of looks of one verdict: enough for a curve.
const MOST_LOOKS: usize = 12;
/// In characters.
const LONGEST_MESSAGE: usize = 240;
const LONGEST_NAME: usize = 120;
/// The longest annotation, in bytes.
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
    /// The user who applied the template.
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

/// The annotation once this verdict is written, with `besides` bytes of other annotations. `None` where it is no verdict.
pub fn after(primary: &Value, verdict: Verdict<'_>, evidence: &Evidence, besides: usize, now: Timestamp) -> Option<String> {
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
        seconds: Standing::of(primary).since.map(|began| elapsed(began, now).as_secs()),
        looks,
        ..entry(primary, verdict)
    };
    let annotations = object::annotations(primary);
    Some(text(with(annotations, entry), room(annotations, SPARE + besides)))
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

/// Forgets as much as it must for all annotations together to fit, with `spare` bytes to spare.
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
mod tests;

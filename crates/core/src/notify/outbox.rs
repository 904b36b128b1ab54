//! What has yet to be told of one Deployment, as an annotation on it. It is written together with the verdict and taken away as each sink was
//! told, so that whoever leads next finds what is left, and nothing else. It takes room that a template may need: it is bounded.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    api::annotations::{self as key, Phase},
    manifest::{object, template},
    run::history::Verdict,
    standing::Standing,
    words::within,
};

/// Verdicts on one Deployment that wait at once. The oldest go first.
const MOST: usize = 3;
/// The longest annotation, in bytes.
const LONGEST: usize = 2 << 10;
/// Left free for the phase and its message.
const SPARE: usize = 2 << 10;
/// In characters.
const LONGEST_MESSAGE: usize = 300;
const LONGEST_NAME: usize = 120;
const MOST_IMAGES: usize = 3;

/// One verdict, and who has yet to hear of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    pub run: String,
    pub phase: Phase,
    pub time: Timestamp,
    /// The user who applied the template.
    pub user: String,
    /// Of the containers whose image changes: name, old, new.
    pub images: Vec<(String, String, String)>,
    pub message: String,
    pub info: Vec<(String, String)>,
    pub sinks: Vec<String>,
}

/// The same with one letter for each name.
#[derive(Serialize, Deserialize)]
struct Packed {
    r: String,
    p: String,
    t: i64,
    #[serde(skip_serializing_if = "String::is_empty", default)]
    u: String,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    i: Vec<(String, String, String)>,
    #[serde(skip_serializing_if = "String::is_empty", default)]
    m: String,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    x: Vec<(String, String)>,
    s: Vec<String>,
}

impl Notice {
    pub fn of(primary: &Value, verdict: Verdict<'_>, info: Vec<(String, String)>, sinks: Vec<String>, now: Timestamp) -> Self {
        let (old, new) = (template::images(object::template(primary)), template::images(verdict.template));
        let changed = new.into_iter().filter(|(name, image)| old.get(name) != Some(image));
        let image = |(name, image): (String, String)| {
            let before = old.get(&name).map(|before| within(before, LONGEST_NAME)).unwrap_or_default();
            (within(&name, LONGEST_NAME), before, within(&image, LONGEST_NAME))
        };
        Self {
            run: Standing::of(primary).run_name().to_owned(),
            phase: verdict.phase,
            time: now,
            user: within(verdict.user, LONGEST_NAME),
            images: changed.map(image).take(MOST_IMAGES).collect(),
            message: within(verdict.message, LONGEST_MESSAGE),
            info,
            sinks,
        }
    }

    /// The same for the same verdict, whoever sends it, and however often. Without a full stop, which would end it in what is signed.
    pub fn id(&self, uid: &str) -> String {
        format!("{uid}_{}_{}", self.run, self.phase.as_str().to_ascii_lowercase())
    }

    fn is(&self, other: &Self) -> bool {
        (&self.run, self.phase) == (&other.run, other.phase)
    }
}

/// What stands on a Deployment, oldest first; nothing where nobody can read it.
pub fn of(annotations: &Map<String, Value>) -> Vec<Notice> {
    let packed: Vec<Packed> = object::text(annotations, key::UNSENT).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    packed.into_iter().filter_map(Packed::notice).take(MOST).collect()
}

/// The annotation with one more notice. `None` where there is no room for it: then only who leads now can tell of it.
pub fn with(annotations: &Map<String, Value>, notice: &Notice) -> Option<String> {
    let mut notices: Vec<Notice> = of(annotations).into_iter().filter(|known| !known.is(notice)).collect();
    notices.push(notice.clone());
    if notices.len() > MOST {
        notices.remove(0);
    }
    let room = room(annotations);
    loop {
        let text = text(&notices)?;
        if text.len() <= room {
            return Some(text);
        }
        if notices.len() > 1 {
            notices.remove(0);
        } else if !shorten(notices.first_mut()?) {
            return None;
        }
    }
}

/// The patch that says that this sink needs to hear no more of this notice. `None` where nothing says that it does.
pub fn sent_patch(annotations: &Map<String, Value>, notice: &Notice, sink: &str) -> Option<Value> {
    let was = object::text(annotations, key::UNSENT)?;
    let mut notices = of(annotations);
    let own = notices.iter_mut().find(|known| known.is(notice))?;
    let before = own.sinks.len();
    own.sinks.retain(|name| name != sink);
    if own.sinks.len() == before {
        return None;
    }
    notices.retain(|notice| !notice.sinks.is_empty());
    let path = format!("/metadata/annotations/{}", key::UNSENT.replace('/', "~1"));
    let then = match text(&notices).filter(|_| !notices.is_empty()) {
        Some(text) => json!({"op": "replace", "path": path, "value": text}),
        None => json!({"op": "remove", "path": path}),
    };
    Some(json!([{"op": "test", "path": path, "value": was}, then]))
}

/// What is left for it beside the others. The history makes room for it, and not the other way round.
fn room(annotations: &Map<String, Value>) -> usize {
    let own = [key::UNSENT, key::HISTORY].into_iter().filter_map(|name| object::text(annotations, name)).map(str::len).sum();
    let others = object::size(annotations).saturating_sub(own) + key::UNSENT.len();
    object::MOST_ANNOTATION_BYTES.saturating_sub(others + SPARE).min(LONGEST)
}

/// What a reader misses least goes first.
fn shorten(notice: &mut Notice) -> bool {
    if notice.images.pop().is_some() || notice.info.pop().is_some() {
        return true;
    }
    let characters = notice.message.chars().count();
    notice.message = within(&notice.message, characters / 2);
    characters > 1
}

fn text(notices: &[Notice]) -> Option<String> {
    let packed: Vec<Packed> = notices.iter().map(Packed::of).collect();
    serde_json::to_string(&packed).ok()
}

impl Packed {
    fn of(notice: &Notice) -> Self {
        Self {
            r: notice.run.clone(),
            p: notice.phase.as_str().to_owned(),
            t: notice.time.as_second(),
            u: notice.user.clone(),
            i: notice.images.clone(),
            m: notice.message.clone(),
            x: notice.info.clone(),
            s: notice.sinks.clone(),
        }
    }

    fn notice(self) -> Option<Notice> {
        Some(Notice {
            run: self.r,
            phase: Phase::parse(&self.p)?,
            time: Timestamp::from_second(self.t).ok()?,
            user: self.u,
            images: self.i,
            message: self.m,
            info: self.x,
            sinks: self.s,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-27T12:01:00Z".parse().unwrap()
    }

    fn primary() -> Value {
        json!({
            "metadata": {"name": "app", "annotations": {"canary.state/run": "r1"}},
            "spec": {"template": {"spec": {"containers": [{"name": "app", "image": "app:a"}, {"name": "side", "image": "side:1"}]}}},
        })
    }

    fn notice(primary: &Value, phase: Phase, message: &str, sinks: &[&str]) -> Notice {
        let template = json!({"spec": {"containers": [{"name": "app", "image": "app:b"}, {"name": "side", "image": "side:1"}]}});
        let verdict = Verdict { phase, message, template: &template, user: "ann" };
        let sinks = sinks.iter().map(|name| (*name).to_owned()).collect();
        Notice::of(primary, verdict, vec![("git".to_owned(), "4f2a9c1".to_owned())], sinks, now())
    }

    fn put(primary: &mut Value, notice: &Notice) {
        let text = with(object::annotations(primary), notice).unwrap();
        primary["metadata"]["annotations"][key::UNSENT] = text.into();
    }

    fn sent(primary: &mut Value, notice: &Notice, sink: &str) -> bool {
        let Some(patch) = sent_patch(object::annotations(primary), notice, sink) else { return false };
        let patch: json_patch::Patch = serde_json::from_value(patch).unwrap();
        json_patch::patch(primary, &patch).unwrap();
        true
    }

    #[test]
    fn it_is_one_short_line_until_all_were_told() {
        let mut primary = primary();
        let rejected = notice(&primary, Phase::Rejected, "error rate 25%", &["payments", "ops"]);
        put(&mut primary, &rejected);
        insta::assert_snapshot!(object::annotation(&primary, key::UNSENT).unwrap(), @r#"[{"r":"r1","p":"Rejected","t":1795780860,"u":"ann","i":[["app","app:a","app:b"]],"m":"error rate 25%","x":[["git","4f2a9c1"]],"s":["payments","ops"]}]"#);
        assert_eq!(of(object::annotations(&primary)), std::slice::from_ref(&rejected));
        assert!(sent(&mut primary, &rejected, "payments"));
        assert_eq!(of(object::annotations(&primary))[0].sinks, ["ops"]);
        assert!(!sent(&mut primary, &rejected, "payments"), "it is told once");
        assert!(sent(&mut primary, &rejected, "ops"));
        assert_eq!(object::annotation(&primary, key::UNSENT), None);
        assert_eq!(rejected.id("u-1"), "u-1_r1_rejected");
    }

    #[test]
    fn what_waits_survives_the_next_run() {
        let mut primary = primary();
        let first = notice(&primary, Phase::Rejected, "first", &["ops"]);
        put(&mut primary, &first);
        for number in 2..=5 {
            primary["metadata"]["annotations"][key::RUN] = json!(format!("r{number}"));
            let next = notice(&primary, Phase::Promoted, "next", &["ops"]);
            put(&mut primary, &next);
            put(&mut primary, &next);
        }
        let runs: Vec<String> = of(object::annotations(&primary)).into_iter().map(|notice| notice.run).collect();
        assert_eq!(runs, ["r3", "r4", "r5"], "at most three, the newest, each once");
        assert!(!sent(&mut primary, &first, "ops"), "nothing says that it waits");
    }

    #[test]
    fn whatever_is_said_it_stays_small() {
        let mut primary = primary();
        let long = "\u{10ffff}".repeat(200_000);
        let mut notice = notice(&primary, Phase::Rejected, &long, &["ops"]);
        notice.info = vec![("git".to_owned(), "\u{10ffff}".repeat(120)); 10];
        put(&mut primary, &notice);
        assert!(object::annotation(&primary, key::UNSENT).unwrap().len() <= LONGEST);
        assert_eq!(of(object::annotations(&primary))[0].sinks, ["ops"]);
    }

    #[test]
    fn it_takes_no_room_that_is_not_there() {
        let mut primary = primary();
        let notice = notice(&primary, Phase::Rejected, "error rate 25%", &["ops"]);
        let filled = object::MOST_ANNOTATION_BYTES - SPARE - object::size(object::annotations(&primary)) - "big".len() - 150;
        primary["metadata"]["annotations"]["big"] = json!("x".repeat(filled));
        put(&mut primary, &notice);
        assert!(object::size(object::annotations(&primary)) + SPARE <= object::MOST_ANNOTATION_BYTES);
        primary["metadata"]["annotations"]["bigger"] = json!("x".repeat(100));
        assert_eq!(with(object::annotations(&primary), &notice), None);
    }

    #[test]
    fn garbage_is_nothing() {
        for text in ["", "{}", "[1]", r#"[{"r":"x"}]"#, r#"[{"r":"x","p":"Nonsense","t":1,"s":[]}]"#] {
            assert_eq!(of(json!({key::UNSENT: text}).as_object().unwrap()), [], "{text}");
        }
    }
}

//! kubectl's `last-applied-configuration` annotation while a template is held.
//! It must describe the live template (client-side apply computes deletions from it), and it carries the hold's marker, so that every
//! later client-side apply has something to send. The raw text that the client sent is kept with the held template.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{
    Map, Value,
    value::{RawValue, to_raw_value},
};

use crate::api::annotations::{ENABLED, HELD, MARKER, STATE_PREFIX};

/// The value of the marker, on the object and inside last-applied.
pub const MARKED: &str = "held";

/// `sent` with the template of `before` (or none, if there was none) and the marker. `None` when `sent` is not a JSON object:
/// kubectl could not use it either, so it is left as it is.
pub fn while_held(sent: &str, before: &str) -> Option<String> {
    let mut object = pieces(sent)?;
    let live = pieces(before).and_then(|before| pieces(before.get("spec")?.get())?.remove("template"));
    if let Some(mut spec) = object.get("spec").and_then(|spec| pieces(spec.get())) {
        match live {
            Some(template) => spec.insert("template".to_owned(), template),
            None => spec.remove("template"),
        };
        object.insert("spec".to_owned(), piece(&spec)?);
    }
    let part = |of: &Pieces, name: &str| of.get(name).map_or(Some(Pieces::new()), |part| pieces(part.get()));
    let mut metadata = part(&object, "metadata")?;
    let mut annotations = part(&metadata, "annotations")?;
    annotations.insert(MARKER.to_owned(), piece(&MARKED)?);
    metadata.insert("annotations".to_owned(), piece(&annotations)?);
    object.insert("metadata".to_owned(), piece(&metadata)?);
    Some(as_kubectl_writes(piece(&object)?.get()))
}

/// A JSON object whose values are left as they were written: what isn't looked at is neither read nor written anew.
type Pieces = BTreeMap<String, Box<RawValue>>;

fn pieces(text: &str) -> Option<Pieces> {
    serde_json::from_str(text).ok()
}

fn piece(value: &impl Serialize) -> Option<Box<RawValue>> {
    to_raw_value(value).ok()
}

/// The text without the marker; unchanged, byte for byte, where there is none.
pub fn without_marker(text: &str) -> String {
    if !text.contains(MARKER) {
        return text.to_owned();
    }
    edited(text, |annotations| annotations.remove(MARKER).is_some())
}

/// The text without anything of Coalmine's own, for an object that was copied from one with a held template.
pub fn without_state(text: &str) -> String {
    edited(text, |annotations| {
        let before = annotations.len();
        annotations.retain(|name, _| !name.starts_with(STATE_PREFIX));
        let mut changed = annotations.len() != before;
        if annotations.get(ENABLED).and_then(Value::as_str) == Some("held") {
            annotations.insert(ENABLED.to_owned(), "true".into());
            changed = true;
        }
        changed
    })
}

/// The pod template in the text.
pub fn template(text: &str) -> Option<Value> {
    serde_json::from_str::<Value>(text).ok()?.pointer_mut("/spec/template").map(Value::take)
}

/// The text with this template in the place of its own.
pub fn with_template(text: &str, template: &Value) -> String {
    let Ok(mut value) = serde_json::from_str::<Value>(text) else { return text.to_owned() };
    let Some(place) = value.pointer_mut("/spec/template") else { return text.to_owned() };
    place.clone_from(template);
    as_kubectl_writes(&value.to_string())
}

/// Whether the file that this is the record of has an annotation with this value.
pub fn states(text: &str, name: &str, value: &str) -> bool {
    text.contains(value) && annotation(text, name).is_some_and(|stated| stated == value)
}

fn annotation(text: &str, name: &str) -> Option<Value> {
    serde_json::from_str::<Value>(text).ok()?.pointer_mut("/metadata/annotations")?.get_mut(name).map(Value::take)
}

/// Whether the file was made of what stood in an object that held a template: it has more of that than the marker.
pub fn is_of_what_was_shown(text: &str) -> bool {
    text.contains(HELD) && annotation(text, HELD).is_some()
}

/// Whether the marker stands in the text.
pub fn is_marked(text: &str) -> bool {
    text.contains(MARKER) && annotation(text, MARKER).is_some()
}

fn edited(text: &str, edit: impl FnOnce(&mut Map<String, Value>) -> bool) -> String {
    let Ok(mut value) = serde_json::from_str::<Value>(text) else { return text.to_owned() };
    let Some(annotations) = value.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) else { return text.to_owned() };
    if edit(annotations) { as_kubectl_writes(&value.to_string()) } else { text.to_owned() }
}

/// JSON with the bytes that Go's encoder writes (sorted keys, HTML characters escaped, a newline at the end), so that the next apply of
/// the same file finds the annotation as it would have written it, and sends nothing.
fn as_kubectl_writes(text: &str) -> String {
    let mut text = text.to_owned();
    for (character, escape) in [('&', "\\u0026"), ('<', "\\u003c"), ('>', "\\u003e"), ('\u{2028}', "\\u2028"), ('\u{2029}', "\\u2029")] {
        if text.contains(character) {
            text = text.replace(character, escape);
        }
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str =
        "{\"metadata\":{\"annotations\":{},\"name\":\"app\"},\"spec\":{\"replicas\":1,\"template\":{\"a\":\"\\u003c1\\u003e\"}}}\n";
    const B: &str = "{\"metadata\":{\"annotations\":{},\"name\":\"app\"},\"spec\":{\"replicas\":2,\"template\":{\"b\":1}}}\n";

    #[test]
    fn the_live_template_stands_in_for_the_sent_one() {
        let held = while_held(B, A).unwrap();
        assert_eq!(
            held,
            "{\"metadata\":{\"annotations\":{\"canary.state/marker\":\"held\"},\"name\":\"app\"},\"spec\":{\"replicas\":2,\"template\":{\"a\":\"\\u003c1\\u003e\"}}}\n"
        );
        assert!(is_marked(&held));
    }

    #[test]
    fn without_marker_is_what_kubectl_wrote() {
        let marked = while_held(A, A).unwrap();
        assert_ne!(marked, A);
        assert_eq!(without_marker(&marked), A);
        assert_eq!(without_marker(A), A);
        assert_eq!(without_marker("not json"), "not json");
    }

    #[test]
    fn where_no_template_was_applied_before_there_is_none_to_put_back() {
        let held = while_held(B, "{}").unwrap();
        assert!(!held.contains("template"));
    }

    #[test]
    fn a_copied_object_loses_the_state() {
        let text = r#"{"metadata":{"annotations":{"canary.enabled":"held","canary.state/held":"x","canary.state/phase":"Held"}}}"#;
        assert_eq!(without_state(text), "{\"metadata\":{\"annotations\":{\"canary.enabled\":\"true\"}}}\n");
    }

    #[test]
    fn what_is_no_object_stays() {
        assert_eq!(while_held("[]", A), None);
        assert_eq!(while_held("{\"metadata\":1}", A), None);
    }
}

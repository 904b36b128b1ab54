//! A `CloudEvent` in its JSON format, for programs: <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>. The words
//! are what they are; whoever shows them escapes them.

use serde_json::{Map, Value, json};

use super::Letter;

pub(super) fn message(letter: &Letter<'_>) -> Value {
    let notice = letter.notice;
    let phase = notice.phase.as_str();
    let images: Map<String, Value> =
        notice.images.iter().map(|(container, old, new)| (container.clone(), json!({"old": old, "new": new}))).collect();
    let info: Map<String, Value> = notice.info.iter().map(|(word, value)| (word.clone(), value.as_str().into())).collect();
    let cluster = letter.cluster.map(|cluster| format!("/clusters/{cluster}")).unwrap_or_default();
    json!({
        "specversion": "1.0",
        "id": notice.id(letter.uid),
        "source": format!("/coalmine{}", encoded(&cluster)),
        "type": format!("dev.coalmine.canary.{}", phase.to_ascii_lowercase()),
        "subject": format!("{}/{}", letter.namespace, letter.name),
        "time": notice.time.to_string(),
        "datacontenttype": "application/json",
        "data": {
            "cluster": letter.cluster,
            "namespace": letter.namespace,
            "name": letter.name,
            "uid": letter.uid,
            "phase": phase,
            "run": notice.run,
            "message": notice.message,
            "user": notice.user,
            "images": images,
            "info": info,
            "command": letter.command(),
            "page": letter.link(),
        },
    })
}

/// A source is a reference of URIs.
fn encoded(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'.' | b'_' | b'~');
    text.bytes().map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

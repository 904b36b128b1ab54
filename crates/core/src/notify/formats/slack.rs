//! Slack's Block Kit, for incoming webhooks: <https://docs.slack.dev/reference/block-kit/blocks>. Foreign words stand in `plain_text`, where
//! nothing is markup; `&`, `<` and `>` are escaped everywhere, as Slack asks.

use serde_json::{Value, json};

use super::Letter;
use crate::words::within;

/// In characters, of a header, of a section's text, and of one of its fields.
const LONGEST_HEADER: usize = 150;
const LONGEST_TEXT: usize = 3000;
const LONGEST_FIELD: usize = 2000;
const MOST_FIELDS: usize = 10;

pub(super) fn message(letter: &Letter<'_>, channel: Option<&str>) -> Value {
    let mut blocks = vec![
        json!({"type": "header", "text": plain(&letter.title(), LONGEST_HEADER)}),
        json!({"type": "section", "text": plain(letter.sentence(), LONGEST_TEXT)}),
    ];
    let fields: Vec<Value> = letter.facts().iter().map(|(word, value)| plain(&format!("{word}: {value}"), LONGEST_FIELD)).collect();
    blocks.extend(fields.chunks(MOST_FIELDS).map(|fields| json!({"type": "section", "fields": fields})));
    if let Some(command) = letter.command() {
        blocks.push(json!({"type": "section", "text": plain(letter.purpose(), LONGEST_TEXT)}));
        blocks
            .push(json!({"type": "section", "text": {"type": "mrkdwn", "verbatim": true, "text": format!("```{}```", escaped(&command))}}));
    }
    if let Some(link) = letter.link() {
        let button = json!({"type": "button", "text": plain("Open the page", LONGEST_HEADER), "url": link, "action_id": "page"});
        blocks.push(json!({"type": "actions", "elements": [button]}));
    }
    // What a phone shows; nobody is called by it.
    let text = escaped(&within(&format!("{}: {}", letter.title(), letter.sentence()), LONGEST_HEADER * 2));
    let mut message = json!({
        "text": text, "mrkdwn": false, "parse": "none", "link_names": false, "unfurl_links": false, "unfurl_media": false, "blocks": blocks,
    });
    if let Some(channel) = channel {
        message["channel"] = channel.into();
    }
    message
}

fn plain(text: &str, longest: usize) -> Value {
    json!({"type": "plain_text", "text": shortest(text, longest), "emoji": false})
}

/// Escaped, and still no longer than that.
fn shortest(text: &str, longest: usize) -> String {
    let mut width = longest;
    loop {
        let text = escaped(&within(text, width));
        let length = text.chars().count();
        if length <= longest {
            return text;
        }
        width = width.saturating_sub(length - longest).max(1);
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

//! An Adaptive Card for a webhook of Teams' Workflows: <https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors>. Blocks of
//! text and sets of facts read Markdown there, rich text does not: foreign words stand in rich text alone. The whole may be 28 KB long.

use serde_json::{Value, json};

use super::Letter;
use crate::words::within;

const LONGEST_TEXT: usize = 600;

pub(super) fn message(letter: &Letter<'_>) -> Value {
    let mut body = vec![
        rich(vec![json!({"type": "TextRun", "text": within(&letter.title(), LONGEST_TEXT), "weight": "Bolder", "size": "Large"})]),
        rich(vec![run(letter.sentence())]),
    ];
    for (word, value) in letter.facts() {
        let word = json!({"type": "TextRun", "text": format!("{}: ", within(&word, LONGEST_TEXT)), "weight": "Bolder"});
        body.push(rich(vec![word, run(&value)]));
    }
    if let Some(command) = letter.command() {
        body.push(rich(vec![run(letter.purpose())]));
        body.push(rich(vec![json!({"type": "TextRun", "text": command, "fontType": "Monospace"})]));
    }
    let mut card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4",
        "msteams": {"width": "Full"}, "body": body,
    });
    if let Some(link) = letter.link() {
        card["actions"] = json!([{"type": "Action.OpenUrl", "title": "Open the page", "url": link}]);
    }
    let attachment = json!({"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card});
    json!({"type": "message", "attachments": [attachment]})
}

fn rich(inlines: Vec<Value>) -> Value {
    json!({"type": "RichTextBlock", "inlines": inlines})
}

fn run(text: &str) -> Value {
    json!({"type": "TextRun", "text": within(text, LONGEST_TEXT)})
}

//! A card for a webhook of Google Chat: <https://developers.google.com/workspace/chat/api/reference/rest/v1/cards>. Its texts read some HTML, so
//! that `&`, `<` and `>` are escaped; mentions are read in a message's own text only, which there is none of. A card may be 32 KB long.

use serde_json::{Value, json};

use super::Letter;
use crate::words::within;

const LONGEST_TEXT: usize = 600;

pub(super) fn message(letter: &Letter<'_>) -> Value {
    let mut widgets = vec![json!({"textParagraph": {"text": escaped(letter.sentence())}})];
    let facts = letter.facts().into_iter();
    widgets.extend(
        facts.map(|(word, value)| json!({"decoratedText": {"topLabel": escaped(&word), "text": escaped(&value), "wrapText": true}})),
    );
    if let Some(command) = letter.command() {
        let fact = json!({"topLabel": letter.purpose(), "text": escaped(&command), "wrapText": true});
        widgets.push(json!({"decoratedText": fact}));
    }
    if let Some(link) = letter.link() {
        let button = json!({"text": "Open the page", "onClick": {"openLink": {"url": link}}});
        widgets.push(json!({"buttonList": {"buttons": [button]}}));
    }
    let card = json!({"header": {"title": within(&letter.title(), LONGEST_TEXT)}, "sections": [{"widgets": widgets}]});
    json!({"cardsV2": [{"cardId": letter.notice.id(letter.uid), "card": card}]})
}

fn escaped(text: &str) -> String {
    within(text, LONGEST_TEXT).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

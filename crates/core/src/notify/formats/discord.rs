//! An embed for a webhook of Discord: <https://discord.com/developers/docs/resources/webhook>. It mentions nobody, whatever is written; what
//! would be markup is escaped.

use serde_json::{Value, json};

use super::Letter;
use crate::{api::annotations::Phase, words::one_line};

/// In UTF-16 code units, which is how Discord counts; 6000 of all together.
const LONGEST_TITLE: usize = 256;
const LONGEST_TEXT: usize = 1500;
const LONGEST_VALUE: usize = 600;
const LONGEST_WORD: usize = 100;
const MOST_FIELDS: usize = 25;
const LONGEST: usize = 6000;

pub(super) fn message(letter: &Letter<'_>) -> Value {
    let command = letter.command().map(|command| format!("\n\n{}\n```\n{command}\n```", letter.purpose()));
    let description = fitting(letter.sentence(), LONGEST_TEXT) + &command.unwrap_or_default();
    let title = fitting(&letter.title(), LONGEST_TITLE);
    let mut length = units(&title) + units(&description);
    let mut fields = Vec::new();
    for (word, value) in letter.facts().into_iter().take(MOST_FIELDS) {
        let (word, value) = (fitting(&word, LONGEST_WORD), fitting(&value, LONGEST_VALUE));
        length += units(&word) + units(&value);
        if length <= LONGEST {
            fields.push(json!({"name": word, "value": value, "inline": false}));
        }
    }
    let mut embed = json!({
        "title": title, "description": description, "color": color(letter.notice.phase), "fields": fields,
        "timestamp": letter.notice.time.to_string(),
    });
    if let Some(link) = letter.link() {
        embed["url"] = link.into();
    }
    json!({"username": "Coalmine", "allowed_mentions": {"parse": []}, "embeds": [embed]})
}

fn color(phase: Phase) -> u32 {
    match phase {
        Phase::Promoted => 0x2d_a4_4e,
        Phase::Rejected => 0xcf_22_2e,
        Phase::AwaitingApproval => 0x09_69_da,
        _ => 0xbf_87_00,
    }
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Escaped, and no longer than that; never cut behind a backslash.
fn fitting(text: &str, longest: usize) -> String {
    let mut fitting = String::new();
    let mut length = 0;
    for character in one_line(text).chars() {
        let is_markup = "\\*_~`|>#-[]()<@:".contains(character);
        let more = character.len_utf16() + usize::from(is_markup);
        if length + more >= longest {
            fitting.push('…');
            break;
        }
        length += more;
        if is_markup {
            fitting.push('\\');
        }
        fitting.push(character);
    }
    fitting
}

//! How a person at a terminal sees a Deployment and its canary: lines of text made from what the objects say. Asks nobody, and knows no
//! terminal: width and colour are arguments.

pub mod diff;
pub mod history;
pub mod list;
pub mod preview;
pub mod status;
pub mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::{api::annotations::Phase, run::times::elapsed};

/// Whether escape codes may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    Plain,
    Ansi,
}

/// What a terminal can show.
#[derive(Debug, Clone, Copy)]
pub struct Screen {
    /// In characters.
    pub width: usize,
    pub colour: Colour,
}

impl Screen {
    /// The text in the colour of the phase.
    fn phase(self, phase: Option<Phase>, text: &str) -> String {
        let code = match phase {
            _ if self.colour == Colour::Plain => return text.to_owned(),
            Some(Phase::Promoted) => 32,
            Some(Phase::Rejected) => 31,
            Some(Phase::Inconclusive | Phase::AwaitingApproval) => 33,
            Some(Phase::Held | Phase::Running) => 36,
            _ => return text.to_owned(),
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// A duration as kubectl's AGE column writes it: `12s`, `5m10s`, `3h`, `2d`.
pub fn age(since: Option<Timestamp>, now: Timestamp) -> String {
    since.map_or_else(|| "-".to_owned(), |since| short(elapsed(since, now)))
}

fn short(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..=119 => format!("{seconds}s"),
        120..=599 if !seconds.is_multiple_of(60) => format!("{}m{}s", seconds / 60, seconds % 60),
        120..=7199 => format!("{}m", seconds / 60),
        7200..=172_799 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

type Images = BTreeMap<String, String>;

/// The images that change between two templates, as `old -> new`; and that none does.
pub(crate) fn images(live: &Images, held: &Images) -> String {
    changes(live, held, |before, image| format!("{before} -> {image}"))
}

/// The same for a column of a table: `app:1.9.0 -> 2.0.0`, registries and paths left out.
pub(crate) fn images_in_short(live: &Images, held: &Images) -> String {
    changes(live, held, |before, image| change(without_path(before), without_path(image)))
}

/// `app:1.9.0 -> 2.0.0`
fn change(before: &str, image: &str) -> String {
    match (before.split_once(':'), image.split_once(':')) {
        (Some((name, _)), Some((same, tag))) if name == same => format!("{before} -> {tag}"),
        _ if before.is_empty() => image.to_owned(),
        _ => format!("{before} -> {image}"),
    }
}

fn changes(live: &Images, held: &Images, words: impl Fn(&str, &str) -> String) -> String {
    let changed = held.iter().filter(|(name, image)| live.get(*name) != Some(image));
    let changes: Vec<String> = changed
        .map(|(name, image)| match live.get(name) {
            Some(before) => words(before, image),
            None => format!("{image} (new container {name})"),
        })
        .collect();
    if changes.is_empty() { "no other image".to_owned() } else { changes.join(", ") }
}

fn without_path(image: &str) -> &str {
    image.rsplit('/').next().unwrap_or(image)
}

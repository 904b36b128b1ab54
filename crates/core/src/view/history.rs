//! The last verdicts on one Deployment, a line each, newest first.

use jiff::Timestamp;

use super::{Screen, age, change, table, without_path};
use crate::{
    api::quantity::{format_count, format_duration},
    run::history::Entry,
    state::State,
};

pub const HEADER: [&str; 8] = ["AGE", "VERDICT", "CHANGE", "REQUESTS", "FAILED", "TOOK", "BY", "MESSAGE"];

/// The table of `history`.
pub fn history(state: &State, now: Timestamp, screen: Screen) -> Vec<String> {
    let mut rows = vec![HEADER.map(str::to_owned).to_vec()];
    rows.extend(state.history.iter().map(|entry| row(entry, now, screen)));
    table::lines(&rows, screen.width)
}

fn row(entry: &Entry, now: Timestamp, screen: Screen) -> Vec<String> {
    let mut cells = cells(entry, now);
    cells[1] = screen.phase(Some(entry.phase), &cells[1]);
    cells.to_vec()
}

/// Under the words of [`HEADER`].
pub fn cells(entry: &Entry, now: Timestamp) -> [String; 8] {
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), format_count);
    let took = entry.seconds.map(std::time::Duration::from_secs);
    [
        age(entry.time, now),
        entry.phase.as_str().to_owned(),
        images(entry),
        number(entry.requests),
        number(entry.failures),
        took.map_or_else(|| "-".to_owned(), format_duration),
        if entry.user.is_empty() { "-".to_owned() } else { entry.user.clone() },
        entry.message.clone(),
    ]
}

fn images(entry: &Entry) -> String {
    let changes: Vec<String> = entry.images.values().map(|(old, new)| change(without_path(old), without_path(new))).collect();
    if changes.is_empty() { "no other image".to_owned() } else { changes.join(", ") }
}

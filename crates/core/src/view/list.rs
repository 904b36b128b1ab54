//! One line for each opted-in Deployment.

use jiff::Timestamp;

use super::{Screen, age, images_in_short, table};
use crate::state::{HeldState, State};

/// What is shown where nothing was ever held.
const IDLE: &str = "-";

/// The table of `list`, with the namespaces if there may be several.
pub fn list(states: &[State], with_namespace: bool, now: Timestamp, screen: Screen) -> Vec<String> {
    let header = ["NAMESPACE", "NAME", "PHASE", "SINCE", "CHANGE", "MESSAGE"];
    let mut rows = vec![header.into_iter().skip(usize::from(!with_namespace)).map(str::to_owned).collect::<Vec<_>>()];
    for state in states {
        let phase = state.phase.map_or(IDLE, crate::api::annotations::Phase::as_str);
        let mut row = vec![state.name.clone(), screen.phase(state.phase, phase), age(state.since, now), change(state), message(state)];
        if with_namespace {
            row.insert(0, state.namespace.clone());
        }
        rows.push(row);
    }
    table::lines(&rows, screen.width)
}

/// What the held template changes, in short.
pub fn change(state: &State) -> String {
    match &state.held {
        Some(HeldState::Readable { template, .. }) => images_in_short(&state.live.images, &template.images),
        Some(HeldState::Unreadable { .. }) => "unreadable".to_owned(),
        None => IDLE.to_owned(),
    }
}

/// What is wrong with the annotations, or else what is said of the phase.
pub fn message(state: &State) -> String {
    state.invalid.clone().or_else(|| state.message.clone()).unwrap_or_default()
}

//! Every kind of request, held exactly: each row of the design's table against a real API server, with the real clients.
//! One file per question; a test's name is the row's words.

mod apply;
mod certificates;
mod changes;
mod clients;
mod commands;
mod corners;
mod differential;
mod directives;
mod down;
mod examples;
mod gates;
mod gitops;
mod going_back;
mod helm;
mod hostile;
mod injectors;
mod limits;
mod monitors;
mod neighbours;
mod overtaken;
mod page;
mod passing;
mod plugin;
mod policies;
mod rejected;
mod requesters;
mod rights;
mod slow;
mod status;
mod texts;
mod twins;
mod undo;
mod verdicts;
mod waiting;

use serde_json::Value;

use crate::support::{fixtures, namespace};

fn held_name(app: &Value) -> Option<String> {
    namespace::held(app).map(|held| fixtures::template_name(&held.template))
}

//! When an Event is told, and when it is told again. `facts::event` lists the Events, `message::events` has their words. It writes nothing: how an
//! Event reaches the API server is the controller's business.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use super::times::elapsed;
use crate::facts::event::Reason;

/// A state that lasts is told again in other words after so long; after twice as long the next time.
const FIRST_SILENCE: Duration = Duration::from_mins(1);

/// What was told of one primary. Losing it costs a repeated Event.
#[derive(Debug, Default)]
pub struct Told {
    last_step: Option<(Reason, String)>,
    last_state: Option<(Reason, String)>,
    /// Of each state that lasts, since the last step of the run.
    lasting: BTreeMap<Reason, Lasting>,
}

#[derive(Debug)]
struct Lasting {
    note: String,
    at: Timestamp,
    silence: Duration,
}

impl Told {
    /// Whether to tell this now. A step of the run once, however often it is tried; a state that lasts at once, and seldom after that, whatever
    /// else is told meanwhile. A step makes all states new. Words are compared and not what they are made from: a person reads words.
    pub fn tell(&mut self, reason: Reason, note: &str, now: Timestamp) -> bool {
        let is_last = |last: &Option<(Reason, String)>| last.as_ref().is_some_and(|(of, words)| (*of, words.as_str()) == (reason, note));
        if !reason.lasts() {
            if is_last(&self.last_step) {
                return false;
            }
            (self.last_step, self.last_state) = (Some((reason, note.to_owned())), None);
            self.lasting.clear();
            return true;
        }
        if is_last(&self.last_state) {
            return false;
        }
        let silence = match self.lasting.get(&reason) {
            Some(before) if elapsed(before.at, now) < before.silence => return false,
            // Another state was told in between, and this one goes on as it was.
            Some(before) if before.note == note => before.silence,
            Some(before) => before.silence * 2,
            None => FIRST_SILENCE,
        };
        self.lasting.insert(reason, Lasting { note: note.to_owned(), at: now, silence });
        self.last_state = Some((reason, note.to_owned()));
        true
    }

    /// What was to be told of this state could not be: it is as if it had not been seen.
    pub fn forget(&mut self, state: Reason) {
        self.lasting.remove(&state);
        self.last_state.take_if(|(reason, _)| *reason == state);
    }
}

#[cfg(test)]
mod tests;

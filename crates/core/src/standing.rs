//! What Coalmine's own annotations say of a Deployment, decoded in this one place: for admission, the plan, the judge, the status, the plugin and
//! the page alike. It decides nothing and writes nothing. What nobody can read is absent. The held template is not unpacked here, since
//! that takes time: see `hold::held`.

pub mod people;

use jiff::Timestamp;
use serde_json::{Map, Value};

use self::people::{Approved, Order};
use crate::{
    api::annotations::{self as key, Phase},
    manifest::object::{self, text},
};

/// How a Deployment stands.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    annotations: &'a Map<String, Value>,
    pub phase: Option<Phase>,
    /// Names one attempt at one template.
    pub run: Option<&'a str>,
    /// When the present phase began: the beginning of the run while it runs, and what its deadline counts from.
    pub since: Option<Timestamp>,
    /// The verdict, or the reason of the phase, in words.
    pub message: Option<&'a str>,
    /// The held template with its records, packed.
    pub held: Option<&'a str>,
    /// Since when the trial stands still.
    pub paused_since: Option<Timestamp>,
    /// Who asked for the template that is on trial, or that was promoted last.
    pub requested_by: Option<&'a str>,
}

impl<'a> Standing<'a> {
    pub fn of(deployment: &'a Value) -> Self {
        Self::read(object::annotations(deployment))
    }

    /// The same of the annotations alone.
    pub fn read(annotations: &'a Map<String, Value>) -> Self {
        let time = |name| text(annotations, name).and_then(|text| text.parse().ok());
        Self {
            annotations,
            phase: object::phase(annotations),
            run: text(annotations, key::RUN),
            since: time(key::SINCE),
            message: text(annotations, key::MESSAGE),
            held: text(annotations, key::HELD),
            paused_since: time(key::PAUSED_SINCE),
            requested_by: text(annotations, key::REQUESTED_BY),
        }
    }

    /// A held template is on the object.
    pub fn holds(&self) -> bool {
        self.phase.is_some_and(Phase::holds)
    }

    /// The canary is due or running.
    pub fn is_trying(&self) -> bool {
        self.phase.is_some_and(Phase::is_trying)
    }

    /// There is a canary, and it is judged.
    pub fn is_running(&self) -> bool {
        self.phase.is_some_and(Phase::is_running)
    }

    /// A verdict keeps the template out.
    pub fn is_kept_out(&self) -> bool {
        self.phase.is_some_and(Phase::is_kept_out)
    }

    /// The name of the run, empty where there is none.
    pub fn run_name(&self) -> &'a str {
        self.run.unwrap_or_default()
    }

    /// [`Self::since`] as it is written, which a condition repeats.
    pub fn since_text(&self) -> Option<&'a str> {
        text(self.annotations, key::SINCE)
    }

    /// What the templates that may come back at once are known by, newest first.
    pub fn proven(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        text(self.annotations, key::PROVEN).unwrap_or_default().split(',').filter(|hash| !hash.is_empty())
    }

    /// Who agreed to the template of this run.
    pub fn approved(&self) -> Option<Approved> {
        let said = text(self.annotations, key::APPROVED).and_then(|text| serde_json::from_str::<Approved>(text).ok());
        said.filter(|said| Some(said.run.as_str()) == self.run)
    }

    /// How a person ends the trial of this run.
    pub fn order(&self) -> Option<Order> {
        let order = text(self.annotations, key::ORDER).and_then(|text| serde_json::from_str::<Order>(text).ok());
        order.filter(|order| Some(order.said.run.as_str()) == self.run)
    }

    /// Whose changes were made to the template on trial, in the words of the Event.
    pub fn merged(&self) -> Option<&'a str> {
        text(self.annotations, key::MERGED)
    }

    /// How often the canary of this run was made again since something changed it.
    pub fn remade(&self) -> u32 {
        let counted = text(self.annotations, key::REMADE).and_then(|text| text.split_once(' '));
        counted.filter(|(run, _)| *run == self.run_name()).and_then(|(_, count)| count.parse().ok()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_nobody_can_read_is_absent() {
        let garbage = json!({"metadata": {"annotations": {key::PHASE: "Rnning", key::SINCE: "soon", key::PAUSED_SINCE: 3, key::APPROVED: "bob",
            key::ORDER: "{}", key::REMADE: "r1 often", key::PROVEN: ",,", key::RUN: "r1"}}});
        let standing = Standing::of(&garbage);
        assert_eq!((standing.phase, standing.since, standing.paused_since, standing.remade()), (None, None, None, 0));
        assert_eq!(
            (standing.approved(), standing.order(), standing.proven().count(), standing.since_text()),
            (None, None, 0, Some("soon"))
        );
        let nothing = Standing::of(&Value::Null);
        assert_eq!((nothing.run, nothing.run_name(), nothing.holds(), nothing.message), (None, "", false, None));
    }

    #[test]
    fn what_was_said_of_another_run_is_said_of_nothing() {
        let said = |run: &str| {
            let approved = format!(r#"{{"run":"{run}","by":"bob"}}"#);
            let order = format!(r#"{{"verb":"reject","run":"{run}","by":"bob"}}"#);
            json!({"metadata": {"annotations":
                {key::RUN: "r1", key::APPROVED: approved, key::ORDER: order, key::REMADE: format!("{run} 2"), key::PROVEN: "a,b"}}})
        };
        let (own, other) = (said("r1"), said("r0"));
        let (own, other) = (Standing::of(&own), Standing::of(&other));
        assert_eq!((own.approved().is_some(), own.order().is_some(), own.remade()), (true, true, 2));
        assert_eq!((other.approved().is_some(), other.order().is_some(), other.remade()), (false, false, 0));
        assert_eq!(own.proven().collect::<Vec<_>>(), ["a", "b"]);
    }
}

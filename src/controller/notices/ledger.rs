//! Who is being told of what, and who was told. Sends nothing and reads no clock.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// The notification's id, and the sink.
pub(super) type Task = (String, String);

/// A look at a Deployment takes no longer: the API server's silence ends it.
const LONGEST_LOOK: Duration = Duration::from_mins(2);

#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// What isn't taken away from its object yet; `true` where the sink was told, and nobody is at it.
    open: HashMap<Task, bool>,
    /// When what is told was taken away. Who looked before that finds it afterwards.
    closed: HashMap<Task, Instant>,
}

impl Ledger {
    /// The number of tasks that are not at their end.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// The same without those of sinks that are left aside.
    pub(super) fn open_but(&self, is_aside: impl Fn(&str) -> bool) -> usize {
        self.open.keys().filter(|(_, sink)| !is_aside(sink)).count()
    }

    /// Whether there is room for it among `share` tasks of its sink.
    pub(super) fn has_room(&self, task: &Task, share: usize) -> bool {
        self.open.contains_key(task) || self.open.keys().filter(|(_, sink)| *sink == task.1).count() < share
    }

    /// Begins what was found on an object, and says whether its sink was told already. `None` where somebody is at it.
    pub(super) fn begin(&mut self, task: &Task) -> Option<bool> {
        let is_told = match self.open.get(task) {
            Some(false) => return None,
            Some(true) => true,
            None => self.closed.contains_key(task),
        };
        self.open.insert(task.clone(), false);
        Some(is_told)
    }

    /// Ends it. Where it could not be taken away (`is_closed` is `false`) it is found again.
    pub(super) fn end(&mut self, task: Task, is_closed: bool, now: Instant) {
        if !is_closed {
            self.open.insert(task, true);
            return;
        }
        self.open.remove(&task);
        self.closed.retain(|_, since| now.saturating_duration_since(*since) < LONGEST_LOOK);
        self.closed.insert(task, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(id: &str) -> Task {
        (id.to_owned(), "ledger".to_owned())
    }

    #[test]
    fn one_is_at_a_task_and_who_was_told_is_told_no_more() {
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        assert_eq!((ledger.begin(&task("a")), ledger.begin(&task("a")), ledger.begin(&task("b"))), (Some(false), None, Some(false)));
        ledger.end(task("a"), false, now);
        assert_eq!((ledger.begin(&task("a")), ledger.begin(&task("a")), ledger.open()), (Some(true), None, 2));
    }

    /// One that swallows what it gets keeps nobody from telling the others.
    #[test]
    fn a_sink_has_its_share_and_no_more() {
        let mut ledger = Ledger::default();
        for id in ["a", "b"] {
            assert!(ledger.has_room(&task(id), 2));
            ledger.begin(&task(id));
        }
        let of_another = ("c".to_owned(), "pager".to_owned());
        assert_eq!((ledger.open_but(|sink| sink == "ledger"), ledger.open_but(|_| false)), (0, 2));
        assert_eq!([task("c"), of_another, task("a")].map(|task| ledger.has_room(&task, 2)), [false, true, true]);
        ledger.end(task("a"), true, Instant::now());
        assert!(ledger.has_room(&task("c"), 2));
    }

    #[test]
    fn a_look_that_began_before_it_was_taken_away_tells_nobody_again() {
        let (mut ledger, now) = (Ledger::default(), Instant::now());
        assert_eq!(ledger.begin(&task("a")), Some(false));
        ledger.end(task("a"), true, now);
        assert_eq!((ledger.open(), ledger.begin(&task("a"))), (0, Some(true)));
        ledger.end(task("a"), true, now);
        // Others don't stay for ever.
        ledger.begin(&task("b"));
        ledger.end(task("b"), true, now + LONGEST_LOOK);
        assert_eq!(ledger.closed.keys().collect::<Vec<_>>(), [&task("b")]);
    }
}

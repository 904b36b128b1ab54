//! The connections that are open, and which of them goes when a new one finds no slot: whoever uses a connection least. So nobody can keep
//! others out by holding connections open, and those that are in use stay.
//!
//! Knows nothing of TLS and HTTP but what each connection tells of itself.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// What a connection is busy with. The order is that in which they go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// It never sent a request.
    Silent,
    /// A request is coming in, maybe drop by drop.
    Receiving,
    /// Between requests.
    Idle,
    /// Its request is being worked on, for a bounded time: it never goes.
    Answering,
}

#[derive(Debug)]
struct Open {
    stage: Stage,
    since: Instant,
    end: CancellationToken,
}

#[derive(Debug, Default)]
struct State {
    open: HashMap<u64, Open>,
    next: u64,
}

/// All of one port.
#[derive(Clone, Debug, Default)]
pub(super) struct Connections {
    state: Arc<Mutex<State>>,
    /// One of them went, or may go now.
    changed: Arc<Notify>,
}

impl Connections {
    /// A slot for a new connection, for which another one may have to go.
    pub(super) async fn admit(&self, limit: usize) -> Slot {
        loop {
            // Before looking: what changes from here on wakes us.
            let changed = self.changed.notified();
            {
                let mut state = self.state();
                if state.open.len() < limit {
                    return self.open(&mut state);
                }
                if state.end_idlest() {
                    return self.open(&mut state);
                }
            }
            changed.await;
        }
    }

    pub(super) fn count(&self) -> usize {
        self.state().open.len()
    }

    fn open(&self, state: &mut State) -> Slot {
        let (id, end) = (state.next, CancellationToken::new());
        state.next += 1;
        state.open.insert(id, Open { stage: Stage::Silent, since: Instant::now(), end: end.clone() });
        Slot { id, end, connections: self.clone() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Ends the connection that is used least. It no longer counts: nothing but closing it is left to do.
    fn end_idlest(&mut self) -> bool {
        let idlest = self.open.iter().filter(|(_, open)| open.stage != Stage::Answering).min_by_key(|(_, open)| (open.stage, open.since));
        let Some(id) = idlest.map(|(id, _)| *id) else { return false };
        if let Some(open) = self.open.remove(&id) {
            open.end.cancel();
        }
        true
    }
}

/// A connection's place among the others, until it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    id: u64,
    end: CancellationToken,
    connections: Connections,
}

impl Slot {
    /// Done when the connection has to go.
    pub(super) fn end(&self) -> CancellationToken {
        self.end.clone()
    }

    pub(super) fn is_now(&self, stage: Stage) {
        if let Some(open) = self.connections.state().open.get_mut(&self.id) {
            (open.stage, open.since) = (stage, Instant::now());
        }
        if stage != Stage::Answering {
            self.connections.changed.notify_waiters();
        }
    }

    pub(super) fn has_sent_nothing(&self) -> bool {
        self.connections.state().open.get(&self.id).is_some_and(|open| open.stage == Stage::Silent)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connections.state().open.remove(&self.id);
        self.connections.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ended(slots: &[Slot]) -> Vec<bool> {
        slots.iter().map(|slot| slot.end().is_cancelled()).collect()
    }

    #[tokio::test]
    async fn the_idlest_goes_first_and_who_is_being_answered_never() {
        let connections = Connections::default();
        let mut slots = Vec::new();
        for stage in [Stage::Answering, Stage::Idle, Stage::Idle, Stage::Receiving, Stage::Silent] {
            slots.push(connections.admit(5).await);
            slots.last().unwrap().is_now(stage);
        }
        let mut order = Vec::new();
        for _ in 0..4 {
            let new = connections.admit(5).await;
            new.is_now(Stage::Answering);
            slots.push(new);
            order.push(ended(&slots[..5]));
        }
        assert_eq!(
            order,
            [
                [false, false, false, false, true],
                [false, false, false, true, true],
                [false, true, false, true, true],
                [false, true, true, true, true],
            ]
        );
        let mut waiting = Box::pin(connections.admit(5));
        assert!(tokio::time::timeout(Duration::from_millis(50), &mut waiting).await.is_err(), "all of them are being answered");
        slots[0].is_now(Stage::Idle);
        waiting.await;
        assert!(slots[0].end().is_cancelled());
    }

    #[tokio::test]
    async fn a_slot_that_is_dropped_is_free() {
        let connections = Connections::default();
        let first = connections.admit(1).await;
        first.is_now(Stage::Answering);
        let (second, ()) = tokio::join!(connections.admit(1), async { drop(first) });
        assert!(!second.end().is_cancelled());
        assert_eq!(connections.count(), 1);
    }
}

//! What happens in one schedule, and when: faults and the requests of users, all drawn from one seed. Nothing here knows what they do.

use std::time::Duration;

/// Faults and requests begin within so long.
const WINDOW: u64 = 20_000;

#[derive(Clone, Debug)]
pub(super) struct Schedule {
    pub(super) seed: u64,
    pub(super) users: usize,
    pub(super) events: Vec<Event>,
}

#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) at: Duration,
    pub(super) what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Fault { fault: Fault, lasts: Duration },
    Request { user: usize, request: Request },
}

/// The number is a replica's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    Kill(usize),
    /// Asked to end, and started again.
    Restart(usize),
    /// Stopped, and it goes on later as if nothing had been.
    Pause(usize),
    /// From the API server: its connections end, and no other is let through.
    Cut(usize),
    /// Its connections stay, and nothing comes through.
    Stall(usize),
    Delay(usize),
    SourceDown,
    SourceStalls,
    SourceIsSlow,
    SourceTellsGarbage,
    SourceKnowsNothing,
    /// The source answers, and has nothing new from any pod.
    PagesFail,
    /// Somebody who never renews it has the lease.
    LeaseStolen,
    LeaseDeleted,
    ApiServer,
    Etcd,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Request {
    Apply(Template),
    SetImage(Template),
    Scale(u32),
    Undo,
    Retry(u64),
    OptOut,
    OptIn,
    Recreate(Template),
}

/// One of those that a user has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Template(pub(super) u32);

impl Template {
    pub(super) const FIRST: Self = Self(1);

    /// What becomes of its pods is told by its image.
    pub(super) fn image(self) -> String {
        let kind = match self.0 {
            3 => "failing",
            5 => "crashing",
            _ => "good",
        };
        format!("registry.example/app:{kind}-{}", self.0)
    }
}

impl Schedule {
    pub(super) fn random(seed: u64, users: usize) -> Self {
        let mut random = Random(seed);
        let mut events: Vec<Event> = Vec::new();
        for _ in 0..random.between(3, 7) {
            let (fault, least, most) = random.fault();
            let lasts = Duration::from_millis(random.between(least, most));
            events.push(Event { at: Duration::from_millis(random.below(WINDOW)), what: What::Fault { fault, lasts } });
        }
        for user in 0..users {
            // Something is on trial while the first faults come.
            let mut at = random.below(3_000);
            for number in 0..random.between(2, 6) {
                let request = if number == 0 { Request::Apply(random.template()) } else { random.request() };
                events.push(Event { at: Duration::from_millis(at), what: What::Request { user, request } });
                at += random.between(200, 8_000);
            }
        }
        events.retain(|event| event.at < Duration::from_millis(WINDOW));
        events.sort_by_key(|event| event.at);
        Self { seed, users, events }
    }

    pub(super) fn of(&self, chosen: &[usize]) -> Self {
        Self { events: chosen.iter().map(|number| self.events[*number].clone()).collect(), ..self.clone() }
    }

    pub(super) fn lines(&self) -> String {
        let line = |(number, event): (usize, &Event)| format!("  {number:>3} at {:>5} ms: {:?}\n", event.at.as_millis(), event.what);
        self.events.iter().enumerate().map(line).collect()
    }
}

/// `SplitMix64`: the same everywhere, and for ever.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    fn replica(&mut self) -> usize {
        usize::from(self.below(2) == 1)
    }

    fn template(&mut self) -> Template {
        // The good ones twice as often.
        let numbers = [1, 2, 2, 3, 4, 4, 5, 6];
        Template(numbers[usize::try_from(self.below(8)).unwrap_or_default()])
    }

    /// With the shortest and the longest time that it lasts.
    fn fault(&mut self) -> (Fault, u64, u64) {
        let replica = self.replica();
        match self.below(20) {
            0..=2 => (Fault::Kill(replica), 0, 4_000),
            3 => (Fault::Restart(replica), 0, 2_000),
            4 | 5 => (Fault::Pause(replica), 500, 10_000),
            6 | 7 => (Fault::Cut(replica), 500, 10_000),
            8 => (Fault::Stall(replica), 500, 10_000),
            9 => (Fault::Delay(replica), 2_000, 10_000),
            10 => (Fault::SourceDown, 500, 12_000),
            11 => (Fault::SourceStalls, 500, 12_000),
            12 => (Fault::SourceIsSlow, 2_000, 12_000),
            13 => (Fault::SourceTellsGarbage, 500, 12_000),
            14 => (Fault::SourceKnowsNothing, 500, 12_000),
            15 => (Fault::PagesFail, 500, 12_000),
            16 => (Fault::LeaseStolen, 0, 0),
            17 => (Fault::LeaseDeleted, 0, 0),
            18 => (Fault::ApiServer, 0, 0),
            _ => (Fault::Etcd, 0, 0),
        }
    }

    fn request(&mut self) -> Request {
        match self.below(20) {
            0..=7 => Request::Apply(self.template()),
            8 | 9 => Request::SetImage(self.template()),
            10 => Request::Scale(0),
            11..=13 => Request::Scale(u32::try_from(self.between(1, 2)).unwrap_or(1)),
            14 => Request::Undo,
            15 | 16 => Request::Retry(self.next()),
            17 => Request::OptOut,
            18 => Request::OptIn,
            _ => Request::Recreate(self.template()),
        }
    }
}

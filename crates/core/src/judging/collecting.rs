//! What is read of the pods' metrics pages for one run: which pods', where and when, and what was found so far, as the series that a scraper would
//! have made of it. It begins with the hold, so that the primary has a past when the canary is Ready. It reads nothing itself.

pub mod baseline;
mod draw;
mod pace;
mod side;

use std::time::Duration;

use jiff::Timestamp;

use self::side::Side;
use super::scope::{Pod, is_of};
use crate::metrics::counting::{Labels, PodLabel, Record, Sample, Series, UNVERIFIED, bracketed};
use crate::metrics::pages::{Page, Place, Scheme, Wishes};
use crate::run::canary;

/// One page that is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub address: String,
    pub place: Place,
    pod: String,
    is_canary: bool,
}

impl Target {
    /// The pod's name.
    pub fn pod(&self) -> &str {
        &self.pod
    }
}

/// What came of reading one.
#[derive(Clone, Debug)]
pub enum Read {
    Page(Box<Page>),
    /// Nothing came.
    Silent,
    /// Somebody answered, and not with a page; in words.
    Refused(String),
}

/// What the pages have said so far.
#[derive(Clone, Debug)]
pub struct Collected {
    namespace: String,
    deployment: String,
    /// Whether pages that come over TLS are known to be the pods'.
    verifies: bool,
    all: Wishes,
    wishes: Wishes,
    record: Record,
    canary: Side,
    primary: Side,
    /// When the first page was read, and when the canary's was.
    began: [Option<Timestamp>; 2],
    last: Option<Timestamp>,
    /// How long a page took the last time.
    takes: Duration,
    /// Rounds since the wishes last grew.
    rounds: u64,
}

impl Collected {
    pub fn new(namespace: &str, deployment: &str, wishes: Wishes, verifies: bool) -> Self {
        Self {
            namespace: namespace.to_owned(),
            deployment: deployment.to_owned(),
            verifies,
            all: wishes.clone(),
            wishes,
            record: Record::default(),
            canary: Side::default(),
            primary: Side::default(),
            began: [None; 2],
            last: None,
            takes: Duration::ZERO,
            rounds: 0,
        }
    }

    /// The pods as they are now; of the canary there may be none yet.
    pub fn aim(&mut self, canary: &[Pod], primary: &[Pod]) {
        let owned = primary.iter().filter(|pod| is_of(pod, &self.deployment)).cloned();
        self.primary.draw(owned, draw::MOST_PRIMARY);
        let was_there = !self.canary.is_empty();
        // A label can be written by anybody.
        let canaries = canary.iter().filter(|pod| is_of(pod, &canary::name(&self.deployment))).cloned();
        self.canary.draw(canaries, draw::MOST_CANARY);
        // One that comes is read at once.
        if !was_there && !self.canary.is_empty() {
            self.last = None;
        }
    }

    /// What is read now, all at the same moment, so that what hits both sides shows on both.
    pub fn targets(&self) -> Vec<Target> {
        let of = |side: &Side, is_canary: bool| side.targets(is_canary).collect::<Vec<_>>();
        [of(&self.primary, false), of(&self.canary, true)].concat()
    }

    pub fn wishes(&self) -> &Wishes {
        &self.wishes
    }

    /// What came of them, for a round that began at `at`.
    pub fn took(&mut self, at: Timestamp, results: Vec<(Target, Read)>, takes: Duration) {
        let (canary, primary): (Vec<_>, Vec<_>) = results.into_iter().partition(|(target, _)| target.is_canary);
        for (side, results) in [(0, primary), (1, canary)] {
            let own = if side == 0 { &mut self.primary } else { &mut self.canary };
            let kept = own.took(results);
            if kept.iter().any(|(_, read)| matches!(read, Read::Page(_))) {
                self.began[side].get_or_insert(at);
            }
            for (target, read) in kept {
                self.add(at, &target, &read);
            }
        }
        self.last = Some(at);
        self.takes = takes;
        self.rounds += 1;
    }

    /// How long until the next round.
    pub fn next(&self, now: Timestamp) -> Duration {
        let Some(last) = self.last else { return Duration::ZERO };
        let is_searching = self.canary.is_searching() || self.primary.is_searching();
        pace::next(self.began, last, self.takes, is_searching, now)
    }

    /// Whether a question about what is there must wait for another round.
    pub fn needs_a_round(&self) -> bool {
        self.rounds == 0 && !self.targets().is_empty()
    }

    /// Makes sure that what discovery asks for is read. What is read for counting alone may lack it.
    pub fn want_all(&mut self) {
        if self.wishes.names() != self.all.names() {
            self.rounds = 0;
            self.wishes = self.all.clone();
        }
    }

    /// What the user wants to be read now.
    pub fn wish(&mut self, wishes: Wishes) {
        let are_others = self.all.names() != wishes.names();
        if are_others {
            self.rounds = 0;
            self.record = Record::default();
        }
        if are_others || self.wishes.names() == self.all.names() {
            self.wishes = wishes.clone();
        }
        self.all = wishes;
    }

    /// The last sample of each series, or where pages were looked for in vain.
    pub fn present(&self) -> Result<Vec<Series>, (String, bool)> {
        if self.began.iter().all(Option::is_none) {
            return Err(self.primary.tried(self.canary.is_empty()));
        }
        Ok(self.record.series().iter().map(Series::newest).collect())
    }

    /// All that was read.
    pub fn all(&self) -> Vec<Series> {
        self.record.series().to_vec()
    }

    /// All that was read of what is counted. From now on nothing else is kept.
    pub fn samples(&mut self, names: &[String], bounds: &[String]) -> Vec<Series> {
        self.wishes = self.all.only(names, bounds);
        let wishes = &self.wishes;
        self.record.retain(|series| series.name() == "up" || wishes.want(&series.labels));
        self.record.series().to_vec()
    }

    fn add(&mut self, at: Timestamp, target: &Target, read: &Read) {
        let instance = format!("{}:{}", bracketed(&target.address), target.place.port);
        let own = [("namespace", self.namespace.as_str()), (PodLabel::Pod.name(), &target.pod), (PodLabel::Instance.name(), &instance)];
        let is_unverified = target.place.scheme == Scheme::Https && !self.verifies;
        let own = own.into_iter().chain(is_unverified.then_some((UNVERIFIED, "true")));
        let own: Vec<(String, String)> = own.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let is_up = matches!(read, Read::Page(_));
        // A pod that is older than what is known, and is read only now, had a past like the others': nothing of it is new.
        let side = if target.is_canary { &self.canary } else { &self.primary };
        let before = self.began[0].filter(|began| {
            is_up && *began < at && !target.is_canary && side.is_older(&target.pod, *began) && !self.knows(&target.pod, &instance)
        });
        let times: Vec<i64> = before.into_iter().chain([at]).map(Timestamp::as_millisecond).collect();
        let sampled = |labels: Labels, value: f64| Series { labels, samples: times.iter().map(|at| Sample { at: *at, value }).collect() };
        let up: Labels = own.iter().cloned().chain([("__name__".to_owned(), "up".to_owned())]).collect();
        let mut series = vec![sampled(up, f64::from(u8::from(is_up)))];
        if let Read::Page(page) = read {
            let with_own =
                |labels: &Labels| labels.iter().map(|(name, value)| (name.clone(), value.clone())).chain(own.iter().cloned()).collect();
            series.extend(page.series.iter().map(|(labels, value)| sampled(with_own(labels), *value)));
        }
        self.record.add(series);
    }

    fn knows(&self, pod: &str, instance: &str) -> bool {
        let is_of = |series: &Series| series.label(PodLabel::Pod.name()) == pod && series.label(PodLabel::Instance.name()) == instance;
        self.record.series().iter().any(is_of)
    }
}

#[cfg(test)]
mod tests;

//! Asks the source of metrics about a Ready canary and puts what it says before the statistics. Remembers only what saves questions.

mod checks;
mod early;
mod pace;
mod scope;
mod statement;

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use self::{early::Rounds, pace::Pace};
use super::{Context, observe::Seen};
use crate::{
    clock,
    sources::{self, Asked, DiscoveryError, Reader, Scope, Source},
};
use coalmine_core::{
    api::annotations::{self as key, Phase},
    judging::{checks::Progress, verdict::Measured},
    manifest::object,
    metrics::{
        counting::{PodLabel, Reading, Window},
        discovery::{Choice, Found},
    },
    run::{
        events::{Event, Reason},
        plan::{Judgement, elapsed, is_past_deadline, ready_since},
        pods::Health,
    },
    statistics::{Dispersion, dispersion},
};

/// How far back the primary's own errors are looked at, and in which windows, for the dispersion (statistics, 3.4).
const HISTORY: Duration = Duration::from_hours(1);
const HISTORY_WINDOW: Duration = Duration::from_mins(5);
/// A new process is slow at first: for so long latency does not count in a canary's favour, nor mild slowness against it.
const LATENCY_WARM_UP: Duration = Duration::from_secs(30);
/// The usual scrape interval, until it is learned.
const UNKNOWN_INTERVAL: Duration = Duration::from_secs(15);
/// How often the history is asked for. One that can't be read may be too long for the source; one answer missing is mere chance.
const HISTORY_ATTEMPTS: u8 = 3;
/// While the source is silent or has nothing.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// What is remembered about one primary.
#[derive(Debug, Default)]
pub(super) struct Memory {
    run: String,
    /// What the user wanted to be read when the series were chosen.
    wanted: Option<(Choice, Option<Duration>)>,
    /// When the pod was first Ready that all below is about.
    since: Option<Timestamp>,
    scope: Option<(Timestamp, Scope)>,
    found: Option<Found>,
    dispersion: Option<Dispersion>,
    /// How often it could not be measured.
    without_history: u8,
    pace: Pace,
    reader: Reader,
    answer: Option<Answer>,
    rounds: Rounds,
}

/// What the source and the checks let us wait for, and how long it holds.
#[derive(Debug)]
struct Answer {
    until: Timestamp,
    /// Of the primary as it was then.
    version: String,
    note: Option<String>,
}

/// `None` when there is nothing to judge yet.
pub(super) async fn judge(context: &Context, primary: &Value, seen: &Seen) -> Option<Judgement> {
    let canary = seen.canary(primary)?;
    let since = ready_since(canary)?;
    if object::phase(object::annotations(primary)) != Some(Phase::Running) || !matches!(seen.health(), Health::Ready { .. }) {
        return None;
    }
    let name = format!("{}/{}", object::namespace(primary), object::name(primary));
    let run = object::annotation(primary, key::RUN).unwrap_or_default();
    // Taken out while questions are under way: one primary is worked on by one task at a time.
    let mut memory = context.memory.lock().await.remove(&name).unwrap_or_default();
    if memory.run != run {
        memory = Memory { run: run.to_owned(), ..Memory::default() };
    }
    if memory.since != Some(since) {
        // Another pod than before: what was counted is of the one that is lost.
        memory = Memory { since: Some(since), scope: None, reader: Reader::default(), answer: None, rounds: Rounds::default(), ..memory };
    }
    let wanted = (seen.policy().metrics.clone(), seen.policy().max_latency_p99);
    if memory.wanted.as_ref() != Some(&wanted) {
        // Other series, or one more of them: chosen and counted anew, over the whole time that the pod served.
        let (reader, rounds) = (Reader::default(), Rounds::default());
        memory = Memory { wanted: Some(wanted), found: None, dispersion: None, reader, answer: None, rounds, ..memory };
    }
    let mut judge = Judge { context, primary, seen, since, now: clock::now(), memory: &mut memory, news: None };
    let judgement = match judge.run().await {
        Ok(judgement) => judgement,
        Err(Trouble::Source(reason) | Trouble::Nothing(reason)) => Judgement::Unavailable(reason),
    };
    let news = judge.news.take();
    context.memory.lock().await.insert(name, memory);
    if let Some(event) = news {
        context.publish(primary, &event).await;
    }
    Some(judgement)
}

/// Why there is no judgement.
enum Trouble {
    /// The source could not be asked.
    Source(String),
    /// It was asked, and has nothing to judge by.
    Nothing(String),
}

impl From<sources::Error> for Trouble {
    fn from(error: sources::Error) -> Self {
        Self::Source(error.to_string())
    }
}

struct Judge<'a> {
    context: &'a Context,
    primary: &'a Value,
    seen: &'a Seen,
    since: Timestamp,
    now: Timestamp,
    memory: &'a mut Memory,
    news: Option<Event>,
}

impl<'a> Judge<'a> {
    fn is_past_deadline(&self) -> bool {
        is_past_deadline(self.primary, self.seen.policy(), self.now)
    }

    /// The source's judgement, and while that is to wait, the pages'. Whoever woke us for the pages need not ask the source again.
    async fn run(&mut self) -> Result<Judgement, Trouble> {
        let known = self.memory.answer.take().filter(|answer| self.holds(answer));
        let scope = self.scope().await?;
        let answer = match known {
            Some(answer) => answer,
            None => match self.ask(&scope).await? {
                Judgement::Continue { look_again, note } => Answer { until: self.now + look_again, version: self.version(), note },
                judgement => return Ok(judgement),
            },
        };
        if let Some(rejection) = self.early(&scope).await {
            return Ok(rejection);
        }
        self.now = clock::now();
        let look_again = elapsed(self.now, answer.until);
        let look_again = self.memory.rounds.next(self.now).map_or(look_again, |next| next.min(look_again));
        let note = answer.note.clone();
        self.memory.answer = Some(answer);
        Ok(Judgement::Continue { look_again, note })
    }

    fn holds(&self, answer: &Answer) -> bool {
        self.now < answer.until && answer.version == self.version() && !self.is_past_deadline()
    }

    fn version(&self) -> String {
        object::metadata_text(self.primary, "resourceVersion").to_owned()
    }

    async fn ask(&mut self, scope: &Scope) -> Result<Judgement, Trouble> {
        let (judgement, pod_label) = match self.metrics(scope).await {
            Ok(answer) => answer,
            // The checks may still speak against the canary.
            Err(Trouble::Nothing(reason)) if self.is_past_deadline() => {
                (Judgement::Inconclusive { message: reason, clean: true }, PodLabel::Pod)
            }
            Err(Trouble::Nothing(reason)) => (Judgement::Unavailable(reason), PodLabel::Pod),
            Err(trouble) => return Err(trouble),
        };
        // Before the checks are read: a list that can't be must not keep a failing canary in service.
        if matches!(judgement, Judgement::Reject(_)) {
            return Ok(judgement);
        }
        let policy = self.seen.policy();
        let list = checks::list(self.context, object::namespace(self.primary), policy.checks.as_ref()).await?;
        let Some(canary) = self.seen.canary(self.primary).filter(|_| !list.is_empty()) else { return Ok(judgement) };
        let served = elapsed(self.since, self.now);
        let progress = match served {
            served if served < policy.duration / 2 => Progress::Early,
            served if served < policy.duration => Progress::Late,
            _ => Progress::Over,
        };
        let interval = self.memory.pace.interval().unwrap_or(UNKNOWN_INTERVAL);
        let primary = object::name(self.primary);
        let asked = Asked { scope, pod_label, primary, since: served, interval, progress };
        let said = checks::ask(self.context, canary, &list, asked).await?;
        Ok(checks::join(judgement, said, self.is_past_deadline()))
    }

    async fn metrics(&mut self, scope: &Scope) -> Result<(Judgement, PodLabel), Trouble> {
        let found = self.found(scope).await?;
        let dispersion = self.dispersion(scope, &found).await?;
        let served = elapsed(self.since, self.now);
        let window = |warm_up: Duration| Window { elapsed: millis(served), warm_up: millis(warm_up), ..Window::default() };
        let mut measures = vec![(Measured::ErrorRate, Duration::ZERO)];
        let mut readings: Vec<(Reading, Window)> = vec![(found.reading.clone(), window(Duration::ZERO))];
        let limit = self.seen.policy().max_latency_p99;
        let latency = limit.map(|limit| found.slower_than(limit)).transpose();
        if let (Ok(Some(reading)), Some(limit)) = (&latency, limit) {
            let warm_up = LATENCY_WARM_UP.min(self.seen.policy().duration / 2);
            measures.push((Measured::Slower(limit), warm_up));
            readings.push((reading.clone(), window(warm_up)));
        }
        let interval = self.memory.pace.interval();
        let source = self.source()?;
        let counted = self.memory.reader.count(source, scope, found.pod_label, &readings, interval, self.now).await?;
        self.now = clock::now();
        if let Some(first) = counted.first() {
            self.memory.pace.saw(first, self.now);
        }
        let mut unknown = latency.err();
        if let (Some(limit), [_, slow]) = (limit, counted.as_slice()) {
            match found.bound(&slow.bound, limit) {
                Ok(bound) => measures[1].0 = Measured::Slower(bound),
                Err(error) => {
                    measures.truncate(1);
                    unknown = Some(error);
                }
            }
        }
        match (self.verdict(&measures, &counted, dispersion), unknown) {
            // Errors alone are enough to reject, but not to promote.
            (judgement @ Judgement::Reject(_), _) | (judgement, None) => Ok((judgement, found.pod_label)),
            (Judgement::Inconclusive { message, clean: false }, Some(error)) => {
                Ok((Judgement::Inconclusive { message: format!("{message}; {error}"), clean: false }, found.pod_label))
            }
            (_, Some(error)) => Err(Trouble::Nothing(error.to_string())),
        }
    }

    /// Who has the counters.
    fn source(&self) -> Result<&'a dyn Source, sources::Error> {
        self.context.sources.of(self.seen.policy().metrics.origin())
    }

    async fn scope(&mut self) -> Result<Scope, Trouble> {
        if let Some((at, scope)) = &self.memory.scope
            && elapsed(*at, self.now) < scope::KEPT
        {
            return Ok(scope.clone());
        }
        let scope = scope::of(self.context, self.primary, &self.memory.run).await.map_err(|error| Trouble::Source(super::chain(&error)))?;
        self.memory.scope = Some((self.now, scope.clone()));
        Ok(scope)
    }

    async fn found(&mut self, scope: &Scope) -> Result<Found, Trouble> {
        if let Some(found) = &self.memory.found {
            return Ok(found.clone());
        }
        let policy = self.seen.policy();
        let latency = policy.max_latency_p99.is_some();
        let found = sources::discover(self.source()?, scope, &policy.metrics, latency, object::name(self.primary)).await;
        let found = found.map_err(|error| match error {
            DiscoveryError::Source(error) => Trouble::from(error),
            DiscoveryError::NotFound(nothing) => Trouble::Nothing(nothing.to_string()),
        })?;
        let note = format!("reading {}; to fix this choice: canary.metrics: {}", found.description(), found.spelling());
        self.news = Some(Event::normal(Reason::Metrics, note));
        self.memory.found = Some(found.clone());
        Ok(found)
    }

    /// Measured once. Where there is no history to be had, errors are taken as independent; the cap on what one scrape may say still holds.
    async fn dispersion(&mut self, scope: &Scope, found: &Found) -> Result<Dispersion, Trouble> {
        if let Some(dispersion) = self.memory.dispersion {
            return Ok(dispersion);
        }
        let history = match self.source() {
            Ok(source) => sources::history(source, scope, found.pod_label, &found.reading, HISTORY, HISTORY_WINDOW).await,
            Err(error) => Err(error),
        };
        let measured = match history {
            Ok(history) => Dispersion { scrape: dispersion(history.scrapes), window: dispersion(history.windows) },
            Err(error) if self.memory.without_history + 1 < HISTORY_ATTEMPTS => {
                self.memory.without_history += 1;
                return Err(error.into());
            }
            Err(error) => {
                tracing::info!(%error, name = object::name(self.primary), "no history of the primary's errors");
                Dispersion::default()
            }
        };
        self.memory.dispersion = Some(measured);
        Ok(measured)
    }

    /// At the next scrape, or when the duration is over, whichever is sooner.
    fn look_again(&self, served: Duration) -> Duration {
        let duration = self.seen.policy().duration;
        let rest = self.source().map_or(ASK_AGAIN, Source::rest);
        let next = self.memory.pace.next(self.now).unwrap_or(ASK_AGAIN).max(rest);
        if served < duration { next.min(duration.saturating_sub(served)) } else { next }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

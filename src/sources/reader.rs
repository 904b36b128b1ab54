//! Reads one run's counts, a question per scrape: only for what is new, since what was answered before is kept. A controller that starts
//! anew has nothing kept, and reads the whole run; so does one whose answers leave a gap, or whose question is another one.
//!
//! Knows when to ask for how much; what samples mean is `metrics::counting`'s.

use std::time::Duration;

use jiff::Timestamp;

use super::{Error, Scope, Source, Sums, Wanted, millis, summed_up};
use coalmine_core::metrics::counting::{self, Counted, Part, PodLabel, Reading, Record, Series, Window};

/// An old pod's last sample before counting began must be in the answer, with the slowest usual scrapes; with a known interval less does.
const LONGEST_LEAD_IN: Duration = Duration::from_mins(3);
const SHORTEST_LEAD_IN: Duration = Duration::from_secs(20);
/// How late a source may be, before the whole run is asked for at every scrape.
const LONGEST_OVERLAP: Duration = Duration::from_mins(10);

/// Up to here every sample is asked for; of longer times one a step.
const RAW_UP_TO: Duration = Duration::from_hours(1);
const MOST_STEPS: u32 = 720;
const FEW_STEPS: u32 = 60;
const USUAL_INTERVAL: Duration = Duration::from_secs(15);

/// What is to be summed up, if it must be.
type Parts<'a> = dyn Fn() -> Vec<Part> + Sync + 'a;

/// One round's.
#[derive(Clone, Copy)]
struct Question<'a> {
    /// All of the run.
    whole: &'a Wanted,
    lead_in: Duration,
    parts: &'a Parts<'a>,
}

/// What was read of one run.
#[derive(Debug, Default)]
pub struct Reader {
    record: Record,
    /// The question that the record answers.
    question: Option<(Scope, Wanted)>,
    /// Our time when the newest sample was in an answer for the first time.
    seen: Option<(i64, Timestamp)>,
    /// How much of what is known is asked for again, for samples that come late. Learned.
    overlap: Duration,
    /// When counting began, by the source's clock; one for each reading.
    begun: Vec<Option<i64>>,
    /// What the source sums up, once all its series were too many for one answer.
    sums: Option<Sums>,
}

impl Reader {
    /// Counts every reading (errors, and perhaps latency) of the run so far. `interval` is the scrape interval, when it was learned before.
    /// The answers are in the order of the readings. An error loses nothing: what was missed is asked for the next time.
    pub async fn count(
        &mut self,
        source: &dyn Source,
        scope: &Scope,
        pod_label: PodLabel,
        readings: &[(Reading, Window)],
        interval: Option<Duration>,
        now: Timestamp,
    ) -> Result<Vec<Counted>, Error> {
        let lead_in = interval.map_or(LONGEST_LEAD_IN, |interval| (interval * 4).clamp(SHORTEST_LEAD_IN, LONGEST_LEAD_IN));
        let elapsed = readings.iter().map(|(_, window)| window.elapsed).max().unwrap_or_default();
        let whole = Wanted::of(readings.iter().map(|(reading, _)| reading), pod_label, millis(elapsed) + lead_in);
        // Names are patterns, and a summary may have that of a histogram.
        let counts = |series: &Series| {
            counting::FACTS.contains(&series.name()) || readings.iter().any(|(reading, _)| !reading.weigh(&series.labels).is_nothing())
        };
        if self.sums.as_ref().is_some_and(|sums| sums.parts != Part::of(readings.iter().map(|(reading, _)| reading))) {
            self.sums = None;
        }
        let parts = || Part::of(readings.iter().map(|(reading, _)| reading));
        self.read(source, scope, Question { whole: &whole, lead_in, parts: &parts }, now, &counts).await?;
        self.begun.resize(readings.len(), None);
        let count = |((reading, window), begun): (&(Reading, Window), &mut Option<i64>)| {
            let counted = counting::count(self.record.series(), &scope.pods, reading, Window { begun: *begun, ..*window });
            *begun = counted.begun.or(*begun);
            counted
        };
        Ok(readings.iter().zip(&mut self.begun).map(count).collect())
    }

    async fn read(
        &mut self,
        source: &dyn Source,
        scope: &Scope,
        Question { whole, lead_in, parts }: Question<'_>,
        now: Timestamp,
        counts: &(dyn Fn(&Series) -> bool + Sync),
    ) -> Result<(), Error> {
        let were_summed = self.sums.is_some();
        let question = (scope.clone(), Wanted { since: Duration::ZERO, ..whole.clone() });
        self.overlap = self.overlap.max(lead_in);
        // A pod that wasn't asked about until now has a past, which the whole answer tells.
        let since = self.seen.filter(|_| source.is_final() && self.question.as_ref() == Some(&question)).and_then(|(_, at)| {
            let passed = Duration::try_from(now.duration_since(at)).ok()?;
            Some(passed.saturating_add(self.overlap)).filter(|since| *since < whole.since)
        });
        if let Some(since) = since {
            let answer = self.ask(source, scope, &Wanted { since, ..whole.clone() }, parts).await?;
            // What is known isn't summed up.
            if self.sums.is_some() == were_summed {
                let meets = self.record.meets(&answer);
                self.add(answer.into_iter().filter(counts).collect(), now);
                if meets {
                    return Ok(());
                }
                // The source is later than it was thought to be, or a clock was set.
                self.overlap = (self.overlap * 2).min(LONGEST_OVERLAP);
            }
        }
        let answer = self.ask(source, scope, whole, parts).await?;
        if !source.is_final() || self.sums.is_some() != were_summed {
            self.record = Record::default();
        }
        self.add(answer.into_iter().filter(counts).collect(), now);
        self.question = Some(question);
        Ok(())
    }

    /// Every sample of every series, or sums where those are too many; and where these are too many, too, fewer and longer looks: better than none.
    async fn ask(&mut self, source: &dyn Source, scope: &Scope, wanted: &Wanted, parts: &Parts<'_>) -> Result<Vec<Series>, Error> {
        let is_of_size = |answer: &Result<Vec<Series>, Error>| answer.as_ref().is_err_and(|error| error.problem.is_of_size());
        let few = Some(wanted.since / FEW_STEPS);
        if self.sums.is_none() {
            let step = (wanted.since > RAW_UP_TO).then(|| wanted.since / MOST_STEPS);
            let answer = source.samples(scope, &Wanted { step, ..wanted.clone() }).await;
            if !is_of_size(&answer) {
                return answer;
            }
            if !source.sums() {
                return source.samples(scope, &Wanted { step: few, ..wanted.clone() }).await;
            }
            self.sums = Some(summed_up(source, scope, wanted, parts()).await?);
        }
        let wanted = Wanted { sums: self.sums.clone(), ..wanted.clone() };
        // Where nothing tells when a target was scraped, the steps are those of a usual one.
        let finest = if self.sums.as_ref().is_some_and(|sums| sums.targets.is_empty()) { USUAL_INTERVAL } else { Duration::from_secs(1) };
        let step = Some((wanted.since / MOST_STEPS).max(finest));
        let answer = source.samples(scope, &Wanted { step, ..wanted.clone() }).await;
        if is_of_size(&answer) { source.samples(scope, &Wanted { step: few, ..wanted }).await } else { answer }
    }

    fn add(&mut self, answer: Vec<Series>, now: Timestamp) {
        self.record.add(answer);
        if let Some(newest) = self.record.newest()
            && self.seen.is_none_or(|(seen, _)| seen != newest)
        {
            self.seen = Some((newest, now));
        }
    }
}

#[cfg(test)]
mod tests;

//! Reads one run's counts, a question per scrape: only for what is new, since what was answered before is kept. A controller that starts
//! anew has nothing kept, and reads the whole run; so does one whose answers leave a gap, or whose question is another one.
//!
//! Knows when to ask for how much; what samples mean is `metrics::counting`'s.

use std::time::Duration;

use jiff::Timestamp;

use super::{Error, Scope, Source, Wanted, millis};
use coalmine_core::metrics::counting::{self, Counted, PodLabel, Reading, Record, Series, Window};

/// An old pod's last sample before counting began must be in the answer, with the slowest usual scrapes; with a known interval less does.
const LONGEST_LEAD_IN: Duration = Duration::from_mins(3);
const SHORTEST_LEAD_IN: Duration = Duration::from_secs(20);
/// How late a source may be, before the whole run is asked for at every scrape.
const LONGEST_OVERLAP: Duration = Duration::from_mins(10);

/// Up to here every sample is asked for; of longer times one a step.
const RAW_UP_TO: Duration = Duration::from_hours(1);
const MOST_STEPS: u32 = 720;
const FEW_STEPS: u32 = 60;

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
        self.read(source, scope, &whole, lead_in, now, &counts).await?;
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
        whole: &Wanted,
        lead_in: Duration,
        now: Timestamp,
        counts: &(dyn Fn(&Series) -> bool + Sync),
    ) -> Result<(), Error> {
        let question = (scope.clone(), Wanted { since: Duration::ZERO, ..whole.clone() });
        self.overlap = self.overlap.max(lead_in);
        // A pod that wasn't asked about until now has a past, which the whole answer tells.
        let since = self.seen.filter(|_| source.is_final() && self.question.as_ref() == Some(&question)).and_then(|(_, at)| {
            let passed = Duration::try_from(now.duration_since(at)).ok()?;
            Some(passed.saturating_add(self.overlap)).filter(|since| *since < whole.since)
        });
        if let Some(since) = since {
            let answer = ask(source, scope, &Wanted { since, ..whole.clone() }).await?;
            let meets = self.record.meets(&answer);
            self.add(answer.into_iter().filter(counts).collect(), now);
            if meets {
                return Ok(());
            }
            // The source is later than it was thought to be, or a clock was set.
            self.overlap = (self.overlap * 2).min(LONGEST_OVERLAP);
        }
        let answer = ask(source, scope, whole).await?;
        if !source.is_final() {
            self.record = Record::default();
        }
        self.add(answer.into_iter().filter(counts).collect(), now);
        self.question = Some(question);
        Ok(())
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

async fn ask(source: &dyn Source, scope: &Scope, wanted: &Wanted) -> Result<Vec<Series>, Error> {
    let step = (wanted.since > RAW_UP_TO).then(|| wanted.since / MOST_STEPS);
    match source.samples(scope, &Wanted { step, ..wanted.clone() }).await {
        // Hundreds of pods, or a day: fewer and longer looks are better than none.
        Err(error) if error.problem.is_of_size() => {
            source.samples(scope, &Wanted { step: Some(wanted.since / FEW_STEPS), ..wanted.clone() }).await
        }
        answer => answer,
    }
}

#[cfg(test)]
mod tests;

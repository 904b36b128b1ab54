//! Asks the questions of `canary.checks`, each to the source that it names, and hands the answers to `judging::checks`. Jobs are not asked here:
//! they are objects of the cluster.

use std::sync::Arc;
use std::time::Duration;

use super::{Error, Pages, Problem, Scope, Scraper, Source};
use coalmine_core::api::checks::{Bounds, Names, Origin, Probe};
use coalmine_core::judging::checks::{Outcome, Progress, judge};
use coalmine_core::metrics::counting::PodLabel;

/// So many values a run are enough to tell its middle.
const MOST_STEPS: u32 = 60;
const FEWEST_STEPS: u32 = 4;

/// Everything that can be asked.
#[derive(Debug)]
pub struct Sources {
    pub metrics: Arc<dyn Source>,
    /// Where Datadog's keys were given.
    pub datadog: Option<Arc<dyn Source>>,
    pub pages: Pages,
    /// Unless nothing but the source shall be asked.
    pub scraper: Option<Scraper>,
}

/// Whom a check is about, and since when.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub scope: &'a Scope,
    /// The label by which discovery told pods apart; `{{pods}}` is a pattern for it.
    pub pod_label: PodLabel,
    pub primary: &'a str,
    /// How long the canary has been Ready.
    pub since: Duration,
    /// The scrape interval, or a guess at it.
    pub interval: Duration,
    pub progress: Progress,
}

impl Sources {
    /// The outcome so far. `None` for a Job, which isn't asked by a source.
    pub async fn check(&self, probe: &Probe, asked: Asked<'_>) -> Result<Option<Outcome>, Error> {
        match probe {
            Probe::Query { origin, query, bounds } => self.query(self.of(*origin)?, query, bounds, asked).await.map(Some),
            // A page says how things are, not how they were: it is read once, when that decides.
            Probe::Page { .. } if asked.progress != Progress::Over => Ok(Some(Outcome::Waiting)),
            Probe::Page { url, pointer, equals } => {
                let address = asked.scope.pods.canary.addresses.keys().next().map(String::as_str);
                let url = asked.names(String::new()).fill(url);
                Ok(Some(self.pages.check(&url, address, pointer, equals).await))
            }
            Probe::Job { .. } => Ok(None),
        }
    }

    /// Who answers for it.
    pub fn of(&self, origin: Origin) -> Result<&dyn Source, Error> {
        match origin {
            Origin::Prometheus => Ok(self.metrics.as_ref()),
            Origin::Datadog => self.datadog.as_deref().ok_or_else(|| Error {
                target: "Datadog".to_owned(),
                problem: Problem::Refused("Coalmine was started without its keys".to_owned()),
            }),
        }
    }

    async fn query(&self, source: &dyn Source, query: &str, bounds: &Bounds, asked: Asked<'_>) -> Result<Outcome, Error> {
        let step = step(asked.since, asked.interval);
        let pods = &asked.scope.pods;
        let canary = source.evaluate(&asked.names(source.pattern(&pods.canary, asked.pod_label)).fill(query), asked.since, step).await?;
        let primary = if bounds.needs_primary() {
            source.evaluate(&asked.names(source.pattern(&pods.primary, asked.pod_label)).fill(query), asked.since, step).await?
        } else {
            Vec::new()
        };
        let steps = usize::try_from(asked.since.as_secs() / step.as_secs()).unwrap_or(usize::MAX);
        Ok(judge(bounds, &canary, &primary, steps, asked.progress))
    }
}

/// In whole seconds, which is what every source understands; even a short run shall have some values.
fn step(since: Duration, interval: Duration) -> Duration {
    let step = interval.max(since / MOST_STEPS).min(since / FEWEST_STEPS);
    Duration::from_secs(step.as_secs() + u64::from(step.subsec_nanos() > 0)).max(Duration::from_secs(1))
}

impl Asked<'_> {
    fn names(&self, pods: String) -> Names {
        Names { namespace: self.scope.namespace.clone(), pods, primary: self.primary.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(10, 5, 3)]
    #[case(60, 5, 5)]
    #[case(60, 60, 15)]
    #[case(3600, 5, 60)]
    #[case(0, 5, 1)]
    fn steps(#[case] since: u64, #[case] interval: u64, #[case] expected: u64) {
        assert_eq!(step(Duration::from_secs(since), Duration::from_secs(interval)), Duration::from_secs(expected));
    }
}

//! Where the numbers come from. A source hands over raw samples of named series; what they mean is decided in `metrics::discovery` and
//! `metrics::counting`, so that every source is judged alike. Prometheus is the first one; another store fits behind the same trait.
//! Beside it the pods' own pages are read ([`pods::Glance`]), for what may not wait.
//!
//! A source that fails says why in one short line and gives no numbers: that is never a verdict.

mod checks;
pub mod datadog;
mod fair;
pub(crate) mod http;
mod page;
pub mod pods;
pub mod prometheus;
mod reader;
mod telemetry;

use std::fmt::Debug;
use std::time::Duration;

use futures::future::BoxFuture;

pub use self::checks::{Asked, Sources};
pub use self::page::Pages;
pub use self::reader::Reader;
pub use self::telemetry::Questions;
use coalmine_core::metrics::counting::{FACTS, History, Members, Part, PodLabel, Reading, Series};
pub use coalmine_core::metrics::{
    counting::Scope,
    stores::{Error, Problem, Sums, Wanted},
};

/// What can be asked of a source of metrics.
pub trait Source: Send + Sync + Debug {
    /// The last sample of every series of these pods that has one of these names, whatever label names the pod.
    fn present<'a>(&'a self, scope: &'a Scope, metrics: &'a [String]) -> BoxFuture<'a, Result<Vec<Series>, Error>>;

    /// All samples of the wanted series. One request.
    fn samples<'a>(&'a self, scope: &'a Scope, wanted: &'a Wanted) -> BoxFuture<'a, Result<Vec<Series>, Error>>;

    /// What a query of a user's own said, at equal steps back to `since`; it is asked for this namespace. A bounded answer: few series.
    fn evaluate<'a>(
        &'a self,
        namespace: &'a str,
        query: &'a str,
        since: Duration,
        step: Duration,
    ) -> BoxFuture<'a, Result<Vec<Series>, Error>>;

    /// Whether it sums series up when it is asked to.
    fn sums(&self) -> bool {
        false
    }

    /// Whether a sample stays as it was told, so that only what is new need be asked for.
    fn is_final(&self) -> bool {
        true
    }

    /// How long to leave it alone between two questions about one canary.
    fn rest(&self) -> Duration {
        Duration::ZERO
    }

    /// What `{{pods}}` stands for in such a query.
    fn pattern(&self, members: &Members, label: PodLabel) -> String {
        members.pattern(label)
    }
}

/// The past is asked for in steps of a usual scrape interval; where that is too much for one answer, in coarser ones. Fewer and longer looks at
/// hundreds of pods tell how they differ as well.
const HISTORY_STEPS: [Duration; 3] = [Duration::from_secs(15), Duration::from_secs(60), Duration::from_secs(150)];

/// A target that wasn't scraped for so long isn't one any more.
const TARGETS_SINCE: Duration = Duration::from_mins(3);

/// The primary's past before the canary, of each reading. One request, made once for a run, where the answer isn't too large.
pub async fn history(
    source: &dyn Source,
    scope: &Scope,
    pod_label: PodLabel,
    readings: &[Reading],
    since: Duration,
    window: Duration,
) -> Result<Vec<History>, Error> {
    let wanted = Wanted::of(readings, pod_label, since);
    let series = coarser(source, scope, &wanted, Part::of(readings.iter())).await?;
    let window = i64::try_from(window.as_millis()).unwrap_or(i64::MAX);
    Ok(readings.iter().map(|reading| History::of(&series, &scope.pods, reading, window)).collect())
}

async fn coarser(source: &dyn Source, scope: &Scope, wanted: &Wanted, parts: Vec<Part>) -> Result<Vec<Series>, Error> {
    let (mut steps, mut parts, mut sums) = (HISTORY_STEPS.into_iter(), Some(parts), None);
    loop {
        let step = steps.next();
        match source.samples(scope, &Wanted { step: step.or(wanted.step), sums: sums.clone(), ..wanted.clone() }).await {
            Err(error) if error.problem.is_of_size() && steps.len() > 0 => {
                if let Some(parts) = parts.take().filter(|_| source.sums()) {
                    sums = summed_up(source, scope, wanted, parts).await.ok();
                    steps = if sums.is_some() { HISTORY_STEPS.into_iter() } else { steps };
                }
            }
            answer => return answer,
        }
    }
}

/// What tells targets apart is told by the labels that each has when it was scraped.
async fn summed_up(source: &dyn Source, scope: &Scope, wanted: &Wanted, parts: Vec<Part>) -> Result<Sums, Error> {
    let (metrics, since) = (FACTS.map(str::to_owned).to_vec(), wanted.since.min(TARGETS_SINCE));
    let facts = source.samples(scope, &Wanted { metrics, bounds: Vec::new(), since, step: None, sums: None, ..wanted.clone() }).await?;
    let targets = facts.into_iter().filter(|one| one.name() == "up").flat_map(|one| one.labels.into_keys());
    Ok(Sums { parts, targets: targets.filter(|label| label != "__name__").collect() })
}

/// What was scraped of these readings of late, sample by sample.
pub async fn recent(
    source: &dyn Source,
    scope: &Scope,
    pod_label: PodLabel,
    readings: &[Reading],
    since: Duration,
) -> Result<Vec<Series>, Error> {
    source.samples(scope, &Wanted::of(readings, pod_label, since)).await
}

fn millis(elapsed: i64) -> Duration {
    Duration::from_millis(u64::try_from(elapsed).unwrap_or_default())
}

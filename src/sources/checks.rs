//! Asks the questions of `canary.checks`, each to the source that it names, and hands the answers to `judging::checks`. Jobs and resource
//! metrics are not asked here: they are the API server's.

use std::sync::Arc;
use std::time::Duration;

use super::fair::Shares;
use super::pods::Fetcher;
use super::{Error, Pages, Problem, Scope, Source};
use coalmine_core::api::checks::{Bounds, Names, Origin, Probe, Rules, View, question};
use coalmine_core::facts::checked::{Outcome, Unknown};
use coalmine_core::judging::checks::{Progress, judge};
use coalmine_core::metrics::counting::{Members, PodLabel};

/// The maximum number of values of a run: more are not needed to tell its median.
const MOST_STEPS: u32 = 60;
const FEWEST_STEPS: u32 = 4;

/// For one check, waiting for its turn included: all checks of a run are asked side by side, so that this is the time for all of them.
const CHECKED_WITHIN: Duration = Duration::from_secs(12);

/// Everything that can be asked.
#[derive(Debug)]
pub struct Sources {
    /// Where its address was given.
    pub prometheus: Option<Arc<dyn Source>>,
    /// Where Datadog's keys were given.
    pub datadog: Option<Arc<dyn Source>>,
    pub pages: Pages,
    /// Whether the pods' own pages are read beside another source.
    pub reads_pages: bool,
    /// For the pods' own pages.
    pub pods: Arc<Fetcher>,
    /// What checks may do.
    pub rules: Rules,
    /// Queries that a user wrote are a load on the source that everybody's verdict comes from.
    queries: Shares,
    /// A page may be anybody's, who need not answer.
    readings: Shares,
}

/// The pods that a check is about, and since when.
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
    pub fn new(
        prometheus: Option<Arc<dyn Source>>,
        datadog: Option<Arc<dyn Source>>,
        pages: Pages,
        reads_pages: bool,
        pods: Fetcher,
        rules: Rules,
    ) -> Self {
        let (queries, readings) = (Shares::new(6, 3), Shares::new(64, 8));
        Self { prometheus, datadog, pages, reads_pages, pods: Arc::new(pods), rules, queries, readings }
    }

    /// The sources that may judge a run that names none, in order of preference.
    pub fn offered(&self) -> Vec<Origin> {
        self.prometheus.iter().map(|_| Origin::Prometheus).chain([Origin::Pages]).collect()
    }

    /// The outcome so far. `None` for what is asked by no source.
    pub async fn check(&self, probe: &Probe, asked: Asked<'_>) -> Result<Option<Outcome>, Error> {
        let late = || Outcome::Unknown(Unknown::Late { seconds: CHECKED_WITHIN.as_secs() });
        match probe {
            Probe::Query { origin, query, bounds } => {
                let answer = tokio::time::timeout(CHECKED_WITHIN, self.query(*origin, query, bounds, asked));
                answer.await.unwrap_or_else(|_| Ok(late())).map(Some)
            }
            // A page says how things are, not how they were: it is read once, when that decides.
            Probe::Page { .. } if asked.progress != Progress::Over => Ok(Some(Outcome::Waiting)),
            Probe::Page { url, pointer, expected } => {
                let page = async {
                    let _place = self.readings.take(&asked.scope.namespace).await;
                    let address = asked.scope.pods.canary.reached_at();
                    self.pages.check(&asked.names(String::new()).fill(url), address, pointer, expected).await
                };
                Ok(Some(tokio::time::timeout(CHECKED_WITHIN, page).await.unwrap_or_else(|_| late())))
            }
            Probe::Job { .. } | Probe::Usage(_) => Ok(None),
        }
    }

    /// The source of this name. The pods' pages are read for each run by itself, so that no one source answers for all runs.
    pub fn of(&self, origin: Origin) -> Result<&dyn Source, Error> {
        let (source, lacking) = match origin {
            Origin::Prometheus => (self.prometheus.as_deref(), "Coalmine was started without its address"),
            Origin::Datadog => (self.datadog.as_deref(), "Coalmine was started without its keys"),
            Origin::Pages => (None, "no run is read"),
        };
        source.ok_or_else(|| Error { target: origin.name().to_owned(), problem: Problem::Refused(lacking.to_owned()) })
    }

    async fn query(&self, origin: Origin, query: &str, bounds: &Bounds, asked: Asked<'_>) -> Result<Outcome, Error> {
        let source = self.of(origin)?;
        let (namespace, pods) = (asked.scope.namespace.as_str(), &asked.scope.pods);
        let view = self.rules.view(asked.pod_label.namespace().unwrap_or("namespace"));
        let question = |side: &Members| question(origin, query, &asked.names(source.pattern(side, asked.pod_label)), view);
        // The list was admitted under other rules, or is in a ConfigMap.
        let (canary, primary) = match (question(&pods.canary), question(&pods.primary)) {
            (Ok(canary), Ok(primary)) => (canary, primary),
            (Err(error), _) | (_, Err(error)) => return Ok(Outcome::Unknown(Unknown::Query(error.to_string()))),
        };
        let _place = self.queries.take(namespace).await;
        let step = step(asked.since, asked.interval);
        let canary = source.evaluate(namespace, &canary, asked.since, step).await?;
        let primary = if bounds.needs_primary() { source.evaluate(namespace, &primary, asked.since, step).await? } else { Vec::new() };
        let steps = usize::try_from(asked.since.as_secs() / step.as_secs()).unwrap_or(usize::MAX);
        let outcome = judge(bounds, &canary, &primary, steps, asked.progress);
        Ok(match outcome {
            // A user who asked for another namespace's series, or scrapes without a namespace, is told why there are none.
            Outcome::Unknown(Unknown::NoSeries { .. }) if view != View::All => {
                Outcome::Unknown(Unknown::NoSeries { namespace: Some(namespace.to_owned()) })
            }
            outcome => outcome,
        })
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
    use serde_json::json;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::sources::prometheus::{Prometheus, Settings};
    use coalmine_core::api::checks::Expected;
    use coalmine_core::metrics::counting::Pods;

    /// Answers pages of `shop`, and swallows what is asked for anybody else.
    async fn half_a_server() -> std::net::SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut swallowed = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut asked = [0; 1024];
                let length = stream.read(&mut asked).await.unwrap_or_default();
                if String::from_utf8_lossy(&asked[..length]).starts_with("GET /shop") {
                    drop(stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n7").await);
                } else {
                    swallowed.push(stream);
                }
            }
        });
        address
    }

    #[tokio::test]
    async fn whoever_does_not_answer_keeps_nobody_else_waiting() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let address = half_a_server().await;
        let metrics = Arc::new(Prometheus::new(Settings::new("http://127.0.0.1:1")).unwrap());
        let sources =
            Arc::new(Sources::new(Some(metrics), None, Pages::leading_to(address), false, Fetcher::new(None).unwrap(), Rules::default()));
        let probe = Probe::Page {
            url: format!("http://app.test:{}/{{{{namespace}}}}", address.port()),
            pointer: String::new(),
            expected: Expected::Equals(json!(7)),
        };
        let ask = async |sources: Arc<Sources>, probe: Probe, namespace: &str| {
            let scope = Scope { namespace: namespace.to_owned(), pods: Pods::default() };
            let (since, interval) = (Duration::from_mins(1), Duration::from_secs(5));
            let asked = Asked { scope: &scope, pod_label: PodLabel::Pod, primary: "app", since, interval, progress: Progress::Over };
            sources.check(&probe, asked).await.unwrap().unwrap()
        };
        // Sixteen Deployments with twenty checks each.
        let begun = std::time::Instant::now();
        let hostile = futures::future::join_all((0..320).map(|_| ask(Arc::clone(&sources), probe.clone(), "hostile")));
        let shop = async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            let all = futures::future::join_all((0..20).map(|_| ask(Arc::clone(&sources), probe.clone(), "shop"))).await;
            (all, begun.elapsed())
        };
        let (hostile, (shop, after)) = tokio::join!(hostile, shop);
        assert!(shop.iter().all(|outcome| matches!(outcome, Outcome::Passed(_))), "{shop:?}");
        assert!(after < Duration::from_secs(3), "the others waited {after:?}");
        assert!(hostile.iter().all(|outcome| matches!(outcome, Outcome::Unknown(_))));
        assert!(begun.elapsed() < CHECKED_WITHIN + Duration::from_secs(3), "one limit for all: {:?}", begun.elapsed());
    }

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

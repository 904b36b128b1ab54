//! Counts what sources are asked and how it ends. A question that the source refuses is the asker's mistake, and no failure of the source.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::{Error, Scope, Source, Wanted};
use coalmine_core::api::origin::Origin;
use coalmine_core::metrics::counting::{Members, PodLabel, Series};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    source: &'static str,
    result: &'static str,
}

/// How a question ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    Answered,
    Refused,
    Failed,
}

impl Ended {
    const ALL: [Self; 3] = [Self::Answered, Self::Refused, Self::Failed];

    fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    fn of<T>(answer: &Result<T, Error>) -> Self {
        match answer {
            Ok(_) => Self::Answered,
            Err(error) if error.problem.is_permanent() => Self::Refused,
            Err(_) => Self::Failed,
        }
    }
}

/// The counters of all sources.
#[derive(Debug, Clone, Default)]
pub struct Questions(Family<Labels, Counter>);

impl Questions {
    pub fn register(registry: &mut Registry) -> Self {
        let questions = Self::default();
        registry.register(
            "coalmine_source_questions",
            "Questions to sources of metrics, and reads of pods' own pages, by how they ended",
            questions.0.clone(),
        );
        questions
    }

    /// Its counters are there before the first question.
    pub fn begin(&self, source: Origin) {
        for ended in Ended::ALL {
            drop(self.0.get_or_create(&Labels { source: source.key(), result: ended.as_str() }));
        }
    }

    pub(super) fn count(&self, source: Origin, ended: Ended) {
        self.0.get_or_create(&Labels { source: source.key(), result: ended.as_str() }).inc();
    }

    /// The same source, counted.
    pub fn of(&self, origin: Origin, source: Arc<dyn Source>) -> Arc<dyn Source> {
        self.begin(origin);
        Arc::new(Counted { source, origin, questions: self.clone() })
    }
}

#[derive(Debug)]
struct Counted {
    source: Arc<dyn Source>,
    origin: Origin,
    questions: Questions,
}

impl Counted {
    fn counted<'a, T: Send + 'a>(&'a self, answer: BoxFuture<'a, Result<T, Error>>) -> BoxFuture<'a, Result<T, Error>> {
        Box::pin(async move {
            let answer = answer.await;
            self.questions.count(self.origin, Ended::of(&answer));
            answer
        })
    }
}

impl Source for Counted {
    fn present<'a>(&'a self, scope: &'a Scope, metrics: &'a [String]) -> BoxFuture<'a, Result<Vec<Series>, Error>> {
        self.counted(self.source.present(scope, metrics))
    }

    fn samples<'a>(&'a self, scope: &'a Scope, wanted: &'a Wanted) -> BoxFuture<'a, Result<Vec<Series>, Error>> {
        self.counted(self.source.samples(scope, wanted))
    }

    fn evaluate<'a>(
        &'a self,
        namespace: &'a str,
        query: &'a str,
        since: Duration,
        step: Duration,
    ) -> BoxFuture<'a, Result<Vec<Series>, Error>> {
        self.counted(self.source.evaluate(namespace, query, since, step))
    }

    fn sums(&self) -> bool {
        self.source.sums()
    }

    fn is_final(&self) -> bool {
        self.source.is_final()
    }

    fn rest(&self) -> Duration {
        self.source.rest()
    }

    fn pattern(&self, members: &Members, label: PodLabel) -> String {
        self.source.pattern(members, label)
    }
}

//! Asks one question of the judge: the API server, a source of metrics, or the pods' own pages. Decides nothing.

use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use serde_json::Value;

use super::{
    super::{Context, Error, chain},
    Judging, job,
    pages::Pages,
    pods, usage,
};
use crate::{
    clock,
    sources::{self, Asked, Problem, Reader, Source, pods::Glance},
};
use coalmine_core::{
    api::{
        checks::{Check, Probe},
        origin::Origin,
        policy::Policy,
    },
    facts::checked::Outcome,
    judging::{Answer, Checks, Failure, Question, Samples, usage::Usage},
    manifest::object,
};

/// The key of a `ConfigMap` that holds the list of checks.
const CONFIG_MAP_KEY: &str = "checks";
/// For the few requests about a check's Job.
const JOB_WITHIN: Duration = Duration::from_secs(10);

impl Judging {
    pub(super) async fn ask(
        &mut self,
        context: &Context,
        primary: &Value,
        canary: &Value,
        pages: &mut Option<Pages>,
        question: Question,
    ) -> Answer {
        let namespace = object::namespace(primary);
        let answer = match question {
            Question::Pods => {
                match pods::of_both(context, primary, canary, pages.as_ref().map_or(&[], |pages| pages.monitored.as_slice())).await {
                    Ok((canary, primary)) => {
                        if let Some(pages) = pages {
                            pages.reading.aim(&canary, &primary);
                        }
                        Ok(Answer::Pods { canary, primary })
                    }
                    Err(error) => Err(failure(&error)),
                }
            }
            Question::Present { origin, scope, names } => {
                if origin == Origin::Pages && pages.is_none() {
                    let policy = Policy::of(object::annotations(primary)).unwrap_or_default();
                    let begun = Pages::of(pages, context, primary, Some(canary), &policy).await;
                    match pods::of_both(context, primary, canary, &begun.monitored).await {
                        Ok((canary, primary)) => begun.reading.aim(&canary, &primary),
                        Err(error) => return Answer::Failed(failure(&error)),
                    }
                }
                match source(context, pages.as_ref(), origin) {
                    Ok(source) => match source.present(&scope, &names).await {
                        Ok(series) => Ok(Answer::Present(series)),
                        Err(sources::Error { problem: Problem::NoPage { tried, is_silent }, .. }) => {
                            Ok(Answer::NoPage { tried, is_silent })
                        }
                        Err(error) => Err(error.into()),
                    },
                    Err(error) => Err(error.into()),
                }
            }
            Question::History { origin, scope, pod_label, readings, since, window } => match source(context, pages.as_ref(), origin) {
                Ok(source) => {
                    let history = sources::history(source, &scope, pod_label, &readings, since, window).await;
                    history.map(Answer::History).map_err(Failure::from)
                }
                Err(error) => Err(error.into()),
            },
            Question::Recent { origin, scope, pod_label, readings, since } => match source(context, pages.as_ref(), origin) {
                Ok(source) => sources::recent(source, &scope, pod_label, &readings, since).await.map(Answer::Recent).map_err(Failure::from),
                Err(error) => Err(error.into()),
            },
            Question::Samples(samples) => self.samples(context, pages.as_ref(), samples).await.map_err(Failure::from),
            Question::CheckList { config_map } => check_list(context, namespace, &config_map).await.map_err(|error| failure(&error)),
            Question::Checks(checks) => {
                usage::look(context, primary, &checks, &mut self.usage).await;
                Ok(Answer::Checks(ask_checks(context, object::name(primary), canary, &checks, &self.usage).await))
            }
            Question::Places { addresses, places, reading } => {
                let glance = Glance::new(&context.sources.pods, namespace, reading);
                Ok(Answer::Places(join_all(addresses.iter().map(|address| glance.find(address, &places))).await))
            }
            Question::Pages { addresses, place, reading } => {
                let glance = Glance::new(&context.sources.pods, namespace, reading);
                Ok(Answer::Pages(join_all(addresses.iter().map(|address| glance.read(address, &place))).await))
            }
        };
        answer.unwrap_or_else(Answer::Failed)
    }

    async fn samples(&mut self, context: &Context, pages: Option<&Pages>, asked: Samples) -> Result<Answer, sources::Error> {
        if self.epoch != asked.epoch {
            (self.reader, self.epoch) = (Reader::default(), asked.epoch);
        }
        let source = source(context, pages, asked.origin)?;
        let counted = self.reader.count(source, &asked.scope, asked.pod_label, &asked.readings, asked.interval, clock::now()).await?;
        Ok(Answer::Samples(counted))
    }
}

fn source<'a>(context: &'a Context, pages: Option<&'a Pages>, origin: Origin) -> Result<&'a dyn Source, sources::Error> {
    match pages {
        Some(pages) if origin == Origin::Pages => Ok(&pages.reading),
        _ => context.sources.of(origin),
    }
}

fn failure(error: &Error) -> Failure {
    let words = chain(error);
    if error.refusal().is_some() { Failure::refusal(words) } else { Failure::passing(words) }
}

async fn check_list(context: &Context, namespace: &str, name: &str) -> Result<Answer, Error> {
    let api = Api::<ConfigMap>::namespaced(context.client.clone(), namespace);
    let found = api.get_opt(name).await.map_err(Error::api("get the ConfigMap of the checks"))?;
    Ok(Answer::CheckList(found.and_then(|found| found.data?.remove(CONFIG_MAP_KEY))))
}

/// Side by side: one that doesn't answer keeps the others waiting no longer than its own time.
async fn ask_checks(context: &Context, primary: &str, canary: &Value, checks: &Checks, usage: &Usage) -> Vec<Result<Outcome, Failure>> {
    let asked = Asked {
        scope: &checks.scope,
        pod_label: checks.pod_label,
        primary,
        since: checks.served,
        interval: checks.interval,
        progress: checks.progress,
    };
    let ask = async |check: &Check| match &check.probe {
        Probe::Job { cron_job } => {
            let run = tokio::time::timeout(JOB_WITHIN, job::run(context, canary, &check.name, cron_job, asked)).await;
            run.map_err(|_| Failure::passing("the API server didn't answer in time"))?.map_err(|error| failure(&error))
        }
        Probe::Usage(most) => Ok(usage.outcome(most, checks.progress, clock::now())),
        probe => context.sources.check(probe, asked).await.map(|outcome| outcome.unwrap_or(Outcome::Waiting)).map_err(Failure::from),
    };
    join_all(checks.list.iter().map(ask)).await
}

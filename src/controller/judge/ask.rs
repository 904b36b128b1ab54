//! Asks one question of the judge: the API server, a source of metrics, or the pods' own pages. Decides nothing.

use std::time::Duration;

use futures::future::join_all;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{Api, ResourceExt as _, api::ListParams};
use serde_json::Value;

use super::{
    super::{Context, Error, chain},
    Judging, job,
};
use crate::{
    clock,
    sources::{self, Asked, Reader},
};
use coalmine_core::{
    api::{
        annotations::RUN_LABEL,
        checks::{Check, Probe},
    },
    hold::replica_sets,
    judging::{Answer, Checks, Failure, Pod as Known, Question, Samples, checks::Outcome},
    manifest::object,
};

/// The key of a `ConfigMap` that holds the list of checks.
const CONFIG_MAP_KEY: &str = "checks";
/// For the few requests about a check's Job.
const JOB_WITHIN: Duration = Duration::from_secs(10);

impl Judging {
    pub(super) async fn ask(&mut self, context: &Context, primary: &Value, canary: &Value, question: Question) -> Answer {
        let namespace = object::namespace(primary);
        let answer = match question {
            Question::Pods => pods(context, primary, canary).await.map_err(|error| failure(&error)),
            Question::Present { origin, scope, names } => match context.sources.of(origin) {
                Ok(source) => source.present(&scope, &names).await.map(Answer::Present).map_err(Failure::from),
                Err(error) => Err(error.into()),
            },
            Question::History { origin, scope, pod_label, readings, since, window } => match context.sources.of(origin) {
                Ok(source) => {
                    let history = sources::history(source, &scope, pod_label, &readings, since, window).await;
                    history.map(Answer::History).map_err(Failure::from)
                }
                Err(error) => Err(error.into()),
            },
            Question::Samples(samples) => self.samples(context, samples).await.map_err(Failure::from),
            Question::CheckList { config_map } => check_list(context, namespace, &config_map).await.map_err(|error| failure(&error)),
            Question::Checks(checks) => Ok(Answer::Checks(ask_checks(context, object::name(primary), canary, &checks).await)),
            Question::Places { addresses, port, path, reading } => {
                let Some(scraper) = &context.sources.scraper else { return no_pages() };
                let found = addresses.iter().map(|address| scraper.find(namespace, address, port, path.as_deref(), &reading));
                Ok(Answer::Places(join_all(found).await))
            }
            Question::Pages { addresses, place, reading } => {
                let Some(scraper) = &context.sources.scraper else { return no_pages() };
                Ok(Answer::Pages(join_all(addresses.iter().map(|address| scraper.read(namespace, address, &place, &reading))).await))
            }
        };
        answer.unwrap_or_else(Answer::Failed)
    }

    async fn samples(&mut self, context: &Context, asked: Samples) -> Result<Answer, sources::Error> {
        if self.epoch != asked.epoch {
            (self.reader, self.epoch) = (Reader::default(), asked.epoch);
        }
        let source = context.sources.of(asked.origin)?;
        let counted = self.reader.count(source, &asked.scope, asked.pod_label, &asked.readings, asked.interval, clock::now()).await?;
        Ok(Answer::Samples(counted))
    }
}

fn no_pages() -> Answer {
    Answer::Failed(Failure::refusal("pages are not read here"))
}

fn failure(error: &Error) -> Failure {
    Failure { words: chain(error), is_refusal: error.refusal().is_some() }
}

async fn pods(context: &Context, primary: &Value, canary: &Value) -> Result<Answer, Error> {
    let api = Api::<Pod>::namespaced(context.client.clone(), object::namespace(primary));
    let list = |selector: String| {
        let api = api.clone();
        async move { api.list(&ListParams::default().labels(&selector)).await.map_err(Error::api("list pods")) }
    };
    let run = coalmine_core::run::canary::run_of(canary).unwrap_or_default();
    let canary = list(format!("{RUN_LABEL}={run}")).await?;
    // The API server takes no Deployment without a selector.
    let primary = list(format!("{},!{RUN_LABEL}", replica_sets::selector(primary))).await?;
    let known = |pods: Vec<Pod>| pods.iter().map(known).collect();
    Ok(Answer::Pods { canary: known(canary.items), primary: known(primary.items) })
}

fn known(pod: &Pod) -> Known {
    let owners = pod.owner_references().iter().filter(|owner| owner.kind == "ReplicaSet");
    Known {
        name: pod.name_any(),
        address: pod.status.as_ref().and_then(|status| status.pod_ip.clone()),
        replica_sets: owners.map(|owner| owner.name.clone()).collect(),
        on_host_network: pod.spec.as_ref().and_then(|spec| spec.host_network) == Some(true),
    }
}

async fn check_list(context: &Context, namespace: &str, name: &str) -> Result<Answer, Error> {
    let api = Api::<ConfigMap>::namespaced(context.client.clone(), namespace);
    let found = api.get_opt(name).await.map_err(Error::api("get the ConfigMap of the checks"))?;
    Ok(Answer::CheckList(found.and_then(|found| found.data?.remove(CONFIG_MAP_KEY))))
}

/// Side by side: one that doesn't answer keeps the others waiting no longer than its own time.
async fn ask_checks(context: &Context, primary: &str, canary: &Value, checks: &Checks) -> Vec<Result<Outcome, Failure>> {
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
        probe => context.sources.check(probe, asked).await.map(|outcome| outcome.unwrap_or(Outcome::Waiting)).map_err(Failure::from),
    };
    join_all(checks.list.iter().map(ask)).await
}

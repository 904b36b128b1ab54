//! Runs a check that is a Job: creates it once, and reads how it stands. What the Job is, and what its state means, is `judging::job`'s.

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{DynamicObject, ListParams, LogParams, PostParams},
    core::ApiResource,
};
use serde_json::Value;

use super::super::{Context, Error, observe};
use crate::kubernetes::is_refusal;
use crate::sources::Asked;
use coalmine_core::{
    facts::checked::{Failed, JobLacks, Outcome, Passed, Unknown},
    hold::admit::FIELD_MANAGER,
    judging::job,
    manifest::object,
    words::cut,
};

/// How much of a failed Job's log is read.
const LOG_LINES: i64 = 5;

pub(super) async fn run(context: &Context, canary: &Value, check: &str, cron_job: &str, asked: Asked<'_>) -> Result<Outcome, Error> {
    let namespace = object::namespace(canary);
    let jobs = Api::<DynamicObject>::namespaced_with(context.client.clone(), namespace, &resource("Job", "jobs"));
    let name = job::name(object::name(canary), check);
    let Some(found) = jobs.get_opt(&name).await.map_err(Error::api("get the Job of a check"))? else {
        let cron_jobs = Api::<DynamicObject>::namespaced_with(context.client.clone(), namespace, &resource("CronJob", "cronjobs"));
        let Some(template) = cron_jobs.get_opt(cron_job).await.map_err(Error::api("get the CronJob of a check"))? else {
            return Ok(lacks(JobLacks::CronJob(cron_job.to_owned())));
        };
        let Some(address) = asked.scope.pods.canary.reached_at() else { return Ok(Outcome::Waiting) };
        let template = observe::json(&template, "the CronJob")?;
        if !job::may_run(&template) {
            return Ok(lacks(JobLacks::Label(cron_job.to_owned())));
        }
        let job = job::build(&template, canary, asked.primary, check, address);
        context.may_write()?;
        let parameters = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        return match jobs.create(&parameters, &observe::dynamic(job)?).await {
            Ok(_) => Ok(Outcome::Waiting),
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(Outcome::Waiting),
            Err(kube::Error::Api(status)) if is_refusal(status.code) => Ok(lacks(JobLacks::Creation(cut(&status.message)))),
            Err(error) => Err(Error::api("create the Job of a check")(error)),
        };
    };
    let found = observe::json(&found, "the Job")?;
    if job::is_in_the_way(&found, canary) {
        return Ok(lacks(JobLacks::Place(name)));
    }
    if !job::is_of(&found, canary) {
        // An earlier canary's, on its way out.
        return Ok(Outcome::Waiting);
    }
    match job::state(&found) {
        job::State::Running => Ok(lacks(JobLacks::End { name, stage: job::stage(&found) })),
        job::State::Succeeded => Ok(Outcome::Passed(Passed::Job(name))),
        job::State::Failed(reason) => {
            let last_words = last_words(context, namespace, &name).await;
            Ok(Outcome::Failed(Failed::Job { name, reason, last_words }))
        }
    }
}

fn lacks(what: JobLacks) -> Outcome {
    Outcome::Unknown(Unknown::Job(what))
}

/// The end of the log of the Job's last pod. Missing words never change a verdict.
async fn last_words(context: &Context, namespace: &str, job: &str) -> Option<String> {
    let pods = Api::<Pod>::namespaced(context.client.clone(), namespace);
    let list = pods.list(&ListParams::default().labels(&format!("batch.kubernetes.io/job-name={job}"))).await.ok()?;
    let last = list.items.into_iter().max_by_key(|pod| pod.metadata.creation_timestamp.clone())?;
    let parameters = LogParams { tail_lines: Some(LOG_LINES), limit_bytes: Some(4096), ..LogParams::default() };
    job::last_words(&pods.logs(&last.metadata.name?, &parameters).await.ok()?)
}

fn resource(kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: "batch".to_owned(),
        version: "v1".to_owned(),
        api_version: "batch/v1".to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

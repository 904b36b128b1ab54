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
    hold::admit::FIELD_MANAGER,
    judging::{checks::Outcome, job},
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
            return Ok(Outcome::Unknown(format!("there is no CronJob {cron_job} in this namespace")));
        };
        let Some(address) = asked.scope.pods.canary.addresses.keys().next() else { return Ok(Outcome::Waiting) };
        let template = observe::json(&template, "the CronJob")?;
        if !job::may_run(&template) {
            let words = format!("the CronJob {cron_job} has no label {}: \"true\", which lets a check run it", job::CHECK_LABEL);
            return Ok(Outcome::Unknown(words));
        }
        let job = job::build(&template, canary, asked.primary, check, address);
        context.may_write()?;
        let parameters = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        return match jobs.create(&parameters, &observe::dynamic(job)?).await {
            Ok(_) => Ok(Outcome::Waiting),
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(Outcome::Waiting),
            Err(kube::Error::Api(status)) if is_refusal(status.code) => {
                Ok(Outcome::Unknown(format!("the Job can't be created: {}", cut(&status.message))))
            }
            Err(error) => Err(Error::api("create the Job of a check")(error)),
        };
    };
    let found = observe::json(&found, "the Job")?;
    if job::is_in_the_way(&found, canary) {
        return Ok(Outcome::Unknown(format!("a Job {name} is there that is not this canary's; rename it, or the check")));
    }
    if !job::is_of(&found, canary) {
        // An earlier canary's, on its way out.
        return Ok(Outcome::Waiting);
    }
    match job::state(&found) {
        job::State::Running => Ok(Outcome::Unknown(job::under_way(&found))),
        job::State::Succeeded => Ok(Outcome::Passed(format!("Job {name} succeeded"))),
        job::State::Failed(reason) => {
            let words = last_words(context, namespace, &name).await.map(|words| format!("; its last words: {words}")).unwrap_or_default();
            Ok(Outcome::Failed(format!("Job {name} failed ({reason}){words}")))
        }
    }
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

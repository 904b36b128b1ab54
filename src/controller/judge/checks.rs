//! The user's own checks of one canary: fetched, asked, and joined into one answer. Jobs are created here, and read back.

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::{
    Api,
    api::{DynamicObject, ListParams, LogParams, PostParams},
    core::ApiResource,
};
use serde_json::Value;

use super::{
    super::{Context, Error, chain, observe},
    ASK_AGAIN, Trouble,
};
use crate::sources::Asked;
use coalmine_core::{
    api::{
        checks::{Check, Checks, Probe, parse_list},
        quantity::format_duration,
    },
    hold::admit::FIELD_MANAGER,
    judging::{checks::Outcome, job},
    manifest::object,
    run::plan::Judgement,
};

/// The key of a `ConfigMap` that holds the list.
const CONFIG_MAP_KEY: &str = "checks";
/// How much of a failed Job's log is read.
const LOG_LINES: i64 = 5;

/// What all checks say together.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    /// Every check passed, with their words; none asked is passed.
    Passed(Vec<String>),
    Failed(String),
    Waiting(String),
    /// A check has no usable answer.
    Unknown(String),
}

/// The list of checks, from the annotation or from its `ConfigMap`.
pub(super) async fn list(context: &Context, namespace: &str, checks: Option<&Checks>) -> Result<Vec<Check>, Trouble> {
    let name = match checks {
        None => return Ok(Vec::new()),
        Some(Checks::Inline(list)) => return Ok(list.clone()),
        Some(Checks::ConfigMap(name)) => name,
    };
    let api = Api::<ConfigMap>::namespaced(context.client.clone(), namespace);
    let found = api.get_opt(name).await.map_err(|error| Trouble::Source(chain(&Error::api("get the ConfigMap of the checks")(error))))?;
    let missing = || Trouble::Nothing(format!("canary.checks: there is no ConfigMap {name} with a key {CONFIG_MAP_KEY}"));
    let text = found.and_then(|found| found.data?.remove(CONFIG_MAP_KEY)).ok_or_else(missing)?;
    parse_list(&text).map_err(|error| Trouble::Nothing(format!("canary.checks: configmap/{name}: {error}")))
}

/// Asks every check; the first failure decides.
pub(super) async fn ask(context: &Context, canary: &Value, checks: &[Check], asked: Asked<'_>) -> Result<Said, Trouble> {
    let (mut passed, mut waiting, mut unknown) = (Vec::new(), None, None);
    for check in checks {
        let outcome = match &check.probe {
            Probe::Job { cron_job } => {
                run_job(context, canary, &check.name, cron_job, asked).await.map_err(|error| Trouble::Source(chain(&error)))?
            }
            probe => context.sources.check(probe, asked).await?.unwrap_or(Outcome::Waiting),
        };
        match outcome {
            Outcome::Failed(words) => {
                return Ok(Said::Failed(format!("check {} after {}: {words}", check.name, format_duration(asked.since))));
            }
            Outcome::Passed(words) => passed.push(format!("check {}: {words}", check.name)),
            Outcome::Waiting => waiting = Some(format!("check {} is not decided yet", check.name)),
            Outcome::Unknown(words) => unknown = Some(format!("check {}: {words}", check.name)),
        }
    }
    Ok(match (unknown, waiting) {
        (Some(words), _) => Said::Unknown(words),
        (None, Some(words)) => Said::Waiting(words),
        (None, None) => Said::Passed(passed),
    })
}

/// The metrics' judgement with what the checks say: one that fails is enough to reject, and all must pass before a promotion.
pub(super) fn join(judgement: Judgement, said: Said, past_deadline: bool) -> Judgement {
    match (judgement, said) {
        (_, Said::Failed(words)) => Judgement::Reject(words),
        (Judgement::Promote(message), Said::Passed(words)) => {
            Judgement::Promote(std::iter::once(message).chain(words).collect::<Vec<_>>().join("; "))
        }
        (Judgement::Promote(_), Said::Waiting(words) | Said::Unknown(words)) if past_deadline => {
            Judgement::Inconclusive { message: words, clean: false }
        }
        (Judgement::Promote(_), Said::Waiting(words) | Said::Unknown(words)) => {
            Judgement::Continue { look_again: ASK_AGAIN, note: Some(words) }
        }
        (Judgement::Inconclusive { message, .. }, Said::Waiting(words) | Said::Unknown(words)) => {
            Judgement::Inconclusive { message: format!("{message}; {words}"), clean: false }
        }
        (judgement, _) => judgement,
    }
}

async fn run_job(context: &Context, canary: &Value, check: &str, cron_job: &str, asked: Asked<'_>) -> Result<Outcome, Error> {
    let namespace = object::namespace(canary);
    let jobs = Api::<DynamicObject>::namespaced_with(context.client.clone(), namespace, &resource("Job", "jobs"));
    let name = job::name(object::name(canary), check);
    let Some(found) = jobs.get_opt(&name).await.map_err(Error::api("get the Job of a check"))? else {
        let cron_jobs = Api::<DynamicObject>::namespaced_with(context.client.clone(), namespace, &resource("CronJob", "cronjobs"));
        let Some(template) = cron_jobs.get_opt(cron_job).await.map_err(Error::api("get the CronJob of a check"))? else {
            return Ok(Outcome::Unknown(format!("there is no CronJob {cron_job} in this namespace")));
        };
        let Some(address) = asked.scope.pods.canary.addresses.keys().next() else { return Ok(Outcome::Waiting) };
        let job = job::build(&observe::json(&template, "the CronJob")?, canary, asked.primary, check, address);
        context.may_write()?;
        let parameters = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        return match jobs.create(&parameters, &observe::dynamic(job)?).await {
            Ok(_) => Ok(Outcome::Waiting),
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(Outcome::Waiting),
            Err(kube::Error::Api(status)) if matches!(status.code, 400 | 403 | 422) => {
                Ok(Outcome::Unknown(format!("the Job can't be created: {}", status.message)))
            }
            Err(error) => Err(Error::api("create the Job of a check")(error)),
        };
    };
    let found = observe::json(&found, "the Job")?;
    if !job::is_of(&found, canary) {
        // An earlier canary's, on its way out.
        return Ok(Outcome::Waiting);
    }
    match job::state(&found) {
        job::State::Running => Ok(Outcome::Waiting),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn promote() -> Judgement {
        Judgement::Promote("error rate 0%".to_owned())
    }

    #[test]
    fn all_must_agree_to_promote_and_one_is_enough_to_reject() {
        let passed = Said::Passed(vec!["check cpu: 0.9 times the primary's".to_owned()]);
        assert_eq!(
            join(promote(), passed.clone(), false),
            Judgement::Promote("error rate 0%; check cpu: 0.9 times the primary's".to_owned())
        );
        let failed = Said::Failed("check smoke: Job failed".to_owned());
        for judgement in [promote(), Judgement::Unavailable("refused".to_owned())] {
            assert_eq!(join(judgement, failed.clone(), false), Judgement::Reject("check smoke: Job failed".to_owned()));
        }
        let waiting = Said::Waiting("check smoke is not decided yet".to_owned());
        assert!(matches!(join(promote(), waiting.clone(), false), Judgement::Continue { note: Some(_), .. }));
        assert!(matches!(join(promote(), waiting, true), Judgement::Inconclusive { clean: false, .. }));
        let unknown = Said::Unknown("check cpu: no series".to_owned());
        let nothing = Judgement::Inconclusive { message: "no requests".to_owned(), clean: true };
        assert!(matches!(join(nothing.clone(), unknown, true), Judgement::Inconclusive { clean: false, .. }));
        assert_eq!(join(nothing.clone(), passed, true), nothing);
    }
}

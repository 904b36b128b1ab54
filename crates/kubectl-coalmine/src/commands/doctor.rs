//! Is Coalmine there and able to answer? Asks the API server only, and asks it as admission would: by a dry run that must be refused.

use anyhow::{Context as _, Result};
use coalmine_core::manifest::object;
use kube::api::{Api, DynamicObject, ListParams, PostParams};
use serde_json::{Value, json};

use crate::{
    End,
    cluster::{Cluster, plain, refused, resource, text},
    terminal,
};

/// What Coalmine's webhooks are called.
const WEBHOOK: &str = ".coalmine.dev";
/// Those of them without whose answer nothing may pass.
const MUST_ANSWER: [&str; 3] = ["deployments.coalmine.dev", "live.coalmine.dev", "state.coalmine.dev"];

/// One finding: what was looked at, and what is wrong with it if anything is.
struct Finding {
    subject: &'static str,
    result: Result<String>,
}

pub(super) async fn doctor(cluster: &Cluster) -> Result<End> {
    let findings = [
        Finding { subject: "webhook configuration", result: configuration(cluster).await },
        Finding { subject: "Coalmine", result: server_version(cluster).await },
        Finding { subject: "webhook answers", result: answers(cluster).await },
    ];
    let mut end = End::Good;
    for finding in findings {
        match finding.result {
            Ok(words) => terminal::print(&format!("ok    {}: {words}", finding.subject)),
            Err(error) => {
                end = End::Failed;
                terminal::print(&format!("FAIL  {}: {error:#}", finding.subject));
            }
        }
    }
    Ok(end)
}

async fn configuration(cluster: &Cluster) -> Result<String> {
    let resource = resource("admissionregistration.k8s.io", "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations");
    let api: Api<DynamicObject> = Api::all_with(cluster.client.clone(), &resource);
    let list =
        api.list(&ListParams::default()).await.map_err(|error| refused(error, "list", "mutatingwebhookconfigurations", "the cluster"))?;
    let all: Vec<Value> = list.items.iter().map(plain).collect::<Result<_>>()?;
    registered(&all)
}

/// What of Coalmine's is registered, if it is all that keeps a template that nobody tried from going live.
fn registered(all: &[Value]) -> Result<String> {
    let are_ours = |configuration: &&Value| hooks(configuration).any(|hook| text(hook, "/name").ends_with(WEBHOOK));
    let ours: Vec<&Value> = all.iter().filter(are_ours).collect();
    let names = || ours.iter().map(|ours| object::name(ours)).collect::<Vec<_>>().join(" and ");
    let [ours] = ours[..] else {
        anyhow::ensure!(!ours.is_empty(), "there is none: install Coalmine (kubectl apply -k deploy)");
        anyhow::bail!("there are several, {}: two Coalmines take each other's holds for forged; keep one", names());
    };
    let name = object::name(ours);
    let without = hooks(ours).filter(|hook| text(hook, "/clientConfig/caBundle").is_empty()).count();
    anyhow::ensure!(without == 0, "{name} has {without} webhooks without caBundle: Coalmine writes it when it starts, so look at its log");
    for needed in MUST_ANSWER {
        let hook = hooks(ours).find(|hook| text(hook, "/name") == needed);
        let hook =
            hook.with_context(|| format!("{name} has no webhook {needed}: install Coalmine completely (kubectl apply -k deploy)"))?;
        let policy = text(hook, "/failurePolicy");
        anyhow::ensure!(
            policy == "Fail",
            "webhook {needed} of {name} has failurePolicy {policy}, expected Fail: while Coalmine can't be reached, templates go live untried"
        );
    }
    Ok(format!("{name} with {} webhooks", hooks(ours).count()))
}

fn hooks(configuration: &Value) -> impl Iterator<Item = &Value> {
    configuration.get("webhooks").and_then(Value::as_array).into_iter().flatten()
}

/// The image that runs, of the Deployment that carries Coalmine's name.
pub(super) async fn server_version(cluster: &Cluster) -> Result<String> {
    let resource = resource("apps", "v1", "Deployment", "deployments");
    let api: Api<DynamicObject> = Api::all_with(cluster.client.clone(), &resource);
    let found = api.list(&ListParams::default().labels("app.kubernetes.io/name=coalmine")).await;
    let list = found.map_err(|error| refused(error, "list", "deployments", "all namespaces"))?;
    let all: Vec<Value> = list.items.iter().map(plain).collect::<Result<_>>()?;
    let ours = all.first().context("no Deployment with the label app.kubernetes.io/name=coalmine")?;
    let ready = ours.pointer("/status/readyReplicas").and_then(Value::as_i64).unwrap_or_default();
    let image = text(ours, "/spec/template/spec/containers/0/image");
    let place = format!("{image} in namespace {}, {ready} of {} replicas ready", object::namespace(ours), object::replicas(ours));
    anyhow::ensure!(ready > 0, "{place}");
    Ok(place)
}

/// A dry run with a mistake that only Coalmine refuses: nothing is written, whatever happens.
async fn answers(cluster: &Cluster) -> Result<String> {
    let probe = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "coalmine-doctor", "annotations": {"canary.enabled": "true", "canary.duration": "doctor"}},
        "spec": {"selector": {"matchLabels": {"app": "coalmine-doctor"}}, "template": {
            "metadata": {"labels": {"app": "coalmine-doctor"}}, "spec": {"containers": [{"name": "none", "image": "localhost/none"}]}}},
    });
    let probe: DynamicObject = serde_json::from_value(probe).context("failed to make a probe")?;
    let parameters = PostParams { dry_run: true, ..PostParams::default() };
    match cluster.deployments().create(&parameters, &probe).await {
        Ok(_) => anyhow::bail!("a mistake was not refused: the webhook is not asked for namespace {}", cluster.namespace),
        Err(kube::Error::Api(status)) if status.message.contains("canary.duration") => {
            Ok("a mistake in an annotation is refused".to_owned())
        }
        Err(kube::Error::Api(status)) if status.is_forbidden() => {
            anyhow::bail!(
                "not known: the right to create deployments in {} is missing, and the question is a dry run of that",
                cluster.namespace
            )
        }
        Err(kube::Error::Api(status)) => anyhow::bail!("{}", status.message),
        Err(error) => Err(error).context("failed to ask"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configuration(name: &str) -> Value {
        let entry = |name: &str, policy: &str| json!({"name": name, "failurePolicy": policy, "clientConfig": {"caBundle": "YQ=="}});
        let others = [entry("status.coalmine.dev", "Ignore"), entry("advice.coalmine.dev", "Ignore")];
        let hooks: Vec<Value> = MUST_ANSWER.map(|name| entry(name, "Fail")).into_iter().chain(others).collect();
        json!({"metadata": {"name": name}, "webhooks": hooks})
    }

    #[test]
    fn what_lets_templates_pass_untried_is_told() {
        let kyverno = json!({"metadata": {"name": "policies"}, "webhooks": [{"name": "mutate.kyverno.svc"}]});
        let said = |change: &dyn Fn(&mut Vec<Value>)| {
            let mut all = vec![kyverno.clone(), configuration("zz-coalmine")];
            change(&mut all);
            registered(&all).unwrap_or_else(|error| format!("{error:#}"))
        };
        assert_eq!(said(&|_| {}), "zz-coalmine with 5 webhooks");
        assert_eq!(said(&|all| drop(all.pop())), "there is none: install Coalmine (kubectl apply -k deploy)");
        assert_eq!(
            said(&|all| all.push(configuration("team-zz-coalmine"))),
            "there are several, zz-coalmine and team-zz-coalmine: two Coalmines take each other's holds for forged; keep one"
        );
        assert_eq!(
            said(&|all| all[1]["webhooks"][1]["clientConfig"]["caBundle"] = json!("")),
            "zz-coalmine has 1 webhooks without caBundle: Coalmine writes it when it starts, so look at its log"
        );
        assert_eq!(
            said(&|all| drop(all[1]["webhooks"].as_array_mut().map(|hooks| hooks.remove(2)))),
            "zz-coalmine has no webhook state.coalmine.dev: install Coalmine completely (kubectl apply -k deploy)"
        );
        assert_eq!(
            said(&|all| all[1]["webhooks"][0]["failurePolicy"] = json!("Ignore")),
            "webhook deployments.coalmine.dev of zz-coalmine has failurePolicy Ignore, expected Fail: while Coalmine can't be reached, templates go \
             live untried"
        );
    }
}

//! Keeps `caBundle` of every entry of our own webhook configuration what it must be, whoever empties it, and our own namespace out of what the
//! entries are asked about, whatever its name: the way to our own repair must never lead through us.
//!
//! It watches that one object, and writes nothing else of it.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::admissionregistration::v1::MutatingWebhookConfiguration;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement};
use kube::Api;
use kube::api::{Patch, PatchParams};
use kube::runtime::{WatchStreamExt, watcher};
use serde_json::json;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::server::admin::Condition;

/// Besides the watch: one that hangs must not hide for long that the bundle was emptied.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// After a failure; doubled each time up to the usual look.
const RETRY_AFTER: Duration = Duration::from_millis(500);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to {verb} MutatingWebhookConfiguration {name:?}")]
    Request { verb: &'static str, name: String, source: Box<kube::Error> },
    #[error("failed to {verb} MutatingWebhookConfiguration {name:?}: no answer within {} s", ANSWER_WITHIN.as_secs())]
    Timeout { verb: &'static str, name: String },
    #[error("failed to build the patch of MutatingWebhookConfiguration {name:?}")]
    Patch { name: String, source: serde_json::Error },
    #[error("failed to find MutatingWebhookConfiguration {name:?}: is Coalmine installed completely, and --webhook-name its name?")]
    Missing { name: String },
    #[error(
        "MutatingWebhookConfiguration {name:?} asks Service {service:?}, whom the API server would not believe: is that --service-name?"
    )]
    Stranger { name: String, service: String },
}

#[derive(Debug)]
pub struct Registrar {
    configurations: Api<MutatingWebhookConfiguration>,
    name: String,
    /// Of Coalmine itself.
    namespace: String,
    /// What the certificate is for.
    names: Vec<String>,
    bundle: watch::Receiver<String>,
    condition: Condition,
}

impl Registrar {
    pub fn new(
        configurations: Api<MutatingWebhookConfiguration>,
        name: String,
        namespace: String,
        names: Vec<String>,
        bundle: watch::Receiver<String>,
        condition: Condition,
    ) -> Self {
        Self { configurations, name, namespace, names, bundle, condition }
    }

    pub async fn run(mut self, stop: CancellationToken) {
        let only_ours = watcher::Config::default().fields(&format!("metadata.name={}", self.name)).timeout(60);
        // Content doesn't matter here, each event leads to a look; errors of the watch are the look's errors too.
        let mut changes = watcher(self.configurations.clone(), only_ours).default_backoff().map_ok(drop).boxed();
        let (mut failures, mut was_ready) = (0, false);
        loop {
            let pause = if self.bundle.borrow_and_update().is_empty() {
                LOOK_EVERY
            } else {
                match self.step().await {
                    Ok(()) => {
                        self.condition.holds();
                        (failures, was_ready) = (0, true);
                        LOOK_EVERY
                    }
                    Err(error) => {
                        if failures == 0 {
                            tracing::warn!(error = &error as &dyn std::error::Error, "cannot keep caBundle current");
                        }
                        // A replica that was ready stays so while the API server is away: nobody took the bundle away.
                        if matches!(error, Error::Missing { .. }) || !was_ready {
                            self.condition.fails(format!("{:#}", anyhow::Error::from(error)));
                        }
                        failures += 1;
                        super::retry_after(RETRY_AFTER, failures, LOOK_EVERY)
                    }
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                changed = self.bundle.changed() => if changed.is_err() { return },
                _ = changes.next() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// One look, and a write when an entry differs.
    async fn step(&self) -> Result<(), Error> {
        let found = self.ask("read", self.configurations.get_opt(&self.name)).await?;
        let configuration = found.ok_or_else(|| Error::Missing { name: self.name.clone() })?;
        if let Some(service) = stranger(&configuration, &self.names) {
            return Err(Error::Stranger { name: self.name.clone(), service });
        }
        let bundle = self.bundle.borrow().clone();
        let Some(patch) = patch(&configuration, &self.namespace, bundle.as_bytes()) else { return Ok(()) };
        let patch = serde_json::from_value(patch).map_err(|source| Error::Patch { name: self.name.clone(), source })?;
        let (parameters, patch) = (PatchParams::default(), Patch::<()>::Json(patch));
        self.ask("patch", self.configurations.patch(&self.name, &parameters, &patch)).await?;
        tracing::info!("put caBundle and namespaceSelector of MutatingWebhookConfiguration {:?} in order", self.name);
        Ok(())
    }

    async fn ask<T>(&self, verb: &'static str, request: impl Future<Output = kube::Result<T>>) -> Result<T, Error> {
        match tokio::time::timeout(ANSWER_WITHIN, request).await {
            Ok(answer) => answer.map_err(|source| Error::Request { verb, name: self.name.clone(), source: Box::new(source) }),
            Err(_) => Err(Error::Timeout { verb, name: self.name.clone() }),
        }
    }
}

/// A Service of another name than our own, such as a prefix makes of it: every request that is asked about would fail.
fn stranger(configuration: &MutatingWebhookConfiguration, names: &[String]) -> Option<String> {
    let services = configuration.webhooks.iter().flatten().filter_map(|webhook| webhook.client_config.service.as_ref());
    let mut hosts = services.map(|service| format!("{}.{}.svc", service.name, service.namespace));
    hosts.find(|host| !names.contains(host))
}

/// Sets the bundle of each entry that has another one, and leaves our namespace out where it isn't. The names are tested, since entries are
/// addressed by position.
fn patch(configuration: &MutatingWebhookConfiguration, namespace: &str, bundle: &[u8]) -> Option<serde_json::Value> {
    let encoded = k8s_openapi::ByteString(bundle.to_vec());
    let mut operations = Vec::new();
    for (index, webhook) in configuration.webhooks.iter().flatten().enumerate() {
        let test = json!({"op": "test", "path": format!("/webhooks/{index}/name"), "value": webhook.name});
        if webhook.client_config.ca_bundle.as_ref().is_none_or(|present| present.0 != bundle) {
            operations.push(test.clone());
            operations.push(json!({"op": "add", "path": format!("/webhooks/{index}/clientConfig/caBundle"), "value": encoded}));
        }
        if let Some(selector) = leaving_out(webhook.namespace_selector.clone().unwrap_or_default(), namespace) {
            operations.push(test);
            operations.push(json!({"op": "add", "path": format!("/webhooks/{index}/namespaceSelector"), "value": selector}));
        }
    }
    (!operations.is_empty()).then_some(serde_json::Value::Array(operations))
}

/// The selector that leaves this namespace out; `None` if it does so already.
fn leaving_out(mut selector: LabelSelector, namespace: &str) -> Option<LabelSelector> {
    let expressions = selector.match_expressions.get_or_insert_default();
    let by_name = |expression: &&mut LabelSelectorRequirement| expression.key == NAME_LABEL && expression.operator == "NotIn";
    match expressions.iter_mut().find(by_name) {
        Some(expression) => {
            let names = expression.values.get_or_insert_default();
            if names.iter().any(|name| name == namespace) {
                return None;
            }
            names.push(namespace.to_owned());
        }
        None => expressions.push(LabelSelectorRequirement {
            key: NAME_LABEL.to_owned(),
            operator: "NotIn".to_owned(),
            values: Some(vec![namespace.to_owned()]),
        }),
    }
    Some(selector)
}

/// The API server gives it to every namespace.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::admin::Readiness;
    use crate::testing::ApiServer;
    use serde_json::Value;

    const PLURAL: &str = "mutatingwebhookconfigurations";

    fn configuration() -> Value {
        let entry = |name: &str| {
            json!({"name": name, "admissionReviewVersions": ["v1"], "sideEffects": "None", "future": {"field": 1},
            "namespaceSelector": {"matchExpressions": [{"key": NAME_LABEL, "operator": "NotIn", "values": ["kube-system", "canaries"]}]},
            "clientConfig": {"service": {"namespace": "canaries", "name": "coalmine", "path": "/admit"}}})
        };
        json!({"metadata": {"name": "coalmine"}, "webhooks": [entry("deployments.coalmine.dev"), entry("status.coalmine.dev")]})
    }

    fn registrar(server: &ApiServer) -> (Registrar, watch::Sender<String>, Readiness) {
        let readiness = Readiness::default();
        let (sender, bundle) = watch::channel("trusted".to_owned());
        let condition = readiness.register("webhook");
        let names = crate::server::certificates::names("coalmine", "canaries", None);
        let registrar = Registrar::new(Api::all(server.client()), "coalmine".to_owned(), "canaries".to_owned(), names, bundle, condition);
        (registrar, sender, readiness)
    }

    fn bundles(server: &ApiServer) -> Vec<Value> {
        let stored: Value = server.stored(PLURAL, "coalmine").unwrap();
        stored["webhooks"].as_array().unwrap().iter().map(|entry| entry["clientConfig"]["caBundle"].clone()).collect()
    }

    #[tokio::test]
    async fn every_entry_gets_the_bundle_once_and_again_when_it_changes() {
        let server = ApiServer::default();
        server.store(PLURAL, "coalmine", configuration());
        let (registrar, sender, _) = registrar(&server);
        registrar.step().await.unwrap();
        registrar.step().await.unwrap();
        assert_eq!(bundles(&server), ["dHJ1c3RlZA==", "dHJ1c3RlZA=="]);
        assert_eq!(server.writes(), 1);
        sender.send_replace("other".to_owned());
        registrar.step().await.unwrap();
        assert_eq!(bundles(&server), ["b3RoZXI=", "b3RoZXI="]);
        let stored: Value = server.stored(PLURAL, "coalmine").unwrap();
        assert_eq!(stored["webhooks"][1]["future"]["field"], 1, "nothing else was touched");
    }

    #[tokio::test]
    async fn our_own_namespace_is_left_out_whatever_its_name() {
        let server = ApiServer::default();
        let mut stored = configuration();
        stored["webhooks"][0]["namespaceSelector"]["matchExpressions"][0]["values"] = json!(["kube-system", "coalmine"]);
        stored["webhooks"][1]["namespaceSelector"] = json!({"matchLabels": {"canaries": "yes"}});
        server.store(PLURAL, "coalmine", stored);
        let (registrar, _sender, _) = registrar(&server);
        registrar.step().await.unwrap();
        let stored: Value = server.stored(PLURAL, "coalmine").unwrap();
        let selector = |index: usize| stored["webhooks"][index]["namespaceSelector"].clone();
        let by_name = |names: Value| json!({"key": NAME_LABEL, "operator": "NotIn", "values": names});
        assert_eq!(selector(0), json!({"matchExpressions": [by_name(json!(["kube-system", "coalmine", "canaries"]))]}));
        assert_eq!(selector(1), json!({"matchExpressions": [by_name(json!(["canaries"]))], "matchLabels": {"canaries": "yes"}}));
        registrar.step().await.unwrap();
        assert_eq!(server.writes(), 1);
    }

    #[tokio::test]
    async fn an_installation_without_the_configuration_says_so() {
        let server = ApiServer::default();
        let (registrar, _sender, _) = registrar(&server);
        insta::assert_snapshot!(registrar.step().await.unwrap_err(),
            @r#"failed to find MutatingWebhookConfiguration "coalmine": is Coalmine installed completely, and --webhook-name its name?"#);
    }

    /// As `namePrefix` of a kustomization makes it.
    #[tokio::test]
    async fn a_service_that_the_certificate_is_not_for_is_told_and_its_replica_never_ready() {
        let server = ApiServer::default();
        let mut renamed = configuration();
        renamed["webhooks"][1]["clientConfig"]["service"]["name"] = json!("team-coalmine");
        server.store(PLURAL, "coalmine", renamed);
        let (registrar, _sender, readiness) = registrar(&server);
        insta::assert_snapshot!(registrar.step().await.unwrap_err(),
            @r#"MutatingWebhookConfiguration "coalmine" asks Service "team-coalmine.canaries.svc", whom the API server would not believe: is that --service-name?"#);
        assert_eq!((server.writes(), readiness.is_ready()), (0, false));
    }
}

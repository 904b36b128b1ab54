//! Lists the `PodMonitors` and `ServiceMonitors` of a run's namespace, where they are and may be read: a hint of where its pods' pages are. Where they
//! can't be read nothing is wrong, and they are not asked for again for a while. What they say is `metrics::pages`'.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Service;
use kube::{
    Api, Client,
    api::{DynamicObject, ListParams},
    core::ApiResource,
};
use serde_json::Value;

use super::observe;
use crate::clock;
use coalmine_core::{
    manifest::object,
    metrics::pages::{Endpoint, endpoints},
    run::times::elapsed,
};

/// A kind that isn't there, or may not be read, seldom comes to be.
const REFUSED_FOR: Duration = Duration::from_mins(10);
/// A hint is worth no long wait.
const WITHIN: Duration = Duration::from_secs(3);
const MOST: u32 = 200;

/// What was learned of listing them.
#[derive(Debug, Default)]
pub struct Monitors {
    /// When each kind was refused, by its plural.
    refused: Mutex<HashMap<&'static str, Timestamp>>,
}

impl Monitors {
    /// What they say of this primary's pods; nothing where there is no answer.
    pub async fn of(&self, client: &Client, primary: &Value) -> Vec<Endpoint> {
        let look = async {
            let namespace = object::namespace(primary);
            let pods = self.list(client, namespace, "PodMonitor", "podmonitors").await;
            let services = self.list(client, namespace, "ServiceMonitor", "servicemonitors").await;
            let known = if services.is_empty() { Vec::new() } else { self::services(client, namespace).await };
            endpoints(primary, &pods, &services, &known)
        };
        tokio::time::timeout(WITHIN, look).await.unwrap_or_default()
    }

    async fn list(&self, client: &Client, namespace: &str, kind: &str, plural: &'static str) -> Vec<Value> {
        let refused = || self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused().get(plural).is_some_and(|at| elapsed(*at, clock::now()) < REFUSED_FOR) {
            return Vec::new();
        }
        let (group, version) = ("monitoring.coreos.com", "v1");
        let (kind, api_version) = (kind.to_owned(), format!("{group}/{version}"));
        let resource = ApiResource { group: group.to_owned(), version: version.to_owned(), api_version, kind, plural: plural.to_owned() };
        let api = Api::<DynamicObject>::namespaced_with(client.clone(), namespace, &resource);
        match api.list(&ListParams::default().limit(MOST)).await {
            Ok(found) => found.items.iter().filter_map(|one| observe::json(one, "a monitor").ok()).collect(),
            Err(error) => {
                tracing::debug!(namespace, plural, %error, "no monitors are read");
                if matches!(&error, kube::Error::Api(status) if matches!(status.code, 401 | 403 | 404)) {
                    refused().insert(plural, clock::now());
                }
                Vec::new()
            }
        }
    }
}

async fn services(client: &Client, namespace: &str) -> Vec<Value> {
    match Api::<Service>::namespaced(client.clone(), namespace).list(&ListParams::default()).await {
        Ok(found) => found.items.iter().filter_map(|one| observe::json(one, "a Service").ok()).collect(),
        Err(error) => {
            tracing::debug!(namespace, %error, "no Services are read, so that monitors of them say nothing");
            Vec::new()
        }
    }
}

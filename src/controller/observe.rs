//! Looks at the cluster: the Deployment with the canary's name, the pods of the run, the Services. Reads only.

use k8s_openapi::api::core::v1::{Pod, Service};
use kube::{
    Api,
    api::{DynamicObject, ListParams},
};
use serde::Serialize;
use serde_json::Value;

use super::{Context, Error};
use coalmine_core::{
    api::{
        annotations::{self as key, RUN_LABEL},
        policy::Policy,
    },
    hold::held::Record,
    manifest::object,
    run::{
        canary,
        plan::{Judgement, Observed, ready_since},
        pods::{Health, health},
        services,
    },
};

/// What was seen of one primary's canary.
#[derive(Debug)]
pub(super) struct Seen {
    namesake: Option<Value>,
    health: Health,
    policy: Policy,
    unreached: Option<String>,
}

impl Seen {
    pub(super) async fn look(context: &Context, primary: &Value) -> Result<Self, Error> {
        let namespace = object::namespace(primary);
        // What was admitted can be read; if an object got past admission (before Coalmine was there), the defaults are the careful choice.
        let policy = Policy::of(object::annotations(primary)).unwrap_or_default();
        let name = canary::name(object::name(primary));
        let namesake = context.deployments(namespace).get_opt(&name).await.map_err(Error::api("get the canary"))?;
        let namesake = namesake.map(|found| json(&found, "the canary")).transpose()?;
        let own = namesake.as_ref().filter(|namesake| canary::is_canary_of(namesake, primary));
        let run = object::annotation(primary, key::RUN).unwrap_or_default();
        let trying = object::phase(object::annotations(primary)).is_some_and(key::Phase::is_trying);
        let (health, unreached) = match own.filter(|_| trying) {
            Some(canary) => {
                let pods = Self::pods(context, namespace, run).await?;
                let health = health(&pods, canary, run, ready_since(canary).is_some());
                let first_ready = matches!(health, Health::Ready { .. }) && ready_since(canary).is_none();
                let unreached = if first_ready { Self::unreached(context, namespace, primary, canary).await? } else { None };
                (health, unreached)
            }
            None => (Health::Starting(None), None),
        };
        Ok(Self { namesake, health, policy, unreached })
    }

    async fn pods(context: &Context, namespace: &str, run: &str) -> Result<Vec<Value>, Error> {
        let pods = Api::<Pod>::namespaced(context.client.clone(), namespace);
        let list =
            pods.list(&ListParams::default().labels(&format!("{RUN_LABEL}={run}"))).await.map_err(Error::api("list the canary's pods"))?;
        list.items.iter().map(|pod| json(pod, "a pod")).collect()
    }

    async fn unreached(context: &Context, namespace: &str, primary: &Value, canary: &Value) -> Result<Option<String>, Error> {
        let services = Api::<Service>::namespaced(context.client.clone(), namespace);
        let list = services.list(&ListParams::default()).await.map_err(Error::api("list Services"))?;
        let list: Vec<Value> = list.items.iter().map(|service| json(service, "a Service")).collect::<Result<_, _>>()?;
        Ok(services::unreached(&list, primary, canary))
    }

    pub(super) fn health(&self) -> &Health {
        &self.health
    }

    pub(super) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The canary of this primary and this run.
    pub(super) fn canary<'a>(&'a self, primary: &Value) -> Option<&'a Value> {
        self.namesake
            .as_ref()
            .filter(|namesake| canary::is_canary_of(namesake, primary) && canary::run_of(namesake) == object::annotation(primary, key::RUN))
    }

    pub(super) fn observed<'a>(&'a self, primary: &'a Value, judgement: Option<Judgement>, held: &'a Record) -> Observed<'a> {
        Observed {
            primary,
            held,
            namesake: self.namesake.as_ref(),
            health: self.health.clone(),
            policy: &self.policy,
            judgement,
            unreached: self.unreached.clone(),
            refused: None,
        }
    }
}

/// An object of the client's as plain JSON, which is all that the core knows.
pub(super) fn json<T: Serialize>(object: &T, what: &'static str) -> Result<Value, Error> {
    serde_json::to_value(object).map_err(|source| Error::Json { what, source })
}

/// Back again, for writing.
pub(super) fn dynamic(object: Value) -> Result<DynamicObject, Error> {
    serde_json::from_value(object).map_err(|source| Error::Json { what: "the canary", source })
}

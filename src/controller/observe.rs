//! Looks at the cluster: the Deployment with the canary's name, the pods of the run, the Services. Reads only.

use std::time::Duration;

use k8s_openapi::api::{
    core::v1::{ConfigMap, Pod, Service},
    events::v1::Event,
};
use kube::{
    Api,
    api::{DynamicObject, ListParams},
};
use serde::Serialize;
use serde_json::Value;

use super::{Context, Error, chain};
use crate::clock;
use coalmine_core::{
    api::{annotations::RUN_LABEL, policy::Policy},
    facts::{event::Unreached, judgement::Round},
    hold::{held::Record, replica_sets},
    manifest::object,
    run::{
        canary, live,
        plan::{self, Observed},
        pods::{Health, Trouble, explained, health, ready_condition, unexplained},
        services,
        shared::{self, Shared},
        times::ready_since,
    },
    standing::Standing,
};

/// A template that names more is looked at as far as that.
const MOST_CONFIG_MAPS: usize = 20;
/// Kubernetes counts what repeats, so that a pod has few.
const MOST_EVENTS: u32 = 100;

/// What was seen of one primary's canary.
#[derive(Debug)]
pub(super) struct Seen {
    namesake: Option<Value>,
    health: Health,
    ready_condition: Option<String>,
    policy: Policy,
    unreached: Option<Unreached>,
    shared: Option<Shared>,
    missing_live: Vec<String>,
    freeze: Option<String>,
}

impl Seen {
    pub(super) async fn look(context: &Context, primary: &Value) -> Result<Self, Error> {
        let namespace = object::namespace(primary);
        // What was admitted can be read; if an object got past admission (before Coalmine was there), the defaults are the careful choice.
        let policy = Policy::of(object::annotations(primary)).unwrap_or_default();
        let name = canary::name(object::name(primary));
        let namesake = context.deployments(namespace).get_opt(&name).await.map_err(Error::api("get the canary"))?;
        let namesake = namesake.map(|found| json(&found, "the canary")).transpose()?;
        let mut seen = Self {
            namesake,
            health: Health::Starting(None),
            ready_condition: None,
            policy,
            unreached: None,
            shared: None,
            missing_live: Vec::new(),
            freeze: None,
        };
        let standing = Standing::of(primary);
        if standing.is_trying() {
            seen.freeze = context.namespaces.of(&context.client, namespace, clock::now()).await?.freeze;
            seen.look_at_the_canary(context, primary).await?;
        } else if standing.is_kept_out() {
            seen.missing_live = or_nothing(Self::missing_live(context, primary).await);
        }
        Ok(seen)
    }

    async fn look_at_the_canary(&mut self, context: &Context, primary: &Value) -> Result<(), Error> {
        let namespace = object::namespace(primary);
        let run = Standing::of(primary).run_name();
        let Some(canary) = self.namesake.as_ref().filter(|namesake| canary::is_canary_of(namesake, primary)) else { return Ok(()) };
        let pods = Self::pods(context, namespace, &format!("{RUN_LABEL}={run}")).await?;
        self.health = health(&pods, canary, run, plan::known(canary));
        if let Some((pod, uid)) = unexplained(&pods, canary, run) {
            let events = Self::events(context, namespace, pod).await;
            self.health = explained(self.health.clone(), uid, &events);
        }
        self.ready_condition = ready_condition(&pods, canary, run);
        match self.health {
            Health::Ready { .. } if ready_since(canary).is_none() => {
                self.unreached = or_nothing(Self::unreached(context, namespace, primary, canary).await);
                self.missing_live = or_nothing(Self::missing_live(context, primary).await);
            }
            Health::Failed { trouble, .. } if !matches!(trouble, Trouble::Own | Trouble::NeverRan) => {
                self.shared = shared::with(trouble, primary, &Self::primary_pods(context, primary).await?);
            }
            _ => {}
        }
        Ok(())
    }

    async fn primary_pods(context: &Context, primary: &Value) -> Result<Vec<Value>, Error> {
        Self::pods(context, object::namespace(primary), &format!("{},!{RUN_LABEL}", replica_sets::selector(primary))).await
    }

    /// Rarely asked for: when a canary begins to be judged, and when its template is kept out.
    async fn missing_live(context: &Context, primary: &Value) -> Result<Vec<String>, Error> {
        let api = Api::<ConfigMap>::namespaced(context.client.clone(), object::namespace(primary));
        let mut missing = Vec::new();
        for name in live::config_maps(object::template(primary)).into_iter().take(MOST_CONFIG_MAPS) {
            if api.get_metadata_opt(name).await.map_err(Error::api("look for a ConfigMap"))?.is_none() {
                missing.push(format!("ConfigMap {name} not found"));
            }
        }
        missing.extend(live::waited_for(primary, &Self::primary_pods(context, primary).await?));
        Ok(missing)
    }

    async fn pods(context: &Context, namespace: &str, selector: &str) -> Result<Vec<Value>, Error> {
        let pods = Api::<Pod>::namespaced(context.client.clone(), namespace);
        let list = pods.list(&ListParams::default().labels(selector)).await.map_err(Error::api("list pods"))?;
        list.items.iter().map(|pod| json(pod, "a pod")).collect()
    }

    /// Of a pod. Whoever may not read them goes without.
    async fn events(context: &Context, namespace: &str, pod: &str) -> Vec<Value> {
        let events = Api::<Event>::namespaced(context.client.clone(), namespace);
        let parameters = ListParams::default().fields(&format!("regarding.kind=Pod,regarding.name={pod}")).limit(MOST_EVENTS);
        let list = events.list(&parameters).await.map_err(Error::api("list the Events of a pod"));
        let list = list.inspect_err(|error| tracing::debug!(namespace, pod, error = %chain(error), "a pod's Events can't be read"));
        list.map(|list| list.items.iter().filter_map(|event| json(event, "an Event").ok()).collect()).unwrap_or_default()
    }

    async fn unreached(context: &Context, namespace: &str, primary: &Value, canary: &Value) -> Result<Option<Unreached>, Error> {
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
            .filter(|namesake| canary::is_canary_of(namesake, primary) && canary::run_of(namesake) == Standing::of(primary).run)
    }

    /// Whether the canary's pod is in trouble, and the primary's are not.
    pub(super) fn is_in_trouble_alone(&self) -> bool {
        matches!(self.health, Health::Failed { .. }) && self.shared.is_none()
    }

    pub(super) fn observed<'a>(
        &'a self,
        primary: &'a Value,
        judgement: Option<Round>,
        held: &'a Record,
        alone_for: Duration,
    ) -> Observed<'a> {
        Observed {
            primary,
            held: held.on_trial(),
            namesake: self.namesake.as_ref(),
            health: self.health.clone(),
            ready_condition: self.ready_condition.clone(),
            policy: &self.policy,
            judgement,
            unreached: self.unreached.clone(),
            shared: self.shared,
            alone_for,
            missing_live: self.missing_live.clone(),
            applier: held.valid().map_or("", |held| &held.user),
            freeze: self.freeze.clone(),
            refused: None,
        }
    }
}

/// Of what is for an Event alone: a trial neither waits nor ends for want of it.
fn or_nothing<T: Default>(seen: Result<T, Error>) -> T {
    seen.unwrap_or_else(|error| {
        tracing::warn!(error = %chain(&error), "something that users could be told is not known");
        T::default()
    })
}

/// An object of the client's as plain JSON, which is all that the core knows.
pub(super) fn json<T: Serialize>(object: &T, what: &'static str) -> Result<Value, Error> {
    serde_json::to_value(object).map_err(|source| Error::Json { what, source })
}

/// Back again, for writing.
pub(super) fn dynamic(object: Value) -> Result<DynamicObject, Error> {
    serde_json::from_value(object).map_err(|source| Error::Json { what: "the canary", source })
}

//! Looks at every version of each Deployment, and says what must not be: see `CONTRIBUTING.md` for what holds whatever fails.

use std::{sync::Arc, time::Duration};

use coalmine_core::{
    api::annotations::{Phase, ROLE_CANARY, ROLE_LABEL},
    manifest::{object, template},
};
use futures::StreamExt as _;
use kube::{
    Api,
    api::{ApiResource, DynamicObject, GroupVersionKind},
    runtime::watcher::{self, Event, watcher},
};
use serde_json::Value;

use super::world::{Account, Name, World, rest};
use crate::support::{control_plane::ControlPlane, namespace::held};

/// `canary.duration` of all, less what the clocks of two processes that look at one pod differ by.
const OBSERVED: Duration = Duration::from_millis(9_500);

/// Goes on for ever, whatever becomes of the API server.
pub(super) fn run(control_plane: &ControlPlane, world: Arc<World>) {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk("apps", "v1", "Deployment"));
    let deployments: Api<DynamicObject> = Api::all_with(control_plane.client().clone(), &resource);
    control_plane.spawn(async move {
        let mut versions = watcher(deployments, watcher::Config::default().timeout(20)).boxed();
        while let Some(event) = versions.next().await {
            match event {
                Ok(Event::Init) => drop(world.accounts(|(_, account)| account.missed = true)),
                Ok(Event::InitDone) => drop(world.accounts(|(_, account)| account.missed = false)),
                Ok(Event::InitApply(version) | Event::Apply(version)) => see(&world, &json(&version)),
                Ok(Event::Delete(gone)) => {
                    let gone = json(&gone);
                    world.account(object::namespace(&gone), |account| *place(account, &gone) = None);
                }
                // The API server is away.
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    });
}

fn json(object: &DynamicObject) -> Value {
    serde_json::to_value(object).unwrap_or_default()
}

fn place<'a>(account: &'a mut Account, version: &Value) -> &'a mut Option<Value> {
    if object::label(version, ROLE_LABEL) == Some(ROLE_CANARY) { &mut account.canary } else { &mut account.primary }
}

fn see(world: &World, version: &Value) {
    let namespace = object::namespace(version);
    let found = world.account(namespace, |account| {
        let before = place(account, version).replace(version.clone());
        if object::label(version, ROLE_LABEL) == Some(ROLE_CANARY) {
            return Vec::new();
        }
        let known = before.filter(|before| object::uid(before) == object::uid(version));
        let mut found = faults_of(account, version);
        found.extend(change(world, account, known.as_ref(), version));
        account.lived.insert(Name::of(object::template(version)));
        if let Some(phase) = object::phase(object::annotations(version))
            && account.phases.last().is_none_or(|last| last != phase.as_str())
        {
            account.phases.push(phase.as_str().to_owned());
        }
        found
    });
    for fault in found.into_iter().flatten() {
        world.violate(format!("{namespace}: {fault}"));
    }
}

/// Of one version by itself.
fn faults_of(account: &mut Account, version: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let live = object::template(version);
    let name = Name::of(live);
    let rest = rest(live);
    if account.rest.get_or_insert_with(|| rest.clone()) != &rest {
        found.push(format!("the live template is one that nobody stated: {live}"));
    }
    if !account.images.contains(&name.image) || !account.files.contains(&name.file) {
        found.push(format!("the live template is one that nobody stated: {name:?}"));
    }
    if !name.is_good() && !account.excused.contains(&name) {
        found.push(format!("a bad template is live: {name:?}; {}", told(version)));
    }
    let waits = object::phase(object::annotations(version)).is_some_and(Phase::holds);
    if waits && object::replicas(version) > 0 && is_green(version) {
        found.push(format!("what waits is told that the rollout is over: {}; {}", version["status"], told(version)));
    }
    found
}

/// From one version to the next.
fn change(world: &World, account: &Account, before: Option<&Value>, version: &Value) -> Option<String> {
    let before = before?;
    let live = object::template(version);
    if account.missed || template::same(object::template(before), live) || !object::is_opted_in(object::annotations(version)) {
        return None;
    }
    let name = Name::of(live);
    match object::phase(object::annotations(version)) {
        Some(Phase::Promoted) => {
            let was_held = held(before).is_some_and(|held| template::same(&held.template, live));
            let observed = world.canary_ready_for(object::namespace(version), &name);
            let proven = observed.is_some_and(|observed| observed >= OBSERVED);
            (!was_held || !proven || !name.is_good())
                .then(|| format!("{name:?} was promoted; held: {was_held}, its canary Ready: {observed:?}; {}", told(version)))
        }
        Some(Phase::RolledBack) => {
            (!account.lived.contains(&name)).then(|| format!("{name:?} was never live and came back; {}", told(version)))
        }
        Some(Phase::Skipped) => (object::replicas(version) > 0).then(|| format!("{name:?} was let through; {}", told(version))),
        other => Some(format!("{name:?} became the live template in phase {other:?}; {}", told(version))),
    }
}

/// As `kubectl rollout status` reads it.
pub(super) fn is_green(app: &Value) -> bool {
    let number = |path: &str| app.pointer(path).and_then(Value::as_i64).unwrap_or_default();
    let (updated, replicas) = (number("/status/updatedReplicas"), object::replicas(app));
    number("/status/observedGeneration") >= number("/metadata/generation")
        && updated >= replicas
        && number("/status/replicas") <= updated
        && number("/status/availableReplicas") >= updated
}

/// What is on the object, in one line.
pub(super) fn told(app: &Value) -> String {
    let annotations = object::annotations(app);
    let state: Vec<String> = ["canary.enabled", "canary.state/phase", "canary.state/since", "canary.state/message", "canary.state/run"]
        .into_iter()
        .filter_map(|key| Some(format!("{key}={}", annotations.get(key)?)))
        .collect();
    let held = held(app).map(|held| Name::of(&held.template));
    let live = Name::of(object::template(app));
    format!("replicas {}, live {live:?}, held {held:?}, {}", object::replicas(app), state.join(", "))
}

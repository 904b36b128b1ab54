//! Carries out what was planned, in order, each write on condition that nothing changed since it was planned. Decides nothing.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::ReplicaSet;
use kube::{
    Api,
    api::{ApiResource, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, Preconditions, PropagationPolicy},
};
use serde_json::{Value, json};

use super::{Context, Error, observe};
use crate::clock;
use coalmine_core::{
    api::{
        annotations::{self as key, Phase},
        policy::Policy,
    },
    hold::{admit::FIELD_MANAGER, held::Held, promotion, replica_sets, status},
    manifest::object,
    run::{
        canary,
        events::Event,
        plan::{Action, READY_ANNOTATION, READY_POD_ANNOTATION, refused},
    },
};

pub(super) async fn act(
    context: &Context,
    primary: &Value,
    held: Option<&Held>,
    policy: &Policy,
    actions: Vec<Action>,
) -> Result<(), Error> {
    let actor = Actor { context, primary, held, now: clock::now() };
    for action in actions {
        context.may_write()?;
        actor.carry_out(action, policy).await?;
    }
    Ok(())
}

struct Actor<'a> {
    context: &'a Context,
    primary: &'a Value,
    held: Option<&'a Held>,
    now: Timestamp,
}

impl Actor<'_> {
    async fn carry_out(&self, action: Action, policy: &Policy) -> Result<(), Error> {
        match action {
            Action::Publish(event) => {
                self.context.publish(self.primary, &event).await;
                Ok(())
            }
            Action::Create(canary) => self.create(canary, policy).await,
            Action::Delete { uid } => self.delete(uid).await,
            Action::MarkReady { pod } => {
                let patch = json!({"metadata": {"annotations": {READY_ANNOTATION: self.now.to_string(), READY_POD_ANNOTATION: pod}}});
                self.patch(&self.canary_name(), &Patch::Merge(patch), "mark the canary as Ready").await
            }
            Action::Write { phase, message } => self.write(phase, message.as_deref()).await,
            Action::Promote { message } => {
                let Some(held) = self.held else { return Ok(()) };
                let patch = promotion::patch(self.primary, &held.template, &message, &second(self.now));
                match self.json_patch(patch, "promote the held template").await {
                    Ok(()) => self.context.metrics.verdict(Phase::Promoted),
                    Err(error) => self.not_promoted(error, policy).await?,
                }
                Ok(())
            }
            Action::Condition { phase, message } => self.condition(phase, &message).await,
            Action::CleanReplicaSets => self.clean_replica_sets().await,
            Action::Release => self.json_patch(promotion::release_patch(self.primary), "release the Deployment").await,
        }
    }

    fn canary_name(&self) -> String {
        canary::name(object::name(self.primary))
    }

    fn namespace(&self) -> &str {
        object::namespace(self.primary)
    }

    async fn create(&self, canary: Value, policy: &Policy) -> Result<(), Error> {
        let parameters = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let created = self.context.deployments(self.namespace()).create(&parameters, &observe::dynamic(canary)?).await;
        match created {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
            Err(error) => Err(self.told(Error::api("create the canary")(error), |words| refused::creation(words, policy)).await),
        }
    }

    /// The error again, once the user was told what the API server will not have, in its words.
    async fn told(&self, error: Error, event: impl FnOnce(&str) -> Event) -> Error {
        if let Some(words) = error.refusal() {
            self.context.publish(self.primary, &event(words)).await;
        }
        error
    }

    async fn not_promoted(&self, error: Error, policy: &Policy) -> Result<(), Error> {
        let Some(words) = error.refusal() else { return Err(error) };
        match refused::promotion(self.primary, policy, words, self.now) {
            Ok(event) => {
                self.context.publish(self.primary, &event).await;
                Err(error)
            }
            Err(message) => self.write(Phase::Inconclusive, Some(&message)).await,
        }
    }

    async fn write(&self, phase: Phase, message: Option<&str>) -> Result<(), Error> {
        let patch = promotion::state_patch(self.primary, phase, message, &second(self.now));
        if let Err(error) = self.json_patch(patch, "write the phase").await {
            return Err(self.told(error, refused::state).await);
        }
        self.context.metrics.verdict(phase);
        Ok(())
    }

    async fn delete(&self, uid: String) -> Result<(), Error> {
        let parameters = DeleteParams {
            preconditions: Some(Preconditions { uid: Some(uid), resource_version: None }),
            propagation_policy: Some(PropagationPolicy::Background),
            ..DeleteParams::default()
        };
        match self.context.deployments(self.namespace()).delete(&self.canary_name(), &parameters).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            Ok(_) => Ok(()),
            Err(error) => {
                let name = self.canary_name();
                Err(self.told(Error::api("delete the canary")(error), |words| refused::deletion(&name, words)).await)
            }
        }
    }

    async fn patch(&self, name: &str, patch: &Patch<Value>, doing: &'static str) -> Result<(), Error> {
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        match self.context.deployments(self.namespace()).patch(name, &parameters, patch).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            result => result.map(|_| ()).map_err(Error::api(doing)),
        }
    }

    async fn json_patch(&self, operations: Value, doing: &'static str) -> Result<(), Error> {
        let patch = serde_json::from_value(operations).map_err(|source| Error::Json { what: "a patch", source })?;
        self.patch(object::name(self.primary), &Patch::Json::<Value>(patch), doing).await
    }

    async fn condition(&self, phase: Phase, message: &str) -> Result<(), Error> {
        let condition = status::canary_condition(self.primary, phase, message, &second(self.now));
        let patch = json!({"status": {"conditions": [condition]}});
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let api = self.context.deployments(self.namespace());
        match api.patch_status(object::name(self.primary), &parameters, &Patch::Strategic(patch)).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            result => result.map(|_| ()).map_err(Error::api("write the condition")),
        }
    }

    /// The Deployment controller copies our annotations to the current ReplicaSet and never takes them away.
    async fn clean_replica_sets(&self) -> Result<(), Error> {
        // Untyped: a typed one would lose the template's fields that are newer than our libraries, and so its hash.
        let resource = ApiResource::erase::<ReplicaSet>(&());
        let api = Api::<DynamicObject>::namespaced_with(self.context.client.clone(), self.namespace(), &resource);
        let selector = replica_sets::selector(self.primary);
        let list = api.list(&ListParams::default().labels(&selector)).await.map_err(Error::api("list ReplicaSets"))?;
        let sets: Vec<Value> = list.items.iter().map(|set| observe::json(set, "a ReplicaSet")).collect::<Result<_, _>>()?;
        let own: Vec<&Value> = sets.iter().filter(|set| replica_sets::is_owned_by(set, self.primary)).collect();
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        for set in &own {
            let Some(patch) = replica_sets::without_state(set) else { continue };
            match api.patch(object::name(set), &parameters, &Patch::Merge(patch)).await {
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                result => result.map(|_| ()).map_err(Error::api("clean a ReplicaSet"))?,
            }
        }
        let proven = object::annotation(self.primary, key::PROVEN).unwrap_or_default();
        let kept = replica_sets::still_there(proven, &own, self.primary);
        if kept != proven {
            let patch = json!({"metadata": {"annotations": {key::PROVEN: kept}}});
            self.patch(object::name(self.primary), &Patch::Merge(patch), "shorten the list of proven templates").await?;
        }
        Ok(())
    }
}

/// A time as Kubernetes writes it.
fn second(now: Timestamp) -> String {
    Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}

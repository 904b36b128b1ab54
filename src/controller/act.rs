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
    api::annotations::{self as key, Phase},
    facts::why::Why,
    hold::{admit::FIELD_MANAGER, audit::Decision, held::Record, promotion, replica_sets, status},
    manifest::{object, references},
    message,
    run::{
        canary,
        evidence::Evidence,
        history::{self, Verdict},
        plan::{
            Action, EXCUSED_ANNOTATION, READY_AGAIN_ANNOTATION, READY_CONDITION_ANNOTATION, READY_POD_ANNOTATION, Refused, dispensable,
        },
        times::{self, READY_ANNOTATION},
    },
    standing::Standing,
};

/// How far a plan came.
pub(super) enum Outcome {
    Done,
    /// The API server refused this, and what comes after it was not tried.
    Refused(Refused),
}

/// `evidence` goes into the history with a verdict.
pub(super) async fn act(
    context: &Context,
    primary: &Value,
    held: &Record,
    evidence: &Evidence,
    actions: Vec<Action>,
) -> Result<Outcome, Error> {
    let actor = Actor { context, primary, held, evidence, now: clock::now() };
    for action in actions {
        context.may_write()?;
        let Err(error) = actor.carry_out(&action).await else { continue };
        let Some(words) = error.refusal() else { return Err(error) };
        tracing::info!(namespace = actor.namespace(), name = object::name(primary), error = %super::chain(&error), "refused");
        let refused = Refused { action, words };
        let Some(event) = dispensable(&refused) else { return Ok(Outcome::Refused(refused)) };
        context.publish(primary, &event).await;
    }
    Ok(Outcome::Done)
}

struct Actor<'a> {
    context: &'a Context,
    primary: &'a Value,
    held: &'a Record,
    evidence: &'a Evidence,
    now: Timestamp,
}

impl Actor<'_> {
    async fn carry_out(&self, action: &Action) -> Result<(), Error> {
        match action {
            Action::Publish(event) => {
                self.context.publish(self.primary, event).await;
                Ok(())
            }
            Action::Create(canary) => self.create(canary).await,
            Action::Delete { uid, with_pods } => self.delete(uid, *with_pods).await,
            Action::Excuse(until) => {
                let patch = json!({"metadata": {"annotations": {EXCUSED_ANNOTATION: until.to_string()}}});
                self.patch(&self.canary_name(), &Patch::Merge(patch), "excuse what the primary's pods share").await
            }
            Action::CountRemade(count) => {
                self.json_patch(promotion::note_patch(self.primary, key::REMADE, count), "count a canary that is made anew").await
            }
            Action::Pause => self.json_patch(promotion::pause_patch(self.primary, &second(self.now)), "pause the trial").await,
            Action::Resume => self.json_patch(promotion::resume_patch(self.primary, self.now), "resume the trial").await,
            Action::Remember(history) => {
                self.json_patch(promotion::note_patch(self.primary, key::HISTORY, history), "write the history").await
            }
            Action::MarkCondition { condition, again } => {
                let mut annotations = json!({READY_CONDITION_ANNOTATION: condition});
                if *again {
                    annotations[READY_AGAIN_ANNOTATION] = json!(self.now.to_string());
                }
                let patch = json!({"metadata": {"annotations": annotations}});
                self.patch(&self.canary_name(), &Patch::Merge(patch), "note when the canary's pod was Ready").await
            }
            Action::MarkReady { pod } => {
                let patch = json!({"metadata": {"annotations": {READY_ANNOTATION: self.now.to_string(), READY_POD_ANNOTATION: pod}}});
                self.patch(&self.canary_name(), &Patch::Merge(patch), "mark the canary as Ready").await
            }
            Action::Write { phase, why } => self.write(*phase, words(why.as_ref()).as_deref()).await,
            Action::WriteAside { phase, why } => self.write_aside(*phase, words(why.as_ref()).as_deref()).await,
            Action::Promote(promotion) => self.promote(&message::why::promotion(promotion)).await,
            Action::Condition { phase, message } => self.condition(*phase, message).await,
            Action::CleanReplicaSets => self.clean_replica_sets().await,
            Action::Release => self.json_patch(promotion::release_patch(self.primary), "release the Deployment").await,
        }
    }

    async fn promote(&self, message: &str) -> Result<(), Error> {
        let Record::Valid(held) = self.held else { return Ok(()) };
        let patch = promotion::patch(self.primary, &held.template, message, &second(self.now));
        let patch = self.remembering(patch, Phase::Promoted, message).await;
        let promoted = self.json_patch(patch, "promote the held template").await;
        self.wrote(promoted, "promoted", Phase::Promoted, message).await
    }

    fn canary_name(&self) -> String {
        canary::name(object::name(self.primary))
    }

    fn namespace(&self) -> &str {
        object::namespace(self.primary)
    }

    async fn create(&self, canary: &Value) -> Result<(), Error> {
        let parameters = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let created = self.context.deployments(self.namespace()).create(&parameters, &observe::dynamic(canary.clone())?).await;
        match created {
            Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
            Ok(created) => self.as_created(&observe::json(&created, "the canary")?).await,
            Err(error) => Err(Error::api("create the canary")(error)),
        }
    }

    /// One that nobody would know again must not stay.
    async fn as_created(&self, created: &Value) -> Result<(), Error> {
        let Some(lacking) = canary::lacks(created, self.primary, Standing::of(self.primary).run_name()) else { return Ok(()) };
        let (name, policy) = (object::name(created), PropagationPolicy::Background);
        self.context.delete_canary(self.namespace(), name, object::uid(created), policy).await?;
        Err(Error::Altered(lacking))
    }

    fn audit(&self, verb: &'static str, to: Phase, reason: &str) {
        crate::telemetry::audit(&Decision::of_controller(self.primary, verb, to, reason).line(self.now));
    }

    async fn state_patch(&self, phase: Phase, message: Option<&str>) -> Value {
        let patch = promotion::state_patch(self.primary, phase, message, &second(self.now));
        self.remembering(patch, phase, message.unwrap_or_default()).await
    }

    /// With the history, and what has yet to be told, where this is a verdict.
    async fn remembering(&self, patch: Value, phase: Phase, message: &str) -> Value {
        let Record::Valid(held) = self.held else { return patch };
        let verdict = Verdict { phase, message, template: &held.template, user: &held.user };
        let unsent = self.context.notices.unsent(self.context, self.primary, verdict, self.now).await;
        let patch = promotion::with_note(patch, key::UNSENT, unsent.as_deref());
        let history = history::after(self.primary, verdict, self.evidence, unsent.as_deref().map_or(0, str::len), self.now);
        promotion::with_note(patch, key::HISTORY, history.as_deref())
    }

    /// What follows once the phase is written, which it may be although no answer came: nobody comes back to what is done.
    async fn wrote(&self, written: Result<(), Error>, verb: &'static str, phase: Phase, message: &str) -> Result<(), Error> {
        match written {
            Err(error) if error.is_lost() && self.is_written(phase).await => {}
            written => written?,
        }
        let took = Standing::of(self.primary).since.map(|began| times::elapsed(began, self.now));
        self.context.metrics.phase(self.namespace(), phase, took);
        self.context.notices.wake(self.namespace(), object::name(self.primary));
        self.audit(verb, phase, message);
        Ok(())
    }

    async fn is_written(&self, phase: Phase) -> bool {
        let found = self.context.deployments(self.namespace()).get_opt(object::name(self.primary)).await.ok().flatten();
        let found = found.and_then(|found| observe::json(&found, "the Deployment").ok());
        found.is_some_and(|found| {
            let (before, now) = (Standing::of(self.primary), Standing::of(&found));
            now.phase == Some(phase) && now.run == before.run && (now.phase, now.since) != (before.phase, before.since)
        })
    }

    async fn write(&self, phase: Phase, message: Option<&str>) -> Result<(), Error> {
        let written = self.json_patch(self.state_patch(phase, message).await, "write the phase").await;
        self.wrote(written, "wrote", phase, message.unwrap_or_default()).await
    }

    async fn write_aside(&self, phase: Phase, message: Option<&str>) -> Result<(), Error> {
        let patch = json_patch(self.state_patch(phase, message).await)?;
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let api = self.context.deployments(self.namespace());
        let written = api.patch_status(object::name(self.primary), &parameters, &patch).await.map(drop);
        self.wrote(written.map_err(Error::api("write the phase to the status")), "wrote", phase, message.unwrap_or_default()).await
    }

    async fn delete(&self, uid: &str, with_pods: bool) -> Result<(), Error> {
        let policy = if with_pods { PropagationPolicy::Foreground } else { PropagationPolicy::Background };
        self.context.delete_canary(self.namespace(), &self.canary_name(), uid, policy).await
    }

    async fn patch(&self, name: &str, patch: &Patch<Value>, doing: &'static str) -> Result<(), Error> {
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        match self.context.deployments(self.namespace()).patch(name, &parameters, patch).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            result => result.map(|_| ()).map_err(Error::api(doing)),
        }
    }

    async fn json_patch(&self, operations: Value, doing: &'static str) -> Result<(), Error> {
        self.patch(object::name(self.primary), &json_patch(operations)?, doing).await
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
        let own: Vec<&Value> = sets.iter().filter(|set| references::is_owned_by(set, self.primary)).collect();
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        for set in &own {
            let Some(patch) = replica_sets::without_state(set) else { continue };
            match api.patch(object::name(set), &parameters, &Patch::Merge(patch)).await {
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                result => result.map(|_| ()).map_err(Error::api("clean a ReplicaSet"))?,
            }
        }
        if let Some(kept) = replica_sets::shortened_proven(&own, self.primary) {
            let patch = json!({"metadata": {"annotations": {key::PROVEN: kept}}});
            self.patch(object::name(self.primary), &Patch::Merge(patch), "shorten the list of proven templates").await?;
        }
        Ok(())
    }
}

impl Context {
    /// Only the Deployment with this uid.
    pub(super) async fn delete_canary(&self, namespace: &str, name: &str, uid: &str, policy: PropagationPolicy) -> Result<(), Error> {
        let parameters = DeleteParams {
            preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
            propagation_policy: Some(policy),
            ..DeleteParams::default()
        };
        match self.deployments(namespace).delete(name, &parameters).await {
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
            result => result.map(drop).map_err(Error::api("delete the canary")),
        }
    }
}

pub(super) fn json_patch(operations: Value) -> Result<Patch<Value>, Error> {
    serde_json::from_value(operations).map(Patch::Json).map_err(|source| Error::Json { what: "a patch", source })
}

/// The reason of a phase as its message.
fn words(why: Option<&Why>) -> Option<String> {
    why.map(message::why::why)
}

/// A time as Kubernetes writes it.
fn second(now: Timestamp) -> String {
    Timestamp::from_second(now.as_second()).unwrap_or(now).to_string()
}

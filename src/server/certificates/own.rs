//! Coalmine as its own authority: one Secret that the replicas share, created by whoever is first, renewed by whoever
//! sees it due. Every write carries the version that was read, so that two replicas never serve different authorities.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::PostParams;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::material::Material;
use super::{SECRET, mint, renewal};
use crate::clock;
use crate::server::admin::Condition;
use crate::server::tls::CurrentCertificate;

/// On the Secret: any new value makes everything anew, and nothing that was before is trusted any more.
pub const START_OVER: &str = "coalmine.dev/start-over";

/// How often the Secret is looked at: this is also how soon a replica notices what another one renewed.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// After a failure; doubled each time up to the usual look.
const RETRY_AFTER: Duration = Duration::from_millis(500);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Lost races in a row before giving up until the next look.
const ATTEMPTS: usize = 5;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to {verb} Secret {SECRET:?}")]
    Request { verb: &'static str, source: Box<kube::Error> },
    #[error("failed to {verb} Secret {SECRET:?}: no answer within {} s", ANSWER_WITHIN.as_secs())]
    Timeout { verb: &'static str },
    #[error("failed to write Secret {SECRET:?}: other replicas were quicker {ATTEMPTS} times")]
    Races,
    #[error(transparent)]
    Mint(#[from] mint::Error),
    #[error(transparent)]
    Material(#[from] super::material::Error),
}

#[derive(Debug)]
pub struct Keeper {
    secrets: Api<Secret>,
    names: Vec<String>,
    current: Arc<CurrentCertificate>,
    condition: Condition,
    /// What is being served; written back should the Secret be deleted.
    material: Option<Material>,
    bundle: watch::Sender<String>,
}

impl Keeper {
    /// The receiver holds whom to trust, empty until it is known.
    pub fn new(
        secrets: Api<Secret>,
        names: Vec<String>,
        current: Arc<CurrentCertificate>,
        condition: Condition,
    ) -> (Self, watch::Receiver<String>) {
        let (bundle, bundles) = watch::channel(String::new());
        (Self { secrets, names, current, condition, material: None, bundle }, bundles)
    }

    pub async fn run(mut self, stop: CancellationToken) {
        let mut failures = 0;
        while !stop.is_cancelled() {
            let pause = match self.step(clock::now()).await {
                Ok(()) => {
                    failures = 0;
                    LOOK_EVERY
                }
                Err(error) => {
                    // Once per outage; a certificate that was loaded before goes on being served.
                    if failures == 0 {
                        tracing::warn!(error = &error as &dyn std::error::Error, "cannot look after the certificate");
                    }
                    failures += 1;
                    super::retry_after(RETRY_AFTER, failures, LOOK_EVERY)
                }
            };
            let _ = tokio::time::timeout(pause, stop.cancelled()).await;
        }
    }

    /// Reads the Secret, makes or renews what is due, and serves it.
    async fn step(&mut self, now: Timestamp) -> Result<(), Error> {
        for _ in 0..ATTEMPTS {
            let secret = ask("read", self.secrets.get_opt(SECRET)).await?;
            let stored = secret.as_ref().and_then(|secret| match Material::from_data(secret.data.as_ref()?) {
                Ok(material) => Some(material),
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "Secret {SECRET:?} is unusable and is made anew");
                    None
                }
            });
            let order = secret.as_ref().and_then(|secret| secret.metadata.annotations.as_ref()?.get(START_OVER).cloned());
            let known = stored.clone().or_else(|| self.material.clone());
            let is_new = |order: &String| known.as_ref().is_none_or(|known| known.started_over.as_ref() != Some(order));
            let wanted = match known {
                _ if order.as_ref().is_some_and(is_new) => {
                    tracing::warn!(order, "asked to start over: what was trusted before is trusted no more");
                    Material { started_over: order, ..renewal::fresh(&self.names, now)? }
                }
                Some(material) => renewal::renewed(material, &self.names, now)?,
                None => renewal::fresh(&self.names, now)?,
            };
            if stored.as_ref() == Some(&wanted) || self.write(secret, &wanted).await? {
                return self.serve(wanted);
            }
        }
        Err(Error::Races)
    }

    /// False when another replica was quicker.
    async fn write(&self, secret: Option<Secret>, material: &Material) -> Result<bool, Error> {
        let data = Some(material.to_data());
        let parameters = PostParams::default();
        let written = match secret {
            None => {
                let metadata = ObjectMeta { name: Some(SECRET.to_owned()), ..ObjectMeta::default() };
                let secret = Secret { metadata, data, type_: Some("Opaque".to_owned()), ..Secret::default() };
                ask("create", self.secrets.create(&parameters, &secret)).await
            }
            Some(secret) => ask("write", self.secrets.replace(SECRET, &parameters, &Secret { data, ..secret })).await,
        };
        match written {
            Ok(_) => {
                tracing::info!(until = %material.serving.validity.until, "made a serving certificate and stored it in Secret {SECRET:?}");
                Ok(true)
            }
            Err(Error::Request { source, .. }) if is_lost_race(&source) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn serve(&mut self, material: Material) -> Result<(), Error> {
        if self.material.as_ref().is_none_or(|before| before.serving != material.serving) {
            self.current.set(material.certified_key()?, Some(material.serving.validity.until));
        }
        let bundle = material.bundle();
        self.bundle.send_if_modified(|current| std::mem::replace(current, bundle.clone()) != bundle);
        self.material = Some(material);
        self.condition.holds();
        Ok(())
    }
}

/// A Secret deleted between our read and our write is one too: the next attempt creates it.
fn is_lost_race(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_conflict() || status.is_already_exists() || status.is_not_found())
}

async fn ask<T>(verb: &'static str, request: impl Future<Output = kube::Result<T>>) -> Result<T, Error> {
    match tokio::time::timeout(ANSWER_WITHIN, request).await {
        Ok(answer) => answer.map_err(|source| Error::Request { verb, source: Box::new(source) }),
        Err(_) => Err(Error::Timeout { verb }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::admin::Readiness;
    use crate::testing::ApiServer;
    use jiff::SignedDuration;
    use serde_json::json;

    fn keeper(server: &ApiServer) -> (Keeper, watch::Receiver<String>, Readiness) {
        let readiness = Readiness::default();
        let condition = readiness.register("certificate");
        let names = vec!["coalmine.coalmine.svc".to_owned()];
        let (keeper, bundle) = Keeper::new(Api::namespaced(server.client(), "coalmine"), names, Arc::default(), condition);
        (keeper, bundle, readiness)
    }

    fn start() -> Timestamp {
        "2026-11-23T12:00:00Z".parse().unwrap()
    }

    fn stored(server: &ApiServer) -> Material {
        let secret: Secret = server.stored("secrets", SECRET).unwrap();
        Material::from_data(&secret.data.unwrap()).unwrap()
    }

    #[tokio::test]
    async fn the_first_replica_makes_it_and_the_others_use_it() {
        let server = ApiServer::default();
        let (mut first, first_bundle, readiness) = keeper(&server);
        assert!(!readiness.is_ready());
        first.step(start()).await.unwrap();
        assert!(readiness.is_ready());
        let (mut second, second_bundle, _) = keeper(&server);
        second.step(start()).await.unwrap();
        first.step(start()).await.unwrap();
        assert_eq!(*first_bundle.borrow(), *second_bundle.borrow());
        assert_eq!(second.material, first.material);
        assert_eq!(server.writes(), 1);
    }

    #[tokio::test]
    async fn a_lost_race_ends_with_the_winners_certificate() {
        let server = ApiServer::default();
        let (mut winner, bundle, _) = keeper(&server);
        winner.step(start()).await.unwrap();
        let won = server.stored::<serde_json::Value>("secrets", SECRET).unwrap();
        server.remove("secrets", SECRET);
        // The loser reads before and writes after the winner: its read finds nothing, its write a conflict.
        let (mut loser, loser_bundle, _) = keeper(&server);
        server.store_on_next_write("secrets", SECRET, won);
        loser.step(start()).await.unwrap();
        assert_eq!(*loser_bundle.borrow(), *bundle.borrow());
    }

    #[tokio::test]
    async fn renewed_by_one_and_picked_up_by_the_other() {
        let server = ApiServer::default();
        let ((mut first, ..), (mut second, ..)) = (keeper(&server), keeper(&server));
        first.step(start()).await.unwrap();
        second.step(start()).await.unwrap();
        let later = start() + SignedDuration::from_hours(24 * 61);
        first.step(later).await.unwrap();
        second.step(later).await.unwrap();
        assert_eq!(first.material, second.material);
        assert_eq!(stored(&server).serving.validity.from, later);
        assert_eq!(server.writes(), 2);
    }

    #[tokio::test]
    async fn a_deleted_secret_comes_back_as_it_was_and_a_broken_one_is_replaced() {
        let server = ApiServer::default();
        let (mut keeper, bundle, _) = keeper(&server);
        keeper.step(start()).await.unwrap();
        let (before, trusted) = (stored(&server), bundle.borrow().clone());
        server.remove("secrets", SECRET);
        keeper.step(start()).await.unwrap();
        assert_eq!(stored(&server), before, "the other replicas' certificates stay trusted");
        server.store("secrets", SECRET, json!({"metadata": {"name": SECRET}, "data": {"tls.crt": "Z2FyYmFnZQ=="}}));
        keeper.step(start()).await.unwrap();
        assert_eq!((stored(&server), bundle.borrow().clone()), (before, trusted));
    }

    #[tokio::test]
    async fn what_a_newer_version_writes_besides_makes_no_certificate_anew() {
        let server = ApiServer::default();
        let (mut keeper, bundle, _) = keeper(&server);
        keeper.step(start()).await.unwrap();
        let (before, trusted, writes) = (stored(&server), bundle.borrow().clone(), server.writes());
        let mut secret: Secret = server.stored("secrets", SECRET).unwrap();
        let data = secret.data.as_mut().unwrap();
        let state = String::from_utf8(data["state.json"].0.clone()).unwrap().replacen('{', r#"{"algorithm": "new", "#, 1);
        data.insert("state.json".to_owned(), k8s_openapi::ByteString(state.into_bytes()));
        server.store("secrets", SECRET, serde_json::to_value(secret).unwrap());
        keeper.step(start()).await.unwrap();
        assert_eq!((stored(&server), bundle.borrow().clone(), server.writes()), (before, trusted, writes), "nothing is written");
    }

    #[tokio::test]
    async fn whoever_starts_over_is_rid_of_the_key_that_leaked_and_no_replica_brings_it_back() {
        let server = ApiServer::default();
        let ((mut first, bundle, _), (mut second, other_bundle, _)) = (keeper(&server), keeper(&server));
        first.step(start()).await.unwrap();
        second.step(start()).await.unwrap();
        let leaked = stored(&server);
        let mut secret: serde_json::Value = server.stored("secrets", SECRET).unwrap();
        secret["metadata"]["annotations"] = json!({START_OVER: "2026-11-23"});
        server.store("secrets", SECRET, secret.clone());
        first.step(start()).await.unwrap();
        second.step(start()).await.unwrap();
        let fresh = stored(&server);
        assert!(fresh.authority.key != leaked.authority.key && fresh.serving.key != leaked.serving.key);
        assert!(!bundle.borrow().contains(leaked.authority.certificate.trim()), "it would still be trusted");
        assert_eq!((&second.material, &*bundle.borrow()), (&first.material, &*other_bundle.borrow()));
        // Once is enough, also for a replica that starts later.
        first.step(start()).await.unwrap();
        keeper(&server).0.step(start()).await.unwrap();
        assert_eq!(stored(&server), fresh);
        server.remove("secrets", SECRET);
        second.step(start()).await.unwrap();
        assert_eq!(stored(&server), fresh, "what comes back is the new one");
        secret = server.stored("secrets", SECRET).unwrap();
        secret["metadata"]["annotations"] = json!({START_OVER: "again"});
        server.store("secrets", SECRET, secret);
        second.step(start()).await.unwrap();
        assert_ne!(stored(&server).authority, fresh.authority);
    }
}

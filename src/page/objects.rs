//! The Deployments themselves, asked for by name when somebody looks at one.

use std::time::Duration;

use coalmine_core::{run::canary, state::State, view::status};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use kube::{Api, Client, api::DynamicObject};
use serde_json::Value;

use crate::kubernetes::deployments;

/// For one answer of the API server.
const PATIENCE: Duration = Duration::from_secs(5);
/// Questions of one answer at the same time.
const AT_ONCE: usize = 8;

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("failed to read the Deployment")]
    Api(#[from] kube::Error),
    #[error("failed to read the Deployment as JSON")]
    Json(#[from] serde_json::Error),
    #[error("failed to read the Deployment: the API server does not answer")]
    Late(#[from] tokio::time::error::Elapsed),
}

pub(super) struct Objects {
    client: Client,
}

impl Objects {
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }

    /// With its canary's Deployment.
    pub(super) async fn both(&self, namespace: &str, name: &str) -> Result<Option<status::Objects>, Error> {
        let canary = canary::name(name);
        let (primary, namesake) = futures::try_join!(self.one(namespace, name), self.one(namespace, &canary))?;
        Ok(primary.map(|primary| status::Objects { primary, namesake, ..status::Objects::default() }))
    }

    /// What each says, in this order, without those that are gone. The objects themselves are let go one by one.
    pub(super) async fn all(&self, places: Vec<(String, String)>) -> Result<Vec<State>, Error> {
        let asked = places.into_iter().map(|(namespace, name)| async move {
            let found = self.one(&namespace, &name).await?;
            Ok::<_, Error>(found.map(|object| State::of(&object, None)))
        });
        let found: Vec<Option<State>> = stream::iter(asked).buffered(AT_ONCE).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn one(&self, namespace: &str, name: &str) -> Result<Option<Value>, Error> {
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), namespace, &deployments());
        let found = tokio::time::timeout(PATIENCE, api.get_opt(name)).await??;
        Ok(found.map(|found| serde_json::to_value(&found)).transpose()?)
    }
}

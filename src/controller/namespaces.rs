//! What namespaces say in `canary.freeze` and `canary.notify`, looked up when a template of theirs is on trial and remembered for two seconds.
//! Decides nothing.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};
use serde_json::Value;

use super::{Error, chain, observe};
use coalmine_core::{
    api::notify,
    manifest::object,
    run::{gates, times::elapsed},
};

const REMEMBERED: Duration = Duration::from_secs(2);
/// What was known so long ago stands in for an answer that doesn't come: a moment's trouble must not end a trial.
const STANDS_IN: Duration = Duration::from_secs(30);
/// More namespaces than that have nothing on trial at once.
const MOST: usize = 1000;

/// What one namespace wants of all its templates.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wishes {
    /// Why nothing is tried.
    pub(crate) freeze: Option<String>,
    /// The sinks that are told of verdicts.
    pub(crate) notify: Option<Vec<String>>,
}

#[derive(Debug, Default)]
pub(super) struct Namespaces {
    known: Mutex<HashMap<String, (Timestamp, Wishes)>>,
}

impl Namespaces {
    /// What may not be looked up may be frozen: nothing is let in there, and the words say why. An error where the API server can't say now.
    pub(super) async fn of(&self, client: &Client, namespace: &str, now: Timestamp) -> Result<Wishes, Error> {
        let known = self.known(namespace, now);
        if let Some((_, wishes)) = known.as_ref().filter(|(at, _)| elapsed(*at, now) < REMEMBERED) {
            return Ok(wishes.clone());
        }
        let wishes = match (look(client, namespace).await, known) {
            (Ok(wishes), _) => wishes,
            (Err(error), known) => {
                tracing::warn!(namespace, error = %chain(&error), "failed to see whether the namespace is frozen");
                if error.refusal().is_none() {
                    return known.map(|(_, wishes)| wishes).ok_or(error);
                }
                let freeze = "whether it is frozen can't be read (the right to get namespaces?)".to_owned();
                Wishes { freeze: Some(freeze), notify: None }
            }
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, (at, _)| elapsed(*at, now) < STANDS_IN);
        if known.len() < MOST {
            known.insert(namespace.to_owned(), (now, wishes.clone()));
        }
        Ok(wishes)
    }

    fn known(&self, namespace: &str, now: Timestamp) -> Option<(Timestamp, Wishes)> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(namespace).filter(|(at, _)| elapsed(*at, now) < STANDS_IN).cloned()
    }
}

pub(crate) async fn look(client: &Client, namespace: &str) -> Result<Wishes, Error> {
    let found = Api::<Namespace>::all(client.clone()).get_metadata_opt(namespace).await.map_err(Error::api("get the namespace"))?;
    let found: Option<Value> = found.map(|found| observe::json(&found, "the namespace")).transpose()?;
    let wishes = found.map(|found| Wishes { freeze: gates::freeze(&found), notify: notify::of_namespace(object::annotations(&found)) });
    Ok(wishes.unwrap_or_default())
}

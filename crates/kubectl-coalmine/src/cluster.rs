//! The API server: how it is reached, what is read there and the one kind of write. A refusal becomes a sentence that names the missing verb.

use anyhow::{Context as _, Result};
use coalmine_core::{
    api::annotations::{HELD, PHASE, RUN},
    hold::replica_sets,
    manifest::object,
    run::canary,
    view::status::Objects,
    words::within,
};
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams},
};
use serde_json::{Value, json};

use crate::{args::Connection, kubeconfig};

/// The field manager of what this program writes.
const FIELD_MANAGER: &str = "kubectl-coalmine";
const PATCH_REFUSED: &str = "the server rejected our request due to an error in our request";
/// How many objects one answer may hold: a large cluster comes in pages.
const PAGE: u32 = 250;

#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) client: Client,
    pub(crate) namespace: String,
}

impl Cluster {
    pub(crate) async fn connect(connection: &Connection) -> Result<Self> {
        let mut config = kubeconfig::config(connection).await?;
        config.connect_timeout = connection.request_timeout;
        config.read_timeout = connection.request_timeout;
        // A person waits: better an error now than fifteen silent tries.
        config.default_retry = false;
        if let Some(user) = &connection.impersonate {
            config.auth_info.impersonate = Some(user.clone());
        }
        if !connection.groups.is_empty() {
            config.auth_info.impersonate_groups = Some(connection.groups.clone());
        }
        let namespace = connection.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        // Whoever lacks the program is helped by its name, and by what the kubeconfig says of it.
        let program = config.auth_info.exec.as_ref().map(|exec| {
            let hint = exec.install_hint.as_deref().map(|hint| format!(" ({})", within(hint.trim(), 300))).unwrap_or_default();
            format!(" with credentials by {}{hint}", exec.command.as_deref().unwrap_or_default())
        });
        let client = Client::try_from(config).with_context(|| format!("failed to make a client{}", program.unwrap_or_default()))?;
        Ok(Self { client, namespace })
    }

    pub(crate) fn deployments(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &resource("apps", "v1", "Deployment", "deployments"))
    }

    /// One Deployment, as it is.
    pub(crate) async fn deployment(&self, name: &str) -> Result<Value> {
        let found = self.deployments().get_opt(name).await.map_err(|error| refused(error, "get", "deployments", &self.namespace))?;
        let found = found.with_context(|| format!("failed to find deployment {name} in namespace {}", self.namespace))?;
        plain(&found)
    }

    /// Of every namespace, or of the one chosen.
    pub(crate) async fn all_deployments<T>(
        &self,
        everywhere: bool,
        selector: Option<&str>,
        kept: impl Fn(&Value) -> Option<T>,
    ) -> Result<Vec<T>> {
        let resource = resource("apps", "v1", "Deployment", "deployments");
        let api: Api<DynamicObject> = if everywhere { Api::all_with(self.client.clone(), &resource) } else { self.deployments() };
        let place = if everywhere { "all namespaces" } else { &self.namespace };
        pages(&api, selector, kept).await.map_err(|error| refused(error, "list", "deployments", place))
    }

    /// A Deployment with all that `status` shows. What may not be read is named and left out.
    pub(crate) async fn objects(&self, name: &str) -> Result<Objects> {
        let primary = self.deployment(name).await?;
        let mut missing = Vec::new();
        let (canary_name, deployments) = (canary::name(name), self.deployments());
        let (namesake, replica_sets, pods, last_event) = futures::join!(
            deployments.get_opt(&canary_name),
            self.list("apps", "ReplicaSet", "replicasets", replica_sets::selector(&primary)),
            self.list("", "Pod", "pods", replica_sets::selector(&primary)),
            self.events(name),
        );
        let namesake = namesake.map_err(|error| refused(error, "get", "deployments", &self.namespace))?;
        let mut or_missing = |result: Result<Vec<Value>>| {
            result.unwrap_or_else(|error| {
                missing.push(format!("not shown: {error:#}"));
                Vec::new()
            })
        };
        let (replica_sets, pods, events) = (or_missing(replica_sets), or_missing(pods), or_missing(last_event));
        let last_event = events.last().map(|event| (text(event, "/reason").to_owned(), text(event, "/note").to_owned()));
        Ok(Objects { primary, namesake: namesake.as_ref().map(plain).transpose()?, replica_sets, pods, missing, last_event })
    }

    /// Coalmine's Events about a Deployment, the newest last.
    pub(crate) async fn events(&self, name: &str) -> Result<Vec<Value>> {
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &self.namespace, &resource("events.k8s.io", "v1", "Event", "events"));
        let parameters = ListParams::default().fields(&format!("regarding.kind=Deployment,regarding.name={name}"));
        let list = api.list(&parameters).await.map_err(|error| refused(error, "list", "events", &self.namespace))?;
        let mut events: Vec<Value> = list.items.iter().map(plain).collect::<Result<_>>()?;
        events.retain(|event| text(event, "/reason").starts_with("Canary"));
        events.sort_by(|a, b| text(a, "/eventTime").cmp(text(b, "/eventTime")));
        Ok(events)
    }

    /// The pods that the Deployment's selector selects.
    pub(crate) async fn pods(&self, primary: &Value) -> Result<Vec<Value>> {
        self.list("", "Pod", "pods", replica_sets::selector(primary)).await
    }

    async fn list(&self, group: &str, kind: &str, plural: &str, selector: String) -> Result<Vec<Value>> {
        let api: Api<DynamicObject> = Api::namespaced_with(self.client.clone(), &self.namespace, &resource(group, "v1", kind, plural));
        pages(&api, Some(&selector), |object| Some(object.clone())).await.map_err(|error| refused(error, "list", plural, &self.namespace))
    }

    /// Writes one annotation, on condition that what is held is still what was read.
    pub(crate) async fn annotate(&self, read: &Value, key: &str, value: &str) -> Result<()> {
        let name = object::name(read);
        let path = |key: &str| format!("/metadata/annotations/{}", key.replace('~', "~0").replace('/', "~1"));
        let precondition = |key: &str| Some(json!({"op": "test", "path": path(key), "value": object::annotation(read, key)?}));
        let mut operations: Vec<Value> = [HELD, PHASE, RUN].into_iter().filter_map(precondition).collect();
        operations.push(json!({"op": "add", "path": path(key), "value": value}));
        let patch = serde_json::from_value(Value::Array(operations)).context("failed to make a patch")?;
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let written = self.deployments().patch(name, &parameters, &Patch::Json::<()>(patch)).await;
        written.map(drop).map_err(|error| match &error {
            // In the API server's words for a JSON patch whose `test` failed; a policy's have words of their own.
            kube::Error::Api(status) if status.code == 422 && status.message.starts_with(PATCH_REFUSED) => {
                anyhow::anyhow!("what is held for deployment {name} was changed meanwhile; look again, then repeat")
            }
            _ => refused(error, "patch", "deployments", &self.namespace),
        })
    }
}

impl Cluster {
    /// Writes one annotation of the namespace, or takes it away.
    pub(crate) async fn annotate_namespace(&self, key: &str, value: Option<&str>) -> Result<()> {
        let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &resource("", "v1", "Namespace", "namespaces"));
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patch = Patch::Merge(json!({"metadata": {"annotations": {key: value}}}));
        let written = api.patch(&self.namespace, &parameters, &patch).await;
        written.map(drop).map_err(|error| refused(error, "patch", "namespaces", &self.namespace))
    }
}

/// What is kept of each object of a list.
async fn pages<T>(api: &Api<DynamicObject>, selector: Option<&str>, kept: impl Fn(&Value) -> Option<T>) -> kube::Result<Vec<T>> {
    let mut parameters = ListParams::default().limit(PAGE);
    parameters.label_selector = selector.map(str::to_owned);
    let mut all = Vec::new();
    loop {
        let page = api.list(&parameters).await?;
        let token = page.metadata.continue_.filter(|token| !token.is_empty());
        for item in page.items {
            all.extend(kept(&serde_json::to_value(item).map_err(kube::Error::SerdeError)?));
        }
        match token {
            Some(token) => parameters = parameters.continue_token(&token),
            None => return Ok(all),
        }
    }
}

pub(crate) fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") },
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

/// An error of the API server's in words; a missing right names the verb.
pub(crate) fn refused(error: kube::Error, verb: &str, plural: &str, namespace: &str) -> anyhow::Error {
    // Admission's own words say what to do.
    if let kube::Error::Api(status) = &error
        && let Some((_, words)) = status.message.split_once("denied the request: ")
    {
        return anyhow::anyhow!("{words}");
    }
    match &error {
        // RBAC's words; a policy may forbid too, and says why.
        kube::Error::Api(status) if status.is_forbidden() && status.message.contains(&format!("cannot {verb} resource")) => {
            anyhow::anyhow!("the right to {verb} {plural} in {namespace} is missing (kubectl auth can-i {verb} {plural})")
        }
        kube::Error::Api(status) => {
            let words = format!("failed to {verb} {plural}: {}", status.message);
            if status.code >= 500 || status.code == 429 { anyhow::Error::new(Away(words)) } else { anyhow::anyhow!(words) }
        }
        _ => anyhow::Error::new(error).context(format!("failed to {verb} {plural}")),
    }
}

/// An answer that is no answer: of a server that starts, stops, or has too much to do.
#[derive(Debug)]
struct Away(String);

impl std::fmt::Display for Away {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Away {}

/// Whether it may be otherwise in a moment: nobody answered, or not to what was asked.
pub(crate) fn is_away(error: &anyhow::Error) -> bool {
    error.is::<Away>() || error.is::<kube::Error>()
}

pub(crate) fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

pub(crate) fn plain(object: &DynamicObject) -> Result<Value> {
    serde_json::to_value(object).context("failed to read an object")
}

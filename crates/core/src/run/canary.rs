//! The canary Deployment: the held template, one replica, behind the primary's Service, owned by the primary and never counted by it.
//! Only builds the object; creating it is the controller's.

use serde_json::{Map, Value, json};

use crate::api::annotations::{
    ACTIVE_LABEL, CANARY_REQUESTED_BY, CANARY_REQUESTED_BY_GROUPS, FIELD_MANAGER, PRIMARY_ANNOTATION, REQUESTED_BY, REQUESTED_BY_GROUPS,
    ROLE_CANARY, ROLE_LABEL, RUN_LABEL,
};
use crate::{
    api::label::Label,
    manifest::{object, references, workload},
    names::shortened,
    standing::Standing,
};

/// The garbage collector's own: what the object owns goes before it.
const PODS_FIRST: &str = "foregroundDeletion";
const SUFFIX: &str = "-canary";
/// Labels by which those who bring the primary know what is theirs, and take away what they did not bring: whole keys, and domains of keys.
const TRACKING: [&str; 2] = ["app.kubernetes.io/instance", "kubernetes.io/cluster-service"];
const TRACKING_DOMAINS: [&str; 15] = [
    "coalmine.dev",
    "argoproj.io",
    "fluxcd.io",
    "helm.sh",
    "cattle.io",
    "k14s.io",
    "applyset.kubernetes.io",
    "addonmanager.kubernetes.io",
    "kops.k8s.io",
    "cli-utils.sigs.k8s.io",
    "config.k8s.io",
    "operators.coreos.com",
    "skaffold.dev",
    "pulumi.com",
    // Writes other images into what has it.
    "keel.sh",
];
/// A pod's name is cut to 63 characters: 5 random ones, and before them `<canary>-<pod template hash>-`. With a longer name of its own, a
/// canary's pods could not be told from the primary's by name.
const LONGEST_NAME: usize = 47;

/// The canary's name for a primary: `<name>-canary`, or, where that is too long, a shortened name with a hash of the whole.
pub fn name(primary: &str) -> String {
    format!("{}{SUFFIX}", shortened(primary, LONGEST_NAME - SUFFIX.len()))
}

/// Builds the canary of `primary` for one run of `template`.
///
/// A template that already carries the canary label's key keeps it, since the Service or the primary's selector may need it: the canary
/// is then told apart by the role label alone.
pub fn deployment(primary: &Value, mut template: Value, run: &str, canary_label: &Label) -> Value {
    let primary_name = object::name(primary);
    if let Some(template) = template.as_object_mut() {
        template.entry("metadata").or_insert_with(|| json!({}));
    }
    let Label { key: label, value } = canary_label;
    let stated = template.pointer("/metadata/labels").is_some_and(|labels| labels.get(label).is_some());
    // Such as `tier DoesNotExist`: with the label, the canary's own selector would match nothing.
    let expressions = primary.pointer("/spec/selector/matchExpressions").and_then(Value::as_array);
    let taken = stated
        || expressions.is_some_and(|list| list.iter().any(|expression| expression.get("key").and_then(Value::as_str) == Some(label)));
    let (own_label, own_value) = if taken { (ROLE_LABEL, ROLE_CANARY) } else { (label.as_str(), value.as_str()) };
    if let Some(labels) = object::metadata_map_mut(&mut template, "labels") {
        labels.insert(own_label.to_owned(), own_value.into());
        labels.insert(ROLE_LABEL.to_owned(), ROLE_CANARY.into());
        labels.insert(RUN_LABEL.to_owned(), run.into());
    }
    if let Some(annotations) = object::metadata_map_mut(&mut template, "annotations") {
        annotations.insert(PRIMARY_ANNOTATION.to_owned(), primary_name.into());
    }
    let mut selector = primary.pointer("/spec/selector").cloned().unwrap_or_else(|| json!({}));
    if let Some(selector) = selector.as_object_mut() {
        let labels = selector.entry("matchLabels").or_insert_with(|| Value::Object(Map::new()));
        if let Some(labels) = labels.as_object_mut() {
            labels.insert(own_label.to_owned(), own_value.into());
        }
    }
    let mut canary = json!({
        "apiVersion": workload::API_VERSION,
        "kind": workload::KIND,
        "metadata": {
            "name": name(primary_name),
            "namespace": object::namespace(primary),
            "labels": labels(primary),
            "annotations": {PRIMARY_ANNOTATION: primary_name, RUN_LABEL: run},
            "ownerReferences": [references::to(primary)],
        },
    });
    canary["spec"] = workload::of_one_pod(primary, selector, template);
    requested_by(&mut canary, object::annotations(primary));
    canary
}

/// The primary's, as policies may ask of every Deployment for a team or a cost centre; none by which it would be taken for somebody's.
fn labels(primary: &Value) -> Map<String, Value> {
    let is_tracking = |name: &String| {
        let domain = name.split_once('/').map_or("", |(domain, _)| domain);
        let is_of = |known: &&str| domain.strip_suffix(*known).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        TRACKING.contains(&name.as_str()) || TRACKING_DOMAINS.iter().any(is_of)
    };
    let mut labels = object::metadata_map(primary, "labels").clone();
    labels.retain(|name, _| !is_tracking(name));
    labels.insert(ROLE_LABEL.to_owned(), ROLE_CANARY.into());
    labels.insert("app.kubernetes.io/managed-by".to_owned(), "coalmine".into());
    labels
}

/// Says on the canary who asked for its template, as the primary's annotations do.
pub fn requested_by(canary: &mut Value, of_primary: &Map<String, Value>) {
    let Some(annotations) = object::metadata_map_mut(canary, "annotations") else { return };
    for (theirs, own) in [(REQUESTED_BY, CANARY_REQUESTED_BY), (REQUESTED_BY_GROUPS, CANARY_REQUESTED_BY_GROUPS)] {
        if let Some(value) = of_primary.get(theirs) {
            annotations.insert(own.to_owned(), value.clone());
        }
    }
}

/// Whether a Deployment is the canary of this primary: owned by it and marked as ours. Anything else is never touched.
pub fn is_canary_of(candidate: &Value, primary: &Value) -> bool {
    references::is_owned_by(candidate, primary) && object::label(candidate, ROLE_LABEL) == Some(ROLE_CANARY)
}

/// What the cluster took away from a canary that was just created for this run, without which nobody would know it again, or take it away.
pub fn lacks(created: &Value, primary: &Value, run: &str) -> Option<&'static str> {
    if !references::is_owned_by(created, primary) {
        return Some("owner reference");
    }
    if !is_canary_of(created, primary) {
        return Some("label coalmine.dev/role");
    }
    (run_of(created) != Some(run)).then_some("annotation coalmine.dev/run")
}

/// Whether a Deployment is a canary that this program made for a primary of this name, and that no primary owns any more: it was deleted
/// without what it owns (`--cascade=orphan`), or came back from a backup, which nobody but us would ever take away; or another one has its
/// name by now, which the garbage collector may notice much later. `present`: the primary, looked at after the candidate was.
pub fn is_abandoned(candidate: &Value, primary: &str, present: Option<&Value>) -> bool {
    let is_gone = |owner: &Value| {
        let is = |part: &str, expected: &str| references::text(owner, part) == expected;
        is("kind", workload::KIND) && is("name", primary) && !present.is_some_and(|present| is("uid", object::uid(present)))
    };
    object::label(candidate, ROLE_LABEL) == Some(ROLE_CANARY)
        && object::annotation(candidate, PRIMARY_ANNOTATION) == Some(primary)
        && run_of(candidate).is_some()
        && object::name(candidate) == name(primary)
        && references::of(candidate).iter().all(is_gone)
        && !object::is_being_deleted(candidate)
}

/// Whether a canary is left of a trial that its primary says nothing of any more: all that it said went past Coalmine, as by `kubectl replace` while
/// the webhook was away. `present`: the primary, looked at after the candidate was.
pub fn is_forgotten(candidate: &Value, present: &Value) -> bool {
    is_canary_of(candidate, present)
        && run_of(candidate).is_some()
        && !Standing::of(present).is_trying()
        // With it, the verdict has yet to be told, and the canary is the mark of that.
        && object::label(present, ACTIVE_LABEL).is_none()
        && !object::is_being_deleted(candidate)
}

/// Whether a Deployment that is being deleted is kept by somebody's finalizer, and its pods with it: they are deleted after it.
pub fn keeps_its_pods(candidate: &Value) -> bool {
    object::is_being_deleted(candidate) && !finalizers(candidate).is_empty() && !has_finalizer(candidate, PODS_FIRST)
}

/// Those of others.
pub fn finalizers(candidate: &Value) -> Vec<&str> {
    let all = candidate.pointer("/metadata/finalizers").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    all.filter(|finalizer| *finalizer != PODS_FIRST).collect()
}

fn has_finalizer(candidate: &Value, name: &str) -> bool {
    let all = candidate.pointer("/metadata/finalizers").and_then(Value::as_array);
    all.is_some_and(|all| all.iter().any(|finalizer| finalizer.as_str() == Some(name)))
}

/// The field manager that changed the canary's template last, other than Coalmine and parts of Kubernetes.
pub fn changed_by(canary: &Value) -> Option<&str> {
    let records = canary.pointer("/metadata/managedFields").and_then(Value::as_array)?;
    let of_template = records.iter().filter(|record| record.pointer("/fieldsV1/f:spec/f:template").is_some());
    let others = of_template.filter_map(|record| Some((record.get("time")?.as_str()?, record.get("manager")?.as_str()?)));
    others.filter(|(_, manager)| *manager != FIELD_MANAGER).max().map(|(_, manager)| manager)
}

/// The run that a canary was made for.
pub fn run_of(canary: &Value) -> Option<&str> {
    object::annotation(canary, RUN_LABEL)
}

#[cfg(test)]
mod tests;

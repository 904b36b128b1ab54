//! What a request says about the template, as far as the request shows it: which manager sent it, and whether it states a whole template, a part
//! of one, or a change of what it found. It decides nothing; `super` does.

use serde_json::Value;

use super::Update;
use crate::{
    api::annotations as key,
    hold::{admit::Request, held::Operation},
    manifest::{
        managed_fields::{self, records},
        merge::Emptied,
        object::{self, text},
        template,
    },
};

/// The field manager of kubectl's client-side apply.
pub(super) const CLIENT_SIDE_APPLY: &str = "kubectl-client-side-apply";
const KUBECTL: &str = "kubectl";
/// Helm's, on everything that it installs, by whatever name its library is used.
const HELM_RELEASE: &str = "meta.helm.sh/release-name";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Statement {
    /// A file, an old revision, or the whole wish of the program whose template is held.
    Whole,
    /// An applier's part.
    Part,
    /// Computed from the live object: without the hold it would have been made to the held template.
    Change,
}

/// The request's field manager. Who names none goes by the name of their program, as the records show.
pub(super) fn manager(request: &Request<'_>, old: &Value) -> String {
    if !request.field_manager.is_empty() {
        return request.field_manager.to_owned();
    }
    updated_by(request, old).unwrap_or_default().to_owned()
}

/// The manager whose field record this update changed.
fn updated_by<'a>(request: &Request<'a>, old: &Value) -> Option<&'a str> {
    let part = |entry: &'a Value, name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default();
    let updates = records(request.new).iter().filter(|entry| part(entry, "operation") == "Update" && part(entry, "subresource").is_empty());
    let is_new = |entry: &&Value| !records(old).contains(entry);
    // The others lose fields to it, and keep their times.
    updates.filter(is_new).max_by_key(|entry| part(entry, "time")).map(|entry| part(entry, "manager"))
}

/// Helm's library patches from its own last manifest, and never reads last-applied.
pub(super) fn is_of_helm(request: &Request<'_>) -> bool {
    object::annotation(request.new, HELM_RELEASE).is_some() || request.field_manager == "helm"
}

/// Programs in which people change what they see, by the names that the API server takes from their user agents. The first is every browser's.
const BY_HAND: [&str; 6] = ["Mozilla", "k9s", "dashboard", "headlamp", "Lens", "node-fetch"];

/// One of kubectl's commands, or another program that does what a person says, change by change.
fn is_by_hand(manager: &str) -> bool {
    manager == KUBECTL || manager.starts_with("kubectl-") || BY_HAND.contains(&manager)
}

/// What this manager means that leaves a map or a list empty. kubectl's commands that name things take those away; a patch that a person
/// writes by hand says `null` or `[]` of the whole.
pub(super) fn emptied_by(manager: &str) -> Emptied {
    match manager {
        "kubectl-set" | "kubectl-edit" => Emptied::ByItem,
        "kubectl-patch" => Emptied::AsWhole,
        _ => Emptied::Usual,
    }
}

impl Update<'_> {
    pub(super) fn statement(&self) -> Statement {
        let own = self.held.as_ref().is_some_and(|held| held.manager == self.manager);
        // A comparison by client-side apply leaves last-applied as it is.
        let file = self.sends_last_applied() || self.manager == CLIENT_SIDE_APPLY;
        if file || self.is_undo() || self.drops_state() || (own && !is_by_hand(&self.manager) && !self.applies()) {
            return Statement::Whole;
        }
        if self.applies() { Statement::Part } else { Statement::Change }
    }

    /// `kubectl rollout undo` replaces the template and all annotations by those of an old revision. It is the one command of kubectl's
    /// that names no field manager.
    pub(super) fn is_undo(&self) -> bool {
        self.request.field_manager.is_empty()
            && self.manager == KUBECTL
            && !template::same(object::template(self.old), object::template(self.request.new))
    }

    /// Nothing of what was on trial can stand beside it: a file in the object's place, or an old revision.
    pub(super) fn replaces_all(&self) -> bool {
        self.drops_state() || self.is_undo()
    }

    /// To a revision that nobody had opted in. Its annotations come with it.
    pub(super) fn is_undo_to_before_the_opt_in(&self) -> bool {
        self.is_undo() && !object::is_opted_in(self.sent)
    }

    /// A file that is put in the object's place has nothing of what stood there.
    fn drops_state(&self) -> bool {
        [key::HELD, key::MARKER].iter().all(|name| self.before.contains_key(*name) && !self.sent.contains_key(*name))
    }

    /// A client that states the whole configuration stated the live template: the user went back.
    pub(super) fn restates(&self) -> bool {
        let Some(held) = &self.held else { return false };
        // What people write by hand is one client: a person may change from one way to the other.
        let same_client = (held.operation == Operation::Apply && held.manager == self.manager)
            || (held.operation == Operation::Update && is_by_hand(&held.manager) && self.manager == KUBECTL);
        self.restates_all() || (same_client && self.states_its_part())
    }

    /// Not only the part of it that is one applier's.
    pub(super) fn restates_all(&self) -> bool {
        let Some(held) = &self.held else { return false };
        // Where nothing was applied by the client before, kubectl finds no marker to take away.
        let marker_goes = self.before.contains_key(key::MARKER) && !self.sent.contains_key(key::MARKER);
        let client_side_apply = self.sends_last_applied() && (marker_goes || self.manager == CLIENT_SIDE_APPLY);
        // A client that compares with the live object sends this one difference.
        let enables = text(self.before, key::ENABLED) == Some("held") && text(self.sent, key::ENABLED) == Some("true");
        client_side_apply || self.drops_state() || (enables && self.manager == held.manager && !self.applies())
    }

    /// By server-side apply, whose states may be empty.
    pub(super) fn states_its_part(&self) -> bool {
        let metadata = self.request.new.get("metadata").unwrap_or(&Value::Null);
        self.applies() || managed_fields::owns_nothing(metadata, &self.manager)
    }

    pub(super) fn applies(&self) -> bool {
        managed_fields::applies(self.old, self.request.new, &self.manager)
    }

    pub(super) fn operation(&self) -> Operation {
        if self.applies() { Operation::Apply } else { Operation::Update }
    }

    /// Clients put `managedFields` in order in requests of their own (kubectl's migration, kustomize-controller's clean-up). That is no
    /// statement of a template: it changes what others own, which no apply does that changes nothing else.
    pub(super) fn edits_records_alone(&self) -> bool {
        let others = |object: &Value| managed_fields::of_others(records(object), &self.manager);
        // A client that migrates its records to server-side apply removes last-applied, too.
        let annotations =
            |object| -> Vec<_> { object::annotations(object).iter().filter(|(name, _)| *name != key::LAST_APPLIED).collect() };
        let last_applied_stays = self.sent.get(key::LAST_APPLIED).is_none_or(|sent| self.before.get(key::LAST_APPLIED) == Some(sent));
        last_applied_stays
            && !managed_fields::says_the_same(&others(self.request.new), &others(self.old))
            && self.old.get("spec") == self.request.new.get("spec")
            && object::metadata_map(self.old, "labels") == object::metadata_map(self.request.new, "labels")
            && annotations(self.old) == annotations(self.request.new)
    }
}

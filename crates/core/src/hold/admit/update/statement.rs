//! What a request says about the template, as far as the request shows it: which manager sent it, and whether it states a whole template, a part
//! of one, or a change of what it found. It decides nothing; `super` does.

use serde_json::Value;

use super::Update;
use crate::{
    api::annotations as key,
    hold::{admit::Request, held::Operation},
    manifest::{
        last_applied,
        managed_fields::{self, records},
        merge::Emptied,
        object::{self, text},
        template,
    },
    standing::Standing,
};

/// The field manager of kubectl's client-side apply.
pub(super) const CLIENT_SIDE_APPLY: &str = "kubectl-client-side-apply";
const KUBECTL: &str = "kubectl";
/// Helm's, on everything that it installs, by whatever name its library is used.
const HELM_RELEASE: &str = "meta.helm.sh/release-name";
/// The whole file, in what kapp puts in the object's place.
const KAPP_FILE: &str = "kapp.k14s.io/original";

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
    fn part<'a>(entry: &'a Value, name: &str) -> &'a str {
        entry.get(name).and_then(Value::as_str).unwrap_or_default()
    }
    let is_update = |entry: &&Value| part(entry, "operation") == "Update" && part(entry, "subresource").is_empty();
    let updates = || records(request.new).iter().filter(is_update);
    let is_new = |entry: &&Value| !records(old).contains(entry);
    // The others lose fields to it, and keep their times.
    let newest = updates().filter(is_new).max_by_key(|entry| part(entry, "time"));
    // Within a second its record may be the same. What changed is its own then, too.
    let owner = || updates().find(|entry| managed_fields::has_changed(entry, old, request.new));
    newest.or_else(owner).map(|entry| part(entry, "manager"))
}

/// Helm's library patches from its own last manifest, and never reads last-applied.
pub(super) fn is_of_helm(request: &Request<'_>) -> bool {
    object::annotation(request.new, HELM_RELEASE).is_some() || request.field_manager == "helm"
}

/// Programs in which people change what they see, by the names that the API server takes from their user agents. The first is every browser's.
const BY_HAND: [&str; 9] = ["Mozilla", "argocd-server", "k9s", "dashboard", "headlamp", "Lens", "node-fetch", "oc", "curl"];
/// Programs that change one thing after the other, each for a reason of its own, and have no wish as a whole.
const BY_THE_PIECE: [&str; 2] = ["Reloader", "keel"];
/// Programs that put the whole specification in its place whenever anything of it is to change. Terraform's resources go by its maker's name.
const BY_THE_SPEC: [&str; 1] = ["HashiCorp"];

/// One of kubectl's commands, or another program that does what a person says, change by change.
fn is_by_hand(manager: &str) -> bool {
    is_kubectls(manager) || BY_HAND.contains(&manager)
}

fn is_kubectls(manager: &str) -> bool {
    manager == KUBECTL || manager.starts_with("kubectl-")
}

/// kubectl where it names no field manager goes by its file's name, which may be another on other systems, or for other versions.
fn is_kubectls_file(name: &str) -> bool {
    let of_version = |rest: &str| rest.trim_start_matches(['-', '_', '.', 'v']).starts_with(|first: char| first.is_ascii_digit());
    name.trim_end_matches(".exe").strip_prefix(KUBECTL).is_some_and(|rest| rest.is_empty() || of_version(rest))
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
        if self.is_of_what_is_shown() {
            return Statement::Change;
        }
        // A comparison by client-side apply leaves last-applied as it is.
        let file = self.sends_last_applied() || self.manager == CLIENT_SIDE_APPLY;
        if file || self.is_undo() || self.drops_state() || self.puts_the_spec() || (self.is_of_the_same_program() && !self.applies()) {
            return Statement::Whole;
        }
        if self.applies() { Statement::Part } else { Statement::Change }
    }

    /// What is held is its own, and what it writes again is all that it wants. Two operators may have programs of one name, and never one
    /// account.
    fn is_of_the_same_program(&self) -> bool {
        let is_service = |user: &str| user.starts_with("system:serviceaccount:");
        let of_another = |user: &str| user != self.request.username && is_service(user) && is_service(self.request.username);
        let own = self.held.as_ref().is_some_and(|held| held.manager == self.manager && !of_another(&held.user));
        own && !is_by_hand(&self.manager) && !BY_THE_PIECE.contains(&self.manager.as_str())
    }

    /// What it leaves as it stands, it has stated too.
    fn puts_the_spec(&self) -> bool {
        BY_THE_SPEC.contains(&self.manager.as_str()) && !self.applies() && self.old.get("spec") != self.request.new.get("spec")
    }

    /// `kubectl rollout undo` replaces the template and all annotations by those of an old revision, but for a few. It is the one command of
    /// kubectl's that names no field manager. Others do the same as it does (k9s, oc, Rancher), by names that they also have for changes.
    pub(super) fn is_undo(&self) -> bool {
        let stays = |name: &str| self.sent.get(name) == self.before.get(name);
        // Old revisions may have state of their time.
        let mut state = [key::HELD, key::RUN, key::PROVEN].into_iter().filter(|name| self.before.contains_key(*name)).peekable();
        let leaves_none = state.peek().is_some() && !state.any(stays) && text(self.sent, key::ENABLED) != Some("false");
        self.request.field_manager.is_empty()
            && (is_kubectls_file(&self.manager) || leaves_none)
            && [key::REVISION, key::LAST_APPLIED].iter().all(|name| self.sent.contains_key(*name) == self.before.contains_key(*name))
            && self.changes_the_template()
    }

    /// A page that shows revisions may put an old template in the place of the live one, and leave the annotations.
    pub(super) fn is_rollback_by_hand(&self) -> bool {
        self.request.field_manager.is_empty()
            && BY_HAND.contains(&self.manager.as_str())
            && self.is_proven(object::template(self.request.new))
    }

    fn changes_the_template(&self) -> bool {
        !template::same(object::template(self.old), object::template(self.request.new))
    }

    /// Nothing of what was on trial can stand beside it: a file in the object's place, or an old revision.
    pub(super) fn replaces_all(&self) -> bool {
        self.drops_state() || self.is_undo()
    }

    /// To a revision that nobody had opted in. Its annotations come with it.
    pub(super) fn is_undo_to_before_the_opt_in(&self) -> bool {
        self.is_undo() && !object::is_opted_in(self.sent)
    }

    /// A file that is put in the object's place has nothing of what stood there, the status neither. Who only takes our annotations away has
    /// read the object, but for kapp, which copies the status into its files.
    fn drops_state(&self) -> bool {
        let status = |object: &Value| object.get("status").filter(|status| status.as_object().is_some_and(|map| !map.is_empty())).cloned();
        let has_read_it =
            || status(self.old).is_some_and(|before| status(self.request.new) == Some(before)) && !self.sent.contains_key(KAPP_FILE);
        [key::HELD, key::MARKER].iter().all(|name| self.before.contains_key(*name) && !self.sent.contains_key(*name)) && !has_read_it()
    }

    /// A file that was made of what `get` shows has our own annotations as they stand there: without the hold it would have shown what is on
    /// trial.
    pub(super) fn is_of_what_is_shown(&self) -> bool {
        let [stood, sent] = [self.before, self.sent].map(|annotations| Standing::read(annotations).held);
        let Some(held) = stood.filter(|held| sent == Some(held)) else { return false };
        let by_client_side_apply = || {
            let stated = text(self.sent, key::LAST_APPLIED).filter(|sent| text(self.before, key::LAST_APPLIED) != Some(sent));
            stated.is_some_and(|text| last_applied::states(text, key::HELD, held))
        };
        by_client_side_apply() || (self.applies() && managed_fields::has_stated(self.request.new, &self.manager, key::HELD))
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
        let had_none = !self.before.contains_key(key::LAST_APPLIED) && !is_kubectls(&self.manager);
        let client_side_apply = self.sends_last_applied() && (marker_goes || had_none || self.manager == CLIENT_SIDE_APPLY);
        // A client that compares with the live object sends this one difference.
        let enables = text(self.before, key::ENABLED) == Some("held") && text(self.sent, key::ENABLED) == Some("true");
        let compares = self.manager == held.manager && !is_by_hand(&self.manager) && !self.applies();
        client_side_apply || self.drops_state() || self.puts_the_spec() || (enables && compares)
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

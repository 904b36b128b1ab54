//! The sentences of refusals. Each is one line; unlike a warning it may be long. It decides nothing.

use crate::api::quantity::format_count;
use crate::words::start;

pub fn too_large(needed: usize, limit: usize, held: usize) -> String {
    format!(
        "canary: holding this template needs {} bytes of annotations ({} of them for the held template), more than the {} that an object may have; \
         shorten the manifest, or let the template through with canary.bypass",
        format_count(needed as f64),
        format_count(held as f64),
        format_count(limit as f64)
    )
}

pub fn review_too_large(bytes: usize, limit: usize) -> String {
    format!(
        "canary: this Deployment and the stored one are {} bytes together, more than the {} that are looked at; \
         shorten the manifest, or opt out with canary.enabled: \"false\" in one that is shorter",
        format_count(bytes as f64),
        format_count(limit as f64)
    )
}

pub fn review_too_heavy(bytes: usize, limit: usize) -> String {
    format!(
        "canary: this Deployment has too many fields and items: looking at it takes {} bytes of memory, more than the {} that there are; \
         shorten its lists",
        format_count(bytes as f64),
        format_count(limit as f64)
    )
}

pub fn fault() -> String {
    "canary: Coalmine met a fault of its own with this request, so nothing was changed; its log names the place: please report it. \
     To go on without Coalmine, apply it without canary.* annotations (kubectl replace)"
        .to_owned()
}

pub fn not_the_held_template() -> String {
    "canary: only the held template may be promoted; this is another".to_owned()
}

pub fn newer_state(version: u32) -> String {
    format!(
        "canary: {}, so it takes no other template meanwhile; upgrade Coalmine again, or let the template through with canary.bypass",
        super::newer_state(version)
    )
}

pub fn outdated() -> String {
    "canary: the live template is not the one that this was held against".to_owned()
}

pub fn not_being_tried() -> String {
    "canary: there is no template on trial, so nothing to promote".to_owned()
}

pub fn not_approved() -> String {
    "canary: nobody has approved the template on trial, and canary.approval asks for it".to_owned()
}

pub fn no_approval_asked() -> String {
    "canary: canary.approve: there is nothing to approve, since canary.approval is not set; to let the template in now: canary.promote"
        .to_owned()
}

pub fn another_on_trial(named: &str, on_trial: &str) -> String {
    let named = start(named, 60);
    format!("canary: canary.approve: {named:?} is not on trial; look at what is, then approve {on_trial}")
}

pub fn own_template(user: &str) -> String {
    let user = start(user, 100);
    format!("canary: canary.approval is \"other\": somebody else than {user}, who applied this template, must approve it")
}

pub fn not_begun() -> String {
    "canary: canary.promote: its trial has not begun; to let the template in without one, apply it with canary.bypass".to_owned()
}

pub fn nothing_on_trial(key: &str, phase: Option<&str>) -> String {
    let phase = phase.map(|phase| format!(" ({phase})")).unwrap_or_default();
    format!("canary: {key}: no template is on trial{phase}; to let one in without a trial, apply it with canary.bypass")
}

pub fn approval_weakened() -> String {
    "canary: canary.approval can't ask for less while a template is on trial; approve it, or let it in with canary.bypass".to_owned()
}

pub fn no_right_to_approve(user: &str) -> String {
    let user = start(user, 100);
    format!("canary: {user} may not approve: the verb approve on this Deployment is missing (kubectl auth can-i approve deployments.apps)")
}

pub fn only_state() -> String {
    "canary: the controller may change nothing but its own annotations here".to_owned()
}

pub fn overlap() -> String {
    "canary: strategy Recreate runs one version at a time, and a canary runs beside it; set canary.overlap to \"true\" if both may run at once"
        .to_owned()
}

pub fn own_label(label: &str) -> String {
    format!("canary: the pod template has the label {label}, by which Coalmine tells a canary's pods from others; leave it out")
}

/// For who doesn't see in a policy's words that they are about the canary.
pub fn what_was_asked() -> &'static str {
    "asked about its canary: one replica, labelled coalmine.dev/role: canary"
}

/// By a policy that is newer than it.
pub fn live_refused(reason: &str) -> String {
    format!(
        "canary: the live template, which would stay while this one is tried, is no longer allowed here: {reason}; \
         let this one in untried: canary.bypass"
    )
}

pub fn template_refused(reason: &str) -> String {
    format!("canary: the API server refuses this template: {reason}")
}

pub fn helm_leftovers(field: &str) -> String {
    format!(
        "canary: this template can't be told apart from leftovers of the live one at {field} while another is held; \
         run `helm rollback` first, or use `helm upgrade --server-side=true`"
    )
}

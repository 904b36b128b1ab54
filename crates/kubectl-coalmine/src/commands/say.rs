//! What a person says of a trial: one annotation each, as `kubectl annotate` would write it. Admission knows who says it, and whether it counts.

use anyhow::{Result, bail};
use coalmine_core::{
    api::annotations::{APPROVE, FREEZE, PAUSED, PROMOTE, Phase},
    manifest::object,
    state::State,
};

use crate::{End, clock::now, cluster::Cluster, terminal};

pub(super) async fn approve(cluster: &Cluster, name: &str, reason: Option<&str>) -> Result<End> {
    let primary = cluster.deployment(name).await?;
    let state = on_trial(State::of(&primary, None))?;
    let run = state.run.clone().unwrap_or_default();
    let value = format!("{run} {}", reason.unwrap_or_default());
    cluster.annotate(&primary, APPROVE, &anew(&primary, APPROVE, value.trim())).await?;
    let when = if state.phase == Some(Phase::AwaitingApproval) { "and let in" } else { "and let in once it has proved itself" };
    terminal::print(&format!(
        "the template on trial of deployment.apps/{name} is approved, {when}; to watch it: kubectl coalmine watch {name}"
    ));
    Ok(End::Good)
}

/// `key` says how.
pub(super) async fn end(cluster: &Cluster, name: &str, key: &str, reason: &str) -> Result<End> {
    let primary = cluster.deployment(name).await?;
    on_trial(State::of(&primary, None))?;
    cluster.annotate(&primary, key, &anew(&primary, key, reason)).await?;
    let what = if key == PROMOTE { "let in" } else { "kept out" };
    terminal::print(&format!(
        "the trial of deployment.apps/{name} ends, and its template is {what}; to watch it: kubectl coalmine watch {name}"
    ));
    Ok(End::Good)
}

pub(super) async fn pause(cluster: &Cluster, name: &str, pause: bool) -> Result<End> {
    let primary = cluster.deployment(name).await?;
    let is_paused = object::annotation(&primary, PAUSED) == Some("true");
    if is_paused == pause {
        bail!("deployment {name} is {}", if pause { "paused already" } else { "not paused" });
    }
    if pause {
        on_trial(State::of(&primary, None))?;
    }
    cluster.annotate(&primary, PAUSED, if pause { "true" } else { "false" }).await?;
    let what = if pause { "stands still; to go on: kubectl coalmine resume" } else { "goes on; to watch it: kubectl coalmine watch" };
    terminal::print(&format!("the trial of deployment.apps/{name} {what} {name}"));
    Ok(End::Good)
}

pub(super) async fn freeze(cluster: &Cluster, reason: Option<&str>) -> Result<End> {
    cluster.annotate_namespace(FREEZE, reason).await?;
    let namespace = &cluster.namespace;
    terminal::print(&match reason {
        Some(_) => format!(
            "namespace/{namespace} is frozen: nothing is tried or promoted there; to end that: kubectl coalmine unfreeze -n {namespace}"
        ),
        None => format!("namespace/{namespace} is frozen no longer: what is held there is tried"),
    });
    Ok(End::Good)
}

fn on_trial(state: State) -> Result<State> {
    match state.phase {
        Some(phase) if phase.is_trying() => Ok(state),
        phase => bail!("no template of deployment {} is on trial ({})", state.name, phase.map_or("nothing was held yet", Phase::as_str)),
    }
}

/// Only what changes is said: the same words again get the time of day.
fn anew(primary: &serde_json::Value, key: &str, value: &str) -> String {
    if object::annotation(primary, key) == Some(value) {
        format!("{value} ({})", now().round(jiff::Unit::Second).unwrap_or_default())
    } else {
        value.to_owned()
    }
}

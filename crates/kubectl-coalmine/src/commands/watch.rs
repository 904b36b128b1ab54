//! Watches one Deployment until the verdict, and ends with it. On a terminal the same lines are painted again; elsewhere each news is a line.

use std::time::Duration;

use anyhow::Result;
use coalmine_core::{api::annotations::Phase, state::State, view, words::within};
use futures::{StreamExt as _, pin_mut};
use kube::runtime::watcher::watch_object;

use super::read::now;
use crate::{
    End,
    cluster::{Cluster, text},
    terminal::{self, Picture},
};

/// How often ages and Events are painted again while the object is quiet.
const REPAINT: Duration = Duration::from_secs(2);

pub(super) async fn watch(cluster: &Cluster, name: &str, timeout: Option<Duration>) -> Result<End> {
    let watching = until_the_verdict(cluster, name);
    let Some(limit) = timeout else { return watching.await };
    if let Ok(end) = tokio::time::timeout(limit, watching).await {
        return end;
    }
    terminal::remark(&format!("No verdict for deployment {name} yet; the trial goes on."));
    Ok(End::TimedOut)
}

async fn until_the_verdict(cluster: &Cluster, name: &str) -> Result<End> {
    // A missing object or right is an error now, not a silent wait.
    cluster.deployment(name).await?;
    let changes = watch_object(cluster.deployments(), name);
    pin_mut!(changes);
    let mut picture = Picture::default();
    let mut said: Vec<String> = Vec::new();
    loop {
        let objects = cluster.objects(name).await?;
        let state = State::of(&objects.primary, objects.namesake.as_ref());
        if terminal::is_terminal() {
            picture.paint(&view::status::status(&objects, now(), terminal::screen()).join("\n"));
        } else {
            for line in news(cluster, name, &state).await? {
                if !said.contains(&line) {
                    terminal::print(&line);
                    said.push(line);
                }
            }
        }
        // Somebody must be asked, and that may take days; what is approved is about to go in.
        let waits_for_approval = state.phase == Some(Phase::AwaitingApproval) && state.approved.is_none();
        if waits_for_approval || !state.phase.is_some_and(Phase::is_trying) {
            if !terminal::is_terminal() {
                terminal::print(&view::status::ending(&state));
            }
            return Ok(End::of(state.phase));
        }
        // Whatever comes first: a change of the object, or the time for the next look at pods and Events.
        let _ = tokio::time::timeout(REPAINT, changes.next()).await;
    }
}

/// Events since the run began, a line each.
async fn news(cluster: &Cluster, name: &str, state: &State) -> Result<Vec<String>> {
    let began = state.since;
    let events = cluster.events(name).await?;
    let recent = events.iter().filter(|event| {
        let at: Option<jiff::Timestamp> = text(event, "/eventTime").parse().ok();
        began.is_none_or(|began| at.is_none_or(|at| at >= began))
    });
    Ok(recent.map(|event| within(&format!("{}: {}", text(event, "/reason"), text(event, "/note")), 2000)).collect())
}

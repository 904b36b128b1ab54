//! Watches one Deployment until the verdict, and ends with it. On a terminal the same lines are painted again; elsewhere each news is a line.

use std::time::Duration;

use anyhow::Result;
use coalmine_core::{
    api::annotations::Phase,
    run::times::elapsed,
    state::State,
    view::{self, status::Objects},
    words::within,
};
use futures::{StreamExt as _, pin_mut};
use kube::runtime::watcher::watch_object;
use serde_json::Value;

use crate::{
    End,
    clock::now,
    cluster::{Cluster, is_away, text},
    terminal::{self, Picture},
};

/// How often ages and Events are painted again while the object is quiet.
const REPAINT: Duration = Duration::from_secs(2);
/// For so long an API server may be away, as one that is upgraded, while a pipeline waits for the verdict.
const AWAY: Duration = Duration::from_mins(5);

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
    let mut away_since = None;
    loop {
        let (objects, events) = match look(cluster, name).await {
            Ok(seen) => seen,
            Err(error) if is_away(&error) && away_since.is_none_or(|since| elapsed(since, now()) < AWAY) => {
                if away_since.is_none() {
                    terminal::remark(&format!("The API server does not answer; asking it again. {error:#}"));
                    picture = Picture::default();
                }
                away_since = away_since.or_else(|| Some(now()));
                tokio::time::sleep(REPAINT).await;
                continue;
            }
            Err(error) => return Err(error),
        };
        away_since = None;
        let state = State::of(&objects.primary, objects.namesake.as_ref());
        if terminal::is_terminal() {
            picture.paint(view::status::status(&objects, now(), terminal::screen()));
        } else {
            for line in news(&events, &state) {
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

async fn look(cluster: &Cluster, name: &str) -> Result<(Objects, Vec<Value>)> {
    let objects = cluster.objects(name).await?;
    // On a terminal the picture has the last one.
    let events = if terminal::is_terminal() { Vec::new() } else { cluster.events(name).await? };
    Ok((objects, events))
}

/// Events since the run began, a line each.
fn news(events: &[Value], state: &State) -> Vec<String> {
    let began = state.since;
    let recent = events.iter().filter(|event| {
        let at: Option<jiff::Timestamp> = text(event, "/eventTime").parse().ok();
        began.is_none_or(|began| at.is_none_or(|at| at >= began))
    });
    recent.map(|event| within(&format!("{}: {}", text(event, "/reason"), text(event, "/note")), 2000)).collect()
}

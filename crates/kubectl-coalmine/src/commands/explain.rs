//! `explain`: why a trial goes as it goes; and where nothing is on trial, what would be read of this Deployment, and whether its traffic could
//! ever show the limit.

use anyhow::{Context as _, Result};
use coalmine_core::{
    api::{annotations::Phase, policy::Policy},
    judging::{self, Pod},
    manifest::object,
    manifest::workload::address,
    run::canary,
    state::State,
    view::{preview, status, table},
};
use serde_json::Value;

use crate::{
    End,
    args::Asked,
    cluster::{Cluster, plain, text},
    series, terminal,
};

pub(super) async fn explain(cluster: &Cluster, name: &str, asked: &Asked) -> Result<End> {
    let primary = cluster.deployment(name).await?;
    let namesake = cluster.deployments().get_opt(&canary::name(name)).await.ok().flatten().map(|found| plain(&found)).transpose()?;
    let state = State::of(&primary, namesake.as_ref());
    let mut rows = Vec::new();
    if state.enabled || state.holds() {
        rows = told(cluster, &state).await?;
    } else {
        rows.push(vec!["Phase".to_owned(), "not opted in".to_owned()]);
    }
    if !state.holds() {
        rows.extend(preview(cluster, &primary, asked).await?);
    }
    if !state.enabled && !state.holds() {
        rows.push(vec!["To opt in".to_owned(), format!("kubectl annotate {} canary.enabled=true", address(name))]);
    }
    terminal::print(&table::lines(&rows, terminal::screen().width).join("\n"));
    Ok(End::of(state.phase))
}

/// The newest word of each kind about this run, oldest first: what is read, why it waits, how it ended.
async fn told(cluster: &Cluster, state: &State) -> Result<Vec<Vec<String>>> {
    let mut newest: Vec<(String, String)> = Vec::new();
    for event in cluster.events(&state.name).await? {
        let (reason, note) = (text(&event, "/reason").to_owned(), text(&event, "/note").to_owned());
        newest.retain(|(before, _)| *before != reason);
        newest.push((reason, note));
    }
    let phase = state.phase.map_or("nothing was held yet", Phase::as_str);
    let mut rows = vec![vec!["Phase".to_owned(), phase.to_owned()]];
    rows.extend(state.message.clone().filter(|message| !message.is_empty()).map(|message| vec!["Verdict".to_owned(), message]));
    rows.extend(status::evidence(&state.evidence).map(|words| vec!["Evidence".to_owned(), words]));
    rows.extend(newest.into_iter().map(|(reason, note)| vec![reason, note]));
    Ok(rows)
}

async fn preview(cluster: &Cluster, primary: &Value, asked: &Asked) -> Result<Vec<Vec<String>>> {
    let policy = Policy::of(object::annotations(primary)).context("failed to read the annotations")?;
    let pods: Vec<Pod> = cluster.pods(primary).await?.iter().map(Pod::of).filter(|pod| pod.is_serving).collect();
    let (origin, series) = series::of(cluster, primary, &policy, &pods, asked).await?;
    let pods = judging::of_primary_alone(&pods, object::name(primary));
    Ok(preview::rows(&preview::Seen { primary, policy: &policy, origin, pods: &pods, series }))
}

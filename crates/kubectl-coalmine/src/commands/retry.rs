//! Asks for another trial of a template that was kept out: one annotation, as `kubectl annotate` would write it.

use anyhow::{Result, bail};
use coalmine_core::{
    api::annotations::{Phase, RETRY},
    state::State,
};

use crate::{End, clock::now, cluster::Cluster, terminal};

pub(super) async fn retry(cluster: &Cluster, name: &str) -> Result<End> {
    let primary = cluster.deployment(name).await?;
    match State::of(&primary, None).phase {
        Some(phase) if phase.is_kept_out() => {}
        Some(phase) if phase.is_trying() => {
            bail!("deployment {name} is on trial already ({}); to watch it: kubectl coalmine watch {name}", phase.as_str())
        }
        phase => bail!("nothing is kept out of deployment {name} ({})", phase.map_or("nothing was held yet", Phase::as_str)),
    }
    cluster.annotate(&primary, RETRY, &now().to_string()).await?;
    terminal::print(&format!("deployment.apps/{name} is tried once more; to watch it: kubectl coalmine watch {name}"));
    Ok(End::Good)
}

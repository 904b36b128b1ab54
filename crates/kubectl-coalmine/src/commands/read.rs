//! The commands that look once: list, status, diff, history. They read and print; what is printed is made by the core.

use anyhow::{Context as _, Result};
use coalmine_core::{
    api::annotations::Phase,
    hold::held::Held,
    manifest::object,
    standing::Standing,
    state::{API_VERSION, State},
    view,
};
use serde_json::{Value, json};

use crate::{
    End,
    args::{Format, Output},
    clock::now,
    cluster::Cluster,
    terminal,
};

pub(super) async fn list(cluster: &Cluster, everywhere: bool, selector: Option<&str>, output: Output) -> Result<End> {
    // What is shown of one is a hundredth of it: the objects go page by page.
    let shown = |object: &Value| Some(State::of(object, None)).filter(|state| state.enabled || state.holds());
    let states: Vec<State> = cluster.all_deployments(everywhere, selector, shown).await?;
    match output.format {
        Some(Format::Json) => structured(&json!({"apiVersion": "v1", "kind": "List", "items": states}), Format::Json)?,
        Some(Format::Yaml) => structured(&json!({"apiVersion": "v1", "kind": "List", "items": states}), Format::Yaml)?,
        Some(Format::Name) => {
            let names: Vec<String> = states.iter().map(|state| format!("deployment.apps/{}", state.name)).collect();
            terminal::print(&names.join("\n"));
        }
        Some(Format::Wide) => print_list(&states, everywhere, view::Screen { width: usize::MAX, ..terminal::screen() }),
        None => print_list(&states, everywhere, terminal::screen()),
    }
    if states.is_empty() {
        let place = if everywhere { "any namespace".to_owned() } else { format!("namespace {}", cluster.namespace) };
        terminal::remark(&format!("No Deployment in {place} is annotated canary.enabled=true."));
    }
    Ok(End::Good)
}

fn print_list(states: &[State], everywhere: bool, screen: view::Screen) {
    if !states.is_empty() {
        terminal::print(&view::list::list(states, everywhere, now(), screen).join("\n"));
    }
}

pub(super) async fn status(cluster: &Cluster, name: &str, output: Output) -> Result<End> {
    let objects = cluster.objects(name).await?;
    let state = State::of(&objects.primary, objects.namesake.as_ref());
    match output.format {
        Some(format @ (Format::Json | Format::Yaml)) => structured(&state, format)?,
        Some(Format::Name) => terminal::print(&format!("deployment.apps/{name}")),
        Some(Format::Wide) | None => terminal::print(&view::status::status(&objects, now(), terminal::screen()).join("\n")),
    }
    Ok(End::of(state.phase))
}

pub(super) async fn diff(cluster: &Cluster, name: &str) -> Result<End> {
    let primary = cluster.deployment(name).await?;
    let Some(record) = Standing::of(&primary).held else {
        terminal::remark(&format!("Nothing is held for deployment {name}."));
        return Ok(End::Good);
    };
    let held = Held::decode(record).with_context(|| format!("failed to read what is held for deployment {name}"))?;
    let difference = view::diff::unified(object::template(&primary), &held.template).context("failed to print a template")?;
    terminal::print(&difference);
    Ok(End::Good)
}

pub(super) async fn history(cluster: &Cluster, name: &str, output: Output) -> Result<End> {
    let state = State::of(&cluster.deployment(name).await?, None);
    let list =
        || json!({"apiVersion": API_VERSION, "kind": "CanaryHistory", "namespace": state.namespace, "name": name, "items": state.history});
    match output.format {
        Some(format @ (Format::Json | Format::Yaml)) => structured(&list(), format)?,
        Some(Format::Name) => terminal::print(&format!("deployment.apps/{name}")),
        _ if state.history.is_empty() => terminal::remark(&format!("There was no verdict on deployment {name} yet.")),
        Some(Format::Wide) => print_history(&state, view::Screen { width: usize::MAX, ..terminal::screen() }),
        None => print_history(&state, terminal::screen()),
    }
    Ok(End::Good)
}

fn print_history(state: &State, screen: view::Screen) {
    terminal::print(&view::history::history(state, now(), screen).join("\n"));
}

impl End {
    /// What a script is told of a phase.
    pub(super) fn of(phase: Option<Phase>) -> Self {
        match phase {
            Some(Phase::Rejected) => Self::Rejected,
            Some(Phase::Inconclusive) => Self::Inconclusive,
            Some(Phase::AwaitingApproval) => Self::WaitsForApproval,
            _ => Self::Good,
        }
    }
}

fn structured<T: serde::Serialize>(value: &T, format: Format) -> Result<()> {
    let value: Value = serde_json::to_value(value).context("failed to print")?;
    let text = match format {
        Format::Yaml => serde_saphyr::to_string(&value).context("failed to print as YAML")?,
        _ => serde_json::to_string_pretty(&value).context("failed to print as JSON")?,
    };
    terminal::print(&text);
    Ok(())
}

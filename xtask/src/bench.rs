//! `cargo xtask bench`: what Coalmine costs and how fast it is, measured on the real programs and put beside its budgets.
//!
//! It fails when a budget is exceeded. Numbers of a busy machine are that machine's: the table says what was measured, not why.

mod canaries;
mod https;
mod judging;
mod looking;
mod memory;
mod plugin;
mod program;
mod reviews;
mod worst;

use std::time::Duration;

use anyhow::{Result, bail};

use crate::{cluster, command, control_plane, deploy, directory::State, images, progress::say, target::Target};

/// Nobody answers there.
const NO_PROMETHEUS: &str = "http://127.0.0.1:1";

/// What was typed.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Leave out what takes minutes: ten thousand Deployments, and canaries under load
    #[arg(long)]
    quick: bool,
}

/// One line of the table.
#[derive(Debug)]
struct Row {
    what: &'static str,
    budget: String,
    measured: String,
    ok: bool,
}

impl Row {
    fn duration(what: &'static str, budget: Duration, measured: Duration) -> Self {
        Self { what, budget: seconds(budget), measured: seconds(measured), ok: measured <= budget }
    }

    fn mebibytes(what: &'static str, budget: u64, bytes: u64) -> Self {
        let measured = bytes as f64 / f64::from(1 << 20);
        Self { what, budget: format!("{budget} MiB"), measured: format!("{measured:.1} MiB"), ok: measured <= budget as f64 }
    }
}

/// Measures, prints the table, fails when something is over its budget.
pub(crate) fn bench(target: &Target, options: &Options) -> Result<()> {
    let state = State::open()?;
    let archives = images::build(target, &state, &images::OWN)?;
    let mut rows = vec![image(&archives)?];
    rows.extend(on_a_control_plane(&state, options)?);
    if !options.quick {
        if matches!(target, Target::Development(_)) {
            cluster::up(target, deploy::Counts::Prometheus)?;
        }
        deploy::deploy(target, deploy::Counts::Prometheus)?;
        rows.extend(canaries::measure(target)?);
    }
    print!("{}", table(&rows));
    let over = rows.iter().filter(|row| !row.ok).count();
    if over > 0 {
        bail!("{over} of {} measurements are over their budget", rows.len());
    }
    Ok(())
}

fn image(archives: &[images::Archive]) -> Result<Row> {
    let bytes: u64 =
        archives.iter().filter(|archive| archive.is_of("localhost/coalmine:dev")).map(images::Archive::bytes).sum::<Result<_>>()?;
    let megabytes = bytes as f64 / 1e6;
    Ok(Row { what: "image", budget: "15 MB".to_owned(), measured: format!("{megabytes:.1} MB"), ok: megabytes <= 15.0 })
}

/// The real program beside an API server of its own.
fn on_a_control_plane(state: &State, options: &Options) -> Result<Vec<Row>> {
    control_plane::down_abandoned(state)?;
    let name = format!("{}{}", control_plane::TEMPORARY, std::process::id());
    let result = control_plane::up(state, Some(&name), None).and_then(|kubeconfig| {
        let kubectl = program::Kubectl::new(state.bin().join("kubectl"), kubeconfig);
        program::install(&kubectl)?;
        // The first start makes the certificate; the second is what a restart is like.
        drop(program::Program::start(&kubectl, NO_PROMETHEUS)?);
        let program = program::Program::start(&kubectl, NO_PROMETHEUS)?;
        let mut rows = vec![Row::duration("start to ready", Duration::from_secs(2), program.started_within())];
        say("letting it idle");
        rows.push(Row::mebibytes("resident memory, idle", 15, program.settled_memory()?));
        rows.extend(reviews::measure(&kubectl, &program)?);
        rows.push(worst::measure(&kubectl, &program)?);
        rows.extend(plugin::measure(&kubectl)?);
        if !options.quick {
            drop(program);
            rows.extend(judging::measure(state, &kubectl)?);
            rows.extend(memory::measure(&kubectl)?);
        }
        Ok(rows)
    });
    let gone = control_plane::down(state, &name);
    let rows = result?;
    gone?;
    Ok(rows)
}

fn seconds(duration: Duration) -> String {
    if duration < Duration::from_millis(100) {
        return format!("{:.2} ms", duration.as_secs_f64() * 1000.0);
    }
    format!("{:.1} s", duration.as_secs_f64())
}

fn table(rows: &[Row]) -> String {
    let width = rows.iter().map(|row| row.what.chars().count()).max().unwrap_or_default();
    let line = |what: &str, budget: &str, measured: &str, end: &str| {
        format!("{what:<width$}  {budget:>9}  {measured:<28}  {end}").trim_end().to_owned() + "\n"
    };
    let mut text = format!("\n{}", line("what", "budget", "measured", ""));
    for row in rows {
        text += &line(row.what, &row.budget, &row.measured, if row.ok { "ok" } else { "OVER" });
    }
    text
}

/// For a JSON value that must be there.
fn text<'a>(value: &'a serde_json::Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(serde_json::Value::as_str).unwrap_or_default()
}

fn json(output: &str) -> Result<serde_json::Value> {
    Ok(serde_json::from_str(output)?)
}

/// Runs a command that must succeed and reads what it prints.
fn ask(mut process: std::process::Command) -> Result<String> {
    command::capture(&mut process)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_says_what_is_over() {
        let rows = [
            Row::duration("start to ready", Duration::from_secs(2), Duration::from_millis(350)),
            Row::mebibytes("resident memory, idle", 15, 16 << 20),
        ];
        insta::assert_snapshot!(table(&rows), @r"

        what                      budget  measured
        start to ready             2.0 s  0.3 s                         ok
        resident memory, idle     15 MiB  16.0 MiB                      OVER
        ");
    }
}

//! The table of what was seen, `tests/RESULTS.md`: request and client down, API server versions across. Written by the tests
//! themselves, one cell when a test ends, so that a row is there only because it ran.

use std::{collections::BTreeMap, fmt::Write as _, path::Path, sync::Mutex};

use super::control_plane::{ControlPlane, api_server};

const HEAD: &str = "# What each request does\n\n\
    Written by `cargo xtask test --suite hold`, `--suite faults` and `--suite flux`, each cell by the test that saw it. A column is an API\n\
    server's version; the clients are the newest where it names no other, and each row is a test's assertion, not a wish.\n\n";

static WRITING: Mutex<()> = Mutex::new(());

/// One row, filed when it is dropped: as failed when the test panics.
pub(crate) struct Row {
    request: String,
    client: String,
    result: String,
}

/// Begins a row; `result` is what it says when the test passes.
#[track_caller]
pub(crate) fn row(request: &str, client: &str, result: &str) -> Row {
    assert!(![request, client, result].iter().any(|cell| cell.contains('|')), "a bar ends a cell: {request}, {client}, {result}");
    Row { request: request.to_owned(), client: client.to_owned(), result: result.to_owned() }
}

impl Drop for Row {
    fn drop(&mut self) {
        let result = if std::thread::panicking() { "**FAILED**" } else { &self.result };
        file(api_server(), &self.request, &self.client, result);
    }
}

type Table = BTreeMap<(String, String), BTreeMap<String, String>>;

fn file(control_plane: &ControlPlane, request: &str, client: &str, result: &str) {
    let _writing = WRITING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let path = control_plane.repository.join("tests/RESULTS.md");
    let mut table = read(&path);
    let cells = table.entry((request.to_owned(), client.to_owned())).or_default();
    cells.insert(control_plane.version.clone(), result.to_owned());
    let partial = path.with_extension("partial");
    if std::fs::write(&partial, write(&table)).is_ok() {
        let _ = std::fs::rename(&partial, &path);
    }
}

fn read(path: &Path) -> Table {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |")).map(|line| line.split(" | "));
    let versions: Vec<String> = rows.next().map(|head| head.skip(2).map(str::to_owned).collect()).unwrap_or_default();
    rows.filter_map(|mut cells| {
        let place = (cells.next()?.to_owned(), cells.next()?.to_owned());
        let results = versions.iter().cloned().zip(cells.map(str::to_owned)).filter(|(_, result)| !result.is_empty() && result != "-");
        Some((place, results.collect()))
    })
    .filter(|((request, _), _): &((String, String), _)| !request.starts_with("---"))
    .collect()
}

fn write(table: &Table) -> String {
    let mut versions: Vec<&String> = table.values().flat_map(BTreeMap::keys).collect();
    versions.sort();
    versions.dedup();
    let joined = versions.iter().map(|version| version.as_str()).collect::<Vec<_>>().join(" | ");
    let mut text = format!("{HEAD}| request | client | {joined} |\n| --- | ---{} |\n", " | ---".repeat(versions.len()));
    for ((request, client), cells) in table {
        let cells: Vec<&str> = versions.iter().map(|version| cells.get(*version).map_or("-", String::as_str)).collect();
        let _ = writeln!(text, "| {request} | {client} | {} |", cells.join(" | "));
    }
    text
}

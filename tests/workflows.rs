//! What runs on GitHub, read without GitHub: it parses, trusts nothing by a name that can be moved, and knows every place that it should.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn parse(path: &Path) -> Value {
    serde_saphyr::from_str(&read(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn workflows() -> Vec<PathBuf> {
    let entries = fs::read_dir(repository().join(".github/workflows")).unwrap();
    let found: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    assert!(found.len() >= 3, "{found:?}");
    found
}

/// A tag can be moved to other code; a commit cannot.
#[test]
fn every_action_is_pinned_by_its_commit_and_says_its_version() {
    for path in workflows() {
        for line in read(&path).lines() {
            let Some((_, action)) = line.split_once("uses: ").filter(|_| !line.trim_start().starts_with('#')) else { continue };
            if action.starts_with("./") {
                assert!(repository().join(action).is_file(), "{line}");
                continue;
            }
            let (_, pin) = action.split_once('@').unwrap_or_else(|| panic!("{line}"));
            let (commit, version) = pin.split_once(" # v").unwrap_or_else(|| panic!("no version in: {line}"));
            assert!(commit.len() == 40 && commit.chars().all(|character| character.is_ascii_hexdigit()), "{line}");
            assert_eq!(version.split('.').count(), 3, "{line}");
        }
    }
}

/// What a job may do beyond reading is said by that job.
#[test]
fn a_workflow_may_read_and_no_more() {
    for path in workflows() {
        assert_eq!(parse(&path)["permissions"], serde_json::json!({"contents": "read"}), "{}", path.display());
    }
}

#[test]
fn sequences_run_on_versions_that_the_results_know() {
    let matrix =
        parse(&repository().join(".github/workflows/sequences.yml"))["jobs"]["sequences"]["strategy"]["matrix"]["kubernetes"].clone();
    let results = read(&repository().join("tests/RESULTS.md"));
    let header = results.lines().find(|line| line.starts_with("| request |")).unwrap();
    for version in matrix.as_array().unwrap() {
        let version = version.as_str().unwrap();
        assert!(header.contains(&format!("| {version} |")), "{version}: {header}");
    }
}

#[test]
fn dependabot_looks_at_every_module() {
    let dependabot = parse(&repository().join(".github/dependabot.yml"));
    let updates = dependabot["updates"].as_array().unwrap();
    let modules = updates.iter().find(|update| update["package-ecosystem"] == "gomod").unwrap();
    let mut named: Vec<String> = modules["directories"].as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect();
    let mut present = Vec::new();
    for parent in ["xtask/go", "tests/clients"] {
        for entry in fs::read_dir(repository().join(parent)).unwrap().map(|entry| entry.unwrap()) {
            if entry.path().join("go.mod").is_file() {
                present.push(format!("/{parent}/{}", entry.file_name().to_str().unwrap()));
            }
        }
    }
    named.sort();
    present.sort();
    assert_eq!(named, present);
}

#[test]
fn forms_can_be_read() {
    for form in ["bug", "idea", "config"] {
        parse(&repository().join(format!(".github/ISSUE_TEMPLATE/{form}.yml")));
    }
}

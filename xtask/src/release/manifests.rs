//! What is written from files of the repository: `install.yaml`, the chart's package, the notes. It changes nothing in them but names.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::archive::Archive;
use crate::{command, directory::repository};

/// The image that `deploy/` and the chart name in the repository.
const DEVELOPMENT_IMAGE: &str = "localhost/coalmine:dev";

pub(super) fn workspace_version() -> Result<String> {
    let text = command::read(&repository().join("Cargo.toml"))?;
    let (_, section) = text.split_once("[workspace.package]").context("failed to find the workspace's version")?;
    let version = section.lines().find_map(|line| line.strip_prefix("version = \"")?.strip_suffix('"'));
    Ok(version.context("failed to find the workspace's version")?.to_owned())
}

/// What `kubectl kustomize deploy` prints, with the released image.
pub(super) fn install(kubectl: &Path, image: &str, version: &str) -> Result<String> {
    let deploy = repository().join("deploy");
    let text = command::capture(std::process::Command::new(kubectl).arg("kustomize").arg(&deploy))?;
    let text = once(&text, DEVELOPMENT_IMAGE, &format!("{image}:{version}"))?;
    Ok(format!("# Coalmine {version}: kubectl apply -f install.yaml\n{text}"))
}

/// The chart with the release's version and image.
pub(super) fn chart(image: &str, version: &str) -> Result<Archive> {
    let directory = repository().join("charts/coalmine");
    let mut archive = Archive::default();
    for path in files(&directory)? {
        let name = path.strip_prefix(&directory).context("failed to name a file of the chart")?.display().to_string();
        let text = command::read(&path)?;
        let text = match name.as_str() {
            "Chart.yaml" => stamped(&text, version)?,
            "values.yaml" => once(&text, "  repository: localhost/coalmine\n", &format!("  repository: {image}\n"))?,
            _ => text,
        };
        archive.add(format!("coalmine/{name}"), text);
    }
    Ok(archive)
}

fn stamped(chart: &str, version: &str) -> Result<String> {
    let line =
        |start: &str| chart.lines().find(|line| line.starts_with(start)).with_context(|| format!("failed to find {start:?} in Chart.yaml"));
    let text = chart.replacen(line("version: ")?, &format!("version: {version}"), 1);
    Ok(text.replacen(line("appVersion: ")?, &format!("appVersion: {version:?}"), 1))
}

/// Replaces what must be there exactly once.
fn once(text: &str, from: &str, to: &str) -> Result<String> {
    match text.matches(from).count() {
        1 => Ok(text.replacen(from, to, 1)),
        count => bail!("failed to replace {from:?}: it is there {count} times"),
    }
}

fn files(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).with_context(|| format!("failed to list {}", directory.display()))? {
        let path = entry.context("failed to list the chart")?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The version's part of the changelog; before its section is written, that of what is not released.
pub(super) fn notes(changelog: &str, version: &str) -> Result<String> {
    let section = |name: &str| {
        let mut lines = changelog.lines().skip_while(|line| !line.starts_with(&format!("## [{name}]")));
        lines.next()?;
        let lines: Vec<&str> = lines.take_while(|line| !line.starts_with("## ") && !line.starts_with('[')).collect();
        Some(lines.join("\n").trim().to_owned()).filter(|text| !text.is_empty())
    };
    let text = section(version).or_else(|| section("Unreleased")).with_context(|| format!("failed to find {version} in CHANGELOG.md"))?;
    Ok(format!("# Coalmine {version}\n\n{text}\n"))
}

/// Seconds since 1970 as a date, in the calendar of Gregory.
pub(super) fn rfc3339(seconds: u64) -> String {
    let (mut days, rest) = (seconds / 86_400, seconds % 86_400);
    let leap = |year: u64| (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400);
    let mut year = 1970;
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let mut month = 1;
    for length in [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}T{:02}:{:02}:{:02}Z", days + 1, rest / 3600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(0, "1970-01-01T00:00:00Z")]
    #[case(951_782_400, "2000-02-29T00:00:00Z")]
    #[case(1_700_000_000, "2023-11-14T22:13:20Z")]
    #[case(1_798_761_599, "2026-12-31T23:59:59Z")]
    fn dates(#[case] seconds: u64, #[case] expected: &str) {
        assert_eq!(rfc3339(seconds), expected);
    }

    const CHANGELOG: &str =
        "# Changelog\n\n## [Unreleased]\n\n- soon\n\n## [1.1.0] - 2026-01-01\n\n- now\n\n## [1.0.0]\n\n- once\n\n[1.0.0]: https://x\n";

    #[rstest]
    #[case("1.1.0", "# Coalmine 1.1.0\n\n- now\n")]
    #[case("1.0.0", "# Coalmine 1.0.0\n\n- once\n")]
    #[case("2.0.0", "# Coalmine 2.0.0\n\n- soon\n")]
    fn the_notes_are_the_versions_own(#[case] version: &str, #[case] expected: &str) {
        assert_eq!(notes(CHANGELOG, version).unwrap(), expected);
    }

    #[test]
    fn the_chart_names_the_released_image_and_version() {
        let chart = format!("{:?}", chart("registry.example/coalmine", "9.8.7").unwrap().tar(0).unwrap().len());
        assert_ne!(chart, "1024", "an empty archive");
        let text = command::read(&repository().join("charts/coalmine/Chart.yaml")).unwrap();
        let text = stamped(&text, "9.8.7").unwrap();
        assert!(text.contains("\nversion: 9.8.7\n") && text.contains("\nappVersion: \"9.8.7\"\n"), "{text}");
    }

    #[test]
    fn what_is_not_there_once_is_not_replaced() {
        assert!(once("a a", "a", "b").is_err());
        assert!(once("c", "a", "b").is_err());
    }
}

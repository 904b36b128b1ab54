//! Which crates a program is made of, from `cargo metadata`: for the bill of materials, the licences, and the list inside the program.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{command, directory::repository};

/// What is read of `cargo metadata`.
#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Package {
    id: String,
    pub(super) name: String,
    pub(super) version: String,
    license: Option<String>,
    source: Option<String>,
    manifest_path: PathBuf,
    repository: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Debug, Deserialize)]
struct Kind {
    /// `None` for what is linked in, else `dev` or `build`.
    kind: Option<String>,
}

/// A package, whether only the build needs it, and the indices of what it stands on.
#[derive(Clone, Debug)]
pub(super) struct Crate {
    pub(super) package: Package,
    pub(super) build_only: bool,
    pub(super) needs: Vec<usize>,
    checksum: Option<String>,
}

/// All that `root` is made of for these targets, sorted by name and version.
pub(super) fn of(root: &str, targets: &[&str]) -> Result<Vec<Crate>> {
    let mut cargo = command::cargo()?;
    cargo.args(["metadata", "--format-version=1", "--locked"]).current_dir(repository());
    // This machine's too: macros and build scripts run here, and stand on what their own platform needs.
    let about = command::capture(command::program("rustc")?.arg("-vV"))?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: ")).context("failed to find out what rustc runs on")?;
    for target in targets.iter().copied().chain([host]) {
        cargo.args(["--filter-platform", target]);
    }
    let metadata: Metadata =
        serde_json::from_str(&command::capture(&mut cargo)?).context("failed to parse what cargo says of its packages")?;
    select(metadata, root, &command::read(&repository().join("Cargo.lock"))?)
}

fn select(metadata: Metadata, root: &str, lock: &str) -> Result<Vec<Crate>> {
    let packages: BTreeMap<&str, &Package> = metadata.packages.iter().map(|package| (package.id.as_str(), package)).collect();
    let nodes: BTreeMap<&str, &Node> = metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
    let root = metadata.packages.iter().find(|package| package.name == root && package.source.is_none());
    let Some(root) = root else { bail!("failed to find the package among cargo's") };
    // Linked in, on every way from the root; and what is met on any way.
    let linked = reachable(&root.id, &nodes, |kind| kind.is_none());
    let all = reachable(&root.id, &nodes, |kind| kind != Some("dev"));
    let mut chosen: Vec<&Package> = all.iter().filter_map(|id| packages.get(id).copied()).collect();
    chosen.sort_by(|one, other| (&one.name, &one.version).cmp(&(&other.name, &other.version)));
    let index: BTreeMap<&str, usize> = chosen.iter().enumerate().map(|(index, package)| (package.id.as_str(), index)).collect();
    let sums = checksums(lock);
    let crates = chosen.iter().map(|package| {
        let needs = nodes.get(package.id.as_str()).into_iter().flat_map(|node| &node.deps);
        let needs = needs.filter(|need| need.dep_kinds.iter().any(|kind| kind.kind.as_deref() != Some("dev")));
        let needs: BTreeSet<usize> = needs.filter_map(|need| index.get(need.pkg.as_str()).copied()).collect();
        Crate {
            package: (*package).clone(),
            build_only: !linked.contains(package.id.as_str()),
            needs: needs.into_iter().collect(),
            checksum: sums.get(&(package.name.clone(), package.version.clone())).cloned(),
        }
    });
    Ok(crates.collect())
}

fn reachable<'a>(root: &'a str, nodes: &BTreeMap<&'a str, &'a Node>, follow: impl Fn(Option<&str>) -> bool) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut open = vec![root];
    while let Some(id) = open.pop() {
        if !found.insert(id) {
            continue;
        }
        let needs = nodes.get(id).into_iter().flat_map(|node| &node.deps);
        open.extend(needs.filter(|need| need.dep_kinds.iter().any(|kind| follow(kind.kind.as_deref()))).map(|need| need.pkg.as_str()));
    }
    found
}

/// By name and version, as `Cargo.lock` has them.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let mut found = BTreeMap::new();
    for package in lock.split("[[package]]").skip(1) {
        let value = |key: &str| {
            package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"')).map(str::to_owned)
        };
        if let (Some(name), Some(version), Some(sum)) = (value("name"), value("version"), value("checksum")) {
            found.insert((name, version), sum);
        }
    }
    found
}

impl Crate {
    fn reference(&self) -> String {
        format!("pkg:cargo/{}@{}", self.package.name, self.package.version)
    }

    fn component(&self) -> Value {
        let mut component = json!({
            "type": "library", "bom-ref": self.reference(), "name": self.package.name, "version": self.package.version,
            "scope": if self.build_only { "excluded" } else { "required" },
        });
        if let Some(license) = &self.package.license {
            // Older crates write a slash for "or".
            component["licenses"] = json!([{"expression": license.replace('/', " OR ")}]);
        }
        if self.package.source.is_some() {
            component["purl"] = json!(self.reference());
        }
        if let Some(sum) = &self.checksum {
            component["hashes"] = json!([{"alg": "SHA-256", "content": sum}]);
        }
        if let Some(repository) = &self.package.repository {
            component["externalReferences"] = json!([{"type": "vcs", "url": repository}]);
        }
        component
    }
}

/// `CycloneDX` 1.5. It has no serial number and no time of its own: two of the same source are equal.
pub(super) fn bill_of_materials(crates: &[Crate], root: &str, created: &str) -> Result<Value> {
    let own = crates.iter().find(|it| it.package.name == root).context("failed to find the program among its crates")?;
    let mut component = own.component();
    component["type"] = json!("application");
    let others: Vec<Value> = crates.iter().filter(|it| it.package.name != root).map(Crate::component).collect();
    let dependencies: Vec<Value> = crates
        .iter()
        .map(|it| json!({"ref": it.reference(), "dependsOn": it.needs.iter().map(|need| crates[*need].reference()).collect::<Vec<_>>()}))
        .collect();
    Ok(json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json", "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "metadata": {"timestamp": created, "component": component}, "components": others, "dependencies": dependencies,
    }))
}

/// What `cargo audit bin` and other scanners read in a program's section `.dep-v0`, not yet compressed.
pub(super) fn audit_data(crates: &[Crate], root: &str) -> Value {
    let packages: Vec<Value> = crates
        .iter()
        .map(|it| {
            let source = if it.package.source.is_some() { "crates.io" } else { "local" };
            let mut entry = json!({"name": it.package.name, "version": it.package.version, "source": source});
            if it.build_only {
                entry["kind"] = json!("build");
            }
            if !it.needs.is_empty() {
                entry["dependencies"] = json!(it.needs);
            }
            if it.package.name == root {
                entry["root"] = json!(true);
            }
            entry
        })
        .collect();
    json!({"packages": packages})
}

/// The licences of what is linked in, each text once, with the crates that come under it.
pub(super) fn licences(crates: &[Crate]) -> Result<String> {
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for it in crates.iter().filter(|it| !it.build_only && it.package.source.is_some()) {
        let directory = it.package.manifest_path.parent().context("failed to find a crate's directory")?;
        let label = format!("{} {} ({})", it.package.name, it.package.version, it.package.license.as_deref().unwrap_or("see its text"));
        let found = licence_texts(directory)?;
        if found.is_empty() {
            texts.entry("(its package holds no text of the licence)\n".to_owned()).or_default().push(label.clone());
        }
        for text in found {
            texts.entry(text).or_default().push(label.clone());
        }
    }
    let mut parts: Vec<String> = texts
        .into_iter()
        .map(|(text, mut crates)| {
            crates.sort();
            crates.dedup();
            format!("{}\n\n{}\n", crates.join("\n"), text.trim_end())
        })
        .collect();
    parts.sort();
    Ok(format!(
        "Coalmine is Apache-2.0; what it is made of comes under these licences.\n\n{}",
        parts.join(&format!("\n{}\n\n", "-".repeat(80)))
    ))
}

fn licence_texts(directory: &Path) -> Result<Vec<String>> {
    let mut names: Vec<PathBuf> = std::fs::read_dir(directory)
        .with_context(|| format!("failed to list {}", directory.display()))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
            path.is_file() && ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"].iter().any(|start| name.starts_with(start))
        })
        .collect();
    names.sort();
    names
        .iter()
        .map(|path| Ok(String::from_utf8_lossy(&std::fs::read(path).context("failed to read a licence")?).replace("\r\n", "\n")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> Metadata {
        let package = |name: &str, source: Option<&str>| {
            json!({"id": name, "name": name, "version": "1.0.0", "license": "MIT/Apache-2.0", "source": source,
                "manifest_path": "/nowhere/Cargo.toml", "repository": null})
        };
        let need = |name: &str, kind: Option<&str>| json!({"pkg": name, "dep_kinds": [{"kind": kind}]});
        serde_json::from_value(json!({
            "packages": [package("app", None), package("lib", Some("registry")), package("cc", Some("registry")), package("test", Some("registry"))],
            "resolve": {"nodes": [
                {"id": "app", "deps": [need("lib", None), need("test", Some("dev"))]},
                {"id": "lib", "deps": [need("cc", Some("build"))]},
                {"id": "cc", "deps": []}, {"id": "test", "deps": []},
            ]},
        }))
        .unwrap()
    }

    const LOCK: &str = "[[package]]\nname = \"lib\"\nversion = \"1.0.0\"\nsource = \"registry\"\nchecksum = \"abc\"\n";

    #[test]
    fn what_only_tests_need_is_not_in_it_and_what_only_the_build_needs_is_marked() {
        let crates = select(metadata(), "app", LOCK).unwrap();
        insta::assert_snapshot!(audit_data(&crates, "app"), @r#"{"packages":[{"dependencies":[2],"name":"app","root":true,"source":"local","version":"1.0.0"},{"kind":"build","name":"cc","source":"crates.io","version":"1.0.0"},{"dependencies":[1],"name":"lib","source":"crates.io","version":"1.0.0"}]}"#);
    }

    #[test]
    fn the_bill_names_licence_checksum_and_what_stands_on_what() {
        let crates = select(metadata(), "app", LOCK).unwrap();
        let bill = bill_of_materials(&crates, "app", "2026-01-01T00:00:00Z").unwrap();
        insta::assert_snapshot!(bill["components"][1], @r#"{"bom-ref":"pkg:cargo/lib@1.0.0","hashes":[{"alg":"SHA-256","content":"abc"}],"licenses":[{"expression":"MIT OR Apache-2.0"}],"name":"lib","purl":"pkg:cargo/lib@1.0.0","scope":"required","type":"library","version":"1.0.0"}"#);
        insta::assert_snapshot!(bill["dependencies"], @r#"[{"dependsOn":["pkg:cargo/lib@1.0.0"],"ref":"pkg:cargo/app@1.0.0"},{"dependsOn":[],"ref":"pkg:cargo/cc@1.0.0"},{"dependsOn":["pkg:cargo/cc@1.0.0"],"ref":"pkg:cargo/lib@1.0.0"}]"#);
    }

    /// The program that is released, as cargo itself tells it.
    #[test]
    fn every_crate_of_cargo_tree_is_in_it() {
        let target = crate::prerequisites::STATIC_TARGET;
        let mut cargo = command::cargo().unwrap();
        cargo.args(["tree", "--locked", "--package", "coalmine", "--target", target, "--edges", "normal,build", "--prefix", "none"]);
        let tree = command::capture(cargo.current_dir(repository())).unwrap();
        let crates = of("coalmine", &[target]).unwrap();
        for line in tree.lines().filter(|line| !line.is_empty()) {
            let mut words = line.split_whitespace();
            let (name, version) = (words.next().unwrap(), words.next().unwrap().trim_start_matches('v'));
            assert!(crates.iter().any(|it| it.package.name == name && it.package.version == version), "{line}");
        }
    }
}

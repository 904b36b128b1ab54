//! Admission without a cluster: each Deployment of the given files is put before the very code that answers reviews, as if created.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use coalmine_core::{
    api::{
        annotations::{ENABLED, is_ours},
        checks::Rules,
        label::Label,
    },
    hold::admit::{Outcome, Request, Settings, admit},
    manifest::object,
    message,
    words::within,
};
use serde_json::Value;

use crate::{End, cluster::text, terminal};

pub(super) fn lint(files: &[PathBuf]) -> Result<End> {
    let (mut checked, mut refused) = (0_usize, 0_usize);
    for path in &all(files)? {
        let content = read(path)?;
        let documents: Vec<Value> = serde_saphyr::from_multiple(&content).with_context(|| format!("failed to parse {}", path.display()))?;
        for document in documents.iter().flat_map(items) {
            if text(document, "/kind") != "Deployment" {
                if let Some(words) = elsewhere(document) {
                    let kind = text(document, "/kind").to_lowercase();
                    terminal::print(&format!("{}: {kind} {}: warning: {words}", path.display(), object::name(document)));
                }
                continue;
            }
            let deployment = document;
            checked += 1;
            let words = words(deployment);
            refused += usize::from(words.is_some());
            for line in words.into_iter().chain(warnings(deployment)) {
                terminal::print(&format!("{}: deployment {}: {line}", path.display(), object::name(deployment)));
            }
        }
    }
    terminal::remark(&format!("{checked} Deployments checked, {refused} would be refused"));
    Ok(if refused == 0 { End::Good } else { End::Failed })
}

/// A directory stands for its manifests, as for kubectl.
fn all(files: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for path in files {
        if !path.is_dir() {
            all.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path).with_context(|| format!("failed to read {}", path.display()))?;
        let mut found: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        found.retain(|path| {
            !path.is_dir() && path.extension().is_some_and(|extension| ["json", "yaml", "yml"].iter().any(|known| extension == *known))
        });
        found.sort();
        anyhow::ensure!(!found.is_empty(), "failed to find a file that ends with .yaml, .yml or .json in {}", path.display());
        all.extend(found);
    }
    Ok(all)
}

fn read(path: &Path) -> Result<String> {
    if path.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("failed to read standard input")?;
        return Ok(text);
    }
    std::fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))
}

/// A `List` holds what counts.
fn items(document: &Value) -> Vec<&Value> {
    match document.get("items").and_then(Value::as_array) {
        Some(items) => items.iter().collect(),
        None => vec![document],
    }
}

fn review(deployment: &Value) -> coalmine_core::hold::admit::Admission {
    let settings = Settings { controller: String::new(), canary_label: Label::new("tier", "canary"), checks: Rules::default() };
    let request = Request {
        username: "lint",
        groups: &[],
        field_manager: "kubectl-coalmine",
        name: object::name(deployment),
        old: None,
        new: deployment,
        dry_run: true,
        held_merged: None,
    };
    admit(&settings, &request)
}

/// What nobody is asked about in a cluster, so that it does nothing there either.
fn elsewhere(document: &Value) -> Option<String> {
    let runs_pods = document.pointer("/spec/template").is_some();
    (runs_pods && object::annotations(document).contains_key(ENABLED)).then(|| message::only_deployments(text(document, "/kind")))
}

/// YAML reads `true` and `90` as no text, and kubectl refuses them before admission is asked.
fn no_text(deployment: &Value) -> Option<String> {
    let annotations = object::annotations(deployment);
    let (name, value) = annotations.iter().find(|(name, value)| is_ours(name) && !(value.is_string() || value.is_null()))?;
    let value = within(&value.to_string(), 60);
    Some(format!("canary: {name}: {value} is no text, and annotations are; write it in quotes"))
}

fn words(deployment: &Value) -> Option<String> {
    if let Some(words) = no_text(deployment) {
        return Some(words);
    }
    match review(deployment).outcome {
        Outcome::Denied(words) => Some(words),
        Outcome::Unchanged | Outcome::Changed(_) => None,
    }
}

fn warnings(deployment: &Value) -> Vec<String> {
    review(deployment).warnings.into_iter().map(|warning| format!("warning: {warning}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(annotations: &str) -> Value {
        let text = format!("apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: app\n  annotations:\n{annotations}\nspec: {{}}\n");
        serde_saphyr::from_str(&text).unwrap()
    }

    #[test]
    fn it_says_what_admission_says() {
        assert_eq!(words(&of("    canary.enabled: \"true\"")), None);
        let words = words(&of("    canary.enabled: \"true\"\n    canary.duration: soon")).unwrap();
        assert!(words.contains("canary.duration") && words.contains("soon"), "{words}");
    }

    #[test]
    fn what_yaml_takes_for_something_else_than_a_text_is_refused_before_admission_is_asked() {
        let words = |value: &str| words(&of(&format!("    canary.enabled: {value}"))).unwrap();
        assert_eq!(words("true"), "canary: canary.enabled: true is no text, and annotations are; write it in quotes");
        assert_eq!(words("1.5"), "canary: canary.enabled: 1.5 is no text, and annotations are; write it in quotes");
        assert_eq!(super::words(&of("    other: 1")), None);
    }

    #[test]
    fn only_deployments_have_canaries() {
        let of = |kind: &str, annotation: &str, spec: Value| {
            elsewhere(&serde_json::json!({"kind": kind, "metadata": {"annotations": {annotation: "true"}}, "spec": spec}))
        };
        let spec = || serde_json::json!({"template": {}});
        let words = of("StatefulSet", "canary.enabled", spec()).unwrap();
        assert_eq!(words, "canary: canary.enabled does nothing on a StatefulSet: only Deployments have canaries");
        assert_eq!((of("StatefulSet", "other", spec()), of("Namespace", "canary.enabled", Value::Null)), (None, None));
    }

    #[test]
    fn a_directory_stands_for_its_manifests() {
        let directory = std::env::temp_dir().join(format!("coalmine-lint-{}", std::process::id()));
        std::fs::create_dir_all(directory.join("below.yaml")).unwrap();
        let empty = all(std::slice::from_ref(&directory)).unwrap_err().to_string();
        for name in ["b.yml", "a.yaml", "c.json", "README.md"] {
            std::fs::write(directory.join(name), "").unwrap();
        }
        let found = all(&[PathBuf::from("-"), directory.clone()]).unwrap();
        std::fs::remove_dir_all(&directory).unwrap();
        let names: Vec<_> = found.iter().filter_map(|path| path.file_name()?.to_str()).collect();
        assert_eq!(names, ["-", "a.yaml", "b.yml", "c.json"]);
        assert!(empty.starts_with("failed to find a file that ends with .yaml, .yml or .json in "), "{empty}");
    }

    #[test]
    fn a_list_is_looked_into() {
        let list = serde_json::json!({"kind": "List", "items": [{"kind": "Deployment"}, {"kind": "Service"}]});
        assert_eq!(items(&list).len(), 2);
    }
}

//! Admission without a cluster: each Deployment of the given files is put before the very code that answers reviews, as if created.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use coalmine_core::{
    api::checks::Rules,
    hold::admit::{Outcome, Request, Settings, admit},
    manifest::object,
};
use serde_json::Value;

use crate::{End, terminal};

pub(super) fn lint(files: &[PathBuf]) -> Result<End> {
    let (mut checked, mut refused) = (0_usize, 0_usize);
    for path in files {
        let text = read(path)?;
        let documents: Vec<Value> = serde_saphyr::from_multiple(&text).with_context(|| format!("failed to parse {}", path.display()))?;
        for deployment in
            documents.iter().flat_map(items).filter(|document| document.get("kind").and_then(Value::as_str) == Some("Deployment"))
        {
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
    let settings = Settings { controller: String::new(), canary_label: ("tier".to_owned(), "canary".to_owned()), checks: Rules::default() };
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

fn words(deployment: &Value) -> Option<String> {
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
    fn a_list_is_looked_into() {
        let list = serde_json::json!({"kind": "List", "items": [{"kind": "Deployment"}, {"kind": "Service"}]});
        assert_eq!(items(&list).len(), 2);
    }
}

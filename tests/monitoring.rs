//! Alerts, dashboard and runbooks beside each other, without a Prometheus: they name the same things, and only what the process tells.
//! `prometheus::monitoring` asks them.

use std::{collections::BTreeSet, path::Path};

use serde_json::Value;

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&read(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn rules() -> Vec<Value> {
    yaml("charts/coalmine/files/rules.yaml")["groups"][0]["rules"].as_array().unwrap().clone()
}

/// All names of Coalmine's metrics in a text, without what a histogram or a counter adds.
fn metrics(text: &str) -> BTreeSet<String> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words = text.split(|letter| !is_part(letter)).filter(|word| word.starts_with("coalmine_"));
    words.map(|word| ["_bucket", "_count", "_sum"].iter().fold(word, |word, suffix| word.trim_end_matches(suffix)).to_owned()).collect()
}

/// As they are registered in the source: counters there have no `_total`, informations no `_info`, and units are words of their own.
fn registered() -> BTreeSet<String> {
    fn sources(directory: &Path, text: &mut String) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, text);
            } else if path.extension().is_some_and(|it| it == "rs") {
                text.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut text = String::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut text);
    let names =
        text.split('"').filter(|word| word.starts_with("coalmine_") && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'));
    // A crate, and labels of our own queries.
    let is_another = |name: &&str| ["coalmine_core", "coalmine_ago", "coalmine_clock", "coalmine_part"].contains(name);
    names.filter(|name| !is_another(name)).map(str::to_owned).collect()
}

fn stem(metric: &str) -> &str {
    let stem = metric.trim_end_matches("_total").trim_end_matches("_info");
    if stem == "coalmine_certificate_expiry_seconds" { "coalmine_certificate_expiry" } else { stem }
}

#[test]
fn every_metric_is_told_and_documented() {
    let documented = metrics(&read("docs/runbooks.md"));
    let known = registered();
    let stems: BTreeSet<String> = documented.iter().map(|metric| stem(metric).to_owned()).collect();
    assert_eq!(stems, known, "docs/runbooks.md and the source");
    for path in ["charts/coalmine/files/rules.yaml", "charts/coalmine/files/dashboard.json"] {
        let asked = metrics(&read(path));
        assert!(asked.is_subset(&documented), "{path}: {:?}", asked.difference(&documented));
    }
    let page = metrics(&read("tests/prometheus/monitoring/coalmine.prom"));
    assert!(documented.is_subset(&page), "the page of the dashboard's test lacks {:?}", documented.difference(&page));
}

#[test]
fn each_alert_has_its_runbook_and_each_runbook_its_alert() {
    let runbooks = read("docs/runbooks.md");
    let sections: Vec<&str> = runbooks.lines().filter_map(|line| line.strip_prefix("## ")).filter(|title| *title != "Metrics").collect();
    let alerts: Vec<String> = rules().iter().map(|rule| rule["alert"].as_str().unwrap().to_owned()).collect();
    assert_eq!(sections, alerts);
    for rule in rules() {
        let alert = rule["alert"].as_str().unwrap();
        assert_eq!(rule["annotations"]["runbook"], format!("docs/runbooks.md#{}", alert.to_lowercase()));
        assert!(["critical", "warning", "info"].contains(&rule["labels"]["severity"].as_str().unwrap()), "{alert}");
        for words in ["summary", "description"] {
            assert!(rule["annotations"][words].is_string(), "{alert}: {words}");
        }
    }
}

/// Neither kustomize nor Helm reads files outside of its directory.
#[test]
fn deploy_has_the_charts_rules_and_dashboard() {
    assert_eq!(yaml("deploy/monitoring/prometheusrule.yaml")["spec"], yaml("charts/coalmine/files/rules.yaml"));
    assert_eq!(read("deploy/monitoring/dashboard.json"), read("charts/coalmine/files/dashboard.json"), "copy the chart's");
}

#[test]
fn the_dashboard_is_one_for_any_grafana() {
    let dashboard: Value = read("charts/coalmine/files/dashboard.json").parse().unwrap();
    let variables: Vec<&str> = dashboard["templating"]["list"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(variables, ["datasource", "cluster", "namespace"]);
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: two panels with one id");
        if panel["type"] == "row" {
            continue;
        }
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        assert!(panel["description"].as_str().is_some_and(|words| !words.is_empty()), "{title}");
        for target in panel["targets"].as_array().unwrap() {
            assert!(target["expr"].as_str().unwrap().contains("cluster=~\"$cluster\""), "{title}");
        }
    }
}

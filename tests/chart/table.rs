//! What the chart says of itself, compared with what it is; without Helm, so that it is checked with the other units.

use serde_json::Value;

use super::chart;

const BEGIN: &str = "<!-- values -->\n";
const END: &str = "<!-- /values -->";

fn read(name: &str) -> String {
    std::fs::read_to_string(chart().join(name)).unwrap()
}

/// A value that can be set: its path, its default, and the comment above it.
#[derive(Debug)]
struct Row {
    path: String,
    default: Value,
    comment: String,
}

/// A key is a row where the schema has no further names below it.
fn rows(schema: &Value, values: &Value, path: &str, text: &str, found: &mut Vec<Row>) {
    let named = schema["properties"].as_object().unwrap();
    for (key, value) in values.as_object().unwrap() {
        let own = named.get(key).unwrap_or_else(|| panic!("{path}{key} is not in the schema"));
        let path = format!("{path}{key}");
        if own["properties"].is_object() && value.as_object().is_some_and(|inner| !inner.is_empty()) {
            rows(own, value, &format!("{path}."), text, found);
        } else {
            found.push(Row { comment: comment(text, &path), default: value.clone(), path });
        }
    }
}

/// The lines of comment right above a key, found by its path's indentation.
fn comment(text: &str, path: &str) -> String {
    let mut above = Vec::new();
    let mut open: Vec<&str> = Vec::new();
    for line in text.lines() {
        let inner = line.trim_start();
        let depth = (line.len() - inner.len()) / 2;
        if let Some(words) = inner.strip_prefix("# ") {
            above.push(words);
        } else if let Some((key, _)) = inner.split_once(':').filter(|_| !inner.starts_with("- ")) {
            open.truncate(depth);
            open.push(key);
            if open.join(".") == path {
                return above.join(" ");
            }
            above.clear();
        } else {
            above.clear();
        }
    }
    panic!("{path} is not in values.yaml")
}

fn table() -> String {
    let text = read("values.yaml");
    let values: Value = serde_saphyr::from_str(&text).unwrap();
    let schema: Value = serde_json::from_str(&read("values.schema.json")).unwrap();
    let mut found = Vec::new();
    rows(&schema, &values, "", &text, &mut found);
    let lines = found.into_iter().map(|row| {
        assert!(!row.comment.is_empty(), "{} has no comment", row.path);
        let default = row.default.to_string();
        let default = if default.len() > 70 { "see `values.yaml`".to_owned() } else { format!("`{default}`") };
        format!("| `{}` | {default} | {} |\n", row.path, row.comment)
    });
    std::iter::once("| value | default | meaning |\n| --- | --- | --- |\n".to_owned()).chain(lines).collect()
}

/// `COALMINE_UPDATE=1` writes it.
#[test]
fn the_readmes_table_is_made_of_the_comments() {
    let readme = read("README.md");
    let (before, rest) = readme.split_once(BEGIN).unwrap();
    let (present, after) = rest.split_once(END).unwrap();
    let wanted = format!("\n{}\n", table());
    if std::env::var_os("COALMINE_UPDATE").is_some() {
        std::fs::write(chart().join("README.md"), format!("{before}{BEGIN}{wanted}{END}{after}")).unwrap();
    } else {
        assert_eq!(present, wanted, "write it with: COALMINE_UPDATE=1 cargo test --test integration chart::table");
    }
}

/// Every named property has a default, so that the table has all, and nothing else is taken.
#[test]
fn the_schema_names_what_is_there_and_takes_nothing_else() {
    fn compare(path: &str, schema: &Value, values: &Value) {
        let Some(named) = schema["properties"].as_object() else { return };
        assert_eq!(schema["additionalProperties"], false, "{path}");
        let values = values.as_object().unwrap();
        // Free to be left empty, such as the name of an issuer.
        if values.is_empty() {
            return;
        }
        for (key, schema) in named.iter().filter(|(key, _)| *key != "global") {
            let inner = values.get(key).unwrap_or_else(|| panic!("{path}{key} has no default"));
            compare(&format!("{path}{key}."), schema, inner);
        }
    }
    let values: Value = serde_saphyr::from_str(&read("values.yaml")).unwrap();
    compare("", &serde_json::from_str(&read("values.schema.json")).unwrap(), &values);
}

#[test]
fn it_has_the_version_of_the_program() {
    let chart: Value = serde_saphyr::from_str(&read("Chart.yaml")).unwrap();
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
}

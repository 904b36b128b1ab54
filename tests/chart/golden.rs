//! What each set of values makes different from the default, object by object, kept as snapshots: a change of the chart is read here.

use std::collections::BTreeMap;

use super::{name, objects, rendered, rendered_with, value_sets};

/// The documents of a rendering, as they are written.
fn documents(yaml: &str) -> BTreeMap<String, String> {
    let documents = yaml.split("\n---\n").map(|document| document.trim_start_matches("---\n").trim());
    let named = documents.filter_map(|document| objects(document).first().map(|object| (name(object), document.to_owned())));
    named.collect()
}

#[test]
#[ignore = "needs helm"]
fn the_default_is_rendered_as_it_was() {
    insta::assert_snapshot!("default", rendered(&[]).unwrap());
}

#[test]
#[ignore = "needs helm"]
fn each_set_of_values_changes_what_it_should() {
    let default = documents(&rendered(&[]).unwrap());
    for (set, path) in value_sets() {
        let own = documents(&rendered_with(&path));
        let gone = default.keys().filter(|name| !own.contains_key(*name)).map(|name| format!("# Not rendered: {name}\n"));
        let different = own.iter().filter(|(name, document)| default.get(*name) != Some(document));
        let text: String = gone.chain(different.map(|(_, document)| format!("---\n{document}\n"))).collect();
        assert!(!text.is_empty(), "{set} changes nothing");
        insta::with_settings!({description => std::fs::read_to_string(&path).unwrap()}, {
            insta::assert_snapshot!(set, text);
        });
    }
}

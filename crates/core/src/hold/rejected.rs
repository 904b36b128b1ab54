//! What was rejected before, so that it stays out whatever came in between: one line for each template, newest first, its hash and its
//! verdict. Stamps of `kubectl rollout restart` are left aside: what is bad stays bad when it is started again.

use serde_json::{Map, Value};

use crate::{
    api::annotations as key,
    manifest::{identity::Identity, managed_fields::TemplateOwners, object::text},
};

/// More would only cost room: who goes back further than this may be tried again.
const MOST: usize = 5;
/// The longest verdict that is kept, to be told again when its template comes again. A sentence with its numbers fits.
const LONGEST_VERDICT: usize = 240;

/// Whether anything was.
pub fn remembers_any(annotations: &Map<String, Value>) -> bool {
    annotations.contains_key(key::REJECTED)
}

/// The verdict on this template, where it was rejected.
pub fn verdict<'a>(annotations: &'a Map<String, Value>, template: &Value, owners: &TemplateOwners) -> Option<&'a str> {
    let remembered = text(annotations, key::REJECTED)?;
    let identity = Identity::but_for_restarts(template, owners);
    lines(remembered).find(|(known, _)| identity.is(known)).map(|(_, verdict)| verdict)
}

/// Puts a template first on the list.
pub fn remember(annotations: &mut Map<String, Value>, template: &Value, owners: &TemplateOwners, verdict: &str) {
    let verdict: String = verdict.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_VERDICT).collect();
    let identity = Identity::but_for_restarts(template, owners);
    let line = format!("{} {verdict}", identity.text());
    let list: Vec<String> = std::iter::once(line).chain(others(annotations, &identity)).take(MOST).collect();
    annotations.insert(key::REJECTED.to_owned(), list.join("\n").into());
}

/// It proved itself after all, or somebody let it through.
pub fn forget(annotations: &mut Map<String, Value>, template: &Value, owners: &TemplateOwners) {
    if !remembers_any(annotations) {
        return;
    }
    let list = others(annotations, &Identity::but_for_restarts(template, owners));
    if list.is_empty() {
        annotations.remove(key::REJECTED);
    } else {
        annotations.insert(key::REJECTED.to_owned(), list.join("\n").into());
    }
}

fn others(annotations: &Map<String, Value>, identity: &Identity) -> Vec<String> {
    let remembered = text(annotations, key::REJECTED).unwrap_or_default();
    lines(remembered).filter(|(known, _)| !identity.is(known)).map(|(known, verdict)| format!("{known} {verdict}")).collect()
}

fn lines(remembered: &str) -> impl Iterator<Item = (&str, &str)> {
    remembered.lines().filter_map(|line| line.split_once(' '))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn none() -> TemplateOwners {
        TemplateOwners::new()
    }

    fn template(image: &str) -> Value {
        json!({"metadata": {"labels": {"app": "app"}}, "spec": {"containers": [{"image": image}]}})
    }

    #[test]
    fn the_last_five_are_remembered() {
        let mut annotations = Map::new();
        for image in ["a", "b", "c", "b", "d", "e", "f"] {
            remember(&mut annotations, &template(image), &none(), &format!("{image} is\nbad"));
        }
        let known = |image: &str| verdict(&annotations, &template(image), &none()).map(str::to_owned);
        assert_eq!(known("a"), None);
        assert_eq!(["b", "c", "d", "e", "f"].map(known), ["b", "c", "d", "e", "f"].map(|image| Some(format!("{image} is bad"))));
        forget(&mut annotations, &template("f"), &none());
        assert_eq!(verdict(&annotations, &template("f"), &none()), None);
        for image in ["b", "c", "d", "e"] {
            forget(&mut annotations, &template(image), &none());
        }
        assert!(annotations.is_empty());
    }

    #[test]
    fn started_again_it_is_the_same() {
        let mut annotations = Map::new();
        let mut again = template("b");
        again["metadata"]["annotations"] = json!({"kubectl.kubernetes.io/restartedAt": "2026-11-27T09:00:00Z"});
        remember(&mut annotations, &template("b"), &none(), "bad");
        assert_eq!(verdict(&annotations, &again, &none()), Some("bad"));
        again["metadata"]["annotations"]["other"] = json!("x");
        assert_eq!(verdict(&annotations, &again, &none()), None);
        remember(&mut annotations, &again, &none(), "worse");
        let stamp = again["metadata"]["annotations"].as_object_mut().unwrap();
        stamp.remove("kubectl.kubernetes.io/restartedAt");
        assert_eq!(verdict(&annotations, &again, &none()), Some("worse"));
    }

    #[test]
    fn garbage_is_nothing() {
        let annotations = json!({"canary.state/rejected": "x\n\nabc def\n"});
        assert_eq!(verdict(annotations.as_object().unwrap(), &template("a"), &none()), None);
    }
}

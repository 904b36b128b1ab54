//! A template known again by its hash, also after the API server became a newer one that writes defaults of fields it did not have before.
//! Nobody owns such a field: so a template has a second hash, of what is owned alone. Reads no clock and asks nobody.

use serde_json::Value;

use super::{
    fields::Fields,
    managed_fields::{self, TemplateOwners},
    object, template,
};

const SEPARATOR: char = '.';

/// What a template is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    whole: String,
    /// Where anybody owns its containers: records may be lost, and then say nothing.
    owned: Option<String>,
}

impl Identity {
    pub fn of(template: &Value, owners: &TemplateOwners) -> Self {
        Self::by(template, owners.values())
    }

    fn by<'a>(template: &Value, owned: impl Iterator<Item = &'a Value>) -> Self {
        let fields = Fields::read_all(owned);
        let owned = (!fields.below("f:spec").below("f:containers").is_empty()).then(|| template::digest(&fields.only(template)));
        Self { whole: template::hash(template), owned }
    }

    /// Of the template that an object carries.
    pub fn of_object(object: &Value) -> Self {
        Self::by(object::template(object), managed_fields::of_template(managed_fields::records(object)))
    }

    /// The same for a template that was only started again.
    pub fn but_for_restarts(template: &Value, owners: &TemplateOwners) -> Self {
        Self::of(&template::without_restarts(template), owners)
    }

    /// How it is written down.
    pub fn text(&self) -> String {
        match &self.owned {
            Some(owned) => format!("{}{SEPARATOR}{owned}", self.whole),
            None => self.whole.clone(),
        }
    }

    /// Whether others than an API server made one of the other: they are owned alike, at one time.
    pub fn is_remade(&self, other: &Self) -> bool {
        self.owned.is_some() && self.owned == other.owned && self.whole != other.whole
    }

    /// Whether exactly this was written down.
    pub fn is_whole(&self, text: &str) -> bool {
        text.split_once(SEPARATOR).map_or(text, |(whole, _)| whole) == self.whole
    }

    /// Whether this was written down for the same template.
    pub fn is(&self, text: &str) -> bool {
        let (whole, owned) = text.split_once(SEPARATOR).map_or((text, None), |(whole, owned)| (whole, Some(owned)));
        // What all fields are owned of was written down as a whole.
        whole == self.whole || self.owned.as_deref().is_some_and(|mine| Some(mine) == owned || mine == whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn template(image: &str) -> Value {
        json!({"spec": {"containers": [{"name": "app", "image": image, "imagePullPolicy": "Always"}], "securityContext": {}}})
    }

    fn owners(default_too: bool) -> TemplateOwners {
        let mut container = json!({".": {}, "f:name": {}, "f:image": {}});
        if default_too {
            container["f:imagePullPolicy"] = json!({});
        }
        let fields = json!({"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": container}, "f:securityContext": {}}});
        TemplateOwners::from([("kubectl|Apply|apps/v1|".parse().unwrap(), fields)])
    }

    #[test]
    fn a_new_servers_defaults_make_no_other_template() {
        for owners in [owners(false), owners(true)] {
            let text = Identity::of(&template("a"), &owners).text();
            let mut newer = template("a");
            newer["spec"]["containers"][0]["newPolicy"] = json!("Default");
            newer["spec"]["securityContext"]["newField"] = json!(true);
            assert!(Identity::of(&newer, &owners).is(&text));
            newer["spec"]["containers"][0]["image"] = json!("b");
            assert!(!Identity::of(&newer, &owners).is(&text));
            // Somebody set it.
            let mut set = owners.clone();
            set.insert(
                "other|Update|apps/v1|".parse().unwrap(),
                json!({"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {"f:newPolicy": {}}}}}),
            );
            newer["spec"]["containers"][0]["image"] = json!("a");
            assert!(!Identity::of(&newer, &set).is(&text));
        }
    }

    #[test]
    fn what_was_written_down_as_a_whole_is_known_by_all_that_is_owned() {
        let mut newer = template("a");
        newer["spec"]["containers"][0]["newPolicy"] = json!("Default");
        assert!(Identity::of(&newer, &owners(true)).is(&template::hash(&template("a"))));
        assert!(!Identity::of(&newer, &owners(false)).is(&template::hash(&template("a"))));
    }

    /// No API server does that: another webhook, or somebody whose records were taken away.
    #[test]
    fn what_nobody_owns_is_another_template_where_no_server_sets_it() {
        let text = Identity::of(&template("a"), &owners(false)).text();
        let with = |path: &str, value: Value| {
            let mut other = template("a");
            other.pointer_mut(path).unwrap().as_object_mut().unwrap().extend(value.as_object().unwrap().clone());
            Identity::of(&other, &owners(false))
        };
        assert!(!with("/spec/containers/0", json!({"env": [{"name": "INJECTED", "value": "1"}]})).is(&text));
        assert!(!with("/spec/containers/0", json!({"image": "mirror/a"})).is(&text));
        assert!(!with("/spec", json!({"initContainers": [{"name": "proxy", "image": "proxy:2"}]})).is(&text));
        assert!(!with("/spec", json!({"nodeSelector": {"disk": "ssd"}})).is(&text));
        let mut injected = template("a");
        injected["spec"]["containers"].as_array_mut().unwrap().push(json!({"name": "proxy", "image": "proxy:1"}));
        let first = Identity::of(&injected, &owners(false));
        injected["spec"]["containers"][1]["image"] = json!("proxy:2");
        assert!(!Identity::of(&injected, &owners(false)).is(&first.text()));
        // What a server may have set: told where both are at hand.
        let remade = with("/spec", json!({"hostNetwork": true}));
        assert!(remade.is(&text) && remade.is_remade(&Identity::of(&template("a"), &owners(false))) && !remade.is_whole(&text));
    }

    #[test]
    fn records_that_are_lost_say_nothing() {
        let (a, b) = (Identity::of(&template("a"), &TemplateOwners::new()), Identity::of(&template("b"), &TemplateOwners::new()));
        assert_eq!(a.text(), template::hash(&template("a")));
        assert!(a.is(&a.text()) && !b.is(&a.text()));
    }
}

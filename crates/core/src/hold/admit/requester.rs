//! The users who asked for the template on trial, kept on the primary for the canary, the promotion and the Events: a policy that asks who wrote a
//! template sees Coalmine's name on both. Where several users have a part in it, all are named, and only the groups that all of them are in
//! are kept: having a part in a template gives nobody the rights of somebody else.

use serde_json::{Map, Value};

use super::Request;
use crate::{
    api::annotations::{REQUESTED_BY, REQUESTED_BY_GROUPS},
    manifest::object::text,
    words::one_line,
};

const SEPARATOR: &str = ", ";

/// The annotations that say so. `besides`: those of who asked before, where their part stays.
pub(super) fn of(request: &Request<'_>, besides: Option<&Map<String, Value>>) -> Map<String, Value> {
    let mut names = vec![one_line(request.username)];
    let mut groups: Vec<String> = request.groups.iter().map(|group| one_line(group)).collect();
    if let Some(before) = besides
        && let Some(earlier) = text(before, REQUESTED_BY)
    {
        let mut all: Vec<String> = earlier.split(SEPARATOR).map(str::to_owned).collect();
        all.extend(names.into_iter().filter(|name| !earlier.split(SEPARATOR).any(|known| known == name)));
        names = all;
        let theirs: Vec<String> = text(before, REQUESTED_BY_GROUPS).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        groups.retain(|group| theirs.contains(group));
    }
    let groups = serde_json::to_string(&groups).unwrap_or_default(); // writing JSON into memory can't fail
    let list = [(REQUESTED_BY, names.join(SEPARATOR)), (REQUESTED_BY_GROUPS, groups)];
    list.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn several_are_named_with_the_groups_that_all_are_in() {
        let asked = |username: &str, groups: &[&str], besides: Option<&Map<String, Value>>| {
            let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
            let nothing = json!({});
            let request = Request {
                username,
                groups: &groups,
                field_manager: "kubectl",
                name: "app",
                old: None,
                new: &nothing,
                dry_run: false,
                held_merged: None,
            };
            of(&request, besides)
        };
        let ann = asked("ann", &["devs", "cn=x,ou=y"], None);
        assert_eq!(Value::from(ann.clone()), json!({REQUESTED_BY: "ann", REQUESTED_BY_GROUPS: r#"["devs","cn=x,ou=y"]"#}));
        let both = asked("bob\nroot", &["ops", "devs"], Some(&ann));
        assert_eq!(Value::from(both.clone()), json!({REQUESTED_BY: "ann, bob root", REQUESTED_BY_GROUPS: r#"["devs"]"#}));
        assert_eq!(asked("ann", &["devs", "ops"], Some(&both)), both);
    }
}

//! Which approvals count for the template on trial, and what keeps templates from being tried now. It reads what admission recorded and writes
//! nothing.

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    api::{
        annotations as key,
        gates::{Approval, Gates},
    },
    facts::why::Closed,
    manifest::object,
    standing::{
        Standing,
        people::{Approved, Verb, cut_reason},
    },
    words::one_line,
};

/// The approval of the template on trial, if it counts: it is for this run, and by somebody else than the applier where that is asked.
pub fn approved(standing: &Standing<'_>, asked: Approval, applier: &str) -> Option<Approved> {
    // A promotion by hand is an approval.
    let ordered = || standing.order().filter(|order| order.verb == Verb::Promote).map(|order| order.said);
    standing.approved().or_else(ordered).filter(|said| may_approve(standing, asked, applier, &said.by))
}

/// Whether this user may approve. All users who have a part in the template are named in one list, which is searched as it is written: a name that
/// contains the separator hides nobody.
pub fn may_approve(standing: &Standing<'_>, asked: Approval, applier: &str, user: &str) -> bool {
    let user = one_line(user);
    let listed = |list: &str| format!(", {list}, ").contains(&format!(", {user}, "));
    asked != Approval::Other || !(listed(&one_line(applier)) || standing.requested_by.is_some_and(listed))
}

/// Why nothing is tried or promoted now. `freeze` is what the namespace says.
pub fn closed(gates: &Gates, freeze: Option<&str>, now: Timestamp) -> Option<Closed> {
    if let Some(reason) = freeze {
        return Some(Closed::Frozen(cut_reason(reason)));
    }
    (!gates.windows.is_open(now)).then(|| Closed::OutsideOfTheWindow { opens: gates.windows.opens(now) })
}

/// What a namespace says in `canary.freeze`: its reason, or nothing.
pub fn freeze(namespace: &Value) -> Option<String> {
    object::annotation(namespace, key::FREEZE).filter(|reason| *reason != "false").map(|reason| cut_reason(reason.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::policy::Policy, message::why::closed as words};
    use rstest::rstest;
    use serde_json::{Map, json};

    fn annotations(approved: &str, order: &str, appliers: &str) -> Map<String, Value> {
        let all = json!({key::RUN: "r1", key::APPROVED: approved, key::ORDER: order, key::REQUESTED_BY: appliers});
        all.as_object().unwrap().clone()
    }

    #[rstest]
    #[case::anybody(r#"{"run":"r1","by":"ann"}"#, "", "", Approval::Required, Some("ann"))]
    #[case::somebody_else(r#"{"run":"r1","by":"bob","reason":"fine"}"#, "", "", Approval::Other, Some("bob"))]
    #[case::who_applied(r#"{"run":"r1","by":"ann"}"#, "", "", Approval::Other, None)]
    #[case::who_applied_a_part(r#"{"run":"r1","by":"bob"}"#, "", "ann, bob", Approval::Other, None)]
    #[case::another_attempt(r#"{"run":"r0","by":"bob"}"#, "", "", Approval::Required, None)]
    #[case::by_hand("", r#"{"verb":"promote","run":"r1","by":"bob"}"#, "", Approval::Other, Some("bob"))]
    #[case::by_the_hand_of_who_applied("", r#"{"verb":"promote","run":"r1","by":"ann"}"#, "", Approval::Other, None)]
    #[case::a_rejection_agrees_to_nothing("", r#"{"verb":"reject","run":"r1","by":"bob"}"#, "", Approval::Required, None)]
    #[case::garbage("true", "{}", "", Approval::Required, None)]
    fn who_agreed(#[case] said: &str, #[case] order: &str, #[case] appliers: &str, #[case] asked: Approval, #[case] by: Option<&str>) {
        let found = approved(&Standing::read(&annotations(said, order, appliers)), asked, "ann");
        assert_eq!(found.map(|approved| approved.by).as_deref(), by);
    }

    #[test]
    fn a_long_name_hides_nobody() {
        let long = "a".repeat(300);
        let annotations = annotations(&json!(Approved::new("r1", &long, "")).to_string(), "", "");
        assert_eq!(approved(&Standing::read(&annotations), Approval::Other, &long), None);
    }

    #[test]
    fn why_nothing_is_tried() {
        let gates = |window: &str| Policy::parse(&[("canary.window", window)].into_iter().collect()).unwrap().gates;
        let now = "2026-11-28T12:00:00Z".parse().unwrap();
        let all = [
            closed(&Gates::default(), Some("the fair"), now),
            closed(&Gates::default(), Some(""), now),
            closed(&gates("Mon-Fri 09:00-17:00 Europe/Berlin"), None, now),
            closed(&gates("Sat 09:00-17:00"), Some("the fair"), now),
        ];
        insta::assert_snapshot!(all.map(|closed| words(&closed.unwrap())).join("\n"), @r"
        namespace is frozen: the fair
        namespace is frozen
        outside of canary.window; tried from Mon 09:00 Europe/Berlin
        namespace is frozen: the fair
        ");
        assert_eq!(closed(&gates("Sat 09:00-17:00"), None, now), None);
        let of = |value: &str| freeze(&json!({"metadata": {"annotations": {"canary.freeze": value}}}));
        assert_eq!([of("the fair\n"), of("false"), of("")], [Some("the fair".to_owned()), None, Some(String::new())]);
    }
}

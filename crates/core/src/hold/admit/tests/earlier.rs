//! Objects as an earlier commit stored them (4f5d155, before there was any release; `state-1.json` is what its admission answered), met by
//! this one: what was held is finished, what was rejected stays out.

use super::*;
use crate::hold::held::Record;

fn stored(name: &str) -> Value {
    let all: Value = serde_json::from_str(include_str!("state-1.json")).unwrap();
    all.get(name).unwrap_or_else(|| panic!("no {name:?}")).clone()
}

#[test]
fn what_was_held_is_promoted_as_it_would_have_been() {
    for name in ["held", "running", "held by client-side apply"] {
        let held = stored(name);
        assert!(matches!(Record::of(&held), Record::Valid(_)), "{name}");
        let promoted = promote(&held);
        assert_eq!(promoted["spec"]["template"], template("VY"), "{name}");
        assert_eq!(
            promoted["metadata"]["managedFields"][0]["fieldsV1"],
            deployment("VY")["metadata"]["managedFields"][0]["fieldsV1"],
            "{name}"
        );
        let last = object::annotation(&promoted, key::LAST_APPLIED);
        assert_eq!(
            last.map(|last| last.contains("VY") && !last.contains(key::MARKER)),
            (name != "held" && name != "running").then_some(true)
        );
        // What was live is known again by what the earlier commit wrote of it.
        assert_eq!(apply(&promoted, "VX").1.effect, Effect::RolledBack, "{name}");
    }
}

#[test]
fn what_was_held_is_kept_withdrawn_and_superseded() {
    for name in ["held", "running"] {
        let held = stored(name);
        assert_eq!(apply(&held, "VY").1.effect, Effect::Kept, "{name}");
        assert_eq!(apply(&held, "VX").1.effect, Effect::Withdrawn, "{name}");
        assert_eq!(apply(&held, "VZ").1.effect, Effect::Held, "{name}");
    }
}

#[test]
fn what_was_rejected_stays_out_whatever_comes_between() {
    let rejected = stored("rejected");
    assert_eq!(apply(&rejected, "VY").1.effect, Effect::Kept);
    for between in ["VX", "VZ"] {
        let (other, _) = apply(&rejected, between);
        let (again, _) = apply(&other, "VY");
        assert_eq!((phase(&again), &again["spec"]["template"]), ("Rejected", &template("VX")), "after {between}");
    }
}

#[test]
fn what_was_promoted_before_comes_back_at_once() {
    assert_eq!(apply(&stored("promoted"), "VX").1.effect, Effect::RolledBack);
    assert_eq!(apply(&stored("promoted"), "VZ").1.effect, Effect::Held);
}

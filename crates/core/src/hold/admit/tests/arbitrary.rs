//! Whatever two objects are: no panic, the same answer each time, and a patch that fits.

use proptest::prelude::*;

use super::*;

fn arbitrary_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z]{0,6}".prop_map(Value::from),
        Just(json!("true")),
        Just(json!("held")),
        Just(json!("Running"))
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        let keys = prop_oneof![
            Just("metadata"),
            Just("annotations"),
            Just("labels"),
            Just("managedFields"),
            Just("fieldsV1"),
            Just("f:spec"),
            Just("f:template"),
            Just("spec"),
            Just("template"),
            Just("canary.enabled"),
            Just("canary.state/held"),
            Just("canary.state/phase"),
            Just("canary.retry"),
            Just("kubectl.kubernetes.io/last-applied-configuration"),
            Just("coalmine.dev/active")
        ]
        .prop_map(str::to_owned);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(keys, inner, 0..8).prop_map(|map| Value::Object(map.into_iter().collect()))
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn arbitrary_objects_never_panic_and_the_patch_applies(old in arbitrary_json(), new in arbitrary_json(), by_controller in any::<bool>()) {
        let user = if by_controller { settings().controller } else { "ann".to_owned() };
        for old in [Some(&old), None] {
            let request = Request { username: &user, groups: &[], field_manager: "kubectl", name: "app", old, new: &new, dry_run: false, held_merged: None };
            let answer = admit(&settings(), &request);
            prop_assert_eq!(&answer, &admit(&settings(), &request));
            prop_assert!(answer.warnings.iter().all(|w| w.chars().count() <= 120 && !w.contains(char::is_control)));
            // Panics where the patch does not fit.
            prop_assert_eq!(answer.stored(&new).is_none(), matches!(answer.outcome, Outcome::Denied(_)));
        }
    }
}

//! Files applied one after the other: A is live, B and C are new.

use coalmine_core::api::annotations::Phase;
use rstest::rstest;

use crate::support::{
    fixtures::{self, Template},
    kubectl::{
        Apply::{self, ClientSide, ServerSide},
        assert_said,
    },
    namespace::{Namespace, records},
    results::row,
};

#[rstest]
#[ignore = "needs a control plane"]
fn create_is_admitted(#[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("CREATE", how.words(), "admitted");
    let namespace = Namespace::new();
    let output = namespace.apply(how, "A").succeeded();
    assert_eq!(output.stderr, "");
    namespace.assert_phase("A", None, None);
}

#[rstest]
#[ignore = "needs a control plane"]
fn template_changes_b_is_held(#[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("template changes", how.words(), "held, with a warning");
    let namespace = Namespace::with_a(how);
    let before = namespace.app();
    let output = namespace.apply(how, "B").succeeded();
    assert_said!(output, @"Warning: canary: template held; trying it in app-canary for 60s; watch: kubectl events --for deploy/app -w");
    let held = namespace.assert_held("B");
    assert_eq!(held["spec"], before["spec"]);
    assert_eq!(records(&held).template_owners, records(&before).template_owners);
}

#[rstest]
#[ignore = "needs a control plane"]
fn b_again_is_no_write(#[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("B again", how.words(), "no write");
    let namespace = Namespace::with_b_held(how);
    let output = namespace.assert_no_write(|| namespace.apply(how, "B").succeeded());
    assert_said!(output, @"Warning: canary: this template is already held; app-canary is trying it");
    namespace.assert_held("B");
}

#[rstest]
#[ignore = "needs a control plane"]
fn c_while_b_is_held_replaces_b(#[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("C while B is held", how.words(), "superseded");
    let namespace = Namespace::with_b_held(how);
    let output = namespace.apply(how, "C").succeeded();
    assert_said!(output, @r"
Warning: canary: template held; trying it in app-canary for 60s; watch: kubectl events --for deploy/app -w
Warning: canary: the template held before is dropped; the canary starts over
");
    namespace.assert_held("C");
}

#[rstest]
#[ignore = "needs a control plane"]
fn a_again_while_b_is_held_withdraws_b(#[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("A again while B is held", how.words(), "withdrawn");
    let namespace = Namespace::with_a(how);
    let before = records(&namespace.app());
    namespace.apply(how, "B").succeeded();
    let output = namespace.apply(how, "A").succeeded();
    assert_said!(output, @"Warning: canary: back to the live template; the held one is withdrawn");
    let app = namespace.assert_phase("A", None, Some(Phase::Withdrawn));
    assert_eq!(records(&app), before);
}

#[rstest]
#[ignore = "needs a control plane"]
fn the_promotion_leaves_what_the_user_sent(#[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("the controller's own promotion", how.words(), "the held template is live, records as if applied");
    let plain = Namespace::new();
    for template in ["A", "B"] {
        let mut manifest = fixtures::deployment("app", &Template::named(template));
        manifest["metadata"]["annotations"]["canary.enabled"] = "false".into();
        plain.kubectl.apply(how, &manifest).succeeded();
    }
    let namespace = Namespace::with_b_held(how);
    namespace.promote();
    let promoted = namespace.assert_phase("B", None, Some(Phase::Promoted));
    let (mut seen, mut expected) = (records(&promoted), records(&plain.app()));
    for records in [&mut seen, &mut expected] {
        records.last_applied = records.last_applied.as_ref().map(|text| {
            text.replace(&namespace.name, "N")
                .replace(&plain.name, "N")
                .replace("\"canary.enabled\":\"false\"", "\"canary.enabled\":\"true\"")
        });
    }
    assert_eq!(seen, expected);
    // The user's next apply needs no force and removes what it drops.
    namespace.assert_no_write(|| namespace.apply(how, "B").succeeded());
    namespace.apply(how, "C").succeeded();
    namespace.assert_phase("B", Some("C"), Some(Phase::Held));
}

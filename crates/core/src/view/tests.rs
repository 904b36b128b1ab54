//! What a person reads, in both usual widths, with and without colour.

use serde_json::{Value, json};

use super::{
    Colour, Screen,
    list::list,
    status::{Objects, evidence, status},
};
use crate::{
    api::label::Label,
    hold::held::{Held, Operation},
    run::{
        canary,
        evidence::{Counted, Look},
    },
    state::State,
};

const NARROW: Screen = Screen { width: 80, colour: Colour::Plain };
const WIDE: Screen = Screen { width: 120, colour: Colour::Plain };

fn now() -> jiff::Timestamp {
    "2026-11-23T12:00:42Z".parse().unwrap()
}

fn template(image: &str) -> Value {
    json!({"metadata": {"labels": {"app": "app"}}, "spec": {"containers": [{"name": "app", "image": image}]}})
}

fn primary(phase: &str, message: &str) -> Value {
    let held = Held {
        template: template("registry.example/shop/app:2.0.0"),
        manager: "kubectl-client-side-apply".to_owned(),
        operation: Operation::Update,
        user: "ann".to_owned(),
        owners: std::collections::BTreeMap::default().into_iter().collect(),
        last_applied: None,
        against: None,
        contributions: Vec::new(),
    };
    json!({
        "metadata": {"name": "app", "namespace": "shop", "uid": "u-1", "creationTimestamp": "2026-11-23T11:00:00Z", "annotations": {
            "canary.enabled": "true", "canary.duration": "30s", "canary.state/phase": phase, "canary.state/run": "r1",
            "canary.state/since": "2026-11-23T12:00:00Z", "canary.state/held": held.encode().unwrap(), "canary.state/message": message,
        }},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "app"}}, "template": template("registry.example/shop/app:1.9.0")},
        "status": {"readyReplicas": 2},
    })
}

fn of(kind_uid: &str, owner: &str, name: &str, spec: Value, status: Value) -> Value {
    json!({
        "metadata": {"name": name, "uid": kind_uid, "creationTimestamp": "2026-11-23T12:00:30Z", "ownerReferences": [{"uid": owner}],
                     "annotations": {"deployment.kubernetes.io/revision": "3"}},
        "spec": spec, "status": status,
    })
}

fn objects() -> Objects {
    let primary = primary("Running", "");
    let mut namesake = canary::deployment(&primary, template("b"), "r1", &Label::new("tier", "canary"));
    namesake["metadata"]["uid"] = json!("u-2");
    namesake["metadata"]["annotations"]["coalmine.dev/ready-since"] = json!("2026-11-23T12:00:35Z");
    namesake["metadata"]["annotations"]["coalmine.dev/evidence"] =
        json!(r#"{"run":"r1","looks":[[1795780835,0.0,0.0,0.0,0.0,0.01,0.01,300.0],[1795780842,12.0,0.0,108.0,1.0,0.2,3.0,338.0]]}"#);
    namesake["status"] = json!({"readyReplicas": 1});
    let running = |ready: bool| json!({"phase": "Running", "containerStatuses": [{"ready": ready, "restartCount": 0}]});
    Objects {
        primary,
        namesake: Some(namesake),
        replica_sets: vec![
            of("s-1", "u-1", "app-6c7f5d9b8", json!({"replicas": 2}), json!({"readyReplicas": 2})),
            of("s-0", "u-1", "app-old", json!({"replicas": 0}), json!({})),
            of("s-2", "u-2", "app-canary-5d8c", json!({"replicas": 1}), json!({"readyReplicas": 1})),
        ],
        pods: vec![
            of("p-1", "s-1", "app-6c7f5d9b8-2kq8z", json!({}), running(true)),
            of("p-2", "s-1", "app-6c7f5d9b8-9xv4c", json!({}), running(true)),
            of(
                "p-3",
                "s-2",
                "app-canary-5d8c-7hmsw",
                json!({}),
                json!({"phase": "Running", "containerStatuses": [{"ready": false, "restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}),
            ),
        ],
        missing: vec![],
        last_event: Some((
            "CanaryWaiting".to_owned(),
            "12 of 338 requests without a failure that are needed to show an error rate below 1%; about 40s at this rate".to_owned(),
        )),
    }
}

fn shown(lines: Vec<String>) -> String {
    lines.join("\n")
}

#[test]
fn a_running_trial_at_eighty_columns() {
    insta::assert_snapshot!(shown(status(&objects(), now(), NARROW)), @r"
    Name:        app
    Namespace:   shop
    Phase:       Running for 42s
    Change:      registry.example/shop/app:1.9.0 -> registry.example/shop/app:2.0.0
    Applied by:  ann (kubectl-client-side-apply)
    Canary:      Ready for 7s; judged for 30s, given up after 10m
    Evidence:    12 of 338 requests that are needed, 0 failed; about 3m11s at this
                 rate; primary 1 of 108 failed; evidence against it 0.2:1 (100:1
                 rejects)
    Last Event:  CanaryWaiting: 12 of 338 requests without a failure that are needed
                 to show an error rate below 1%; about 40s at this rate

    NAME                             KIND         STATUS             AGE   INFO
    app                              Deployment   2/2 ready          60m   live tem…
    ├──app-6c7f5d9b8                 ReplicaSet   2/2 ready          12s   revision…
    │  ├──app-6c7f5d9b8-2kq8z        Pod          Running            12s   1/1 ready
    │  └──app-6c7f5d9b8-9xv4c        Pod          Running            12s   1/1 ready
    └──app-canary                    Deployment   1/1 ready          -     held tem…
       └──app-canary-5d8c            ReplicaSet   1/1 ready          12s   revision…
          └──app-canary-5d8c-7hmsw   Pod          CrashLoopBackOff   12s   0/1 read…
    ");
}

#[test]
fn a_running_trial_at_a_hundred_and_twenty_columns() {
    insta::assert_snapshot!(shown(status(&objects(), now(), WIDE)), @r"
    Name:        app
    Namespace:   shop
    Phase:       Running for 42s
    Change:      registry.example/shop/app:1.9.0 -> registry.example/shop/app:2.0.0
    Applied by:  ann (kubectl-client-side-apply)
    Canary:      Ready for 7s; judged for 30s, given up after 10m
    Evidence:    12 of 338 requests that are needed, 0 failed; about 3m11s at this rate; primary 1 of 108 failed; evidence
                 against it 0.2:1 (100:1 rejects)
    Last Event:  CanaryWaiting: 12 of 338 requests without a failure that are needed to show an error rate below 1%; about
                 40s at this rate

    NAME                             KIND         STATUS             AGE   INFO
    app                              Deployment   2/2 ready          60m   live template
    ├──app-6c7f5d9b8                 ReplicaSet   2/2 ready          12s   revision 3
    │  ├──app-6c7f5d9b8-2kq8z        Pod          Running            12s   1/1 ready
    │  └──app-6c7f5d9b8-9xv4c        Pod          Running            12s   1/1 ready
    └──app-canary                    Deployment   1/1 ready          -     held template
       └──app-canary-5d8c            ReplicaSet   1/1 ready          12s   revision 3
          └──app-canary-5d8c-7hmsw   Pod          CrashLoopBackOff   12s   0/1 ready, 2 restarts
    ");
}

#[test]
fn colours_are_for_the_phase_alone() {
    let lines = status(&objects(), now(), Screen { width: 80, colour: Colour::Ansi });
    let coloured: Vec<&String> = lines.iter().filter(|line| line.contains('\u{1b}')).collect();
    assert_eq!(coloured, ["Phase:       \u{1b}[36mRunning\u{1b}[0m for 42s"]);
}

#[test]
fn without_rights_the_missing_verb_is_said() {
    let missing = vec!["pods can't be shown: to list them in namespace shop is not allowed (list pods)".to_owned()];
    let lines =
        status(&Objects { primary: json!({"metadata": {"name": "app", "namespace": "shop"}}), missing, ..Objects::default() }, now(), WIDE);
    insta::assert_snapshot!(shown(lines), @r"
    Name:        app
    Namespace:   shop
    Phase:       not opted in; to opt in: kubectl annotate deploy/app canary.enabled=true

    NAME   KIND         STATUS      AGE   INFO
    app    Deployment   0/1 ready   -     live template
    pods can't be shown: to list them in namespace shop is not allowed (list pods)
    ");
}

#[test]
fn a_list_of_several() {
    let states = [
        State::of(&primary("Rejected", "error rate 100% (160 of 160 requests) exceeds 1% after 7.2s; primary 0%; template kept out"), None),
        State::of(&json!({"metadata": {"name": "cart", "namespace": "shop", "annotations": {"canary.enabled": "true"}}}), None),
    ];
    insta::assert_snapshot!(shown(list(&states, true, now(), WIDE)), @r"
    NAMESPACE   NAME   PHASE      SINCE   CHANGE               MESSAGE
    shop        app    Rejected   42s     app:1.9.0 -> 2.0.0   error rate 100% (160 of 160 requests) exceeds 1% after 7.2s;…
    shop        cart   -          -       -
    ");
    insta::assert_snapshot!(shown(list(&states, false, now(), NARROW)), @r"
    NAME   PHASE      SINCE   CHANGE               MESSAGE
    app    Rejected   42s     app:1.9.0 -> 2.0.0   error rate 100% (160 of 160 requ…
    cart   -          -       -
    ");
}

#[test]
fn who_must_agree_and_what_stands_still() {
    let shown = |more: &[(&str, &str)], phase: &str| {
        let mut primary = primary(phase, "");
        for (name, value) in more {
            primary["metadata"]["annotations"][*name] = json!(value);
        }
        let lines = status(&Objects { primary, ..Objects::default() }, now(), WIDE);
        lines.into_iter().filter(|line| line.starts_with("Approval") || line.starts_with("Paused")).collect::<Vec<_>>().join("\n")
    };
    let all = [
        shown(&[], "Running"),
        shown(&[("canary.approval", "required")], "Running"),
        shown(&[("canary.approval", "other")], "AwaitingApproval"),
        shown(&[("canary.approval", "other"), ("canary.state/approved", r#"{"run":"r1","by":"bob","reason":"fine"}"#)], "AwaitingApproval"),
        shown(&[("canary.paused", "true"), ("canary.state/paused-since", "2026-11-23T12:00:00Z")], "Running"),
    ];
    insta::assert_snapshot!(all.join("\n"), @r"
    Approval:    will be asked of anybody who may write this Deployment: kubectl coalmine approve app
    Approval:    waits for somebody else than ann: kubectl coalmine approve app
    Approval:    by bob: fine
    Paused:      for 42s; to go on: kubectl coalmine resume app
    ");
}

#[test]
fn verdicts_of_before() {
    let mut primary = primary("Rejected", "");
    primary["metadata"]["annotations"]["canary.state/history"] = json!(
        r#"[{"p":"Bypassed","i":{"app":["r.example/app:1","r.example/app:2"]},"u":"bob","m":"template let through by bob without a canary: hotfix"},
            {"t":1795435230,"p":"Rejected","i":{"app":["r.example/app:0","r.example/app:1"]},"n":160,"f":40,"s":12,"u":"ann","m":"error rate 25% (40 of 160 requests) exceeds 1%"},
            {"t":1795348830,"p":"Promoted","n":12000,"f":0,"s":63,"u":"ann","m":"error rate 0%"}]"#
    );
    insta::assert_snapshot!(shown(super::history::history(&State::of(&primary, None), now(), WIDE)), @r"
    AGE   VERDICT    CHANGE           REQUESTS   FAILED   TOOK   BY    MESSAGE
    -     Bypassed   app:1 -> 2       -          -        -      bob   template let through by bob without a canary: hotfix
    12s   Rejected   app:0 -> 1       160        40       12s    ann   error rate 25% (40 of 160 requests) exceeds 1%
    24h   Promoted   no other image   12,000     0        1m3s   ann   error rate 0%
    ");
    insta::assert_snapshot!(shown(super::history::history(&State::of(&primary, None), now(), NARROW)), @r"
    AGE   VERDICT    CHANGE           REQUESTS   FAILED   TOOK   BY    MESSAGE
    -     Bypassed   app:1 -> 2       -          -        -      bob   template let…
    12s   Rejected   app:0 -> 1       160        40       12s    ann   error rate 2…
    24h   Promoted   no other image   12,000     0        1m3s   ann   error rate 0%
    ");
}

#[test]
fn what_was_counted_is_said_with_what_is_missing() {
    let look = |second, requests, needed| Look {
        time: jiff::Timestamp::from_second(second).unwrap(),
        canary: Counted { requests, failures: 0.0 },
        primary: Counted { requests: 1200.0, failures: 1.0 },
        against: 0.26,
        in_favour: 3.0,
        needed,
    };
    let all = [
        evidence(&[]).unwrap_or_default(),
        evidence(&[look(0, 12.0, Some(338.0))]).unwrap(),
        evidence(&[look(0, 12.0, Some(338.0)), look(10, 92.0, Some(338.0))]).unwrap(),
        evidence(&[look(0, 12.0, Some(338.0)), look(10, 492.0, Some(338.0))]).unwrap(),
        evidence(&[look(0, 12.0, None), look(10, 12.0, None)]).unwrap(),
    ];
    insta::assert_snapshot!(all.join("\n"), @r"
    12 of 338 requests that are needed, 0 failed; primary 1 of 1,200 failed; evidence against it 0.3:1 (100:1 rejects)
    92 of 338 requests that are needed, 0 failed; about 31s at this rate; primary 1 of 1,200 failed; evidence against it 0.3:1 (100:1 rejects)
    492 requests, 0 failed; primary 1 of 1,200 failed; evidence against it 0.3:1 (100:1 rejects)
    12 requests, 0 failed; no number of requests would show the limit; primary 1 of 1,200 failed; evidence against it 0.3:1 (100:1 rejects)
    ");
}

#[test]
fn a_diff_names_both_sides() {
    let text = super::diff::unified(&template("app:1"), &template("app:2")).unwrap();
    insta::assert_snapshot!(text, @r"
    --- live
    +++ held
    @@ -3,5 +3,5 @@
         app: app
     spec:
       containers:
    -  - image: app:1
    +  - image: app:2
         name: app
    ");
    assert_eq!(super::diff::unified(&template("app:1"), &template("app:1")).unwrap(), "");
}

#[test]
fn words_of_others_stay_on_their_line() {
    let mut objects = objects();
    objects.last_event = Some(("CanaryRejected".to_owned(), "a\nb\u{1b}[2Jc".to_owned()));
    let text = shown(status(&objects, now(), WIDE));
    assert!(!text.contains('\u{1b}'), "{text}");
}

//! What people reserve to themselves, on a real API server: who applied is somebody, who may not write says nothing, and every word has its
//! answer. With kubectl alone; the plugin's words are in `plugin`.

use coalmine_core::{
    api::annotations::{self as key, Phase},
    manifest::{answers::is_about_another, object},
};
use rstest::rstest;
use serde_json::{Value, json};

use crate::support::{
    coalmine::Coalmine,
    control_plane::As,
    eventually, fixtures,
    kubectl::{Apply::ServerSide, Output},
    namespace::{Namespace, promotion_of},
};

/// A namespace in which ann and bob may write, and carol may look.
struct Team {
    namespace: Namespace,
}

impl Team {
    fn with_a() -> Self {
        let team = Self { namespace: Namespace::with_a(ServerSide) };
        let bind = |role: &str, users: &[&str]| {
            let users: Vec<String> = users.iter().map(|user| format!("--user={}", team.user(user))).collect();
            let role_flag = format!("--clusterrole={role}");
            let mut arguments = vec!["create", "rolebinding", role, &role_flag];
            arguments.extend(users.iter().map(String::as_str));
            team.namespace.kubectl.run(&arguments).succeeded();
        };
        bind("edit", &["ann", "bob"]);
        bind("view", &["carol"]);
        for user in ["ann", "bob"] {
            eventually("the role to count", || {
                let can = team.kubectl(user, &["auth", "can-i", "patch", "deployments.apps"]);
                if can.code == 0 { Ok(()) } else { Err(can.stdout) }
            });
        }
        team
    }

    /// B is on trial, applied by ann, in a Deployment with these annotations.
    fn with_b_tried(annotations: &Value) -> Self {
        let team = Self::with_a();
        team.apply("ann", "B", annotations).succeeded();
        team.namespace.assert_held("B");
        team.namespace.judge(Phase::Running, "");
        team
    }

    fn user(&self, name: &str) -> String {
        format!("{name}-{}", self.namespace.name)
    }

    fn kubectl(&self, user: &str, arguments: &[&str]) -> Output {
        let user = self.user(user);
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--as", &user]).collect();
        self.namespace.kubectl.run(&arguments)
    }

    fn apply(&self, user: &str, template: &str, annotations: &Value) -> Output {
        let mut manifest = fixtures::deployment("app", &fixtures::Template::named(template));
        for (name, value) in annotations.as_object().expect("annotations") {
            manifest["metadata"]["annotations"][name] = value.clone();
        }
        self.namespace.kubectl.apply_with(ServerSide, &manifest, &["--as", &self.user(user)])
    }

    fn annotate(&self, user: &str, annotation: &str) -> Output {
        self.kubectl(user, &["annotate", "deploy/app", "--overwrite", annotation])
    }

    fn annotation(&self, name: &str) -> Option<String> {
        object::annotation(&self.namespace.app(), name).map(str::to_owned)
    }

    fn run(&self) -> String {
        self.annotation(key::RUN).expect("a run")
    }

    /// What was said, with other names for what is another in every test.
    fn said(&self, output: &Output) -> String {
        output.said().replace("-NAMESPACE", "").replace(&self.run(), "RUN")
    }
}

#[test]
#[ignore = "needs a control plane"]
fn somebody_else_than_who_applied_it_must_approve() {
    let team = Team::with_b_tried(&json!({"canary.approval": "other"}));
    team.namespace.judge(Phase::AwaitingApproval, "error rate 0%; it waits for approval");
    let refused = team.namespace.try_to_promote().expect_err("nobody approved");
    assert!(refused.message.contains("nobody has approved the template on trial"), "{}", refused.message);
    let approve = format!("canary.approve={} looks good", team.run());
    let own = team.annotate("ann", &approve).failed();
    insta::assert_snapshot!(team.said(&own), @r#"Error from server (Forbidden): admission webhook "deployments.coalmine.dev" denied the request: canary: canary.approval is "other": somebody else than ann, who applied this template, must approve it"#);
    let looks = team.annotate("carol", &approve).failed();
    assert!(looks.stderr.contains("cannot patch resource"), "{}", looks.stderr);
    assert_eq!(team.annotation(key::APPROVED), None);
    let approved = team.annotate("bob", &approve).succeeded();
    insta::assert_snapshot!(team.said(&approved), @"Warning: canary: approved; the template is let in");
    let record: Value = team.annotation(key::APPROVED).expect("a record").parse().expect("JSON");
    assert_eq!(record, json!({"run": team.run(), "by": team.user("bob"), "reason": "looks good"}));
    team.namespace.promote();
    team.namespace.assert_phase("B", None, Some(Phase::Promoted));
    assert_eq!(team.annotation(key::APPROVED), None);
}

#[test]
#[ignore = "needs a control plane"]
fn an_approval_is_of_what_was_looked_at() {
    let team = Team::with_b_tried(&json!({"canary.approval": "required"}));
    let seen = team.run();
    team.apply("ann", "C", &json!({"canary.approval": "required"})).succeeded();
    let late = team.annotate("bob", &format!("canary.approve={seen}")).failed();
    assert!(late.stderr.contains(&format!("\"{seen}\" is not on trial; look at what is, then approve {}", team.run())), "{}", late.stderr);
    // Before the verdict it counts, and goes with the template.
    team.annotate("bob", &format!("canary.approve={}", team.run())).succeeded();
    assert!(team.annotation(key::APPROVED).is_some());
    team.apply("ann", "B", &json!({"canary.approval": "required"})).succeeded();
    assert_eq!(team.annotation(key::APPROVED), None);
}

#[rstest]
#[case::forged(
    "canary.state/approved={\"run\":\"RUN\",\"by\":\"bob\"}",
    Some("canary.state/approved is Coalmine's own; the change to it was undone")
)]
#[case::an_order("canary.state/order={\"verb\":\"promote\",\"run\":\"RUN\",\"by\":\"bob\"}", Some("canary.state/order is Coalmine's own"))]
#[case::asked_for_less("canary.approval=required", None)]
#[case::not_asked_for("canary.approval-", None)]
#[case::by_hand("canary.promote=it is fine", None)]
#[ignore = "needs a control plane"]
fn who_applied_it_finds_no_way_around_the_others(#[case] annotation: &str, #[case] warned: Option<&str>) {
    let team = Team::with_b_tried(&json!({"canary.approval": "other"}));
    let output = team.annotate("ann", &annotation.replace("RUN", &team.run()));
    match warned {
        Some(words) => assert!(output.code == 0 && output.stderr.contains(words), "{}", output.stderr),
        None => assert!(output.code == 1 && output.stderr.contains("denied the request: canary: "), "{}", output.stderr),
    }
    team.namespace.try_to_promote().expect_err("nobody approved");
    // The loud way is open, and tells who went it.
    team.apply("ann", "B", &json!({"canary.approval": "other", "canary.bypass": "hotfix"})).succeeded();
    let app = team.namespace.assert_phase("B", None, Some(Phase::Bypassed));
    assert!(object::annotation(&app, key::HISTORY).is_some_and(|history| history.contains(&team.user("ann"))), "{app}");
}

/// Where `--approval-verb` is given, `edit` alone doesn't approve: the API server is asked about the verb.
#[test]
#[ignore = "needs a control plane"]
fn with_a_verb_of_its_own_who_may_write_may_not_approve() {
    const STRICT: &str = "coalmine-strict";
    let team = Team::with_a();
    let strict = Coalmine::beside(team.namespace.control_plane, STRICT, None, &["--approval-verb"]);
    team.namespace.served_by(Some(STRICT), || {
        team.kubectl("ann", &["annotate", "deployment/app", "--dry-run=server", "canary.duration=10s"]).succeeded();
        if strict.reviews() > 0 { Ok(()) } else { Err("it was asked nothing".to_owned()) }
    });
    team.apply("ann", "B", &json!({key::APPROVAL: "required"})).succeeded();
    team.namespace.judge(Phase::Running, "");

    let approval = format!("{}={} fine", key::APPROVE, team.run());
    insta::assert_snapshot!(team.said(&team.annotate("bob", &approval).failed()), @r#"Error from server (Forbidden): admission webhook "deployments.coalmine.dev" denied the request: canary: bob may not approve: the verb approve on this Deployment is missing (kubectl auth can-i approve deployments.apps)"#);
    team.namespace.kubectl.run(&["create", "role", "canary-approver", "--verb=approve", "--resource=deployments.apps"]).succeeded();
    let bob = format!("--user={}", team.user("bob"));
    team.namespace.kubectl.run(&["create", "rolebinding", "canary-approver", "--role=canary-approver", &bob]).succeeded();
    eventually("the verb to count", || {
        let output = team.annotate("bob", &approval);
        if output.code == 0 { Ok(()) } else { Err(output.stderr) }
    });
    assert!(team.annotation(key::APPROVED).is_some_and(|record| record.contains(&team.user("bob"))));
}

#[test]
#[ignore = "needs a control plane"]
fn a_trial_is_ended_by_hand() {
    let team = Team::with_b_tried(&json!({}));
    let early = team.annotate("bob", "canary.approve=x").failed();
    assert!(early.stderr.contains("there is nothing to approve, since canary.approval is not set"), "{}", early.stderr);
    let said = team.annotate("bob", "canary.reject=the fair").succeeded();
    insta::assert_snapshot!(team.said(&said), @"Warning: canary: the template on trial is rejected, as you ask; an Event records it");
    let order: Value = team.annotation(key::ORDER).expect("an order").parse().expect("JSON");
    assert_eq!(order, json!({"verb": "reject", "run": team.run(), "by": team.user("bob"), "reason": "the fair"}));
    team.namespace.judge(Phase::Rejected, "bob decided: the fair; template kept out");
    assert_eq!(team.annotation(key::ORDER), None);
    let late = team.annotate("bob", "canary.promote=after all").failed();
    insta::assert_snapshot!(team.said(&late), @r#"Error from server (Forbidden): admission webhook "deployments.coalmine.dev" denied the request: canary: canary.promote: no template is on trial (Rejected); to let one in without a trial, apply it with canary.bypass"#);
    // The same words again, in another attempt.
    team.annotate("ann", "canary.retry=1").succeeded();
    team.namespace.judge(Phase::Running, "");
    assert_eq!(team.annotation(key::ORDER), None);
    team.annotate("ann", "canary.promote=it is fine").succeeded();
    team.namespace.promote();
    team.namespace.assert_phase("B", None, Some(Phase::Promoted));
}

/// The judge's questions may take long, and the promotion rests on what was seen before them.
#[test]
#[ignore = "needs a control plane"]
fn what_is_said_between_the_verdict_and_the_promotion_counts() {
    let team = Team::with_b_tried(&json!({}));
    let words: [&[&str]; 4] = [
        &["annotate", "deploy/app", "canary.max-error-rate=0.1%"],
        &["scale", "deploy/app", "--replicas=0"],
        &["annotate", "deploy/app", "canary.paused=true"],
        &["annotate", "deploy/app", "canary.reject=the fair"],
    ];
    for said in words {
        let judged = promotion_of(&team.namespace.app());
        team.kubectl("bob", said).succeeded();
        let refused = team.namespace.patch(As::Controller, &judged).expect_err("it was judged by what was asked before");
        assert!(is_about_another(refused.code, &refused.message), "{} {}", refused.code, refused.message);
        team.namespace.assert_phase("A", Some("B"), Some(Phase::Running));
    }
    team.namespace.judge(Phase::Rejected, "bob decided: the fair; template kept out");
    // The same words about the next template.
    team.apply("ann", "C", &json!({})).succeeded();
    let unheard = team.annotate("bob", "canary.reject=the fair").succeeded();
    insta::assert_snapshot!(team.said(&unheard), @"Warning: canary: canary.reject said the same before this trial, and counts when it changes: give another reason");
}

/// A tool that waits goes on waiting, and sees why.
#[test]
#[ignore = "needs a control plane"]
fn the_status_says_that_it_waits_for_approval() {
    let team = Team::with_b_tried(&json!({"canary.approval": "required"}));
    team.namespace.judge(Phase::AwaitingApproval, "error rate 0%; it waits for approval");
    let condition = |app: &Value, kind: &str| {
        app["status"]["conditions"].as_array().and_then(|all| all.iter().find(|c| c["type"] == kind).cloned()).unwrap_or_default()
    };
    eventually("the status", || {
        let app = team.namespace.settle();
        let (progressing, canary) = (condition(&app, "Progressing"), condition(&app, "Canary"));
        let told = progressing["status"] == "True" && progressing["reason"] == "CanaryAwaitsApproval";
        if told && canary["status"] == "Unknown" && canary["reason"] == "AwaitingApproval" {
            Ok(())
        } else {
            Err(app["status"].to_string())
        }
    });
    team.annotate("bob", &format!("canary.approve={}", team.run())).succeeded();
    team.namespace.promote();
    eventually("the rollout to end", || {
        let app = team.namespace.settle();
        let reason = condition(&app, "Progressing")["reason"].clone();
        if reason == "NewReplicaSetAvailable" { Ok(()) } else { Err(app["status"].to_string()) }
    });
}

#[test]
#[ignore = "needs a control plane"]
fn who_applies_hears_at_once_that_it_is_not_tried_now() {
    let team = Team::with_a();
    let path = format!("/api/v1/namespaces/{}", team.namespace.name);
    let freeze = |reason: Value| {
        let patch = json!({"metadata": {"annotations": {"canary.freeze": reason}}});
        team.namespace.control_plane.send(As::Administrator, "PATCH", &path, "application/merge-patch+json", &patch).expect("a freeze");
    };
    freeze(json!("the fair"));
    let held = team.apply("ann", "B", &json!({})).succeeded();
    assert!(held.stderr.contains("Warning: canary: not tried now: namespace is frozen: the fair"), "{}", held.stderr);
    team.namespace.assert_held("B");
    // Who must, can.
    team.apply("ann", "B", &json!({"canary.bypass": "hotfix"})).succeeded();
    team.namespace.assert_phase("B", None, Some(Phase::Bypassed));
    freeze(Value::Null);
    let thawed = team.apply("ann", "C", &json!({})).succeeded();
    assert!(!thawed.stderr.contains("not tried now"), "{}", thawed.stderr);
}

#[rstest]
#[case("canary.window", "Mon 09:00-17:00 Europe/Berln", "unknown time zone \"Europe/Berln\"")]
#[case("canary.window", "09:00-09:00", "never opens")]
#[case("canary.window", "09:00-09:00:30", "is no window")]
#[case("canary.approval", "yes", "expected \"required\" or \"other\"")]
#[case("canary.paused", "maybe", "expected \"true\" or \"false\"")]
#[case("canary.freeze", "now", "it stands on the namespace")]
#[ignore = "needs a control plane"]
fn a_mistake_is_denied_at_apply_in_one_line(#[case] key: &str, #[case] value: &str, #[case] words: &str) {
    let team = Team::with_a();
    let refused = team.apply("ann", "A", &json!({key: value})).failed();
    let line = refused.stderr.lines().find(|line| line.contains(key)).unwrap_or_default();
    assert!(line.contains(words), "{}", refused.stderr);
}

//! What waits for a rollout, at each end that a template comes to by people's words and by other clients: never green before it serves, never
//! waiting for what has ended. kubectl and Helm wait beside the test, as in a pipeline; kstatus and Argo CD are asked.

use std::process::Child;

use coalmine_core::{
    api::annotations::{self as key, Phase},
    manifest::object,
};
use rstest::rstest;
use serde_json::json;

use crate::support::{
    control_plane::As,
    eventually, fixtures,
    fixtures::Template,
    gitops::{argo_health, kstatus},
    helm::{self, Release},
    kubectl::Apply::ServerSide,
    namespace::{Namespace, held},
    results::row,
};

/// Where B comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    AwaitsApproval,
    ApprovalTimedOut,
    Approved,
    Frozen,
    OutsideItsWindow,
    Paused,
    PromotedByHand,
    RejectedByHand,
    RevertedWhileItAwaitsApproval,
    RevertedWhilePaused,
    RevertedAfterTheTimeOut,
    OptedOut,
    OptedOutWithTheTemplate,
    Merged,
}

/// What whoever waits for B is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Waits,
    Fails,
    /// Waits for the rollout of B, which begins now.
    RollsOut,
    /// A stays, as it is.
    Stays,
}

impl End {
    fn words(self) -> &'static str {
        match self {
            Self::AwaitsApproval => "held, AwaitingApproval",
            Self::ApprovalTimedOut => "held, nobody approves it in time",
            Self::Approved => "held, AwaitingApproval, approved",
            Self::Frozen => "held, the namespace is frozen",
            Self::OutsideItsWindow => "held outside its window",
            Self::Paused => "held, canary.paused",
            Self::PromotedByHand => "held, canary.promote",
            Self::RejectedByHand => "held, canary.reject",
            Self::RevertedWhileItAwaitsApproval => "held, AwaitingApproval, A again",
            Self::RevertedWhilePaused => "held, canary.paused, A again",
            Self::RevertedAfterTheTimeOut => "held, nobody approves it in time, A again",
            Self::OptedOut => "held, opted out",
            Self::OptedOutWithTheTemplate => "held, B again with canary.enabled=false",
            Self::Merged => "held, set env by another manager",
        }
    }

    fn told(self) -> Told {
        match self {
            Self::AwaitsApproval | Self::Frozen | Self::OutsideItsWindow | Self::Paused | Self::Merged => Told::Waits,
            Self::ApprovalTimedOut | Self::RejectedByHand => Told::Fails,
            Self::Approved | Self::PromotedByHand | Self::OptedOutWithTheTemplate => Told::RollsOut,
            Self::RevertedWhileItAwaitsApproval | Self::RevertedWhilePaused | Self::RevertedAfterTheTimeOut | Self::OptedOut => Told::Stays,
        }
    }

    /// B is held.
    fn reach(self, namespace: &Namespace) {
        let run = || object::annotation(&namespace.app(), key::RUN).expect("a run").to_owned();
        match self {
            Self::AwaitsApproval => {
                annotate(namespace, "canary.approval=required");
                namespace.judge(Phase::AwaitingApproval, "error rate 0% (0 of 845 requests); it waits for approval");
            }
            Self::ApprovalTimedOut => {
                Self::AwaitsApproval.reach(namespace);
                namespace.judge(Phase::Inconclusive, "nobody approved it within 24h; template kept out");
            }
            Self::Approved => {
                Self::AwaitsApproval.reach(namespace);
                annotate(namespace, &format!("canary.approve={}", run()));
                namespace.promote();
            }
            Self::Frozen => {
                freeze(namespace);
                namespace.judge(Phase::Held, "not tried now: namespace is frozen: the fair");
            }
            Self::OutsideItsWindow => {
                annotate(namespace, "canary.window=Mon 09:00-17:00");
                namespace.judge(Phase::Held, "tried from Mon 09:00 UTC");
            }
            Self::Paused => {
                namespace.judge(Phase::Running, "");
                annotate(namespace, "canary.paused=true");
                namespace.judge(Phase::Running, "the trial stands still (canary.paused)");
            }
            Self::PromotedByHand => {
                namespace.judge(Phase::Running, "");
                annotate(namespace, "canary.promote=it is fine");
                namespace.promote();
            }
            Self::RejectedByHand => {
                annotate(namespace, "canary.reject=the fair");
                namespace.judge(Phase::Rejected, "somebody decided: the fair; template kept out");
            }
            Self::RevertedWhileItAwaitsApproval => go_back_from(Self::AwaitsApproval, namespace),
            Self::RevertedWhilePaused => go_back_from(Self::Paused, namespace),
            Self::RevertedAfterTheTimeOut => go_back_from(Self::ApprovalTimedOut, namespace),
            Self::OptedOut => annotate(namespace, "canary.enabled=false"),
            Self::OptedOutWithTheTemplate => {
                let mut manifest = fixtures::deployment("app", &Template::named("B"));
                manifest["metadata"]["annotations"] = json!({"canary.enabled": "false"});
                namespace.kubectl.apply_with(ServerSide, &manifest, &["--force-conflicts"]).succeeded();
            }
            Self::Merged => {
                namespace.kubectl.run(&["set", "env", "deployment/app", "STAKATER=1"]).succeeded();
                assert!(held(&namespace.app()).is_some_and(|held| held.contributions.len() == 2));
            }
        }
    }
}

fn annotate(namespace: &Namespace, annotation: &str) {
    namespace.kubectl.run(&["annotate", "deployment/app", "--overwrite", annotation]).succeeded();
}

fn freeze(namespace: &Namespace) {
    let body = json!({"metadata": {"annotations": {"canary.freeze": "the fair"}}});
    let path = format!("/api/v1/namespaces/{}", namespace.name);
    namespace.control_plane.send(As::Administrator, "PATCH", &path, "application/merge-patch+json", &body).expect("a freeze");
}

fn go_back_from(end: End, namespace: &Namespace) {
    end.reach(namespace);
    namespace.settle();
    // As it stands there, so that nobody asks for less than before.
    let mut manifest = fixtures::deployment("app", &Template::named("A"));
    let app = namespace.app();
    let asked = object::annotations(&app).iter().filter(|(name, _)| [key::APPROVAL, key::PAUSED].contains(&name.as_str()));
    for (name, value) in asked {
        manifest["metadata"]["annotations"][name] = value.clone();
    }
    namespace.kubectl.apply_with(ServerSide, &manifest, &["--force-conflicts"]).succeeded();
}

/// What each tool that asks says now: in one word.
fn asked(namespace: &Namespace) -> [(&'static str, Told); 3] {
    let output = namespace.kubectl.run(&["rollout", "status", "deployment/app", "--watch=false"]);
    let kubectl = match (output.code, output.stdout.starts_with("Waiting for deployment")) {
        (0, true) => Told::Waits,
        (0, false) => Told::Stays,
        _ => Told::Fails,
    };
    let app = namespace.app();
    let word = |(status, message): (String, String)| match status.as_str() {
        "Current" | "Healthy" => Told::Stays,
        "InProgress" | "Progressing" => Told::Waits,
        "Failed" | "Degraded" => Told::Fails,
        other => panic!("{other}: {message}"),
    };
    [("kubectl", kubectl), ("kstatus", word(kstatus(namespace, &app))), ("Argo CD", word(argo_health(namespace, &app)))]
}

/// Once the Deployment controller has seen it; before, nothing that isn't so at the end but that they wait.
#[track_caller]
fn tell(namespace: &Namespace, told: Told) {
    let expected = |said: Told| said == told || said == Told::Waits;
    let early = asked(namespace);
    assert!(told == Told::RollsOut || early.iter().all(|(_, said)| expected(*said)), "at once: {early:?}");
    let wanted = if told == Told::RollsOut { Told::Stays } else { told };
    eventually(&format!("all to say {told:?}"), || {
        namespace.settle();
        let said = asked(namespace);
        if said.iter().all(|(_, said)| *said == wanted) { Ok(()) } else { Err(format!("{said:?}: {}", namespace.app()["status"])) }
    });
}

/// The process that waits beside.
#[track_caller]
fn finish(namespace: &Namespace, mut child: Child, told: Told) {
    if told == Told::Waits {
        assert!(child.try_wait().expect("a process").is_none(), "it waits");
        // Whatever comes then.
        namespace.judge(Phase::Rejected, "error rate 48.1% exceeds 1%; template kept out");
    }
    eventually("the waiting process to end", || {
        namespace.make_pods_ready();
        child.try_wait().expect("a process").map(drop).ok_or_else(|| namespace.app()["status"].to_string())
    });
    let output = namespace.kubectl.output(child);
    assert_eq!(output.code == 0, matches!(told, Told::RollsOut | Told::Stays), "{}{}", output.stdout, output.stderr);
}

/// No pod becomes Ready meanwhile, so nothing that begins to roll out is over.
#[track_caller]
fn rolls_out(namespace: &Namespace) {
    let app = namespace.app();
    assert_eq!(held(&app), None);
    for (tool, said) in asked(namespace) {
        assert_eq!(said, Told::Waits, "{tool} before the rollout is over: {}", namespace.app()["status"]);
    }
}

#[rstest]
#[ignore = "needs a control plane"]
fn who_waits_is_told_the_end(
    #[values(
        End::AwaitsApproval,
        End::ApprovalTimedOut,
        End::Approved,
        End::Frozen,
        End::OutsideItsWindow,
        End::Paused,
        End::PromotedByHand,
        End::RejectedByHand,
        End::RevertedWhileItAwaitsApproval,
        End::RevertedWhilePaused,
        End::RevertedAfterTheTimeOut,
        End::OptedOut,
        End::OptedOutWithTheTemplate,
        End::Merged
    )]
    end: End,
) {
    let told = end.told();
    let result = match told {
        Told::Waits => "wait; then told the verdict",
        Told::Fails => "fail",
        Told::RollsOut => "wait for the rollout of B, then green",
        Told::Stays => "green: A, as it was",
    };
    let _row = row(end.words(), "kubectl rollout status, kstatus, Argo CD's health", result);
    let namespace = Namespace::with_a(ServerSide);
    namespace.settle();
    namespace.apply(ServerSide, "B").succeeded();
    namespace.settle();
    let wait = || namespace.kubectl.command(&["rollout", "status", "deployment/app", "--timeout=120s"]).spawn().expect("kubectl starts");
    // Who waited for B was told that it failed; this one waits for A.
    let early = (end != End::RevertedAfterTheTimeOut).then(wait);
    end.reach(&namespace);
    if told == Told::RollsOut {
        rolls_out(&namespace);
    }
    let child = early.unwrap_or_else(wait);
    tell(&namespace, told);
    if told == Told::RollsOut {
        assert_eq!(fixtures::template_name(object::template(&namespace.app())), "B");
    }
    finish(&namespace, child, told);
}

#[rstest]
#[ignore = "needs a control plane"]
fn helm_waits_for_the_end(
    #[values(
        End::AwaitsApproval,
        End::ApprovalTimedOut,
        End::Approved,
        End::Frozen,
        End::OutsideItsWindow,
        End::Paused,
        End::PromotedByHand,
        End::RejectedByHand,
        End::OptedOut,
        End::Merged
    )]
    end: End,
) {
    let told = end.told();
    let result = match told {
        Told::Waits => "waits; then exit 1 with the rejection",
        Told::Fails => "exit 1",
        Told::RollsOut => "waits for the rollout, exit 0",
        Told::Stays => "exit 0: A, as it was",
    };
    let _row = row(end.words(), "Helm 4 --wait", result);
    let namespace = Namespace::new();
    let release = Release::install(&namespace, helm::Patch::ServerSide, &Template::named("A"));
    namespace.settle();
    let child = release.upgrade_beside(&Template::named("B"), &["--wait", "--timeout=120s"]).spawn().expect("helm starts");
    eventually("the hold", || held(&namespace.app()).map(drop).ok_or_else(|| "nothing held".to_owned()));
    namespace.settle();
    end.reach(&namespace);
    if told == Told::RollsOut {
        rolls_out(&namespace);
    }
    tell(&namespace, told);
    finish(&namespace, child, told);
}

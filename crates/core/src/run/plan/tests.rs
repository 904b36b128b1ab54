//! Whole plans, one for each state that a controller can find after dying at any moment.

mod beginning;
mod ends;
mod gated;
mod refusals;
mod trouble;

use serde_json::json;

use super::*;
use crate::{
    api::annotations as key,
    facts::judgement::{Decision, Finding, Judgement, Waiting},
    message::{self, events::note},
    run::pods::Trouble,
};

fn now() -> Timestamp {
    "2026-01-01T00:01:00Z".parse().unwrap()
}

fn label() -> Label {
    Label::new("tier", "canary")
}

fn primary(phase: &str, since: Option<&str>) -> Value {
    let mut object = json!({
        "metadata": {"name": "app", "namespace": "shop", "uid": "u", "generation": 3,
                     "annotations": {"canary.enabled": "true", "canary.state/phase": phase, "canary.state/run": "r1", "canary.state/held": "x",
                                     "canary.state/message": "error rate 100%; template kept out"}},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "app"}}},
        "status": {"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2},
    });
    if let Some(since) = since {
        object["metadata"]["annotations"]["canary.state/since"] = json!(since);
    }
    object
}

fn template() -> Value {
    json!({"metadata": {"labels": {"app": "app"}}, "spec": {"containers": []}})
}

fn canary_of(primary: &Value, run: &str, ready: bool) -> Value {
    let mut canary = canary::deployment(primary, template(), run, &label());
    canary["metadata"]["uid"] = json!("canary-uid");
    if ready {
        canary["metadata"]["annotations"][crate::run::times::READY_ANNOTATION] = json!("2026-01-01T00:00:10Z");
        canary["metadata"]["annotations"][READY_POD_ANNOTATION] = json!("p");
    }
    canary
}

struct Given {
    primary: Value,
    namesake: Option<Value>,
    health: Health,
    ready_condition: Option<&'static str>,
    judgement: Option<Round>,
    policy: &'static [(&'static str, &'static str)],
    held: Option<OnTrial<'static>>,
    refused: Option<Refused>,
    shared: Option<Shared>,
    alone_for: Duration,
    missing_live: Vec<String>,
    freeze: Option<&'static str>,
}

impl Given {
    fn new(phase: &str) -> Self {
        let since = (phase != "Held").then_some("2026-01-01T00:00:59Z");
        Self {
            primary: primary(phase, since),
            namesake: None,
            health: Health::Starting(None),
            ready_condition: None,
            judgement: None,
            policy: &[],
            held: None,
            refused: None,
            shared: None,
            alone_for: Duration::from_hours(1),
            missing_live: Vec::new(),
            freeze: None,
        }
    }

    fn old(mut self) -> Self {
        self.primary["metadata"]["annotations"]["canary.state/since"] = json!("2025-12-31T23:00:00Z");
        self
    }

    fn canary(mut self, run: &str, ready: bool) -> Self {
        self.namesake = Some(canary_of(&self.primary, run, ready));
        self
    }

    fn ready(self) -> Self {
        self.ready_with("p")
    }

    fn ready_with(mut self, pod: &str) -> Self {
        self.health = Health::Ready { pod: pod.to_owned() };
        self
    }

    fn refused(mut self, action: Action) -> Self {
        let words = "admission webhook \"digests\" denied the request:\n no".to_owned();
        self.refused = Some(Refused { action, words });
        self
    }

    fn starting(mut self, reason: &str) -> Self {
        self.health = Health::Starting(Some(reason.to_owned()));
        self
    }

    fn saying(mut self, name: &str, value: &str) -> Self {
        self.primary["metadata"]["annotations"][name] = json!(value);
        self
    }

    fn judged(mut self, judgement: Round) -> Self {
        self.judgement = Some(judgement);
        self
    }

    /// The plan, a line for each action.
    fn plan(self) -> String {
        let template = template();
        let policy = Policy::parse(&self.policy.iter().copied().collect()).unwrap();
        let observed = Observed {
            primary: &self.primary,
            held: self.held.unwrap_or(OnTrial::Template(&template)),
            namesake: self.namesake.as_ref(),
            health: self.health,
            ready_condition: self.ready_condition.map(str::to_owned),
            policy: &policy,
            judgement: self.judgement,
            unreached: None,
            refused: self.refused,
            shared: self.shared,
            alone_for: self.alone_for,
            missing_live: self.missing_live,
            applier: "ann",
            freeze: self.freeze.map(str::to_owned),
        };
        let plan = plan(&observed, &label(), now());
        let mut lines: Vec<String> = plan
            .actions
            .iter()
            .map(|action| match action {
                Action::Publish(event) => format!("{} {}", event.reason().as_str(), note(event)),
                Action::Create(object) => format!("Create {}", object["metadata"]["name"]),
                other => written(other),
            })
            .collect();
        lines.push(format!("look again: {:?}", plan.look_again));
        lines.join("\n")
    }
}

/// An action with the words that are written.
fn written(action: &Action) -> String {
    let message = |why: &Option<Why>| why.as_ref().map(message::why::why);
    match action {
        Action::Write { phase, why } => format!("Write {{ phase: {phase:?}, message: {:?} }}", message(why)),
        Action::WriteAside { phase, why } => format!("WriteAside {{ phase: {phase:?}, message: {:?} }}", message(why)),
        Action::Promote(promotion) => format!("Promote {{ message: {:?} }}", message::why::promotion(promotion)),
        other => format!("{other:?}"),
    }
}

/// The words stand for any finding.
fn done(decision: Decision, words: &str) -> Round {
    Round::Done(Judgement { decision, findings: vec![Finding::NoAnswer(words.to_owned())] })
}

fn rejects(words: &str) -> Round {
    done(Decision::Reject, words)
}

fn promotes(words: &str) -> Round {
    done(Decision::Promote, words)
}

fn unavailable(words: &str) -> Round {
    Round::blind(words.to_owned(), Duration::from_secs(1))
}

fn waits(words: Option<&str>) -> Round {
    let findings = words.map(|words| Finding::NoAnswer(words.to_owned())).into_iter().collect();
    Round::Waiting(Waiting { look_again: Duration::from_secs(5), findings, is_blind: false })
}

fn proven(words: &str) -> Promotion {
    let verdict = Verdict::Judged(vec![Finding::NoAnswer(words.to_owned())]);
    Promotion { good: verdict.into(), approved: None, is_paused: false }
}

fn failed(trouble: Trouble) -> Health {
    Health::Failed { reason: "container app CrashLoopBackOff".to_owned(), trouble }
}

fn never_served(given: &mut Given) {
    given.primary["metadata"]["creationTimestamp"] = json!("2025-12-31T00:00:00Z");
    given.primary["status"] =
        json!({"conditions": [{"type": "Available", "status": "False", "lastTransitionTime": "2025-12-31T00:00:01Z"}]});
}

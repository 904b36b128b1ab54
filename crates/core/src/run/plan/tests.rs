//! Whole plans, one for each state that a controller can find after dying at any moment.

mod gated;

use serde_json::json;

use super::*;
use crate::run::pods::Trouble;

fn now() -> Timestamp {
    "2026-01-01T00:01:00Z".parse().unwrap()
}

fn label() -> (String, String) {
    ("tier".to_owned(), "canary".to_owned())
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
    judgement: Option<Judgement>,
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

    fn judged(mut self, judgement: Judgement) -> Self {
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
                Action::Publish(event) => format!("{} {}", event.reason.as_str(), event.note),
                Action::Create(object) => format!("Create {}", object["metadata"]["name"]),
                other => format!("{other:?}"),
            })
            .collect();
        lines.push(format!("look again: {:?}", plan.look_again));
        lines.join("\n")
    }
}

#[test]
fn from_held_to_a_canary() {
    insta::assert_snapshot!(Given::new("Held").plan(), @r#"
Write { phase: Running, message: None }
look again: Some(1s)
"#);
    insta::assert_snapshot!(Given::new("Running").plan(), @r#"
CanaryHeld template held; trying it in app-canary for 60s
Create "app-canary"
CanaryStarted created app-canary with one replica of the held template
look again: Some(5s)
"#);
    insta::assert_snapshot!(Given::new("Running").canary("r1", false).plan(), @"look again: Some(5s)");
    insta::assert_snapshot!(Given::new("Running").canary("r1", false).ready().plan(), @r#"
MarkReady { pod: "p" }
CanaryAnalyzing app-canary is Ready; judging its traffic for 60s
look again: Some(1s)
"#);
}

#[test]
fn whose_changes_are_on_trial_is_told_when_it_begins() {
    let mut given = Given::new("Held");
    given.primary["metadata"]["annotations"][key::MERGED] = json!("a change by \"Reloader\" was made to it");
    insta::assert_snapshot!(given.plan(), @r#"
    CanaryMerged a change by "Reloader" was made to it
    Write { phase: Running, message: None }
    look again: Some(1s)
    "#);
}

#[test]
fn a_superseded_canary_goes_first() {
    insta::assert_snapshot!(Given::new("Running").canary("r0", true).plan(), @r#"
CanarySuperseded app-canary tried a template that was superseded; starting over
Delete { uid: "canary-uid", with_pods: false }
look again: Some(1s)
"#);
}

#[test]
fn a_canary_that_somebody_changed_proves_nothing() {
    let mut given = Given::new("Running").canary("r1", true).ready().judged(Judgement::Promote("error rate 0%".to_owned()));
    given.namesake.as_mut().unwrap()["metadata"]["annotations"]["deployment.kubernetes.io/revision"] = json!("2");
    insta::assert_snapshot!(given.plan(), @r#"
    CanaryChanged app-canary was changed, and no longer runs the held template alone; starting over
    CountRemade("r1 1")
    Delete { uid: "canary-uid", with_pods: false }
    look again: Some(1s)
    "#);
}

#[test]
fn a_template_that_came_past_coalmine_is_not_overwritten() {
    let promotable = Given::new("Running").canary("r1", true).ready().judged(Judgement::Promote("error rate 0%".to_owned()));
    insta::assert_snapshot!(Given { held: Some(OnTrial::Outdated), ..promotable }.plan(), @r#"
    Write { phase: Superseded, message: Some("another template became the live one past Coalmine; the held one is dropped: apply it again to try it") }
    look again: Some(1s)
    "#);
}

#[test]
fn a_stranger_with_the_canarys_name_is_never_touched() {
    let mut given = Given::new("Running");
    given.namesake = Some(json!({"metadata": {"name": "app-canary", "uid": "other"}}));
    insta::assert_snapshot!(given.plan(), @r#"
Write { phase: Inconclusive, message: Some("a Deployment app-canary exists that is not Coalmine's; rename or delete it, then set canary.retry; template kept out") }
look again: Some(1s)
"#);
}

fn failed(trouble: Trouble) -> Health {
    Health::Failed { reason: "container app CrashLoopBackOff".to_owned(), trouble }
}

#[test]
fn trouble_that_the_primary_shares_rejects_nobody() {
    let ended = Trouble::Ended { at: Some("2026-01-01T00:00:50Z".parse().unwrap()), perhaps_by_a_probe: false };
    let given = |trouble: Trouble| {
        let mut given = Given::new("Running").canary("r1", true);
        given.health = failed(trouble);
        given.shared = Some(Shared { troubled: 2, of: 3 });
        given
    };
    insta::assert_snapshot!(given(Trouble::Unready).plan(), @r"
    CanarySharedTrouble container app CrashLoopBackOff; 2 of 3 pods of the primary's are in the same trouble, so the template is not blamed; waiting for it to be over
    look again: Some(2s)
    ");
    insta::assert_snapshot!(given(ended).plan(), @r"
    CanarySharedTrouble container app CrashLoopBackOff; 2 of 3 pods of the primary's are in the same trouble, so the template is not blamed; waiting for it to be over
    Excuse(2026-01-01T00:00:50Z)
    look again: Some(2s)
    ");
    insta::assert_snapshot!(given(ended).old().plan(), @r#"
    Write { phase: Inconclusive, message: Some("container app CrashLoopBackOff; 2 of 3 pods of the primary's are in the same trouble, so the template is not blamed; still so at the deadline of 10m; template kept out") }
    look again: Some(1s)
    "#);
    // Its probes may fail a moment before the primary's.
    let alone = |seconds: u64| {
        let mut given = Given { shared: None, alone_for: Duration::from_secs(seconds), ..given(Trouble::Unready) };
        given.namesake.as_mut().unwrap()["spec"]["template"]["spec"]["containers"] = json!([{"readinessProbe": {"periodSeconds": 2}}]);
        given
    };
    insta::assert_snapshot!(alone(8).plan(), @"look again: Some(1s)");
    insta::assert_snapshot!(alone(9).plan(), @r#"
    Write { phase: Rejected, message: Some("container app CrashLoopBackOff (after 1s); template kept out") }
    look again: Some(1s)
    "#);
    // A primary that never served shares nothing.
    let mut never = given(ended);
    never_served(&mut never);
    insta::assert_snapshot!(never.plan(), @r#"
    Write { phase: Rejected, message: Some("container app CrashLoopBackOff (after 1s); template kept out") }
    look again: Some(1s)
    "#);
}

fn never_served(given: &mut Given) {
    given.primary["metadata"]["creationTimestamp"] = json!("2025-12-31T00:00:00Z");
    given.primary["status"] =
        json!({"conditions": [{"type": "Available", "status": "False", "lastTransitionTime": "2025-12-31T00:00:01Z"}]});
}

#[test]
fn where_nothing_ever_served_a_canary_that_stays_ready_is_let_in() {
    let given = |judgement: Judgement| {
        let mut given = Given::new("Running").canary("r1", true).ready().judged(judgement);
        never_served(&mut given);
        given
    };
    let silent = || given(Judgement::Unavailable("no counters".to_owned()));
    insta::assert_snapshot!(Given { policy: &[("canary.duration", "50s")], ..silent() }.plan(), @r#"
    Promote { message: "no pod of the primary's was ever available, and app-canary stayed Ready for 50s; template promoted" }
    look again: Some(1s)
    "#);
    insta::assert_snapshot!(Given { policy: &[("canary.duration", "52s")], ..silent() }.plan(), @"look again: Some(2s)");
    insta::assert_snapshot!(given(Judgement::Reject("error rate 100%".to_owned())).plan(), @r#"
    Write { phase: Rejected, message: Some("error rate 100%; template kept out") }
    look again: Some(1s)
    "#);
    insta::assert_snapshot!(Given { policy: &[("canary.duration", "10m")], ..silent().old() }.plan(), @r#"
    Write { phase: Inconclusive, message: Some("no answer from the metrics until the deadline: no counters; template kept out") }
    look again: Some(1s)
    "#);
}

#[test]
fn in_report_mode_the_verdict_is_told_and_the_template_let_in() {
    let report = |given: Given| Given { policy: &[("canary.mode", "report"), ("canary.deadline", "5m")], ..given };
    let ready = || Given::new("Running").canary("r1", true).ready();
    insta::assert_snapshot!(report(ready().judged(Judgement::Reject("error rate 100%".to_owned()))).plan(), @r#"
    Promote { message: "canary.mode is report; it would have been rejected: error rate 100%; template promoted" }
    look again: Some(1s)
    "#);
    insta::assert_snapshot!(report(Given::new("Running").old()).plan(), @r#"
    Promote { message: "canary.mode is report; it would have been inconclusive: app-canary could not be created within 5m; template promoted" }
    look again: Some(1s)
    "#);
    let promote = Action::Promote { message: "error rate 0%".to_owned() };
    let refused = report(ready().old().refused(promote)).plan();
    assert!(refused.starts_with("Write { phase: Inconclusive"), "what can't be let in is not tried for ever: {refused}");
}

#[test]
fn what_the_live_template_misses_is_named() {
    let missing = || vec!["ConfigMap app-5m7t not found".to_owned()];
    let given = |given: Given| Given { missing_live: missing(), ..given };
    insta::assert_snapshot!(given(Given::new("Running").canary("r1", false).ready()).plan(), @r#"
    MarkReady { pod: "p" }
    CanaryAnalyzing app-canary is Ready; judging its traffic for 60s
    CanaryLiveBroken the live template can't start another pod: ConfigMap app-5m7t not found; put it back, or let the held template in with canary.bypass
    look again: Some(1s)
    "#);
    assert!(given(Given::new("Rejected")).plan().contains("CanaryLiveBroken "));
}

#[test]
fn the_pods_own_evidence() {
    let mut given = Given::new("Running").canary("r1", false);
    given.health = failed(Trouble::Own);
    insta::assert_snapshot!(given.plan(), @r#"
Write { phase: Rejected, message: Some("container app CrashLoopBackOff (after 1s); template kept out") }
look again: Some(1s)
"#);
    let mut given = Given::new("Running").canary("r1", false).old();
    given.health = Health::Starting(Some("Unschedulable: 0/1 nodes are available".to_owned()));
    insta::assert_snapshot!(given.plan(), @r#"
Write { phase: Inconclusive, message: Some("not Ready within 10m: Unschedulable: 0/1 nodes are available; template kept out") }
look again: Some(1s)
"#);
}

#[test]
fn what_is_missing_is_waited_for_a_while() {
    let given = || {
        let mut given = Given::new("Running").canary("r1", false);
        given.health = Health::Missing("container app CreateContainerConfigError: secret \"key\" not found".to_owned());
        given
    };
    insta::assert_snapshot!(given().plan(), @r#"
    CanaryConfigMissing container app CreateContainerConfigError: secret "key" not found; waiting 30s for it to be there
    look again: Some(2s)
    "#);
    insta::assert_snapshot!(given().old().plan(), @r#"
    Write { phase: Rejected, message: Some("container app CreateContainerConfigError: secret \"key\" not found (after 1h1m); template kept out") }
    look again: Some(1s)
    "#);
}

#[test]
fn a_pod_that_is_lost_is_waited_for_and_judged_anew() {
    let lost = "pod app-canary-1-x is lost: EvictionByEvictionAPI: Eviction API: evicting";
    insta::assert_snapshot!(Given::new("Running").canary("r1", true).starting(lost).plan(), @"
    CanaryNotReady app-canary is not Ready any more, through no fault of the template (pod app-canary-1-x is lost: EvictionByEvictionAPI: Eviction API: evicting); waiting for it
    look again: Some(5s)
    ");
    insta::assert_snapshot!(Given::new("Running").canary("r1", true).starting(lost).old().plan(), @r#"
    Write { phase: Inconclusive, message: Some("not Ready any more at the deadline of 10m: pod app-canary-1-x is lost: EvictionByEvictionAPI: Eviction API: evicting; template kept out") }
    look again: Some(1s)
    "#);
    let promotable = || Given::new("Running").canary("r1", true).judged(Judgement::Promote("error rate 0%".to_owned()));
    insta::assert_snapshot!(promotable().ready_with("another").plan(), @r#"
    MarkReady { pod: "another" }
    CanaryAnalyzing app-canary is Ready again, with another pod; judging its traffic for 60s
    look again: Some(1s)
    "#);
    insta::assert_snapshot!(promotable().ready().plan(), @r#"
    Promote { message: "error rate 0%; template promoted" }
    look again: Some(1s)
    "#);
}

#[test]
fn a_trial_that_is_scaled_to_zero_waits_and_begins_anew() {
    let zero = |given: Given| {
        let mut given = given;
        given.primary["spec"]["replicas"] = json!(0);
        given
    };
    let promotable = || Given::new("Running").canary("r1", true).ready().judged(Judgement::Promote("error rate 0%".to_owned()));
    insta::assert_snapshot!(zero(promotable().old()).plan(), @r#"
    Write { phase: Held, message: Some("scaled to zero, so there is no traffic to judge by; the template is tried anew when it is scaled up") }
    look again: Some(1s)
    "#);
    insta::assert_snapshot!(zero(Given::new("Held").canary("r1", true)).plan(), @r#"
    CanaryScaledToZero scaled to zero, so there is no traffic to judge by; the template is tried anew when it is scaled up
    Delete { uid: "canary-uid", with_pods: false }
    look again: Some(60s)
    "#);
    insta::assert_snapshot!(zero(Given::new("Held")).plan(), @r"
    CanaryScaledToZero scaled to zero, so there is no traffic to judge by; the template is tried anew when it is scaled up
    look again: Some(60s)
    ");
    // Scaled up before the canary was gone: what it proved was of the trial before.
    insta::assert_snapshot!(Given::new("Held").canary("r1", true).plan(), @r#"
    Delete { uid: "canary-uid", with_pods: false }
    Write { phase: Running, message: None }
    look again: Some(1s)
    "#);
}

#[test]
fn every_run_ends_at_the_deadline_whatever_it_waits_for() {
    let leaving = |finalizer: bool| {
        let mut given = Given::new("Running").canary("r0", true);
        let canary = given.namesake.as_mut().unwrap();
        canary["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        if finalizer {
            canary["metadata"]["finalizers"] = json!(["example.com/audit"]);
        }
        given
    };
    insta::assert_snapshot!(leaving(false).plan(), @"look again: Some(1s)");
    insta::assert_snapshot!(leaving(true).plan(), @r#"
    Delete { uid: "canary-uid", with_pods: true }
    look again: Some(1s)
    "#);
    insta::assert_snapshot!(leaving(true).old().plan(), @r#"
    Write { phase: Inconclusive, message: Some("an earlier app-canary was not gone within 10m, which waits for its finalizer example.com/audit; template kept out") }
    look again: Some(1s)
    "#);
    insta::assert_snapshot!(Given::new("Running").canary("r0", true).old().plan(), @r#"
    Write { phase: Inconclusive, message: Some("an earlier app-canary was not gone within 10m; template kept out") }
    look again: Some(1s)
    "#);
    insta::assert_snapshot!(Given::new("Running").canary("r1", true).ready_with("another").old().plan(), @r#"
    Write { phase: Inconclusive, message: Some("Ready only at the deadline of 10m, so there was no time to judge it; template kept out") }
    look again: Some(1s)
    "#);
    let endless = || Judgement::Continue { look_again: Duration::from_secs(5), note: Some("12 requests are needed".to_owned()) };
    insta::assert_snapshot!(Given::new("Running").canary("r1", true).ready().judged(endless()).old().plan(), @r#"
    Write { phase: Inconclusive, message: Some("undecided at the deadline: 12 requests are needed; template kept out") }
    look again: Some(1s)
    "#);
    insta::assert_snapshot!(Given::new("Running").canary("r1", true).ready().old().plan(), @r#"
    Write { phase: Inconclusive, message: Some("nothing was said about it until the deadline; template kept out") }
    look again: Some(1s)
    "#);
    // Whatever the state: at the deadline there is a verdict, or a step towards one that the API server refused.
    for given in [
        Given::new("Running"),
        Given::new("Running").canary("r0", false),
        Given::new("Running").canary("r1", false),
        Given::new("Running").canary("r1", true).starting("a probe fails"),
        Given::new("Running").canary("r1", true).ready(),
        Given::new("Running").canary("r1", false).ready(),
        Given::new("Running").canary("r1", true).ready().judged(Judgement::Unavailable("nonsense".to_owned())),
    ] {
        let plan = given.old().plan();
        assert!(plan.starts_with("Write { phase: Inconclusive"), "{plan}");
    }
}

#[test]
fn what_nobody_can_try_is_held_no_longer() {
    for phase in ["Running", "Rejected"] {
        let unreadable = Given { held: Some(OnTrial::Unreadable), ..Given::new(phase).canary("r1", true) };
        assert!(unreadable.plan().starts_with("Write { phase: Superseded"), "{phase}");
    }
    insta::assert_snapshot!(Given { held: Some(OnTrial::Unreadable), ..Given::new("Held") }.plan(), @r#"
    Write { phase: Superseded, message: Some("the held template can't be read back, and is dropped: apply it again to try it") }
    look again: Some(1s)
    "#);
    insta::assert_snapshot!(Given { held: Some(OnTrial::Nothing), ..Given::new("Superseded").canary("r1", true) }.plan(), @r#"
    CanarySuperseded error rate 100%; template kept out
    Delete { uid: "canary-uid", with_pods: false }
    Condition { phase: Superseded, message: "error rate 100%; template kept out" }
    CleanReplicaSets
    Release
    look again: None
    "#);
}

#[test]
fn a_canary_that_something_keeps_changing_is_given_up() {
    let changed = |remade: Option<&str>| {
        let mut given = Given::new("Running").canary("r1", true).ready();
        let metadata = &mut given.namesake.as_mut().unwrap()["metadata"];
        metadata["annotations"]["deployment.kubernetes.io/revision"] = json!("2");
        metadata["managedFields"] =
            json!([{"manager": "Reloader", "time": "2026-01-01T00:00:07Z", "fieldsV1": {"f:spec": {"f:template": {}}}}]);
        if let Some(remade) = remade {
            given.primary["metadata"]["annotations"]["canary.state/remade"] = json!(remade);
        }
        given
    };
    insta::assert_snapshot!(changed(None).plan(), @r#"
    CanaryChanged app-canary was changed by "Reloader", and no longer runs the held template alone; starting over
    CountRemade("r1 1")
    Delete { uid: "canary-uid", with_pods: false }
    look again: Some(1s)
    "#);
    assert!(changed(Some("r1 2")).plan().contains("CountRemade(\"r1 3\")"));
    assert!(changed(Some("r0 3")).plan().contains("CountRemade(\"r1 1\")"), "of an earlier run");
    insta::assert_snapshot!(changed(Some("r1 3")).plan(), @r#"
    Write { phase: Inconclusive, message: Some("app-canary was changed 4 times, last by \"Reloader\", so the held template was never tried alone; keep others off it; template kept out") }
    look again: Some(1s)
    "#);
}

#[test]
fn a_run_that_a_clock_months_ahead_began_begins_now() {
    let mut given = Given::new("Running");
    given.primary["metadata"]["annotations"]["canary.state/since"] = json!("2026-06-01T00:00:00Z");
    insta::assert_snapshot!(given.plan(), @"
    Write { phase: Running, message: None }
    look again: Some(1s)
    ");
}

#[test]
fn an_abandoned_canary_makes_room() {
    let mut given = Given::new("Running").canary("r0", true);
    given.namesake.as_mut().unwrap()["metadata"].as_object_mut().unwrap().remove("ownerReferences");
    insta::assert_snapshot!(given.plan(), @r#"
    Delete { uid: "canary-uid", with_pods: false }
    look again: Some(1s)
    "#);
    let mut given = Given::new("Running").canary("r0", true);
    given.namesake.as_mut().unwrap()["metadata"]["ownerReferences"][0]["uid"] = json!("of the one before");
    insta::assert_snapshot!(given.plan(), @r#"
    Delete { uid: "canary-uid", with_pods: false }
    look again: Some(1s)
    "#);
}

#[test]
fn what_the_api_server_refuses_is_told_in_its_words() {
    let write = || Action::Write { phase: Phase::Running, message: None };
    let promote = || Action::Promote { message: "error rate 0%".to_owned() };
    let given = || Given::new("Running").canary("r1", true).ready();
    insta::assert_snapshot!(Given::new("Running").refused(Action::Create(Value::Null)).plan(), @r#"
    CanaryCreateRefused the canary can't be created: admission webhook "digests" denied the request:  no; trying until the deadline (10m)
    look again: Some(5s)
    "#);
    insta::assert_snapshot!(given().refused(promote()).plan(), @r#"
    CanaryPromotionRefused the template can't be promoted: admission webhook "digests" denied the request:  no; trying until the deadline (10m)
    look again: Some(5s)
    "#);
    insta::assert_snapshot!(given().old().refused(promote()).plan(), @r#"
    Write { phase: Inconclusive, message: Some("proved itself, but can't be promoted: admission webhook \"digests\" denied the request:  no; template kept out") }
    look again: Some(1s)
    "#);
    insta::assert_snapshot!(given().refused(Action::Delete { uid: "u".to_owned(), with_pods: false }).plan(), @r#"
    CanaryDeleteRefused app-canary can't be deleted: admission webhook "digests" denied the request:  no; trying again
    look again: Some(5s)
    "#);
    insta::assert_snapshot!(Given::new("Held").refused(write()).plan(), @r#"
    CanaryWriteRefused the Deployment can't be written to: admission webhook "digests" denied the request:  no; writing to its status
    WriteAside { phase: Running, message: None }
    look again: Some(1s)
    "#);
    insta::assert_snapshot!(Given::new("Held").refused(Action::WriteAside { phase: Phase::Running, message: None }).plan(), @r#"
    CanaryWriteRefused the Deployment can't be written to: admission webhook "digests" denied the request:  no; trying again
    look again: Some(5s)
    "#);
    insta::assert_snapshot!(given().refused(Action::MarkReady { pod: "p".to_owned() }).plan(), @r#"
    CanaryWriteRefused the Deployment can't be written to: admission webhook "digests" denied the request:  no; trying again
    look again: Some(5s)
    "#);
}

#[test]
fn a_fault_of_our_own_ends_at_the_deadline_too() {
    let policy = Policy::default();
    let end = |given: Given| after_a_fault(&given.primary, &policy, now());
    assert_eq!(end(Given::new("Running")), None);
    assert_eq!(end(Given::new("Rejected").old()), None);
    insta::assert_snapshot!(format!("{:?}", end(Given::new("Running").old())), @r#"Some(Write { phase: Inconclusive, message: Some("a fault of Coalmine's own kept it from being judged; its log has the place; template kept out") })"#);
}

#[test]
fn verdicts() {
    let ready = || Given::new("Running").canary("r1", true).ready();
    insta::assert_snapshot!(ready().judged(Judgement::Reject("error rate 100%".to_owned())).plan(), @r#"
Write { phase: Rejected, message: Some("error rate 100%; template kept out") }
look again: Some(1s)
"#);
    insta::assert_snapshot!(ready().judged(Judgement::Promote("error rate 0%".to_owned())).plan(), @r#"
Promote { message: "error rate 0%; template promoted" }
look again: Some(1s)
"#);
    insta::assert_snapshot!(ready().judged(Judgement::Continue { look_again: Duration::from_secs(5), note: None }).plan(), @"look again: Some(5s)");
    insta::assert_snapshot!(ready().judged(Judgement::Unavailable("connection refused".to_owned())).plan(), @r"
CanaryMetricsUnavailable metrics can't be read: connection refused; nothing is promoted or rejected for it
look again: Some(2s)
");
    insta::assert_snapshot!(ready().old().judged(Judgement::Unavailable("connection refused".to_owned())).plan(), @r#"
Write { phase: Inconclusive, message: Some("no answer from the metrics until the deadline: connection refused; template kept out") }
look again: Some(1s)
"#);
    let few = |clean| Judgement::Inconclusive { message: "0 of 3 requests failed".to_owned(), clean };
    insta::assert_snapshot!(ready().judged(few(true)).plan(), @r#"
Write { phase: Inconclusive, message: Some("0 of 3 requests failed; template kept out") }
look again: Some(1s)
"#);
    for (clean, expected) in [(true, "Promote"), (false, "Inconclusive")] {
        let mut given = ready().judged(few(clean));
        given.policy = &[("canary.on-inconclusive", "promote")];
        assert!(given.plan().contains(expected));
    }
}

#[test]
fn after_the_verdict() {
    insta::assert_snapshot!(Given::new("Rejected").canary("r1", true).plan(), @r#"
CanaryRejected error rate 100%; template kept out
Delete { uid: "canary-uid", with_pods: false }
Release
look again: None
"#);
    insta::assert_snapshot!(Given::new("Rejected").plan(), @r#"
CanaryRejected error rate 100%; template kept out
Release
look again: None
"#);
    insta::assert_snapshot!(Given::new("Withdrawn").canary("r1", true).plan(), @r#"
CanaryWithdrawn error rate 100%; template kept out
Delete { uid: "canary-uid", with_pods: false }
Condition { phase: Withdrawn, message: "error rate 100%; template kept out" }
CleanReplicaSets
Release
look again: None
"#);
    insta::assert_snapshot!(Given::new("Promoted").canary("r1", true).plan(), @r#"
CanaryPromoted error rate 100%; template kept out
Condition { phase: Promoted, message: "error rate 100%; template kept out" }
Delete { uid: "canary-uid", with_pods: false }
look again: Some(1s)
"#);
    insta::assert_snapshot!(Given::new("Promoted").plan(), @r"
CanaryRolledOut the primary runs the promoted template on all replicas
CleanReplicaSets
Release
look again: None
");
    let mut rolling = Given::new("Promoted");
    rolling.primary["status"]["updatedReplicas"] = json!(1);
    insta::assert_snapshot!(rolling.plan(), @"look again: Some(10s)");
    let mut failed = Given::new("Promoted");
    failed.primary["status"]["conditions"] =
        json!([{"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "it has timed out"}]);
    insta::assert_snapshot!(failed.plan(), @r"
CanaryRolloutFailed the promoted template does not roll out: it has timed out; go back with `kubectl rollout undo deploy/app`
CleanReplicaSets
Release
look again: None
");
}

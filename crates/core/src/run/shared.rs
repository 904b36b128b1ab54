//! Trouble that a canary's pod shares with the primary's: a store that is gone makes the probes of all fail, whatever their template. It
//! rejects nobody. Compares pods; what follows is `run::plan`'s to say.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::pods::{Trouble, is_lost, is_ready, latest_ending};
use crate::manifest::{conditions, references};
use crate::{api::annotations::RUN_LABEL, manifest::object};

/// How many of the primary's pods are in the same trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shared {
    pub troubled: usize,
    pub of: usize,
}

/// Containers that end for one cause don't end at one moment: probes fail one after the other.
const TOGETHER: Duration = Duration::from_mins(2);
/// What kubelet assumes of a probe that doesn't say.
const PERIOD: u64 = 10;
const FAILURES: u64 = 3;
const TIMEOUT: u64 = 1;
/// Kubelet, and the news of it, take their time too.
const NEWS: u64 = 2;
const LONGEST_GRACE: u64 = 60;

/// `None` where the canary is alone with it: fewer than half of the primary's pods share it.
pub fn with(trouble: Trouble, primary: &Value, pods: &[Value]) -> Option<Shared> {
    let own: Vec<&Value> = pods.iter().filter(|pod| is_of(pod, object::name(primary)) && !is_lost(pod)).collect();
    let shares = |pod: &&&Value| match trouble {
        Trouble::Own | Trouble::NeverRan => false,
        Trouble::Unready => !is_ready(pod),
        Trouble::Ended { at, tries, .. } => {
            let is_at_once = at.is_some_and(|at| latest_ending(pod).is_some_and(|ended| ended + TOGETHER >= at));
            !is_ready(pod) || is_at_once || tries.are_those_of(pod)
        }
    };
    let troubled = own.iter().filter(shares).count();
    (troubled > 0 && troubled * 2 >= own.len()).then_some(Shared { troubled, of: own.len() })
}

/// Whether a pod is of a ReplicaSet of this Deployment, and not of a canary: the set's name is the Deployment's with a hash behind it, and a hash has
/// no dash.
pub fn is_of(pod: &Value, deployment: &str) -> bool {
    object::label(pod, RUN_LABEL).is_none()
        && references::of(pod).iter().any(|owner| {
            let hash = references::text(owner, "name").strip_prefix(deployment).and_then(|rest| rest.strip_prefix('-'));
            references::text(owner, "kind") == "ReplicaSet" && hash.is_some_and(|hash| !hash.is_empty() && !hash.contains('-'))
        })
}

/// How long the primary's pods may take to show that they are in the same trouble: as long as their probes take to fail. A container that
/// ended by itself is judged at once.
pub fn grace(trouble: Trouble, template: &Value) -> Duration {
    let probe = match trouble {
        Trouble::Unready => "readinessProbe",
        Trouble::Ended { perhaps_by_a_probe: true, .. } => "livenessProbe",
        Trouble::Ended { .. } | Trouble::Own | Trouble::NeverRan => return Duration::ZERO,
    };
    let containers = template.pointer("/spec/containers").and_then(Value::as_array).into_iter().flatten();
    let fails_after = containers.filter_map(|container| container.get(probe).filter(|probe| probe.is_object())).map(|probe| {
        let number = |name: &str, default: u64| probe.get(name).and_then(Value::as_u64).unwrap_or(default);
        number("periodSeconds", PERIOD)
            .saturating_mul(number("failureThreshold", FAILURES))
            .saturating_add(number("timeoutSeconds", TIMEOUT))
    });
    fails_after.max().map_or(Duration::ZERO, |seconds| Duration::from_secs(seconds.saturating_add(NEWS).min(LONGEST_GRACE)))
}

/// Since when a canary is in trouble that nobody shares. Losing it costs the grace again.
#[derive(Debug, Default)]
pub struct Alone {
    since: Option<Timestamp>,
}

impl Alone {
    /// What is seen now, and for how long it has been so.
    pub fn see(&mut self, alone: bool, now: Timestamp) -> Duration {
        if !alone {
            self.since = None;
            return Duration::ZERO;
        }
        super::times::elapsed(*self.since.get_or_insert(now), now)
    }
}

/// Whether none of the primary's pods was ever available, so that there is nothing to protect: its condition `Available` is false, and has
/// been since the Deployment came to be. One that is Ready gets requests, however long it must be so to count as available (`minReadySeconds`).
pub fn never_served(primary: &Value) -> bool {
    let time = |value: Option<&Value>| value.and_then(Value::as_str).and_then(|text| text.parse::<Timestamp>().ok());
    let never_since = conditions::find(primary, "Available")
        .filter(|condition| conditions::text(condition, "status") == "False")
        .and_then(|condition| time(condition.get("lastTransitionTime")));
    let has_none = |count: &str| primary.pointer(count).and_then(Value::as_i64).unwrap_or_default() == 0;
    let none_now = has_none("/status/availableReplicas") && has_none("/status/readyReplicas");
    let made = time(primary.pointer("/metadata/creationTimestamp"));
    none_now && made.zip(never_since).is_some_and(|(made, since)| super::times::elapsed(made, since) <= FIRST_LOOK)
}

/// The Deployment controller writes its first status soon after the Deployment.
const FIRST_LOOK: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::pods::Tries;
    use rstest::rstest;
    use serde_json::json;

    fn primary() -> Value {
        json!({"metadata": {"name": "app"}})
    }

    fn pod(set: &str, status: Value) -> Value {
        json!({"metadata": {"ownerReferences": [{"kind": "ReplicaSet", "name": set}]}, "status": status})
    }

    fn ready(ready: bool) -> Value {
        json!({"conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}]})
    }

    fn restarted(at: &str) -> Value {
        let mut status = ready(true);
        status["containerStatuses"] =
            json!([{"restartCount": 1, "lastState": {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": at}}}]);
        status
    }

    fn ended(at: &str) -> Trouble {
        Trouble::Ended { at: Some(at.parse().unwrap()), perhaps_by_a_probe: false, tries: Tries::default() }
    }

    #[rstest]
    #[case::all(&[false, false], Some((2, 2)))]
    #[case::half(&[false, true], Some((1, 2)))]
    #[case::one_of_three_is_ordinary(&[false, true, true], None)]
    #[case::none(&[true, true], None)]
    #[case::no_pods(&[], None)]
    fn readiness_is_shared_by_half(#[case] pods: &[bool], #[case] expected: Option<(usize, usize)>) {
        let pods: Vec<Value> = pods.iter().map(|is| pod("app-5d8f", ready(*is))).collect();
        assert_eq!(with(Trouble::Unready, &primary(), &pods).map(|shared| (shared.troubled, shared.of)), expected);
        assert_eq!(with(Trouble::Own, &primary(), &pods), None, "an image that is not there is nobody else's");
    }

    #[test]
    fn other_deployments_canaries_and_lost_pods_do_not_count() {
        let mut canary = pod("app-canary-5d8f", ready(false));
        canary["metadata"]["labels"] = json!({RUN_LABEL: "r"});
        let mut leaving = pod("app-5d8f", ready(false));
        leaving["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        let lost = pod("app-5d8f", json!({"phase": "Failed", "reason": "NodeShutdown"}));
        let others = [pod("app-web-5d8f", ready(false)), pod("other-5d8f", ready(false)), json!({"metadata": {"name": "bare"}})];
        let pods = [&[canary, leaving, lost, pod("app-5d8f", ready(true))], &others[..]].concat();
        assert_eq!(with(Trouble::Unready, &primary(), &pods), None);
    }

    #[test]
    fn endings_are_compared_by_their_time() {
        let pods = [pod("app-5d8f", restarted("2026-01-01T00:10:00Z")), pod("app-5d8f", ready(true))];
        assert_eq!(with(ended("2026-01-01T00:11:00Z"), &primary(), &pods), Some(Shared { troubled: 1, of: 2 }));
        assert_eq!(with(ended("2026-01-01T00:09:00Z"), &primary(), &pods), Some(Shared { troubled: 1, of: 2 }), "the primary's followed");
        assert_eq!(with(ended("2026-01-01T00:12:01Z"), &primary(), &pods), None, "that one is long over");
    }

    /// One that ended so often, so many seconds after its start, is compared with pods that run since yesterday.
    #[rstest]
    #[case::as_they_did((1, 8), (1, 12), true)]
    #[case::before_its_first_restart((0, 8), (1, 12), true)]
    #[case::oftener((2, 30), (1, 12), false)]
    #[case::they_ended_once_much_later((1, 8), (1, 3600), false)]
    #[case::much_later_than_they((1, 500), (3, 40), false)]
    #[case::they_never_did((1, 8), (0, 0), false)]
    fn pods_may_need_a_try_before_they_serve(#[case] own: (i64, i64), #[case] others: (i64, i64), #[case] expected: bool) {
        let at = |day: &str, seconds: i64| format!("2026-01-{day}T{:02}:{:02}:{:02}Z", seconds / 3600, seconds / 60 % 60, seconds % 60);
        let began = |day: &str, (times, after): (i64, i64)| {
            let mut status = restarted(&at(day, after));
            status["startTime"] = json!(at(day, 0));
            status["containerStatuses"][0]["restartCount"] = json!(times);
            if times == 0 && after == 0 {
                status["containerStatuses"][0]["lastState"] = json!({});
            }
            status
        };
        let canary = pod("app-canary-77f", began("02", own));
        let ended = Trouble::Ended { at: at("02", own.1).parse().ok(), perhaps_by_a_probe: false, tries: Tries::of(&canary) };
        let pods = [pod("app-5d8f", began("01", others)), pod("app-5d8f", began("01", others)), pod("app-5d8f", ready(true))];
        assert_eq!(with(ended, &primary(), &pods), expected.then_some(Shared { troubled: 2, of: 3 }));
    }

    /// It waits for a store, and ends where that isn't there yet: so often, so many seconds after its pod's start.
    #[rstest]
    #[case::as_theirs_did((2, 35), (3, 50), true, true)]
    #[case::oftener((4, 80), (1, 12), true, false)]
    #[case::theirs_never_did((2, 35), (0, 2), true, false)]
    #[case::the_store_is_gone((2, 35), (0, 2), false, true)]
    fn an_init_container_may_need_some_tries(
        #[values("", "Always")] policy: &str,
        #[case] own: (i64, i64),
        #[case] others: (i64, i64),
        #[case] are_ready: bool,
        #[case] expected: bool,
    ) {
        let at = |day: &str, seconds: i64| format!("2026-01-{day}T00:{:02}:{:02}Z", seconds / 60, seconds % 60);
        let began = |day: &str, (times, after): (i64, i64), state: &str, is_ready: bool| {
            let mut status = ready(is_ready);
            let mut wait = json!({"name": "wait", "restartCount": times});
            let ended = json!({"exitCode": i64::from(state == "waiting"), "finishedAt": at(day, after)});
            if state == "waiting" {
                wait["state"] = json!({"waiting": {"reason": "CrashLoopBackOff"}});
                wait["lastState"] = json!({"terminated": ended});
            } else {
                wait["state"] = json!({"terminated": ended});
            }
            status["initContainerStatuses"] = json!([wait]);
            status["startTime"] = json!(at(day, 0));
            status
        };
        let mut canary = pod("app-canary-77f", began("02", own, "waiting", false));
        canary["metadata"]["labels"] = json!({RUN_LABEL: "r"});
        canary["spec"] = json!({"initContainers": [{"name": "wait", "restartPolicy": policy}]});
        let health = crate::run::pods::health(&[canary], &json!({}), "r", crate::run::pods::Known::default());
        let crate::run::pods::Health::Failed { trouble, .. } = health else { panic!("{health:?}") };
        let pods =
            [pod("app-5d8f", began("01", others, "terminated", are_ready)), pod("app-5d8f", began("01", others, "terminated", are_ready))];
        assert_eq!(with(trouble, &primary(), &pods), expected.then_some(Shared { troubled: 2, of: 2 }));
        assert_eq!(grace(trouble, &json!({})), Duration::ZERO);
    }

    #[test]
    fn the_primary_s_probes_may_take_as_long_to_fail() {
        let template = json!({"spec": {"containers": [
            {"readinessProbe": {"periodSeconds": 1, "timeoutSeconds": 5}, "livenessProbe": {}},
            {"readinessProbe": {"failureThreshold": 1}}, {}]}});
        let liveness = Trouble::Ended { at: None, perhaps_by_a_probe: true, tries: Tries::default() };
        assert_eq!(grace(Trouble::Unready, &template), Duration::from_secs(13));
        assert_eq!(grace(liveness, &template), Duration::from_secs(33));
        assert_eq!(grace(liveness, &json!({})), Duration::ZERO);
        assert_eq!(grace(ended("2026-01-01T00:00:00Z"), &template), Duration::ZERO);
        let slow = json!({"spec": {"containers": [{"readinessProbe": {"periodSeconds": 600}}]}});
        assert_eq!(grace(Trouble::Unready, &slow), Duration::from_secs(60));
    }

    #[test]
    fn alone_begins_anew_when_it_was_shared_meanwhile() {
        let at = |seconds: i64| Timestamp::from_second(1_800_000_000 + seconds).unwrap();
        let mut alone = Alone::default();
        assert_eq!(alone.see(true, at(0)), Duration::ZERO);
        assert_eq!(alone.see(true, at(5)), Duration::from_secs(5));
        assert_eq!(alone.see(false, at(6)), Duration::ZERO);
        assert_eq!(alone.see(true, at(60)), Duration::ZERO);
    }

    #[rstest]
    #[case::never("False", "2026-01-01T00:00:03Z", (0, 0), true)]
    #[case::an_outage("False", "2026-01-01T08:00:00Z", (0, 0), false)]
    #[case::serving("True", "2026-01-01T00:00:03Z", (2, 2), false)]
    #[case::some_serve("False", "2026-01-01T00:00:03Z", (1, 1), false)]
    #[case::ready_and_too_young_to_be_available("False", "2026-01-01T00:00:03Z", (2, 0), false)]
    fn a_primary_that_never_served(
        #[case] status: &str,
        #[case] since: &str,
        #[case] (ready, available): (i64, i64),
        #[case] expected: bool,
    ) {
        let primary = json!({"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}, "status": {"readyReplicas": ready, "availableReplicas": available,
            "conditions": [{"type": "Available", "status": status, "lastTransitionTime": since}]}});
        assert_eq!(never_served(&primary), expected);
        assert!(!never_served(&json!({})), "nothing is known");
    }
}

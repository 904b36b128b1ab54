//! A namespace for one test, the Deployment `app` in it, and what can be seen of its canary. It decides nothing.

use std::{
    process::Child,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use coalmine_core::{
    api::annotations::{self as key, Phase, ROLE_CANARY, ROLE_LABEL},
    manifest::object,
};
use serde_json::{Value, json};

use super::app::{App, service};
use crate::support::{
    control_plane::{As, ControlPlane, api_server},
    kubectl::{Apply::ClientSide, Kubectl, Output},
    within,
};

/// For everything that takes pods to start or to end.
pub(crate) const PATIENCE: Duration = Duration::from_secs(150);
const PAUSE: Duration = Duration::from_millis(100);

pub(crate) struct Stage {
    pub(crate) name: String,
    pub(crate) control_plane: &'static ControlPlane,
    pub(crate) kubectl: Kubectl,
}

/// A pod of the primary's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pod {
    pub(crate) name: String,
    pub(crate) restarts: i64,
}

/// `kubectl rollout status`, running beside the test as in a pipeline.
#[derive(Debug)]
pub(crate) struct RolloutStatus(Child);

impl RolloutStatus {
    /// Its exit code and its last line.
    pub(crate) fn ended(self) -> (i32, String) {
        let output = self.0.wait_with_output().expect("kubectl ends");
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.code().unwrap_or(-1), said.lines().last().unwrap_or_default().to_owned())
    }
}

impl Stage {
    /// With version 1 live and the canary of version 2 taking traffic.
    pub(crate) fn on_trial() -> Self {
        let stage = Self::with(&App::good("1"));
        stage.apply(&App::good("2"));
        stage.await_canary_ready();
        stage
    }

    /// With this version live and whole.
    pub(crate) fn with(app: &App) -> Self {
        let stage = Self::without_app();
        stage.apply(app);
        stage.rollout_status().succeeded();
        stage
    }

    /// With the Service alone.
    pub(crate) fn without_app() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let control_plane = api_server();
        let name = format!("c{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        control_plane.post("/api/v1/namespaces", &namespace).expect("a namespace");
        let kubectl = Kubectl::of(control_plane).in_namespace(&name);
        let stage = Self { name, control_plane, kubectl };
        stage.kubectl.apply(ClientSide, &service()).succeeded();
        stage
    }

    /// `kubectl apply`, which must succeed.
    #[track_caller]
    pub(crate) fn apply(&self, app: &App) -> Output {
        self.kubectl.apply(ClientSide, &app.manifest()).succeeded()
    }

    /// `kubectl rollout status` to its end.
    pub(crate) fn rollout_status(&self) -> Output {
        self.kubectl.run(&["rollout", "status", "deployment/app", "--timeout=150s"])
    }

    /// The same, beside the test.
    pub(crate) fn start_rollout_status(&self) -> RolloutStatus {
        RolloutStatus(self.kubectl.command(&["rollout", "status", "deployment/app", "--timeout=300s"]).spawn().expect("kubectl starts"))
    }

    pub(crate) fn deployment(&self, name: &str) -> Option<Value> {
        self.control_plane.find(&format!("/apis/apps/v1/namespaces/{}/deployments/{name}", self.name))
    }

    #[track_caller]
    pub(crate) fn app(&self) -> Value {
        self.deployment("app").expect("the Deployment app")
    }

    pub(crate) fn phase(&self) -> Option<Phase> {
        object::phase(object::annotations(&self.app()))
    }

    /// The sentence of the verdict.
    pub(crate) fn message(&self) -> String {
        object::annotation(&self.app(), key::MESSAGE).unwrap_or_default().to_owned()
    }

    /// The version in the Deployment's template.
    pub(crate) fn live(&self) -> String {
        let app = self.app();
        let variables = app.pointer("/spec/template/spec/containers/0/env").and_then(Value::as_array).cloned().unwrap_or_default();
        let version = variables.iter().find(|variable| variable["name"] == "VERSION").map(|variable| &variable["value"]);
        version.and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    #[track_caller]
    pub(crate) fn await_phase(&self, phase: Phase) {
        within(PATIENCE, PAUSE, &format!("the phase {phase:?}"), || match self.phase() {
            Some(seen) if seen == phase => Ok(()),
            seen => Err(format!("{seen:?}: {}; {:?}", self.message(), self.events())),
        });
    }

    /// Waits for a verdict, whichever it is.
    #[track_caller]
    pub(crate) fn await_verdict(&self) -> (Phase, String) {
        within(PATIENCE, PAUSE, "a verdict", || match self.phase() {
            Some(phase) if !phase.is_trying() => Ok((phase, self.message())),
            seen => Err(format!("{seen:?}; {:?}", self.events())),
        })
    }

    /// Reasons and notes of the Deployment's Events about its canaries, oldest first.
    pub(crate) fn events(&self) -> Vec<(String, String)> {
        let path = format!("/apis/events.k8s.io/v1/namespaces/{}/events?fieldSelector=regarding.name=app", self.name);
        let mut events = self.control_plane.get(&path)["items"].as_array().cloned().unwrap_or_default();
        events.sort_by_key(|event| event["eventTime"].as_str().unwrap_or_default().to_owned());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let events = events.iter().map(|event| (text(&event["reason"]), text(&event["note"])));
        events.filter(|(reason, _)| reason.starts_with("Canary")).collect()
    }

    pub(crate) fn reasons(&self) -> Vec<String> {
        self.events().into_iter().map(|(reason, _)| reason).collect()
    }

    /// The same without waiting, which is said when Prometheus has not scraped the pods yet: a matter of moments.
    pub(crate) fn steps(&self) -> Vec<String> {
        let waits = ["CanaryWaiting", "CanaryMetricsUnavailable"];
        self.reasons().into_iter().filter(|reason| !waits.contains(&reason.as_str())).collect()
    }

    /// The note of the first Event of this reason.
    #[track_caller]
    pub(crate) fn await_event(&self, reason: &str) -> String {
        within(PATIENCE, PAUSE, &format!("the Event {reason}"), || {
            let events = self.events();
            events.iter().find(|(seen, _)| seen == reason).map(|(_, note)| note.clone()).ok_or_else(|| format!("{events:?}"))
        })
    }

    fn pods(&self, selector: &str) -> Vec<Value> {
        let path = format!("/api/v1/namespaces/{}/pods?labelSelector={selector}", self.name);
        self.control_plane.get(&path)["items"].as_array().cloned().unwrap_or_default()
    }

    /// The names of the canary's pods that are not on their way out.
    pub(crate) fn canary_pods(&self) -> Vec<String> {
        let pods = self.pods(&format!("{ROLE_LABEL}%3D{ROLE_CANARY}"));
        pods.iter().filter(|pod| !object::is_being_deleted(pod)).map(|pod| object::name(pod).to_owned()).collect()
    }

    /// Waits until the canary's pod is Ready.
    #[track_caller]
    pub(crate) fn await_canary_ready(&self) {
        let condition = |pod: &Value| {
            let conditions = pod.pointer("/status/conditions").and_then(Value::as_array).cloned().unwrap_or_default();
            conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
        };
        within(PATIENCE, PAUSE, "the canary's pod to be Ready", || {
            let pods = self.pods(&format!("{ROLE_LABEL}%3D{ROLE_CANARY}"));
            if pods.iter().any(condition) { Ok(()) } else { Err(format!("{:?}", self.events())) }
        });
    }

    /// Waits until neither the canary's Deployment nor a pod of it is left.
    #[track_caller]
    pub(crate) fn await_no_canary(&self) {
        within(PATIENCE, PAUSE, "the canary to be gone", || {
            let pods = self.pods(&format!("{ROLE_LABEL}%3D{ROLE_CANARY}")).len();
            let deployment = self.deployment("app-canary").is_some();
            if pods == 0 && !deployment { Ok(()) } else { Err(format!("{pods} pods; Deployment: {deployment}")) }
        });
    }

    /// Waits until Prometheus has counted each pod of the primary's three times since it serves: before that, little is known of its rate of
    /// errors, and a verdict can't name it. And Prometheus learns of a new pod the later, the more pods have just changed, up to 7.5 s:
    /// `sender` in <https://github.com/prometheus/prometheus/blob/v0.315.0/discovery/manager.go>.
    #[track_caller]
    pub(crate) fn await_counted(&self) {
        // count by (pod) (count_over_time(http_requests_total{namespace="..."}[5m]) >= 3)
        let query = format!(
            "count%20by%20(pod)%20(count_over_time(http_requests_total%7Bnamespace%3D%22{}%22%7D%5B5m%5D)%20%3E%3D%203)",
            self.name
        );
        let path = format!("/api/v1/namespaces/monitoring/services/prometheus:9090/proxy/api/v1/query?query={query}");
        let pods = self.primary_pods().len();
        within(PATIENCE, PAUSE, "the primary's requests to be counted", || {
            let answer = self.control_plane.find(&path).unwrap_or_default();
            let counted = answer.pointer("/data/result").and_then(Value::as_array).map_or(0, Vec::len);
            if counted >= pods { Ok(()) } else { Err(format!("{counted} of {pods} pods: {answer}")) }
        });
    }

    /// The primary's pods that are not on their way out.
    pub(crate) fn primary_pods(&self) -> Vec<Pod> {
        let pods = self.pods(&format!("app%3Dapp,{ROLE_LABEL}!%3D{ROLE_CANARY}"));
        let living = pods.iter().filter(|pod| !object::is_being_deleted(pod));
        let restarts = |pod: &Value| pod.pointer("/status/containerStatuses/0/restartCount").and_then(Value::as_i64).unwrap_or_default();
        let mut pods: Vec<Pod> = living.map(|pod| Pod { name: object::name(pod).to_owned(), restarts: restarts(pod) }).collect();
        pods.sort();
        pods
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // A failed test leaves its objects for a look at them, but not its load.
        let what = if std::thread::panicking() { "/pods/client" } else { "" };
        let path = format!("/api/v1/namespaces/{}{what}", self.name);
        let _ = self.control_plane.send(As::Administrator, "DELETE", &path, "", &Value::Null);
    }
}

/// Numbers differ from run to run: each becomes an N, so that the words can be compared.
pub(crate) fn without_numbers(text: &str) -> String {
    let mut result = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if !character.is_ascii_digit() {
            result.push(character);
            continue;
        }
        while characters.next_if(|next| next.is_ascii_digit() || matches!(next, '.' | ',')).is_some() {}
        result.push('N');
    }
    result
}

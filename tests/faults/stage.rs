//! All that a schedule is played on: two replicas, a Prometheus, a stand-in for the kubelet, and the API server, each with its faults.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use coalmine_core::{
    api::annotations::{ACTIVE_LABEL, Phase, UNSENT},
    manifest::object,
    run::history,
};
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{
    gateway::{Gateway, Way},
    kubelet,
    replicas::Replica,
    schedule::{Fault, Schedule, What},
    sink::Sink,
    source::Source,
    users::{DEADLINE, User},
    watching::{self, is_green, told},
    world::{Name, World},
};
use crate::support::{
    coalmine::{NAMESPACE_LABEL, await_registration, install, register},
    control_plane::{ControlPlane, variable},
    eventually,
    kubectl::Kubectl,
    signal,
};

const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/coalmine/leases/coalmine";
/// For what a takeover, a machine that does other things, and the controllers of Kubernetes take.
const BEYOND_THE_DEADLINE: Duration = Duration::from_secs(40);
const GARBAGE: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[{\"metric\":{\"pod\":7},\"values\":[[1";
const NOTHING: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 63\r\nConnection: close\r\n\r\n{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[]}}";

pub(super) struct Stage {
    control_plane: &'static ControlPlane,
    world: Arc<World>,
    replicas: Vec<Replica>,
    /// Before the replicas' webhooks.
    service: Gateway,
    source: Source,
    /// Who is told of verdicts.
    pub(super) sink: Sink,
    /// Brings back what of the control plane was killed.
    repair: Option<Child>,
}

/// What came of one schedule.
pub(super) struct Outcome {
    pub(super) violations: Vec<String>,
    pub(super) phases: Vec<String>,
}

impl Stage {
    pub(super) fn new(control_plane: &'static ControlPlane) -> Self {
        let world = Arc::<World>::default();
        let kubectl = Kubectl::of(control_plane);
        install(control_plane, &kubectl);
        let server = kubectl.run(&["config", "view", "--raw", "-o=jsonpath={.clusters[0].cluster.server}"]).succeeded().stdout;
        let api_server: SocketAddr = server.trim_start_matches("https://").parse().expect("an address");
        let names = ["replica-1", "replica-2"];
        let sink = Sink::start(control_plane);
        let replica = |name: &&str| Replica::new(control_plane, &kubectl, name, api_server, sink.file.clone());
        let replicas: Vec<Replica> = names.iter().map(replica).collect();
        let webhooks = replicas.iter().map(|replica| SocketAddr::from(([127, 0, 0, 1], replica.webhook_port))).collect();
        let service = Gateway::new(control_plane, webhooks);
        register(control_plane, "zz-coalmine", service.port, &json!({"key": NAMESPACE_LABEL, "operator": "DoesNotExist"}));
        let source = Source::start(control_plane, &world);
        let mut stage = Self { control_plane, world, replicas, service, source, sink, repair: None };
        for replica in &mut stage.replicas {
            replica.start(&stage.service, &stage.source.gateway);
        }
        for replica in &stage.replicas {
            eventually("a replica to be ready", || replica.readiness());
        }
        await_registration(control_plane);
        kubelet::run(control_plane, Arc::clone(&stage.world));
        watching::run(control_plane, Arc::clone(&stage.world));
        stage
    }

    pub(super) fn logs(&self) -> Vec<PathBuf> {
        self.replicas.iter().map(|replica| replica.log.clone()).collect()
    }

    pub(super) fn world(&self) -> Arc<World> {
        Arc::clone(&self.world)
    }

    /// Whose name it has.
    pub(super) fn kill_the_leader(&mut self) -> String {
        let lease = self.control_plane.attempt("GET", LEASE, "", &Value::Null).expect("a lease");
        let leader = lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned();
        let replica = self.replicas.iter_mut().find(|replica| replica.name == leader);
        replica.unwrap_or_else(|| panic!("{leader} is no replica")).kill();
        leader
    }

    pub(super) fn play(&mut self, schedule: &Schedule) -> Outcome {
        static PLAYED: AtomicU32 = AtomicU32::new(0);
        let played = PLAYED.fetch_add(1, Ordering::Relaxed);
        self.world.clear();
        let world = Arc::clone(&self.world);
        let name = |number| format!("s{}-{played}-user-{number}", schedule.seed);
        let mut users: Vec<User<'_>> =
            (0..schedule.users).map(|number| User::new(self.control_plane, &world, &name(number), number)).collect();
        std::thread::scope(|scope| users.iter_mut().for_each(|user| drop(scope.spawn(|| user.begin()))));
        for user in &users {
            eventually("the first template to be available", || user.is_available());
        }
        let (began, calm) = (Instant::now(), AtomicBool::new(false));
        std::thread::scope(|scope| {
            for (number, user) in users.iter_mut().enumerate() {
                let (schedule, calm) = (&schedule, &calm);
                scope.spawn(move || {
                    for event in &schedule.events {
                        if let What::Request { user: whose, request } = &event.what
                            && *whose == number
                        {
                            std::thread::sleep((began + event.at).saturating_duration_since(Instant::now()));
                            user.send(request, calm);
                        }
                    }
                });
            }
            self.meet_faults(schedule, began);
            self.end_all();
            calm.store(true, Ordering::Relaxed);
        });
        self.await_the_end(&users);
        for user in &users {
            user.leave();
        }
        let phases = world.accounts(|(_, account)| std::mem::take(&mut account.phases)).concat();
        Outcome { violations: world.violations(), phases }
    }

    fn meet_faults(&mut self, schedule: &Schedule, began: Instant) {
        let mut changes: Vec<(Duration, Fault, bool)> = Vec::new();
        for event in &schedule.events {
            if let What::Fault { fault, lasts } = event.what {
                changes.extend([(event.at, fault, true), (event.at + lasts, fault, false)]);
            }
        }
        changes.sort_by_key(|(at, ..)| *at);
        for (at, fault, begins) in changes {
            std::thread::sleep((began + at).saturating_duration_since(Instant::now()));
            self.look_at_the_replicas();
            if begins { self.begin(fault) } else { self.end(fault) }
        }
    }

    fn begin(&mut self, fault: Fault) {
        match fault {
            Fault::Kill(number) => self.replicas[number].kill(),
            Fault::Restart(number) => {
                if let Err(violation) = self.replicas[number].end() {
                    self.world.violate(violation);
                }
            }
            Fault::Pause(number) => self.replicas[number].pause(),
            Fault::Cut(number) => self.replicas[number].reach_the_api_server(Way::Cut),
            Fault::Stall(number) => self.replicas[number].reach_the_api_server(Way::Stalled),
            Fault::Delay(number) => self.replicas[number].reach_the_api_server(Way::Delayed(Duration::from_millis(400))),
            Fault::SourceDown => self.source.gateway.set(Way::Cut),
            Fault::SourceStalls => self.source.gateway.set(Way::Stalled),
            Fault::SourceIsSlow => self.source.gateway.set(Way::Delayed(Duration::from_secs(1))),
            Fault::SourceTellsGarbage => self.source.gateway.set(Way::Answered(GARBAGE)),
            Fault::SourceKnowsNothing => self.source.gateway.set(Way::Answered(NOTHING)),
            Fault::PagesFail => self.source.pages_fail.store(true, Ordering::Relaxed),
            Fault::LeaseStolen => self.take_the_lease(),
            Fault::LeaseDeleted => drop(self.control_plane.attempt("DELETE", LEASE, "", &Value::Null)),
            Fault::ApiServer => self.kill_program("kube-apiserver"),
            Fault::Etcd => self.kill_program("etcd"),
        }
    }

    fn end(&mut self, fault: Fault) {
        match fault {
            Fault::Kill(number) | Fault::Restart(number) => self.replicas[number].start(&self.service, &self.source.gateway),
            Fault::Pause(number) => self.replicas[number].go_on(),
            Fault::Cut(number) | Fault::Stall(number) | Fault::Delay(number) => self.replicas[number].reach_the_api_server(Way::Open),
            Fault::SourceDown | Fault::SourceStalls | Fault::SourceIsSlow | Fault::SourceTellsGarbage | Fault::SourceKnowsNothing => {
                self.source.gateway.set(Way::Open);
            }
            Fault::PagesFail => self.source.pages_fail.store(false, Ordering::Relaxed),
            Fault::LeaseStolen | Fault::LeaseDeleted | Fault::ApiServer | Fault::Etcd => {}
        }
    }

    fn end_all(&mut self) {
        self.source.gateway.set(Way::Open);
        self.source.pages_fail.store(false, Ordering::Relaxed);
        for replica in &mut self.replicas {
            replica.reach_the_api_server(Way::Open);
            replica.go_on();
            replica.start(&self.service, &self.source.gateway);
        }
        if let Some(mut repair) = self.repair.take()
            && !repair.wait().is_ok_and(|repaired| repaired.success())
        {
            // Something was killed on the way: once more, with nothing that disturbs.
            let repaired = self.bring_back().wait();
            if !repaired.is_ok_and(|repaired| repaired.success()) {
                self.world.violate(format!("the control plane does not come back: see {}", self.repair_log().display()));
            }
        }
    }

    fn look_at_the_replicas(&mut self) {
        for replica in &mut self.replicas {
            if let Some(violation) = replica.fault_of_its_own() {
                self.world.violate(violation);
                replica.start(&self.service, &self.source.gateway);
            }
        }
    }

    fn take_the_lease(&self) {
        let thief = json!({"spec": {"holderIdentity": "thief", "leaseDurationSeconds": 6, "renewTime": "2026-01-01T00:00:00.000000Z"}});
        // It may be away, as the API server may.
        let _ = self.control_plane.attempt("PATCH", LEASE, "application/merge-patch+json", &thief);
    }

    /// Without asking; what started it brings it back.
    fn kill_program(&mut self, name: &str) {
        if self.repair.as_mut().is_some_and(|repair| !matches!(repair.try_wait(), Ok(Some(ended)) if ended.success())) {
            return;
        }
        let record = std::fs::read(directory().join("run").join(format!("{name}.json"))).expect("a record of the program");
        let record: Value = serde_json::from_slice(&record).expect("JSON");
        let pid = record["pid"].as_u64().and_then(|pid| pid.try_into().ok()).expect("a process");
        // Nobody else's process, whose id was this one's before.
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        assert!(String::from_utf8_lossy(&command).contains(&directory().display().to_string()), "{name} runs");
        signal(pid, Signal::KILL);
        // Its port is free when all of it is gone but for its name.
        eventually("a killed program to be gone", || match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) if !stat.contains(") Z ") => Err(stat),
            _ => Ok(()),
        });
        self.repair = Some(self.bring_back());
    }

    fn bring_back(&self) -> Child {
        let log = std::fs::File::options().create(true).append(true).open(self.repair_log()).expect("a log");
        Command::new(variable("COALMINE_XTASK"))
            .args(["cluster", "up", "--control-plane", "--kubernetes", &self.control_plane.version, "--name"])
            .arg(directory().file_name().expect("a name"))
            // Cargo's word for where this package is, which is not xtask's.
            .env_remove("CARGO_MANIFEST_DIR")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("xtask starts")
    }

    fn repair_log(&self) -> PathBuf {
        self.control_plane.directory.join("repair.log")
    }

    /// All runs end, nothing is left of them, and no wish is lost.
    fn await_the_end(&mut self, users: &[User<'_>]) {
        let ends = Instant::now() + DEADLINE + BEYOND_THE_DEADLINE;
        for user in users {
            loop {
                self.look_at_the_replicas();
                let Err(seen) = self.is_over(user) else { break };
                if Instant::now() > ends {
                    self.world.violate(format!(
                        "{}: not over {} s after the last fault: {seen}",
                        user.namespace,
                        (DEADLINE + BEYOND_THE_DEADLINE).as_secs()
                    ));
                    break;
                }
                std::thread::sleep(Duration::from_millis(300));
            }
            if let Err(untold) = self.all_was_told(user) {
                self.world.violate(format!("{}: {untold}", user.namespace));
            }
            if let Err(lost) = user.find_the_wish() {
                self.world.violate(format!("{}: {lost}", user.namespace));
            }
        }
    }

    /// Each verdict that the history knows was told, by an id of its own.
    fn all_was_told(&self, user: &User<'_>) -> Result<(), String> {
        let Some(app) = user.app() else { return Ok(()) };
        let told = self.sink.taken(&user.namespace);
        for phase in [Phase::Rejected, Phase::Inconclusive, Phase::Promoted] {
            let given = history::of(object::annotations(&app)).iter().filter(|entry| entry.phase == phase).count();
            let ids: BTreeSet<&str> =
                told.iter().filter(|letter| letter.phase == phase.as_str()).map(|letter| letter.id.as_str()).collect();
            if ids.len() < given {
                return Err(format!("{given} verdicts {}, of which {} were told: {ids:?}", phase.as_str(), ids.len()));
            }
        }
        Ok(())
    }

    fn is_over(&self, user: &User<'_>) -> Result<(), String> {
        let app = user.app().ok_or("no Deployment")?;
        let canaries = format!("/apis/apps/v1/namespaces/{}/deployments/app-canary", user.namespace);
        if self.control_plane.attempt("GET", &canaries, "", &Value::Null).is_ok() {
            return Err(format!("there is a canary; {}", told(&app)));
        }
        if let Some(unsent) = object::annotation(&app, UNSENT) {
            return Err(format!("not all was told: {unsent}"));
        }
        let phase = object::phase(object::annotations(&app));
        // What is scaled to zero waits.
        if object::replicas(&app) == 0 {
            return Ok(());
        }
        if phase.is_some_and(Phase::is_kept_out) {
            return Ok(());
        }
        // Pods that crash are never rolled out.
        let rolled_out = is_green(&app) || Name::of(object::template(&app)).crashes();
        if phase.is_some_and(Phase::is_trying) || !rolled_out {
            return Err(format!("{}; {}", told(&app), app["status"]));
        }
        if object::label(&app, ACTIVE_LABEL).is_some() && !Name::of(object::template(&app)).crashes() {
            return Err(format!("something is left to do; {}", told(&app)));
        }
        Ok(())
    }
}

/// Of the control plane.
fn directory() -> PathBuf {
    PathBuf::from(variable("KUBECONFIG")).parent().expect("a directory").to_path_buf()
}

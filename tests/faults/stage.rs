//! All that a schedule is played on: two replicas, a Prometheus, a stand-in for the kubelet, and the API server, each with its faults.

mod meddling;

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::PathBuf,
    process::Child,
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
use serde_json::{Value, json};

use super::{
    kubelet,
    replicas::Replica,
    schedule::{Schedule, What},
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
    gateway::{Gateway, api_server},
    kubectl::Kubectl,
};

/// For what a takeover, a machine that does other things, and the controllers of Kubernetes take.
const BEYOND_THE_DEADLINE: Duration = Duration::from_secs(40);

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
        let api_server = api_server(&kubectl);
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
        let lease = self.control_plane.attempt("GET", meddling::LEASE, "", &Value::Null).expect("a lease");
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

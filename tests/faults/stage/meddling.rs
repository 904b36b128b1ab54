//! What a schedule's faults do to the replicas, to their source, and to the API server, and how each is undone. Looks at no Deployment.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{Stage, directory};
use crate::faults::schedule::{Fault, Schedule, What};
use crate::support::{control_plane::variable, eventually, gateway::Way, signal};

pub(super) const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/coalmine/leases/coalmine";
const GARBAGE: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[{\"metric\":{\"pod\":7},\"values\":[[1";
const NOTHING: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 63\r\nConnection: close\r\n\r\n{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":[]}}";

impl Stage {
    pub(super) fn meet_faults(&mut self, schedule: &Schedule, began: Instant) {
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

    pub(super) fn begin(&mut self, fault: Fault) {
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

    pub(super) fn end_all(&mut self) {
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

    pub(super) fn look_at_the_replicas(&mut self) {
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
}

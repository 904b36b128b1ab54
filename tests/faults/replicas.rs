//! Coalmine's replicas: processes that lead, and can be killed, paused, and cut from the API server.

use std::{
    fs::File,
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::Signal;

use crate::support::{
    coalmine::{authority, free_ports, kubeconfig, page},
    control_plane::{ControlPlane, variable},
    gateway::{Gateway, Way},
    kubectl::Kubectl,
    signal,
};

pub(super) struct Replica {
    pub(super) name: String,
    /// `None` after it was ended, and only then.
    process: Option<Child>,
    paused: bool,
    kubeconfig: PathBuf,
    /// Of those who are told of verdicts.
    sinks: PathBuf,
    pub(super) log: PathBuf,
    /// To the API server.
    pub(super) gateway: Gateway,
    pub(super) webhook_port: u16,
    admin_port: u16,
}

impl Replica {
    pub(super) fn new(control_plane: &ControlPlane, kubectl: &Kubectl, name: &str, api_server: SocketAddr, sinks: PathBuf) -> Self {
        let gateway = Gateway::new(control_plane, vec![api_server]);
        let kubeconfig = kubeconfig(control_plane, kubectl, name, Some(&format!("https://127.0.0.1:{}", gateway.port)));
        let (webhook_port, admin_port) = free_ports();
        let log = control_plane.directory.join(format!("{name}.log"));
        Self { name: name.to_owned(), process: None, paused: false, kubeconfig, sinks, log, gateway, webhook_port, admin_port }
    }

    /// By the thread that lives as long as the test: the process ends with it.
    pub(super) fn start(&mut self, service: &Gateway, source: &Gateway) {
        if self.process.is_some() {
            return;
        }
        let log = File::options().create(true).append(true).open(&self.log).expect("a log");
        let process = Command::new("setpriv")
            .args(["--pdeathsig", "KILL"])
            .arg(variable("COALMINE_BIN"))
            .args(["--identity", &self.name, "--shutdown-delay", "0s", "--read-pages", "false"])
            .arg("--page-address=none")
            .arg(format!("--webhook-address=127.0.0.1:{}", self.webhook_port))
            .arg(format!("--webhook-url=https://127.0.0.1:{}", service.port))
            .arg(format!("--admin-address=127.0.0.1:{}", self.admin_port))
            .arg(format!("--prometheus-url=http://127.0.0.1:{}", source.port))
            .arg(format!("--notifications-file={}", self.sinks.display()))
            .arg("--notify-default=ledger")
            .arg(format!("--client-ca-file={}", authority().display()))
            .arg("--client-name=webhooks.kube-apiserver")
            .env("KUBECONFIG", &self.kubeconfig)
            .env("COALMINE_LOG", "coalmine=debug,info")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("the program starts");
        self.process = Some(process);
    }

    pub(super) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
        self.paused = false;
    }

    /// As the kubelet does it: asked first.
    pub(super) fn end(&mut self) -> Result<(), String> {
        self.go_on();
        let Some(mut process) = self.process.take() else { return Ok(()) };
        signal(process.id(), Signal::TERM);
        for _ in 0..400 {
            if let Ok(Some(_)) = process.try_wait() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = process.kill();
        let _ = process.wait();
        Err(format!("{} did not end within 20 s when it was asked to", self.name))
    }

    pub(super) fn pause(&mut self) {
        if let Some(process) = &self.process {
            signal(process.id(), Signal::STOP);
            self.paused = true;
        }
    }

    pub(super) fn go_on(&mut self) {
        if let Some(process) = self.process.as_ref().filter(|_| self.paused) {
            signal(process.id(), Signal::CONT);
        }
        self.paused = false;
    }

    pub(super) fn reach_the_api_server(&self, way: Way) {
        self.gateway.set(way);
    }

    pub(super) fn readiness(&self) -> Result<(), String> {
        match page(self.admin_port, "/readyz") {
            Ok((200, _)) => Ok(()),
            other => Err(format!("{}: {other:?}", self.name)),
        }
    }

    /// What it did by itself, which is nothing.
    pub(super) fn fault_of_its_own(&mut self) -> Option<String> {
        if let Some(Ok(Some(status))) = self.process.as_mut().map(Child::try_wait) {
            self.process = None;
            return Some(format!("{} ended by itself: {status}", self.name));
        }
        None
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.kill();
    }
}

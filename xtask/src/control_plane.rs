//! etcd, API server and controller-manager: all that a test of admission needs, and the base of the whole cluster.
//!
//! Several run side by side on loopback ports, each with its own directory. It knows nothing of nodes and pods.

mod named;

use std::{
    net::Ipv4Addr,
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::Result;
use serde::{Deserialize, Serialize};

pub(crate) use self::named::{TEMPORARY, down, down_abandoned, list, up, version_of};
use crate::{
    command::{self, write_private},
    pki::Pki,
    process::{Daemon, Processes},
    programs::Programs,
    progress::wait_for,
};

/// Where the servers listen.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Endpoints {
    pub(crate) address: Ipv4Addr,
    pub(crate) api: u16,
    pub(crate) etcd: u16,
    pub(crate) etcd_peer: u16,
}

/// The programs that serve one control plane.
#[derive(Debug)]
pub(crate) struct ControlPlane {
    pub(crate) directory: PathBuf,
    pub(crate) pki: Pki,
    pub(crate) processes: Processes,
    pub(crate) endpoints: Endpoints,
}

impl ControlPlane {
    pub(crate) fn new(directory: &Path, endpoints: Endpoints) -> Result<Self> {
        let names = [endpoints.address.to_string(), "10.96.0.1".to_owned()];
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let pki = Pki::ensure(&directory.join("pki"), &names)?;
        Ok(Self { directory: directory.to_path_buf(), pki, processes: Processes::new(directory), endpoints })
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.directory.join("kubeconfig")
    }

    pub(crate) fn server(&self) -> String {
        format!("https://{}:{}", self.endpoints.address, self.endpoints.api)
    }

    /// Starts what doesn't run and waits until the API server is ready. `tools` has etcd and kubectl, `servers` the rest.
    pub(crate) fn start(&self, tools: &Programs, servers: &Programs, context: &str, node: bool) -> Result<()> {
        self.pki.write_kubeconfig(&self.kubeconfig(), "admin", &self.server(), context)?;
        let manager_config = self.directory.join("controller-manager.kubeconfig");
        self.pki.write_kubeconfig(&manager_config, "controller-manager", &self.server(), context)?;
        if !node {
            self.authenticate_to_webhooks()?;
        }
        self.processes.ensure(&Daemon {
            name: "etcd",
            program: tools.path("etcd"),
            arguments: self.etcd_arguments(),
            environment: Vec::new(),
            files: Vec::new(),
        })?;
        self.processes.ensure(&Daemon {
            name: "kube-apiserver",
            program: servers.path("kube-apiserver"),
            arguments: self.api_server_arguments(node),
            environment: Vec::new(),
            files: Vec::new(),
        })?;
        self.wait_until_ready(&tools.path("kubectl"))?;
        self.processes.ensure(&Daemon {
            name: "kube-controller-manager",
            program: servers.path("kube-controller-manager"),
            arguments: self.controller_manager_arguments(&manager_config),
            environment: Vec::new(),
            files: Vec::new(),
        })
    }

    /// With a client certificate, as SECURITY.md tells those who want reviews to come from the API server alone.
    fn authenticate_to_webhooks(&self) -> Result<()> {
        let kubeconfig = self.directory.join("webhooks.kubeconfig");
        let (certificate, key) = (self.pki.certificate("webhooks"), self.pki.key("webhooks"));
        write_private(
            &kubeconfig,
            format!(
                "apiVersion: v1\nkind: Config\nusers:\n- name: '*'\n  user:\n    client-certificate: {certificate}\n    client-key: {key}\n"
            ),
        )?;
        write_private(
            &self.admission(),
            format!(
                "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n- name: MutatingAdmissionWebhook\n  configuration:\n    \
                 apiVersion: apiserver.config.k8s.io/v1\n    kind: WebhookAdmissionConfiguration\n    kubeConfigFile: {}\n",
                kubeconfig.display()
            ),
        )
    }

    fn admission(&self) -> PathBuf {
        self.directory.join("admission.yaml")
    }

    /// Everything that its log could tell is said when one of them ends instead.
    fn wait_until_ready(&self, kubectl: &Path) -> Result<()> {
        wait_for("the API server", Duration::from_mins(3), || {
            self.processes.check("etcd")?;
            self.processes.check("kube-apiserver")?;
            let output = command::output(Command::new(kubectl).arg("--kubeconfig").arg(self.kubeconfig()).args([
                "get",
                "--raw",
                "/readyz",
                "--request-timeout=5s",
            ]))?;
            Ok(if output.status.success() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(command::both_streams(&output).lines().last().unwrap_or_default().to_owned())
            })
        })
    }

    fn etcd_arguments(&self) -> Vec<String> {
        let client = format!("http://127.0.0.1:{}", self.endpoints.etcd);
        let peer = format!("http://127.0.0.1:{}", self.endpoints.etcd_peer);
        vec![
            "--name=default".to_owned(),
            format!("--data-dir={}", self.directory.join("etcd").display()),
            // Nothing here outlives the machine, and a disk that is busy would make it elect a leader again and again.
            "--unsafe-no-fsync".to_owned(),
            "--log-level=warn".to_owned(),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=default={peer}"),
        ]
    }

    fn api_server_arguments(&self, node: bool) -> Vec<String> {
        let Endpoints { address, api, etcd, .. } = self.endpoints;
        let mut arguments = vec![
            format!("--etcd-servers=http://127.0.0.1:{etcd}"),
            format!("--bind-address={address}"),
            format!("--advertise-address={address}"),
            format!("--secure-port={api}"),
            "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
            "--authorization-mode=Node,RBAC".to_owned(),
            "--allow-privileged=true".to_owned(),
            format!("--client-ca-file={}", self.pki.certificate("ca")),
            format!("--tls-cert-file={}", self.pki.certificate("apiserver")),
            format!("--tls-private-key-file={}", self.pki.key("apiserver")),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-key-file={}", self.directory.join("pki/service-accounts.pub").display()),
            format!("--service-account-signing-key-file={}", self.pki.key("service-accounts")),
            "--event-ttl=24h".to_owned(),
        ];
        if node {
            arguments.extend([
                format!("--kubelet-client-certificate={}", self.pki.certificate("kubelet-client")),
                format!("--kubelet-client-key={}", self.pki.key("kubelet-client")),
                "--kubelet-preferred-address-types=InternalIP".to_owned(),
            ]);
        } else {
            // A loopback address may not be an endpoint of the `kubernetes` service, and no pod asks for it.
            arguments.push("--endpoint-reconciler-type=none".to_owned());
            arguments.push(format!("--admission-control-config-file={}", self.admission().display()));
        }
        arguments
    }

    fn controller_manager_arguments(&self, kubeconfig: &Path) -> Vec<String> {
        vec![
            format!("--kubeconfig={}", kubeconfig.display()),
            "--leader-elect=false".to_owned(),
            "--secure-port=0".to_owned(),
            // Without it, RBAC lets the controllers create nothing, and only this program's log says so.
            "--use-service-account-credentials=true".to_owned(),
            format!("--service-account-private-key-file={}", self.pki.key("service-accounts")),
            format!("--root-ca-file={}", self.pki.certificate("ca")),
            "--cluster-cidr=10.88.0.0/16".to_owned(),
            "--allocate-node-cidrs=false".to_owned(),
        ]
    }
}

/// The reverse of the order in which they were started.
pub(crate) fn stop(processes: &Processes) -> Result<()> {
    ["kube-controller-manager", "kube-apiserver", "etcd"].iter().try_for_each(|name| processes.stop(name))
}

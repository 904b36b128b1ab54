//! etcd, API server and controller-manager: all that a test of admission needs, and the base of the whole cluster.
//!
//! Several run side by side on loopback ports, each with its own directory. It knows nothing of nodes and pods.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::{
    command::{self, write_private},
    directory::State,
    pki::Pki,
    process::{Daemon, Processes},
    programs::{CONTROL_PLANE, Module, Programs, assets::Assets, default_kubernetes},
    progress::{say, wait_for},
};

/// Below the range from which the kernel takes ports for outgoing connections.
const FIRST_PORT: u16 = 21_000;
const LAST_PORT: u16 = 29_999;

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

/// What is remembered of a control plane besides its processes.
#[derive(Debug, Deserialize, Serialize)]
struct Remembered {
    version: String,
    endpoints: Endpoints,
}

/// Starts the control plane `name` (by default named after its version) and returns the path of its kubeconfig.
pub(crate) fn up(state: &State, name: Option<&str>, version: Option<&str>) -> Result<PathBuf> {
    let default = default_kubernetes()?;
    let version = version_of(version)?;
    let version = version.as_str();
    let name = name.unwrap_or(if version == default { "default" } else { version });
    check_name(name)?;
    let directory = state.control_planes().join(name);
    let _lock = state.lock(&format!("control-plane-{name}"))?;
    // Before minutes are spent on building it.
    if let Some(remembered) = load(&directory)
        && remembered.version != version
    {
        bail!(
            "the control plane {name} is a Kubernetes {}, not {version}: choose another --name, or take it down first \
             (cargo xtask cluster down --control-plane --name {name})",
            remembered.version
        );
    }
    let (tools, servers) = programs(state, version, &default)?;
    let remembered = remember(state, &directory, version)?;
    let control_plane = ControlPlane::new(&directory, remembered.endpoints)?;
    control_plane.start(&tools, &servers, &format!("coalmine-{name}"), false)?;
    say(format_args!("the control plane {name} (Kubernetes {version}) is ready at {}", control_plane.server()));
    Ok(control_plane.kubeconfig())
}

/// The version that was asked for; else that of the programs which somebody has already; else the pinned one.
pub(crate) fn version_of(asked: Option<&str>) -> Result<String> {
    match (asked, Assets::find()?) {
        (Some(asked), _) => Ok(asked.trim_start_matches('v').to_owned()),
        (None, Some(assets)) => Ok(assets.version().to_owned()),
        (None, None) => default_kubernetes(),
    }
}

/// Those with etcd and kubectl, and those with the servers.
fn programs(state: &State, version: &str, default: &str) -> Result<(Programs, Programs)> {
    match Assets::find()? {
        Some(assets) if assets.version() == version => {
            let all = assets.complete(state, default)?;
            return Ok((all.clone(), all));
        }
        Some(assets) => say(format_args!("KUBEBUILDER_ASSETS names a Kubernetes {}: not used for {version}", assets.version())),
        None => {}
    }
    if version == default {
        let all = Module::kubernetes()?.build(state, &CONTROL_PLANE)?;
        return Ok((all.clone(), all));
    }
    let servers = Module::other_kubernetes(state, version)?.build(state, &["kube-apiserver", "kube-controller-manager"])?;
    Ok((Module::kubernetes()?.build(state, &["etcd", "kubectl"])?, servers))
}

/// Stops the control plane and forgets all that it stored.
pub(crate) fn down(state: &State, name: &str) -> Result<()> {
    check_name(name)?;
    let directory = state.control_planes().join(name);
    if !directory.exists() {
        say(format_args!("there is no control plane {name}"));
        return Ok(());
    }
    let _lock = state.lock(&format!("control-plane-{name}"))?;
    stop(&Processes::new(&directory))?;
    fs::remove_dir_all(&directory).with_context(|| format!("failed to remove {}", directory.display()))?;
    say(format_args!("the control plane {name} is gone"));
    Ok(())
}

/// How the names of control planes begin that live no longer than the process whose id follows.
pub(crate) const TEMPORARY: &str = "test-";

/// Takes down what test runs left that were killed themselves.
pub(crate) fn down_abandoned(state: &State) -> Result<()> {
    for entry in fs::read_dir(state.control_planes()).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix(TEMPORARY).and_then(|pid| pid.parse::<u32>().ok());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            down(state, &name)?;
        }
    }
    Ok(())
}

/// The names of the control planes that were started, each with its version and whether it runs.
pub(crate) fn list(state: &State) -> Vec<String> {
    let Ok(entries) = fs::read_dir(state.control_planes()) else { return Vec::new() };
    let mut lines: Vec<String> = entries
        .flatten()
        .filter_map(|entry| {
            let remembered = load(&entry.path())?;
            let running = Processes::new(&entry.path()).is_running("kube-apiserver");
            Some(format!(
                "{:<20} Kubernetes {:<10} {}  KUBECONFIG={}",
                entry.file_name().to_string_lossy(),
                remembered.version,
                if running { "running" } else { "stopped" },
                entry.path().join("kubeconfig").display()
            ))
        })
        .collect();
    lines.sort();
    lines
}

/// The name becomes a directory and part of a context's name.
fn check_name(name: &str) -> Result<()> {
    let fits = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '.');
    if name.is_empty() || name.starts_with('.') || !name.chars().all(fits) {
        bail!("failed to use the name {name:?}: letters, digits, '-' and '.' are possible");
    }
    Ok(())
}

fn load(directory: &Path) -> Option<Remembered> {
    serde_json::from_slice(&fs::read(directory.join("control-plane.json")).ok()?).ok()
}

/// The same ports again after a restart, so that kubeconfig files stay right; else three that nobody uses or has set aside.
fn remember(state: &State, directory: &Path, version: &str) -> Result<Remembered> {
    if let Some(remembered) = load(directory) {
        return Ok(remembered);
    }
    let _lock = state.lock("ports")?;
    let taken: Vec<u16> = fs::read_dir(state.control_planes())
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| load(&entry.path()))
        .flat_map(|other| [other.endpoints.api, other.endpoints.etcd, other.endpoints.etcd_peer])
        .collect();
    let mut free = (FIRST_PORT..=LAST_PORT)
        .filter(|port| !taken.contains(port))
        .filter(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok());
    let (Some(api), Some(etcd), Some(etcd_peer)) = (free.next(), free.next(), free.next()) else {
        bail!("failed to find three free ports between {FIRST_PORT} and {LAST_PORT}");
    };
    let endpoints = Endpoints { address: Ipv4Addr::LOCALHOST, api, etcd, etcd_peer };
    let remembered = Remembered { version: version.to_owned(), endpoints };
    command::write(&directory.join("control-plane.json"), serde_json::to_vec(&remembered)?)?;
    Ok(remembered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("default", true)]
    #[case("1.30.14", true)]
    #[case("hold-3", true)]
    #[case("", false)]
    #[case("..", false)]
    #[case("a/b", false)]
    fn names(#[case] name: &str, #[case] fits: bool) {
        assert_eq!(check_name(name).is_ok(), fits);
    }
}

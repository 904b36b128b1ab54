//! The one node of the whole cluster: containerd, kubelet, kube-proxy, the scheduler and DNS, each as a program of this machine.
//!
//! Everything lives below one directory with its own sockets, so that it meets no other containerd or kubelet.

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result};

use crate::{
    command,
    control_plane::ControlPlane,
    network::{ADDRESS, BRIDGE, PODS},
    process::Daemon,
    programs::Programs,
    progress::wait_for,
};

/// In the order in which they are stopped.
const DAEMONS: [&str; 5] = ["kubelet", "kube-proxy", "coredns", "kube-scheduler", "containerd"];

/// The paths of a node below the cluster's directory.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    directory: PathBuf,
}

impl Node {
    pub(crate) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_path_buf() }
    }

    fn path(&self, name: &str) -> String {
        self.directory.join(name).to_string_lossy().into_owned()
    }

    /// A command of containerd's own client.
    pub(crate) fn ctr(&self, arguments: &[&str]) -> Result<Command> {
        let mut command = command::program("ctr")?;
        command.args(["--address", &self.path("containerd.sock"), "--namespace", "k8s.io"]).args(arguments);
        Ok(command)
    }

    /// Starts the container runtime alone, so that images can be put in before pods ask for them.
    pub(crate) fn start_runtime(&self, control_plane: &ControlPlane) -> Result<()> {
        let config = self.directory.join("containerd.toml");
        command::write(&config, self.runtime_config())?;
        command::write(&self.directory.join("cni/10-coalmine.conflist"), self.network_config())?;
        let program = command::find_program("containerd").context("failed to find containerd")?;
        let arguments = vec!["--config".to_owned(), self.path("containerd.toml")];
        control_plane.processes.ensure(&Daemon {
            name: "containerd",
            program,
            arguments,
            environment: vec![sbin_path()],
            files: vec![config],
        })?;
        wait_for("containerd", Duration::from_mins(1), || {
            control_plane.processes.check("containerd")?;
            let output = command::output(&mut self.ctr(&["version"])?)?;
            Ok(if output.status.success() { ControlFlow::Break(()) } else { ControlFlow::Continue(command::both_streams(&output)) })
        })
    }

    /// Starts the rest and waits until the node is ready.
    pub(crate) fn start(&self, control_plane: &ControlPlane, programs: &Programs) -> Result<()> {
        let server = control_plane.server();
        let kubeconfig = |client: &str| -> Result<String> {
            let path = self.directory.join(format!("{client}.kubeconfig"));
            control_plane.pki.write_kubeconfig(&path, client, &server, "coalmine")?;
            Ok(path.to_string_lossy().into_owned())
        };
        let ensure = |name: &'static str, arguments: Vec<String>, files: &[&str]| {
            let files = files.iter().map(|file| self.directory.join(file)).collect();
            let daemon = Daemon { name, program: programs.path(name), arguments, environment: vec![sbin_path()], files };
            control_plane.processes.ensure(&daemon)
        };
        ensure(
            "kube-scheduler",
            vec![format!("--kubeconfig={}", kubeconfig("scheduler")?), "--leader-elect=false".to_owned(), "--secure-port=0".to_owned()],
            &[],
        )?;
        command::write(&self.directory.join("kubelet.yaml"), self.kubelet_config(&control_plane.pki.certificate("ca")))?;
        let kubelet = vec![
            format!("--config={}", self.path("kubelet.yaml")),
            format!("--kubeconfig={}", kubeconfig("kubelet")?),
            "--hostname-override=node1".to_owned(),
            format!("--node-ip={ADDRESS}"),
            format!("--root-dir={}", self.path("kubelet")),
            format!("--cert-dir={}", self.path("kubelet-pki")),
        ];
        let start_kubelet = || ensure("kubelet", kubelet.clone(), &["kubelet.yaml"]);
        start_kubelet()?;
        ensure(
            "kube-proxy",
            vec![
                format!("--kubeconfig={}", kubeconfig("kube-proxy")?),
                "--hostname-override=node1".to_owned(),
                "--proxy-mode=nftables".to_owned(),
                format!("--cluster-cidr={PODS}"),
                "--healthz-bind-address=127.0.0.1:10256".to_owned(),
                // These settings of the kernel are read-only in many virtual machines; zero leaves them as they are.
                "--conntrack-max-per-core=0".to_owned(),
                "--conntrack-tcp-timeout-established=0".to_owned(),
                "--conntrack-tcp-timeout-close-wait=0".to_owned(),
            ],
            &[],
        )?;
        command::write(&self.directory.join("Corefile"), dns_config(&kubeconfig("coredns")?))?;
        ensure("coredns", vec!["-conf".to_owned(), self.path("Corefile")], &["Corefile"])?;
        let kubectl = |arguments: &[&str]| {
            command::output(Command::new(programs.path("kubectl")).arg("--kubeconfig").arg(control_plane.kubeconfig()).args(arguments))
        };
        let ready = "jsonpath={.status.conditions[?(@.type=='Ready')].status} {.status.conditions[?(@.type=='Ready')].message}";
        wait_for("the node", Duration::from_mins(2), || {
            for name in DAEMONS {
                match control_plane.processes.check(name) {
                    // A runtime that finds many containers of before answers a while before it is ready for pods.
                    Err(ended) if name == "kubelet" && format!("{ended}").contains("server is not initialized yet") => start_kubelet()?,
                    result => result?,
                }
            }
            // What the node is said to be may be of a time before everything was killed: kubelet itself must answer, too.
            for (question, answer) in
                [(["get", "--raw", "/api/v1/nodes/node1/proxy/healthz"].as_slice(), "ok"), (&["get", "node", "node1", "-o", ready], "True")]
            {
                let output = kubectl(question)?;
                let said = command::both_streams(&output);
                if !output.status.success() || !said.starts_with(answer) {
                    return Ok(ControlFlow::Continue(said));
                }
            }
            Ok(ControlFlow::Break(()))
        })
    }

    pub(crate) fn stop_order() -> [&'static str; 5] {
        DAEMONS
    }

    fn runtime_config(&self) -> String {
        let Self { directory } = self;
        let directory = directory.display();
        format!(
            r#"version = 2
root = "{directory}/containerd/root"
state = "{directory}/containerd/state"
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.opt"]

[grpc]
  address = "{directory}/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  # Without CAP_SYS_RESOURCE runc fails with "can't get final child's PID from pipe".
  restrict_oom_score_adj = true
  # So that what is ours can be told by its path when the cluster is taken down.
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{directory}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
"#
        )
    }

    /// Pods get a route to the services only: nothing of theirs leaves the machine.
    fn network_config(&self) -> String {
        serde_json::json!({
            "cniVersion": "0.4.0",
            "name": "coalmine",
            "plugins": [
                {
                    "type": "bridge", "bridge": BRIDGE, "isGateway": true, "ipMasq": false, "hairpinMode": true,
                    "ipam": {
                        "type": "host-local",
                        "ranges": [[{"subnet": PODS}]],
                        "routes": [{"dst": "10.96.0.0/16"}],
                        "dataDir": self.path("ipam"),
                    },
                },
                {"type": "portmap", "capabilities": {"portMappings": true}},
            ],
        })
        .to_string()
    }

    fn kubelet_config(&self, authority: &str) -> String {
        serde_json::json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": ADDRESS,
            "authentication": {"anonymous": {"enabled": false}, "webhook": {"enabled": true}, "x509": {"clientCAFile": authority}},
            "authorization": {"mode": "Webhook"},
            "cgroupDriver": "cgroupfs",
            "failCgroupV1": false,
            "failSwapOn": false,
            "containerRuntimeEndpoint": format!("unix://{}", self.path("containerd.sock")),
            "clusterDNS": [ADDRESS],
            "clusterDomain": "cluster.local",
            // Pods would otherwise inherit the machine's name servers and search domains.
            "resolvConf": "",
            "localStorageCapacityIsolation": false,
            // A machine that is nearly full, or short of memory, is still good enough for tests.
            "evictionHard": {},
            "imageGCHighThresholdPercent": 100,
            "makeIPTablesUtilChains": false,
            "podLogsDir": self.path("pod-logs"),
            "volumePluginDir": self.path("volume-plugins"),
        })
        .to_string()
    }
}

fn dns_config(kubeconfig: &str) -> String {
    // Names outside the cluster are answered with "no such name", and nothing is asked elsewhere. In a server of its own: beside the other
    // plugin, the template would answer the cluster's names too.
    format!(
        "cluster.local:53 in-addr.arpa:53 {{\n    bind {ADDRESS}\n    errors\n    kubernetes cluster.local in-addr.arpa {{\n        \
         kubeconfig {kubeconfig}\n        pods insecure\n        ttl 5\n    }}\n    cache 5\n}}\n\
         .:53 {{\n    bind {ADDRESS}\n    template ANY ANY {{\n        rcode NXDOMAIN\n    }}\n}}\n"
    )
}

/// The runtime and the node agents call `iptables`, `nft` and `mount`, which a shell without a login doesn't find on Debian.
fn sbin_path() -> (String, String) {
    let path = std::env::var("PATH").unwrap_or_default();
    ("PATH".to_owned(), format!("{path}:/usr/sbin:/sbin:/usr/bin:/bin"))
}

/// Removes the control groups that pods leave behind; one that is still in use stays.
pub(crate) fn remove_control_groups() {
    for hierarchy in fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten() {
        remove_empty(&hierarchy.path().join("kubepods"));
    }
    remove_empty(Path::new("/sys/fs/cgroup/kubepods"));
}

fn remove_empty(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_empty(&entry.path());
        }
    }
    // Its files are the kernel's: a control group is removed as a directory, and only when no process is in it.
    let _ = fs::remove_dir(directory);
}

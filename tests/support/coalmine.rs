//! The real Coalmine as a process on this machine, registered from `deploy/` by its address instead of its Service.
//! Namespaces choose their Coalmine by a label: see [`NAMESPACE_LABEL`].

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use serde_json::{Value, json};

use super::{
    control_plane::{ControlPlane, variable},
    eventually,
    fixtures::{self, Template},
    kubectl::Kubectl,
};

/// The shell ends the program when its standard input closes, which it does when this process is gone, be it killed.
pub(crate) const ENDS_WITH_US: &str = r#""$@" & program=$!; while read -r _; do :; done; kill -9 $program"#;

/// A namespace without it is served by the Coalmine that runs; `down` by one that doesn't, `absent` by none at all.
pub(crate) const NAMESPACE_LABEL: &str = "coalmine.dev/test";

/// Of the one that serves the tests, for those who come by another way than the API server.
static PORTS: OnceLock<(u16, u16)> = OnceLock::new();

/// The ports of the webhook and of metrics.
pub(crate) fn ports() -> (u16, u16) {
    *PORTS.get().expect("Coalmine runs")
}

/// A running process; it ends with this value, and with the test process, however that ends.
pub(crate) struct Coalmine {
    process: Child,
    admin_port: u16,
}

impl Coalmine {
    /// Installs what `deploy/` grants and registers, starts the program, and waits until it is ready.
    pub(crate) fn start(control_plane: &ControlPlane, name: &str) -> Self {
        let kubectl = Kubectl::of(control_plane);
        install(control_plane, &kubectl);
        hold_the_lease(control_plane);
        let (webhook_port, admin_port) = *PORTS.get_or_init(free_ports);
        register(control_plane, name, webhook_port, &json!({"key": NAMESPACE_LABEL, "operator": "DoesNotExist"}));
        register(control_plane, "coalmine-down", 1, &json!({"key": NAMESPACE_LABEL, "operator": "In", "values": ["down"]}));
        let coalmine = Self {
            process: spawn(control_plane, name, &kubeconfig(control_plane, &kubectl, name, None), (webhook_port, admin_port), &[]),
            admin_port,
        };
        eventually("Coalmine to be ready", || coalmine.readiness());
        await_registration(control_plane);
        coalmine
    }

    /// Another one beside it, with these flags, for the namespaces that choose it by its name. `server` where it reaches the API server by
    /// another way than ours.
    pub(crate) fn beside(control_plane: &ControlPlane, name: &str, server: Option<&str>, flags: &[&str]) -> Self {
        let (ports, kubectl) = (free_ports(), Kubectl::of(control_plane));
        register(control_plane, name, ports.0, &json!({"key": NAMESPACE_LABEL, "operator": "In", "values": [name]}));
        // What `deploy/` grants is for the registration of its own name.
        let of_its_name = ["--resource=mutatingwebhookconfigurations", &format!("--resource-name={name}")];
        kubectl.run(&[&["create", "clusterrole", name, "--verb=get,list,watch,patch,update"], &of_its_name[..]].concat()).succeeded();
        let bound = [&format!("--clusterrole={name}"), "--serviceaccount=coalmine:coalmine"];
        kubectl.run(&[&["create", "clusterrolebinding", name], &bound[..]].concat()).succeeded();
        let coalmine = Self {
            process: spawn(control_plane, name, &kubeconfig(control_plane, &kubectl, name, server), ports, flags),
            admin_port: ports.1,
        };
        eventually("Coalmine to be ready", || coalmine.readiness());
        coalmine
    }

    /// How often it was asked by the API server.
    pub(crate) fn reviews(&self) -> u64 {
        let (_, metrics) = page(self.admin_port, "/metrics").unwrap_or_default();
        let counts = metrics.lines().filter(|line| line.starts_with("coalmine_admission_reviews_total"));
        counts.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }

    fn readiness(&self) -> Result<(), String> {
        let (status, body) = page(self.admin_port, "/readyz").map_err(|error| error.to_string())?;
        if status == 200 { Ok(()) } else { Err(body) }
    }
}

impl Drop for Coalmine {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// What `deploy/` grants.
pub(crate) fn install(control_plane: &ControlPlane, kubectl: &Kubectl) {
    for file in ["namespace.yaml", "serviceaccount.yaml", "rbac.yaml"] {
        let path = control_plane.repository.join("deploy/base").join(file);
        kubectl.run(&["apply", "--server-side", "-f", &path.display().to_string()]).succeeded();
    }
}

/// The tests are the controller: each gives the verdict that it needs. So the process must never become the leader.
fn hold_the_lease(control_plane: &ControlPlane) {
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "coalmine", "namespace": "coalmine"},
        "spec": {"holderIdentity": "tests", "leaseDurationSeconds": 24 * 3600, "renewTime": "2026-01-01T00:00:00.000000Z"},
    });
    control_plane.apply("/apis/coordination.k8s.io/v1/namespaces/coalmine/leases/coalmine", &lease);
}

pub(crate) fn free_ports() -> (u16, u16) {
    let bound = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    let [webhook, admin] = bound.map(|listener| listener.local_addr().expect("an address").port());
    (webhook, admin)
}

/// Status and body of a page of the admin port.
pub(crate) fn page(port: u16, path: &str) -> std::io::Result<(u16, String)> {
    let mut connection = TcpStream::connect(("127.0.0.1", port))?;
    write!(connection, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default();
    Ok((status, body.to_owned()))
}

/// The API server learns of a registration a little after it has stored it.
pub(crate) fn await_registration(control_plane: &ControlPlane) {
    let mut refused = fixtures::deployment("probe", &Template::named("A"));
    refused["metadata"]["annotations"]["canary.duration"] = json!("soon");
    eventually("the webhook to be called", || {
        match control_plane.post("/apis/apps/v1/namespaces/default/deployments?dryRun=All", &refused) {
            Err(refused) if refused.message.contains("canary.duration") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
}

/// The entries of `deploy/base/webhook.yaml` as they are, but for where Coalmine is and whose requests it gets.
pub(crate) fn register(control_plane: &ControlPlane, name: &str, port: u16, namespaces: &Value) {
    let mut configuration = manifests(control_plane, "deploy/base/webhook.yaml").remove(0);
    configuration["metadata"]["name"] = json!(name);
    for webhook in configuration["webhooks"].as_array_mut().expect("webhooks") {
        let path = webhook["clientConfig"]["service"]["path"].as_str().expect("a path").to_owned();
        webhook["clientConfig"] = json!({"url": format!("https://127.0.0.1:{port}{path}")});
        webhook["namespaceSelector"]["matchExpressions"].as_array_mut().expect("expressions").push(namespaces.clone());
    }
    let path = format!("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/{name}");
    control_plane.apply(&path, &configuration);
}

/// Of the control plane's certificates, beside its kubeconfig.
pub(crate) fn authority() -> PathBuf {
    PathBuf::from(variable("KUBECONFIG")).with_file_name("pki").join("ca.crt")
}

/// The documents of a YAML file of the repository.
pub(crate) fn manifests(control_plane: &ControlPlane, file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(control_plane.repository.join(file)).expect("a file of the repository");
    let documents = text.split("\n---\n").map(|document| serde_saphyr::from_str(document).expect("YAML"));
    documents.collect()
}

/// Of Coalmine's own service account; `server` when the API server is reached by another way than ours.
pub(crate) fn kubeconfig(control_plane: &ControlPlane, kubectl: &Kubectl, name: &str, server: Option<&str>) -> PathBuf {
    let token = kubectl.run(&["create", "token", "coalmine", "--namespace=coalmine", "--duration=24h"]).succeeded().stdout;
    let mut kubeconfig: Value =
        serde_json::from_str(&kubectl.run(&["config", "view", "--raw", "-o=json"]).succeeded().stdout).expect("JSON");
    kubeconfig["users"][0]["user"] = json!({"token": token.trim()});
    if let Some(server) = server {
        kubeconfig["clusters"][0]["cluster"]["server"] = json!(server);
    }
    let path = control_plane.directory.join(format!("{name}.kubeconfig"));
    std::fs::write(&path, kubeconfig.to_string()).expect("a kubeconfig");
    path
}

fn spawn(control_plane: &ControlPlane, name: &str, kubeconfig: &Path, (webhook_port, admin_port): (u16, u16), flags: &[&str]) -> Child {
    let log = std::fs::File::create(control_plane.directory.join(format!("{name}.log"))).expect("a log");
    Command::new("sh")
        .args(["-c", ENDS_WITH_US, "sh"])
        .arg(variable("COALMINE_BIN"))
        .args(["--webhook-name", name, "--shutdown-delay", "0s"])
        // Nobody answers there; its queries are checked all the same.
        .arg("--prometheus-url=http://prometheus.monitoring.svc:9090")
        .arg(format!("--webhook-address=127.0.0.1:{webhook_port}"))
        .arg(format!("--webhook-url=https://127.0.0.1:{webhook_port}"))
        .arg(format!("--admin-address=127.0.0.1:{admin_port}"))
        .arg("--page-address=none")
        // Nobody but the API server is answered: see SECURITY.md.
        .arg(format!("--client-ca-file={}", authority().display()))
        .arg("--client-name=webhooks.kube-apiserver")
        .args(flags)
        .env("KUBECONFIG", kubeconfig)
        .env("COALMINE_LOG", "coalmine=debug,info")
        .stdin(Stdio::piped())
        .stdout(log.try_clone().expect("a log"))
        .stderr(log)
        .spawn()
        .expect("the program starts")
}

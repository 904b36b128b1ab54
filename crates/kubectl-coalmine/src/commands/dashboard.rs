//! The page of one replica, brought to this machine by kubectl's port-forward: at 127.0.0.1 and nowhere else. When the replica goes, the next
//! one takes its place at the same address. Ends when it is interrupted.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use coalmine_core::manifest::object;
use kube::api::{Api, DynamicObject, ListParams};
use serde_json::Value;

use crate::{
    End,
    args::Connection,
    cluster::{Cluster, plain, refused, resource},
    terminal,
};

/// Where a replica listens that is not told otherwise.
const USUAL_PORT: u16 = 8082;
/// How often in a row a replica may be lost before anything was forwarded.
const MOST_FAILURES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

pub(super) async fn dashboard(connection: &Connection, namespace: &str, port: u16, open: bool) -> Result<End> {
    let cluster = Cluster::connect(&Connection { namespace: Some(namespace.to_owned()), ..connection.clone() }).await?;
    let (mut local, mut failures, mut is_opened) = (port, 0, !open);
    loop {
        let replica = replica(&cluster).await?;
        let mut forward = forward(connection, namespace, &replica, local)?;
        match first_line(&mut forward).as_deref().and_then(local_port) {
            Some(found) => {
                (local, failures) = (found, 0);
                let address = format!("http://127.0.0.1:{local}/");
                terminal::print(&format!("{address} shows the page of pod {}; Ctrl-C ends it.", replica.pod));
                if !std::mem::replace(&mut is_opened, true) {
                    show(&address);
                }
            }
            None => failures += 1,
        }
        let ended = forward.wait().context("failed to wait for kubectl")?;
        if failures >= MOST_FAILURES {
            bail!("failed to forward a port to pod {} in namespace {namespace}: kubectl ended with {ended}", replica.pod);
        }
        terminal::remark(&format!("The connection to pod {} ended; another one is looked for.", replica.pod));
        tokio::time::sleep(PAUSE).await;
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Replica {
    pod: String,
    port: u16,
}

async fn replica(cluster: &Cluster) -> Result<Replica> {
    let api: Api<DynamicObject> = Api::namespaced_with(cluster.client.clone(), &cluster.namespace, &resource("", "v1", "Pod", "pods"));
    let found = api.list(&ListParams::default().labels("app.kubernetes.io/name=coalmine")).await;
    let found = found.map_err(|error| refused(error, "list", "pods", &cluster.namespace))?;
    let pods: Vec<Value> = found.items.iter().map(plain).collect::<Result<_>>()?;
    let ready = pods.iter().find(|pod| is_ready(pod));
    let pod = ready.with_context(|| {
        format!("failed to find a Ready pod of Coalmine in namespace {}: --installation names another one", cluster.namespace)
    })?;
    let port = page_port(pod).with_context(|| format!("pod {} serves no page: it runs with --page-address=none", object::name(pod)))?;
    Ok(Replica { pod: object::name(pod).to_owned(), port })
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod.pointer("/status/conditions").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    !object::is_being_deleted(pod) && conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

/// As the pod is told; `None` where it is told to have no page.
fn page_port(pod: &Value) -> Option<u16> {
    let arguments = pod.pointer("/spec/containers/0/args").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let told = arguments.iter().filter_map(Value::as_str).filter_map(|argument| argument.strip_prefix("--page-address=")).next_back();
    told.map_or(Some(USUAL_PORT), |address| address.rsplit(':').next()?.parse().ok())
}

/// By the kubectl that this is a plugin of, with the same cluster and user.
fn forward(connection: &Connection, namespace: &str, replica: &Replica, local: u16) -> Result<Child> {
    let mut command = Command::new("kubectl");
    command.args(["port-forward", "--address=127.0.0.1", "-n", namespace, &format!("pod/{}", replica.pod)]);
    command.arg(if local == 0 { format!(":{}", replica.port) } else { format!("{local}:{}", replica.port) });
    if let Some(path) = &connection.kubeconfig {
        command.arg("--kubeconfig").arg(path);
    }
    for (flag, value) in [
        ("--context", &connection.context),
        ("--cluster", &connection.cluster),
        ("--user", &connection.user),
        ("--as", &connection.impersonate),
    ] {
        command.args(value.iter().map(|value| format!("{flag}={value}")));
    }
    command.args(connection.groups.iter().map(|group| format!("--as-group={group}")));
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command.spawn().context("failed to start kubectl, which forwards the port")
}

/// The rest is read away, so that kubectl is never kept waiting. Nothing else is to do meanwhile.
fn first_line(forward: &mut Child) -> Option<String> {
    let mut lines = BufReader::new(forward.stdout.take()?).lines();
    let first = lines.next()?.ok();
    std::thread::spawn(move || lines.for_each(drop));
    first
}

/// Of `Forwarding from 127.0.0.1:40123 -> 8082`.
fn local_port(line: &str) -> Option<u16> {
    line.strip_prefix("Forwarding from 127.0.0.1:")?.split(' ').next()?.parse().ok()
}

/// A machine without a browser is no mistake: the address was printed.
fn show(address: &str) {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let _ = Command::new(program).arg(address).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_port_is_the_one_that_the_pod_is_told() {
        let port = |arguments: &[&str]| page_port(&json!({"spec": {"containers": [{"args": arguments}]}}));
        assert_eq!(port(&["--webhook-address=0.0.0.0:10250"]), Some(8082));
        assert_eq!(port(&["--page-address=0.0.0.0:9000"]), Some(9000));
        assert_eq!(port(&["--page-address=[::1]:9001"]), Some(9001));
        assert_eq!(port(&["--page-address=none"]), None);
    }

    #[test]
    fn kubectl_says_where_it_listens() {
        assert_eq!(local_port("Forwarding from 127.0.0.1:40123 -> 8082"), Some(40123));
        assert_eq!(local_port("error: unable to forward"), None);
    }
}

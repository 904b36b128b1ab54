//! Certificates and leadership against a real API server: two replicas of their own, beside the Coalmine that serves the other tests.

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::{
    coalmine::page,
    control_plane::{As, ControlPlane, control_plane, variable},
    eventually,
    fixtures::{self, Template},
    signal,
};

struct Replica {
    process: Child,
    name: &'static str,
    webhook_port: u16,
    admin_port: u16,
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A namespace that is Coalmine's own for the test, and its registration, both by this name.
struct Installation {
    name: String,
    control_plane: &'static ControlPlane,
}

impl Installation {
    fn new(test: &str) -> Self {
        let name = format!("{test}-{}", std::process::id());
        let control_plane = control_plane();
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        control_plane.post("/api/v1/namespaces", &namespace).expect("a namespace");
        Self { name, control_plane }
    }

    fn start(&self, name: &'static str) -> Replica {
        let ports = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
        let [webhook_port, admin_port] = ports.map(|listener| listener.local_addr().expect("an address").port());
        let process = Command::new(variable("COALMINE_BIN"))
            .args(["--namespace", &self.name, "--webhook-name", &self.name, "--identity", name, "--shutdown-delay", "0s"])
            .arg("--page-address=none")
            .arg(format!("--webhook-address=127.0.0.1:{webhook_port}"))
            .arg(format!("--admin-address=127.0.0.1:{admin_port}"))
            .arg("--webhook-url=https://127.0.0.1/")
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        Replica { process, name, webhook_port, admin_port }
    }

    /// All Deployments of the namespace go to this replica, opted in or not.
    fn register(&self, replica: &Replica) {
        let entry = |name: &str| {
            json!({
                "name": name,
                "clientConfig": {"url": format!("https://127.0.0.1:{}/admit", replica.webhook_port)},
                "rules": [{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["deployments"]}],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": self.name}},
                "admissionReviewVersions": ["v1"], "sideEffects": "None",
            })
        };
        let configuration = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration",
            "metadata": {"name": self.name}, "webhooks": [entry("first.coalmine.dev"), entry("second.coalmine.dev")],
        });
        self.control_plane.apply(&self.registration(), &configuration);
    }

    fn registration(&self) -> String {
        format!("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/{}", self.name)
    }

    fn secret(&self) -> String {
        format!("/api/v1/namespaces/{}/secrets/coalmine-certificate", self.name)
    }

    fn holder(&self) -> Option<Value> {
        let lease = self.control_plane.find(&format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases/coalmine", self.name))?;
        Some(lease["spec"]["holderIdentity"].clone())
    }

    fn bundles(&self) -> Vec<Value> {
        let configuration = self.control_plane.get(&self.registration());
        configuration["webhooks"].as_array().expect("entries").iter().map(|entry| entry["clientConfig"]["caBundle"].clone()).collect()
    }

    /// The API server calls, trusts, and is answered.
    fn assert_called(&self) {
        let mut refused = fixtures::deployment("probe", &Template::named("A"));
        refused["metadata"]["annotations"]["canary.duration"] = json!("soon");
        let path = format!("/apis/apps/v1/namespaces/{}/deployments?dryRun=All", self.name);
        eventually("the webhook to be called", || match self.control_plane.post(&path, &refused) {
            Err(refused) if refused.message.contains("canary.duration") => Ok(()),
            other => Err(format!("{other:?}")),
        });
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        for path in [self.registration(), format!("/api/v1/namespaces/{}", self.name)] {
            let _ = self.control_plane.send(As::Administrator, "DELETE", &path, "", &Value::Null);
        }
    }
}

fn await_ready(replica: &Replica) {
    eventually("a replica to be ready", || match page(replica.admin_port, "/readyz") {
        Ok((200, _)) => Ok(()),
        other => Err(format!("{}: {other:?}", replica.name)),
    });
}

#[test]
#[ignore = "needs a control plane"]
fn replicas_share_a_certificate_that_the_api_server_always_trusts() {
    let installation = Installation::new("certificates");
    let (first, second) = (installation.start("first"), installation.start("second"));
    let unregistered = eventually("the missing registration to be told", || match page(first.admin_port, "/readyz") {
        Ok((503, body)) if body.contains("does not exist") || body.contains("failed to find") => Ok(body),
        other => Err(format!("{other:?}")),
    });
    assert!(unregistered.contains("[+]certificate ok"), "{unregistered}");

    installation.register(&first);
    await_ready(&first);
    await_ready(&second);
    installation.assert_called();

    let trusted = installation.bundles();
    let emptied = json!([{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}, {"op": "remove", "path": "/webhooks/1/clientConfig/caBundle"}]);
    let path = installation.registration();
    installation.control_plane.send(As::Administrator, "PATCH", &path, "application/json-patch+json", &emptied).expect("emptied");
    eventually("caBundle to be repaired", || {
        Some(installation.bundles()).filter(|now| *now == trusted).map(drop).ok_or("other".to_owned())
    });
    installation.assert_called();

    let authority = installation.control_plane.get(&installation.secret())["data"]["ca.crt"].clone();
    installation.control_plane.send(As::Administrator, "DELETE", &installation.secret(), "", &Value::Null).expect("deleted");
    let again =
        eventually("the Secret to come back", || installation.control_plane.find(&installation.secret()).ok_or("absent".to_owned()));
    assert_eq!(again["data"]["ca.crt"], authority, "what is served stays trusted");

    drop(first);
    installation.register(&second);
    installation.assert_called();
    assert_eq!(installation.bundles(), trusted, "the other replica serves the same authority's certificate");
}

#[test]
#[ignore = "needs a control plane"]
fn a_stopped_replica_ends_well_and_another_leads_within_seconds() {
    let installation = Installation::new("leader");
    let mut first = installation.start("first");
    installation.register(&first);
    await_ready(&first);
    eventually("the first replica to lead", || {
        installation.holder().filter(|holder| holder == "first").map(drop).ok_or("nobody".to_owned())
    });
    let second = installation.start("second");
    await_ready(&second);

    signal(first.process.id(), Signal::TERM);
    assert!(first.process.wait().expect("it ends").success(), "a drained process ends with 0");
    let stopped = std::time::Instant::now();
    eventually("the second replica to lead", || {
        let holder = installation.holder();
        holder.clone().filter(|holder| holder == "second").map(drop).ok_or(format!("{holder:?}"))
    });
    assert!(stopped.elapsed().as_secs() < 14, "it waited for the claim to run out");
}

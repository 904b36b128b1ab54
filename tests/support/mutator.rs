//! Somebody else's mutating webhook, served by the test process, for the Deployments of one namespace.

use std::sync::Arc;

use axum::{Json, Router, routing::post};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use coalmine::server::{
    Limits, Transport, serve,
    tls::{CurrentCertificate, acceptor, certified_key},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{control_plane::As, namespace::Namespace};

/// What it makes of an object: a JSON patch.
pub(crate) type Mutate = fn(&Value) -> Value;

/// Registered until it is dropped.
pub(crate) struct Mutator<'a> {
    namespace: &'a Namespace,
    path: String,
    stop: CancellationToken,
}

impl<'a> Mutator<'a> {
    /// Webhooks are called in the order of their configurations' names.
    pub(crate) fn register(namespace: &'a Namespace, order: &str, reinvocation: &str, mutate: Mutate) -> Self {
        let pair = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).expect("a certificate");
        let certificate = pair.cert.pem();
        let current = Arc::<CurrentCertificate>::default();
        current.set(certified_key(certificate.as_bytes(), pair.signing_key.serialize_pem().as_bytes()).expect("a pair"), None);
        let transport = Transport::Tls(acceptor(current, None).expect("TLS"));
        let router = Router::new().route("/", post(move |Json(review): Json<Value>| async move { Json(answer(&review, mutate)) }));
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let port = namespace.control_plane.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let port = listener.local_addr().expect("an address").port();
            tokio::spawn(async move { serve(listener, transport, router, Limits::default(), stopped).await });
            port
        });
        let name = format!("{order}-{}", namespace.name);
        let path = format!("/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/{name}");
        let configuration = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingWebhookConfiguration", "metadata": {"name": name},
            "webhooks": [{
                "name": "mutator.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None",
                "reinvocationPolicy": reinvocation,
                "clientConfig": {"url": format!("https://127.0.0.1:{port}/"), "caBundle": STANDARD.encode(&certificate)},
                "rules": [{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["deployments"]}],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace.name}},
            }],
        });
        namespace.control_plane.apply(&path, &configuration);
        Self { namespace, path, stop }
    }
}

impl Drop for Mutator<'_> {
    fn drop(&mut self) {
        let _ = self.namespace.control_plane.send(As::Administrator, "DELETE", &self.path, "", &Value::Null);
        self.stop.cancel();
    }
}

fn answer(review: &Value, mutate: Mutate) -> Value {
    let patch = mutate(&review["request"]["object"]).to_string();
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "response": {"uid": review["request"]["uid"], "allowed": true, "patchType": "JSONPatch", "patch": STANDARD.encode(patch)},
    })
}

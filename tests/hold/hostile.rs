//! Who means harm, or sends too much: objects that would fill the memory, connections that are only held, texts that make parsers panic. Each is
//! refused in words or goes unnoticed, and the next request of anybody else is answered as ever, by the same process.

use std::net::TcpStream;

use serde_json::{Value, json};

use crate::support::{
    coalmine::{page, ports},
    control_plane::As,
    fixtures::{self, Template},
    kubectl::Apply::ServerSide,
    namespace::Namespace,
    results::row,
};

/// B is held as ever, by a process that never ended.
fn goes_on(namespace: &Namespace, started: &str) {
    namespace.apply(ServerSide, "B").succeeded();
    namespace.assert_phase("A", Some("B"), Some(coalmine_core::api::annotations::Phase::Held));
    assert_eq!(started, start_time(), "another process than before");
}

/// When the process began to count: a counter that begins anew tells that it ended.
fn start_time() -> String {
    let (status, text) = page(ports().1, "/metrics").expect("the metrics");
    assert_eq!(status, 200);
    let line = text.lines().find(|line| line.starts_with("process_start_time_seconds ")).map(ToOwned::to_owned);
    line.unwrap_or_else(|| panic!("{text}"))
}

fn put(namespace: &Namespace, object: &Value) -> String {
    let path = format!("/apis/apps/v1/namespaces/{}/deployments/app", namespace.name);
    let refused = namespace.control_plane.send(As::Administrator, "PUT", &path, "application/json", object);
    refused.expect_err("refused").message
}

#[test]
#[ignore = "needs a control plane"]
fn forty_thousand_variables_are_refused_in_words() {
    // An API server of 1.37 needs a second for them, and its whole 34 seconds for four times as many, without any webhook.
    let _row = row("a PUT with 40,000 small variables", "PUT", "denied by their number, unread");
    let namespace = Namespace::with_a(ServerSide);
    let started = start_time();
    let mut object = namespace.app();
    let variables: Vec<Value> = (0..40_000).map(|number| json!({"name": format!("V{number:x}")})).collect();
    object["spec"]["template"]["spec"]["containers"][0]["env"] = variables.into();
    let refused = put(&namespace, &object);
    assert!(refused.contains("canary: this Deployment has too many fields and items"), "{refused}");
    goes_on(&namespace, &started);
}

#[test]
#[ignore = "needs a control plane"]
fn connections_that_are_only_held_keep_nobody_out() {
    let _row = row("400 idle connections to the webhook, 100 to the metrics", "TCP", "the idlest go; requests are answered");
    let namespace = Namespace::with_a(ServerSide);
    let started = start_time();
    let (webhook, metrics) = ports();
    let hold = |port, count: usize| -> Vec<TcpStream> {
        (0..count).map(|_| TcpStream::connect(("127.0.0.1", port)).expect("a connection")).collect()
    };
    let _held = (hold(webhook, 400), hold(metrics, 100));
    for path in ["/livez", "/readyz"] {
        assert_eq!(page(metrics, path).expect("an answer").0, 200);
    }
    goes_on(&namespace, &started);
}

#[test]
#[ignore = "needs a control plane"]
fn a_text_that_makes_a_parser_panic_is_refused_in_words() {
    let _row = row("canary.checks with `up offset 1e20`", "kubectl apply --dry-run=server", "denied in words");
    let namespace = Namespace::with_a(ServerSide);
    let started = start_time();
    let mut manifest = fixtures::deployment("app", &Template::named("A"));
    manifest["metadata"]["annotations"]["canary.checks"] = json!("[{name: a, query: 'up offset 1e20', max: 1}]");
    let path = format!("/apis/apps/v1/namespaces/{}/deployments/app?fieldManager=kubectl&force=true&dryRun=All", namespace.name);
    let refused = namespace.control_plane.send(As::Administrator, "PATCH", &path, "application/apply-patch+yaml", &manifest);
    let refused = refused.expect_err("refused").message;
    assert!(refused.contains("canary.checks") || refused.contains("canary: Coalmine met a fault"), "{refused}");
    goes_on(&namespace, &started);
}

//! What `PodMonitors` and `ServiceMonitors` say, listed by Coalmine's own account: where they are not there, where it may not, and where it may.

use coalmine::controller::Monitors;
use coalmine_core::{
    manifest::object,
    metrics::pages::{Endpoint, monitored_places},
};
use serde_json::{Value, json};

use crate::support::{
    control_plane::{As, ControlPlane},
    eventually, fixtures,
    fixtures::Template,
    kinds::define,
    kubectl::Apply::ServerSide,
    namespace::Namespace,
};

const GROUP: &str = "monitoring.coreos.com";

fn places(app: &Value, endpoints: &[Endpoint]) -> String {
    let places = monitored_places(object::template(app), endpoints);
    places.iter().take(endpoints.len()).map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn look(control_plane: &ControlPlane, monitors: &Monitors, app: &Value) -> Vec<Endpoint> {
    control_plane.block_on(monitors.of(control_plane.client_of(As::Controller), app))
}

#[test]
#[ignore = "needs a control plane"]
fn monitors_say_where_pages_are_where_they_may_be_listed() {
    let namespace = Namespace::with_a(ServerSide);
    let (control_plane, app) = (namespace.control_plane, namespace.app());
    let before = Monitors::default();
    assert_eq!(look(control_plane, &before, &app), [], "no such kind");
    define(control_plane, GROUP, "v1", "PodMonitor", "podmonitors");
    define(control_plane, GROUP, "v1", "ServiceMonitor", "servicemonitors");
    let monitor = |kind: &str, spec: &Value| json!({"apiVersion": "monitoring.coreos.com/v1", "kind": kind, "metadata": {"name": "app"}, "spec": spec});
    let of_app = json!({"matchLabels": {"app": "app"}});
    let pods = monitor("PodMonitor", &json!({"selector": of_app, "podMetricsEndpoints": [{"port": "http", "path": "/stats"}]}));
    let services = monitor("ServiceMonitor", &json!({"selector": of_app, "endpoints": [{"port": "web", "scheme": "https"}]}));
    let service = json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "app", "labels": {"app": "app"}},
        "spec": {"selector": {"app": "app"}, "ports": [{"name": "web", "port": 80, "targetPort": 9102}]},
    });
    for object in [&service, &pods, &services] {
        // A new kind is known a moment after it is made.
        eventually("the kind to be known", || {
            let output = namespace.kubectl.apply(ServerSide, object);
            if output.code == 0 { Ok(()) } else { Err(output.stderr) }
        });
    }
    assert_eq!(look(control_plane, &Monitors::default(), &app), [], "it may not list them");

    let rights = control_plane.repository.join("deploy/monitors/rbac.yaml");
    namespace.kubectl.run(&["apply", "--server-side", "-f", &rights.display().to_string()]).succeeded();
    eventually("what they say", || {
        let found = places(&app, &look(control_plane, &Monitors::default(), &app));
        if found == ":8080/stats https :9102/metrics" { Ok(()) } else { Err(found) }
    });
    assert_eq!(look(control_plane, &before, &app), [], "what was refused isn't asked for again so soon");
    let mut other = fixtures::deployment("app", &Template::named("A"));
    other["metadata"]["namespace"] = json!("default");
    assert_eq!(look(control_plane, &Monitors::default(), &other), [], "in another namespace");
}

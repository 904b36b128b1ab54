//! At the edges: what the API server would refuse in the held template, sizes, names, a canary's name that is taken.

use coalmine_core::{
    api::annotations::{self as key, Phase},
    manifest::object,
};
use rstest::rstest;
use serde_json::{Value, json};

use super::held_name;
use crate::support::{
    control_plane::As,
    eventually,
    fixtures::{self, Template},
    kubectl::{
        Apply::{self, ClientSide, ServerSide},
        assert_said,
    },
    namespace::{Namespace, held},
    results::row,
};

fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut manifest = fixtures::deployment("app", &Template::named("B"));
    change(&mut manifest["spec"]["template"]);
    manifest
}

#[rstest]
#[case::a_field_without_value("a container without an image", |template: &mut Value| template["spec"]["containers"][0]["image"] = json!(""))]
#[case::more_than_the_limit("a request above its limit", |template: &mut Value| {
    template["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "2"}, "limits": {"cpu": "1"}});
})]
#[case::a_missing_volume("a mount without its volume", |template: &mut Value| {
    template["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "gone", "mountPath": "/x"}]);
})]
#[case::other_labels("labels that do not match the selector", |template: &mut Value| template["metadata"]["labels"] = json!({"app": "other"}))]
#[ignore = "needs a control plane"]
fn what_the_api_server_would_refuse_is_refused_at_apply(#[case] what: &str, #[case] change: fn(&mut Value)) {
    let _row = row(&format!("a template with {what}"), "kubectl apply", "denied at apply, in the API server's words");
    let namespace = Namespace::with_a(ClientSide);
    let output = namespace.kubectl.apply(ClientSide, &changed(change)).failed();
    assert!(output.stderr.contains(r#"Deployment.apps "app" is invalid"#) || output.stderr.contains("Invalid value"), "{}", output.stderr);
    namespace.assert_phase("A", None, None);
}

#[rstest]
#[ignore = "needs a control plane"]
fn a_misspelt_field_is_refused_as_ever(#[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("a template with a misspelt field", how.words(), "denied by the API server itself");
    let namespace = Namespace::with_a(how);
    let manifest = changed(|template| template["spec"]["containers"][0]["imagee"] = json!("x"));
    let output = namespace.kubectl.apply(how, &manifest).failed();
    assert!(output.stderr.contains("imagee"), "{}", output.stderr);
}

/// `fileKeyRef` and `hostnameOverride` are of Kubernetes 1.34, on by default from 1.35 on; the libraries that Coalmine is built with are
/// of 1.33 and know neither.
#[rstest]
#[ignore = "needs a control plane"]
fn fields_newer_than_our_libraries_come_through(#[values(ClientSide, ServerSide)] how: Apply) {
    let newer = |template: &str, key: &str| {
        let mut manifest = fixtures::deployment("app", &Template::named(template));
        manifest["spec"]["template"]["spec"]["hostnameOverride"] = json!(format!("host-{key}"));
        manifest["spec"]["template"]["spec"]["volumes"] = json!([{"name": "files", "emptyDir": {}}]);
        let from_file = json!({"fileKeyRef": {"volumeName": "files", "path": "env", "key": key}});
        manifest["spec"]["template"]["spec"]["containers"][0]["env"] = json!([{"name": "FROM_FILE", "valueFrom": from_file}]);
        manifest
    };
    let namespace = Namespace::new();
    let minor: u32 = namespace.control_plane.version.split('.').nth(1).unwrap().parse().unwrap();
    if minor < 35 {
        let _row = row("fields newer than Coalmine's libraries", how.words(), "unknown to this API server, too: denied by itself");
        namespace.kubectl.apply(how, &newer("A", "one")).failed();
        return;
    }
    let _row = row("fields newer than Coalmine's libraries", how.words(), "held and promoted, byte for byte");
    let plain = Namespace::without_coalmine();
    for manifest in [newer("A", "one"), newer("B", "two")] {
        plain.kubectl.apply(how, &manifest).succeeded();
        namespace.kubectl.apply(how, &manifest).succeeded();
    }
    let expected = plain.app()["spec"]["template"].to_string();
    assert!(expected.contains(r#""fileKeyRef":{"key":"two""#) && expected.contains("host-two"), "{expected}");
    let app = namespace.app();
    assert_eq!(held(&app).unwrap().template.to_string(), expected);
    assert!(app["spec"]["template"].to_string().contains(r#""fileKeyRef":{"key":"one""#), "A keeps its own");
    namespace.assert_no_write(|| namespace.kubectl.apply(how, &newer("B", "two")).succeeded());
    namespace.promote();
    assert_eq!(namespace.app()["spec"]["template"].to_string(), expected);
    namespace.assert_no_write(|| namespace.kubectl.apply(how, &newer("B", "two")).succeeded());
}

#[test]
#[ignore = "needs a control plane"]
fn a_quota_that_leaves_no_room_is_told_at_apply() {
    let _row = row("a quota that leaves no room for the canary", "kubectl apply", "denied at apply, with the quota's words");
    let namespace = Namespace::with_a(ServerSide);
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"},
        "spec": {"hard": {"count/deployments.apps": "1"}}});
    namespace.kubectl.apply(ServerSide, &quota).succeeded();
    let path = format!("/api/v1/namespaces/{}/resourcequotas/few", namespace.name);
    eventually("the quota to be counted", || {
        let used = namespace.control_plane.get(&path)["status"]["used"]["count/deployments.apps"].clone();
        if used == "1" { Ok(()) } else { Err(used.to_string()) }
    });
    let output = namespace.apply(ServerSide, "B").failed();
    assert_said!(output, @r#"Error from server (Forbidden): admission webhook "deployments.coalmine.dev" denied the request: canary: the API server refuses this template: deployments.apps "app" is forbidden: exceeded quota: few, requested: count/deployments.apps=1, used: count/deployments.apps=1, limited: count/deployments.apps=1 (asked about its canary: one replica, labelled coalmine.dev/role: canary)"#);
}

/// A `ValidatingAdmissionPolicy` for one namespace.
struct Policy<'a> {
    namespace: &'a Namespace,
    name: String,
}

const GROUP: &str = "/apis/admissionregistration.k8s.io/v1";

impl<'a> Policy<'a> {
    /// Against images with this tag.
    fn against(namespace: &'a Namespace, tag: &str) -> Self {
        let expression = format!("object.spec.template.spec.containers.all(c, !c.image.endsWith(':{tag}'))");
        Self::of(
            namespace,
            &expression,
            &format!("images with the tag {tag} are not allowed here"),
            &fixtures::plain("probe", &Template::named(tag)),
        )
    }

    /// `probe` is refused once it counts.
    fn of(namespace: &'a Namespace, expression: &str, message: &str, probe: &Value) -> Self {
        let name = format!("policy-{}", namespace.name);
        let policy = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name},
            "spec": {
                "matchConstraints": {"resourceRules": [{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
                    "resources": ["deployments"]}]},
                "validations": [{"expression": expression, "message": message}],
            },
        });
        let binding = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name},
            "spec": {"policyName": name, "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace.name}}}},
        });
        namespace.control_plane.apply(&format!("{GROUP}/validatingadmissionpolicies/{name}"), &policy);
        namespace.control_plane.apply(&format!("{GROUP}/validatingadmissionpolicybindings/{name}"), &binding);
        let path = format!("/apis/apps/v1/namespaces/{}/deployments?dryRun=All", namespace.name);
        eventually("the policy to count", || {
            namespace.control_plane.post(&path, probe).map_or(Ok(()), |_| Err("still allowed".to_owned()))
        });
        Self { namespace, name }
    }
}

impl Drop for Policy<'_> {
    fn drop(&mut self) {
        for kind in ["validatingadmissionpolicybindings", "validatingadmissionpolicies"] {
            let path = format!("{GROUP}/{kind}/{}", self.name);
            let _ = self.namespace.control_plane.send(As::Administrator, "DELETE", &path, "", &Value::Null);
        }
    }
}

#[test]
#[ignore = "needs a control plane"]
fn a_policy_that_refuses_the_template_is_told_at_apply() {
    let _row = row("a ValidatingAdmissionPolicy that refuses the template", "kubectl apply", "denied at apply, with the policy's words");
    let namespace = Namespace::with_a(ServerSide);
    let _policy = Policy::against(&namespace, "b");
    let output = namespace.apply(ServerSide, "B").failed();
    let told = "images with the tag b are not allowed here (asked about its canary: one replica, labelled coalmine.dev/role: canary)";
    assert!(output.said().contains(told), "{}", output.said());
    namespace.assert_phase("A", None, None);
}

/// As policies ask of every Deployment for the team that owns it.
#[test]
#[ignore = "needs a control plane"]
fn a_label_that_a_policy_asks_for_is_on_the_canary_too() {
    let _row = row("a ValidatingAdmissionPolicy that asks each Deployment for a label", "kubectl apply", "held");
    let namespace = Namespace::with_a(ServerSide);
    namespace.kubectl.run(&["label", "deployment/app", "team=shop"]).succeeded();
    let expression = "has(object.metadata.labels) && 'team' in object.metadata.labels";
    let _policy = Policy::of(&namespace, expression, "each Deployment has a team", &fixtures::plain("probe", &Template::named("A")));
    let output = namespace.apply(ServerSide, "B").succeeded();
    assert!(output.said().contains("canary: template held"), "{}", output.said());
    namespace.assert_held("B");
}

/// Whoever mends their template must not be told of what they mended.
#[test]
#[ignore = "needs a control plane"]
fn a_policy_that_refuses_the_live_template_is_told_for_what_it_is() {
    let _row = row("a ValidatingAdmissionPolicy that is newer than A", "kubectl apply", "denied at apply, with the way out");
    let namespace = Namespace::with_a(ServerSide);
    let _policy = Policy::against(&namespace, "a");
    let output = namespace.apply(ServerSide, "B").failed().said().replace(&namespace.name, "NAMESPACE");
    let told = output.split_once("canary: ").expect("words of Coalmine").1;
    let (told, _) = told.split_once("deployments.apps").expect("the API server's words");
    assert_eq!(told, "the live template, which would stay while this one is tried, is no longer allowed here: ");
    assert!(output.contains("images with the tag a are not allowed here; let this one in untried: canary.bypass"), "{output}");
    let mut manifest = fixtures::deployment("app", &Template::named("B"));
    manifest["metadata"]["annotations"]["canary.bypass"] = json!("the policy wants it");
    namespace.kubectl.apply(ServerSide, &manifest).succeeded();
    namespace.assert_phase("B", None, Some(Phase::Bypassed));
}

#[test]
#[ignore = "needs a control plane"]
fn a_template_too_large_to_hold_is_denied_with_the_sizes() {
    let _row = row("a template too large to hold", "kubectl apply --server-side", "denied with the sizes");
    let namespace = Namespace::with_a(ServerSide);
    // Text that cannot be compressed.
    let mut state = 1_u64;
    let noise: String = (0..400_000)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b'!' + u8::try_from((state >> 33) % 90).unwrap())
        })
        .collect();
    let manifest = changed(|template| template["spec"]["containers"][0]["env"] = json!([{"name": "NOISE", "value": noise}]));
    let output = namespace.kubectl.apply(ServerSide, &manifest).failed();
    // The server's version decides on some bytes more or less.
    let said = output.said();
    let sizes: Vec<&str> = said.split([' ', '(']).filter(|word| word.starts_with("448,") || word.starts_with("457,")).collect();
    assert_eq!(sizes.len(), 2, "{said}");
    let said = sizes.iter().fold(said.clone(), |said, size| said.replace(size, &format!("{},000", &size[..3])));
    insta::assert_snapshot!(said, @r#"Error from server (Forbidden): admission webhook "deployments.coalmine.dev" denied the request: canary: holding this template needs 457,000 bytes of annotations (448,000 of them for the held template), more than the 262,144 that an object may have; shorten the manifest, or let the template through with canary.bypass"#);
    namespace.assert_phase("A", None, None);
}

#[rstest]
#[ignore = "needs a control plane"]
fn a_large_template_is_held(#[values(ClientSide, ServerSide)] how: Apply) {
    let _row = row("a template of 100 kB", how.words(), "held; B again no write");
    let namespace = Namespace::with_a(how);
    let manifest = changed(|template| {
        let list: Vec<Value> =
            (0..1000).map(|n| json!({"name": format!("V{n}"), "value": format!("a value of some length {n}")})).collect();
        template["spec"]["containers"][0]["env"] = list.into();
    });
    namespace.kubectl.apply(how, &manifest).succeeded();
    let app = namespace.app();
    assert_eq!(held_name(&app), Some("B".to_owned()));
    let bytes = object::annotation(&app, key::HELD).unwrap().len();
    assert!(bytes < 60_000, "{bytes} bytes");
    namespace.assert_no_write(|| namespace.kubectl.apply(how, &manifest).succeeded());
    namespace.promote();
    namespace.assert_no_write(|| namespace.kubectl.apply(how, &manifest).succeeded());
}

#[test]
#[ignore = "needs a control plane"]
fn a_very_long_name_is_held() {
    let _row = row("a Deployment with a name of 200 characters", "kubectl apply", "held");
    let namespace = Namespace::new();
    let name = "long-".repeat(40);
    let name = name.trim_end_matches('-');
    namespace.kubectl.apply(ClientSide, &fixtures::deployment(name, &Template::named("A"))).succeeded();
    let output = namespace.kubectl.apply(ClientSide, &fixtures::deployment(name, &Template::named("B"))).succeeded();
    assert!(output.stderr.lines().all(|line| line.chars().count() <= "Warning: ".len() + 120), "{}", output.stderr);
    assert!(output.stderr.contains("template held"), "{}", output.stderr);
    assert_eq!(held_name(&namespace.control_plane.get(&namespace.path(name))), Some("B".to_owned()));
}

#[test]
#[ignore = "needs a control plane"]
fn a_template_that_already_has_a_tier_keeps_it() {
    let _row = row("a template with a label tier of its own", "kubectl apply", "held and promoted with its tier");
    let namespace = Namespace::with_a(ClientSide);
    namespace.kubectl.apply(ClientSide, &changed(|template| template["metadata"]["labels"]["tier"] = json!("web"))).succeeded();
    assert_eq!(held(&namespace.app()).unwrap().template["metadata"]["labels"]["tier"], "web");
    namespace.promote();
    let promoted = namespace.assert_phase("B", None, Some(Phase::Promoted));
    assert_eq!(promoted["spec"]["template"]["metadata"]["labels"]["tier"], "web");
}

#[test]
#[ignore = "needs a control plane"]
fn a_stranger_with_the_canarys_name_does_not_stand_in_the_way_of_the_hold() {
    let _row = row("a Deployment <name>-canary that isn't Coalmine's", "kubectl apply", "B held (the controller says whose name it is)");
    let namespace = Namespace::with_a(ClientSide);
    let mut stranger = fixtures::plain("app-canary", &Template::named("A"));
    stranger["spec"]["selector"]["matchLabels"] = json!({"app": "stranger"});
    stranger["spec"]["template"]["metadata"]["labels"] = json!({"app": "stranger"});
    namespace.kubectl.apply(ClientSide, &stranger).succeeded();
    namespace.apply(ClientSide, "B").succeeded();
    namespace.assert_held("B");
}

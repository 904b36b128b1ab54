//! Beside a `MutatingAdmissionPolicy` that is newer than the live template: the API server itself changes what comes, before webhooks and, where it
//! asks for it, once more after them.

use coalmine_core::{api::annotations::Phase, manifest::object};
use rstest::rstest;
use serde_json::{Value, json};

use super::neighbours::await_mutation;
use crate::support::{
    control_plane::As,
    kubectl::Apply::{self, ClientSide, ServerSide},
    namespace::{Namespace, held},
    results::row,
};

const GROUP: &str = "/apis/admissionregistration.k8s.io/v1";

/// In one namespace, taken away at the end.
struct Policy<'a> {
    namespace: &'a Namespace,
    name: String,
}

impl<'a> Policy<'a> {
    /// Writes another registry in place of the stated one.
    fn mirror(namespace: &'a Namespace, reinvocation: &str) -> Self {
        let name = format!("mirror-{}", namespace.name);
        let image = "object.spec.template.spec.containers[0].image";
        let patch = format!(
            r#"[JSONPatch{{op: "replace", path: "/spec/template/spec/containers/0/image", value: {image}.replace("registry.example/", "mirror.example/")}}]"#
        );
        let policy = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy", "metadata": {"name": name},
            "spec": {
                "failurePolicy": "Fail", "reinvocationPolicy": reinvocation,
                "matchConstraints": {"resourceRules": [{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
                    "resources": ["deployments"]}]},
                "matchConditions": [{"name": "stated", "expression": format!("{image}.startsWith('registry.example/')")}],
                "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}],
            },
        });
        let binding = json!({
            "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": name},
            "spec": {"policyName": name, "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace.name}}}},
        });
        namespace.control_plane.apply(&format!("{GROUP}/mutatingadmissionpolicies/{name}"), &policy);
        namespace.control_plane.apply(&format!("{GROUP}/mutatingadmissionpolicybindings/{name}"), &binding);
        await_mutation(namespace, is_mirrored);
        Self { namespace, name }
    }
}

impl Drop for Policy<'_> {
    fn drop(&mut self) {
        for kind in ["mutatingadmissionpolicybindings", "mutatingadmissionpolicies"] {
            let path = format!("{GROUP}/{kind}/{}", self.name);
            let _ = self.namespace.control_plane.send(As::Administrator, "DELETE", &path, "", &Value::Null);
        }
    }
}

fn is_mirrored(template: &Value) -> bool {
    template["spec"]["containers"][0]["image"].as_str().unwrap().starts_with("mirror.example/")
}

#[rstest]
#[ignore = "needs a control plane"]
fn a_newer_policy_changes_what_is_tried_and_not_what_is_live(
    #[values("Never", "IfNeeded")] reinvocation: &str,
    #[values(ClientSide, ServerSide)] how: Apply,
) {
    let _row =
        row("beside a MutatingAdmissionPolicy that is newer than A", how.words(), "held; A stays as it is; B again no write; promoted");
    let namespace = Namespace::with_a(how);
    let before = namespace.app();
    let _policy = Policy::mirror(&namespace, reinvocation);
    namespace.apply(how, "B").succeeded();
    let app = namespace.assert_held("B");
    assert_eq!(app["spec"], before["spec"]);
    assert!(is_mirrored(&held(&app).unwrap().template), "what is tried is what will run");
    namespace.assert_no_write(|| namespace.apply(how, "B").succeeded());
    namespace.kubectl.run(&["label", "deployment/app", "x=y"]).succeeded();
    let app = namespace.assert_held("B");
    assert_eq!(app["spec"], before["spec"]);
    namespace.kubectl.run(&["set", "env", "deployment/app", "NEW=1"]).succeeded();
    assert_eq!(namespace.app()["spec"], before["spec"]);
    let promoted = namespace.promote();
    assert!(is_mirrored(object::template(&promoted)));
    assert_eq!(object::template(&promoted)["spec"]["containers"][0]["env"].as_array().map(Vec::len), Some(3));
    namespace.assert_no_write(|| namespace.kubectl.run(&["label", "deployment/app", "x=y"]).succeeded());
}

/// It changes A as well, with each write that anybody makes: that is tried as any other change.
#[rstest]
#[ignore = "needs a control plane"]
fn what_it_makes_of_the_live_template_is_tried(#[values("Never", "IfNeeded")] reinvocation: &str) {
    let _row = row(
        "a label, beside a MutatingAdmissionPolicy that is newer than A",
        "kubectl",
        "its change of A held; a verdict is written beside it",
    );
    let namespace = Namespace::with_a(ServerSide);
    let before = namespace.app();
    let _policy = Policy::mirror(&namespace, reinvocation);
    namespace.kubectl.run(&["label", "deployment/app", "x=y"]).succeeded();
    let app = namespace.app();
    assert_eq!(app["spec"], before["spec"]);
    assert!(is_mirrored(&held(&app).expect("held").template));
    namespace.judge(Phase::Running, "running");
    namespace.judge(Phase::Rejected, "error rate 48.1%");
    assert_eq!(namespace.app()["spec"], before["spec"]);
}

//! Who asked for a template goes with its canary and its promotion, where policies look for it: the requests are Coalmine's own.

use coalmine_core::{api::annotations as key, manifest::object, run::canary};
use serde_json::{Value, json};

use crate::support::{
    control_plane::As,
    eventually,
    fixtures::{self, Template},
    kubectl::Apply::ServerSide,
    namespace::{Namespace, held},
    results::row,
};
use coalmine_core::api::label::Label;

/// Policies see Coalmine's name on the canary and on the promotion; the annotations say whose template it is.
#[test]
#[ignore = "needs a control plane"]
fn who_asked_goes_with_the_canary_and_the_promotion() {
    let _row = row("B by one user, a change by another", "kubectl --as", "both named, with the groups of both; nobody can write it");
    let namespace = Namespace::with_a(ServerSide);
    let asked = |app: &Value| [key::REQUESTED_BY, key::REQUESTED_BY_GROUPS].map(|name| object::annotation(app, name).map(str::to_owned));
    let said = |name: &str, groups: &str| [Some(name.to_owned()), Some(groups.to_owned())];
    let b = fixtures::deployment("app", &Template::named("B"));
    let ann = ["--as=ann", "--as-group=devs", "--as-group=system:masters"];
    namespace.kubectl.apply_with(ServerSide, &b, &[&ann[..], &["--force-conflicts"]].concat()).succeeded();
    assert_eq!(asked(&namespace.app()), said("ann", r#"["devs","system:masters","system:authenticated"]"#));
    let bob = ["--as=bob", "--as-group=ops", "--as-group=system:masters"];
    namespace.kubectl.run(&[&["set", "env", "deployment/app", "NEW=1"], &bob[..]].concat()).succeeded();
    let app = namespace.app();
    let both = said("ann, bob", r#"["system:masters","system:authenticated"]"#);
    assert_eq!(asked(&app), both);
    let run = object::annotation(&app, key::RUN).unwrap();
    let canary = canary::deployment(&app, held(&app).unwrap().template, run, &Label::new("tier", "canary"));
    let path = format!("/apis/apps/v1/namespaces/{}/deployments", namespace.name);
    let canary = namespace.control_plane.send(As::Controller, "POST", &path, "application/json", &canary).unwrap();
    let of_canary = [key::CANARY_REQUESTED_BY, key::CANARY_REQUESTED_BY_GROUPS];
    assert_eq!(of_canary.map(|name| object::annotation(&canary, name).map(str::to_owned)), both);
    let forged = format!("{}=root", key::REQUESTED_BY);
    namespace.kubectl.run(&["annotate", "deployment/app", "--overwrite", &forged]).succeeded();
    namespace.promote();
    assert_eq!(asked(&namespace.app()), both);
}

/// Refuses what Coalmine writes of templates that others than ann asked for.
fn only_anns(namespace: &Namespace) -> [Value; 2] {
    let name = &namespace.name;
    let asked = "object.metadata.?annotations[?'coalmine.dev/requested-by'].orValue(
        object.metadata.?annotations[?'canary.state/requested-by'].orValue(''))";
    let changes = "oldObject == null || object.spec.template != oldObject.spec.template";
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name},
        "spec": {
            "matchConstraints": {"resourceRules": [
                {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["deployments"]}]},
            "matchConditions": [
                {"name": "by-coalmine", "expression": "request.userInfo.username.endsWith(':coalmine')"},
                {"name": "a-template", "expression": changes}],
            "validations": [{"expression": format!("{asked} == 'ann'"), "message": "only ann may"}],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"],
                 "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}},
    });
    [policy, binding]
}

#[test]
#[ignore = "needs a control plane"]
fn a_policy_can_ask_who_wrote_the_template() {
    let _row = row("a ValidatingAdmissionPolicy about who asked", "kubectl --as", "bob's template is refused, ann's promoted");
    let namespace = Namespace::with_a(ServerSide);
    let policy = only_anns(&namespace);
    for object in &policy {
        namespace.kubectl.apply(ServerSide, object).succeeded();
    }
    let apply = |template: &str, user: &str| {
        let who = [&format!("--as={user}"), "--as-group=system:masters", "--force-conflicts"];
        namespace.kubectl.apply_with(ServerSide, &fixtures::deployment("app", &Template::named(template)), &who)
    };
    // The API server takes a while to know a policy; what it lets in meanwhile is withdrawn.
    let refused = eventually("the policy to count", || {
        let output = apply("C", "bob");
        if output.code == 0 {
            apply("A", "bob").succeeded();
            return Err(output.said());
        }
        Ok(output.said())
    });
    assert!(refused.contains("only ann may"), "{refused}");
    apply("B", "ann").succeeded();
    namespace.promote();
    namespace.kubectl.run(&["set", "env", "deployment/app", "NEW=1", "--as=ann", "--as-group=system:masters"]).succeeded();
    // His part in it is his as well.
    let output = namespace.kubectl.run(&["set", "env", "deployment/app", "MORE=1", "--as=bob", "--as-group=system:masters"]).failed();
    assert!(output.said().contains("only ann may"), "{}", output.said());
    for object in &policy {
        let (kind, name) = (object["kind"].as_str().unwrap(), object::name(object));
        namespace.kubectl.run(&["delete", kind, name]).succeeded();
    }
}

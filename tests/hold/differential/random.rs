//! Random requests: templates that add, drop, reorder and change what templates have, patches of a part, and what becomes of each.
//! Nothing here knows what they do.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::step::{Gate, Step};

fn any_environment() -> impl Strategy<Value = Value> {
    let variable = ("V[A-D]", "[12]").prop_map(|(name, value)| json!({"name": name, "value": value}));
    // A name may come twice: kubectl merges such lists in ways of its own.
    proptest::collection::vec(variable, 0..4).prop_map(Value::from)
}

fn any_container(name: &'static str) -> impl Strategy<Value = Value> {
    let ports = prop_oneof![
        Just(json!([])),
        Just(json!([{"containerPort": 8080}])),
        Just(json!([{"containerPort": 8080, "name": "http"}, {"containerPort": 9090}])),
        Just(json!([{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53, "protocol": "TCP"}])),
    ];
    let probe = prop_oneof![
        Just(Value::Null),
        Just(json!({"httpGet": {"path": "/", "port": 8080}})),
        Just(json!({"tcpSocket": {"port": 8080}, "periodSeconds": 3})),
    ];
    let resources = prop_oneof![Just(Value::Null), Just(json!({})), Just(json!({"limits": {"cpu": "0.5", "memory": "1024Mi"}}))];
    let command = prop_oneof![Just(Value::Null), Just(json!(["serve", "--fast"]))];
    ("[ab]", any_environment(), ports, probe, resources, command).prop_map(move |(image, env, ports, probe, resources, command)| {
        json!({"name": name, "image": format!("registry.example/{name}:{image}"), "env": env, "ports": ports,
               "readinessProbe": probe, "resources": resources, "command": command})
    })
}

fn any_template() -> impl Strategy<Value = Value> {
    let volumes = prop_oneof![
        Just(Value::Null),
        Just(json!([{"name": "data", "emptyDir": {}}])),
        Just(json!([{"name": "data", "emptyDir": {"medium": "Memory"}}, {"name": "more", "configMap": {"name": "c", "optional": true}}])),
    ];
    let labels =
        prop_oneof![Just(json!({"app": "app"})), Just(json!({"app": "app", "team": "x"})), Just(json!({"app": "app", "tier": "web"}))];
    let annotations = prop_oneof![Just(Value::Null), Just(json!({"a": "1"})), Just(json!({"a": "2", "b": ""}))];
    let side = proptest::option::of(any_container("side"));
    let grace = prop_oneof![Just(Value::Null), Just(json!(5))];
    let secrets = prop_oneof![Just(Value::Null), Just(json!([{"name": "x"}])), Just(json!([{"name": "y"}, {"name": "x"}]))];
    let nodes = prop_oneof![Just(Value::Null), Just(json!({})), Just(json!({"disk": "ssd"}))];
    let toleration = |key: &str| json!({"key": key, "operator": "Exists"});
    // There always are some: a patch that puts one more among none is refused, by the template that it meets.
    let tolerations = prop_oneof![
        3 => Just(json!([toleration("a")])),
        1 => Just(json!([toleration("a"), toleration("b")])),
        1 => Just(json!([toleration("b")])),
    ];
    (any_container("app"), side, proptest::bool::ANY, volumes, labels, annotations, (grace, secrets, nodes, tolerations)).prop_map(
        |(app, side, side_first, volumes, labels, annotations, (grace, secrets, nodes, tolerations))| {
            let mut containers = vec![app];
            if let Some(side) = side {
                containers.insert(usize::from(!side_first), side);
            }
            json!({"metadata": {"labels": labels, "annotations": annotations},
                   "spec": {"containers": containers, "volumes": volumes, "terminationGracePeriodSeconds": grace,
                            "imagePullSecrets": secrets, "nodeSelector": nodes, "tolerations": tolerations}})
        },
    )
}

fn any_patch() -> impl Strategy<Value = Step> {
    let in_template = |template: Value| json!({"spec": {"template": template}});
    prop_oneof![
        "[a-c]".prop_map(move |image| {
            let container = json!({"name": "app", "image": format!("registry.example/app:{image}")});
            Step::Strategic(in_template(json!({"spec": {"containers": [container]}})))
        }),
        ("V[A-E]", "[1-3]").prop_map(move |(name, value)| {
            let container = json!({"name": "app", "env": [{"name": name, "value": value}]});
            Step::Strategic(in_template(json!({"spec": {"containers": [container]}})))
        }),
        "[1-3]".prop_map(move |time| Step::Merge(in_template(json!({"metadata": {"annotations": {"restartedAt": time}}})))),
        Just(Step::Merge(in_template(json!({"metadata": {"annotations": null}})))),
        Just(Step::Merge(in_template(json!({"spec": {"nodeSelector": {"disk": "hdd"}}})))),
        Just(Step::Strategic(in_template(json!({"spec": {"imagePullSecrets": [{"name": "z"}]}})))),
        "[a-c]".prop_map(|image| {
            let value = format!("registry.example/app:{image}");
            Step::Json(json!([{"op": "replace", "path": "/spec/template/spec/containers/app/image", "value": value}]))
        }),
        Just(Step::Json(json!([{"op": "add", "path": "/spec/template/spec/containers/app/env", "value": []}]))),
        "[xy]".prop_map(|key| {
            let value = json!({"key": key, "operator": "Exists"});
            Step::Json(json!([{"op": "add", "path": "/spec/template/spec/tolerations/-", "value": value}]))
        }),
    ]
}

/// What a second applier states: a container of its own, or something in another's. Its images come from no file, so that the two don't
/// fight over one thing (each would have its way when it comes again, with or without Coalmine).
fn any_part() -> impl Strategy<Value = Step> {
    let in_container = |container: Value| Step::SecondApply(json!({"spec": {"containers": [container]}}));
    prop_oneof![
        "[1-3]".prop_map(move |tag| in_container(json!({"name": "second", "image": format!("registry.example/second:{tag}")}))),
        "[1-3]".prop_map(move |value| in_container(json!({"name": "app", "env": [{"name": "SECOND", "value": value}]}))),
        "[1-3]".prop_map(|value| Step::SecondApply(json!({"metadata": {"labels": {"second": value}}}))),
        "[1-3]".prop_map(|value| Step::SecondApply(json!({"metadata": {"annotations": {"second": value}}}))),
    ]
}

/// What others do to the live object beside whoever has the file.
fn any_other_client() -> impl Strategy<Value = Step> {
    let in_app = |container: Value| json!({"spec": {"template": {"spec": {"containers": [container]}}}});
    prop_oneof![
        3 => ("[1-3]").prop_map(move |value| Step::Reload(in_app(json!({"name": "app", "env": [{"name": "STAKATER", "value": value}]})))),
        1 => ("[a-c]").prop_map(move |image| {
            let container = json!({"name": "app", "image": format!("registry.example/app:{image}")});
            if image == "c" { Step::Reload(in_app(container)) } else { Step::Operate(in_app(container)) }
        }),
        1 => Just(Step::OwnAnnotations),
        2 => (1_u32..3).prop_map(Step::Restart),
        2 => Just(Step::Undo),
        1 => Just(Step::OptOut),
        1 => Just(Step::OptIn),
        1 => (1_u32..3).prop_map(Step::Retry),
        1 => proptest::sample::select(vec!["kubectl-annotate", "kubectl-client-side-apply", "kubectl-set", "kubectl-patch", "Reloader", "operator"])
            .prop_map(Step::CleanUp),
    ]
}

/// Words of people.
fn any_gate() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => Just(Gate::AskForApproval),
        2 => Just(Gate::Approve),
        1 => proptest::bool::ANY.prop_map(Gate::Pause),
        1 => Just(Gate::PromoteByHand),
        1 => Just(Gate::RejectByHand),
        1 => proptest::bool::ANY.prop_map(Gate::Freeze),
    ]
    .prop_map(Step::Gate)
}

/// Mostly files, from a few of them, so that the same one comes again.
pub(super) fn any_sequence() -> impl Strategy<Value = Vec<Step>> {
    let files = proptest::collection::vec(any_template(), 2..4);
    (files, proptest::bool::ANY).prop_flat_map(|(files, server_side)| {
        let file = proptest::sample::select(files.clone());
        let apply = file.prop_flat_map(move |template| {
            let (same, other) = if server_side {
                (Step::ServerSideApply(template.clone()), Step::ClientSideApply(template))
            } else {
                (Step::ClientSideApply(template.clone()), Step::ServerSideApply(template))
            };
            prop_oneof![9 => Just(same), 1 => Just(other)]
        });
        let put = proptest::sample::select(files).prop_map(Step::Put);
        let step = prop_oneof![
            6 => apply.clone(),
            2 => any_patch(),
            2 => any_part(),
            1 => (0_u32..4).prop_map(Step::Scale),
            2 => any_other_client(),
            1 => put,
            1 => any_gate(),
            4 => Just(Step::Promote),
            1 => Just(Step::Reject),
        ];
        (apply, proptest::collection::vec(step, 3..9)).prop_map(|(first, rest)| std::iter::once(first).chain(rest).collect())
    })
}

//! How each thing that somebody does is sent: by the real kubectl, or as a program does it that is not here. Compares nothing.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use coalmine_core::{api::annotations as key, manifest::object};
use serde_json::{Value, json};

use super::manifest;
use crate::support::{
    control_plane::Refused,
    eventually,
    kubectl::{
        Apply::{self, ClientSide, ServerSide},
        Output,
    },
    namespace::Namespace,
};

/// What somebody does. Of a file, the version is what is in it.
#[derive(Clone, Copy, Debug)]
pub(in crate::hold) enum Do {
    Apply(&'static str),
    /// By the other way of applying than the one before.
    ApplyOtherwise(&'static str, &'static [&'static str]),
    /// In a set, which prunes what isn't in it any more.
    ApplySet(&'static str),
    Replace(&'static str, &'static [&'static str]),
    Run(&'static [&'static str]),
    Edit(&'static str),
    /// The same by another command.
    EditBy(&'static [&'static str], &'static str),
    Patch(&'static str, &'static str),
    /// What `get` shows, edited, and put in its place.
    GetAndReplace(&'static str),
    /// The same, applied.
    GetAndApply(&'static str),
    /// Which has no records of who applied it.
    Create(&'static str),
    /// By client-side apply, whatever the way of the table.
    ByClientSide(&'static str, &'static [&'static str]),
    /// kubectl by another name.
    RunAs(&'static str, &'static [&'static str]),
    /// By a program of this name, which names no field manager.
    Send(&'static str, Body),
    /// Of what is held, where anything is.
    Promote,
}

/// What a program sends.
#[derive(Clone, Copy, Debug)]
pub(in crate::hold) enum Body {
    /// Of this kind.
    Patch(&'static str, &'static str),
    /// What it has read, with another value in one place.
    Put(&'static str, &'static str),
    /// The specification of file A in its place, as a whole, with that many replicas and another image.
    Spec { replicas: u32, image: &'static str },
    /// What it has read, with nothing but its own annotations.
    PutAnnotations,
    /// The template of the first revision, and with it its annotations.
    Revision { annotations: bool },
}

use Do::{
    ApplyOtherwise, ApplySet, ByClientSide, Create, Edit, EditBy, GetAndApply, GetAndReplace, Patch, Promote, Replace, Run, RunAs, Send,
};

pub(super) fn other(how: Apply) -> Apply {
    if how == ClientSide { ServerSide } else { ClientSide }
}

pub(super) fn send(world: &Namespace, how: Apply, step: Do) -> Output {
    match step {
        Do::Apply(version) => world.kubectl.apply(how, &manifest(version)),
        ApplyOtherwise(version, more) => world.kubectl.apply_with(other(how), &manifest(version), more),
        ApplySet(version) => {
            let mut arguments = vec!["apply", "-f", "-", "--prune", "--applyset=set"];
            if how == ServerSide {
                arguments.extend(["--server-side", "--force-conflicts"]);
            }
            world.kubectl.run_with(&arguments, &manifest(version).to_string(), &[("KUBECTL_APPLYSET", "true")])
        }
        Replace(version, more) => {
            let arguments = [&["replace", "-f", "-"], more].concat();
            // kubectl reads the version first: the Deployment controller may come in between.
            eventually("a replace without a conflict", || {
                let output = world.kubectl.run_with(&arguments, &manifest(version).to_string(), &[]);
                if output.stderr.contains("(Conflict)") { Err(output.stderr) } else { Ok(output) }
            })
        }
        Run(arguments) => world.kubectl.run(arguments),
        Edit(expression) => send(world, how, EditBy(&["edit", "deployment/app"], expression)),
        EditBy(command, expression) => {
            let editor = format!("sed -i {expression}");
            world.kubectl.run_with(command, "", &[("KUBE_EDITOR", &editor)])
        }
        Patch(kind, body) => world.kubectl.run(&["patch", "deployment/app", &format!("--type={kind}"), &format!("--patch={body}")]),
        GetAndApply(expression) => {
            let mut arguments = vec!["apply", "-f", "-"];
            if how == ServerSide {
                arguments.extend(["--server-side", "--force-conflicts"]);
            }
            eventually("an apply without a conflict", || {
                let output = world.kubectl.run_with(&arguments, &shown(world, expression), &[]);
                if output.stderr.contains("the object has been modified") { Err(output.stderr) } else { Ok(output) }
            })
        }
        Create(version) => world.kubectl.run_with(&["create", "-f", "-"], &manifest(version).to_string(), &[]),
        ByClientSide(version, more) => world.kubectl.apply_with(ClientSide, &manifest(version), more),
        RunAs(program, arguments) => world.kubectl.run_as(program, arguments),
        Send(program, body) => answer(
            world,
            eventually("a request without a conflict", || match by_program(world, program, body) {
                Err(refused) if refused.code == 409 => Err(refused.message),
                other => Ok(other.err().map(|refused| refused.message)),
            }),
        ),
        GetAndReplace(expression) => eventually("a replace without a conflict", || {
            let edited = shown(world, expression);
            let output = world.kubectl.run_with(&["replace", "-f", "-"], &edited, &[]);
            if output.stderr.contains("(Conflict)") { Err(output.stderr) } else { Ok(output) }
        }),
        Promote => unreachable!("no request"),
    }
}

/// What `get` shows, edited.
fn shown(world: &Namespace, expression: &str) -> String {
    let shown = world.kubectl.run(&["get", "deployment/app", "--output=yaml"]).succeeded().stdout;
    let mut sed = Command::new("sed").arg(expression).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sed");
    sed.stdin.take().expect("a pipe").write_all(shown.as_bytes()).expect("sed reads");
    String::from_utf8(sed.wait_with_output().expect("sed ends").stdout).expect("text")
}

fn by_program(world: &Namespace, program: &str, body: Body) -> Result<Value, Refused> {
    let send = |method: &str, content_type: &str, body: &Value| {
        world.control_plane.send_by(program, method, &world.path("app"), content_type, body)
    };
    let mut app = world.app();
    match body {
        Body::Patch(kind, text) => send("PATCH", &format!("application/{kind}-patch+json"), &serde_json::from_str(text).expect("JSON")),
        Body::Put(place, value) => {
            *app.pointer_mut(place).expect("a place") = value.into();
            send("PUT", "application/json", &app)
        }
        Body::Spec { replicas, image } => {
            let mut spec = manifest("A")["spec"].take();
            spec["replicas"] = replicas.into();
            spec["template"]["spec"]["containers"][0]["image"] = image.into();
            send("PATCH", "application/json-patch+json", &json!([{"op": "replace", "path": "/spec", "value": spec}]))
        }
        Body::PutAnnotations => {
            app["metadata"]["annotations"] = json!({"canary.enabled": "true", "own": "1"});
            send("PUT", "application/json", &app)
        }
        Body::Revision { annotations } => {
            let list = world.control_plane.get(&format!("/apis/apps/v1/namespaces/{}/replicasets", world.name));
            let is_first = |set: &&Value| object::annotation(set, key::REVISION) == Some("1");
            let first = list["items"].as_array().expect("a list").iter().find(is_first).expect("the first revision");
            let mut template = object::template(first).clone();
            template["metadata"]["labels"].as_object_mut().expect("labels").remove("pod-template-hash");
            let mut patch = vec![json!({"op": "replace", "path": "/spec/template", "value": template})];
            if annotations {
                let kept = |of: &Value, kept: bool| -> Vec<(String, Value)> {
                    let all = object::annotations(of).clone().into_iter();
                    all.filter(|(name, _)| (name.starts_with("deployment.kubernetes.io/") || name == key::LAST_APPLIED) == kept).collect()
                };
                let value: serde_json::Map<String, Value> = kept(&app, true).into_iter().chain(kept(first, false)).collect();
                patch.push(json!({"op": "replace", "path": "/metadata/annotations", "value": value}));
            }
            send("PATCH", "application/json-patch+json", &patch.into())
        }
    }
}

fn answer(world: &Namespace, refused: Option<String>) -> Output {
    let code = refused.is_some().into();
    Output::of(code, refused.unwrap_or_default(), &world.name)
}

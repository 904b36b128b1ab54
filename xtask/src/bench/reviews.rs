//! Reviews as the API server sends them, posted to the real program over TLS: how long they take, and what they cost the API server.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    Row,
    https::Connection,
    json,
    program::{Kubectl, Program},
    text,
};
use crate::progress::say;

/// Of each kind.
const COUNT: u32 = 1000;
const SIZE: usize = 30_000;
const BUDGET: Duration = Duration::from_millis(5);

pub(super) fn measure(kubectl: &Kubectl, program: &Program) -> Result<Vec<Row>> {
    say(format_args!("posting {COUNT} reviews of each kind, {} kB per object", SIZE / 1000));
    let output = kubectl.run(&["get", "mutatingwebhookconfiguration", "zz-coalmine", "--output=json"])?;
    let authority = STANDARD.decode(text(&json(&output)?, "/webhooks/0/clientConfig/caBundle"))?;
    let mut connection = Connection::open(program.webhook_port, &authority)?;
    let live = stored(kubectl)?;

    let cpu = program.cpu_time()?;
    let mut held = Vec::new();
    for number in 0..COUNT {
        let mut sent = live.clone();
        sent["spec"]["template"]["spec"]["containers"][0]["image"] = json!(format!("localhost/bench:{number}"));
        held.push(post(&mut connection, &live, &sent)?);
    }
    let cpu = program.cpu_time()?.saturating_sub(cpu) / COUNT;
    let (half, in_process) = (percentile_in_process(program, "held", 50)?, percentile_in_process(program, "held", 99)?);

    let before = requests(kubectl)?;
    let mut passed = Vec::new();
    for number in 0..COUNT {
        let mut sent = live.clone();
        sent["metadata"]["labels"]["number"] = json!(number.to_string());
        passed.push(post(&mut connection, &live, &sent)?);
    }
    // Others ask the API server too; a request per review would be as many as there were reviews.
    let asked = (requests(kubectl)? - before) / f64::from(COUNT);
    Ok(vec![
        Row {
            what: "admission of a template change, in the process, p99",
            budget: super::seconds(BUDGET),
            measured: at_most(in_process),
            ok: in_process.is_some_and(|bound| bound <= BUDGET),
        },
        Row {
            what: "the same, p50; CPU time of the whole, TLS and dry run included",
            budget: "-".to_owned(),
            measured: format!("{}; {}", at_most(half), super::seconds(cpu)),
            ok: true,
        },
        Row {
            what: "the same with the dry run, seen by the client, p50 / p99",
            budget: "-".to_owned(),
            measured: both(&mut held),
            ok: true,
        },
        Row {
            what: "admission of anything else, seen by the client, p50 / p99",
            budget: "-".to_owned(),
            measured: both(&mut passed),
            ok: true,
        },
        Row {
            what: "admission of anything else: API calls",
            budget: "0".to_owned(),
            measured: format!("{:.0} (all clients: {asked:.2} per review)", asked.floor()),
            ok: asked < 0.5,
        },
    ])
}

/// A Deployment of that size as the API server stores it.
fn stored(kubectl: &Kubectl) -> Result<Value> {
    let variables: Vec<Value> =
        // A variable stands in the template, in last-applied and in the records: some 200 bytes in all.
        (0..SIZE / 200).map(|number| json!({"name": format!("VARIABLE_{number:04}"), "value": format!("value {number:>18}")})).collect();
    let manifest = json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "bench", "namespace": "default", "labels": {"app": "bench"}, "annotations": {"canary.enabled": "true"}},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "bench"}},
            "template": {
                "metadata": {"labels": {"app": "bench"}},
                "spec": {"containers": [{"name": "app", "image": "localhost/bench:live", "env": variables}]},
            },
        },
    });
    kubectl.run_with_input(&["apply", "-f", "-"], &manifest.to_string())?;
    let live = json(&kubectl.run(&["get", "deployment", "bench", "--output=json", "--show-managed-fields"])?)?;
    let size = live.to_string().len();
    if !(SIZE * 2 / 3..SIZE * 3 / 2).contains(&size) {
        bail!("failed to make an object of {SIZE} bytes: it has {size}");
    }
    Ok(live)
}

fn post(connection: &mut Connection, old: &Value, new: &Value) -> Result<Duration> {
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "bench", "operation": "UPDATE", "name": "bench", "namespace": "default", "dryRun": false,
            "resource": {"group": "apps", "version": "v1", "resource": "deployments"},
            "userInfo": {"username": "bench"}, "options": {"fieldManager": "kubectl-client-side-apply"},
            "object": new, "oldObject": old,
        },
    });
    let body = review.to_string().into_bytes();
    let started = Instant::now();
    let answer = connection.post("/admit", &body)?;
    let elapsed = started.elapsed();
    let answer: Value = serde_json::from_slice(&answer)?;
    if answer.pointer("/response/allowed") != Some(&Value::Bool(true)) {
        bail!("failed to be admitted: {answer}");
    }
    Ok(elapsed)
}

/// The program's own histogram knows only between which bounds a time lies.
fn at_most(bound: Option<Duration>) -> String {
    bound.map_or_else(|| "more than 100 ms".to_owned(), |bound| format!("at most {}", super::seconds(bound)))
}

fn both(durations: &mut [Duration]) -> String {
    durations.sort_unstable();
    let at = |percent: usize| durations.get(durations.len() * percent / 100).copied().unwrap_or_default();
    format!("{} / {}", super::seconds(at(50)), super::seconds(at(99)))
}

/// The smallest bound of the program's own histogram under which so many of a hundred answers lie.
fn percentile_in_process(program: &Program, effect: &str, percent: u64) -> Result<Option<Duration>> {
    let sample = |bound: &str| program.sample(&format!(r#"coalmine_admission_seconds_bucket{{le="{bound}",effect="{effect}"}}"#));
    let all = sample("+Inf")?.context("failed to find the histogram of admission")?;
    for bound in [0.000_25, 0.000_5, 0.001, 0.001_5, 0.002, 0.002_5, 0.003, 0.004, 0.005, 0.007_5, 0.01, 0.025, 0.1] {
        if sample(&bound.to_string())?.is_some_and(|count| count * 100 >= all * percent) {
            return Ok(Some(Duration::from_secs_f64(bound)));
        }
    }
    Ok(None)
}

/// All that the API server has answered.
fn requests(kubectl: &Kubectl) -> Result<f64> {
    let page = kubectl.run(&["get", "--raw", "/metrics"])?;
    let lines = page.lines().filter(|line| line.starts_with("apiserver_request_total{"));
    Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
}

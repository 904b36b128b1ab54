//! The most memory that requests can make the program take: the largest reviews that are looked at, and larger ones, from many connections at
//! once. The limit in `deploy/` must leave half as much again.

use std::{
    fs, thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::{
    Row,
    https::Connection,
    json,
    program::{Kubectl, Program},
    text,
};
use crate::{directory::repository, progress::say};

const CONNECTIONS: usize = 16;
const FOR: Duration = Duration::from_secs(4);

pub(super) fn measure(kubectl: &Kubectl, program: &Program) -> Result<Row> {
    let output = kubectl.run(&["get", "mutatingwebhookconfiguration", "zz-coalmine", "--output=json"])?;
    let authority = STANDARD.decode(text(&json(&output)?, "/webhooks/0/clientConfig/caBundle"))?;
    for (what, review) in reviews() {
        say(format_args!("posting {what} from {CONNECTIONS} connections at once: {} kB each", review.len() / 1000));
        let until = Instant::now() + FOR;
        thread::scope(|scope| {
            let senders: Vec<_> =
                (0..CONNECTIONS).map(|_| scope.spawn(|| post_until(program.webhook_port, &authority, &review, until))).collect();
            senders.into_iter().try_for_each(|sender| sender.join().map_err(|_| anyhow!("a sender panicked"))?)
        })
        .with_context(|| format!("failed to post {what}"))?;
        say(format_args!("the most so far: {:.1} MiB", program.peak_memory()? as f64 / f64::from(1 << 20)));
    }
    let (peak, limit) = (program.peak_memory()?, shipped_limit()?);
    Ok(Row {
        what: "peak memory under the largest reviews; two thirds of the limit",
        budget: format!("{} MiB", (limit * 2 / 3) >> 20),
        measured: format!("{:.1} MiB", peak as f64 / f64::from(1 << 20)),
        ok: peak * 3 / 2 <= limit,
    })
}

/// A denial is an answer. An answer that doesn't come ends the measuring: the program is gone.
fn post_until(port: u16, authority: &[u8], review: &[u8], until: Instant) -> Result<()> {
    let mut connection = Connection::open(port, authority)?;
    while Instant::now() < until {
        connection.post("/admit", review)?;
    }
    Ok(())
}

/// Near the bounds of `src/admission/intake.rs`, each in another way, and beyond them.
fn reviews() -> Vec<(&'static str, Vec<u8>)> {
    let with = |change: &dyn Fn(&mut Value)| {
        let mut new = deployment(10, 1);
        change(&mut new);
        review(&deployment(10, 0), &new)
    };
    vec![
        ("Deployments with 2,000 variables", review(&deployment(2_000, 0), &deployment(2_000, 1))),
        ("Deployments with 5,000 variables", review(&deployment(5_000, 0), &deployment(5_000, 1))),
        ("one long annotation", with(&|new| new["metadata"]["annotations"]["text"] = "x".repeat(3_900 << 10).into())),
        ("small objects", with(&|new| new["spec"]["template"]["x"] = vec![json!({"a": 1}); 30_000].into())),
        ("a long list", with(&|new| new["spec"]["template"]["x"] = vec![json!(1); 240_000].into())),
        ("labels", with(&|new| new["metadata"]["labels"] = (0..100_000).map(|n| (n.to_string(), json!(""))).collect::<Map<_, _>>().into())),
        ("small objects beyond the bound", with(&|new| new["spec"]["template"]["x"] = vec![json!({"a": 1}); 400_000].into())),
        ("eight megabytes", with(&|new| new["spec"]["template"]["x"] = vec![json!({"a": 1}); 1_000_000].into())),
    ]
}

/// With the records that kubectl leaves.
fn deployment(variables: usize, seed: usize) -> Value {
    let names: Vec<String> = (0..variables).map(|number| format!("VARIABLE_{number}")).collect();
    let list: Vec<Value> = names
        .iter()
        .enumerate()
        .map(|(number, name)| json!({"name": name, "value": format!("{:x}", (number + seed) * 2_654_435_761)}))
        .collect();
    let owned: Map<String, Value> =
        names.iter().map(|name| (format!("k:{{\"name\":\"{name}\"}}"), json!({".": {}, "f:name": {}, "f:value": {}}))).collect();
    let spec = json!({
        "replicas": 2, "selector": {"matchLabels": {"app": "app"}},
        "template": {"metadata": {"labels": {"app": "app"}}, "spec": {"containers": [{"name": "app", "image": "a:1", "env": list}]}},
    });
    let applied = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app", "namespace": "default"}, "spec": spec});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {
            "name": "app", "namespace": "default", "uid": "u",
            "annotations": {"canary.enabled": "true", "kubectl.kubernetes.io/last-applied-configuration": applied.to_string()},
            "managedFields": [{"manager": "kubectl-client-side-apply", "operation": "Update", "apiVersion": "apps/v1", "fieldsType": "FieldsV1",
                "fieldsV1": {"f:spec": {"f:template": {"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {"f:env": owned}}}}}}}],
        },
        "spec": spec,
    })
}

fn review(old: &Value, new: &Value) -> Vec<u8> {
    // As the API server writes it: the uid first.
    let request =
        json!({"name": "app", "namespace": "default", "userInfo": {"username": "bench"}, "object": new, "oldObject": old}).to_string();
    format!(r#"{{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{{"uid":"bench",{}}}"#, &request[1..]).into_bytes()
}

/// In bytes.
fn shipped_limit() -> Result<u64> {
    let path = repository().join("deploy/base/deployment.yaml");
    let text = fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    let limit = text.split_once("limits:").and_then(|(_, rest)| rest.split_once("memory: ")?.1.split_once("Mi")?.0.parse::<u64>().ok());
    Ok(limit.context("failed to find the memory limit in deploy/base/deployment.yaml")? << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_found_and_the_reviews_can_be_read() {
        assert!(shipped_limit().unwrap() >= 64 << 20);
        for (what, review) in reviews() {
            let review: Value = serde_json::from_slice(&review).unwrap();
            assert_eq!(review["request"]["uid"], "bench", "{what}");
        }
    }
}

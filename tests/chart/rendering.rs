//! What holds for every rendering, and what is refused.

use clap::{CommandFactory as _, Parser as _};
use coalmine::args::Arguments;
use coalmine_core::notify::sinks::Sinks;
use rstest::rstest;
use serde_json::Value;

use super::{chart, helm, objects, rendered, rendered_with, value_sets};

fn all_renderings() -> Vec<(String, String)> {
    let sets = value_sets().into_iter().map(|(set, path)| (set, rendered_with(&path)));
    std::iter::once(("default".to_owned(), rendered(&[]).unwrap())).chain(sets).collect()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[test]
#[ignore = "needs helm"]
fn helm_finds_nothing_to_complain_of() {
    let chart = chart();
    let chart = chart.to_str().unwrap();
    helm(&["lint", "--strict", chart]).unwrap();
    for (set, path) in value_sets() {
        helm(&["lint", "--strict", chart, "--values", path.to_str().unwrap()]).unwrap_or_else(|error| panic!("{set}: {error}"));
    }
}

/// A certificate or a `caBundle` in a chart is another in each rendering, hooks keep an uninstall from ending, and so do finalizers.
#[test]
#[ignore = "needs helm"]
fn nothing_drifts_and_nothing_hangs() {
    for (set, yaml) in all_renderings() {
        for forbidden in ["kind: Secret", "caBundle:", "helm.sh/hook", "finalizers:", "kind: Namespace"] {
            assert!(!yaml.lines().any(|line| !line.trim_start().starts_with('#') && line.contains(forbidden)), "{set}: {forbidden}");
        }
        assert_eq!(yaml, if set == "default" { rendered(&[]).unwrap() } else { again(&set) }, "{set} is another every time");
    }
}

fn again(set: &str) -> String {
    let (_, path) = value_sets().into_iter().find(|(name, _)| name == set).unwrap();
    rendered_with(&path)
}

#[test]
#[ignore = "needs helm"]
fn the_process_understands_what_it_is_told() {
    let command = Arguments::command();
    let known: Vec<_> = command.get_arguments().filter_map(|argument| argument.get_env()).map(|name| name.to_str().unwrap()).collect();
    for (set, yaml) in all_renderings() {
        let objects = objects(&yaml);
        let deployment = objects.iter().find(|object| object["kind"] == "Deployment").unwrap();
        let container = &deployment["spec"]["template"]["spec"]["containers"][0];
        let arguments = list(&container["args"]).iter().map(|argument| argument.as_str().unwrap());
        let parsed =
            Arguments::try_parse_from(std::iter::once("coalmine").chain(arguments)).unwrap_or_else(|error| panic!("{set}: {error}"));
        let port = |name: &str| list(&container["ports"]).iter().find(|port| port["name"] == name).unwrap()["containerPort"].as_u64();
        assert_eq!(port("webhook"), Some(parsed.webhook_address.port().into()), "{set}");
        assert_eq!(port("metrics"), Some(parsed.admin_address.port().into()), "{set}");
        assert_eq!(port("probes"), parsed.probes_address.map(|address| address.port().into()), "{set}");
        for variable in list(&container["env"]) {
            let name = variable["name"].as_str().unwrap();
            assert!(known.contains(&name) || name == "COALMINE_LOG", "{set}: {name}");
        }
        // What an argument names is mounted, and nothing else.
        let mounts: Vec<_> = list(&container["volumeMounts"]).iter().map(|mount| mount["mountPath"].as_str().unwrap()).collect();
        let files: Vec<&str> =
            list(&container["args"]).iter().filter_map(|it| it.as_str()?.split_once("-file=").map(|(_, path)| path)).collect();
        assert!(files.iter().all(|file| mounts.iter().any(|mount| file.starts_with(mount))), "{set}: {files:?} {mounts:?}");
        assert!(mounts.iter().all(|mount| files.iter().any(|file| file.starts_with(mount))), "{set}: {files:?} {mounts:?}");
    }
}

/// The file of sinks is one that the process would take, with the names that are told by default.
#[test]
#[ignore = "needs helm"]
fn the_sinks_are_those_of_the_values() {
    let rendering = all_renderings().into_iter().find(|(set, _)| set == "notifying").unwrap().1;
    let objects = objects(&rendering);
    let of = |kind: &str| objects.iter().find(|object| object["kind"] == kind).unwrap();
    let file = of("ConfigMap")["data"]["sinks.yaml"].as_str().unwrap();
    let sinks = Sinks::parse(file, &["ops".to_owned()]).unwrap();
    assert_eq!(sinks.known(), "are ops, ledger");
    assert!(sinks.iter().all(|sink| sink.ca_file.as_deref() == Some("/notifications/ca.crt")));
    let arguments = list(&of("Deployment")["spec"]["template"]["spec"]["containers"][0]["args"]);
    assert!(["--notify-default=ops", "--cluster-name=eu1"].iter().all(|wanted| arguments.iter().any(|it| it == wanted)), "{arguments:?}");
}

/// Whatever is asked for, the namespaces in which Coalmine and the cluster are repaired stay out.
#[test]
#[ignore = "needs helm"]
fn no_value_puts_the_webhook_in_the_way_of_its_own_repair() {
    for (set, yaml) in all_renderings() {
        for configuration in objects(&yaml).iter().filter(|object| object["kind"] == "MutatingWebhookConfiguration") {
            for webhook in list(&configuration["webhooks"]) {
                let first = &webhook["namespaceSelector"]["matchExpressions"][0];
                assert_eq!((&first["key"], &first["operator"]), (&"kubernetes.io/metadata.name".into(), &"NotIn".into()), "{set}");
                assert_eq!(list(&first["values"]), ["kube-system", "coalmine"], "{set}");
            }
        }
    }
    let elsewhere = rendered(&["--namespace", "platform"]).unwrap();
    assert!(elsewhere.contains("- kube-system\n      - platform\n") && !elsewhere.contains("namespace: coalmine\n"), "{elsewhere}");
}

#[rstest]
#[case::a_typing_error("replica=3", "additional properties 'replica' not allowed")]
#[case::a_typing_error_inside("image.digst=x", "at '/image': additional properties 'digst' not allowed")]
#[case::no_url("prometheus.url=prometheus:9090", "at '/prometheus/url': 'prometheus:9090' does not match pattern")]
#[case::no_replicas("replicas=0", "at '/replicas': minimum: got 0, want 1")]
#[case::no_digest("image.digest=latest", "at '/image/digest': 'latest' does not match pattern")]
#[case::no_source("certificates.source=vault", "at '/certificates/source': value must be one of 'self', 'certManager', 'files'")]
#[case::no_secret("certificates.source=files", "certificates.files.secretName is needed with certificates.source: files")]
#[case::no_user("prometheus.basicAuth.secretName=x", "prometheus.basicAuth.username is needed with prometheus.basicAuth.secretName")]
#[case::kubelets_port("hostNetwork=true", "10250 is the kubelet's on every node; with hostNetwork choose another, such as 18443")]
#[case::an_address(
    "notifications.sinks[0].name=a,notifications.sinks[0].type=slack,notifications.sinks[0].url-file=https://x",
    "at '/notifications/sinks/0/url-file': 'https://x' does not match pattern"
)]
#[case::no_drain(
    "podDisruptionBudget.minAvailable=2",
    "podDisruptionBudget.minAvailable: 2 of 2 replicas keeps nodes from ever being drained"
)]
#[case::no_drain_by_rounding("podDisruptionBudget.minAvailable=60%", "podDisruptionBudget.minAvailable: 60% of 2 replicas")]
#[case::one_port_twice("ports.webhook=8080", "ports.webhook: 8080 is another one's already")]
#[case::a_part_taken_away("pages=null", "missing property 'pages'")]
#[case::too_patient("webhook.timeoutSeconds=60", "at '/webhook/timeoutSeconds': maximum: got 60, want 30")]
#[ignore = "needs helm"]
fn what_cannot_be_meant_is_refused(#[case] value: &str, #[case] words: &str) {
    let error = rendered(&["--set", value]).unwrap_err();
    assert!(error.contains(words), "{error}");
}

/// A budget for one would keep its node from ever being drained.
#[test]
#[ignore = "needs helm"]
fn one_replica_has_no_budget() {
    assert!(rendered(&[]).unwrap().contains("kind: PodDisruptionBudget"));
    for more in ["replicas=1", "podDisruptionBudget.enabled=false,podDisruptionBudget.minAvailable=9"] {
        assert!(!rendered(&["--set", more]).unwrap().contains("kind: PodDisruptionBudget"), "{more}");
    }
    rendered(&["--set", "replicas=3,podDisruptionBudget.minAvailable=60%"]).unwrap();
}

#[test]
#[ignore = "needs helm"]
fn an_older_kubernetes_is_refused() {
    let error = rendered(&["--kube-version", "1.29.9"]).unwrap_err();
    assert!(error.contains("chart requires kubeVersion: >=1.30.0-0 which is incompatible with Kubernetes v1.29.9"), "{error}");
    rendered(&["--kube-version", "1.30.0-gke.1"]).unwrap();
}

//! What a user applies, checked without a cluster: `deploy/`, the cert-manager variant, and every example, with the product's own parsers.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{CommandFactory as _, Parser as _};
use coalmine::args::Arguments;
use coalmine_core::api::policy::Policy;
use coalmine_core::notify::sinks::Sinks;
use serde_json::Value;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(directory: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(repository().join(directory)).unwrap();
    let mut files: Vec<_> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|it| it == "yaml")).collect();
    files.sort();
    assert!(!files.is_empty(), "no manifests in {directory}");
    files
}

fn objects(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    serde_saphyr::from_multiple(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn deployed(kind: &str) -> Vec<Value> {
    let all = files("deploy/base").iter().flat_map(|path| objects(path)).collect::<Vec<_>>();
    let found: Vec<_> = all.into_iter().filter(|object| object["kind"] == kind).collect();
    assert!(!found.is_empty(), "no {kind} in deploy/base");
    found
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// All rules of all roles, with whether they hold in the whole cluster.
fn rules() -> Vec<(bool, Value)> {
    let roles = [(true, deployed("ClusterRole")), (false, deployed("Role"))];
    roles
        .into_iter()
        .flat_map(|(cluster, roles)| {
            roles.into_iter().flat_map(move |role| list(&role["rules"]).iter().map(move |rule| (cluster, rule.clone())).collect::<Vec<_>>())
        })
        .collect()
}

#[test]
fn no_permission_is_a_wildcard() {
    for (_, rule) in rules() {
        for part in ["apiGroups", "resources", "verbs", "resourceNames"] {
            assert!(list(&rule[part]).iter().all(|name| name != "*"), "{rule}");
        }
    }
}

#[test]
fn the_only_secret_it_reads_is_its_certificate() {
    for (cluster, rule) in rules().into_iter().filter(|(_, rule)| list(&rule["resources"]).iter().any(|name| name == "secrets")) {
        assert!(!cluster, "{rule}");
        let only_create = list(&rule["verbs"]) == ["create"];
        assert!(only_create || list(&rule["resourceNames"]) == ["coalmine-certificate"], "{rule}");
    }
}

#[test]
fn each_verb_has_its_reason() {
    let text = fs::read_to_string(repository().join("deploy/base/rbac.yaml")).unwrap();
    for line in text.lines().filter(|line| line.starts_with("  - ") && !line.contains(':')) {
        assert!(line.contains(" # "), "{line}");
    }
}

#[test]
fn the_pod_can_do_nothing_that_it_need_not() {
    for deployment in deployed("Deployment") {
        let pod = &deployment["spec"]["template"]["spec"];
        assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
        assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
        for container in list(&pod["containers"]) {
            let context = &container["securityContext"];
            assert_eq!(context["readOnlyRootFilesystem"], true);
            assert_eq!(context["allowPrivilegeEscalation"], false);
            assert_eq!(list(&context["capabilities"]["drop"]), ["ALL"]);
        }
    }
}

#[test]
fn the_arguments_are_understood() {
    for container in list(&deployed("Deployment")[0]["spec"]["template"]["spec"]["containers"]) {
        let arguments = list(&container["args"]).iter().map(|argument| argument.as_str().unwrap());
        Arguments::try_parse_from(std::iter::once("coalmine").chain(arguments)).unwrap();
    }
}

#[test]
fn the_environment_variables_are_known() {
    let command = Arguments::command();
    let known: Vec<_> = command.get_arguments().filter_map(|argument| argument.get_env()).map(|name| name.to_str().unwrap()).collect();
    let patched = objects(&repository().join("certs/cert-manager/deployment.yaml"));
    for deployment in deployed("Deployment").iter().chain(&patched) {
        for variable in list(&deployment["spec"]["template"]["spec"]["containers"][0]["env"]) {
            assert!(known.contains(&variable["name"].as_str().unwrap()), "{variable}");
        }
    }
}

#[test]
fn with_monitors_it_may_list_them_and_no_more() {
    let role = objects(&repository().join("deploy/monitors/rbac.yaml")).remove(0);
    let [rule] = list(&role["rules"]) else { panic!("{role}") };
    let words = |part: &str| list(&rule[part]).iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ");
    assert_eq!((words("resources"), words("verbs")), ("podmonitors servicemonitors".to_owned(), "list".to_owned()));
}

/// `deploy/page` adds arguments that are understood, a port that its Service finds, and no right but to ask who somebody is and what they may.
#[test]
fn the_page_is_opened_by_what_the_process_understands() {
    let kustomization = objects(&repository().join("deploy/page/kustomization.yaml")).remove(0);
    let patch: Value = serde_saphyr::from_str(kustomization["patches"][0]["patch"].as_str().unwrap()).unwrap();
    let added: Vec<&Value> = list(&patch).iter().map(|operation| &operation["value"]).collect();
    let arguments = Arguments::try_parse_from(std::iter::once("coalmine").chain(added.iter().filter_map(|value| value.as_str()))).unwrap();
    let settings = arguments.page.settings().unwrap();
    assert_eq!(settings.words(), "the page is served on [::]:8082 to who shows a token");
    let port = added.iter().find(|value| value["name"] == "page").unwrap();
    assert_eq!(port["containerPort"], settings.address.port());
    let service = objects(&repository().join("deploy/page/service.yaml")).remove(0);
    assert_eq!(service["spec"]["ports"][0]["targetPort"], port["name"]);
    let name = format!("{}.{}.svc", service["metadata"]["name"].as_str().unwrap(), service["metadata"]["namespace"].as_str().unwrap());
    assert_eq!(settings.hosts, [name]);
    let role = objects(&repository().join("deploy/page/rbac.yaml")).remove(0);
    let rights: Vec<&Value> = list(&role["rules"]).iter().flat_map(|rule| list(&rule["resources"])).collect();
    assert_eq!(rights, ["tokenreviews", "subjectaccessreviews"]);
    assert!(list(&role["rules"]).iter().all(|rule| list(&rule["verbs"]) == ["create"]));
}

#[test]
fn the_service_and_the_webhook_find_the_container() {
    let container = deployed("Deployment")[0]["spec"]["template"]["spec"]["containers"][0].clone();
    let ports: Vec<_> = list(&container["ports"]).iter().map(|port| port["name"].clone()).collect();
    let service = deployed("Service").remove(0);
    assert!(ports.contains(&service["spec"]["ports"][0]["targetPort"]));
    for probe in ["livenessProbe", "readinessProbe"] {
        assert!(ports.contains(&container[probe]["httpGet"]["port"]), "{probe}");
    }
    for webhook in list(&deployed("MutatingWebhookConfiguration")[0]["webhooks"]) {
        let target = &webhook["clientConfig"]["service"];
        assert_eq!((&target["name"], &target["namespace"]), (&service["metadata"]["name"], &service["metadata"]["namespace"]));
        assert!(target["port"].is_null() && service["spec"]["ports"][0]["port"] == 443, "443 is what the API server calls by default");
    }
}

/// The registration is there before the replicas that answer it: a path that those of the version before don't know denies all that it is asked
/// about. They let pass what is below `/since`.
#[test]
fn replicas_of_the_first_version_answer_every_entry() {
    let known = ["/admit", "/admit-again", "/admit-status"];
    for webhook in list(&deployed("MutatingWebhookConfiguration")[0]["webhooks"]) {
        let path = webhook["clientConfig"]["service"]["path"].as_str().unwrap();
        assert!(known.contains(&path) || path.starts_with("/admit/") || path.starts_with("/since/"), "{path}: name it /since/VERSION/...");
    }
}

#[test]
fn the_webhook_never_stands_in_the_way_of_its_own_repair() {
    for webhook in list(&deployed("MutatingWebhookConfiguration")[0]["webhooks"]) {
        let expression = &webhook["namespaceSelector"]["matchExpressions"][0];
        assert_eq!((&expression["key"], &expression["operator"]), (&"kubernetes.io/metadata.name".into(), &"NotIn".into()));
        assert_eq!(list(&expression["values"]), ["kube-system", "coalmine"]);
        assert!(!list(&webhook["matchConditions"]).is_empty(), "it would see every Deployment");
    }
}

/// Which pods and ports a policy is about is told by names that must be those of the Deployment.
#[test]
fn the_network_policy_is_about_our_pods_and_their_ports() {
    let policy = objects(&repository().join("deploy/network-policy/policy.yaml")).remove(0);
    let template = deployed("Deployment")[0]["spec"]["template"].clone();
    let selected = policy["spec"]["podSelector"]["matchLabels"].as_object().unwrap();
    assert!(!selected.is_empty() && selected.iter().all(|(key, value)| template["metadata"]["labels"][key] == *value));
    let ports: Vec<_> = list(&template["spec"]["containers"][0]["ports"]).iter().map(|port| port["name"].clone()).collect();
    for rule in list(&policy["spec"]["ingress"]) {
        assert!(!list(&rule["from"]).is_empty(), "everybody: {rule}");
        assert!(list(&rule["ports"]).iter().all(|port| ports.contains(&port["port"]) && port["port"] != "probes"), "{rule}");
    }
}

/// Nobody can be made to wait long by a Coalmine that doesn't answer: the Deployment controller least of all, which works for everybody.
#[test]
fn a_silent_coalmine_costs_the_deployment_controller_two_seconds_at_most() {
    let configuration = deployed("MutatingWebhookConfiguration").remove(0);
    let timeouts = |subresource: bool| -> Vec<u64> {
        let of = |webhook: &&Value| list(&webhook["rules"][0]["resources"])[0].as_str().unwrap().ends_with("/status") == subresource;
        list(&configuration["webhooks"]).iter().filter(of).map(|webhook| webhook["timeoutSeconds"].as_u64().unwrap()).collect()
    };
    assert!(timeouts(true).iter().sum::<u64>() <= 2, "{:?}", timeouts(true));
    assert!(timeouts(false).iter().all(|seconds| *seconds <= 5));
}

/// As the kustomization mounts them, and as the documentation has them.
#[test]
fn the_sinks_that_are_shown_are_accepted() {
    let shown = fs::read_to_string(repository().join("docs/notifications.md")).unwrap();
    let (_, rest) = shown.split_once("```yaml\nca-file:").unwrap();
    let documented = format!("ca-file:{}", rest.split_once("```").unwrap().0);
    assert_eq!(Sinks::parse(&documented, &[]).unwrap().known(), "are payments, ledger");
    let text = fs::read_to_string(repository().join("deploy/notifications/sinks.yaml")).unwrap();
    let kustomization = objects(&repository().join("deploy/notifications/kustomization.yaml")).remove(0);
    let patch = kustomization["patches"][0]["patch"].as_str().unwrap();
    let arguments = patch.lines().filter_map(|line| line.trim().strip_prefix("value: ")).filter(|value| value.starts_with("--"));
    let arguments = Arguments::try_parse_from(std::iter::once("coalmine").chain(arguments)).unwrap();
    assert_eq!(arguments.notifications_file.as_deref(), Some(Path::new("/notifications/sinks.yaml")));
    Sinks::parse(&text, &arguments.notify_default).unwrap();
}

#[test]
fn every_example_says_what_the_parser_accepts() {
    let mut opted_in = 0;
    for path in files("examples") {
        for object in objects(&path) {
            if let Some(annotations) = object["metadata"]["annotations"].as_object().filter(|all| all.contains_key("canary.enabled")) {
                Policy::of(annotations).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                opted_in += 1;
            }
        }
    }
    assert!(opted_in >= 3, "only {opted_in} examples opt in");
}

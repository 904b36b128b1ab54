//! `kubectl coalmine` as a person runs it: the real kubectl finds the plugin on its path, and a real API server answers.

mod gates;

use coalmine_core::{api::annotations::Phase, manifest::object};
use serde_json::{Value, json};

use crate::support::{
    control_plane::variable,
    eventually, fixtures,
    kubectl::{Apply::ClientSide, Output},
    namespace::Namespace,
};

/// `kubectl coalmine …` in the test's namespace.
fn plugin(namespace: &Namespace, arguments: &[&str]) -> Output {
    plugin_with(namespace, arguments, &[])
}

fn plugin_with(namespace: &Namespace, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let program = std::path::PathBuf::from(variable("COALMINE_PLUGIN"));
    let directory = program.parent().expect("a directory").display().to_string();
    let path = format!("{directory}:{}", std::env::var("PATH").unwrap_or_default());
    // kubectl takes no flags of its own before a plugin's name.
    let arguments: Vec<&str> = ["coalmine"].into_iter().chain(arguments.iter().copied()).chain(["-n", &namespace.name]).collect();
    namespace.kubectl.run_plugin(&arguments, &[&[("PATH", path.as_str())], environment].concat())
}

fn stdout(namespace: &Namespace, output: &Output) -> String {
    output.stdout.replace(&namespace.name, "NAMESPACE")
}

#[test]
#[ignore = "needs a control plane"]
fn a_held_template_is_listed_shown_and_compared() {
    let namespace = Namespace::with_b_held(ClientSide);
    let list = plugin(&namespace, &["list"]).succeeded();
    assert!(list.stdout.starts_with("NAME   PHASE   SINCE   CHANGE"), "{}", list.stdout);
    assert!(list.stdout.contains("app    Held    -       app:a -> b"), "{}", list.stdout);

    let status = plugin(&namespace, &["status", "deploy/app"]).succeeded();
    let shown = stdout(&namespace, &status);
    assert!(shown.contains("Change:      registry.example/app:a -> registry.example/app:b"), "{shown}");
    assert!(shown.contains("Canary:      not Ready yet; judged for 60s, given up after 10m"), "{shown}");

    let diff = plugin(&namespace, &["diff", "app"]).succeeded();
    insta::assert_snapshot!(diff.stdout, @r#"
    --- live
    +++ held
    @@ -5,10 +5,10 @@
       containers:
       - env:
         - name: COMMON
    -      value: A
    -    - name: ONLY_A
    +      value: B
    +    - name: ONLY_B
           value: "1"
    -    image: registry.example/app:a
    +    image: registry.example/app:b
         imagePullPolicy: IfNotPresent
         name: app
         ports:
    "#);
}

#[test]
#[ignore = "needs a control plane"]
fn the_state_as_json_is_what_the_objects_say() {
    let namespace = Namespace::with_b_held(ClientSide);
    let status = plugin(&namespace, &["status", "app", "-o", "json"]).succeeded();
    let state: Value = serde_json::from_str(&status.stdout).expect("JSON");
    assert_eq!(state["apiVersion"], "coalmine.dev/v1");
    assert_eq!(state["phase"], "Held");
    assert_eq!(state["held"]["images"], json!({"app": "registry.example/app:b"}));
    assert_eq!(state["held"]["manager"], "kubectl-client-side-apply");
    let names = plugin(&namespace, &["list", "-o", "name"]).succeeded();
    assert_eq!(names.stdout, "deployment.apps/app\n");
}

#[test]
#[ignore = "needs a control plane"]
fn exit_codes_tell_the_verdict() {
    let namespace = Namespace::with_b_held(ClientSide);
    let waiting = plugin(&namespace, &["watch", "app", "--timeout", "1s"]);
    assert_eq!((waiting.code, waiting.said().as_str()), (4, "No verdict for deployment app yet; the trial goes on."));
    namespace.judge(Phase::Running, "");
    namespace.judge(Phase::Rejected, "error rate 100%; template kept out");
    let watched = plugin(&namespace, &["watch", "app"]);
    assert_eq!((watched.code, watched.stdout.lines().last()), (2, Some("Rejected: error rate 100%; template kept out")));
    assert_eq!(plugin(&namespace, &["status", "app"]).code, 2);

    let again = plugin(&namespace, &["retry", "app"]).succeeded();
    assert_eq!(again.stdout, "deployment.apps/app is tried once more; to watch it: kubectl coalmine watch app\n");
    assert_eq!(object::phase(object::annotations(&namespace.app())), Some(Phase::Held));
    namespace.judge(Phase::Running, "");
    namespace.judge(Phase::Inconclusive, "too little traffic; template kept out");
    assert_eq!(plugin(&namespace, &["status", "app"]).code, 3);
    plugin(&namespace, &["retry", "app"]).succeeded();
    namespace.judge(Phase::Running, "");
    namespace.promote();
    assert_eq!(plugin(&namespace, &["watch", "app"]).code, 0);
    let nothing = plugin(&namespace, &["diff", "app"]).succeeded();
    assert_eq!(nothing.said(), "Nothing is held for deployment app.");
}

#[test]
#[ignore = "needs a control plane"]
fn a_watch_ends_with_the_verdict_that_comes_while_it_runs() {
    let namespace = Namespace::with_b_held(ClientSide);
    namespace.judge(Phase::Running, "");
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| plugin(&namespace, &["watch", "app", "--timeout", "60s"]));
        namespace.judge(Phase::Rejected, "error rate 100%; template kept out");
        eventually("the watch to end", || if watching.is_finished() { Ok(()) } else { Err("it goes on".to_owned()) });
        assert_eq!(watching.join().expect("a watch").code, 2);
    });
}

#[test]
#[ignore = "needs a control plane"]
fn mistakes_get_one_line_and_exit_code_one() {
    let namespace = Namespace::with_a(ClientSide);
    let missing = plugin(&namespace, &["status", "nope"]);
    assert_eq!(missing.code, 1);
    insta::assert_snapshot!(missing.said(), @"error: failed to find deployment nope in namespace NAMESPACE");
    let kind = plugin(&namespace, &["status", "statefulset/app"]);
    assert_eq!(kind.code, 1);
    assert!(kind.stderr.contains("only Deployments have canaries, not statefulset"), "{}", kind.stderr);
    let nothing = plugin(&namespace, &["retry", "app"]);
    assert_eq!(nothing.code, 1);
    insta::assert_snapshot!(nothing.said(), @"error: nothing is kept out of deployment app (nothing was held yet)");
}

/// What was let through is remembered with who and why, and a user can't take that away.
#[test]
#[ignore = "needs a control plane"]
fn the_history_tells_what_was_let_through_and_can_t_be_rewritten() {
    let namespace = Namespace::with_a(ClientSide);
    let empty = plugin(&namespace, &["history", "app"]).succeeded();
    assert_eq!(empty.said(), "There was no verdict on deployment app yet.");
    let mut manifest = fixtures::deployment("app", &fixtures::Template::named("B"));
    manifest["metadata"]["annotations"]["canary.bypass"] = json!("hotfix");
    namespace.kubectl.apply(ClientSide, &manifest).succeeded();
    let forged = namespace.kubectl.run(&["annotate", "deploy/app", "--overwrite", "canary.state/history=[]"]).succeeded();
    assert!(forged.stderr.contains("canary.state/history is Coalmine's own; the change to it was undone"), "{}", forged.stderr);
    namespace.kubectl.run(&["annotate", "deploy/app", "canary.state/history-"]).succeeded();
    let history: Value = serde_json::from_str(&plugin(&namespace, &["history", "app", "-o", "json"]).succeeded().stdout).expect("JSON");
    assert_eq!((&history["apiVersion"], &history["kind"]), (&json!("coalmine.dev/v1"), &json!("CanaryHistory")));
    let newest = &history["items"][0];
    assert_eq!((&newest["phase"], &newest["images"]["app"][1]), (&json!("Bypassed"), &json!("registry.example/app:b")));
    assert!(newest["message"].as_str().is_some_and(|message| message.ends_with("without a canary: hotfix")), "{newest}");
    let table = plugin(&namespace, &["history", "app"]).succeeded();
    assert!(table.stdout.contains("-     Bypassed   app:a -> b"), "{}", table.stdout);
}

/// Somebody without any right is told which one is missing, and sees what the rest allows.
#[test]
#[ignore = "needs a control plane"]
fn a_missing_right_is_named() {
    let namespace = Namespace::with_b_held(ClientSide);
    let nobody = plugin(&namespace, &["list", "--as", "nobody"]);
    assert_eq!(nobody.code, 1);
    insta::assert_snapshot!(nobody.said(), @"error: the right to list deployments in NAMESPACE is missing (kubectl auth can-i list deployments)");
    let who = format!("reader-{}", namespace.name);
    namespace.kubectl.run(&["create", "role", "reader", "--verb=get", "--resource=deployments.apps"]).succeeded();
    namespace.kubectl.run(&["create", "rolebinding", "reader", "--role=reader", &format!("--user={who}")]).succeeded();
    let status = eventually("the role to count", || {
        let output = plugin(&namespace, &["status", "app", "--as", &who]);
        if output.code == 0 { Ok(output) } else { Err(output.stderr) }
    });
    let missing: Vec<String> =
        stdout(&namespace, &status).lines().filter(|line| line.starts_with("not shown")).map(str::to_owned).collect();
    insta::assert_snapshot!(missing.join("\n"), @r"
    not shown: the right to list replicasets in NAMESPACE is missing (kubectl auth can-i list replicasets)
    not shown: the right to list pods in NAMESPACE is missing (kubectl auth can-i list pods)
    not shown: the right to list events in NAMESPACE is missing (kubectl auth can-i list events)
    ");
    let write = plugin(&namespace, &["retry", "app", "--as", &who]);
    assert_eq!(write.code, 1);
}

#[test]
#[ignore = "needs a control plane"]
fn lint_says_what_admission_says() {
    let namespace = Namespace::with_a(ClientSide);
    for (key, value) in [("canary.duration", "soon"), ("canary.max-error-rate", "1"), ("canary.mertics", "auto"), ("canary.checks", "- a")]
    {
        let mut manifest = fixtures::deployment("other", &fixtures::Template::named("A"));
        manifest["metadata"]["annotations"][key] = json!(value);
        let applied = namespace.kubectl.apply(ClientSide, &manifest).failed();
        let path = std::env::temp_dir().join(format!("{}-{key}.json", namespace.name));
        std::fs::write(&path, manifest.to_string()).expect("a file");
        let linted = plugin(&namespace, &["lint", "-f", &path.display().to_string()]);
        let _ = std::fs::remove_file(&path);
        assert_eq!(linted.code, 1, "{}", linted.stdout);
        let words = linted.stdout.lines().next().and_then(|line| line.split_once("deployment other: ")).map(|(_, words)| words.to_owned());
        let words = words.unwrap_or_else(|| panic!("no words: {}", linted.stdout));
        assert!(applied.stderr.contains(&words), "{words}\n{}", applied.stderr);
    }
}

/// As kubectl asks it: a program of this name on the path, with the words typed so far.
#[test]
#[ignore = "needs a control plane"]
fn completion_answers_kubectls_way() {
    let namespace = Namespace::with_a(ClientSide);
    let directory = std::env::temp_dir().join(format!("complete-{}", namespace.name));
    std::fs::create_dir_all(&directory).expect("a directory");
    for name in ["kubectl-coalmine", "kubectl_complete-coalmine"] {
        let _ = std::os::unix::fs::symlink(variable("COALMINE_PLUGIN"), directory.join(name));
    }
    let path = format!("{}:{}", directory.display(), std::env::var("PATH").unwrap_or_default());
    let asked = namespace.kubectl.run_plugin(&["__complete", "coalmine", "ret"], &[("PATH", &path)]);
    let _ = std::fs::remove_dir_all(&directory);
    assert!(asked.stdout.contains("retry\tTry a template that was kept out once more"), "{}{}", asked.stdout, asked.stderr);
}

#[test]
#[ignore = "needs a control plane"]
fn version_asks_no_cluster_when_told_so() {
    let namespace = Namespace::with_a(ClientSide);
    let version = plugin(&namespace, &["version", "--client"]).succeeded();
    assert!(version.stdout.starts_with("kubectl-coalmine 0."), "{}", version.stdout);
}

/// kubectl looks past a file of the list that isn't there, and goes by no proxy to its own machine.
#[test]
#[ignore = "needs a control plane"]
fn a_cluster_is_found_as_kubectl_finds_it() {
    let namespace = Namespace::with_a(ClientSide);
    let list = format!("/nowhere/config:{}", variable("KUBECONFIG"));
    let nobody = [("HTTPS_PROXY", "http://127.0.0.1:1"), ("https_proxy", "http://127.0.0.1:1")];
    for environment in [&[("KUBECONFIG", list.as_str())][..], &nobody] {
        let found = plugin_with(&namespace, &["list", "-o", "name"], environment).succeeded();
        assert_eq!(found.stdout, "deployment.apps/app\n");
    }
    let nowhere = plugin_with(&namespace, &["list"], &[("KUBECONFIG", "/nowhere/config")]);
    insta::assert_snapshot!(nowhere.said(), @"error: failed to find a cluster: set KUBECONFIG, or give --kubeconfig");
    assert_eq!(plugin(&namespace, &["list", "--request-timeout=5"]).code, 0);
}

#[test]
#[ignore = "needs a control plane"]
fn explain_says_whom_it_would_ask_before_anybody_opts_in() {
    let namespace = Namespace::with_a(ClientSide);
    let explained = |metrics: Option<&str>| {
        let metrics = metrics.map_or_else(|| "canary.metrics-".to_owned(), |metrics| format!("canary.metrics={metrics}"));
        namespace.kubectl.run(&["annotate", "deployment/app", "--overwrite", "canary.enabled=false", &metrics]).succeeded();
        stdout(&namespace, &plugin(&namespace, &["explain", "app"]).succeeded())
    };
    let counters = |source: &str| format!("{{source: {source}, requests: a_total, errors: b_total}}");
    let all = [None, Some("none".to_owned()), Some(counters("prometheus"))].map(|metrics| explained(metrics.as_deref()));
    insta::assert_snapshot!(all.join("\n"), @r"
    Phase        not opted in
    Would read   nothing yet: found no metrics page of app's pods: none of them is Ready
    To opt in    kubectl annotate deploy/app canary.enabled=true

    Phase        not opted in
    Would read   nothing (canary.metrics: none): the canary's pod and the checks decide
    To opt in    kubectl annotate deploy/app canary.enabled=true

    Phase        not opted in
    Would read   nothing yet: canary.metrics names Prometheus; say where it is with --prometheus-url or --prometheus-service
    To opt in    kubectl annotate deploy/app canary.enabled=true
    ");
}

//! What watches Coalmine: its alerts by Prometheus' own tool for testing rules, and each query of its dashboard on a real Prometheus that reads a
//! page such as Coalmine's.

use serde_json::Value;

use super::*;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(repository().join(path)).unwrap()
}

fn directory(name: &str) -> tempfile::TempDir {
    tempfile::Builder::new().prefix(&format!("coalmine-{name}-")).tempdir().unwrap()
}

fn promtool(directory: &Path, arguments: &[&str]) {
    let program = std::env::var("COALMINE_PROMTOOL").expect("COALMINE_PROMTOOL names the program");
    let output = Command::new(program).args(arguments).current_dir(directory).stdin(Stdio::null()).output().unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success(), "{said}");
}

#[test]
#[ignore = "needs promtool: COALMINE_PROMTOOL names the program"]
fn each_alert_fires_when_it_must() {
    let directory = directory("rules");
    let rules = read("charts/coalmine/files/rules.yaml");
    std::fs::write(directory.path().join("rules.yaml"), &rules).unwrap();
    promtool(directory.path(), &["check", "rules", "--lint=all", "--lint-fatal", "rules.yaml"]);
    // Its words are for people: what is compared is who is told, and when.
    let mut wordless: Value = serde_saphyr::from_str(&rules).unwrap();
    for rule in wordless["groups"][0]["rules"].as_array_mut().unwrap() {
        rule.as_object_mut().unwrap().remove("annotations");
    }
    std::fs::write(directory.path().join("rules.yaml"), wordless.to_string()).unwrap();
    std::fs::write(directory.path().join("rules.test.yaml"), read("tests/prometheus/monitoring/rules.test.yaml")).unwrap();
    promtool(directory.path(), &["test", "rules", "rules.test.yaml"]);
    let tests = read("tests/prometheus/monitoring/rules.test.yaml");
    for rule in wordless["groups"][0]["rules"].as_array().unwrap() {
        let alert = rule["alert"].as_str().unwrap();
        assert!(tests.contains(&format!("alertname: {alert}\n")), "{alert} never fires in a test");
    }
}

/// As the leader's page is after so many seconds.
fn coalmine(seconds: f64) -> String {
    let more = (seconds * 10.0).floor();
    read("tests/prometheus/monitoring/coalmine.prom").replace("MORE", &more.to_string())
}

/// The queries of a dashboard, with the name of their panel.
fn queries() -> Vec<(String, String)> {
    let dashboard: Value = read("charts/coalmine/files/dashboard.json").parse().unwrap();
    let of = |panel: &Value| {
        let title = panel["title"].as_str().unwrap().to_owned();
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        targets.into_iter().map(move |target| (title.clone(), target["expr"].as_str().unwrap().to_owned()))
    };
    dashboard["panels"].as_array().unwrap().iter().flat_map(of).collect()
}

/// As Grafana fills them in where nothing is chosen.
fn filled(query: &str) -> String {
    let filled = query.replace("$cluster", ".*").replace("$namespace", ".*").replace("$__rate_interval", "10s").replace("$__range", "30s");
    assert!(!filled.contains('$') || filled.contains("\"$1\""), "{filled}");
    filled
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs a Prometheus: COALMINE_PROMETHEUS names the program"]
async fn each_query_of_the_dashboard_is_answered_with_data() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let began = Instant::now();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let page = listener.local_addr().unwrap();
    let router = Router::new().route("/metrics", get(async move || coalmine(began.elapsed().as_secs_f64())));
    tokio::spawn(axum::serve(listener, router).into_future());
    let directory = directory("dashboard");
    let labels = "labels: {namespace: coalmine, pod: coalmine-0}";
    let job =
        format!("scrape_configs:\n- job_name: coalmine\n  honor_labels: true\n  static_configs:\n  - {{targets: ['{page}'], {labels}}}\n");
    let (mut prometheus, address) = start(directory.path(), &format!("{CONFIGURATION}{job}"));
    let client = Prometheus::new(Settings { timeout: Duration::from_secs(2), ..Settings::new(format!("http://{address}")) }).unwrap();
    let queries = queries();
    assert!(queries.len() >= 15, "{queries:?}");
    for (panel, query) in &queries {
        eventually("data", || async {
            let answer = client.query(&filled(query)).await.map_err(|error| format!("{panel}: {query}: {error}"))?;
            if answer.is_empty() { Err(format!("{panel}: {query}: nothing")) } else { Ok(()) }
        })
        .await;
    }
    prometheus.kill().unwrap();
    prometheus.wait().unwrap();
}

//! What `kubectl coalmine explain` says of real traffic before anybody opts in: from the pods' pages and from Prometheus, both by way of the API
//! server.

use super::{
    app::App,
    stage::{Stage, without_numbers},
    traffic::Traffic,
};
use crate::support::control_plane::variable;

#[track_caller]
fn explain(stage: &Stage, more: &[&str]) -> String {
    let program = std::path::PathBuf::from(variable("COALMINE_PLUGIN"));
    let directory = program.parent().expect("a directory").display().to_string();
    let path = format!("{directory}:{}", std::env::var("PATH").unwrap_or_default());
    let arguments = [&["coalmine", "explain", "app", "--namespace", stage.name.as_str()], more].concat();
    without_numbers(&stage.kubectl.run_plugin(&arguments, &[("PATH", &path)]).succeeded().stdout)
}

#[test]
#[ignore = "needs a whole cluster"]
fn what_would_be_read_is_told_before_anybody_opts_in() {
    let stage = Stage::with(&App::good("1").canary("enabled", "false"));
    let _traffic = Traffic::start(&stage, 200);
    stage.await_counted();
    insta::assert_snapshot!(explain(&stage, &[]), @"
    Phase         not opted in
    Would read    http_requests_total by code on the pods' own metrics pages
    To fix that   canary.metrics: http
    Primary       N requests/s on N pods, N% failed in Ns
    Canary        one pod beside them: about N requests/s
    Verdict       one that does as well is let in about Ns after it is Ready
    To opt in     kubectl annotate deploy/app canary.enabled=true
    ");
    insta::assert_snapshot!(explain(&stage, &["--prometheus-service", "monitoring/prometheus:9090"]), @"
    Phase         not opted in
    Would read    http_requests_total by code from Prometheus
    To fix that   canary.metrics: http
    Primary       N requests/s on N pods, N% failed in Ns
    Canary        one pod beside them: about N requests/s
    Verdict       one that does as well is let in about Ns after it is Ready
    To opt in     kubectl annotate deploy/app canary.enabled=true
    ");
    let stage = Stage::with(&App::good("1").canary("enabled", "false").unscraped());
    let said = explain(&stage, &[]);
    assert!(said.contains("Would read   nothing yet: found no metrics page of app's pods: their containers declare no port"), "{said}");
}

//! What a stranger writes into an annotation, against the real API server: it is refused in words, and Coalmine goes on.

use rstest::rstest;
use serde_json::json;

use crate::support::{
    fixtures::{self, Template},
    kubectl::Apply::ServerSide,
    namespace::Namespace,
    results::row,
};

#[rstest]
#[case::a_time_beyond_all(
    "[{name: a, query: up offset 1e20, max: 1}]",
    "canary.checks: check a: query, column 11: 1e20 is no time that can be asked for"
)]
#[case::a_range_beyond_all("[{name: a, query: 'rate(up[1e300])', max: 1}]", "canary.checks: check a: query, column 9: 1e300 is no time")]
#[case::a_large_expression(r#"[{name: a, query: 'up{a=~"((x{50}){50}){50}"}', max: 1}]"#, "is too large")]
#[case::deep(&format!("[{{name: a, query: '{}', max: 1}}]", "(".repeat(500)), "nested more than 32 deep")]
#[case::another_namespace(
    r#"[{name: a, query: 'max(salary{namespace="hr"})', max: 1}]"#,
    r#"asks for namespace="hr"; a check sees the series of its own namespace alone"#
)]
#[case::this_machine("[{name: a, url: 'http://2130706433:8080/', json: '', equals: 1}]", "loopback, link-local and metadata addresses")]
#[case::aliases("{a: &a [x, x, x], b: [*a, *a]}", "canary.checks: not a YAML list of checks")]
#[ignore = "needs a control plane"]
fn what_ends_a_parser_is_refused_in_words(#[case] checks: &str, #[case] words: &str) {
    let _row =
        row(&format!("canary.checks: {}", checks.chars().take(60).collect::<String>()), "kubectl apply", "denied at apply, in words");
    let namespace = Namespace::with_a(ServerSide);
    let mut manifest = fixtures::deployment("app", &Template::named("B"));
    manifest["metadata"]["annotations"]["canary.checks"] = json!(checks);
    let output = namespace.kubectl.apply(ServerSide, &manifest).failed();
    assert!(output.stderr.contains(words), "{}", output.stderr);
    namespace.assert_phase("A", None, None);
    // The same process answers the next one.
    namespace.apply(ServerSide, "B").succeeded();
}

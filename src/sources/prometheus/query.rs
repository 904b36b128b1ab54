//! The texts of the queries, and how they travel in a form. Pure.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use super::super::{Scope, Wanted};
use coalmine_core::metrics::counting::PodLabel;

/// The last sample of each series, whatever label names the pods.
pub(super) fn present(scope: &Scope, metrics: &[String]) -> String {
    let selectors: Vec<String> = PodLabel::ALL
        .into_iter()
        .filter(|label| !scope.pods.pattern(*label).is_empty())
        .map(|label| format!("{{{}}}", matchers(scope, metrics, label)))
        .collect();
    selectors.join(" or ")
}

/// All samples of some time.
pub(super) fn samples(scope: &Scope, wanted: &Wanted) -> String {
    let mut selector = matchers(scope, &wanted.metrics, wanted.pod_label);
    if !wanted.bounds.is_empty() {
        // What is no histogram has no `le`, and is wanted too.
        let bounds: Vec<String> = wanted.bounds.iter().map(|bound| coalmine_core::metrics::counting::escaped(bound)).collect();
        let _ = write!(selector, ",le=~\"|{}\"", bounds.join("|"));
    }
    let seconds = wanted.since.as_secs().max(1);
    let step = wanted.step.map(|step| format!(":{}s", whole_seconds(step))).unwrap_or_default();
    format!("{{{selector}}}[{seconds}s{step}]")
}

/// A query of the user's, an instant vector, at equal steps back in time.
pub(super) fn over_time(query: &str, since: Duration, step: Duration) -> String {
    format!("({query}\n)[{}s:{}s]", whole_seconds(since), whole_seconds(step))
}

/// Rounded up; the language knows no shorter step that a server would like.
fn whole_seconds(duration: Duration) -> u64 {
    (duration.as_secs() + u64::from(duration.subsec_nanos() > 0)).max(1)
}

fn matchers(scope: &Scope, metrics: &[String], label: PodLabel) -> String {
    let names: BTreeSet<String> = metrics.iter().map(|name| with_native(name)).collect();
    let names = names.into_iter().collect::<Vec<_>>().join("|");
    let mut text = format!("__name__=~\"{names}\",{}=~\"{}\"", label.name(), scope.pods.pattern(label));
    if let Some(namespace) = label.namespace() {
        // Some scrape configurations write no namespace; pods are told apart by name then.
        let _ = write!(text, ",{namespace}=~\"|{}\"", coalmine_core::metrics::counting::escaped(&scope.namespace));
    }
    text
}

/// A native histogram has one series, whose name has no ending.
fn with_native(name: &str) -> String {
    ["_bucket", "_count"]
        .iter()
        .find_map(|ending| Some(format!("{}({ending})?", name.strip_suffix(ending)?)))
        .unwrap_or_else(|| name.to_owned())
}

/// As `application/x-www-form-urlencoded` wants it.
pub(super) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use coalmine_core::api::promql;
    use coalmine_core::metrics::counting::{Members, Pods};

    fn scope() -> Scope {
        let pods = Pods { canary: Members::of_names(["app-canary-77f-ccccc"]), primary: Members::of_prefixes(["app-6d5f-"]) };
        Scope { namespace: "default".to_owned(), pods }
    }

    #[test]
    fn one_query_for_both_sides() {
        let metrics = vec!["http_requests_total".to_owned(), "up".to_owned()];
        let wanted = Wanted { metrics, bounds: Vec::new(), pod_label: PodLabel::Pod, since: Duration::from_secs(80), step: None };
        insta::assert_snapshot!(samples(&scope(), &wanted), @r#"{__name__=~"http_requests_total|up",pod=~"app-canary-77f-ccccc|app-6d5f-[a-z0-9]+",namespace=~"|default"}[80s]"#);
        let bounds = vec!["0.25".to_owned(), "+Inf".to_owned()];
        let wanted = Wanted { bounds, since: Duration::from_hours(24), step: Some(Duration::from_mins(2)), ..wanted };
        insta::assert_snapshot!(samples(&scope(), &wanted), @r#"{__name__=~"http_requests_total|up",pod=~"app-canary-77f-ccccc|app-6d5f-[a-z0-9]+",namespace=~"|default",le=~"|0[.]25|[+]Inf"}[86400s:120s]"#);
    }

    #[test]
    fn discovery_asks_by_every_label_in_one_query() {
        let mut scope = scope();
        scope.pods.primary = scope.pods.primary.with_address("10.0.0.1", "app-6d5f-aaaaa");
        let query = present(&scope, &["up".to_owned()]);
        insta::assert_snapshot!(query.replace(" or ", "\nor "), @r#"
        {__name__=~"up",pod=~"app-canary-77f-ccccc|app-6d5f-[a-z0-9]+",namespace=~"|default"}
        or {__name__=~"up",pod_name=~"app-canary-77f-ccccc|app-6d5f-[a-z0-9]+",namespace=~"|default"}
        or {__name__=~"up",kubernetes_pod_name=~"app-canary-77f-ccccc|app-6d5f-[a-z0-9]+",kubernetes_namespace=~"|default"}
        or {__name__=~"up",k8s_pod_name=~"app-canary-77f-ccccc|app-6d5f-[a-z0-9]+",k8s_namespace_name=~"|default"}
        or {__name__=~"up",instance=~"10[.]0[.]0[.]1(:[0-9]+)?"}
        "#);
        promql::parse(&query).unwrap();
    }

    #[test]
    fn a_comment_at_the_end_of_a_query_does_not_swallow_the_rest() {
        let query = over_time("max(backlog) # all of it", Duration::from_mins(1), Duration::from_secs(5));
        promql::parse(&query).unwrap();
        assert!(query.ends_with(")[60s:5s]"));
    }

    /// A small stack, such as a task's: what is within bounds must not be too deep for it, in this slow build either.
    #[test]
    fn what_is_within_bounds_fits_a_stack() {
        let deep = [
            "(".repeat(32) + "1" + &")".repeat(32),
            "a^".repeat(199) + "a",
            "a+".repeat(199) + "a",
            "-(".repeat(32) + "a" + &")".repeat(32),
        ];
        let walk = move || deep.map(|text| promql::parse(&text).unwrap_or_else(|error| panic!("{text}: {error}")).to_string().len());
        std::thread::Builder::new().stack_size(1 << 20).spawn(walk).unwrap().join().unwrap();
    }

    #[test]
    fn a_form_keeps_every_byte() {
        assert_eq!(encoded("a{b=~\"c|d\"}[5m] +é"), "a%7Bb%3D~%22c%7Cd%22%7D%5B5m%5D%20%2B%C3%A9");
    }
}

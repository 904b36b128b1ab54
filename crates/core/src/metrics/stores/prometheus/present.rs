//! The question of discovery: which series are there of the pods on both sides, whatever label names them. Pure.

use super::parts;
use super::query::{Dialect, PART_LABEL, matchers, place_labels};
use crate::metrics::counting::{Members, PodLabel, Scope};
use crate::metrics::discovery::{AGO, AGO_LABEL, kept_labels};

/// Of histograms these pods are enough to know the bounds.
const PODS_WITH_BUCKETS: usize = 5;

/// The last sample of each series, whatever label names the pods, and that of an hour ago, in questions of a length: in one where that is enough.
/// Series of known names are summed up over the labels that nobody looks at; of histograms, some pods are asked about. What the parts have in common
/// is answered by each.
pub fn present(scope: &Scope, metrics: &[String], dialect: Dialect<'_>, longest: usize) -> Vec<String> {
    let (buckets, counters): (Vec<String>, Vec<String>) = metrics.iter().cloned().partition(|name| name.ends_with("_bucket"));
    let kept = kept_labels(metrics).map(|labels| labels.join(","));
    let asked = |metrics, offset| Asked { metrics, kept: kept.as_deref(), offset, dialect };
    let named = |label: &str, value: &str, query: String| format!("label_replace({query},\"{label}\",\"{value}\",\"\",\"\")");
    let ago = format!(" offset {AGO}");
    let now = |scope: &Scope, labels: &[PodLabel]| asked(&counters, "").of(scope, labels);
    let before = |scope: &Scope, labels: &[PodLabel]| asked(&counters, &ago).of(scope, labels).map(|query| named(AGO_LABEL, AGO, query));
    let some = |scope: &Scope, labels: &[PodLabel]| {
        let query = (!buckets.is_empty()).then(|| asked(&buckets, "").of(&with_few_pods(scope), labels)).flatten();
        query.map(|query| named(PART_LABEL, "buckets", query))
    };
    let kinds: [&Question<'_>; 3] = [&now, &before, &some];
    let whole = kinds.iter().filter_map(|kind| kind(scope, &PodLabel::ALL)).collect::<Vec<_>>().join(" or ");
    if whole.len() <= longest {
        vec![whole]
    } else {
        kinds.iter().flat_map(|kind| by_labels(scope, &PodLabel::ALL, longest, kind)).collect()
    }
}

/// About these pods, by these labels; `None` where none of them names any.
type Question<'a> = dyn Fn(&Scope, &[PodLabel]) -> Option<String> + 'a;

fn by_labels(scope: &Scope, labels: &[PodLabel], longest: usize, question: &Question<'_>) -> Vec<String> {
    match question(scope, labels) {
        Some(whole) if whole.len() <= longest => vec![whole],
        Some(_) if labels.len() > 1 => {
            let (some, others) = labels.split_at(labels.len() / 2);
            [some, others].into_iter().flat_map(|labels| by_labels(scope, labels, longest, question)).collect()
        }
        Some(_) => parts::by_pods(scope, longest, &|scope| question(scope, labels)),
        None => Vec::new(),
    }
}

/// What is asked for.
struct Asked<'a> {
    metrics: &'a [String],
    /// The labels that are looked at.
    kept: Option<&'a str>,
    offset: &'a str,
    dialect: Dialect<'a>,
}

impl Asked<'_> {
    fn of(&self, scope: &Scope, labels: &[PodLabel]) -> Option<String> {
        // Names with dots have labels with dots, which older servers can't group by.
        let (dotted, plain): (Vec<String>, Vec<String>) = self.metrics.iter().cloned().partition(|name| name.contains("[.]"));
        let of_label = |label: PodLabel| {
            let selector = |metrics: &[String]| format!("{{{}}}{}", matchers(scope, metrics, label, self.dialect), self.offset);
            let summed = |selector: String| match self.kept {
                Some(labels) => format!("sum by (__name__,le,{},{labels}) ({selector})", place_labels(self.dialect).join(",")),
                None => selector,
            };
            let plain = (!plain.is_empty()).then(|| summed(selector(&plain)));
            let dotted = (!dotted.is_empty()).then(|| selector(&dotted));
            [plain, dotted].into_iter().flatten().collect::<Vec<_>>()
        };
        let naming = labels.iter().copied().filter(|label| !scope.pods.pattern(*label).is_empty());
        let all: Vec<String> = naming.flat_map(of_label).collect();
        (!all.is_empty()).then(|| all.join(" or "))
    }
}

fn with_few_pods(scope: &Scope) -> Scope {
    let mut scope = scope.clone();
    let Members { names, addresses, .. } = &mut scope.pods.primary;
    *names = names.iter().take(PODS_WITH_BUCKETS).cloned().collect();
    *addresses = addresses
        .iter()
        .filter(|(_, pod)| names.is_empty() || names.contains(*pod))
        .take(PODS_WITH_BUCKETS)
        .map(|(address, pod)| (address.clone(), pod.clone()))
        .collect();
    scope
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::counting::Pods;
    use crate::metrics::discovery::{Choice, wanted};

    const ENDLESS: usize = usize::MAX;

    fn scope() -> Scope {
        let pods = Pods { canary: Members::of_names(["app-canary-77f-ccccc"]), primary: Members::of_names(["app-6d5f-aaaaa"]) };
        Scope { namespace: "default".to_owned(), pods }
    }

    fn whole(scope: &Scope, metrics: &[String], dialect: Dialect<'_>) -> String {
        present(scope, metrics, dialect, ENDLESS).remove(0)
    }

    /// What `VictoriaMetrics` takes, and what fits into an address.
    #[test]
    fn who_takes_no_long_question_is_asked_short_ones() {
        for (pods, longest) in [(3, 16_384), (60, 16_384), (60, 4096)] {
            let mut scope = scope();
            for n in 0..pods {
                let name = format!("checkout-6d5f7c9b8d-{n:05}");
                scope.pods.primary.names.insert(name.clone());
                scope.pods.primary = scope.pods.primary.with_address(format!("10.0.{}.{}", n / 250, n % 250), name);
            }
            let all = present(&scope, &wanted(&Choice::Auto, true), Dialect::default(), longest);
            assert!(all.iter().all(|query| query.len() <= longest), "{:?}", all.iter().map(String::len).collect::<Vec<_>>());
            for query in &all {
                promql_parser::parser::parse(query).unwrap();
            }
            for name in &scope.pods.primary.names {
                let asks = |query: &&String| query.contains(name.as_str());
                let (ago, now): (Vec<&String>, Vec<&String>) = all.iter().filter(asks).partition(|query| query.contains(AGO_LABEL));
                assert!(!ago.is_empty() && !now.is_empty(), "{name}");
            }
            let asked_now = all.iter().filter(|query| !query.contains("label_replace")).map(|query| query.matches("pod=~").count());
            assert!(asked_now.sum::<usize>() >= 3);
        }
    }

    #[test]
    fn every_part_is_asked_about_ours() {
        let matchers = ["cluster=\"eu1\"".to_owned(), "env!=\"test\"".to_owned()];
        let query = whole(&scope(), &["up".to_owned()], Dialect { matchers: &matchers, pod_label: Some("workload_pod") });
        assert_eq!(query.matches("cluster=\"eu1\",env!=\"test\"").count(), query.matches("__name__=~").count(), "{query}");
        let dialect = Dialect { matchers: &[], pod_label: Some("k8s.pod.name") };
        assert!(whole(&scope(), &["up".to_owned()], dialect).contains(r#"sum by (__name__,le,"k8s.pod.name",exported_namespace"#));
    }

    #[test]
    fn discovery_asks_by_every_label_in_one_query() {
        let mut scope = scope();
        scope.pods.primary = scope.pods.primary.with_address("10.0.0.1", "app-6d5f-aaaaa");
        let query = whole(&scope, &["my_total".to_owned()], Dialect::default());
        insta::assert_snapshot!(query.replace(" or ", "\nor "), @r#"
        {__name__=~"my_total",pod=~"app-canary-77f-ccccc|app-6d5f-aaaaa",namespace=~"|default"}
        or {__name__=~"my_total",pod_name=~"app-canary-77f-ccccc|app-6d5f-aaaaa",namespace=~"|default"}
        or {__name__=~"my_total",exported_pod=~"app-canary-77f-ccccc|app-6d5f-aaaaa",exported_namespace=~"|default"}
        or {__name__=~"my_total",kubernetes_pod=~"app-canary-77f-ccccc|app-6d5f-aaaaa",kubernetes_namespace=~"|default"}
        or {__name__=~"my_total",kubernetes_pod_name=~"app-canary-77f-ccccc|app-6d5f-aaaaa",kubernetes_namespace=~"|default"}
        or {__name__=~"my_total",k8s_pod_name=~"app-canary-77f-ccccc|app-6d5f-aaaaa",k8s_namespace_name=~"|default"}
        or {__name__=~"my_total",instance=~"10[.]0[.]0[.]1(:[0-9]+)?"}
        or label_replace({__name__=~"my_total",pod=~"app-canary-77f-ccccc|app-6d5f-aaaaa",namespace=~"|default"} offset 1h
        or {__name__=~"my_total",pod_name=~"app-canary-77f-ccccc|app-6d5f-aaaaa",namespace=~"|default"} offset 1h
        or {__name__=~"my_total",exported_pod=~"app-canary-77f-ccccc|app-6d5f-aaaaa",exported_namespace=~"|default"} offset 1h
        or {__name__=~"my_total",kubernetes_pod=~"app-canary-77f-ccccc|app-6d5f-aaaaa",kubernetes_namespace=~"|default"} offset 1h
        or {__name__=~"my_total",kubernetes_pod_name=~"app-canary-77f-ccccc|app-6d5f-aaaaa",kubernetes_namespace=~"|default"} offset 1h
        or {__name__=~"my_total",k8s_pod_name=~"app-canary-77f-ccccc|app-6d5f-aaaaa",k8s_namespace_name=~"|default"} offset 1h
        or {__name__=~"my_total",instance=~"10[.]0[.]0[.]1(:[0-9]+)?"} offset 1h,"coalmine_ago","1h","","")
        "#);
        promql_parser::parser::parse(&query).unwrap();
    }

    /// Ten pods of Spring Boot have hundreds of thousands of buckets.
    #[test]
    fn buckets_are_asked_of_some_pods_and_summed_up() {
        let names: Vec<String> = (0..40).map(|pod| format!("app-6d5f-{pod:05}")).collect();
        let mut scope = scope();
        scope.pods.primary = Members::of_names(names.clone());
        let query = whole(&scope, &wanted(&Choice::Auto, true), Dialect::default());
        let (counters, buckets) = query.rsplit_once(" or label_replace(").unwrap();
        assert!(!counters.contains("_bucket|") && buckets.contains("_seconds(_bucket)?"), "{buckets}");
        assert!(counters.contains(&names[39]) && !buckets.contains(&names[5]) && buckets.contains(&names[4]));
        let summed = "sum by (__name__,le,exported_namespace,exported_pod,instance,k8s_namespace_name,k8s_pod_name,";
        let dotted = query.matches("{__name__=~\"http[.]server").count();
        assert_eq!(query.matches(summed).count() + dotted, query.matches("__name__=~").count(), "{query}");
        promql_parser::parser::parse(&query).unwrap();
    }
}

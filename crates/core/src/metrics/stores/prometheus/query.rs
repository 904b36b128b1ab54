//! The texts of the queries, and how they travel in a form. Pure.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use super::parts;
use crate::api::promql::is_scalar;
use crate::metrics::counting::{PodLabel, Sample, Scope, Series, escaped};
use crate::metrics::stores::Wanted;

/// How this store names things.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dialect<'a> {
    /// Conditions that every series must meet.
    pub matchers: &'a [String],
    /// The label that stands for [`PodLabel::Pod`].
    pub pod_label: Option<&'a str>,
}

/// On the series of a part of an answer. Without it, `or` would take a series for another that has the same labels and another name.
pub(super) const PART_LABEL: &str = "coalmine_part";

/// What tells where a series comes from.
pub(super) fn place_labels(dialect: Dialect<'_>) -> Vec<String> {
    let of_pods = PodLabel::ALL.into_iter().flat_map(|label| [Some(dialect.name(label)), label.namespace()]).flatten();
    of_pods.map(|label| quoted(label).into_owned()).collect::<BTreeSet<_>>().into_iter().collect()
}

/// All samples of some time, in questions of a length.
pub fn samples_in_parts(scope: &Scope, wanted: &Wanted, dialect: Dialect<'_>, longest: usize) -> Vec<String> {
    let question = |scope: &Scope| (!scope.pods.pattern(wanted.pod_label).is_empty()).then(|| samples(scope, wanted, dialect));
    parts::by_pods(scope, longest, &question)
}

/// The same in one.
pub fn samples(scope: &Scope, wanted: &Wanted, dialect: Dialect<'_>) -> String {
    let selector = bounded(matchers(scope, &wanted.metrics, wanted.pod_label, dialect), &wanted.bounds);
    let seconds = wanted.since.as_secs().max(1);
    let step = wanted.step.map(|step| format!(":{}s", whole_seconds(step))).unwrap_or_default();
    format!("{{{selector}}}[{seconds}s{step}]")
}

/// What is no histogram has no `le`, and is wanted too.
pub(super) fn bounded(mut selector: String, bounds: &[String]) -> String {
    if !bounds.is_empty() {
        let bounds: Vec<String> = bounds.iter().map(|bound| escaped(bound)).collect();
        let _ = write!(selector, ",le=~\"|{}\"", bounds.join("|"));
    }
    selector
}

/// On the series that tells the times of the steps, and nothing else.
const CLOCK_LABEL: &str = "coalmine_clock";

/// A query of the user's, an instant vector, at equal steps back in time.
pub fn over_time(query: &str, since: Duration, step: Duration) -> String {
    let clock = format!("label_replace(vector(time()),\"{CLOCK_LABEL}\",\"now\",\"\",\"\")");
    // Sets are of vectors.
    let function = if is_scalar(query) { "vector" } else { "" };
    format!("({function}({query}\n) or {clock})[{}s:{}s]", whole_seconds(since), whole_seconds(step))
}

/// What such a query answered. A series that ended before the last step goes on with what is no number: its last value is not the present one.
pub fn to_the_end(mut series: Vec<Series>) -> Vec<Series> {
    let (clock, others) = series.drain(..).partition::<Vec<_>, _>(|one| !one.label(CLOCK_LABEL).is_empty());
    let times: Vec<i64> = clock.iter().flat_map(|one| &one.samples).map(|sample| sample.at).collect();
    let mut series = others;
    for one in &mut series {
        let last = one.samples.last().map_or(i64::MIN, |sample| sample.at);
        one.samples.extend(times.iter().filter(|at| **at > last).map(|at| Sample { at: *at, value: f64::NAN }));
    }
    series
}

/// Rounded up; the language knows no shorter step that a server would like.
pub(super) fn whole_seconds(duration: Duration) -> u64 {
    (duration.as_secs() + u64::from(duration.subsec_nanos() > 0)).max(1)
}

pub(super) fn matchers(scope: &Scope, metrics: &[String], label: PodLabel, dialect: Dialect<'_>) -> String {
    let names: BTreeSet<String> = metrics.iter().map(|name| with_native(name)).collect();
    let names = names.into_iter().collect::<Vec<_>>().join("|");
    let mut text = format!("__name__=~\"{names}\",{}=~\"{}\"", quoted(dialect.name(label)), scope.pods.pattern(label));
    if let Some(namespace) = label.namespace() {
        // Some scrape configurations write no namespace; pods are told apart by name then.
        let _ = write!(text, ",{namespace}=~\"|{}\"", escaped(&scope.namespace));
    }
    for matcher in dialect.matchers {
        let _ = write!(text, ",{matcher}");
    }
    text
}

impl<'a> Dialect<'a> {
    fn name(self, label: PodLabel) -> &'a str {
        self.pod_label.filter(|_| label == PodLabel::Pod).unwrap_or_else(|| label.name())
    }

    /// Makes the labels of an answer the usual ones.
    pub fn translated(self, mut series: Vec<Series>) -> Vec<Series> {
        if let Some(own) = self.pod_label {
            for one in &mut series {
                if let Some(pod) = one.labels.remove(own) {
                    one.labels.insert(PodLabel::Pod.name().to_owned(), pod);
                }
            }
        }
        series
    }
}

/// A label as PromQL spells it: one with a dot, as OpenTelemetry's are where a Prometheus keeps them as they are, stands in quotes.
pub(super) fn quoted(label: &str) -> Cow<'_, str> {
    let is_plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_plain { Cow::Borrowed(label) } else { Cow::Owned(format!("{label:?}")) }
}

/// A native histogram has one series, whose name has no ending.
fn with_native(name: &str) -> String {
    ["_bucket", "_count"]
        .iter()
        .find_map(|ending| Some(format!("{}({ending})?", name.strip_suffix(ending)?)))
        .unwrap_or_else(|| name.to_owned())
}

/// As `application/x-www-form-urlencoded` wants it.
pub fn encoded(text: &str) -> String {
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
    use crate::api::promql;
    use crate::metrics::counting::{Members, Pods};

    fn scope() -> Scope {
        let pods = Pods { canary: Members::of_names(["app-canary-77f-ccccc"]), primary: Members::of_names(["app-6d5f-aaaaa"]) };
        Scope { namespace: "default".to_owned(), pods }
    }

    #[test]
    fn one_query_for_both_sides() {
        let metrics = vec!["http_requests_total".to_owned(), "up".to_owned()];
        let wanted =
            Wanted { metrics, bounds: Vec::new(), pod_label: PodLabel::Pod, since: Duration::from_secs(80), step: None, sums: None };
        let said = |wanted: &Wanted| samples(&scope(), wanted, Dialect::default());
        insta::assert_snapshot!(said(&wanted), @r#"{__name__=~"http_requests_total|up",pod=~"app-canary-77f-ccccc|app-6d5f-aaaaa",namespace=~"|default"}[80s]"#);
        let bounds = vec!["0.25".to_owned(), "+Inf".to_owned()];
        let wanted = Wanted { bounds, since: Duration::from_hours(24), step: Some(Duration::from_mins(2)), ..wanted };
        insta::assert_snapshot!(said(&wanted), @r#"{__name__=~"http_requests_total|up",pod=~"app-canary-77f-ccccc|app-6d5f-aaaaa",namespace=~"|default",le=~"|0[.]25|[+]Inf"}[86400s:120s]"#);
    }

    #[test]
    fn a_store_of_several_clusters_is_asked_about_ours() {
        let matchers = ["cluster=\"eu1\"".to_owned(), "env!=\"test\"".to_owned()];
        let dialect = Dialect { matchers: &matchers, pod_label: Some("workload_pod") };
        let wanted = Wanted {
            metrics: vec!["up".to_owned()],
            bounds: vec![],
            pod_label: PodLabel::Pod,
            since: Duration::from_secs(5),
            step: None,
            sums: None,
        };
        insta::assert_snapshot!(samples(&scope(), &wanted, dialect), @r#"{__name__=~"up",workload_pod=~"app-canary-77f-ccccc|app-6d5f-aaaaa",namespace=~"|default",cluster="eu1",env!="test"}[5s]"#);
        let labels = |name: &str| [(name.to_owned(), "a".to_owned())].into();
        let series = |name: &str| Series { labels: labels(name), samples: Vec::new() };
        assert_eq!(dialect.translated(vec![series("workload_pod"), series("other")]), [series("pod"), series("other")]);
    }

    /// A Prometheus that keeps OpenTelemetry's names as they are.
    #[test]
    fn a_label_with_dots_stands_in_quotes() {
        let dialect = Dialect { matchers: &[], pod_label: Some("k8s.pod.name") };
        let wanted = Wanted {
            metrics: vec!["up".to_owned()],
            bounds: vec![],
            pod_label: PodLabel::Pod,
            since: Duration::from_secs(5),
            step: None,
            sums: None,
        };
        insta::assert_snapshot!(samples(&scope(), &wanted, dialect), @r#"{__name__=~"up","k8s.pod.name"=~"app-canary-77f-ccccc|app-6d5f-aaaaa",namespace=~"|default"}[5s]"#);
    }

    #[test]
    fn a_comment_at_the_end_of_a_query_does_not_swallow_the_rest() {
        let query = over_time("max(backlog) # all of it", Duration::from_mins(1), Duration::from_secs(5));
        promql::parse(&query).unwrap();
        assert!(query.ends_with(")[60s:5s]"));
    }

    #[test]
    fn a_number_without_labels_is_asked_for_as_well() {
        let query = over_time("scalar(max(backlog)) / 2", Duration::from_mins(1), Duration::from_secs(5));
        promql::parse(&query).unwrap();
        assert!(query.starts_with("(vector(scalar(max(backlog)) / 2\n) or "), "{query}");
    }

    #[test]
    fn what_ended_before_the_last_step_is_no_number_at_last() {
        let series = |label: &str, values: &[(i64, f64)]| Series {
            labels: [(label.to_owned(), "now".to_owned())].into(),
            samples: values.iter().map(|(at, value)| Sample { at: *at, value: *value }).collect(),
        };
        let clock = series(CLOCK_LABEL, &[(5, 5.0), (10, 10.0), (15, 15.0)]);
        let answer = to_the_end(vec![clock, series("a", &[(5, 7.0)]), series("b", &[(10, 1.0), (15, 2.0)])]);
        let said: Vec<Vec<String>> =
            answer.iter().map(|one| one.samples.iter().map(|sample| format!("{} {}", sample.at, sample.value)).collect()).collect();
        assert_eq!(said, [vec!["5 7", "10 NaN", "15 NaN"], vec!["10 1", "15 2"]]);
    }

    #[test]
    fn a_form_keeps_every_byte() {
        assert_eq!(encoded("a{b=~\"c|d\"}[5m] +é"), "a%7Bb%3D~%22c%7Cd%22%7D%5B5m%5D%20%2B%C3%A9");
    }
}

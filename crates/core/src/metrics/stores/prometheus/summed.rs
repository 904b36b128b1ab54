//! Counters with so many labels that all their series are too many for one answer: the server sums up those that differ in nothing that anybody looks
//! at, at equal steps, and says when each target was scraped. What comes of it are samples at the times of the scrapes, as if they were raw. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::parts;
use super::query::{Dialect, PART_LABEL, bounded, matchers, place_labels, quoted, whole_seconds};
use crate::metrics::counting::{FACTS, Labels, Part, Sample, Scope, Series, escaped};
use crate::metrics::stores::{Sums, Wanted};

/// On the series that tell when a target was scraped, as seconds.
const TIME: &str = "time";

/// As [`super::query::samples_in_parts`].
pub fn samples_in_parts(scope: &Scope, wanted: &Wanted, sums: &Sums, dialect: Dialect<'_>, longest: usize) -> Vec<String> {
    let question = |scope: &Scope| (!scope.pods.pattern(wanted.pod_label).is_empty()).then(|| samples(scope, wanted, sums, dialect));
    parts::by_pods(scope, longest, &question)
}

fn samples(scope: &Scope, wanted: &Wanted, sums: &Sums, dialect: Dialect<'_>) -> String {
    let selector = |metrics: &[String]| matchers(scope, metrics, wanted.pod_label, dialect);
    let named = |part: &str, query: &str| format!("label_replace({query},\"{PART_LABEL}\",\"{part}\",\"\",\"\")");
    let summed = sums.parts.iter().enumerate().map(|(number, part)| {
        let mut selector = bounded(selector(&[escaped(&part.metric)]), &part.bounds);
        for (label, pattern) in &part.without {
            let _ = write!(selector, ",{}!~{}", quoted(label), text(pattern));
        }
        named(&number.to_string(), &format!("sum by (__name__,{}) ({{{selector}}})", labels(part, sums, dialect)))
    });
    let facts = named("facts", &format!("{{{}}}", selector(&FACTS.map(str::to_owned))));
    let times = named(TIME, &format!("timestamp({{{}}})", selector(&["up".to_owned()])));
    let all = summed.chain([facts, times]).collect::<Vec<_>>().join(" or ");
    format!("({all})[{}s:{}s]", whole_seconds(wanted.since), whole_seconds(wanted.step.unwrap_or_default()))
}

fn labels(part: &Part, sums: &Sums, dialect: Dialect<'_>) -> String {
    let own = part.labels.iter().chain(&sums.targets).map(|label| quoted(label).into_owned());
    let all: BTreeSet<String> = own.chain(place_labels(dialect)).chain((!part.bounds.is_empty()).then(|| "le".to_owned())).collect();
    all.into_iter().collect::<Vec<_>>().join(",")
}

/// A text of the language, which knows no other escapes.
fn text(pattern: &str) -> String {
    format!("\"{}\"", pattern.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// What such a question was answered, at the times of the scrapes. A step at which nothing new had been scraped is none.
pub fn at_the_scrapes(series: Vec<Series>) -> Vec<Series> {
    let (times, mut others): (Vec<Series>, Vec<Series>) = series.into_iter().partition(|one| one.label(PART_LABEL) == TIME);
    let targets: Vec<(Labels, BTreeMap<i64, i64>)> = times.into_iter().map(|one| (own(one.labels), scrapes(&one.samples))).collect();
    for one in &mut others {
        one.labels = own(std::mem::take(&mut one.labels));
        let is_of = |(target, _): &&(Labels, _)| target.iter().all(|(label, value)| one.labels.get(label) == Some(value));
        // Of two that fit, the one that says more.
        if let Some((_, scrapes)) = targets.iter().filter(is_of).max_by_key(|(target, _)| target.len()) {
            let scraped = |sample: &Sample| Some(Sample { at: *scrapes.get(&sample.at)?, value: sample.value });
            let by_scrape: BTreeMap<i64, f64> = one.samples.iter().filter_map(scraped).map(|one| (one.at, one.value)).collect();
            one.samples = by_scrape.into_iter().map(|(at, value)| Sample { at, value }).collect();
        }
    }
    others.retain(|one| !one.samples.is_empty());
    others
}

fn own(mut labels: Labels) -> Labels {
    labels.remove(PART_LABEL);
    labels
}

/// Which scrape was the newest at each step.
#[expect(clippy::cast_possible_truncation, reason = "milliseconds of a time that the server has told")]
fn scrapes(samples: &[Sample]) -> BTreeMap<i64, i64> {
    samples.iter().map(|sample| (sample.at, (sample.value * 1000.0).round() as i64)).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::metrics::counting::{Failure, Members, PodLabel, Pods, Reading, Selector};

    fn series(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> Series {
        let labels = labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect();
        Series { labels, samples: samples.iter().map(|(at, value)| Sample { at: at * 1000, value: *value }).collect() }
    }

    #[test]
    fn one_question_for_sums_and_scrapes() {
        let requests = Selector::parse("requests{side=\"in\"}").unwrap().excluding(&["path"], "/healthz|/a\"b");
        let reading = Reading::Labelled { requests, failures: vec![("code".to_owned(), Failure::HttpStatus)] };
        let slower = Reading::Slower { buckets: Selector::of("latency_bucket"), bounds: vec!["0.25".to_owned()] };
        let parts = Part::of([&reading, &slower].into_iter());
        let sums = Sums { parts, targets: ["job", "instance", "pod"].map(str::to_owned).into() };
        let pods = Pods { canary: Members::of_names(["app-canary-77f-ccccc"]), primary: Members::of_names(["app-6d5f-aaaaa"]) };
        let scope = Scope { namespace: "default".to_owned(), pods };
        let (since, step) = (Duration::from_secs(80), Some(Duration::from_millis(300)));
        let wanted = Wanted { metrics: Vec::new(), bounds: Vec::new(), pod_label: PodLabel::Pod, since, step, sums: None };
        insta::assert_snapshot!(samples(&scope, &wanted, &sums, Dialect::default()).replace(" or ", "\nor "), @r#"
        (label_replace(sum by (__name__,code,exported_namespace,exported_pod,instance,job,k8s_namespace_name,k8s_pod_name,kubernetes_namespace,kubernetes_pod,kubernetes_pod_name,namespace,pod,pod_name,side) ({__name__=~"requests",pod=~"app-canary-77f-ccccc|app-6d5f-aaaaa",namespace=~"|default",path!~"^(?:/healthz|/a\"b)$"}),"coalmine_part","0","","")
        or label_replace(sum by (__name__,exported_namespace,exported_pod,instance,job,k8s_namespace_name,k8s_pod_name,kubernetes_namespace,kubernetes_pod,kubernetes_pod_name,le,namespace,pod,pod_name) ({__name__=~"latency(_bucket)?",pod=~"app-canary-77f-ccccc|app-6d5f-aaaaa",namespace=~"|default",le=~"|0[.]25|[+]Inf"}),"coalmine_part","1","","")
        or label_replace({__name__=~"process_start_time_seconds|up",pod=~"app-canary-77f-ccccc|app-6d5f-aaaaa",namespace=~"|default"},"coalmine_part","facts","","")
        or label_replace(timestamp({__name__=~"up",pod=~"app-canary-77f-ccccc|app-6d5f-aaaaa",namespace=~"|default"}),"coalmine_part","time","",""))[80s:1s]
        "#);
    }

    #[test]
    fn steps_become_scrapes() {
        let (target, twin) = ([("pod", "a"), ("job", "x")], [("pod", "a"), ("job", "y")]);
        let of = |target: &[(&'static str, &'static str)], more: &[(&'static str, &'static str)]| [target, more].concat();
        let answer = vec![
            series(&of(&target, &[("coalmine_part", "time")]), &[(10, 8.25), (11, 8.25), (12, 11.5), (13, 11.5)]),
            series(&of(&twin, &[("coalmine_part", "time")]), &[(10, 9.0), (13, 12.0)]),
            series(&of(&target, &[("coalmine_part", "facts"), ("__name__", "up")]), &[(10, 1.0), (11, 1.0), (12, 0.0), (13, 0.0)]),
            series(&of(&target, &[("coalmine_part", "0"), ("__name__", "requests"), ("code", "200")]), &[(10, 5.0), (11, 5.0)]),
            series(&of(&twin, &[("coalmine_part", "0"), ("__name__", "requests"), ("code", "200")]), &[(10, 6.0), (11, 6.0), (13, 7.0)]),
            series(&[("coalmine_part", "0"), ("__name__", "requests"), ("pod", "b")], &[(10, 1.0), (11, 1.0)]),
        ];
        let told = |one: &Series| {
            let samples: Vec<String> = one.samples.iter().map(|sample| format!("{}@{}", sample.value, sample.at)).collect();
            format!("{} {} {} {}", one.name(), one.label("pod"), one.label("job"), samples.join(" "))
        };
        insta::assert_snapshot!(at_the_scrapes(answer).iter().map(told).collect::<Vec<_>>().join("\n"), @r"
        up a x 1@8250 0@11500
        requests a x 5@8250
        requests a y 6@9000 7@12000
        requests b  1@10000 1@11000
        ");
    }
}

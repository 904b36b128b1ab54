//! What of a reading a source may sum up before it answers: series that differ in nothing that anybody looks at. Knows labels and no samples, and no
//! language that a source is asked in.

use std::collections::BTreeSet;

use super::Reading;
use crate::api::selector::Selector;

/// One metric, and which of its labels tell its series apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub metric: String,
    /// Of a histogram, the bounds that are read.
    pub bounds: Vec<String>,
    pub labels: BTreeSet<String>,
    /// Series are left out whose label matches the pattern: nobody can tell them apart once they are summed up.
    pub without: Vec<(String, String)>,
}

impl Part {
    /// Of all these readings, each metric once.
    pub fn of<'a>(readings: impl Iterator<Item = &'a Reading>) -> Vec<Self> {
        let mut parts: Vec<Self> = Vec::new();
        for reading in readings {
            let selectors: Vec<&Selector> = match reading {
                Reading::Labelled { requests, .. } => vec![requests],
                Reading::Separate { requests, errors } => vec![requests, errors],
                Reading::Slower { buckets, .. } => vec![buckets],
            };
            for selector in selectors {
                let part = Self::of_one(reading, selector);
                match parts.iter_mut().find(|known| known.metric == part.metric) {
                    Some(known) => known.join(part),
                    None => parts.push(part),
                }
            }
        }
        parts
    }

    fn of_one(reading: &Reading, selector: &Selector) -> Self {
        let is_only_left_out = |label: &str| !reading.outcome_labels().contains(&label) && selector.is_only_left_out(label);
        let labels = reading.labels().into_iter().filter(|label| !is_only_left_out(label)).map(str::to_owned).collect();
        Self {
            metric: selector.metric().to_owned(),
            bounds: reading.bounds(),
            labels,
            without: selector.left_out().map(|(label, pattern)| (label.to_owned(), pattern.to_owned())).collect(),
        }
    }

    /// Where two readings leave out different series, nothing is left out, and the labels stay.
    fn join(&mut self, other: Self) {
        if self.without != other.without {
            let all = std::mem::take(&mut self.without).into_iter().chain(other.without);
            self.labels.extend(all.map(|(label, _)| label));
        }
        self.labels.extend(other.labels);
        self.bounds.extend(other.bounds);
        self.bounds.sort();
        self.bounds.dedup();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::counting::Failure;

    fn told(readings: &[Reading]) -> String {
        let one = |part: &Part| {
            let Part { metric, bounds, labels, without } = part;
            format!("{metric} by {} le {} without {without:?}", labels.iter().cloned().collect::<Vec<_>>().join(","), bounds.join(","))
        };
        Part::of(readings.iter()).iter().map(one).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_nobody_looks_at_is_summed_up() {
        let selector = |text: &str| Selector::parse(text).unwrap();
        let requests = selector("requests{side=\"in\"}").excluding(&["path", "route"], "/healthz");
        let failures = vec![("code".to_owned(), Failure::HttpStatus)];
        let labelled = Reading::Labelled { requests, failures };
        let buckets = selector("latency_bucket").excluding(&["path"], "/healthz");
        let slower = |bound: &str| Reading::Slower { buckets: buckets.clone(), bounds: vec![bound.to_owned()] };
        let by_hand = |errors: &str| Reading::Separate { requests: selector("requests{path!~\"/x\"}"), errors: selector(errors) };
        insta::assert_snapshot!(told(&[labelled.clone(), slower("0.25"), slower("0.5")]), @r#"
        requests by code,side le  without [("path", "^(?:/healthz)$"), ("route", "^(?:/healthz)$")]
        latency_bucket by le le +Inf,0.25,0.5 without [("path", "^(?:/healthz)$")]
        "#);
        insta::assert_snapshot!(told(&[by_hand("requests{path!~\"/x\",code=~\"5..\"}"), by_hand("errors")]), @r"
        requests by code,path le  without []
        errors by path le  without []
        ");
        let all_paths = Reading::Labelled { requests: selector("requests{side=\"in\"}"), failures: Vec::new() };
        insta::assert_snapshot!(told(&[labelled, all_paths]), @"requests by code,path,route,side le  without []");
    }
}

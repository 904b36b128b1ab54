//! What is wanted of a page, and how it is found in the bytes as they come: line by line, so that a page of any length takes the memory of its
//! longest line. Prometheus' text format and that of `OpenMetrics` alike; series that differ in nothing that anybody looks at are summed up.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::api::{patterns::Pattern, policy::Policy};
use crate::metrics::counting::{FACTS, Labels, Reading, escaped, page};
use crate::metrics::discovery;
use crate::metrics::probes::Marks;
use crate::statistics::Counts;

/// No library writes a longer one; what is longer is skipped.
const LONGEST_LINE: usize = 16 << 10;
/// A page with more wanted series is none that can be kept.
const MOST_SERIES: usize = 4000;

/// What only such a page says. Before the first request that may be all.
const HEADS: [&[u8]; 4] = [b"# HELP ", b"# TYPE ", b"# UNIT ", b"# EOF"];

/// Which series of a page are wanted, and which of their labels.
#[derive(Clone, Debug)]
pub struct Wishes {
    names: Vec<String>,
    metrics: Option<Pattern>,
    /// Of histograms, these bounds only; all where it is empty.
    bounds: BTreeSet<String>,
    labels: BTreeSet<String>,
    marks: Marks,
}

impl Wishes {
    /// All that discovery may look at. `pod_specs` are the templates'.
    pub fn of(policy: &Policy, pod_specs: &[&Value]) -> Self {
        let names = discovery::wanted(&policy.metrics, policy.max_latency_p99.is_some());
        let labels = discovery::labels(&policy.metrics);
        Self { metrics: pattern(&names), names, bounds: BTreeSet::new(), labels, marks: Marks::new(pod_specs, &policy.ignore_paths) }
    }

    /// What one reading reads.
    pub fn of_reading(reading: &Reading) -> Self {
        let names: Vec<String> = reading.metrics().into_iter().map(escaped).collect();
        let labels = reading.labels().into_iter().map(str::to_owned).collect();
        Self { metrics: pattern(&names), names, bounds: BTreeSet::new(), labels, marks: Marks::default() }
    }

    /// The same for less, once it is known what is read.
    #[must_use]
    pub fn only(&self, names: &[String], bounds: &[String]) -> Self {
        Self { names: names.to_vec(), metrics: pattern(names), bounds: bounds.iter().cloned().collect(), ..self.clone() }
    }

    /// The patterns of the metrics' names.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether a series may be asked for.
    pub fn want(&self, labels: &Labels) -> bool {
        let bound = labels.get("le").filter(|_| !self.bounds.is_empty());
        labels.get("__name__").is_some_and(|name| self.name(name)) && bound.is_none_or(|bound| self.bounds.contains(bound))
    }

    fn name(&self, name: &str) -> bool {
        FACTS.contains(&name) || self.metrics.as_ref().is_some_and(|metrics| metrics.fits(name))
    }

    fn keep(&self, label: &str, value: &str) -> bool {
        label == "__name__" || self.labels.contains(label) || self.marks.hold(label, value)
    }
}

fn pattern(names: &[String]) -> Option<Pattern> {
    Pattern::whole(&names.join("|"))
}

/// There are more series on a page than can be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than {MOST_SERIES} series of requests")]
pub struct TooManySeries;

/// What was found on a page so far.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// By labels, without those of the pod.
    pub series: BTreeMap<Labels, f64>,
    /// Something on it is of a metrics page, whether wanted or not; who knows it otherwise may say so.
    pub is_metrics: bool,
    pending: Vec<u8>,
    is_skipping: bool,
    /// The last name that was looked at: a page has those of one name in a row.
    name: (String, bool),
}

impl Page {
    /// The next bytes. The last line counts when it ends, or when all is there.
    pub fn push(&mut self, wishes: &Wishes, mut bytes: &[u8]) -> Result<(), TooManySeries> {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            // Most lines are whole, and need not be copied.
            if self.pending.is_empty() && !self.is_skipping && end <= LONGEST_LINE {
                self.read(wishes, &bytes[..end])?;
            } else {
                self.extend(&bytes[..end]);
                self.line(wishes)?;
            }
            bytes = &bytes[end + 1..];
        }
        self.extend(bytes);
        Ok(())
    }

    /// All is there.
    pub fn end(&mut self, wishes: &Wishes) -> Result<(), TooManySeries> {
        self.line(wishes)?;
        self.pending = Vec::new();
        Ok(())
    }

    /// What it says was counted so far; `None` when nothing on it is what the reading reads.
    pub fn totals(&self, reading: &Reading) -> Option<Counts> {
        let reading = &reading.on_a_page();
        let mut found = None;
        for (labels, value) in &self.series {
            let weight = reading.weigh(labels);
            if !weight.is_nothing() && !reading.is_mute(labels) && *value >= 0.0 {
                found.get_or_insert_with(Counts::default).add(Counts::new(weight.requests * value, weight.errors * value));
            }
        }
        found
    }

    fn extend(&mut self, bytes: &[u8]) {
        self.is_skipping |= self.pending.len() + bytes.len() > LONGEST_LINE;
        if !self.is_skipping {
            self.pending.extend_from_slice(bytes);
        }
    }

    fn line(&mut self, wishes: &Wishes) -> Result<(), TooManySeries> {
        let pending = std::mem::take(&mut self.pending);
        if !std::mem::take(&mut self.is_skipping) {
            self.read(wishes, &pending)?;
        }
        self.pending = pending;
        self.pending.clear();
        Ok(())
    }

    fn read(&mut self, wishes: &Wishes, line: &[u8]) -> Result<(), TooManySeries> {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            self.is_metrics |= HEADS.iter().any(|head| line.starts_with(head));
            return Ok(());
        }
        let line = String::from_utf8_lossy(line);
        let name = line.split(['{', ' ', '\t']).next().unwrap_or_default();
        if !name.is_empty() {
            if self.name.0 != name {
                self.name = (name.to_owned(), wishes.name(name));
            }
            if self.is_metrics && !self.name.1 {
                return Ok(());
            }
        }
        let Some((mut labels, value)) = page::sample(&line) else { return Ok(()) };
        self.is_metrics = true;
        if !wishes.want(&labels) || !value.is_finite() {
            return Ok(());
        }
        labels.retain(|label, value| wishes.keep(label, value));
        if self.series.len() >= MOST_SERIES && !self.series.contains_key(&labels) {
            return Err(TooManySeries);
        }
        *self.series.entry(labels).or_default() += value;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::metrics::counting::{Failure, Selector};

    fn wishes() -> Wishes {
        let spec = json!({"containers": [{"readinessProbe": {"httpGet": {"path": "/up", "port": 1}}}]});
        Wishes::of(&Policy::default(), &[&spec])
    }

    fn read(page: &str, chunk: usize) -> Page {
        let (wishes, mut read) = (wishes(), Page::default());
        page.as_bytes().chunks(chunk.max(1)).for_each(|bytes| read.push(&wishes, bytes).unwrap());
        read.end(&wishes).unwrap();
        read
    }

    fn told(page: &Page) -> String {
        let line = |(labels, value): (&Labels, &f64)| {
            let labels = labels.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
            format!("{} {value}", labels.join(" "))
        };
        page.series.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    const PAGE: &str = "# TYPE http_requests_total counter\r\n\
        http_requests_total{code=\"200\",path=\"/a/1\",method=\"GET\"} 10\r\n\
        http_requests_total{code=\"200\",path=\"/a/2\",method=\"GET\"} 5 1790000000000\n\
        http_requests_total{code=\"200\",path=\"/up\"} 7\nhttp_requests_total{code=\"500\",path=\"/a/2\"} 2 # {trace_id=\"x\"} 1\n\
        go_goroutines 9\nhttp_requests_total{code=\"500\"} NaN\n{\"http_requests_total\",\"code\"=\"404\"} 1\nprocess_start_time_seconds 1.7e9\n# EOF";

    #[test]
    fn what_nobody_looks_at_is_summed_up() {
        insta::assert_snapshot!(told(&read(PAGE, 1000)), @r"
        __name__=http_requests_total code=200 15
        __name__=http_requests_total code=200 path=/up 7
        __name__=http_requests_total code=404 1
        __name__=http_requests_total code=500 2
        __name__=process_start_time_seconds 1700000000
        ");
    }

    #[test]
    fn a_page_is_told_from_a_text() {
        assert!(read("go_goroutines 9", 3).is_metrics);
        assert!(read("# HELP http_requests_total Requests.\n# EOF", 3).is_metrics);
        assert!(!read("# Welcome\n", 3).is_metrics);
        assert!(!read("<html>\n<body>Not found</body>\n</html>", 3).is_metrics);
        assert!(!read("", 3).is_metrics);
    }

    #[test]
    fn a_line_without_end_takes_no_memory() {
        let page = format!("http_requests_total{{code=\"{}\"}} 1\nhttp_requests_total{{code=\"500\"}} 1\n", "5".repeat(LONGEST_LINE));
        let read = read(&page, 100);
        assert_eq!(told(&read), "__name__=http_requests_total code=500 1");
        assert!(read.pending.capacity() <= LONGEST_LINE);
    }

    #[test]
    fn so_many_series_are_refused() {
        let (wishes, mut read) = (wishes(), Page::default());
        let line = |number: usize| format!("http_requests_total{{code=\"{number}\"}} 1\n");
        let result = (0..=MOST_SERIES).try_for_each(|number| read.push(&wishes, line(number).as_bytes()));
        assert_eq!((result, read.series.len()), (Err(TooManySeries), MOST_SERIES));
    }

    #[test]
    fn only_what_a_reading_reads_counts() {
        let requests = Selector::parse("requests_total{instance=\"10.0.0.1:80\"}").unwrap();
        let reading = Reading::Labelled { requests, failures: vec![("code".to_owned(), Failure::HttpStatus)] };
        let totals = |page: &str| {
            let (wishes, mut read) = (Wishes::of_reading(&reading), Page::default());
            read.push(&wishes, page.as_bytes()).unwrap();
            read.end(&wishes).unwrap();
            read.totals(&reading)
        };
        let page = "# TYPE requests_total counter\nrequests_total{code=\"200\",path=\"/a\"} 4\nrequests_total{code=\"200\",path=\"/b\"} 6\n\
            requests_total{code=\"503\"} 2\nrequests_total{code=\"500\"} NaN\nrequests_total{code=\"501\"} -3\nrequests_total 9\n\
            requests_total_created{code=\"500\"} 7\nother 5\n";
        assert_eq!(totals(page), Some(Counts::new(12.0, 2.0)));
        assert_eq!(totals("other 5\n"), None);
        assert_eq!(totals("<html><body>404</body></html>"), None);
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(chunk in 1_usize..40) {
            prop_assert_eq!(told(&read(PAGE, chunk)), told(&read(PAGE, PAGE.len())));
        }

        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let (wishes, mut read) = (wishes(), Page::default());
            let _ = read.push(&wishes, &bytes);
            let _ = read.end(&wishes);
        }
    }
}

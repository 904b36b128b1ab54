//! What was seen of a canary while its trial goes on: a line of looks, thinned, as one annotation on the canary. For people, the plugin and
//! scripts alone: nothing is ever decided by what stands there, so that whoever changes it changes a picture and no verdict.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::times::elapsed;
use crate::{api::origin::Origin, facts::judgement::Reading, manifest::object, message::findings, words::within};

/// On the canary.
pub const ANNOTATION: &str = "coalmine.dev/evidence";

/// The maximum number of looks: more points could not be told apart.
pub const MOST: usize = 60;
/// The annotation is written no more often than that.
const PAUSE: Duration = Duration::from_secs(5);
/// The longest query, in characters, and the maximum number of queries.
const LONGEST_QUERY: usize = 500;
const MOST_QUERIES: usize = 4;

/// All counts up to one moment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Look {
    pub time: Timestamp,
    pub canary: Counted,
    pub primary: Counted,
    /// The x of "x:1 against it"; it is rejected at 100.
    pub against: f64,
    /// The same in its favour.
    pub in_favour: f64,
    /// The number of requests that would show, with as many failures as there are, that it keeps the limit. Absent where no number would.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needed: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Counted {
    pub requests: f64,
    pub failures: f64,
}

/// What the counts are read from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reads {
    /// Which series, and where.
    pub words: String,
    /// The same to be asked of Prometheus by a person.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub queries: Vec<String>,
}

impl Reads {
    /// What was chosen, in words, and as queries where a person can ask them.
    pub fn of(reading: &Reading, namespace: &str) -> Self {
        let can_be_asked = reading.origin == Origin::Prometheus;
        let counters = reading.chosen.counters.iter().filter(|_| can_be_asked);
        Self { words: findings::reading(reading), queries: counters.flat_map(|found| found.queries(namespace)).collect() }
    }

    /// Cuts what anybody may have written there to a few short lines.
    fn bounded(self) -> Self {
        let queries = self.queries.iter().take(MOST_QUERIES).map(|query| within(query, LONGEST_QUERY)).collect();
        Self { words: within(&self.words, LONGEST_QUERY), queries }
    }
}

/// As it stands in an annotation: seconds since 1970, the canary's requests and failures, the primary's, against, in favour, needed.
pub(super) type Packed = (i64, f64, f64, f64, f64, f64, f64, Option<f64>);

/// The looks at one run's canary, oldest first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Evidence {
    pub looks: Vec<Look>,
    pub reads: Option<Reads>,
    run: String,
    written: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
struct Record {
    run: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    reads: Option<Reads>,
    looks: Vec<Packed>,
}

impl Evidence {
    /// What stands on a canary; nothing where nobody can read it.
    pub fn of(canary: &Value) -> Self {
        let read = object::annotation(canary, ANNOTATION).and_then(|text| serde_json::from_str::<Record>(text).ok());
        let Some(Record { run, reads, looks }) = read else { return Self::default() };
        Self { looks: unpacked(&looks), reads: reads.map(Reads::bounded), run, written: None }
    }

    /// The same, where it is of this run.
    pub fn of_run(canary: &Value, run: &str) -> Self {
        let found = Self::of(canary);
        if found.run == run { found } else { Self { run: run.to_owned(), ..Self::default() } }
    }

    pub fn is_of(&self, run: &str) -> bool {
        self.run == run
    }

    /// One more look; a later one of the same second takes the place of the earlier.
    pub fn push(&mut self, look: Look) {
        if self.looks.last().is_some_and(|last| last.time.as_second() >= look.time.as_second()) {
            self.looks.pop();
        }
        self.looks.push(look);
        thin(&mut self.looks, MOST);
    }

    /// The text to be written now, if it is time.
    pub fn due(&mut self, now: Timestamp) -> Option<String> {
        if self.looks.is_empty() || self.written.is_some_and(|at| elapsed(at, now) < PAUSE) {
            return None;
        }
        self.written = Some(now);
        let reads = self.reads.clone().map(Reads::bounded);
        serde_json::to_string(&Record { run: self.run.clone(), reads, looks: packed(&self.looks) }).ok()
    }
}

/// Takes away what lies closest to its neighbours in time, until no more than `most` are left. The first and the last stay.
pub(super) fn thin(looks: &mut Vec<Look>, most: usize) {
    while looks.len() > most.max(2) {
        let gap = |at: &usize| looks[at + 1].time.as_second() - looks[at - 1].time.as_second();
        let Some(closest) = (1..looks.len() - 1).min_by_key(gap) else { return };
        looks.remove(closest);
    }
}

pub(super) fn packed(looks: &[Look]) -> Vec<Packed> {
    let pack = |look: &Look| {
        let (canary, primary) = (look.canary, look.primary);
        (
            look.time.as_second(),
            count(canary.requests),
            count(canary.failures),
            count(primary.requests),
            count(primary.failures),
            ratio(look.against),
            ratio(look.in_favour),
            look.needed.map(count),
        )
    };
    looks.iter().map(pack).collect()
}

pub(super) fn unpacked(looks: &[Packed]) -> Vec<Look> {
    let unpack = |&(time, requests, failures, of_primary, failures_of_primary, against, in_favour, needed): &Packed| {
        Some(Look {
            time: Timestamp::from_second(time).ok()?,
            canary: Counted { requests, failures },
            primary: Counted { requests: of_primary, failures: failures_of_primary },
            against,
            in_favour,
            needed,
        })
    };
    looks.iter().take(MOST).filter_map(unpack).collect()
}

/// A tenth of a request is more than anybody reads.
fn count(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// Three digits of a ratio that spans many powers of ten.
fn ratio(value: f64) -> f64 {
    if value >= 100.0 { value.round() } else { (value * 1000.0).round() / 1000.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    pub(in crate::run) fn look(second: i64, requests: f64) -> Look {
        Look {
            time: Timestamp::from_second(1_800_000_000 + second).unwrap(),
            canary: Counted { requests, failures: 1.0 },
            primary: Counted { requests: requests * 9.0, failures: 0.0 },
            against: 0.123_456,
            in_favour: 12.0,
            needed: Some(338.0),
        }
    }

    #[test]
    fn it_reads_back_and_belongs_to_its_run() {
        let mut evidence = Evidence { run: "r1".to_owned(), ..Evidence::default() };
        evidence.push(look(0, 12.34));
        let text = evidence.due(look(0, 0.0).time).unwrap();
        assert_eq!(text, r#"{"run":"r1","looks":[[1800000000,12.3,1.0,111.1,0.0,0.123,12.0,338.0]]}"#);
        let canary = json!({"metadata": {"annotations": {ANNOTATION: text}}});
        assert_eq!(Evidence::of_run(&canary, "r1").looks.len(), 1);
        assert_eq!(Evidence::of_run(&canary, "r2").looks, []);
        assert!(Evidence::of_run(&canary, "r2").is_of("r2"));
    }

    #[test]
    fn what_is_read_is_kept_with_it_and_is_short_whoever_wrote_it() {
        let reads = Reads { words: "reading http_requests_total by code from Prometheus".to_owned(), queries: vec!["sum(x)".to_owned()] };
        let mut evidence = Evidence { run: "r1".to_owned(), reads: Some(reads.clone()), ..Evidence::default() };
        evidence.push(look(0, 1.0));
        let canary = |text: String| json!({"metadata": {"annotations": {ANNOTATION: text}}});
        assert_eq!(Evidence::of_run(&canary(evidence.due(look(0, 0.0).time).unwrap()), "r1").reads, Some(reads));
        let long = json!({"run": "r1", "reads": {"words": "x\n".repeat(9000), "queries": vec!["y".repeat(9000); 90]}, "looks": []});
        let read = Evidence::of_run(&canary(long.to_string()), "r1").reads.unwrap();
        assert!(read.words.len() < 510 && !read.words.contains('\n') && read.queries.len() == MOST_QUERIES, "{read:?}");
    }

    #[test]
    fn a_day_of_looks_becomes_sixty_points_from_the_first_to_the_last() {
        let mut evidence = Evidence::default();
        for second in 0..86_400 {
            evidence.push(look(second, second as f64));
        }
        assert_eq!(evidence.looks.len(), MOST);
        let seconds: Vec<i64> = evidence.looks.iter().map(|look| look.time.as_second() - 1_800_000_000).collect();
        assert_eq!((seconds[0], seconds[MOST - 1]), (0, 86_399));
        let widest = seconds.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(widest < 4 * 86_400 / 60, "{seconds:?}");
        assert!(evidence.due(look(0, 0.0).time).unwrap().len() < 6 << 10);
    }

    #[test]
    fn it_is_written_every_five_seconds_at_most() {
        let mut evidence = Evidence::default();
        assert_eq!(evidence.due(look(0, 0.0).time), None, "there is nothing");
        let written = (0..20).filter(|second| {
            evidence.push(look(*second, 1.0));
            evidence.due(look(*second, 0.0).time).is_some()
        });
        assert_eq!(written.collect::<Vec<_>>(), [0, 5, 10, 15]);
    }

    #[test]
    fn what_somebody_else_wrote_there_is_nothing() {
        for text in ["", "{}", "null", r#"{"run":"r1","looks":[[1]]}"#, r#"{"run":"r1","looks":{}}"#] {
            assert_eq!(Evidence::of(&json!({"metadata": {"annotations": {ANNOTATION: text}}})), Evidence::default(), "{text}");
        }
        let endless = format!(r#"{{"run":"r1","looks":[{}]}}"#, vec!["[1,1,1,1,1,1,1,null]"; 9000].join(","));
        assert_eq!(Evidence::of(&json!({"metadata": {"annotations": {ANNOTATION: endless}}})).looks.len(), MOST);
        let absurd = r#"{"run":"r1","looks":[[9223372036854775807,1,1,1,1,1,1,null]]}"#;
        assert_eq!(Evidence::of(&json!({"metadata": {"annotations": {ANNOTATION: absurd}}})).looks, []);
    }
}

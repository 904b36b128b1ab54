//! Question by question against a source whose every sample is known: what comes out is what the whole run says, and no question grows.

use std::collections::BTreeMap;
use std::sync::Mutex;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use proptest::prelude::*;

use super::super::Problem;
use super::*;
use coalmine_core::metrics::counting::{Failure, Labels, Members, Pods, Sample, Selector};

const CANARY: &str = "app-canary-77f-ccccc";
const T0: i64 = 1_790_000_000_000;
/// The source's clock is not ours.
const APART: i64 = 7_200_000;

/// Holds samples with the time at which each can be read.
#[derive(Debug, Default)]
struct Store {
    series: BTreeMap<Labels, Vec<(i64, Sample)>>,
    now: Mutex<i64>,
    /// What was asked, and how many samples were the answer.
    asked: Mutex<Vec<(Duration, usize)>>,
    is_down: Mutex<bool>,
    /// The largest number of series that it answers.
    most: Option<usize>,
}

impl Store {
    fn put(&mut self, pod: &str, code: &str, at: i64, late: i64, value: f64) {
        let pairs = [("__name__", "http_requests_total"), ("pod", pod), ("code", code)];
        let labels = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        self.series.entry(labels).or_default().push((at + late, Sample { at, value }));
    }

    fn between(&self, from: i64, now: i64) -> Vec<Series> {
        let readable = |samples: &Vec<(i64, Sample)>| -> Vec<Sample> {
            samples
                .iter()
                .filter(|(readable, sample)| *readable <= now && sample.at > from && sample.at <= now)
                .map(|(_, one)| *one)
                .collect()
        };
        let series = self.series.iter().map(|(labels, samples)| Series { labels: labels.clone(), samples: readable(samples) });
        series.filter(|one| !one.samples.is_empty()).collect()
    }
}

impl Source for Store {
    fn present<'a>(&'a self, _: &'a Scope, _: &'a [String]) -> BoxFuture<'a, Result<Vec<Series>, Error>> {
        async { unreachable!("counting discovers nothing") }.boxed()
    }

    fn samples<'a>(&'a self, _: &'a Scope, wanted: &'a Wanted) -> BoxFuture<'a, Result<Vec<Series>, Error>> {
        async {
            if *self.is_down.lock().unwrap() {
                return Err(Error { target: "the store".to_owned(), problem: Problem::Truncated });
            }
            let now = *self.now.lock().unwrap();
            let mut answer = self.between(now - i64::try_from(wanted.since.as_millis()).unwrap(), now);
            answer = if wanted.metrics.len() <= counting::FACTS.len() { Vec::new() } else { answer };
            if let Some(sums) = &wanted.sums {
                answer = summed(answer, sums);
            }
            if self.most.is_some_and(|most| answer.len() > most) {
                return Err(Error { target: "the store".to_owned(), problem: Problem::TooManySeries(answer.len()) });
            }
            self.asked.lock().unwrap().push((wanted.since, answer.iter().map(|one| one.samples.len()).sum()));
            Ok(answer)
        }
        .boxed()
    }

    fn sums(&self) -> bool {
        true
    }

    fn evaluate<'a>(&'a self, _: &'a str, _: &'a str, _: Duration, _: Duration) -> BoxFuture<'a, Result<Vec<Series>, Error>> {
        async { unreachable!("counting asks for samples") }.boxed()
    }
}

fn summed(series: Vec<Series>, sums: &Sums) -> Vec<Series> {
    let mut groups: BTreeMap<Labels, BTreeMap<i64, f64>> = BTreeMap::new();
    for Series { mut labels, samples } in series {
        labels.retain(|label, _| ["__name__", "pod"].contains(&label.as_str()) || sums.parts[0].labels.contains(label));
        let group = groups.entry(labels).or_default();
        for sample in samples {
            *group.entry(sample.at).or_default() += sample.value;
        }
    }
    let samples = |group: BTreeMap<i64, f64>| group.into_iter().map(|(at, value)| Sample { at, value }).collect();
    groups.into_iter().map(|(labels, group)| Series { labels, samples: samples(group) }).collect()
}

fn scope() -> Scope {
    let pods = Pods { canary: Members::of_names([CANARY]), primary: Members::of_names(["app-6d5f-aaaaa", "app-6d5f-bbbbb"]) };
    Scope { namespace: "shop".to_owned(), pods }
}

fn reading() -> Reading {
    Reading::Labelled { requests: Selector::of("http_requests_total"), failures: vec![("code".to_owned(), Failure::HttpStatus)] }
}

/// Counting began at `T0`; `at` is milliseconds later.
fn count(reader: &mut Reader, store: &Store, scope: &Scope, at: i64) -> Result<Counted, Error> {
    *store.now.lock().unwrap() = T0 + at;
    let window = Window { elapsed: at, ..Window::default() };
    let now = Timestamp::from_millisecond(T0 + at + APART).unwrap();
    let interval = Some(Duration::from_secs(5));
    let readings = [(reading(), window)];
    let counted = reader.count(store, scope, PodLabel::Pod, &readings, interval, now);
    counted.now_or_never().unwrap().map(|mut counted| counted.remove(0))
}

/// What one answer with everything says, and the lead-in.
fn whole(store: &Store, at: i64, begun: Option<i64>) -> Counted {
    let series = store.between(T0 - 20_000, T0 + at);
    counting::count(&series, &scope().pods, &reading(), Window { elapsed: at, begun, ..Window::default() })
}

/// Ten pods of the primary and a canary under load, scraped every five seconds for `seconds`.
fn busy(seconds: i64) -> Store {
    let mut store = Store::default();
    for pod in (0..10).map(|pod| format!("app-6d5f-{pod}")).chain([CANARY.to_owned()]) {
        for second in (if pod == CANARY { 0 } else { -60 }..=seconds).step_by(5) {
            store.put(&pod, "200", T0 + second * 1000, 0, 10_000.0 + second as f64 * 100.0);
            store.put(&pod, "500", T0 + second * 1000, 0, 600.0 + second as f64);
        }
    }
    store
}

fn sizes(store: &Store) -> Vec<usize> {
    store.asked.lock().unwrap().drain(..).map(|(_, samples)| samples).collect()
}

#[test]
fn questions_do_not_grow_with_the_run() {
    let store = busy(600);
    let mut reader = Reader::default();
    for second in (1..600).step_by(5) {
        let counted = count(&mut reader, &store, &scope(), second * 1000).unwrap();
        assert_eq!(counted, whole(&store, second * 1000, counted.begun));
    }
    let sizes = sizes(&store);
    assert_eq!(sizes.len(), 120, "one question a scrape");
    assert!(sizes.iter().skip(1).all(|samples| *samples <= 11 * 2 * 5), "{sizes:?}");
    // Another replica takes over: nothing is lost.
    let counted = count(&mut reader, &store, &scope(), 600_000).unwrap();
    assert_eq!(count(&mut Reader::default(), &store, &scope(), 600_000).unwrap(), counted);
}

/// Of each series fifty that differ in what nobody looks at.
#[test]
fn what_is_too_much_is_summed_up_by_the_source() {
    let mut store = busy(600);
    for (labels, samples) in std::mem::take(&mut store.series) {
        for route in 0..50 {
            let mut labels = labels.clone();
            labels.insert("route_of_its_own".to_owned(), route.to_string());
            store.series.insert(labels, samples.clone());
        }
    }
    let mut reader = Reader::default();
    let mut ask = |store: &Store, second: i64| {
        let counted = count(&mut reader, store, &scope(), second * 1000).unwrap();
        assert_eq!(counted, whole(store, second * 1000, counted.begun), "after {second} s");
    };
    (1..100).step_by(5).for_each(|second| ask(&store, second));
    sizes(&store);
    // It grows while it is read.
    store.most = Some(100);
    (101..600).step_by(5).for_each(|second| ask(&store, second));
    let sizes = sizes(&store);
    assert_eq!(sizes.len(), 3 + 99, "which targets there are, what is new, all of the run, and then one question a scrape");
    assert!(sizes.iter().skip(3).all(|samples| *samples <= 11 * 2 * 5), "{sizes:?}");
}

#[test]
fn an_outage_is_made_up_for_by_one_question() {
    let store = busy(600);
    let mut reader = Reader::default();
    for second in [1, 6, 11] {
        count(&mut reader, &store, &scope(), second * 1000).unwrap();
    }
    *store.is_down.lock().unwrap() = true;
    for second in (16..300).step_by(5) {
        count(&mut reader, &store, &scope(), second * 1000).unwrap_err();
    }
    *store.is_down.lock().unwrap() = false;
    sizes(&store);
    let counted = count(&mut reader, &store, &scope(), 301_000).unwrap();
    assert_eq!(counted, whole(&store, 301_000, counted.begun));
    assert_eq!((sizes(&store).len(), counted.looks.len()), (1, 61));
}

#[test]
fn a_clock_that_is_set_costs_a_whole_answer_and_no_evidence() {
    let store = busy(600);
    let mut reader = Reader::default();
    let before = (1..200).step_by(5).map(|second| count(&mut reader, &store, &scope(), second * 1000).unwrap()).last().unwrap();
    // Ours goes back by half a minute: too little would be asked for.
    reader.seen = reader.seen.map(|(newest, at)| (newest, at + Duration::from_secs(33)));
    sizes(&store);
    let after = count(&mut reader, &store, &scope(), 231_000).unwrap();
    assert_eq!(sizes(&store).len(), 2);
    assert_eq!((after.looks.len(), &after.looks[..before.looks.len()]), (47, &before.looks[..]));
}

#[test]
fn a_source_that_comes_late_is_learned() {
    let mut store = busy(600);
    store.series.values_mut().flatten().for_each(|(readable, _)| *readable += 45_000);
    let mut reader = Reader::default();
    for second in (1..600).step_by(5) {
        let counted = count(&mut reader, &store, &scope(), second * 1000).unwrap();
        assert_eq!(counted, whole(&store, second * 1000, counted.begun));
    }
    let asked = sizes(&store);
    assert!(asked.len() <= 125 && asked[60..].iter().all(|samples| *samples <= 11 * 2 * 20), "{asked:?}");
}

#[test]
fn a_pod_that_joins_the_scope_is_read_with_its_past() {
    let store = busy(600);
    let mut reader = Reader::default();
    let mut known = scope();
    known.pods.primary = Members::of_names(["app-6d5f-0"]);
    for second in [1, 6, 11, 16, 21, 26, 31] {
        count(&mut reader, &store, &known, second * 1000).unwrap();
    }
    let counted = count(&mut reader, &store, &scope(), 61_000).unwrap();
    assert_eq!(counted, whole(&store, 61_000, counted.begun));
}

proptest! {
    /// Random processes: births, restarts, errors that begin late, missed scrapes, samples that can be read late, duplicates of another
    /// job; and random times of asking, some of them without an answer.
    #[test]
    fn piece_by_piece_is_the_whole(
        pods in prop::collection::vec((0_i64..120, 0_i64..5000, prop::collection::vec((0_u32..40, 0_u32..5, 0_u32..12, 0_i64..9000), 4..40)), 2..6),
        canary in prop::collection::vec((0_u32..40, 0_u32..5, 0_u32..12, 0_i64..9000), 4..40),
        waits in prop::collection::vec((300_i64..12_000, 0_u32..6), 1..40),
    ) {
        let mut store = Store::default();
        let primaries = pods.into_iter().enumerate().map(|(number, (birth, phase, steps))| {
            // Most have been there for long.
            (format!("app-6d5f-{number}"), if birth < 80 { -60_000 + phase } else { (birth - 80) * 1000 + phase }, steps)
        });
        for (pod, birth, steps) in primaries.chain([(CANARY.to_owned(), 1500, canary)]) {
            let (mut good, mut bad) = (if birth < 0 { 5000.0 } else { 0.0 }, 0.0);
            for ((more, errors, fate, late), scrape) in steps.into_iter().zip(0..) {
                if fate == 0 {
                    (good, bad) = (0.0, 0.0);
                }
                good += f64::from(more);
                bad += f64::from(errors);
                if fate == 1 {
                    continue;
                }
                let at = T0 + birth + scrape * 5000;
                store.put(&pod, "200", at, late, good);
                if bad > 0.0 {
                    store.put(&pod, "500", at, late, bad);
                }
            }
        }
        let mut reader = Reader::default();
        let mut at = 0;
        for (wait, fate) in waits {
            at += wait;
            *store.is_down.lock().unwrap() = fate == 0;
            let counted = count(&mut reader, &store, &scope(), at);
            prop_assert_eq!(counted.is_err(), fate == 0);
        }
        *store.is_down.lock().unwrap() = false;
        at += 10_000;
        let counted = count(&mut reader, &store, &scope(), at).unwrap();
        prop_assert_eq!(&counted, &whole(&store, at, counted.begun));
    }
}

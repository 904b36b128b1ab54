//! Every published vector of what counts as seen, computed twice elsewhere: one row is a function, its inputs and what must come out.

use std::collections::BTreeMap;
use std::time::Duration;

use super::join::{Said, Stance, of_tests};
use super::*;

const VECTORS: &str = include_str!("../testdata/golden2.csv");
const TOLERANCE: f64 = 1e-9;

struct Row<'a> {
    case: &'a str,
    inputs: BTreeMap<&'a str, &'a str>,
    expected: BTreeMap<&'a str, &'a str>,
}

impl<'a> Row<'a> {
    fn text(&self, name: &str) -> &'a str {
        self.inputs.get(name).unwrap_or_else(|| panic!("{}: no input {name}", self.case))
    }

    fn number(&self, name: &str) -> f64 {
        number(self.text(name))
    }

    fn maybe(&self, name: &str) -> Option<f64> {
        maybe(self.text(name))
    }

    fn flag(&self, name: &str) -> bool {
        self.text(name) == "1"
    }

    fn count(&self, name: &str) -> usize {
        self.text(name).parse().unwrap()
    }

    fn seconds(&self, name: &str) -> Duration {
        seconds(self.text(name))
    }

    fn numbers(&self, name: &str) -> Vec<f64> {
        numbers(self.text(name))
    }

    /// Rows of numbers.
    fn table(&self, name: &str) -> Vec<Vec<f64>> {
        self.text(name).split('|').filter(|row| !row.is_empty()).map(numbers).collect()
    }

    fn evenness(&self) -> Option<Evenness> {
        let [smallest, variation] = self.text("even").split(' ').map(maybe).collect::<Vec<_>>()[..] else { return None };
        Some(Evenness { smallest: smallest?, variation: variation? })
    }

    fn dispersion(&self) -> Dispersion {
        Dispersion { scrape: self.number("phi_s"), window: self.number("phi_w") }
    }

    fn says(&self, name: &str, found: &str) {
        assert_eq!(found, self.expected[name], "{}: {name}", self.case);
    }

    fn is(&self, name: &str, found: bool) {
        self.says(name, if found { "1" } else { "0" });
    }

    fn equals(&self, name: &str, found: impl Into<Option<f64>>) {
        let (found, expected) = (found.into(), maybe(self.expected[name]));
        let near = match (found, expected) {
            (Some(found), Some(expected)) => (found - expected).abs() <= TOLERANCE * expected.abs().max(1.0),
            (found, expected) => found.is_none() && expected.is_none(),
        };
        assert!(near, "{}: {name} is {found:?}, not {expected:?}", self.case);
    }

    fn equal(&self, name: &str, found: &[f64]) {
        let expected = numbers(self.expected[name]);
        assert_eq!(found.len(), expected.len(), "{}: {name}", self.case);
        assert!(found.iter().zip(&expected).all(|(found, expected)| (found - expected).abs() <= TOLERANCE), "{}: {found:?}", self.case);
    }
}

fn number(text: &str) -> f64 {
    text.parse().unwrap_or_else(|_| panic!("not a number: {text}"))
}

fn maybe(text: &str) -> Option<f64> {
    (text != "none").then(|| number(text))
}

fn numbers(text: &str) -> Vec<f64> {
    text.split(' ').filter(|text| !text.is_empty()).map(number).collect()
}

fn seconds(text: &str) -> Duration {
    Duration::from_secs_f64(number(text))
}

fn samples(text: &str) -> Vec<Sample> {
    let sample = |text: &str| {
        let (at, value) = text.split_once(':').unwrap();
        Sample { at: seconds(at), value: number(value) }
    };
    text.split('|').map(sample).collect()
}

fn pairs(text: &str) -> BTreeMap<&str, &str> {
    text.split(';').filter_map(|pair| pair.split_once('=')).collect()
}

#[test]
fn every_vector_is_reproduced() {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for line in VECTORS.lines().skip(1) {
        let [case, function, inputs, expected, _] = line.split(',').collect::<Vec<_>>()[..] else { panic!("not a row: {line}") };
        *seen.entry(function).or_default() += 1;
        check(function, &Row { case, inputs: pairs(inputs), expected: pairs(expected) });
    }
    assert_eq!((seen.len(), seen.values().sum::<usize>()), (20, 243), "{seen:?}");
}

fn check(function: &str, row: &Row<'_>) {
    match function {
        "budget" => {
            let budget = Budget::new(0.01, row.count("counters"), row.flag("latency"));
            row.equals("errors", budget.errors);
            row.equals("latency", budget.latency);
            row.equals("clients", budget.client_errors);
            row.equals("silence", budget.silence);
            row.equals("pages", budget.pages);
        }
        "tail" => {
            row.equals("tail", tail(row.seconds("duration"), row.seconds("interval")).as_secs_f64());
            row.equals("overdue", overdue(row.seconds("interval")).as_secs_f64());
        }
        "coverage" => check_coverage(row),
        "evenness" => {
            let even = evenness(row.table("windows"));
            row.is("known", even.is_some());
            row.equals("smallest", even.map(|even| even.smallest));
            row.equals("cv2", even.map(|even| even.variation));
        }
        "typical" => row.equals("typical", typical(&row.numbers("counts"))),
        "silence" => check_silence(row),
        "clients" => check_clients(row),
        "dispersion2" => check_dispersion(row),
        "buckets" => {
            let buckets = buckets(&row.numbers("bounds"), row.number("limit"));
            row.equals("promote_by", buckets.promote_by);
            row.equals("reject_by", buckets.reject_by);
        }
        "latency" => check_latency(row),
        "requests_without_probes" => {
            let mut probes = probes::Probes::new(&row.numbers("rates"));
            let left: Vec<f64> =
                row.table("looks").iter().map(|look| probes.take_off(Duration::from_secs_f64(look[0]), look[1], look[2])).collect();
            row.equal("requests", &left);
        }
        "same_counter" => row.is("same", same_counter(&samples(row.text("a")), &samples(row.text("b")))),
        "must_show" => {
            let shown: Vec<f64> = must_show(&row.numbers("rates")).into_iter().map(|shown| f64::from(u8::from(shown))).collect();
            row.equal("shown", &shown);
        }
        "increments" => check_increments(row),
        "is_counter" => row.is("counter", is_counter(row.count("breaks"), row.count("samples"))),
        "late_birth" => row.equals("adds", late_birth(row.number("value"), row.number("others"))),
        "window_of" => {
            let windows = FixedWindows { begun: row.seconds("begun"), width: row.seconds("width") };
            row.equals("window", windows.of(row.seconds("at")).map(|window| window as f64));
        }
        "closed" => {
            let windows = FixedWindows { begun: row.seconds("begun"), width: row.seconds("width") };
            let scrapes: Vec<Duration> = row.text("last_scrapes").split(' ').map(seconds).collect();
            let window = row.text("window").parse().unwrap();
            row.is("closed", windows.is_closed(window, &scrapes, row.seconds("newest"), row.seconds("interval")));
        }
        "zero_ratio" => {
            let found = ratio(row.number("canary"), row.number("primary"), row.number("primary_p90"), row.number("ignore_below"));
            row.equals("ratio", found);
        }
        "join" => check_join(row),
        other => panic!("no such function: {other}"),
    }
}

fn check_coverage(row: &Row<'_>) {
    let ends: Vec<Duration> = row.numbers("ends").into_iter().map(Duration::from_secs_f64).collect();
    let scrapes = Scrapes {
        begun: row.seconds("begun"),
        interval: Some(row.seconds("interval")),
        primary_last: row.maybe("primary_last").map(Duration::from_secs_f64),
        canary_failed: row.maybe("failed_last").map(Duration::from_secs_f64),
    };
    let (word, seconds) = match coverage(&scrapes, &ends, row.seconds("duration"), row.seconds("outage")) {
        Coverage::Unseen => ("unseen", Duration::ZERO),
        Coverage::Never => ("never", Duration::ZERO),
        Coverage::Stale { ago, .. } => ("stale", ago),
        Coverage::PrimaryStale { ago, .. } => ("primary-stale", ago),
        Coverage::OneLook => ("one-look", Duration::ZERO),
        Coverage::Short { missing, .. } => ("short", missing),
        Coverage::Covered => ("covered", Duration::ZERO),
    };
    row.says("word", word);
    row.equals("seconds", seconds.as_secs_f64());
}

fn check_silence(row: &Row<'_>) {
    let look = |look: &Vec<f64>| SilenceLook {
        interval: Duration::from_secs_f64(look[0]),
        canary: look[1],
        ordinary: look[2],
        pods: format!("{}", look[3]).parse().unwrap(),
    };
    let looks: Vec<SilenceLook> = row.table("looks").iter().map(look).collect();
    let parameters = SilenceParameters { alpha: row.number("alpha"), planned: row.count("planned"), evenness: row.evenness() };
    let found = silence(&looks, parameters);
    row.is("hold", found.holds);
    row.is("reject", found.rejects);
    row.is("clean", found.is_clean());
    row.equals("ln_fair", found.ln_fair);
    row.equals("ln_plain", found.ln_plain);
    row.equals("ln_fell", found.ln_fell);
    row.equals("seconds", found.stretch.lasts.as_secs_f64());
    row.equals("looks", found.stretch.looks as f64);
    row.equals("load", found.stretch.load);
    row.equals("N", found.finished);
    row.equals("F", found.ordinary);
}

fn check_clients(row: &Row<'_>) {
    let look = |look: &Vec<f64>| ClientLook {
        canary: ClientCounts { requests: look[0], client_errors: look[1] },
        primary: ClientCounts { requests: look[2], client_errors: look[3] },
        ordinary: look[4],
        warm_up: look.get(5).is_some_and(|warm_up| *warm_up > 0.0),
    };
    let looks: Vec<ClientLook> = row.table("looks").iter().map(look).collect();
    let parameters = ClientParameters {
        alpha: row.number("alpha"),
        limit: row.number("limit"),
        planned: row.count("planned"),
        dispersion: row.dispersion(),
        evenness: row.evenness(),
    };
    let found = client_errors(&looks, parameters);
    row.equals("ln_floor", found.evidence.ln_floor);
    row.equals("ln_more", found.evidence.ln_more);
    row.equals("ln_good", found.evidence.ln_good);
    row.equals("ln_harm", found.ln_harm);
    row.equals("ln_plain", found.ln_plain);
    row.equals("reject_at", found.rejected_at.unwrap_or(0) as f64);
    row.is("hold", found.holds);
}

fn check_dispersion(row: &Row<'_>) {
    let pod = |pod: &str| {
        let (requests, errors) = pod.split_once(':').unwrap();
        Counts::new(number(requests), number(errors))
    };
    let scrape = |scrape: &str| scrape.split(' ').filter(|pod| !pod.is_empty()).map(pod).collect();
    let window = |window: &str| window.split('|').map(scrape).collect();
    let history: Vec<Window> = row.text("history").split('/').filter(|window| !window.is_empty()).map(window).collect();
    let measured = measure(&history);
    row.equals("phi_s", measured.dispersion.scrape);
    row.equals("phi_w", measured.dispersion.window);
    row.says(
        "words",
        match measured.clustering() {
            Clustering::Unmeasured => "unmeasured",
            Clustering::Incident => "incident",
            Clustering::Bursts => "bursts",
            Clustering::Ordinary => "ordinary",
        },
    );
}

/// Vectors count time in looks: one look is one second here.
fn check_latency(row: &Row<'_>) {
    let bake = row.text("bake").parse().unwrap();
    let both = Buckets { promote_by: Some(0.1), reject_by: Some(0.25) };
    let mut trial = LatencyTrial::new(LatencyParameters {
        common: Parameters {
            alpha: row.number("alpha"),
            beta: row.number("beta"),
            looks: row.count("looks"),
            bake: Duration::from_secs(bake),
            ..Parameters::default()
        },
        buckets: both,
        dispersion_of_low: row.dispersion(),
        dispersion_of_high: row.dispersion(),
    });
    let (promoting, rejecting) = (row.table("promoting"), row.table("rejecting"));
    let mut served = 0;
    let mut verdict = Verdict::Continue;
    for (look, (low, high)) in promoting.iter().zip(&rejecting).enumerate() {
        let timed = |side: usize| Timed { requests: low[side], slower_than_low: low[side + 1], slower_than_high: high[side + 1] };
        let warm_up = low[4] > 0.0;
        trial.push(&LatencyLook { canary: timed(0), primary: timed(2), warm_up, interval: Duration::from_secs(1) });
        served += u64::from(!warm_up);
        let deadline = if look + 1 >= row.count("looks") { Deadline::Reached } else { Deadline::Ahead };
        verdict = trial.verdict(Duration::from_secs(served), deadline);
        if verdict != Verdict::Continue {
            break;
        }
    }
    row.says("verdict", word(verdict));
}

fn check_increments(row: &Row<'_>) {
    let values = row.numbers("values");
    let starts: Vec<Option<f64>> = match row.text("starts") {
        "none" => vec![None; values.len()],
        starts => starts.split(' ').map(maybe).collect(),
    };
    let mut counter = HighWater::new(values[0], starts[0]);
    let (mut added, mut skews, mut breaks) = (vec![0.0], 0, 0);
    for (value, start) in values.iter().zip(&starts).skip(1) {
        let step = counter.push(*value, *start);
        skews += usize::from(step == Step::Skew);
        breaks += usize::from(matches!(step, Step::Break(_)));
        added.push(step.adds());
    }
    row.equal("increments", &added);
    row.equals("skews", skews as f64);
    row.equals("breaks", breaks as f64);
    row.is("counter", is_counter(breaks, values.len()));
}

fn check_join(row: &Row<'_>) {
    let verdict = |text: &str| match text {
        "continue" => Some(Verdict::Continue),
        "reject" => Some(Verdict::Reject),
        "promote" => Some(Verdict::Promote),
        "inconclusive" => Some(Verdict::Inconclusive),
        _ => None,
    };
    let (last, ago) = (Duration::from_secs(5), Duration::from_secs(60));
    let coverage = match row.text("coverage") {
        "covered" => Coverage::Covered,
        "short" => Coverage::Short { observed: last, missing: ago },
        "one-look" => Coverage::OneLook,
        "stale" => Coverage::Stale { last, ago },
        "primary-stale" => Coverage::PrimaryStale { last, ago },
        "never" => Coverage::Never,
        "unseen" => Coverage::Unseen,
        other => panic!("no such coverage: {other}"),
    };
    let said = Said {
        errors: verdict(row.text("errors")).unwrap(),
        latency: verdict(row.text("latency")),
        others: Stance::of(
            row.number("client_reject") > 0.0 || row.flag("silence_reject"),
            row.flag("client_hold") || row.flag("silence_hold"),
        ),
        coverage,
        clean: row.flag("clean_errors") && row.flag("silence_clean"),
    };
    let joined = of_tests(&said, if row.flag("deadline") { Deadline::Reached } else { Deadline::Ahead });
    row.says("verdict", word(joined.verdict));
    row.is("clean", joined.clean);
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Continue => "continue",
        Verdict::Reject => "reject",
        Verdict::Promote => "promote",
        Verdict::Inconclusive => "inconclusive",
    }
}

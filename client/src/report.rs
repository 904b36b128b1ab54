//! What a person or a program reads: one line per second and a summary, as text or as JSON lines.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;

use crate::args::Args;
use crate::tally::Tally;

/// Writes to `output`, which tests replace.
#[derive(Debug)]
pub(crate) struct Report<W> {
    output: W,
    json: bool,
    rate: u32,
    concurrency: u32,
    url: String,
}

/// A line of JSON: the same fields for a second and for the summary.
#[derive(Serialize)]
struct JsonLine<'a> {
    kind: &'static str,
    /// Seconds since the start.
    elapsed: f64,
    sent: u64,
    codes: BTreeMap<u16, u64>,
    versions: &'a BTreeMap<String, BTreeMap<u16, u64>>,
    failed: Failed,
    not_sent: u64,
    late: u64,
    retried: u64,
    latency_ms: LatencyMs,
}

#[derive(Serialize)]
struct Failed {
    not_connected: u64,
    broken: u64,
    timed_out: u64,
}

#[derive(Serialize)]
struct LatencyMs {
    p50: f64,
    p95: f64,
    p99: f64,
    max: f64,
}

impl<W: Write> Report<W> {
    pub(crate) fn new(output: W, args: &Args) -> Self {
        let url = format!("http://{}{}", args.url.authority, args.url.path);
        Self { output, json: args.json, rate: args.rate, concurrency: args.concurrency, url }
    }

    pub(crate) fn second(&mut self, elapsed: Duration, tally: &Tally) -> io::Result<()> {
        let text = if self.json { json("second", elapsed, tally)? } else { self.second_text(elapsed, tally) };
        self.output.write_all(text.as_bytes())?;
        self.output.flush()
    }

    pub(crate) fn summary(&mut self, elapsed: Duration, tally: &Tally) -> io::Result<()> {
        let text = if self.json { json("summary", elapsed, tally)? } else { self.summary_text(elapsed, tally) };
        self.output.write_all(text.as_bytes())?;
        self.output.flush()
    }

    fn second_text(&self, elapsed: Duration, tally: &Tally) -> String {
        let mut line = format!("{:>5}s {:>6}/s  {}", elapsed.as_secs_f64().round(), tally.sent(), list(&tally.codes()));
        for (version, codes) in &tally.versions {
            write!(line, " | {version} {}", list(codes)).ok();
        }
        write!(line, " | no connection {}, broken {}, timed out {}", tally.not_connected, tally.broken, tally.timed_out).ok();
        writeln!(line, " | {}", latency(tally)).ok();
        line.push_str(&self.warning(tally));
        line
    }

    fn summary_text(&self, elapsed: Duration, tally: &Tally) -> String {
        let seconds = elapsed.as_secs_f64();
        let mut text = format!("\nsummary: {} requests to {} in {seconds:.1} s", tally.sent(), self.url);
        writeln!(text, " ({:.1} per second)", tally.sent() as f64 / seconds.max(f64::MIN_POSITIVE)).ok();
        for (code, count) in tally.codes() {
            writeln!(text, "  code {code}: {count} ({:.3}%)", 100.0 * count as f64 / tally.sent() as f64).ok();
        }
        for (version, codes) in &tally.versions {
            writeln!(text, "  version {version}: {}", list(codes)).ok();
        }
        writeln!(text, "  no answer: no connection {}, broken {}, timed out {}", tally.not_connected, tally.broken, tally.timed_out).ok();
        writeln!(text, "  repeated because the server had closed a kept connection: {}", tally.retried).ok();
        writeln!(text, "  latency from the time due, {}", latency(tally)).ok();
        text.push_str(&self.warning(tally));
        text
    }

    /// One request in a hundred may start late before it is said that the rate is not kept: that much is the machine's own noise.
    fn warning(&self, tally: &Tally) -> String {
        if tally.not_sent == 0 && tally.late * 100 <= tally.sent() {
            return String::new();
        }
        format!(
            "warning: cannot keep {} requests/s: {} started more than 100 ms late, {} were not sent at all; \
             either all {} connections (--concurrency) wait for answers, or this machine is too busy\n",
            self.rate, tally.late, tally.not_sent, self.concurrency
        )
    }
}

fn json(kind: &'static str, elapsed: Duration, tally: &Tally) -> io::Result<String> {
    let latencies = &tally.latencies;
    let line = JsonLine {
        kind,
        elapsed: (elapsed.as_secs_f64() * 1000.0).round() / 1000.0,
        sent: tally.sent(),
        codes: tally.codes(),
        versions: &tally.versions,
        failed: Failed { not_connected: tally.not_connected, broken: tally.broken, timed_out: tally.timed_out },
        not_sent: tally.not_sent,
        late: tally.late,
        retried: tally.retried,
        latency_ms: LatencyMs {
            p50: latencies.percentile(0.5),
            p95: latencies.percentile(0.95),
            p99: latencies.percentile(0.99),
            max: latencies.max(),
        },
    };
    Ok(serde_json::to_string(&line)? + "\n")
}

fn list(codes: &BTreeMap<u16, u64>) -> String {
    if codes.is_empty() {
        return "none".to_owned();
    }
    codes.iter().map(|(code, count)| format!("{code}: {count}")).collect::<Vec<_>>().join(", ")
}

fn latency(tally: &Tally) -> String {
    let latencies = &tally.latencies;
    let [p50, p95, p99] = [0.5, 0.95, 0.99].map(|share| latencies.percentile(share));
    format!("ms p50 {p50:.1}, p95 {p95:.1}, p99 {p99:.1}, max {:.1}", latencies.max())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::tally::Outcome;

    fn tally() -> Tally {
        let mut tally = Tally { retried: 2, ..Tally::default() };
        for number in 0..1000 {
            let (code, version) = if number % 11 == 0 { (500, "bad") } else { (200, "good") };
            tally.record(Outcome::Answered { code, version: version.to_owned() }, Duration::from_micros(500 + number));
        }
        tally.record(Outcome::NotConnected, Duration::ZERO);
        tally
    }

    fn written(options: &[&str], write: impl Fn(&mut Report<&mut Vec<u8>>) -> io::Result<()>) -> String {
        let mut output = Vec::new();
        write(&mut Report::new(&mut output, &Args::parse_from([&["client"], options].concat()))).unwrap();
        String::from_utf8(output).unwrap()
    }

    const FIVE_SECONDS: Duration = Duration::from_millis(5001);

    #[test]
    fn a_second() {
        insta::assert_snapshot!(
            written(&[], |report| report.second(FIVE_SECONDS, &tally())),
            @"    5s   1001/s  200: 909, 500: 91 | bad 500: 91 | good 200: 909 | no connection 1, broken 0, timed out 0 | ms p50 1.0, p95 1.5, p99 1.5, max 1.5"
        );
    }

    #[test]
    fn a_second_with_nothing_answered() {
        insta::assert_snapshot!(written(&[], |report| report.second(FIVE_SECONDS, &Tally::default())), @"    5s      0/s  none | no connection 0, broken 0, timed out 0 | ms p50 0.0, p95 0.0, p99 0.0, max 0.0");
    }

    #[test]
    fn a_rate_that_cannot_be_kept() {
        let tally = Tally { late: 30, not_sent: 12, ..tally() };
        insta::assert_snapshot!(written(&["--concurrency", "8"], |report| report.second(FIVE_SECONDS, &tally)), @r#"
            5s   1001/s  200: 909, 500: 91 | bad 500: 91 | good 200: 909 | no connection 1, broken 0, timed out 0 | ms p50 1.0, p95 1.5, p99 1.5, max 1.5
        warning: cannot keep 1000 requests/s: 30 started more than 100 ms late, 12 were not sent at all; either all 8 connections (--concurrency) wait for answers, or this machine is too busy
        "#);
    }

    #[test]
    fn a_summary() {
        insta::assert_snapshot!(written(&["--url", "http://app:80/x"], |report| report.summary(FIVE_SECONDS, &tally())), @r#"

        summary: 1001 requests to http://app:80/x in 5.0 s (200.2 per second)
          code 200: 909 (90.809%)
          code 500: 91 (9.091%)
          version bad: 500: 91
          version good: 200: 909
          no answer: no connection 1, broken 0, timed out 0
          repeated because the server had closed a kept connection: 2
          latency from the time due, ms p50 1.0, p95 1.5, p99 1.5, max 1.5
        "#);
    }

    #[test]
    fn json_lines() {
        insta::assert_snapshot!(
            written(&["--json"], |report| report.second(FIVE_SECONDS, &tally()).and_then(|()| report.summary(FIVE_SECONDS, &tally()))),
            @r#"
        {"kind":"second","elapsed":5.001,"sent":1001,"codes":{"200":909,"500":91},"versions":{"bad":{"500":91},"good":{"200":909}},"failed":{"not_connected":1,"broken":0,"timed_out":0},"not_sent":0,"late":0,"retried":2,"latency_ms":{"p50":0.999,"p95":1.455,"p99":1.499,"max":1.499}}
        {"kind":"summary","elapsed":5.001,"sent":1001,"codes":{"200":909,"500":91},"versions":{"bad":{"500":91},"good":{"200":909}},"failed":{"not_connected":1,"broken":0,"timed_out":0},"not_sent":0,"late":0,"retried":2,"latency_ms":{"p50":0.999,"p95":1.455,"p99":1.499,"max":1.499}}
        "#
        );
    }
}

//! The sentences of judgements: every one with the numbers that it rests on, so that no verdict surprises. One line each.

mod analysis;
mod checked;
mod unobserved;

use std::time::Duration;

pub use self::analysis::{outlook, rate, sentence, starved};
use crate::api::quantity::{format_count, format_duration, format_percentage};
use crate::facts::judgement::{Finding, Measure, Measured, Past, Reading};
use crate::metrics::counting::Lacking;
use crate::metrics::discovery::{Chosen, Found, NotFound};
use crate::statistics::{ClientCounts, ClientErrors, Silence};
use crate::words::within;

impl Measured {
    fn rate(self) -> String {
        match self {
            Self::ErrorRate => "error rate".to_owned(),
            Self::Slower(bound) => format!("share slower than {}", format_duration(bound)),
        }
    }

    fn happened(self) -> String {
        match self {
            Self::ErrorRate => "failed".to_owned(),
            Self::Slower(bound) => format!("took longer than {}", format_duration(bound)),
        }
    }
}

/// What is read, and where; for the Event, and for whoever looks at the evidence.
pub fn reading(reading: &Reading) -> String {
    let Reading { chosen: Chosen { counters, not_judged, .. }, origin, instead_of } = reading;
    let besides = if not_judged.is_empty() { String::new() } else { format!("; not judged: {}", not_judged.join(", ")) };
    let place = match instead_of.iter().map(NotFound::to_string).collect::<Vec<_>>().join("; ") {
        because if because.is_empty() => origin.place().to_owned(),
        because => format!("{} ({because})", origin.place()),
    };
    let what: Vec<String> = counters.iter().map(Found::description).collect();
    format!("reading {} {place}{besides}", what.join(" and "))
}

/// How that choice is written in `canary.metrics`.
pub fn spelling(reading: &Reading) -> String {
    let spellings: Vec<&str> = reading.chosen.counters.iter().map(Found::spelling).collect();
    match spellings.as_slice() {
        [one] => (*one).to_owned(),
        several => format!("[{}]", several.join(", ")),
    }
}

/// All findings in one line.
pub fn words(findings: &[Finding]) -> String {
    findings.iter().map(finding).collect::<Vec<_>>().join("; ")
}

fn past(measured: Past) -> &'static str {
    match measured {
        Past::Hour => "in the past hour",
        Past::SinceTheHold => "since the hold",
    }
}

fn finding(found: &Finding) -> String {
    match found {
        Finding::Measure(measure) => measured(measure),
        Finding::Page(measure) => format!("{}; counted on the pods' own pages", measured(measure)),
        Finding::Of(counter, one) => format!("{counter}: {}", finding(one)),
        Finding::Unobserved(unobserved) => unobserved::words(unobserved),
        Finding::Unverified => {
            "the pods' metrics pages come over TLS, and Coalmine has no --pages-ca-file to tell whose they are: they may reject, and promote nothing"
                .to_owned()
        }
        Finding::OnlyProbes => "only probes reach the canary: does the Service's targetPort fit?".to_owned(),
        Finding::Silent { silence, rejects, served } => silent(silence, *rejects, *served),
        Finding::ClientErrors { errors, code, rejects, served } => client_errors(errors, code.as_deref(), *rejects, *served),
        Finding::Lacking(lacking @ Lacking::Label { .. }) => format!("{lacking}, so nobody can tell which of its requests failed"),
        Finding::Lacking(lacking) => lacking.to_string(),
        Finding::NoCounter(fall) => fall.to_string(),
        Finding::SharedRegistry(shared) => shared.to_string(),
        Finding::Redirects { redirects, code } => compared("redirects", redirects, code.as_deref(), ""),
        Finding::BeganAnew { times, last, duration } => unobserved::began_anew(*times, *last, *duration),
        Finding::Bursts { requests, effective, measured } => format!(
            "errors came in bursts {}: {} requests tell as much as {}",
            past(*measured),
            format_count(*requests),
            format_count(*effective)
        ),
        Finding::Incident(measured) => format!("an incident {} was left out of the measure of how errors cluster", past(*measured)),
        Finding::MayBeCold { suggested } => format!("if it only starts cold: canary.warm-up: {}", format_duration(*suggested)),
        Finding::Starved(share) => starved(share),
        Finding::StayedReady(served) => format!("its pod stayed Ready for {}; canary.metrics is none", format_duration(*served)),
        Finding::NotFound(nothing) => nothing.to_string(),
        Finding::Latency(error) => error.to_string(),
        Finding::Check { name, outcome, served } => checked::words(name, outcome, *served),
        Finding::CheckList(words) | Finding::NoAnswer(words) => words.clone(),
    }
}

fn silent(silence: &Silence, rejects: bool, served: Duration) -> String {
    let stretch = if rejects { silence.stretch } else { silence.milder };
    let is_a_fall = rejects || (stretch.looks > 0 && stretch.before_per_second > 0.0);
    if !is_a_fall {
        return format!(
            "the canary finished {} requests, an ordinary pod of the primary {}: requests may hang, or clients may not have come to it",
            format_count(silence.finished),
            format_count(silence.ordinary)
        );
    }
    let after = if rejects { format!(" (after {})", format_duration(served)) } else { "; requests may hang".to_owned() };
    format!(
        "the canary finished {} requests in the last {}, after {} a second before; an ordinary pod of the primary goes on with {} a second{after}",
        format_count((stretch.canary_per_second * stretch.lasts.as_secs_f64()).round()),
        format_duration(stretch.lasts),
        format_count(stretch.before_per_second),
        format_count(stretch.ordinary_per_second)
    )
}

fn client_errors(errors: &ClientErrors, code: Option<&str>, rejects: bool, served: Duration) -> String {
    let after = if rejects { format!(" after {}", format_duration(served)) } else { String::new() };
    compared("client errors", errors, code, &after)
}

/// Answers of one kind beside the primary's.
fn compared(kind: &str, errors: &ClientErrors, code: Option<&str>, after: &str) -> String {
    let share = |counts: ClientCounts| if counts.requests > 0.0 { counts.client_errors / counts.requests } else { 0.0 };
    let of = |counts: ClientCounts| format!("{} of {}", format_count(counts.client_errors), format_count(counts.requests));
    let mostly = code.map(|code| format!("mostly {}: ", within(code, LONGEST_CODE))).unwrap_or_default();
    format!(
        "{} of the canary's answers are {kind} ({mostly}{}){after}, of the primary's {} ({}); if that is meant: canary.client-errors: \"off\"",
        format_percentage(share(errors.canary)),
        of(errors.canary),
        format_percentage(share(errors.primary)),
        of(errors.primary)
    )
}

/// An application may write whatever it likes where a code belongs.
const LONGEST_CODE: usize = 20;

fn measured(measure: &Measure) -> String {
    let said = sentence(measure.measured, &measure.analysis, measure.served);
    match &measure.outlook {
        Some((forecast, remaining)) => format!("{said}; {}", outlook(measure.measured, forecast, *remaining)),
        None => said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_time_before_was_like() {
        let both = |measured| words(&[Finding::Bursts { requests: 4500.0, effective: 300.0, measured }, Finding::Incident(measured)]);
        insta::assert_snapshot!([both(Past::Hour), both(Past::SinceTheHold)].join("\n"), @"
        errors came in bursts in the past hour: 4,500 requests tell as much as 300; an incident in the past hour was left out of the measure of how errors cluster
        errors came in bursts since the hold: 4,500 requests tell as much as 300; an incident since the hold was left out of the measure of how errors cluster
        ");
    }
}

//! The sentences about one counter's numbers: its verdict, or why there is none yet and what to expect.

use std::time::Duration;

use crate::api::quantity::{format_count, format_duration, format_percentage};
use crate::facts::judgement::Measured;
use crate::statistics::{Analysis, Basis, Forecast, Reason, TrafficShare, Verdict};

/// The sentence for one metric's analysis after `served`.
pub fn sentence(measured: Measured, analysis: &Analysis, served: Duration) -> String {
    match analysis.verdict {
        Verdict::Reject => rejected(measured, analysis, served),
        Verdict::Promote => promoted(measured, analysis),
        Verdict::Continue | Verdict::Inconclusive => waiting(measured, analysis),
    }
}

fn rejected(measured: Measured, analysis: &Analysis, served: Duration) -> String {
    let rate = analysis.canary.rate().unwrap_or_default();
    let primary = primary_rate(analysis);
    let counts = format!("{} of {} requests", format_count(analysis.canary.errors), format_count(analysis.canary.requests));
    let against = if rate > analysis.limit {
        format!("exceeds {}", format_percentage(analysis.limit))
    } else {
        format!("is worse than the primary's (more than {} is not tolerated)", format_percentage(analysis.tolerated))
    };
    format!("{} {} ({counts}) {against} after {}; primary {primary}", measured.rate(), format_percentage(rate), format_duration(served))
}

fn promoted(measured: Measured, analysis: &Analysis) -> String {
    let outage = if analysis.basis == Basis::PrimaryHealthy {
        format!("; without {} in which the primary itself was failing", format_duration(analysis.outage))
    } else {
        String::new()
    };
    format!(
        "{} {} ({} of {} requests, at most {}; limit {}); primary {}{outage}",
        measured.rate(),
        format_percentage(analysis.canary.rate().unwrap_or_default()),
        format_count(analysis.canary.errors),
        format_count(analysis.canary.requests),
        format_percentage(analysis.upper),
        format_percentage(analysis.limit),
        primary_rate(analysis)
    )
}

fn primary_rate(analysis: &Analysis) -> String {
    analysis.primary.rate().map_or_else(|| "without requests".to_owned(), format_percentage)
}

/// Why there is no verdict (yet).
fn waiting(measured: Measured, analysis: &Analysis) -> String {
    let seen = format!(
        "{} of {} canary requests {}",
        format_count(analysis.canary.errors),
        format_count(analysis.canary.requests),
        measured.happened()
    );
    let limit = format_percentage(analysis.limit);
    match analysis.reason {
        Some(Reason::NoRequests) => "the canary got no requests, so nothing can be said about it".to_owned(),
        Some(Reason::TooFewRequests { needed, seen: requests }) => {
            let at_most = if analysis.upper < 1.0 { format!(" (at most {})", format_percentage(analysis.upper)) } else { String::new() };
            format!(
                "{seen}{at_most}; {} requests are needed to show less than {limit}, {} more",
                format_count(needed.ceil()),
                format_count((needed - requests).ceil())
            )
        }
        Some(Reason::LimitCannotBeShown) => format!("{seen}; no amount of requests can show less than {limit} at this rate"),
        Some(Reason::LimitNotAbovePrimary { primary_rate }) => {
            format!(
                "{seen}; the primary's own rate is {}, so less than {limit} can't be shown: set a higher limit",
                format_percentage(primary_rate)
            )
        }
        Some(Reason::PrimaryFailing { primary_rate }) => {
            format!("{seen}; the primary itself is at {} now, waiting for it to recover", format_percentage(primary_rate))
        }
        Some(Reason::Suspicion { rate, tolerated }) => {
            format!(
                "{seen}; {} is more than the tolerated {}, but not by enough to be sure",
                format_percentage(rate),
                format_percentage(tolerated)
            )
        }
        Some(Reason::ServingTooShort { served, needed }) => {
            format!("{seen}; serving for {} of {}", format_duration(served), format_duration(needed))
        }
        Some(Reason::WorseThanPrimary | Reason::AboveLimit) | None => seen,
    }
}

/// What to expect while there are too few requests: when there will be enough, and what can be shown otherwise. Nothing remains at the
/// deadline: then it is what would have been needed.
pub fn outlook(measured: Measured, forecast: &Forecast, remaining: Duration) -> String {
    let rate = format!("at the present rate ({})", rate(forecast.per_second));
    let wait = forecast.enough_in.map(|wait| format_duration(wait.max(Duration::from_secs(1))));
    if let (Some(enough_in), Some(wait)) = (forecast.enough_in, &wait)
        && enough_in <= remaining
    {
        return format!("{rate} that takes {wait}");
    }
    let limit = (forecast.limit_by_deadline < 1.0).then(|| format_percentage(forecast.limit_by_deadline));
    let by_then = match (&limit, remaining.is_zero()) {
        (_, true) => String::new(),
        (Some(limit), _) => format!(", and the deadline is in {}: only less than {limit} can be shown by then", format_duration(remaining)),
        (None, _) => format!(", and the deadline is in {}: nothing can be shown by then", format_duration(remaining)),
    };
    let takes = wait.map_or_else(|| "it takes too long".to_owned(), |wait| format!("that takes {wait} more"));
    // The limit on latency's share is not the user's to set.
    let limit = limit.filter(|_| measured == Measured::ErrorRate);
    let limit = limit.map(|limit| format!(" or a canary.max-error-rate above {limit}")).unwrap_or_default();
    format!("{rate} {takes}{by_then}; a longer canary.deadline{limit} would do")
}

/// How many requests come, for a person.
pub fn rate(per_second: f64) -> String {
    if per_second >= 10.0 {
        format!("{} requests/s", format_count(per_second))
    } else if per_second >= 0.1 {
        format!("{per_second:.1} requests/s")
    } else {
        format!("{:.1} requests/min", per_second * 60.0)
    }
}

/// A canary that gets much less than its share, and why that may be.
pub fn starved(share: &TrafficShare) -> String {
    format!(
        "the canary got {} of the requests where {} would be its share: clients that hold connections to older pods, session affinity, or a Service \
         that does not select it",
        format_percentage(share.actual),
        format_percentage(share.fair)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::{Counts, Deadline, Look, Parameters, analyse};

    fn look(canary: (f64, f64), primary: (f64, f64)) -> Look {
        Look {
            canary: Counts::new(canary.0, canary.1),
            primary: Counts::new(primary.0, primary.1),
            warm_up: false,
            interval: Duration::from_secs(5),
        }
    }

    fn say(measured: Measured, looks: &[Look], served: u64, deadline: Deadline) -> String {
        let served = Duration::from_secs(served);
        sentence(measured, &analyse(looks, Parameters::default(), served, deadline), served)
    }

    #[test]
    fn what_to_expect() {
        let minute = Duration::from_secs(60);
        let soon = Forecast { per_second: 2.8, enough_in: Some(minute * 2), limit_by_deadline: 0.004 };
        let late = Forecast { per_second: 0.4, enough_in: Some(minute * 20), limit_by_deadline: 0.05 };
        let never = Forecast { per_second: 0.01, enough_in: None, limit_by_deadline: 1.0 };
        let share = TrafficShare { actual: 0.004, fair: 0.0909, much_less: true };
        let (errors, slow) = (Measured::ErrorRate, Measured::Slower(Duration::from_millis(250)));
        let all = [
            outlook(errors, &soon, minute * 5),
            outlook(errors, &late, minute * 5),
            outlook(slow, &late, minute * 5),
            outlook(errors, &never, minute * 5),
            outlook(errors, &late, Duration::ZERO),
            starved(&share),
        ];
        insta::assert_snapshot!(all.join("\n"), @r"
at the present rate (2.8 requests/s) that takes 2m
at the present rate (0.4 requests/s) that takes 20m more, and the deadline is in 5m: only less than 5% can be shown by then; a longer canary.deadline or a canary.max-error-rate above 5% would do
at the present rate (0.4 requests/s) that takes 20m more, and the deadline is in 5m: only less than 5% can be shown by then; a longer canary.deadline would do
at the present rate (0.6 requests/min) it takes too long, and the deadline is in 5m: nothing can be shown by then; a longer canary.deadline would do
at the present rate (0.4 requests/s) that takes 20m more; a longer canary.deadline or a canary.max-error-rate above 5% would do
the canary got 0.4% of the requests where 9.1% would be its share: clients that hold connections to older pods, session affinity, or a Service that does not select it
");
    }

    #[test]
    fn sentences() {
        let slow = Measured::Slower(Duration::from_millis(250));
        let all = [
            say(Measured::ErrorRate, &[look((455.0, 455.0), (4550.0, 1.0)); 3], 12, Deadline::Ahead),
            say(Measured::ErrorRate, &[look((2000.0, 16.0), (20_000.0, 20.0)); 4], 20, Deadline::Ahead),
            say(Measured::ErrorRate, &[look((455.0, 0.0), (4550.0, 1.0)); 12], 60, Deadline::Ahead),
            say(Measured::ErrorRate, &[look((2.0, 0.0), (20.0, 0.0)); 12], 60, Deadline::Reached),
            say(Measured::ErrorRate, &[], 60, Deadline::Reached),
            say(Measured::ErrorRate, &[look((455.0, 14.0), (4550.0, 137.0)); 12], 60, Deadline::Reached),
            say(slow, &[look((455.0, 200.0), (4550.0, 45.0)); 3], 12, Deadline::Ahead),
        ]
        .join("\n");
        insta::assert_snapshot!(all, @r#"
error rate 100% (1,365 of 1,365 requests) exceeds 1% after 12s; primary 0.02%
error rate 0.8% (64 of 8,000 requests) is worse than the primary's (more than 0.15% is not tolerated) after 20s; primary 0.1%
error rate 0% (0 of 5,460 requests, at most 0.06%; limit 1%); primary 0.02%
0 of 24 canary requests failed (at most 13.2%); 338 requests are needed to show less than 1%, 314 more
the canary got no requests, so nothing can be said about it
168 of 5,460 canary requests failed; the primary's own rate is 3%, so less than 1% can't be shown: set a higher limit
share slower than 250ms 44% (600 of 1,365 requests) exceeds 1% after 12s; primary 0.99%
"#);
    }
}

//! What Coalmine would read of a Deployment that has no template on trial, and whether its traffic could ever show the limit: for a person who
//! thinks of opting in. An estimate from some seconds or minutes of the primary; no verdict depends on it. Asks nobody.

use std::time::Duration;

use serde_json::Value;

use crate::{
    api::{
        origin::Origin,
        policy::Policy,
        quantity::{format_count, format_duration, format_percentage},
    },
    facts::judgement::Measured,
    manifest::object,
    message::findings::{rate, sentence},
    metrics::{
        counting::{Past, Pods, Series, of_primary},
        discovery::{Choice, Found, choose},
    },
    statistics::{Counts, Deadline, Look, Parameters, Reason, Trial, Verdict},
};

/// From one look to the next.
const STEP: Duration = Duration::from_secs(5);
/// A longer deadline takes larger steps.
const STEPS: u32 = 720;

/// What was seen of the primary.
#[derive(Debug)]
pub struct Seen<'a> {
    pub primary: &'a Value,
    pub policy: &'a Policy,
    pub origin: Origin,
    /// Those that take traffic, all of them.
    pub pods: &'a Pods,
    /// Samples of all that discovery may look at; or why there are none, in words.
    pub series: Result<Vec<Series>, String>,
}

/// Rows of a name and what is known.
pub fn rows(seen: &Seen<'_>) -> Vec<Vec<String>> {
    let row = |name: &str, words: String| vec![name.to_owned(), words];
    if seen.policy.metrics == Choice::Nothing {
        return vec![row("Would read", "nothing (canary.metrics: none): the canary's pod and the checks decide".to_owned())];
    }
    let name = object::name(seen.primary);
    let chosen = match &seen.series {
        Err(words) => return vec![row("Would read", format!("nothing yet: {words}"))],
        Ok(series) => match choose(&seen.policy.metrics, seen.origin, &newest(series), seen.pods, name) {
            Err(error) => return vec![row("Would read", format!("nothing yet: {error}"))],
            Ok(chosen) => chosen,
        },
    };
    let read: Vec<String> = chosen.counters.iter().map(Found::description).collect();
    let mut rows = vec![row("Would read", format!("{} {}", read.join(" and "), seen.origin.place()))];
    if let Some(first) = chosen.counters.first() {
        rows.push(row("To fix that", format!("canary.metrics: {}", first.spelling())));
        if let Some(limit) = seen.policy.max_latency_p99 {
            let found = first.slower_than(limit);
            let words = found.map_or_else(|error| error.to_string(), |_| format!("99 % within {} can be judged", format_duration(limit)));
            rows.push(row("Latency", words));
        }
        let series = seen.series.as_deref().unwrap_or_default();
        rows.extend(
            of_primary(series, seen.pods, &first.reading)
                .map(|past| traffic(seen.policy, &past, seen.pods.primary.names.len()))
                .unwrap_or_default(),
        );
    }
    rows
}

fn newest(series: &[Series]) -> Vec<Series> {
    series.iter().map(Series::newest).collect()
}

/// Some of the pods were read, and tell of all.
fn traffic(policy: &Policy, past: &Past, all: usize) -> Vec<Vec<String>> {
    let row = |name: &str, words: String| vec![name.to_owned(), words];
    let over = past.over.as_secs_f64();
    let within = format_duration(past.over);
    let of_all = if past.pods < all { format!(" ({} of them read)", past.pods) } else { String::new() };
    let pods = format!("{all} {}{of_all}", if all == 1 { "pod" } else { "pods" });
    let Some(failed) = past.counts.rate().filter(|_| over > 0.0) else {
        return vec![row("Primary", format!("no request of {pods} was counted in {within}, so nothing can be said of its traffic"))];
    };
    let per_second = past.counts.requests / over * all as f64 / past.pods.max(1) as f64;
    let share = per_second / (all as f64 + 1.0);
    vec![
        row("Primary", format!("{} on {pods}, {} failed in {within}", rate(per_second), format_percentage(failed))),
        row("Canary", format!("one pod beside them: about {}", rate(share))),
        row("Verdict", verdict(policy, share, per_second - share, failed)),
    ]
}

/// What a canary would come to that fails as seldom as the primary.
fn verdict(policy: &Policy, canary: f64, primary: f64, failed: f64) -> String {
    let step = STEP.max(policy.deadline / STEPS);
    let parameters =
        Parameters { bake: policy.duration, ..Parameters::default() }.with_limit(policy.max_error_rate).with_looks(policy.deadline, step);
    let mut trial = Trial::new(parameters);
    let counts = |per_second: f64| {
        let requests = per_second * step.as_secs_f64();
        Counts::new(requests, requests * failed)
    };
    let mut since = Duration::ZERO;
    while since < policy.deadline {
        since += step;
        trial.push(&Look { canary: counts(canary), primary: counts(primary), warm_up: since <= policy.warm_up, interval: step });
        let served = since.saturating_sub(policy.warm_up);
        if trial.verdict(served, Deadline::Ahead) == Verdict::Promote {
            return format!("one that does as well is let in about {} after it is Ready", format_duration(since));
        }
    }
    let served = policy.deadline.saturating_sub(policy.warm_up);
    let analysis = trial.analysis(served, Deadline::Reached);
    let none = format!("none within canary.deadline ({})", format_duration(policy.deadline));
    match (analysis.reason, analysis.forecast(served, Duration::ZERO)) {
        (Some(Reason::TooFewRequests { needed, seen }), Some(forecast)) => {
            let enough = forecast.enough_in.map(|more| format_duration(rounded(policy.deadline.saturating_add(more))));
            format!(
                "{none}: about {} requests come by then, and {} are needed to show less than {}; a canary.deadline of {} or a canary.max-error-rate of \
                 more than {} would do",
                format_count(seen.round()),
                format_count(needed.ceil()),
                format_percentage(policy.max_error_rate),
                enough.as_deref().unwrap_or("days"),
                format_percentage(forecast.limit_by_deadline)
            )
        }
        _ => format!("{none}: {}", sentence(Measured::ErrorRate, &analysis, served)),
    }
}

/// Up to whole minutes: it is an estimate.
fn rounded(duration: Duration) -> Duration {
    Duration::from_mins(duration.as_secs().div_ceil(60))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::metrics::counting::{Labels, Members, Sample};

    fn series(pod: &str, code: &str, from: f64, to: f64) -> Series {
        let labels = [("__name__", "http_requests_total"), ("namespace", "shop"), ("pod", pod), ("code", code)];
        Series {
            labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect::<Labels>(),
            samples: vec![Sample { at: 0, value: from }, Sample { at: 10_000, value: to }],
        }
    }

    #[test]
    fn some_pods_tell_of_all() {
        let past = Past { counts: Counts::new(100.0, 0.0), pods: 8, over: Duration::from_secs(10) };
        assert_eq!(traffic(&Policy::default(), &past, 10)[0][1], "12 requests/s on 10 pods (8 of them read), 0% failed in 10s");
        let past = Past { pods: 1, ..past };
        assert_eq!(traffic(&Policy::default(), &past, 1)[1][1], "one pod beside them: about 5.0 requests/s");
    }

    fn told(annotations: &Value, series: Result<Vec<Series>, String>) -> String {
        let primary = json!({"metadata": {"name": "app", "namespace": "shop", "annotations": annotations}});
        let policy = Policy::of(object::annotations(&primary)).unwrap();
        let pods = Pods { primary: Members::of_names(["app-1", "app-2"]), ..Pods::default() };
        let seen = Seen { primary: &primary, policy: &policy, origin: Origin::Pages, pods: &pods, series };
        super::super::table::lines(&rows(&seen), 400).join("\n")
    }

    #[test]
    fn what_would_be_read_and_what_would_come_of_it() {
        let of = |requests: f64, errors: f64| {
            Ok(vec![
                series("app-1", "200", 1000.0, 1000.0 + requests),
                series("app-2", "200", 5.0, 5.0 + requests),
                series("app-2", "500", 0.0, errors),
            ])
        };
        let slow = json!({"canary.max-latency-p99": "250ms"});
        let all = [
            told(&json!({}), of(100.0, 0.0)),
            told(&json!({}), of(1.0, 0.0)),
            told(&json!({}), of(100.0, 50.0)),
            told(&json!({"canary.duration": "5m"}), of(0.0, 0.0)),
            told(&slow, of(100.0, 0.0)),
            told(&json!({"canary.metrics": "none", "canary.duration": "1m"}), of(1.0, 0.0)),
            told(&json!({}), Err("the right to get pods/proxy in shop is missing".to_owned())),
            told(&json!({}), Ok(Vec::new())),
        ];
        insta::assert_snapshot!(all.join("\n\n"), @r"
        Would read    http_requests_total by code on the pods' own metrics pages
        To fix that   canary.metrics: http
        Primary       20 requests/s on 2 pods, 0% failed in 10s
        Canary        one pod beside them: about 6.7 requests/s
        Verdict       one that does as well is let in about 60s after it is Ready

        Would read    http_requests_total by code on the pods' own metrics pages
        To fix that   canary.metrics: http
        Primary       0.2 requests/s on 2 pods, 0% failed in 10s
        Canary        one pod beside them: about 4.0 requests/min
        Verdict       none within canary.deadline (10m): about 40 requests come by then, and 338 are needed to show less than 1%; a canary.deadline of 1h25m or a canary.max-error-rate of more than 8.2% would do

        Would read    http_requests_total by code on the pods' own metrics pages
        To fix that   canary.metrics: http
        Primary       25 requests/s on 2 pods, 20% failed in 10s
        Canary        one pod beside them: about 8.3 requests/s
        Verdict       none within canary.deadline (10m): 1,000 of 5,000 canary requests failed; the primary's own rate is 20%, so less than 1% can't be shown: set a higher limit

        Would read    http_requests_total by code on the pods' own metrics pages
        To fix that   canary.metrics: http
        Primary       no request of 2 pods was counted in 10s, so nothing can be said of its traffic

        Would read    http_requests_total by code on the pods' own metrics pages
        To fix that   canary.metrics: http
        Latency       found no latency histogram beside http_requests_total; name its buckets in canary.metrics under latency
        Primary       20 requests/s on 2 pods, 0% failed in 10s
        Canary        one pod beside them: about 6.7 requests/s
        Verdict       one that does as well is let in about 60s after it is Ready

        Would read   nothing (canary.metrics: none): the canary's pod and the checks decide

        Would read   nothing yet: the right to get pods/proxy in shop is missing

        Would read   nothing yet: the pods' own metrics pages have no series of app's pods: is it scraping them?
        ");
    }
}

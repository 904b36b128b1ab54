//! The sentences for a canary that was not observed for long enough, or is not observed any more, in the terms of the source that observes it.

use std::time::Duration;

use crate::api::origin::Origin;
use crate::api::quantity::format_duration;
use crate::facts::judgement::Unobserved;
use crate::statistics::Coverage;

pub(super) fn words(unobserved: &Unobserved) -> String {
    let (at, after) = unobserved.last.map(|(at, after)| (time_of_day(at), format_duration(after))).unwrap_or_default();
    let origin = unobserved.origin;
    match unobserved.coverage {
        Coverage::Unseen => match origin {
            Origin::Prometheus => "the source has no scrape of the canary's pod, nor of the primary's".to_owned(),
            Origin::Pages => "neither the canary's metrics page has answered, nor the primary's".to_owned(),
            Origin::Datadog => "Datadog has no counts of the canary's pod, nor of the primary's".to_owned(),
        },
        Coverage::Never => match origin {
            Origin::Prometheus => "the source has no scrape of the canary's pod".to_owned(),
            Origin::Pages => "the canary's metrics page has not answered yet".to_owned(),
            Origin::Datadog => "Datadog has no counts of the canary's pod: does it finish requests?".to_owned(),
        },
        Coverage::Stale { .. } => match origin {
            Origin::Prometheus | Origin::Pages => {
                format!("the canary's metrics page has not answered since {at}, {after} after it was Ready; the primary's do")
            }
            // It knows of what was counted, and of nobody who looked.
            Origin::Datadog => format!("Datadog has no counts of the canary since {at}, {after} after it was Ready; it has the primary's"),
        },
        Coverage::PrimaryStale { .. } => match origin {
            Origin::Prometheus => format!("the primary's pods are not scraped any more, since {at}"),
            Origin::Pages => format!("the metrics pages of the primary's pods have not answered since {at}"),
            Origin::Datadog => format!("Datadog has no counts of the primary's pods since {at}"),
        },
        Coverage::OneLook => format!("one {} of the canary so far, and two are needed", look(origin)),
        Coverage::Short { observed, missing } => format!(
            "observed for {} of {}: a {} is needed after {} more",
            format_duration(observed),
            format_duration(unobserved.duration),
            look(origin),
            format_duration(missing)
        ),
        Coverage::Covered => format!("observed for {}", format_duration(unobserved.duration)),
    }
}

pub(super) fn began_anew(times: usize, last: i64, duration: Duration) -> String {
    let times = if times > 1 { format!(" ({times} times)") } else { String::new() };
    format!(
        "the canary's process ended and began anew in its container{times}, last at {}: it must last for {}",
        time_of_day(last),
        format_duration(duration)
    )
}

fn look(origin: Origin) -> &'static str {
    match origin {
        Origin::Prometheus => "scrape",
        Origin::Pages => "reading",
        Origin::Datadog => "count",
    }
}

/// By the source's clock, as `12:03:15`.
fn time_of_day(milliseconds: i64) -> String {
    let second = milliseconds.div_euclid(1000).rem_euclid(86_400);
    format!("{:02}:{:02}:{:02} UTC", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_source_has_words_of_its_own() {
        let seconds = Duration::from_secs;
        let all = [
            Coverage::Unseen,
            Coverage::Never,
            Coverage::Stale { last: seconds(1), ago: seconds(9) },
            Coverage::PrimaryStale { last: seconds(1), ago: seconds(9) },
            Coverage::OneLook,
            Coverage::Short { observed: seconds(20), missing: seconds(40) },
            Coverage::Covered,
        ];
        let last = Some((1_790_000_000_000, seconds(16)));
        let of = |origin: Origin| all.map(|coverage| words(&Unobserved { coverage, last, duration: seconds(60), origin })).join("\n");
        insta::assert_snapshot!(of(Origin::Prometheus), @r"
        the source has no scrape of the canary's pod, nor of the primary's
        the source has no scrape of the canary's pod
        the canary's metrics page has not answered since 14:13:20 UTC, 16s after it was Ready; the primary's do
        the primary's pods are not scraped any more, since 14:13:20 UTC
        one scrape of the canary so far, and two are needed
        observed for 20s of 60s: a scrape is needed after 40s more
        observed for 60s
        ");
        insta::assert_snapshot!(of(Origin::Pages), @r"
        neither the canary's metrics page has answered, nor the primary's
        the canary's metrics page has not answered yet
        the canary's metrics page has not answered since 14:13:20 UTC, 16s after it was Ready; the primary's do
        the metrics pages of the primary's pods have not answered since 14:13:20 UTC
        one reading of the canary so far, and two are needed
        observed for 20s of 60s: a reading is needed after 40s more
        observed for 60s
        ");
        insta::assert_snapshot!(of(Origin::Datadog), @r"
        Datadog has no counts of the canary's pod, nor of the primary's
        Datadog has no counts of the canary's pod: does it finish requests?
        Datadog has no counts of the canary since 14:13:20 UTC, 16s after it was Ready; it has the primary's
        Datadog has no counts of the primary's pods since 14:13:20 UTC
        one count of the canary so far, and two are needed
        observed for 20s of 60s: a count is needed after 40s more
        observed for 60s
        ");
    }
}

//! The sentences of what a user's own checks came to. They decide nothing.

use std::time::Duration;

use crate::api::annotations::CHECK_LABEL;
use crate::api::checks::Expected;
use crate::api::quantity::format_duration;
use crate::facts::checked::{
    Amount, Beside, Bound, Breach, Failed, JobLacks, JobStage, Outcome, PageFault, PageLacks, Passed, Resource, Side, Unknown, UsageLacks,
};

const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// Of the check of this name, once the canary had been Ready for so long.
pub(super) fn words(name: &str, outcome: &Outcome, served: Duration) -> String {
    match outcome {
        Outcome::Failed(failed) => format!("check {name} after {}: {}", format_duration(served), failure(failed)),
        Outcome::Passed(passed) => format!("check {name}: {}", success(passed)),
        Outcome::Unknown(unknown) => format!("check {name}: {}", doubt(unknown)),
        Outcome::Waiting => format!("check {name} is not decided yet"),
    }
}

fn success(passed: &Passed) -> String {
    match passed {
        Passed::Query(amounts) => joined(amounts, |one| amount(*one)),
        Passed::Usage(all) => joined(all, beside),
        Passed::Page { pointer, expected: Expected::Equals(expected) } => format!("{} is {expected}", place(pointer)),
        Passed::Page { pointer, expected: Expected::Within { .. } } => format!("{} is within its bounds", place(pointer)),
        Passed::Job(name) => format!("Job {name} succeeded"),
        Passed::OnlyAWarning(outcome) => match outcome.as_ref() {
            Outcome::Failed(failed) => format!("only a warning: {}", failure(failed)),
            Outcome::Unknown(unknown) => format!("only a warning: {}", doubt(unknown)),
            Outcome::Passed(passed) => success(passed),
            Outcome::Waiting => "only a warning, and not decided yet".to_owned(),
        },
    }
}

fn failure(failed: &Failed) -> String {
    match failed {
        Failed::Query(breach) => breached(breach),
        Failed::Usage { beside: found, ratio, most, readings } => {
            let (said, ratio, most) = (beside(found), number(*ratio), number(*most));
            format!("{said}: {ratio} times as much, and {most} is allowed (middle of {readings} readings)")
        }
        Failed::Page { pointer, fault } => match fault {
            PageFault::Missing => format!("the page has no {}", place(pointer)),
            PageFault::IsNot(expected) => format!("{} isn't {expected}", place(pointer)),
            PageFault::NoNumber => format!("{} is no number", place(pointer)),
            PageFault::Beyond(broken) => format!("{} {}", place(pointer), bound(*broken)),
        },
        Failed::Job { name, reason, last_words } => {
            let last = last_words.as_ref().map(|words| format!("; its last words: {words}")).unwrap_or_default();
            format!("Job {name} failed ({reason}){last}")
        }
    }
}

fn doubt(unknown: &Unknown) -> String {
    let of = |side: &Side| if *side == Side::Primary { " for the primary" } else { "" };
    match unknown {
        Unknown::NoSeries { namespace: None } => "the query found no series".to_owned(),
        Unknown::NoSeries { namespace: Some(namespace) } => format!("the query found no series of namespace {namespace}"),
        Unknown::TooFewValues { side, values, steps } => format!("the query gave a number in {values} of {steps} steps{}", of(side)),
        Unknown::Ended { side, steps } => format!("the query gave no number in the last {steps} steps{}", of(side)),
        Unknown::SeveralSeries { canary, primary } => format!(
            "a ratio needs one series on each side, found {canary} series of the canary and {primary} of the primary; use sum, avg or max"
        ),
        Unknown::Negative { canary, primary } => {
            format!("a ratio of negative values says nothing ({} and {})", number(*canary), number(*primary))
        }
        Unknown::PrimaryWasZero => "the primary was 0 all the time: a ratio says nothing; set ignoreBelow or max".to_owned(),
        Unknown::Query(words) => format!("query{words}"),
        Unknown::Usage(lacks) => usage_lacks(lacks),
        Unknown::Page(PageLacks::Address) => "the canary has no address".to_owned(),
        Unknown::Page(PageLacks::Url(words)) => format!("url: {words}"),
        Unknown::Page(PageLacks::Answer(words)) => format!("the page can't be read: {words}"),
        Unknown::Job(lacks) => job_lacks(lacks),
        Unknown::Late { seconds } => format!("no answer within {seconds} s, waiting for its turn included"),
        Unknown::Refused(words) => words.clone(),
    }
}

fn usage_lacks(lacks: &UsageLacks) -> String {
    match lacks {
        UsageLacks::Canary => "the cluster has no resource metrics of the canary's pod yet".to_owned(),
        UsageLacks::Late => {
            "the cluster's resource metrics of the canary's pod are all of its warm-up, or of the first half of the duration".to_owned()
        }
        UsageLacks::Renewed => "the cluster's resource metrics of the canary's pod are not renewed any more".to_owned(),
        UsageLacks::Primary => "the cluster has no resource metrics of the primary's pods".to_owned(),
        UsageLacks::Readings { found, needed } => {
            format!("{found} reading of the cluster's resource metrics so far; at least {needed} are needed")
        }
        UsageLacks::Resource(resource) => format!("the cluster's resource metrics say nothing of {}", resource.name()),
        UsageLacks::Agreement { resource, low, high, most } => format!(
            "readings of {} disagree: {} and {} times the primary's, of which {} is allowed; another one is needed",
            resource.name(),
            number(*low),
            number(*high),
            number(*most)
        ),
    }
}

fn job_lacks(lacks: &JobLacks) -> String {
    match lacks {
        JobLacks::CronJob(name) => format!("there is no CronJob {name} in this namespace"),
        JobLacks::Label(name) => format!("the CronJob {name} has no label {CHECK_LABEL}: \"true\", which lets a check run it"),
        JobLacks::Creation(words) => format!("the Job can't be created: {words}"),
        JobLacks::Place(name) => format!("a Job {name} is there that is not this canary's; rename it, or the check"),
        JobLacks::End { name, stage } => match stage {
            JobStage::Suspended => format!("Job {name} is suspended"),
            JobStage::NoPod => format!("Job {name} has no pod yet"),
            JobStage::PodNotReady => format!("Job {name} waits for its pod to be Ready"),
            JobStage::TriedAgain { failed } => format!("Job {name} is tried again: its pods failed {failed} times"),
            JobStage::Runs => format!("Job {name} runs"),
        },
    }
}

impl Resource {
    fn name(self) -> &'static str {
        match self {
            Self::Cpu => "CPU",
            Self::Memory => "memory",
        }
    }

    fn written(self, amount: f64) -> String {
        match self {
            Self::Cpu => format!("{:.0}m", amount * 1000.0),
            Self::Memory => format!("{:.0}Mi", amount / MEBIBYTE),
        }
    }
}

fn beside(found: &Beside) -> String {
    let Beside { resource, canary, primary, taken_as } = found;
    let taken_as = taken_as.map(|amount| format!(" (taken as {})", resource.written(amount))).unwrap_or_default();
    let (name, canary, primary) = (resource.name(), resource.written(*canary), resource.written(*primary));
    format!("{name} {canary} beside {primary}{taken_as} of an average pod of the primary")
}

fn breached(breach: &Breach) -> String {
    let Breach { amount: value, series, bound: broken, values, in_the_last_third } = breach;
    let pairs = joined_by(",", series, |(name, value)| format!("{name}={value}"));
    let of = if series.is_empty() { String::new() } else { format!(" of {{{pairs}}}") };
    let when = if *in_the_last_third { ", in the last third of the run" } else { "" };
    format!("{}{of} {} (middle of {values} values){when}", amount(*value), bound(*broken))
}

fn bound(broken: Bound) -> String {
    match broken {
        Bound::Below(low) => format!("is below {}", number(low)),
        Bound::Above(high) => format!("exceeds {}", number(high)),
    }
}

fn amount(amount: Amount) -> String {
    match amount {
        Amount::Plain(value) => number(value),
        Amount::TimesThePrimarys(value) => format!("{} times the primary's", number(value)),
    }
}

fn place(pointer: &str) -> &str {
    if pointer.is_empty() { "the whole page" } else { pointer }
}

fn joined<T>(all: &[T], words: impl Fn(&T) -> String) -> String {
    joined_by(", ", all, words)
}

fn joined_by<T>(separator: &str, all: &[T], words: impl Fn(&T) -> String) -> String {
    all.iter().map(words).collect::<Vec<_>>().join(separator)
}

/// As short as a person would write it.
fn number(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "infinity".to_owned() } else { "-infinity".to_owned() };
    }
    let size = value.abs();
    if value.fract().abs() < f64::EPSILON && size < 1e15 {
        return format!("{value:.0}");
    }
    let digits = if size >= 100.0 {
        1
    } else if size >= 0.1 {
        3
    } else {
        6
    };
    let text = format!("{value:.digits$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests;

//! The message of a phase, made from its reason. One line each.

use std::time::Duration;

use super::findings;
use crate::{
    api::quantity::format_duration,
    facts::why::{Closed, Despite, Gone, Good, NotTried, Promotion, SharedTrouble, Verdict, Why},
};

pub fn why(why: &Why) -> String {
    match why {
        Why::NotTried(reason) => not_tried(reason),
        Why::Superseded(gone) => superseded(*gone).to_owned(),
        Why::KeptOut(reason) => format!("{}; template kept out", verdict(reason)),
        Why::AwaitsApproval { good: reason, by_another_than: None } => format!("{}; it waits for approval", good(reason)),
        Why::AwaitsApproval { good: reason, by_another_than: Some(applier) } => {
            format!("{}; it waits for approval by somebody else than {applier}", good(reason))
        }
    }
}

pub fn promotion(promotion: &Promotion) -> String {
    let by = promotion.approved.as_ref().map(|approved| format!("; approved by {}", approved.words())).unwrap_or_default();
    let paused = if promotion.is_paused { "; the Deployment is paused, so its rollout waits for `kubectl rollout resume`" } else { "" };
    format!("{}{by}; template promoted{paused}", good(&promotion.good))
}

pub fn not_tried(reason: &NotTried) -> String {
    match reason {
        NotTried::ScaledToZero => super::SCALED_TO_ZERO.to_owned(),
        NotTried::Paused => "paused before it began; to go on: canary.paused: \"false\"".to_owned(),
        NotTried::Closed(reason) => closed(reason),
    }
}

pub fn closed(closed: &Closed) -> String {
    match closed {
        Closed::Frozen(reason) if reason.is_empty() => "namespace is frozen".to_owned(),
        Closed::Frozen(reason) => format!("namespace is frozen: {reason}"),
        Closed::OutsideOfTheWindow { opens: None } => "outside of canary.window".to_owned(),
        Closed::OutsideOfTheWindow { opens: Some(opens) } => format!("outside of canary.window; tried from {opens}"),
    }
}

pub fn shared_trouble(SharedTrouble { words, troubled, of }: &SharedTrouble) -> String {
    format!("{words}; {troubled} of {of} pods of the primary's are in the same trouble, so the template is not blamed")
}

pub fn unsteady(duration: Duration) -> String {
    format!("its pod was not Ready at times; it must stay Ready for {}", format_duration(duration))
}

fn superseded(gone: Gone) -> &'static str {
    match gone {
        Gone::AnotherIsLive => "another template became the live one past Coalmine; the held one is dropped: apply it again to try it",
        Gone::OptedOut => "opted out past Coalmine; the held template is dropped: apply it again to have it",
        Gone::Unreadable => "the held template can't be read back, and is dropped: apply it again to try it",
        Gone::Missing => "the held template is gone; apply it again to try it",
    }
}

fn good(good: &Good) -> String {
    let said = verdict(&good.verdict);
    match good.despite {
        None => said,
        Some(Despite::Inconclusive) => format!("{said}; nothing speaks against it, and canary.on-inconclusive is promote"),
        Some(Despite::Report(phase)) => format!("canary.mode is report; it would have been {}: {said}", phase.as_str().to_lowercase()),
    }
}

fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Judged(found) => findings::words(found),
        Verdict::ByHand(order) => format!("{} decided: {}", order.by, order.reason),
        Verdict::Pod { words, after } => format!("{words} (after {})", format_duration(*after)),
        Verdict::BetterThanNothing { canary, duration } => {
            format!("no pod of the primary's was ever available, and {canary} stayed Ready for {}", format_duration(*duration))
        }
        Verdict::PausedTooLong(time) => format!("paused for {}", format_duration(*time)),
        Verdict::NotApprovedWithin(time) => {
            format!("it proved itself, and was not let in within {} (canary.approval-timeout)", format_duration(*time))
        }
        Verdict::NotCreatedWithin { canary, deadline } => format!("{canary} could not be created within {}", format_duration(*deadline)),
        Verdict::NameTaken { canary } => {
            format!("a Deployment {canary} exists that is not Coalmine's; rename or delete it, then set canary.retry")
        }
        Verdict::NotGoneWithin { canary, deadline, finalizers } => {
            let why =
                if finalizers.is_empty() { String::new() } else { format!(", which waits for its finalizer {}", finalizers.join(", ")) };
            format!("an earlier {canary} was not gone within {}{why}", format_duration(*deadline))
        }
        Verdict::ChangedTooOften { canary, times, by } => {
            let by = by.as_deref().map(|by| format!(", last{}", super::by(Some(by)))).unwrap_or_default();
            format!("{canary} was changed {times} times{by}, so the held template was never tried alone; keep others off it")
        }
        Verdict::NotReadyWithin { deadline, was_ready, words } => {
            let words = words.as_deref().map(|words| format!(": {words}")).unwrap_or_default();
            let since = if *was_ready { "not Ready any more at the deadline of" } else { "not Ready within" };
            format!("{since} {}{words}", format_duration(*deadline))
        }
        Verdict::Unsteady { duration, stayed } => format!("{}, and did for {}", unsteady(*duration), format_duration(*stayed)),
        Verdict::ReadyTooLate { deadline } => {
            format!("Ready only at the deadline of {}, so there was no time to judge it", format_duration(*deadline))
        }
        Verdict::SharedTrouble { trouble, deadline } => {
            format!("{}; still so at the deadline of {}", shared_trouble(trouble), format_duration(*deadline))
        }
        Verdict::NoAnswer(found) => format!("no answer from the metrics until the deadline: {}", findings::words(found)),
        Verdict::Undecided(found) if found.is_empty() => "undecided at the deadline".to_owned(),
        Verdict::Undecided(found) => format!("undecided at the deadline: {}", findings::words(found)),
        Verdict::NothingSaid => "nothing was said about it until the deadline".to_owned(),
        Verdict::PromotionRefused { words } => format!("proved itself, but can't be promoted: {words}"),
        Verdict::NotLookedAfter(words) => super::not_looked_after(words),
        Verdict::Fault => "a fault of Coalmine's own kept it from being judged; its log has the place".to_owned(),
    }
}

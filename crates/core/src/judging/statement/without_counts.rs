//! What is said where the source's counts say nothing: none were found, a worker has none, or the pods' pages alone are enough. It asks nobody.

use jiff::Timestamp;

use super::{look, run_parameters};
use crate::api::origin::Origin;
use crate::facts::judgement::{Decision, Finding, Judgement, Measure, Measured, Unobserved, Waiting};
use crate::judging::early::Early;
use crate::judging::pace::UNKNOWN_INTERVAL;
use crate::judging::step::{ASK_AGAIN, Round};
use crate::judging::subject::Subject;
use crate::metrics::discovery::NotFound;
use crate::run::evidence::Look;
use crate::statistics::{Coverage, Dispersion, Parameters};

/// There is nothing to judge by, and at the deadline there will be nothing.
pub(in crate::judging) fn nothing(subject: &Subject, nothing: Vec<NotFound>, now: Timestamp) -> Round {
    // What nobody has may be missing; what somebody has and nobody can read is in the way.
    let is_missing = |nothing: &NotFound| match nothing {
        NotFound::NotScraped { .. } | NotFound::NothingKnown { .. } | NotFound::NoRequest { .. } => true,
        NotFound::NoPage { is_silent, .. } => !is_silent,
        _ => false,
    };
    let clean = nothing.iter().all(is_missing);
    let findings = nothing.into_iter().map(Finding::NotFound).collect();
    if subject.is_past_deadline(now) {
        return Round::Done(Judgement { decision: Decision::Inconclusive { clean }, findings });
    }
    Round::Waiting(Waiting { look_again: ASK_AGAIN, findings, is_blind: true })
}

/// A worker has no counters: it is promoted when its pod is Ready and stays so.
pub(in crate::judging) fn worker(subject: &Subject, now: Timestamp) -> Round {
    let (served, duration) = (subject.served(now), subject.policy.duration);
    if served < duration {
        let missing = duration.saturating_sub(served);
        let unobserved =
            Unobserved { coverage: Coverage::Short { observed: served, missing }, last: None, duration, origin: Origin::default() };
        if subject.is_past_deadline(now) {
            let findings = vec![Finding::Unobserved(unobserved)];
            return Round::Done(Judgement { decision: Decision::Inconclusive { clean: true }, findings });
        }
        return Round::Waiting(Waiting { look_again: missing.min(UNKNOWN_INTERVAL), findings: Vec::new(), is_blind: false });
    }
    Round::Done(Judgement { decision: Decision::Promote, findings: vec![Finding::StayedReady(served)] })
}

/// A rejection, if the pages alone are enough for it, and the numbers for people.
pub(in crate::judging) fn by_pages(subject: &Subject, dispersion: Dispersion, early: &Early, now: Timestamp) -> Option<(Judgement, Look)> {
    let policy = &subject.policy;
    let alpha = run_parameters(subject, 1, 0).budget().pages;
    let parameters = Parameters { alpha, dispersion, ..Parameters::default() }.with_limit(policy.max_error_rate);
    let served = subject.served(now);
    let analysis = early.rejection(parameters, policy.warm_up, served)?;
    let look = look(&analysis, now);
    let measure = Measure { measured: Measured::ErrorRate, analysis, served, outlook: None };
    Some((Judgement { decision: Decision::Reject, findings: vec![Finding::Page(measure)] }, look))
}

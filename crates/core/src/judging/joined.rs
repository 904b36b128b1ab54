//! Joins what the user's own checks say with what the metrics say: one that fails is enough to reject, and all must pass before a promotion.

use std::time::Duration;

use super::step::{ASK_AGAIN, Round};
use crate::facts::checked::Outcome;
use crate::facts::judgement::{Decision, Finding, Judgement, Waiting};

/// What one check said.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Said {
    pub(super) name: String,
    pub(super) outcome: Outcome,
    pub(super) served: Duration,
}

impl From<Said> for Finding {
    fn from(said: Said) -> Self {
        Self::Check { name: said.name, outcome: said.outcome, served: said.served }
    }
}

/// The metrics' answer with that of all checks. What can't be answered is told meanwhile: somebody may help before it is too late.
pub(super) fn join(metrics: Round, checks: Vec<Said>, is_past_deadline: bool) -> Round {
    let first = |wanted: fn(&Outcome) -> bool| checks.iter().rev().find(|said| wanted(&said.outcome)).cloned().map(Finding::from);
    if let Some(failed) = checks.iter().find(|said| matches!(said.outcome, Outcome::Failed(_))) {
        return Round::Done(Judgement { decision: Decision::Reject, findings: vec![failed.clone().into()] });
    }
    let open = first(|outcome| matches!(outcome, Outcome::Unknown(_))).or_else(|| first(|outcome| matches!(outcome, Outcome::Waiting)));
    let mut judgement = match metrics {
        Round::Done(judgement) => judgement,
        Round::Waiting(mut waiting) => {
            let is_unknown = matches!(&open, Some(Finding::Check { outcome: Outcome::Unknown(_), .. }));
            waiting.findings.extend(open.filter(|_| is_unknown && !waiting.is_blind));
            return Round::Waiting(waiting);
        }
    };
    match (judgement.decision, open) {
        (Decision::Promote, None) => judgement.findings.extend(checks.into_iter().map(Finding::from)),
        (Decision::Promote, Some(open)) if is_past_deadline => {
            judgement = Judgement { decision: Decision::Inconclusive { clean: false }, findings: vec![open] };
        }
        (Decision::Promote, Some(open)) => {
            return Round::Waiting(Waiting { look_again: ASK_AGAIN, findings: vec![open], is_blind: false });
        }
        (Decision::Inconclusive { .. }, Some(open)) => {
            judgement.decision = Decision::Inconclusive { clean: false };
            judgement.findings.push(open);
        }
        _ => {}
    }
    Round::Done(judgement)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::checked::{Amount, Failed, Passed, Unknown};
    use crate::message::findings::words;

    fn done(decision: Decision) -> Round {
        Round::Done(Judgement { decision, findings: vec![Finding::OnlyProbes] })
    }

    fn said(outcome: Outcome) -> Vec<Said> {
        let amount = Passed::Query(vec![Amount::TimesThePrimarys(0.9)]);
        let passed = Said { name: "cpu".to_owned(), outcome: Outcome::Passed(amount), served: Duration::ZERO };
        vec![passed, Said { name: "smoke".to_owned(), outcome, served: Duration::from_secs(12) }]
    }

    fn told(round: Round) -> String {
        match round {
            Round::Done(judgement) => format!("{:?}: {}", judgement.decision, words(&judgement.findings)),
            Round::Waiting(waiting) => format!("Waiting, blind {}: {}", waiting.is_blind, words(&waiting.findings)),
        }
    }

    #[test]
    fn all_must_agree_to_promote_and_one_is_enough_to_reject() {
        let blind =
            || Round::Waiting(Waiting { look_again: ASK_AGAIN, findings: vec![Finding::NoAnswer("refused".to_owned())], is_blind: true });
        let outcomes = [
            Outcome::Passed(Passed::Job("smoke".to_owned())),
            Outcome::Failed(Failed::Job { name: "smoke".to_owned(), reason: "DeadlineExceeded: ".to_owned(), last_words: None }),
            Outcome::Waiting,
            Outcome::Unknown(Unknown::NoSeries { namespace: None }),
        ];
        let mut all = Vec::new();
        for outcome in outcomes {
            let early = || Round::Waiting(Waiting { look_again: ASK_AGAIN, findings: Vec::new(), is_blind: false });
            for metrics in [done(Decision::Promote), done(Decision::Inconclusive { clean: true }), blind(), early()] {
                for past in [false, true] {
                    all.push(told(join(metrics.clone(), said(outcome.clone()), past)));
                }
            }
        }
        all.dedup();
        insta::assert_snapshot!(all.join("\n"), @r"
        Promote: only probes reach the canary: does the Service's targetPort fit?; check cpu: 0.9 times the primary's; check smoke: Job smoke succeeded
        Inconclusive { clean: true }: only probes reach the canary: does the Service's targetPort fit?
        Waiting, blind true: refused
        Waiting, blind false: 
        Reject: check smoke after 12s: Job smoke failed (DeadlineExceeded: )
        Waiting, blind false: check smoke is not decided yet
        Inconclusive { clean: false }: check smoke is not decided yet
        Inconclusive { clean: false }: only probes reach the canary: does the Service's targetPort fit?; check smoke is not decided yet
        Waiting, blind true: refused
        Waiting, blind false: 
        Waiting, blind false: check smoke: the query found no series
        Inconclusive { clean: false }: check smoke: the query found no series
        Inconclusive { clean: false }: only probes reach the canary: does the Service's targetPort fit?; check smoke: the query found no series
        Waiting, blind true: refused
        Waiting, blind false: check smoke: the query found no series
        ");
    }
}

//! Puts counts before the statistics, and the analyses into one judgement with its words. Asks nobody.

use std::time::Duration;

use super::{Judge, UNKNOWN_INTERVAL};
use coalmine_core::{
    judging::verdict::{Measured, outlook, sentence, starved},
    metrics::counting::Counted,
    run::plan::{Judgement, began, elapsed},
    statistics::{Analysis, Deadline, Dispersion, Parameters, Reason, Verdict, analyse, overall, traffic_share},
};

impl Judge<'_> {
    /// `measures` belong to `counted`, one by one.
    pub(super) fn verdict(&self, measures: &[(Measured, Duration)], counted: &[Counted], dispersion: Dispersion) -> Judgement {
        let policy = self.seen.policy();
        let deadline = if self.is_past_deadline() { Deadline::Reached } else { Deadline::Ahead };
        let served = elapsed(self.since, self.now);
        let interval = self.memory.pace.interval().unwrap_or(UNKNOWN_INTERVAL);
        let scraped = counted.first().is_some_and(|counted| counted.first_scrape.is_some());
        if !scraped && deadline == Deadline::Reached {
            return Judgement::Inconclusive { message: "the source has no scrape of the canary's pod".to_owned(), clean: true };
        }
        let analyses: Vec<(Measured, Duration, Analysis)> = measures
            .iter()
            .zip(counted)
            .map(|((measured, warm_up), counted)| {
                let limit = if *measured == Measured::ErrorRate { policy.max_error_rate } else { 0.01 };
                let parameters = Parameters { bake: policy.duration.saturating_sub(*warm_up), dispersion, ..Parameters::default() }
                    .with_limit(limit)
                    .with_looks(policy.deadline, interval)
                    .shared_by(measures.len());
                let served = served.saturating_sub(*warm_up);
                (*measured, served, analyse(&counted.looks, parameters, served, deadline))
            })
            .collect();
        let verdict = overall(analyses.iter().map(|(_, _, analysis)| analysis.verdict));
        let say = |wanted: fn(Verdict) -> bool| {
            let said = analyses.iter().filter(|(_, _, analysis)| wanted(analysis.verdict));
            said.map(|(measured, _, analysis)| sentence(*measured, analysis, served)).collect::<Vec<_>>().join("; ")
        };
        match verdict {
            Verdict::Reject => Judgement::Reject(say(|verdict| verdict == Verdict::Reject)),
            Verdict::Promote => Judgement::Promote(say(|_| true)),
            Verdict::Inconclusive => Judgement::Inconclusive {
                message: self.missing(&analyses, counted, served, Verdict::Inconclusive).join("; "),
                clean: !analyses.iter().any(|(_, _, analysis)| analysis.speaks_against()),
            },
            Verdict::Continue => Judgement::Continue { look_again: self.look_again(served), note: self.note(&analyses, counted, served) },
        }
    }

    /// Once the duration is over without a verdict, the user is told what is missing, and when it may be there.
    fn note(&self, analyses: &[(Measured, Duration, Analysis)], counted: &[Counted], served: Duration) -> Option<String> {
        let policy = self.seen.policy();
        if served < policy.duration {
            return None;
        }
        let all = self.missing(analyses, counted, served, Verdict::Continue);
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// What those with this verdict lack, and why there may be so little traffic.
    fn missing(&self, analyses: &[(Measured, Duration, Analysis)], counted: &[Counted], served: Duration, verdict: Verdict) -> Vec<String> {
        let began = began(self.primary).unwrap_or(self.now);
        let remaining = self.seen.policy().deadline.saturating_sub(elapsed(began, self.now));
        let waiting = analyses.iter().filter(|(_, _, analysis)| analysis.verdict == verdict);
        let said = waiting.map(|(measured, after_warm_up, analysis)| {
            let few = matches!(analysis.reason, Some(Reason::TooFewRequests { .. }));
            let forecast = analysis.forecast(*after_warm_up, remaining).filter(|_| few);
            let outlook = forecast.map(|forecast| format!("; {}", outlook(*measured, &forecast, remaining))).unwrap_or_default();
            format!("{}{outlook}", sentence(*measured, analysis, served))
        });
        said.chain(Self::starved(counted)).collect()
    }

    fn starved(counted: &[Counted]) -> Option<String> {
        let counted = counted.first()?;
        let alpha = Parameters::default().alpha;
        let share = traffic_share(counted.canary.requests, counted.primary.requests, 1, counted.primary_pods, alpha)?;
        share.much_less.then(|| starved(&share))
    }
}

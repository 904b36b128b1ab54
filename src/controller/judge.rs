//! Carries out what the judge of a canary asks for: `judging` says what to ask and what follows, this file keeps a judge for each primary and
//! drives it until it waits or has decided.

mod ask;
mod job;
mod pages;
mod pods;
mod usage;

use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use serde_json::{Map, Value, json};

use self::pages::Pages;
use super::{Context, observe::Seen};
use crate::{
    clock,
    sources::{Reader, Source},
};
use coalmine_core::{
    facts::{event::Event, judgement::Round},
    hold::admit::FIELD_MANAGER,
    judging::{Judge, News, Step, Subject, collecting::baseline, usage::Usage},
    manifest::{key::Key, object},
    run::evidence::{self, Evidence, Reads},
    standing::Standing,
};

/// What is remembered about one primary.
#[derive(Debug, Default)]
pub(super) struct Memory {
    judging: Option<Judging>,
    pages: Option<Pages>,
    /// What was seen of the present run's canary.
    evidence: Evidence,
}

#[derive(Debug)]
struct Judging {
    judge: Judge,
    reader: Reader,
    /// The judge's epoch of questions that the reader's record answers.
    epoch: u64,
    usage: Usage,
}

/// `None` when there is nothing to judge yet.
pub(super) async fn judge(context: &Context, primary: &Value, seen: &Seen) -> Option<Round> {
    let key = Key::of(primary);
    // Taken out while questions are under way: one primary is worked on by one task at a time.
    let mut memory = context.memory.lock().await.remove(&key).unwrap_or_default();
    let judged = memory.judge(context, primary, seen).await;
    let due = judged.as_ref().map(|_| memory.due(clock::now())).unwrap_or_default();
    context.memory.lock().await.insert(key, memory);
    let (judgement, news) = judged?;
    if let Some(canary) = seen.canary(primary).filter(|_| !due.is_empty()) {
        context.annotate(canary, &due).await;
    }
    for news in news {
        if let News::NoHistory(failure) = &news {
            tracing::info!(error = failure.words, name = object::name(primary), "no history of the primary's errors");
        }
        if let News::Reading(reading) = news {
            context.publish(primary, &Event::Reading(reading)).await;
        }
    }
    judgement
}

/// What is known of the canary's run so far.
pub(super) async fn evidence(context: &Context, primary: &Value, seen: &Seen) -> Evidence {
    let run = Standing::of(primary).run_name();
    let key = Key::of(primary);
    let memory = context.memory.lock().await;
    match memory.get(&key).map(|memory| &memory.evidence).filter(|evidence| evidence.is_of(run)) {
        Some(evidence) => evidence.clone(),
        None => seen.canary(primary).map(|canary| Evidence::of_run(canary, run)).unwrap_or_default(),
    }
}

impl Memory {
    async fn judge(&mut self, context: &Context, primary: &Value, seen: &Seen) -> Option<(Option<Round>, Vec<News>)> {
        self.read_ahead(context, primary, seen).await;
        let canary = seen.canary(primary)?;
        let mut subject = Subject::of(primary, canary, seen.health(), seen.policy())?;
        subject.reads_pages = context.sources.reads_pages;
        subject.sources = context.sources.offered();
        let named = subject.policy.metrics.origin().and_then(|origin| context.sources.of(origin).ok());
        subject.rest = named.map(Source::rest).unwrap_or_default();
        let judging = match &mut self.judging {
            Some(judging) => {
                judging.judge.about(subject);
                judging
            }
            none => none.insert(Judging { judge: Judge::new(subject), reader: Reader::default(), epoch: 0, usage: Usage::default() }),
        };
        let judgement = judging.run(context, primary, canary, &mut self.pages).await;
        let news = judging.judge.news();
        self.see(canary, Standing::of(primary).run_name(), &news);
        Some((judgement, news))
    }

    /// What is to be written on the canary now: for people, and for who takes over.
    fn due(&mut self, now: Timestamp) -> Map<String, Value> {
        let evidence = self.evidence.due(now).map(|text| (evidence::ANNOTATION, text));
        let baseline = self.pages.as_mut().and_then(|pages| pages.baseline(now)).map(|text| (baseline::ANNOTATION, text));
        evidence.into_iter().chain(baseline).map(|(name, text)| (name.to_owned(), text.into())).collect()
    }

    /// Goes on from what stands on the canary: another replica may have led until now.
    fn see(&mut self, canary: &Value, run: &str, news: &[News]) {
        if !self.evidence.is_of(run) {
            self.evidence = Evidence::of_run(canary, run);
        }
        for news in news {
            if let News::Looked(look) = news {
                self.evidence.push(*look);
            }
            if let News::Reading(reading) = news {
                self.evidence.reads = Some(Reads::of(reading, object::namespace(canary)));
            }
        }
    }
}

impl Context {
    /// That it can't be written holds nothing up.
    async fn annotate(&self, canary: &Value, annotations: &Map<String, Value>) {
        if self.may_write().is_err() {
            return;
        }
        let patch = Patch::Merge(json!({"metadata": {"annotations": annotations}}));
        let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        if let Err(error) = self.deployments(object::namespace(canary)).patch(object::name(canary), &parameters, &patch).await {
            tracing::debug!(error = %super::chain(&error), name = object::name(canary), "failed to write what was seen");
        }
    }
}

impl Judging {
    async fn run(&mut self, context: &Context, primary: &Value, canary: &Value, pages: &mut Option<Pages>) -> Option<Round> {
        loop {
            match self.judge.next(clock::now()) {
                Step::Ask(question) => {
                    let answer = self.ask(context, primary, canary, pages, question).await;
                    self.judge.take(answer, clock::now());
                }
                step => return step.round(),
            }
        }
    }
}

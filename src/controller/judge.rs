//! Carries out what the judge of a canary asks for: `judging` says what to ask and what follows, this file keeps a judge for each primary and
//! drives it until it waits or has decided.

mod ask;
mod job;

use serde_json::Value;

use super::{Context, observe::Seen};
use crate::{
    clock,
    sources::{Reader, Source},
};
use coalmine_core::{
    judging::{Judge, News, Step, Subject, verdict},
    manifest::object,
    run::plan::Judgement,
};

/// What is remembered about one primary.
#[derive(Debug, Default)]
pub(super) struct Memory {
    judging: Option<Judging>,
}

#[derive(Debug)]
struct Judging {
    judge: Judge,
    reader: Reader,
    /// Of the judge's questions, that the reader's record answers.
    epoch: u64,
}

/// `None` when there is nothing to judge yet.
pub(super) async fn judge(context: &Context, primary: &Value, seen: &Seen) -> Option<Judgement> {
    let canary = seen.canary(primary)?;
    let mut subject = Subject::of(primary, canary, seen.health(), seen.policy())?;
    subject.reads_pages = context.sources.scraper.is_some();
    subject.rest = context.sources.of(subject.policy.metrics.origin()).map(Source::rest).unwrap_or_default();
    let name = format!("{}/{}", object::namespace(primary), object::name(primary));
    // Taken out while questions are under way: one primary is worked on by one task at a time.
    let mut memory = context.memory.lock().await.remove(&name).unwrap_or_default();
    let judging = match &mut memory.judging {
        Some(judging) => {
            judging.judge.about(subject);
            judging
        }
        none => none.insert(Judging { judge: Judge::new(subject), reader: Reader::default(), epoch: 0 }),
    };
    let judgement = judging.run(context, primary, canary).await;
    let news = judging.judge.news();
    context.memory.lock().await.insert(name, memory);
    for news in news {
        if let News::NoHistory(failure) = &news {
            tracing::info!(error = failure.words, name = object::name(primary), "no history of the primary's errors");
        }
        if let Some(event) = verdict::event(&news) {
            context.publish(primary, &event).await;
        }
    }
    judgement
}

impl Judging {
    async fn run(&mut self, context: &Context, primary: &Value, canary: &Value) -> Option<Judgement> {
        loop {
            match self.judge.next(clock::now()) {
                Step::Ask(question) => {
                    let answer = self.ask(context, primary, canary, question).await;
                    self.judge.take(answer, clock::now());
                }
                step => return verdict::told(step),
            }
        }
    }
}

//! Keeps the reading of the pods' own pages for one run: begins it, aims it at the primary's pods from the hold on, and ends it with the run.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::Value;

use super::{
    super::{Context, observe::Seen},
    Memory, pods,
};
use crate::{clock, sources::pods::PodPages};
use coalmine_core::{
    api::{origin::Origin, policy::Policy},
    hold::held::Record,
    judging::collecting::baseline,
    manifest::object,
    metrics::{discovery::Choice, pages::Endpoint},
    run::times,
    standing::Standing,
};

/// Until the primary's pods are looked at again, before there is a canary to be judged.
const AIMED_FOR: Duration = Duration::from_secs(10);

/// What another replica would miss is no more than that.
const KEPT_FOR: Duration = Duration::from_secs(15);

/// The pods' own pages, as they are read for one run.
#[derive(Debug)]
pub(super) struct Pages {
    run: String,
    pub(super) reading: PodPages,
    /// Where monitors say that the pods' pages are; looked up once.
    pub(super) monitored: Vec<Endpoint>,
    /// When the pods were listed last.
    aimed: Option<Timestamp>,
    /// When the baseline was written last.
    kept: Option<Timestamp>,
}

impl Memory {
    /// From the hold on, so that the primary has a past when the canary is Ready; where the pages are the only source. One that fails is none.
    pub(super) async fn read_ahead(&mut self, context: &Context, primary: &Value, seen: &Seen) {
        let standing = Standing::of(primary);
        let (run, is_trying) = (standing.run_name(), standing.is_trying());
        if !is_trying || self.pages.as_ref().is_some_and(|pages| pages.run != run) {
            self.pages = None;
        }
        if let Some(pages) = &mut self.pages {
            pages.reading.wish(seen.policy(), pod_specs(primary));
        }
        let is_the_only = context.sources.offered().first() == Some(&Origin::Pages) && seen.policy().metrics.origin().is_none();
        if !is_trying || !is_the_only || seen.policy().metrics == Choice::Nothing {
            return;
        }
        let pages = Pages::of(&mut self.pages, context, primary, seen.canary(primary), seen.policy()).await;
        let is_known = pages.aimed.is_some_and(|aimed| times::elapsed(aimed, clock::now()) < AIMED_FOR);
        if !is_known && seen.canary(primary).is_none_or(|canary| times::ready_since(canary).is_none()) {
            let Ok(pods) = pods::of_primary(context, primary, &pages.monitored).await else { return };
            pages.reading.aim(&[], &pods);
            pages.aimed = Some(clock::now());
        }
    }
}

impl Pages {
    pub(super) async fn of<'a>(
        known: &'a mut Option<Self>,
        context: &Context,
        primary: &Value,
        canary: Option<&Value>,
        policy: &Policy,
    ) -> &'a mut Self {
        let begun = match known.take() {
            Some(begun) => begun,
            None => Self::begin(context, primary, canary, policy).await,
        };
        known.insert(begun)
    }

    async fn begin(context: &Context, primary: &Value, canary: Option<&Value>, policy: &Policy) -> Self {
        let (namespace, name) = (object::namespace(primary), object::name(primary));
        let monitored = context.monitors.of(&context.client, primary).await;
        let reading = PodPages::begin(Arc::clone(&context.sources.pods), namespace, name, policy, pod_specs(primary));
        let run = Standing::of(primary).run_name().to_owned();
        if let Some(text) = canary.and_then(|canary| object::annotation(canary, baseline::ANNOTATION)) {
            reading.restore(text, &run);
        }
        Self { run, reading, monitored, aimed: None, kept: None }
    }

    /// What another replica that takes over goes on from, if it is time to write it.
    pub(super) fn baseline(&mut self, now: Timestamp) -> Option<String> {
        if self.kept.is_some_and(|kept| times::elapsed(kept, now) < KEPT_FOR) {
            return None;
        }
        let text = self.reading.baseline(&self.run)?;
        self.kept = Some(now);
        Some(text)
    }
}

/// The live template's, and the held one's.
fn pod_specs(primary: &Value) -> [Value; 2] {
    let of = |template: &Value| template.get("spec").cloned().unwrap_or_default();
    [of(object::template(primary)), Record::of(primary).valid().map(|held| of(&held.template)).unwrap_or_default()]
}

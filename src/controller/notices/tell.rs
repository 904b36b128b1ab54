//! One notification to one sink: all its tries, and the mark on the object that there is nothing left to tell. Decides nothing: what follows an answer,
//! the core says.

use k8s_openapi::api::apps::v1::Deployment;
use kube::{Api, api::PatchParams};
use serde_json::Value;

use super::{
    super::{Context, Error, act, chain},
    metadata,
};
use crate::{
    notify::{Notifier, Outcome},
    panics::caught,
};
use coalmine_core::{
    facts::event::Event,
    hold::admit::FIELD_MANAGER,
    manifest::object,
    notify::{
        outbox::{self, Notice},
        sinks::Sink,
        tries::{Next, Tries},
    },
};

/// Of one mark on an object that others write too.
const MARKS: u32 = 8;

/// Whether the object says now that it was told, or never will be.
pub(super) async fn tell(context: &Context, notifier: &Notifier, primary: Value, notice: Notice, sink: Sink, is_told: bool) -> bool {
    if !is_told && !caught("tell a sink", until_told(context, notifier, &primary, &notice, &sink)).await.unwrap_or(true) {
        // Another replica leads, and tells it.
        return true;
    }
    mark(context, &primary, &notice, &sink.name).await
}

/// All tries. No more of them once another replica may lead.
async fn until_told(context: &Context, notifier: &Notifier, primary: &Value, notice: &Notice, sink: &Sink) -> bool {
    let letter = notifier.letter(notice).about(object::namespace(primary), object::name(primary), object::uid(primary));
    let (namespace, name, phase) = (letter.namespace, letter.name, notice.phase.as_str());
    let mut tries = Tries::default();
    loop {
        let answer = {
            let _place = context.notices.place(sink).await;
            if context.may_write().is_err() {
                return false;
            }
            notifier.post(sink, &letter).await
        };
        match tries.after(&answer) {
            Next::Told => {
                tracing::info!(namespace, name, phase, sink = sink.name, "told");
                notifier.metrics.count(&sink.name, Outcome::Sent);
                context.notices.answered(sink, true);
                return true;
            }
            Next::Again { after, all } => {
                tracing::info!(namespace, name, phase, sink = sink.name, ?answer, "not told, tried again in {} s", after.as_secs());
                notifier.metrics.count(&sink.name, Outcome::Retried);
                context.notices.answered(sink, false);
                if all {
                    context.notices.close(sink, after);
                }
                tokio::time::sleep(after).await;
            }
            Next::Failed(why) => {
                tracing::warn!(namespace, name, phase, sink = sink.name, why, "not told, and given up");
                notifier.metrics.count(&sink.name, Outcome::Failed);
                let (sink, phase) = (sink.name.clone(), notice.phase);
                context.write_event(primary, &Event::NotificationFailed { sink, phase, why }).await;
                return true;
            }
        }
    }
}

/// Takes it away from the object. What is lost then is told again.
pub(super) async fn mark(context: &Context, primary: &Value, notice: &Notice, sink: &str) -> bool {
    let (namespace, name) = (object::namespace(primary), object::name(primary));
    for _ in 0..MARKS {
        match mark_once(context, namespace, name, notice, sink).await {
            Ok(()) => return true,
            Err(error) if error.is_outdated() => {}
            Err(error) => {
                tracing::warn!(namespace, name, sink, error = %chain(&error), "failed to write that a sink was told");
                return false;
            }
        }
    }
    false
}

async fn mark_once(context: &Context, namespace: &str, name: &str, notice: &Notice, sink: &str) -> Result<(), Error> {
    let Some(now) = metadata(context, namespace, name).await? else { return Ok(()) };
    let Some(patch) = outbox::sent_patch(object::annotations(&now), notice, sink) else { return Ok(()) };
    context.may_write()?;
    let parameters = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let api = Api::<Deployment>::namespaced(context.client.clone(), namespace);
    let (patch, doing) = (act::json_patch(patch)?, "write that a sink was told");
    let marked = api.patch_metadata(name, &parameters, &patch).await.map(drop).map_err(Error::api(doing));
    // By the status, where policies about the Deployment don't reach.
    let marked = match marked {
        Err(error) if error.refusal().is_some() => api.patch_status(name, &parameters, &patch).await.map(drop).map_err(Error::api(doing)),
        marked => marked,
    };
    match marked {
        Err(Error::Api { source, .. }) if matches!(&*source, kube::Error::Api(status) if status.is_not_found()) => Ok(()),
        marked => marked,
    }
}

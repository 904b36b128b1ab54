//! One fixed message in the format of each service. All of it was written by others (users, pods, image names), so that none of it may be read
//! as markup, mention anybody, or be longer than the service takes. Sends nothing.

mod cloud_events;
mod discord;
mod google_chat;
mod slack;
mod teams;
#[cfg(test)]
mod tests;

use super::{
    outbox::Notice,
    sinks::{Kind, Sink},
};
use crate::api::annotations::Phase;
use crate::manifest::workload::address;

/// One notice, and about what.
#[derive(Debug, Clone, Copy)]
pub struct Letter<'a> {
    /// As the administrator calls it.
    pub cluster: Option<&'a str>,
    /// Where people reach the page, without a slash at its end.
    pub page: Option<&'a str>,
    pub namespace: &'a str,
    pub name: &'a str,
    pub uid: &'a str,
    pub notice: &'a Notice,
}

/// What is posted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    pub content_type: &'static str,
    pub text: String,
}

/// The letter as this sink reads it.
pub fn body(sink: &Sink, letter: &Letter<'_>) -> Body {
    let (content_type, value) = match sink.kind {
        Kind::Slack => ("application/json", slack::message(letter, sink.channel.as_deref())),
        Kind::Teams => ("application/json", teams::message(letter)),
        Kind::Discord => ("application/json", discord::message(letter)),
        Kind::GoogleChat => ("application/json; charset=UTF-8", google_chat::message(letter)),
        Kind::Webhook => ("application/cloudevents+json", cloud_events::message(letter)),
    };
    Body { content_type, text: value.to_string() }
}

impl<'a> Letter<'a> {
    /// The same about this Deployment.
    #[must_use]
    pub fn about(self, namespace: &'a str, name: &'a str, uid: &'a str) -> Self {
        Self { namespace, name, uid, ..self }
    }

    /// `Rejected: shop/app (eu1)`
    fn title(&self) -> String {
        let phase = match self.notice.phase {
            Phase::AwaitingApproval => "Awaits approval",
            phase => phase.as_str(),
        };
        let cluster = self.cluster.map(|cluster| format!(" ({cluster})")).unwrap_or_default();
        format!("{phase}: {}/{}{cluster}", self.namespace, self.name)
    }

    fn sentence(&self) -> &str {
        if self.notice.message.is_empty() { self.notice.phase.as_str() } else { &self.notice.message }
    }

    /// What else a reader wants to know, each with a word for it.
    fn facts(&self) -> Vec<(String, String)> {
        let mut facts = Vec::new();
        for (container, old, new) in &self.notice.images {
            let change = if old.is_empty() { new.clone() } else { format!("{old} → {new}") };
            facts.push((format!("Image of {container}"), change));
        }
        if !self.notice.user.is_empty() {
            facts.push(("Applied by".to_owned(), self.notice.user.clone()));
        }
        facts.extend(self.notice.info.iter().cloned());
        facts
    }

    /// What to do about it, for whoever may. All of it is made of names that Kubernetes has checked.
    fn command(&self) -> Option<String> {
        let annotate = format!("kubectl -n {} annotate {} --overwrite", self.namespace, address(self.name));
        match self.notice.phase {
            Phase::AwaitingApproval => Some(format!("{annotate} canary.approve={}", self.notice.run)),
            Phase::Rejected | Phase::Inconclusive => Some(format!("{annotate} canary.retry=$(date +%s)")),
            _ => None,
        }
    }

    /// What the command does.
    fn purpose(&self) -> &'static str {
        if self.notice.phase == Phase::AwaitingApproval { "To let it in:" } else { "To try it again:" }
    }

    fn link(&self) -> Option<String> {
        self.page.map(|page| format!("{page}/{}/{}", self.namespace, self.name))
    }
}

//! What can go wrong in a step of the controller, and what the API server meant by it. Retries nothing: `step` and `wake` do.

use crate::kubernetes::{is_about_another, is_refusal};
use crate::panics::Panicked;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("failed to {doing}")]
    Api { doing: &'static str, source: Box<kube::Error> },
    #[error("failed to read {what} as JSON")]
    Json { what: &'static str, source: serde_json::Error },
    #[error("a policy or webhook takes its {0} away, by which Coalmine knows it")]
    Altered(&'static str),
    #[error("another replica leads now")]
    NotLeading,
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

impl Error {
    pub(crate) fn api(doing: &'static str) -> impl FnOnce(kube::Error) -> Self {
        move |source| Self::Api { doing, source: Box::new(source) }
    }

    /// The object changed since it was looked at: nothing went wrong, it is looked at again.
    pub(super) fn is_outdated(&self) -> bool {
        matches!(self, Self::Api { source, .. } if matches!(&**source, kube::Error::Api(status) if is_about_another(status.code, &status.message)))
    }

    /// No answer that says whether it was done.
    pub(super) fn is_lost(&self) -> bool {
        matches!(self, Self::Api { source, .. } if !matches!(&**source, kube::Error::Api(status) if status.code < 500))
    }

    /// For a user: what failed, and the API server's own words where it said any.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Api { doing, source } => match &**source {
                kube::Error::Api(status) => format!("failed to {doing}: {}", status.message),
                _ => chain(self),
            },
            _ => chain(self),
        }
    }

    /// It is no matter of the next moment, or of another replica's.
    pub(super) fn lasts(&self) -> bool {
        !self.is_outdated() && !matches!(self, Self::NotLeading)
    }

    /// The API server's words when it understood the request and will not have it: a quota's, a policy's, or those of another webhook.
    pub(super) fn refusal(&self) -> Option<String> {
        match self {
            Self::Altered(_) => Some(self.to_string()),
            Self::Api { source, .. } if !self.is_outdated() => match &**source {
                kube::Error::Api(status) if is_refusal(status.code) => Some(status.message.clone()),
                _ => None,
            },
            _ => None,
        }
    }
}

/// An error with its sources, each said once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let part = error.to_string();
        if !text.ends_with(&part) {
            text = format!("{text}: {part}");
        }
        source = error.source();
    }
    text
}

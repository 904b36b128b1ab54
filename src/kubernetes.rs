//! The little that admission and controller share about talking to the API server. No decisions.

use std::time::Duration;

use coalmine_core::manifest::workload;
use kube::core::ApiResource;

/// From a request to the head of its answer. The API server begins to answer a watch at once, and nothing else that is asked takes seconds.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// A watch is started again after this time, so that one whose peer is gone without a word hides nothing for longer.
pub const WATCH_FOR: Duration = Duration::from_secs(60);
/// For what comes after the head, and for a watch on which nothing happens.
pub const SILENT_FOR: Duration = Duration::from_secs(75);

/// Whether a server understood the request and will not have it, so that the same again won't help: for a quota, a policy, another webhook, or
/// for what is asked.
pub fn is_refusal(code: u16) -> bool {
    matches!(code, 400 | 403 | 422)
}

/// What the API server says of a JSON patch whose `test` failed or whose path is gone; a policy that refuses has words of its own.
/// Source: `NewGenericServerResponse` in apimachinery, as `applyJSPatcher` in apiserver calls it.
const PATCH_REFUSED: &str = "the server rejected our request due to an error in our request";

/// Whether the object is gone, or not the one any more that the request was about.
pub fn is_about_another(code: u16, message: &str) -> bool {
    matches!(code, 404 | 409) || (code == 422 && message.starts_with(PATCH_REFUSED))
}

/// Deployments, without their types: templates keep the fields that this program doesn't know.
pub fn deployments() -> ApiResource {
    ApiResource {
        group: workload::GROUP.to_owned(),
        version: workload::VERSION.to_owned(),
        api_version: workload::API_VERSION.to_owned(),
        kind: workload::KIND.to_owned(),
        plural: workload::PLURAL.to_owned(),
    }
}

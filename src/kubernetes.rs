//! The little that admission and controller share about talking to the API server. No decisions.

use std::time::Duration;

pub use coalmine_core::manifest::answers::{is_about_another, is_refusal};
use coalmine_core::manifest::workload;
use kube::core::ApiResource;

/// From a request to the head of its answer. The API server begins to answer a watch at once, and nothing else that is asked takes seconds.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// A watch is started again after this time, so that one whose peer is gone without a word hides nothing for longer.
pub const WATCH_FOR: Duration = Duration::from_secs(60);
/// For what comes after the head, and for a watch on which nothing happens.
pub const SILENT_FOR: Duration = Duration::from_secs(75);

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

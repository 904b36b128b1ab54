//! Objects as JSON: what a template is and whether two are the same, who set which field, and how changes are merged. Decides nothing
//! about canaries.

pub mod answers;
pub mod conditions;
pub mod fields;
pub mod identity;
mod items;
pub mod key;
pub mod last_applied;
pub mod managed_fields;
pub mod merge;
pub mod object;
pub mod references;
pub mod service;
pub mod template;
pub mod workload;

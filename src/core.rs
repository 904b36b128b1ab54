//! The part that decides. Nothing here may know a clock, a network or a Kubernetes client: `now` is an argument.

pub use coalmine_statistics as statistics;

pub mod admit;
pub mod canary;
pub mod checks;
pub mod counting;
pub mod discovery;
pub mod early;
pub mod fields;
pub mod held;
pub mod job;
pub mod last_applied;
pub mod lease;
pub mod merge;
pub mod message;
pub mod names;
pub mod object;
pub mod owners;
pub mod plan;
pub mod pods;
pub mod promotion;
pub mod replica_sets;
pub mod services;
pub mod status;
pub mod template;
pub mod verdict;

//! The verdict's own code on simulated traffic, beside the rules that others use, on the same traffic.
//!
//! `cargo xtask simulate` prints the tables and fails when an error bound is broken; `cargo xtask chart` draws the evidence of two runs.
//! It depends on the product's mathematics alone, so that a fresh machine sees the first table after seconds and not after the build of a Kubernetes
//! client.

pub mod chart;
pub mod first_minute;
pub mod random;
pub mod rules;
pub mod scenarios;
pub mod tables;
pub mod tally;
pub mod traffic;

#[path = "../../../src/core"]
mod product {
    pub mod early;
    pub use coalmine_statistics as statistics;
}

pub use product::{early, statistics};

//! The verdict's own code on simulated traffic, beside the rules that others use, on the same traffic.
//!
//! `cargo xtask simulate` prints the tables and fails when an error bound is broken; `cargo xtask chart` draws the evidence of two runs.
//! It depends on the part that decides and on the mathematics alone, so that a fresh machine need not build a Kubernetes client for the first table.

pub mod chart;
mod coalmine;
pub mod first_minute;
pub mod judged;
pub mod outcome;
pub mod pages;
pub mod random;
pub mod rules;
pub mod scenarios;
pub mod seen;
pub mod setup;
pub mod shape;
pub mod situation;
pub mod steps;
pub mod tables;
pub mod tally;
pub mod traffic;

pub use coalmine_core::judging::early;
pub use coalmine_statistics as statistics;

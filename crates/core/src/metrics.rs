//! Which series tell of requests and failures, and how samples become counts. What stores of them are asked. Gives no verdict.

pub mod counting;
pub mod discovery;
pub mod moved;
pub mod pages;
pub mod probes;
pub mod stores;

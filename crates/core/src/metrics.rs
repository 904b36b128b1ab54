//! Which series tell of requests and failures, and how samples become counts. Gives no verdict.

pub mod counting;
pub mod discovery;
pub mod pages;
pub mod probes;

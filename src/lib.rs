//! The edges of Coalmine, as a map. Decisions are made in [`coalmine_core`]; here are the parts that ask and the parts that act.
//!
//! ```text
//!  kubectl apply ──▶ API server ──▶ admission ──▶ hold::admit         (core: hold, withdraw, supersede, promote)
//!                        │  ▲
//!        watch, act      ▼  │ promotion, verdict
//!                   controller ──▶ run::plan                          (core: what to do next)
//!                        │
//!                        ├──▶ sources ──▶ metrics ──▶ statistics      (core: samples, looks, verdict)
//!                        ├──▶ notify ──▶ Slack, Teams, webhooks       (core: payloads, signatures, what follows an answer)
//!                        └──▶ Events, conditions                      (core: facts, and every sentence a user reads)
//!
//!  browser, program ──▶ page ──▶ page, state                         (core: what the objects say, to look at)
//! ```

pub mod admission;
pub mod args;
pub mod clock;
pub mod controller;
pub mod kubernetes;
pub mod lease;
pub mod notify;
pub mod page;
pub mod panics;
pub mod run;
pub mod server;
pub mod sources;
pub mod telemetry;

#[cfg(test)]
mod testing;

//! Coalmine, as a map.
//!
//! ```text
//!  kubectl apply ──▶ API server ──▶ admission ──▶ core::admit       (pure: hold, withdraw, supersede, promote)
//!                        │  ▲
//!        watch, act      ▼  │ promotion, verdict
//!                   controller ──▶ core::plan                       (pure: what to do next)
//!                        │
//!                        ├──▶ sources ──▶ core::counting ──▶ core::statistics   (pure: samples, looks, verdict)
//!                        └──▶ Events, conditions                    (core::message: every sentence a user reads)
//! ```
//!
//! Pure, without clock, network or Kubernetes client: [`api`] and [`core`]. Edges: everything else.

pub mod admission;
pub mod api;
pub mod args;
pub mod clock;
pub mod controller;
pub mod core;
pub mod kubernetes;
pub mod lease;
pub mod run;
pub mod server;
pub mod sources;
pub mod telemetry;

#[cfg(test)]
mod testing;

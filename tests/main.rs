//! The integration tests, in one binary: linking is what takes the time. Those that need a Kubernetes are ignored unless
//! `cargo xtask test` names them: `hold::` asks a control plane (no nodes, no pods), with the real Coalmine as a process beside it;
//! `chart::` Helm and an API server; `cluster::` a whole cluster with Prometheus and traffic, where Coalmine is installed as by a user;
//! `browser::` a control plane and a browser;
//! `faults::` a control plane that it may take down and bring back, with replicas that lead; `flux::` a whole cluster, with Flux's controllers.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking; helpers of tests do too")]

mod browser;
mod chart;
mod cluster;
mod faults;
mod flux;
mod fuzz;
mod hold;
mod manifests;
mod monitoring;
mod prometheus;
mod reviews;
mod support;
mod walls;
mod workflows;

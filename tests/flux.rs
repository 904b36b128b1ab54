//! Flux's own controllers, which apply the same thing again and again: kustomize-controller, and helm-controller with source-controller, as
//! processes beside the test. Only `cargo xtask test --suite flux` runs these: their programs take long to build. `held` asks a control plane
//! and gives the verdicts itself; in `story` a whole cluster gives them.

mod commits;
mod controllers;
mod engine;
mod held;
mod story;

use std::time::Duration;

/// For everything that waits for an interval, or for pods.
const PATIENCE: Duration = Duration::from_secs(150);
const PAUSE: Duration = Duration::from_millis(300);

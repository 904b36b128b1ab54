//! Tests that take something away from all (Prometheus, Coalmine, the node), or need the machine for themselves. `cargo xtask test` runs
//! them one after the other, when the others are over; it tells them by this module's name.

mod by_helm;
mod interruptions;
mod load;
mod node;
mod reinstalled;
mod removal;
mod takeover;

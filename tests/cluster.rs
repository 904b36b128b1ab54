//! The whole of it: real pods, traffic and Prometheus, Coalmine installed from `deploy/`, and a user with kubectl.
//! One file per question; a test's name says what must happen. Each has a namespace of its own.

mod alone;
pub(crate) mod app;
mod broken;
mod changes_of_mind;
mod disruptions;
mod ends;
mod evidence;
mod explain;
mod gates;
mod kubelet;
mod page;
pub(crate) mod pages;
mod silence;
pub(crate) mod stage;
mod stories;
pub(crate) mod traffic;
mod twins;

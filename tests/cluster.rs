//! The whole of it: real pods, traffic and Prometheus, Coalmine installed from `deploy/`, and a user with kubectl.
//! One file per question; a test's name says what must happen. Each has a namespace of its own; those that take something away from
//! all (Prometheus, Coalmine) or need the machine for themselves wait until they are alone.

mod app;
mod broken;
mod changes_of_mind;
mod disruptions;
mod evidence;
mod interruptions;
mod load;
mod removal;
mod stage;
mod stories;
mod traffic;
mod turns;
